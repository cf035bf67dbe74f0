// SPDX-License-Identifier: BSD-2-Clause
// How firmware is told to place an ACPI image: the script of QEMU's table loader, as SeaBIOS and
// OVMF carry it out (QEMU's hw/acpi/bios-linker-loader.c).
#ifndef VM_ACPI_LOADER_H
#define VM_ACPI_LOADER_H

#include "emul/fw_cfg.h"
#include "vm/acpi_image.h"

enum {
	ACPI_LOADER_ALLOCATE = 1,
	ACPI_LOADER_ADD_POINTER = 2,
	ACPI_LOADER_ADD_CHECKSUM = 3,

	ACPI_LOADER_ZONE_HIGH = 1,
	ACPI_LOADER_ZONE_FSEG = 2, // 0xf0000 to 0xfffff
	ACPI_LOADER_ENTRY_BYTES = 128,
	ACPI_LOADER_ENTRIES_MAX = ACPI_BLOBS + ACPI_POINTERS_MAX + ACPI_CHECKSUMS_MAX,
};

// All little-endian.
struct acpi_loader_entry {
	uint32_t command;
	union {
		struct {
			char file[FW_CFG_NAME_BYTES];
			uint32_t alignment;
			uint8_t zone;
		} allocate;
		struct {
			char in[FW_CFG_NAME_BYTES];
			char to[FW_CFG_NAME_BYTES];
			uint32_t offset;
			uint8_t bytes;
		} pointer;
		struct {
			char file[FW_CFG_NAME_BYTES];
			uint32_t offset;
			uint32_t first;
			uint32_t bytes;
		} checksum;
		uint8_t all[ACPI_LOADER_ENTRY_BYTES - 4];
	};
};

extern const char *const acpi_loader_files[ACPI_BLOBS];

// Returns how many entries it made.
uint32_t acpi_loader_make(const struct acpi_image *image,
	struct acpi_loader_entry entries[ACPI_LOADER_ENTRIES_MAX]);

#endif

// SPDX-License-Identifier: BSD-2-Clause
// What the boot path (UEFI or PVH) hands to the kernel: the same structure from either.
#ifndef KERNEL_BOOT_INFO_H
#define KERNEL_BOOT_INFO_H

#include "kernel/base/types.h"

enum {
	BOOT_RANGES_MAX = 512,
	BOOT_FILES_MAX = 64,
	BOOT_FILE_NAME_MAX = 128, // with the terminating zero
	BOOT_COMMAND_LINE_MAX = 1024,
	BOOT_PROBLEM_MAX = 160,
	BOOT_CPUS_MAX = 64,
	BOOT_SECTOR_BYTES = 512,
};

enum boot_range_kind {
	BOOT_RANGE_FREE,     // RAM that the kernel may use
	BOOT_RANGE_IMAGE,    // RAM that holds our image, files or boot_info: in use
	BOOT_RANGE_FIRMWARE, // RAM that firmware keeps: ACPI tables, runtime services
	BOOT_RANGE_DEVICE,   // device memory
};

struct boot_range {
	struct hpa start; // multiple of 4 KiB
	uint64_t bytes;   // multiple of 4 KiB, not 0
	enum boot_range_kind kind;
};

// A file of the ESP (or of the archive that stands for it under PVH), wholly in memory.
struct boot_file {
	char name[BOOT_FILE_NAME_MAX]; // path below the root, '/' as separator, no leading '/'
	const void *data;
	uint64_t bytes;
};

// The volume that the files come from, as far as it takes to find it again among the host's disks.
struct boot_volume {
	bool is_known;
	bool controller_is_known; // and the PCI function that its disk is behind
	uint8_t bus, slot, function;
	uint64_t start; // byte of the disk at which it begins
	uint64_t bytes;
	uint8_t boot_sector[BOOT_SECTOR_BYTES]; // its first bytes
};

// The host's screen: a linear frame buffer of 32 bits a pixel.
struct boot_screen {
	struct hpa base;
	uint32_t width, height; // 0: there is none
	uint32_t line_pixels;   // from one line to the next
	bool red_first;         // in memory; or else blue
};

enum boot_path { BOOT_PATH_UEFI, BOOT_PATH_PVH };

struct boot_info {
	enum boot_path path;
	struct hpa image_start;
	uint64_t image_bytes;
	struct hpa rsdp; // 0: none
	uint32_t range_count;
	uint32_t file_count;
	uint32_t cpu_count; // by UEFI's MP Services, the boot CPU among them; 0: not known
	uint32_t cpu_apic_ids[BOOT_CPUS_MAX];
	struct boot_range ranges[BOOT_RANGES_MAX]; // ascending, not overlapping
	struct boot_file files[BOOT_FILES_MAX];
	struct boot_volume volume;
	struct boot_screen screen;
	char command_line[BOOT_COMMAND_LINE_MAX]; // zero-terminated; empty where there is none
	char problem[BOOT_PROBLEM_MAX]; // what went wrong on the way here; empty: nothing did
};

#endif

// SPDX-License-Identifier: BSD-2-Clause
// The memory map that a guest's firmware or boot loader would report (ACPI 6.5, 15.1).
#ifndef VM_E820_H
#define VM_E820_H

#include "kernel/base/types.h"
#include "vm/guest_ram.h"

// Layout of the first MiB. The EBDA is RAM that the guest leaves alone: the FACS lies there. The
// other ACPI tables lie in the ROM.
#define E820_EBDA_START     0x9fc00u
#define E820_EBDA_END       0xa0000u
#define E820_FIRMWARE_START 0xe0000u
#define E820_FIRMWARE_END   0x100000u

enum { E820_ENTRIES_MAX = 8 };

// ACPI 6.5, table 15.6.
enum e820_type {
	E820_RAM = 1,
	E820_RESERVED = 2,
	E820_ACPI = 3,
	E820_NVS = 4,
};

struct e820_entry {
	uint64_t base;
	uint64_t bytes;
	enum e820_type type;
};

// Sorted by base; entries do not overlap and none is empty.
struct e820_map {
	struct e820_entry entries[E820_ENTRIES_MAX];
	uint32_t count;
};

void e820_build(const struct guest_ram *ram, struct e820_map *map);

// Whether the range lies wholly within one RAM entry. An empty range does not.
bool e820_is_ram(const struct e820_map *map, uint64_t base, uint64_t bytes);

#endif

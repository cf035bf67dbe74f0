// SPDX-License-Identifier: BSD-2-Clause
// What a PVH loader hands over: Xen's xen/include/public/arch-x86/hvm/start_info.h, version 1.
#ifndef BOOT_PVH_ABI_H
#define BOOT_PVH_ABI_H

#include "kernel/base/types.h"

enum {
	PVH_MAGIC = 0x336ec578,
	PVH_VERSION_MEMORY_MAP = 1, // the first version that carries a memory map
	PVH_MEMORY_RAM = 1,         // entry types as in ACPI's E820
	PVH_MEMORY_RESERVED = 2,
	PVH_MEMORY_ACPI = 3,
	PVH_MEMORY_NVS = 4,
};

struct pvh_start_info {
	uint32_t magic;
	uint32_t version;
	uint32_t flags;
	uint32_t module_count;
	uint64_t modules;      // address of struct pvh_module[]
	uint64_t command_line; // address of a zero-terminated string; 0: none
	uint64_t rsdp;
	uint64_t memory_map; // address of struct pvh_memory[]
	uint32_t memory_count;
	uint32_t reserved;
};
_Static_assert(sizeof(struct pvh_start_info) == 56, "start_info.h");
_Static_assert(offsetof(struct pvh_start_info, memory_map) == 40, "start_info.h");

struct pvh_module {
	uint64_t address;
	uint64_t bytes;
	uint64_t command_line;
	uint64_t reserved;
};
_Static_assert(sizeof(struct pvh_module) == 32, "start_info.h");

struct pvh_memory {
	uint64_t address;
	uint64_t bytes;
	uint32_t type;
	uint32_t reserved;
};
_Static_assert(sizeof(struct pvh_memory) == 24, "start_info.h");

#endif

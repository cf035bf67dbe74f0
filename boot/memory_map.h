// SPDX-License-Identifier: BSD-2-Clause
// Builds the kernel's memory map from whatever firmware says: in any order, unaligned,
// overlapping, contradicting. The result is ascending, page-aligned, merged and free of overlaps.
#ifndef BOOT_MEMORY_MAP_H
#define BOOT_MEMORY_MAP_H

#include "kernel/boot_info.h"

struct memory_map {
	struct boot_range *ranges;
	uint32_t count;
	uint32_t capacity;
	// A range in use found no room: since it is not known to the map any more, nothing more may
	// be declared free.
	bool has_lost_used;
};

void memory_map_init(struct memory_map *map, struct boot_range *ranges, uint32_t capacity);

// Adds bytes [start, start + bytes). Where kinds contradict, the later one in enum boot_range_kind
// wins: what anyone says is in use is never free. Free ranges shrink to whole pages, others grow.
// A range beyond the end of the address space is clipped. When the array is full, the smallest free
// range goes.
void memory_map_add(struct memory_map *map, uint64_t start, uint64_t bytes,
	enum boot_range_kind kind);

// What a reserved range is: firmware's memory where RAM can be, ACPI tables among it, and beyond
// the end of RAM (and 4 GiB) only a hole that must stay unused.
enum boot_range_kind memory_map_reserved_kind(uint64_t start, uint64_t ram_end);

#endif

// SPDX-License-Identifier: BSD-2-Clause
#include "vm/e820.h"

#include "kernel/base/assert.h"

static void add(struct e820_map *map, uint64_t base, uint64_t end, enum e820_type type)
{
	if (end <= base)
		return;
	ASSERT(map->count < E820_ENTRIES_MAX);
	map->entries[map->count++] =
		(struct e820_entry){.base = base, .bytes = end - base, .type = type};
}

void e820_build(const struct guest_ram *ram, struct e820_map *map)
{
	uint64_t low = ram->low_bytes;

	map->count = 0;
	add(map, 0, low < E820_EBDA_START ? low : E820_EBDA_START, E820_RAM);
	add(map, E820_EBDA_START, E820_EBDA_END, E820_RESERVED);
	add(map, E820_FIRMWARE_START, E820_FIRMWARE_END, E820_RESERVED);
	add(map, E820_FIRMWARE_END, low, E820_RAM);
	add(map, GUEST_RAM_HIGH, GUEST_RAM_HIGH + ram->high_bytes, E820_RAM);
}

bool e820_is_ram(const struct e820_map *map, uint64_t base, uint64_t bytes)
{
	if (bytes == 0)
		return false;
	for (uint32_t i = 0; i < map->count; i++) {
		const struct e820_entry *entry = &map->entries[i];

		if (entry->type == E820_RAM && base >= entry->base
			&& base - entry->base < entry->bytes
			&& bytes <= entry->bytes - (base - entry->base))
			return true;
	}
	return false;
}

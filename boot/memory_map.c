// SPDX-License-Identifier: BSD-2-Clause
// Runs before the kernel has set up anything, so it uses neither STATUS_FAIL nor memory of its own.
#include "boot/memory_map.h"

#include <string.h>

// One past the last address that page-aligned ranges can end at.
#define MEMORY_MAP_LIMIT ALIGN_DOWN(UINT64_MAX, PAGE_BYTES)

void memory_map_init(struct memory_map *map, struct boot_range *ranges, uint32_t capacity)
{
	*map = (struct memory_map){.ranges = ranges, .capacity = capacity};
}

static uint64_t memory_map_end(const struct boot_range *range)
{
	return range->start.v + range->bytes;
}

static void memory_map_remove(struct memory_map *map, uint32_t index)
{
	memmove(&map->ranges[index], &map->ranges[index + 1],
		(map->count - index - 1) * sizeof(map->ranges[0]));
	map->count--;
}

// First range that ends behind `address`; count where there is none.
static uint32_t memory_map_find(const struct memory_map *map, uint64_t address)
{
	uint32_t index = 0;

	while (index < map->count && memory_map_end(&map->ranges[index]) <= address)
		index++;
	return index;
}

// Removes the smallest free range if it is smaller than `bytes`.
static bool memory_map_drop_free(struct memory_map *map, uint64_t bytes)
{
	uint32_t smallest = map->count;

	for (uint32_t i = 0; i < map->count; i++)
		if (map->ranges[i].kind == BOOT_RANGE_FREE && map->ranges[i].bytes < bytes) {
			smallest = i;
			bytes = map->ranges[i].bytes;
		}
	if (smallest == map->count)
		return false;
	memory_map_remove(map, smallest);
	return true;
}

// Makes [start, end) part of a neighbour of the same kind, and joins both neighbours if it now
// fills the gap between them.
static bool memory_map_join(struct memory_map *map, uint32_t index, uint64_t start, uint64_t end,
	enum boot_range_kind kind)
{
	struct boot_range *before = index > 0 ? &map->ranges[index - 1] : NULL;
	struct boot_range *after = index < map->count ? &map->ranges[index] : NULL;
	bool joins_after = after != NULL && after->kind == kind && after->start.v == end;

	if (before != NULL && before->kind == kind && memory_map_end(before) == start) {
		before->bytes += end - start;
		if (joins_after) {
			before->bytes += after->bytes;
			memory_map_remove(map, index);
		}
		return true;
	}
	if (joins_after) {
		after->bytes += end - start;
		after->start.v = start;
	}
	return joins_after;
}

// Inserts [start, end), which overlaps nothing in the map.
static void memory_map_insert(struct memory_map *map, uint64_t start, uint64_t end,
	enum boot_range_kind kind)
{
	uint32_t index = memory_map_find(map, start);

	if (memory_map_join(map, index, start, end, kind))
		return;
	if (map->count == map->capacity) {
		bool is_free = kind == BOOT_RANGE_FREE;

		if (!memory_map_drop_free(map, is_free ? end - start : UINT64_MAX)) {
			map->has_lost_used |= !is_free;
			return;
		}
		index = memory_map_find(map, start);
	}
	memmove(&map->ranges[index + 1], &map->ranges[index],
		(map->count - index) * sizeof(map->ranges[0]));
	map->ranges[index] = (struct boot_range){
		.start = {start}, .bytes = end - start, .kind = kind};
	map->count++;
}

// Takes [start, end) away from all ranges of a weaker kind.
static void memory_map_cut(struct memory_map *map, uint64_t start, uint64_t end,
	enum boot_range_kind kind)
{
	uint32_t i = memory_map_find(map, start);

	while (i < map->count && map->ranges[i].start.v < end) {
		struct boot_range *range = &map->ranges[i];
		struct boot_range old = *range;

		if (old.kind >= kind) {
			i++;
		} else if (old.start.v < start) {
			range->bytes = start - old.start.v;
			if (memory_map_end(&old) > end) {
				memory_map_insert(map, end, memory_map_end(&old), old.kind);
				return;
			}
			i++;
		} else if (memory_map_end(&old) > end) {
			range->start.v = end;
			range->bytes = memory_map_end(&old) - end;
			return;
		} else {
			memory_map_remove(map, i);
		}
	}
}

void memory_map_add(struct memory_map *map, uint64_t start, uint64_t bytes,
	enum boot_range_kind kind)
{
	uint64_t end = bytes > MEMORY_MAP_LIMIT - start ? MEMORY_MAP_LIMIT : start + bytes;

	if (bytes == 0 || start >= MEMORY_MAP_LIMIT)
		return;
	if (kind == BOOT_RANGE_FREE) {
		start = ALIGN_UP(start, PAGE_BYTES);
		end = ALIGN_DOWN(end, PAGE_BYTES);
		if (map->has_lost_used)
			return;
	} else {
		start = ALIGN_DOWN(start, PAGE_BYTES);
		end = ALIGN_UP(end, PAGE_BYTES);
	}
	if (start < end)
		memory_map_cut(map, start, end, kind);
	while (start < end) {
		uint32_t next = memory_map_find(map, start);
		uint64_t gap_end = end, resume = end;

		if (next < map->count && map->ranges[next].start.v < end) {
			gap_end = map->ranges[next].start.v;
			resume = memory_map_end(&map->ranges[next]);
		}
		if (gap_end > start)
			memory_map_insert(map, start, gap_end, kind);
		start = resume;
	}
}

enum boot_range_kind memory_map_reserved_kind(uint64_t start, uint64_t ram_end)
{
	return start < 4 * GIB || start < ram_end ? BOOT_RANGE_FIRMWARE : BOOT_RANGE_DEVICE;
}

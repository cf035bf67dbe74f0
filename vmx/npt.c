// SPDX-License-Identifier: BSD-2-Clause
// AMD nested page tables: ordinary 4-level long-mode tables, walked with user privilege (APM
// vol. 2, 15.25.5), so every entry has U/S set. 1 GiB pages are not used: guests get whole blocks
// of 2 MiB.
#include "vmx/nested.h"

#include <stdlib.h>

#include "kernel/base/assert.h"
#include "kernel/mem.h"
#include "vmx/svm.h"

#define NPT_PRESENT  BIT(0)
#define NPT_WRITE    BIT(1)
#define NPT_USER     BIT(2)
#define NPT_ACCESSED BIT(5)
#define NPT_DIRTY    BIT(6)
#define NPT_LARGE    BIT(7)
#define NPT_ADDRESS  0x000ffffffffff000u

enum { NPT_LEVELS = 4, NPT_ENTRIES = 512 };

struct nested_map {
	uint64_t *root;
	uint64_t tables;
};

static uint64_t *table_alloc(struct nested_map *map)
{
	uint64_t *table = mem_pages_alloc(1);

	if (table != NULL)
		map->tables++;
	return table;
}

static uint64_t *table_of(uint64_t entry)
{
	return hpa_pointer((struct hpa){entry & NPT_ADDRESS});
}

static void table_free(struct nested_map *map, uint64_t *table, unsigned level)
{
	for (unsigned i = 0; level > 1 && i < NPT_ENTRIES; i++)
		if ((table[i] & (NPT_PRESENT | NPT_LARGE)) == NPT_PRESENT)
			table_free(map, table_of(table[i]), level - 1);
	mem_pages_free(table, 1);
	map->tables--;
}

enum status nested_map_create(struct nested_map **map)
{
	struct nested_map *created = calloc(1, sizeof(*created));

	if (created == NULL)
		return STATUS_FAIL(STATUS_NO_MEMORY);
	created->root = table_alloc(created);
	if (created->root == NULL) {
		free(created);
		return STATUS_FAIL(STATUS_NO_MEMORY);
	}
	*map = created;
	return STATUS_OK;
}

void nested_map_destroy(struct nested_map *map)
{
	table_free(map, map->root, NPT_LEVELS);
	ASSERT(map->tables == 0);
	free(map);
}

uint64_t nested_map_root(const struct nested_map *map)
{
	return hpa_of(map->root).v;
}

uint64_t nested_map_table_bytes(const struct nested_map *map)
{
	return map->tables * PAGE_BYTES;
}

// The entry for `gpa` in the table of `level`; NULL: no memory for a table on the way.
static uint64_t *entry_find(struct nested_map *map, uint64_t gpa, unsigned level)
{
	uint64_t *table = map->root;

	for (unsigned at = NPT_LEVELS; at > level; at--) {
		uint64_t *entry = &table[gpa >> (12 + 9 * (at - 1)) & (NPT_ENTRIES - 1)];

		if ((*entry & NPT_PRESENT) == 0) {
			uint64_t *lower = table_alloc(map);

			if (lower == NULL)
				return NULL;
			*entry = hpa_of(lower).v | NPT_PRESENT | NPT_WRITE | NPT_USER |
				NPT_ACCESSED;
		}
		ASSERT((*entry & NPT_LARGE) == 0);
		table = table_of(*entry);
	}
	return &table[gpa >> (12 + 9 * (level - 1)) & (NPT_ENTRIES - 1)];
}

enum status nested_map_add(struct nested_map *map, struct gpa gpa, struct hpa hpa, uint64_t bytes,
	enum nested_access access)
{
	uint64_t bits = NPT_PRESENT | NPT_USER | NPT_ACCESSED | NPT_DIRTY |
		(access == NESTED_READ_WRITE ? NPT_WRITE : 0);

	ASSERT(((gpa.v | hpa.v | bytes) & (PAGE_BYTES - 1)) == 0);
	while (bytes > 0) {
		bool large = ((gpa.v | hpa.v) & (LARGE_PAGE_BYTES - 1)) == 0 &&
			bytes >= LARGE_PAGE_BYTES;
		uint64_t step = large ? LARGE_PAGE_BYTES : PAGE_BYTES;
		uint64_t *entry = entry_find(map, gpa.v, large ? 2 : 1);

		if (entry == NULL)
			return STATUS_FAIL(STATUS_NO_MEMORY);
		ASSERT((*entry & NPT_PRESENT) == 0);
		*entry = hpa.v | bits | (large ? NPT_LARGE : 0);
		gpa.v += step;
		hpa.v += step;
		bytes -= step;
	}
	return STATUS_OK;
}

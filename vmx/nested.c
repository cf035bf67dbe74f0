// SPDX-License-Identifier: BSD-2-Clause
// Nested page tables: four levels of 512 entries, for both vendors. 1 GiB pages are not used:
// guests get whole blocks of 2 MiB.
//
// AMD's are ordinary long-mode tables, walked with user privilege (APM vol. 2, 15.25.5), so every
// entry has U/S set. Intel's EPT has rights of its own and a memory type (SDM vol. 3, 29.3): always
// write-back, whatever the guest's PAT says, for no guest memory is a device's.
#include "vmx/nested.h"

#include <stdlib.h>

#include "kernel/base/assert.h"
#include "kernel/mem.h"
#include "vmx/engine.h"

#define NPT_PRESENT  BIT(0)
#define NPT_WRITE    BIT(1)
#define NPT_USER     BIT(2)
#define NPT_ACCESSED BIT(5)
#define NPT_DIRTY    BIT(6)

#define EPT_READ       BIT(0)
#define EPT_WRITE      BIT(1)
#define EPT_EXECUTE    BIT(2)
#define EPT_WB         (6ull << 3)
#define EPT_IGNORE_PAT BIT(6)
#define EPT_ACCESSED   BIT(8)
#define EPT_DIRTY      BIT(9)

#define ENTRY_LARGE    BIT(7) // of both
#define ENTRY_ADDRESS  0x000ffffffffff000u

enum { LEVELS = 4, ENTRIES = 512 };

const struct nested_format nested_format_npt = {
	.present = NPT_PRESENT,
	.table = NPT_PRESENT | NPT_WRITE | NPT_USER | NPT_ACCESSED,
	.page = NPT_PRESENT | NPT_USER | NPT_ACCESSED,
	.write = NPT_WRITE,
	.large = ENTRY_LARGE,
	.dirty = NPT_DIRTY,
};

// Dirty flags are clear until the CPU sets them, where it does.
#define EPT_FORMAT                                                                                 \
	.present = EPT_READ | EPT_WRITE | EPT_EXECUTE,                                             \
	.table = EPT_READ | EPT_WRITE | EPT_EXECUTE | EPT_ACCESSED,                                \
	.page = EPT_READ | EPT_EXECUTE | EPT_WB | EPT_IGNORE_PAT | EPT_ACCESSED,                   \
	.write = EPT_WRITE, .large = ENTRY_LARGE

const struct nested_format nested_format_ept = {EPT_FORMAT, .dirty = EPT_DIRTY};
const struct nested_format nested_format_ept_silent = {EPT_FORMAT};

static const struct nested_format *format;

void nested_format_set(const struct nested_format *chosen)
{
	format = chosen;
}

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

static bool is_present(uint64_t entry)
{
	return (entry & format->present) != 0;
}

static bool is_table(uint64_t entry)
{
	return is_present(entry) && (entry & format->large) == 0;
}

static uint64_t *table_of(uint64_t entry)
{
	return hpa_pointer((struct hpa){entry & ENTRY_ADDRESS});
}

static void table_free(struct nested_map *map, uint64_t *table, unsigned level)
{
	for (unsigned i = 0; level > 1 && i < ENTRIES; i++)
		if (is_table(table[i]))
			table_free(map, table_of(table[i]), level - 1);
	mem_pages_free(table, 1);
	map->tables--;
}

enum status nested_map_create(struct nested_map **map)
{
	struct nested_map *created = calloc(1, sizeof(*created));

	ASSERT(format != NULL);
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
	table_free(map, map->root, LEVELS);
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

	for (unsigned at = LEVELS; at > level; at--) {
		uint64_t *entry = &table[gpa >> (12 + 9 * (at - 1)) & (ENTRIES - 1)];

		if (!is_present(*entry)) {
			uint64_t *lower = table_alloc(map);

			if (lower == NULL)
				return NULL;
			*entry = hpa_of(lower).v | format->table;
		}
		ASSERT(is_table(*entry));
		table = table_of(*entry);
	}
	return &table[gpa >> (12 + 9 * (level - 1)) & (ENTRIES - 1)];
}

enum status nested_map_add(struct nested_map *map, struct gpa gpa, struct hpa hpa, uint64_t bytes,
	enum nested_access access)
{
	uint64_t bits = format->page | (access == NESTED_READ_WRITE ? format->write : 0);

	ASSERT(((gpa.v | hpa.v | bytes) & (PAGE_BYTES - 1)) == 0);
	while (bytes > 0) {
		bool large = ((gpa.v | hpa.v) & (LARGE_PAGE_BYTES - 1)) == 0 &&
			bytes >= LARGE_PAGE_BYTES;
		uint64_t step = large ? LARGE_PAGE_BYTES : PAGE_BYTES;
		uint64_t *entry = entry_find(map, gpa.v, large ? 2 : 1);

		if (entry == NULL)
			return STATUS_FAIL(STATUS_NO_MEMORY);
		ASSERT(!is_present(*entry));
		*entry = hpa.v | bits | (large ? format->large : 0);
		gpa.v += step;
		hpa.v += step;
		bytes -= step;
	}
	return STATUS_OK;
}

// The entry of `level` for `gpa`, or the one above that ends the walk; NULL: there is none.
static uint64_t *entry_get(const struct nested_map *map, uint64_t gpa, unsigned level)
{
	uint64_t *table = map->root;

	for (unsigned at = LEVELS;; at--) {
		uint64_t *entry = &table[gpa >> (12 + 9 * (at - 1)) & (ENTRIES - 1)];

		if (!is_present(*entry))
			return NULL;
		if (at == level || !is_table(*entry))
			return entry;
		table = table_of(*entry);
	}
}

void nested_map_remove(struct nested_map *map, struct gpa gpa, uint64_t bytes)
{
	ASSERT(((gpa.v | bytes) & (PAGE_BYTES - 1)) == 0);
	for (uint64_t i = 0, step; i < bytes; i += step) {
		uint64_t *entry = entry_get(map, gpa.v + i, 1);
		bool large = entry != NULL && (*entry & format->large) != 0;

		step = large ? LARGE_PAGE_BYTES : PAGE_BYTES;
		ASSERT(!large || ((gpa.v + i) % LARGE_PAGE_BYTES == 0 && bytes - i >= step));
		if (entry != NULL)
			*entry = 0;
	}
}

static bool dirty_take(uint64_t *entry)
{
	return (__atomic_fetch_and(entry, ~format->dirty, __ATOMIC_RELAXED) & format->dirty) != 0;
}

bool nested_map_take_written(struct nested_map *map, struct gpa gpa)
{
	uint64_t *entry = entry_get(map, gpa.v, 2), *table;
	bool written = false;

	ASSERT(gpa.v % LARGE_PAGE_BYTES == 0);
	if (entry == NULL)
		return false;
	if (format->dirty == 0)
		return true;
	if (!is_table(*entry))
		return dirty_take(entry);
	table = table_of(*entry);
	for (unsigned i = 0; i < ENTRIES; i++)
		if (is_present(table[i]) && dirty_take(&table[i]))
			written = true;
	return written;
}

void *nested_map_pointer(const struct nested_map *map, struct gpa gpa)
{
	const uint64_t *entry;
	uint64_t inside;

	if (gpa.v >> (12 + 9 * LEVELS) != 0)
		return NULL;
	entry = entry_get(map, gpa.v, 1);
	if (entry == NULL)
		return NULL;
	inside = ((*entry & format->large) != 0 ? LARGE_PAGE_BYTES : PAGE_BYTES) - 1;
	return hpa_pointer((struct hpa){(*entry & ENTRY_ADDRESS & ~inside) | (gpa.v & inside)});
}

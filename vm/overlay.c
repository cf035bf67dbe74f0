// SPDX-License-Identifier: BSD-2-Clause
#include "vm/overlay.h"

#include <stdlib.h>
#include <string.h>

#include "kernel/base/assert.h"
#include "kernel/mem.h"

enum {
	PLACE_BYTES = OVERLAY_CLUSTER_BYTES,
	PLACES = OVERLAY_PART_BYTES / PLACE_BYTES, // of a block; the first says which are free
	CLUSTERS = OVERLAY_PART_BYTES / OVERLAY_CLUSTER_BYTES, // of a part
	SECTORS = OVERLAY_CLUSTER_BYTES / OVERLAY_SECTOR_BYTES,
	ALL = (1 << SECTORS) - 1,
	ROOT_PARTS = OVERLAY_PART_BYTES / sizeof(uint32_t),
};
_Static_assert((int)OVERLAY_PART_BYTES == (int)LARGE_PAGE_BYTES, "blocks are the host's");

// Of the table of a part: a place, by its number, or one of these. The first place of a block is no
// table, so neither is one's number.
enum { PART_BASE = 0, PART_ZEROS = PLACES };

// In a place.
struct part {
	uint32_t places[CLUSTERS]; // 0: none, so what is valid is zeros
	uint8_t valid[CLUSTERS];   // a bit for each sector
};
_Static_assert(sizeof(struct part) <= PLACE_BYTES, "a table takes a place");

struct block {
	uint64_t taken[PLACES / 64];
	uint32_t count; // that are taken, this one excluded
};
_Static_assert(sizeof(struct block) <= PLACE_BYTES, "the first place");

struct overlay {
	uint64_t bytes;    // of the medium
	uint64_t used, limit; // places
	uint32_t root_count, block_count;
	uint32_t block_next; // no block before it has a free place
	uint32_t blocks_made;
	uint32_t **roots;  // by ROOT_PARTS parts each
	uint8_t **blocks;  // NULL: not there
};

static struct block *block_of(const struct overlay *overlay, uint32_t index)
{
	return (struct block *)(void *)overlay->blocks[index];
}

static uint8_t *place_at(const struct overlay *overlay, uint32_t place)
{
	return overlay->blocks[place / PLACES] + place % PLACES * PLACE_BYTES;
}

static bool block_make(struct overlay *overlay, uint32_t index)
{
	uint8_t *made = mem_large_alloc();

	if (made == NULL)
		return false;
	overlay->blocks[index] = made;
	overlay->blocks_made++;
	memset(made, 0, PLACE_BYTES);
	block_of(overlay, index)->taken[0] = 1;
	return true;
}

// 0: there is none. It is full of zeros: what nobody has written is saved with what is beside it.
static uint32_t place_take(struct overlay *overlay)
{
	struct block *block;
	uint32_t index = overlay->block_next, word = 0, bit;

	while (index < overlay->block_count && overlay->blocks[index] != NULL &&
		block_of(overlay, index)->count == PLACES - 1)
		index++;
	if (overlay->used == overlay->limit || index == overlay->block_count ||
		(overlay->blocks[index] == NULL && !block_make(overlay, index)))
		return 0;
	overlay->block_next = index;
	block = block_of(overlay, index);
	while (~block->taken[word] == 0)
		word++;
	bit = (uint32_t)__builtin_ctzll(~block->taken[word]);
	block->taken[word] |= BIT(bit);
	block->count++;
	overlay->used++;
	memset(place_at(overlay, index * PLACES + word * 64 + bit), 0, PLACE_BYTES);
	return index * PLACES + word * 64 + bit;
}

static void place_give(struct overlay *overlay, uint32_t place)
{
	uint32_t index = place / PLACES, within = place % PLACES;
	struct block *block = block_of(overlay, index);

	ASSERT(within != 0 && (block->taken[within / 64] >> within % 64 & 1) != 0);
	block->taken[within / 64] &= ~BIT(within % 64);
	block->count--;
	overlay->used--;
	if (index < overlay->block_next)
		overlay->block_next = index;
	if (block->count != 0)
		return;
	mem_large_free(overlay->blocks[index]);
	overlay->blocks[index] = NULL;
	overlay->blocks_made--;
}

enum status overlay_create(uint64_t medium_bytes, uint64_t limit_bytes, struct overlay **created)
{
	uint64_t parts = (medium_bytes + OVERLAY_PART_BYTES - 1) / OVERLAY_PART_BYTES;
	struct overlay *overlay = calloc(1, sizeof(*overlay));

	if (overlay == NULL)
		return STATUS_FAIL(STATUS_NO_MEMORY);
	overlay->bytes = medium_bytes;
	overlay->limit = limit_bytes / PLACE_BYTES;
	overlay->block_count = (uint32_t)((overlay->limit + PLACES - 2) / (PLACES - 1));
	overlay->blocks = calloc(overlay->block_count, sizeof(*overlay->blocks));
	overlay->roots = calloc((parts + ROOT_PARTS - 1) / ROOT_PARTS, sizeof(*overlay->roots));
	if (overlay->blocks == NULL || overlay->roots == NULL) {
		overlay_destroy(overlay);
		return STATUS_FAIL(STATUS_NO_MEMORY);
	}
	for (uint64_t i = 0; i < parts; i += ROOT_PARTS) {
		uint32_t *root = mem_large_alloc();

		if (root == NULL) {
			overlay_destroy(overlay);
			return STATUS_FAIL(STATUS_NO_MEMORY);
		}
		memset(root, 0, LARGE_PAGE_BYTES);
		overlay->roots[overlay->root_count++] = root;
	}
	*created = overlay;
	return STATUS_OK;
}

void overlay_destroy(struct overlay *overlay)
{
	if (overlay == NULL)
		return;
	for (uint32_t i = 0; i < overlay->block_count && overlay->blocks != NULL; i++)
		if (overlay->blocks[i] != NULL)
			mem_large_free(overlay->blocks[i]);
	for (uint32_t i = 0; i < overlay->root_count; i++)
		mem_large_free(overlay->roots[i]);
	free(overlay->blocks);
	free(overlay->roots);
	free(overlay);
}

static uint32_t *part_entry(const struct overlay *overlay, uint64_t offset)
{
	uint64_t part = offset / OVERLAY_PART_BYTES;

	return &overlay->roots[part / ROOT_PARTS][part % ROOT_PARTS];
}

static bool has_table(uint32_t entry)
{
	return entry != PART_BASE && entry != PART_ZEROS;
}

// NULL: it has none.
static struct part *part_of(const struct overlay *overlay, uint64_t offset)
{
	uint32_t entry = *part_entry(overlay, offset);

	return has_table(entry) ? (struct part *)(void *)place_at(overlay, entry) : NULL;
}

static bool is_whole(const struct overlay *overlay, uint64_t offset, uint64_t bytes)
{
	return (offset | bytes) % OVERLAY_SECTOR_BYTES == 0 && offset <= overlay->bytes &&
		bytes <= overlay->bytes - offset;
}

static uint64_t rest_of(uint64_t offset, uint64_t unit, uint64_t bytes)
{
	uint64_t rest = unit - offset % unit;

	return rest < bytes ? rest : bytes;
}

static uint32_t cluster_in_part(uint64_t offset)
{
	return (uint32_t)(offset % OVERLAY_PART_BYTES / OVERLAY_CLUSTER_BYTES);
}

// Whether zeros there take a table: not where they are all of a part that has none, or is zeros.
static bool zeros_need_table(const struct overlay *overlay, uint64_t offset, uint64_t bytes)
{
	bool all = offset % OVERLAY_PART_BYTES == 0 &&
		(bytes == OVERLAY_PART_BYTES || offset + bytes == overlay->bytes);

	return *part_entry(overlay, offset) == PART_BASE && !all;
}

// What lies in one part: how many places are missing.
static uint64_t places_missing(const struct overlay *overlay, uint64_t offset, uint64_t bytes,
	bool zeros)
{
	const struct part *part = part_of(overlay, offset);
	uint32_t first = cluster_in_part(offset), last = cluster_in_part(offset + bytes - 1);
	uint64_t missing = part == NULL;

	if (zeros)
		return zeros_need_table(overlay, offset, bytes);
	for (uint32_t i = first; i <= last; i++)
		missing += part == NULL || part->places[i] == 0;
	return missing;
}

static struct part *part_make(struct overlay *overlay, uint64_t offset)
{
	uint32_t *entry = part_entry(overlay, offset), place;
	struct part *part = part_of(overlay, offset);

	if (part != NULL)
		return part;
	place = place_take(overlay);
	if (place == 0)
		return NULL;
	part = (struct part *)(void *)place_at(overlay, place);
	if (*entry == PART_ZEROS)
		memset(part->valid, ALL, sizeof(part->valid));
	*entry = place;
	return part;
}

static enum status places_make(struct overlay *overlay, uint64_t offset, uint64_t bytes, bool zeros)
{
	uint32_t first = cluster_in_part(offset), last = cluster_in_part(offset + bytes - 1);
	struct part *part;

	if (zeros && !zeros_need_table(overlay, offset, bytes))
		return STATUS_OK;
	part = part_make(overlay, offset);
	if (part == NULL)
		return STATUS_FAIL(STATUS_NO_MEMORY);
	for (uint32_t i = first; i <= last && !zeros; i++) {
		if (part->places[i] == 0)
			part->places[i] = place_take(overlay);
		if (part->places[i] == 0)
			return STATUS_FAIL(STATUS_NO_MEMORY);
	}
	return STATUS_OK;
}

enum status overlay_reserve(struct overlay *overlay, uint64_t offset, uint64_t bytes, bool zeros)
{
	uint64_t missing = 0;
	enum status status = STATUS_OK;

	if (!is_whole(overlay, offset, bytes))
		return STATUS_FAIL(STATUS_INVALID);
	for (uint64_t at = offset, now; at < offset + bytes; at += now) {
		now = rest_of(at, OVERLAY_PART_BYTES, offset + bytes - at);
		missing += places_missing(overlay, at, now, zeros);
	}
	if (missing > overlay->limit - overlay->used)
		return STATUS_FAIL(STATUS_NO_MEMORY);
	for (uint64_t at = offset, now; at < offset + bytes && status == STATUS_OK; at += now) {
		now = rest_of(at, OVERLAY_PART_BYTES, offset + bytes - at);
		status = places_make(overlay, at, now, zeros);
	}
	return status;
}

static uint8_t sectors_of(uint64_t offset, uint64_t bytes)
{
	uint64_t first = offset % OVERLAY_CLUSTER_BYTES / OVERLAY_SECTOR_BYTES;
	uint64_t count = bytes / OVERLAY_SECTOR_BYTES;

	return (uint8_t)((BIT(count) - 1) << first);
}

enum status overlay_write(struct overlay *overlay, uint64_t offset, const void *from,
	uint64_t bytes)
{
	const uint8_t *source = from;
	enum status status = overlay_reserve(overlay, offset, bytes, false);

	for (uint64_t now; bytes > 0 && status == STATUS_OK; bytes -= now) {
		struct part *part = part_of(overlay, offset);
		uint32_t cluster = cluster_in_part(offset);

		now = rest_of(offset, OVERLAY_CLUSTER_BYTES, bytes);
		memcpy(place_at(overlay, part->places[cluster]) + offset % OVERLAY_CLUSTER_BYTES,
			source, now);
		part->valid[cluster] |= sectors_of(offset, now);
		offset += now;
		source += now;
	}
	return status;
}

enum status overlay_zero(struct overlay *overlay, uint64_t offset, uint64_t bytes)
{
	enum status status = overlay_reserve(overlay, offset, bytes, true);
	struct part *part;

	ASSERT(bytes <= OVERLAY_PART_BYTES - offset % OVERLAY_PART_BYTES);
	if (status != STATUS_OK || bytes == 0)
		return status;
	part = part_of(overlay, offset);
	if (part == NULL)
		*part_entry(overlay, offset) = PART_ZEROS;
	for (uint64_t now; bytes > 0 && part != NULL; bytes -= now, offset += now) {
		uint32_t cluster = cluster_in_part(offset);

		now = rest_of(offset, OVERLAY_CLUSTER_BYTES, bytes);
		if (part->places[cluster] != 0)
			memset(place_at(overlay, part->places[cluster]) +
				offset % OVERLAY_CLUSTER_BYTES, 0, now);
		part->valid[cluster] |= sectors_of(offset, now);
	}
	return status;
}

// Of one sector.
static enum overlay_source source_of(const struct overlay *overlay, const struct part *part,
	uint64_t offset)
{
	uint32_t cluster = cluster_in_part(offset);

	if (part == NULL)
		return *part_entry(overlay, offset) == PART_ZEROS ? OVERLAY_ZEROS : OVERLAY_BASE;
	if ((part->valid[cluster] & sectors_of(offset, OVERLAY_SECTOR_BYTES)) == 0)
		return OVERLAY_BASE;
	return part->places[cluster] != 0 ? OVERLAY_DATA : OVERLAY_ZEROS;
}

enum overlay_source overlay_find(const struct overlay *overlay, uint64_t offset, uint64_t *bytes,
	const uint8_t **at)
{
	const struct part *part = part_of(overlay, offset);
	enum overlay_source source = source_of(overlay, part, offset);
	uint64_t found = 0, step;

	if (source == OVERLAY_DATA) {
		*at = place_at(overlay, part->places[cluster_in_part(offset)]) +
			offset % OVERLAY_CLUSTER_BYTES;
		*bytes = rest_of(offset, OVERLAY_CLUSTER_BYTES, *bytes);
	}
	do {
		step = part == NULL ? OVERLAY_PART_BYTES : OVERLAY_SECTOR_BYTES;
		step = rest_of(offset + found, step, *bytes - found);
		found += step;
		if (found < *bytes)
			part = part_of(overlay, offset + found);
	} while (found < *bytes && source_of(overlay, part, offset + found) == source);
	*bytes = found;
	return source;
}

static bool next_in_part(const struct overlay *overlay, uint64_t offset,
	struct overlay_cluster *cluster)
{
	const struct part *part = part_of(overlay, offset);
	uint64_t start = ALIGN_DOWN(offset, (uint64_t)OVERLAY_PART_BYTES);

	*cluster = (struct overlay_cluster){.offset = start, .valid = ALL, .part = true};
	if (part == NULL)
		return offset == start && *part_entry(overlay, offset) == PART_ZEROS;
	cluster->part = false;
	for (uint32_t i = cluster_in_part(offset); i < CLUSTERS; i++) {
		if (part->valid[i] == 0)
			continue;
		cluster->offset = start + (uint64_t)i * OVERLAY_CLUSTER_BYTES;
		cluster->valid = part->valid[i];
		cluster->data = part->places[i] != 0 ? place_at(overlay, part->places[i]) : NULL;
		return true;
	}
	return false;
}

bool overlay_next(const struct overlay *overlay, uint64_t offset, struct overlay_cluster *cluster)
{
	ASSERT(offset % OVERLAY_CLUSTER_BYTES == 0);
	for (; offset < overlay->bytes;
		offset = ALIGN_DOWN(offset, (uint64_t)OVERLAY_PART_BYTES) + OVERLAY_PART_BYTES)
		if (*part_entry(overlay, offset) != PART_BASE &&
			next_in_part(overlay, offset, cluster))
			return true;
	return false;
}

void overlay_drop(struct overlay *overlay, uint64_t offset)
{
	struct part *part = part_of(overlay, offset);
	uint32_t *entry = part_entry(overlay, offset), left = 0;

	for (uint32_t i = 0; part != NULL && i < CLUSTERS; i++) {
		if (part->valid[i] != 0 && part->places[i] != 0) {
			place_give(overlay, part->places[i]);
			part->places[i] = 0;
		}
		part->valid[i] = 0;
		left += part->places[i] != 0;
	}
	if (left != 0)
		return;
	if (part != NULL)
		place_give(overlay, *entry);
	*entry = PART_BASE;
}

uint64_t overlay_used_bytes(const struct overlay *overlay)
{
	return overlay->used * PLACE_BYTES;
}

uint64_t overlay_limit_bytes(const struct overlay *overlay)
{
	return overlay->limit * PLACE_BYTES;
}

uint64_t overlay_memory_bytes(const struct overlay *overlay)
{
	return (overlay->blocks_made + (uint64_t)overlay->root_count) * LARGE_PAGE_BYTES;
}

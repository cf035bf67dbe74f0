// SPDX-License-Identifier: BSD-2-Clause
#include "vm/medium.h"

#include <stdlib.h>
#include <string.h>

#include "drivers/region.h"
#include "kernel/base/assert.h"
#include "kernel/mem.h"
#include "kernel/x86.h"
#include "vm/overlay.h"

static uint64_t block_count(uint64_t bytes)
{
	return ALIGN_UP(bytes, LARGE_PAGE_BYTES) / LARGE_PAGE_BYTES;
}

// The part of a range that lies in one block.
static uint64_t part_of(uint64_t offset, uint64_t bytes)
{
	uint64_t left = LARGE_PAGE_BYTES - offset % LARGE_PAGE_BYTES;

	return bytes < left ? bytes : left;
}

static uint8_t *byte_at(const struct medium *medium, uint64_t offset)
{
	return medium->blocks[offset / LARGE_PAGE_BYTES] + offset % LARGE_PAGE_BYTES;
}

enum status medium_create(struct medium *medium, uint64_t bytes, const uint8_t *image,
	uint64_t image_bytes)
{
	ASSERT(bytes != 0 && image_bytes <= bytes);
	*medium = (struct medium){.blocks = calloc(block_count(bytes), sizeof(*medium->blocks)),
		.bytes = bytes};
	if (medium->blocks == NULL)
		return STATUS_FAIL(STATUS_NO_MEMORY);
	for (uint64_t i = 0; i < block_count(bytes); i++) {
		medium->blocks[i] = mem_large_alloc();
		if (medium->blocks[i] == NULL) {
			medium_destroy(medium);
			return STATUS_FAIL(STATUS_NO_MEMORY);
		}
	}
	if (image_bytes != 0)
		medium_write(medium, 0, image, image_bytes);
	medium_zero(medium, image_bytes, bytes - image_bytes);
	return STATUS_OK;
}

void medium_create_region(struct medium *medium, struct region *region)
{
	*medium = (struct medium){.region = region, .bytes = region->bytes};
}

uint64_t medium_memory_bytes(const struct medium *medium)
{
	uint64_t bytes = medium->blocks != NULL ? block_count(medium->bytes) * LARGE_PAGE_BYTES : 0;

	return medium->overlay != NULL ? bytes + overlay_memory_bytes(medium->overlay) : bytes;
}

enum status medium_create_overlay(struct medium *medium, uint64_t limit_bytes)
{
	return overlay_create(medium->bytes, limit_bytes, &medium->overlay);
}

static void blocks_free(uint8_t **blocks, uint64_t from, uint64_t to)
{
	for (uint64_t i = from; i < to; i++)
		mem_large_free(blocks[i]);
}

enum status medium_resize(struct medium *medium, uint64_t bytes, void (*pause)(void))
{
	uint64_t old = medium->bytes, before = block_count(old), count = block_count(bytes);
	uint8_t **blocks = calloc(count, sizeof(*blocks));

	ASSERT(bytes != 0 && medium->region == NULL && medium->overlay == NULL);
	if (blocks == NULL)
		return STATUS_FAIL(STATUS_NO_MEMORY);
	memcpy(blocks, medium->blocks, (before < count ? before : count) * sizeof(*blocks));
	for (uint64_t i = before; i < count; i++) {
		blocks[i] = mem_large_alloc();
		if (blocks[i] == NULL) {
			blocks_free(blocks, before, i);
			free(blocks);
			return STATUS_FAIL(STATUS_NO_MEMORY);
		}
		memset(blocks[i], 0, LARGE_PAGE_BYTES);
		if (pause != NULL)
			pause();
	}
	blocks_free(medium->blocks, count, before);
	free(medium->blocks);
	*medium = (struct medium){.blocks = blocks, .bytes = bytes};
	if (bytes > old)
		medium_zero(medium, old, (bytes < before * LARGE_PAGE_BYTES
			? bytes : before * LARGE_PAGE_BYTES) - old);
	return STATUS_OK;
}

void medium_destroy(struct medium *medium)
{
	for (uint64_t i = 0; medium->blocks != NULL && i < block_count(medium->bytes); i++)
		if (medium->blocks[i] != NULL)
			mem_large_free(medium->blocks[i]);
	free(medium->blocks);
	overlay_destroy(medium->overlay);
	*medium = (struct medium){0};
}

uint8_t *medium_part(const struct medium *medium, uint64_t offset, uint64_t *bytes)
{
	ASSERT(medium_has(medium, offset, *bytes));
	*bytes = part_of(offset, *bytes);
	return byte_at(medium, offset);
}

void medium_read(const struct medium *medium, uint64_t offset, void *to, uint64_t bytes)
{
	uint8_t *at = to;

	ASSERT(medium_has(medium, offset, bytes));
	while (bytes > 0) {
		uint64_t part = part_of(offset, bytes);

		memory_copy(at, byte_at(medium, offset), part);
		at += part;
		offset += part;
		bytes -= part;
	}
}

void medium_write(struct medium *medium, uint64_t offset, const void *from, uint64_t bytes)
{
	const uint8_t *at = from;

	ASSERT(medium_has(medium, offset, bytes));
	while (bytes > 0) {
		uint64_t part = part_of(offset, bytes);

		memory_copy(byte_at(medium, offset), at, part);
		at += part;
		offset += part;
		bytes -= part;
	}
}

void medium_zero(struct medium *medium, uint64_t offset, uint64_t bytes)
{
	ASSERT(medium_has(medium, offset, bytes));
	while (bytes > 0) {
		uint64_t part = part_of(offset, bytes);

		memset(byte_at(medium, offset), 0, part);
		offset += part;
		bytes -= part;
	}
}

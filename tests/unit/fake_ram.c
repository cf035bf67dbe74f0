// SPDX-License-Identifier: BSD-2-Clause
#include "tests/unit/fake_ram.h"

#include <stdlib.h>
#include <string.h>

static void add_blocks(struct guest_ram *ram, uint64_t first, uint64_t bytes)
{
	uint64_t count = ALIGN_UP(bytes, LARGE_PAGE_BYTES) / LARGE_PAGE_BYTES;

	for (uint64_t i = first; i < first + count; i++) {
		ram->blocks[i] = malloc(LARGE_PAGE_BYTES);
		assert_non_null(ram->blocks[i]);
		memset(ram->blocks[i], FAKE_RAM_POISON, LARGE_PAGE_BYTES);
	}
}

struct guest_ram *fake_ram_create(uint64_t low_bytes, uint64_t high_bytes)
{
	struct guest_ram *ram = calloc(1, sizeof(*ram));

	assert_non_null(ram);
	ram->low_bytes = low_bytes;
	ram->high_bytes = high_bytes;
	memset(ram->shadow, GUEST_SHADOW_READ, sizeof(ram->shadow));
	ram->block_count =
		ALIGN_UP(high_bytes > 0 ? GUEST_RAM_HIGH + high_bytes : low_bytes, LARGE_PAGE_BYTES)
		/ LARGE_PAGE_BYTES;
	ram->blocks = calloc(ram->block_count, sizeof(ram->blocks[0]));
	ram->written = calloc(ram->block_count, sizeof(ram->written[0]));
	assert_non_null(ram->blocks);
	assert_non_null(ram->written);
	add_blocks(ram, 0, low_bytes);
	add_blocks(ram, GUEST_RAM_HIGH / LARGE_PAGE_BYTES, high_bytes);
	return ram;
}

void fake_ram_destroy(struct guest_ram *ram)
{
	for (uint64_t i = 0; i < ram->block_count; i++)
		free(ram->blocks[i]);
	free(ram->blocks);
	free(ram->written);
	free(ram);
}

void fake_ram_get(const struct guest_ram *ram, uint64_t from, void *to, size_t bytes)
{
	assert_int_equal(guest_ram_read(ram, (struct gpa){from}, to, bytes), STATUS_OK);
}

uint32_t fake_ram_get32(const struct guest_ram *ram, uint64_t from)
{
	uint32_t value;

	fake_ram_get(ram, from, &value, sizeof(value));
	return value;
}

uint64_t fake_ram_get64(const struct guest_ram *ram, uint64_t from)
{
	uint64_t value;

	fake_ram_get(ram, from, &value, sizeof(value));
	return value;
}

void fake_ram_check(const struct guest_ram *ram, uint64_t from, const void *expected, size_t bytes)
{
	uint8_t *copy = malloc(bytes);

	assert_non_null(copy);
	fake_ram_get(ram, from, copy, bytes);
	assert_memory_equal(copy, expected, bytes);
	free(copy);
}

bool fake_ram_holds(const struct guest_ram *ram, uint64_t from, size_t bytes, uint8_t value)
{
	for (size_t i = 0; i < bytes; i++) {
		uint8_t byte;

		fake_ram_get(ram, from + i, &byte, 1);
		if (byte != value)
			return false;
	}
	return true;
}

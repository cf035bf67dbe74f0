// SPDX-License-Identifier: BSD-2-Clause
// Stores in memory, the bounds of any store, and chunks as such.
#include <stdlib.h>
#include <string.h>

#include "tests/unit/log_fake.h"

enum { BLOCKS = 5, BLOCK_BYTES = 4096 };

static struct log_ram ram;
static uint8_t *blocks[BLOCKS];

// Each block ends where the sanitizer notices.
static int setup(void **state)
{
	(void)state;
	for (unsigned i = 0; i < BLOCKS; i++)
		blocks[i] = calloc(1, BLOCK_BYTES);
	log_ram_init(&ram, blocks, BLOCKS, BLOCK_BYTES);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (unsigned i = 0; i < BLOCKS; i++)
		free(blocks[i]);
	return 0;
}

static void what_is_written_can_be_read(void **state)
{
	static uint8_t model[BLOCKS * BLOCK_BYTES], bytes[sizeof(model)];
	static struct sample random;

	(void)state;
	assert_int_equal(ram.store.bytes, sizeof(model));
	assert_int_equal(ram.store.alignment, LOG_ALIGNMENT_MIN);
	sample_begin(&random, 7);
	for (unsigned i = 0; i < 2000; i++) {
		uint64_t offset = sample_random(&random) % sizeof(model) & ~7ull;
		size_t count = sample_random(&random) % (sizeof(model) - offset + 1) & ~7ull;

		memset(model + offset, (int)i, count);
		assert_int_equal(log_store_write(&ram.store, offset, model + offset, count),
			STATUS_OK);
		offset = sample_random(&random) % sizeof(model);
		count = sample_random(&random) % (sizeof(model) - offset + 1);
		assert_int_equal(log_store_read(&ram.store, offset, bytes, count), STATUS_OK);
		assert_memory_equal(bytes, model + offset, count);
	}
	assert_int_equal(log_store_flush(&ram.store), STATUS_OK);
}

static void halves_are_stores_of_their_own(void **state)
{
	static const uint8_t ones[8] = {1, 1, 1, 1, 1, 1, 1, 1};
	struct log_ram first, second;

	(void)state;
	log_ram_init(&first, blocks, 2, BLOCK_BYTES);
	log_ram_init(&second, blocks + 2, BLOCKS - 2, BLOCK_BYTES);
	assert_int_equal(log_store_write(&second.store, 0, ones, 8), STATUS_OK);
	assert_int_equal(log_store_write(&first.store, 2 * BLOCK_BYTES, ones, 8), STATUS_RANGE);
	assert_int_equal(blocks[2][0], 1);
	assert_int_equal(blocks[1][BLOCK_BYTES - 1], 0);
}

static void a_store_has_bounds(void **state)
{
	static const struct {
		uint64_t offset;
		size_t count;
	} beyond[] = {{BLOCKS * BLOCK_BYTES, 8}, {BLOCKS * BLOCK_BYTES - 8, 16},
		{0, BLOCKS * BLOCK_BYTES + 8}, {UINT64_MAX - 7, 8}, {UINT64_MAX - 7, 16},
		{8, SIZE_MAX - 7}};
	uint8_t bytes[16];

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(beyond); i++) {
		assert_int_equal(log_store_read(&ram.store, beyond[i].offset, bytes,
			beyond[i].count), STATUS_RANGE);
		assert_int_equal(log_store_write(&ram.store, beyond[i].offset, bytes,
			beyond[i].count), STATUS_RANGE);
	}
	assert_int_equal(log_store_read(&ram.store, ram.store.bytes, bytes, 0), STATUS_OK);
	assert_int_equal(log_store_write(&ram.store, 4, bytes, 8), STATUS_RANGE);
	assert_int_equal(log_store_write(&ram.store, 8, bytes, 4), STATUS_RANGE);
}

static void a_file_is_read_alone(void **state)
{
	static const char text[] = "thirteen byte";
	char bytes[13];

	(void)state;
	log_ram_init_read_only(&ram, text, 13);
	assert_true(ram.store.read_only);
	assert_int_equal(log_store_read(&ram.store, 0, bytes, 13), STATUS_OK);
	assert_memory_equal(bytes, text, 13);
	assert_int_equal(log_store_read(&ram.store, 9, bytes, 4), STATUS_OK);
	assert_memory_equal(bytes, "byte", 4);
	assert_int_equal(log_store_read(&ram.store, 9, bytes, 5), STATUS_RANGE);
	assert_int_equal(log_store_write(&ram.store, 0, bytes, 8), STATUS_REFUSED);
	log_ram_init_read_only(&ram, text, 0);
	assert_int_equal(log_store_read(&ram.store, 0, bytes, 1), STATUS_RANGE);
	assert_int_equal(log_store_read(&ram.store, 0, bytes, 0), STATUS_OK);
}

static void alignments_are_powers_of_two(void **state)
{
	unsigned valid = 0;

	(void)state;
	for (uint64_t alignment = 0; alignment < 10000; alignment++)
		valid += log_alignment_is_valid(alignment);
	assert_int_equal(valid, 10); // 8 to 4096
	assert_true(log_alignment_is_valid(8) && log_alignment_is_valid(4096));
	assert_false(log_alignment_is_valid(BIT(63)));
}

static void a_chunk_is_padded_with_zeros(void **state)
{
	static uint8_t chunk[2048];
	struct log_chunk_header header = {.type = LOG_CHUNK_RECORDS, .payload_bytes = 100};

	(void)state;
	for (uint32_t alignment = 8; alignment <= 1024; alignment *= 2) {
		size_t stored;

		memset(chunk, 0xa5, sizeof(chunk));
		stored = log_chunk_seal(chunk, &header, alignment);
		assert_int_equal(stored, alignment < 256 ? (140 + alignment - 1) / alignment *
			alignment : alignment);
		assert_int_equal(chunk[139], 0xa5);
		for (size_t i = 140; i < stored; i++)
			assert_int_equal(chunk[i], 0);
		assert_int_equal(chunk[stored], 0xa5);
		assert_true(log_chunk_is_intact(chunk));
	}
}

// Every bit of header and payload is under the CRC; the header's own members are looked at too.
static void a_change_of_any_bit_is_noticed(void **state)
{
	uint8_t chunk[168];
	struct log_chunk_header header = {.type = LOG_CHUNK_RECORDS, .sequence = 5,
		.payload_bytes = 128, .log_id = LOG_FAKE_ID};

	(void)state;
	memset(chunk, 0x77, sizeof(chunk));
	log_chunk_seal(chunk, &header, LOG_ALIGNMENT_MIN);
	for (size_t bit = 0; bit < 8 * sizeof(chunk); bit++) {
		const char *problem;
		size_t byte = bit / 8;

		chunk[byte] ^= (uint8_t)(1 << bit % 8);
		memcpy(&header, chunk, sizeof(header));
		problem = log_chunk_header_problem(&header, LOG_FAKE_ID, 5);
		if (byte < 4 || (byte >= 6 && byte < 12) || (byte >= 16 && byte < 24))
			assert_non_null(problem);
		if (problem == NULL && header.payload_bytes <= 128)
			assert_false(log_chunk_is_intact(chunk));
		chunk[byte] ^= (uint8_t)(1 << bit % 8);
	}
	assert_true(log_chunk_is_intact(chunk));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_written_can_be_read, setup, teardown),
		cmocka_unit_test_setup_teardown(halves_are_stores_of_their_own, setup, teardown),
		cmocka_unit_test_setup_teardown(a_store_has_bounds, setup, teardown),
		cmocka_unit_test_setup_teardown(a_file_is_read_alone, setup, teardown),
		cmocka_unit_test(alignments_are_powers_of_two),
		cmocka_unit_test(a_chunk_is_padded_with_zeros),
		cmocka_unit_test(a_change_of_any_bit_is_noticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

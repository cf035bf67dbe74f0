// SPDX-License-Identifier: BSD-2-Clause
// An overlay against a model: bytes, and for each sector whether it has been written.
#include "vm/overlay.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/fake_env.h"
#include "kernel/mem.h"
#include "vm/splitmix.h"

enum {
	SECTOR = OVERLAY_SECTOR_BYTES,
	PART = OVERLAY_PART_BYTES,
	MEDIUM = 3 * PART + 5 * SECTOR, // its last part is short, and its last cluster
	STEPS = 400,
	SEEDS = 20,
	LIMIT = 4 << 20,
};

static unsigned blocks, blocks_max = UINT32_MAX; // of the host's memory

void *mem_large_alloc(void)
{
	if (blocks == blocks_max)
		return NULL;
	blocks++;
	return memset(malloc(LARGE_PAGE_BYTES), 0xdd, LARGE_PAGE_BYTES); // somebody else's
}

void mem_large_free(void *block)
{
	blocks--;
	free(block);
}

static struct overlay *overlay;
static uint8_t model[MEDIUM];
static bool written[MEDIUM / SECTOR];
static uint64_t numbers;

static uint64_t below(uint64_t limit)
{
	return splitmix_next(&numbers) % limit;
}

static void begin(uint64_t seed, uint64_t limit)
{
	numbers = seed;
	memset(model, 0, sizeof(model));
	memset(written, 0, sizeof(written));
	assert_int_equal(overlay_create(MEDIUM, limit, &overlay), STATUS_OK);
}

static void end(void)
{
	overlay_destroy(overlay);
	overlay_destroy(NULL);
	assert_int_equal(blocks, 0);
}

static void model_set(uint64_t offset, uint64_t bytes, const uint8_t *from)
{
	for (uint64_t i = offset / SECTOR; i < (offset + bytes) / SECTOR; i++)
		written[i] = true;
	if (from != NULL)
		memcpy(model + offset, from, bytes);
	else
		memset(model + offset, 0, bytes);
}

static void check(void)
{
	for (uint64_t at = 0, bytes; at < MEDIUM; at += bytes) {
		const uint8_t *data = NULL;
		enum overlay_source source;

		bytes = MEDIUM - at;
		source = overlay_find(overlay, at, &bytes, &data);
		assert_true(bytes > 0 && bytes % SECTOR == 0 && bytes <= MEDIUM - at);
		for (uint64_t i = 0; i < bytes; i += SECTOR) {
			static const uint8_t zeros[SECTOR];

			assert_int_equal(written[(at + i) / SECTOR], source != OVERLAY_BASE);
			if (source != OVERLAY_BASE)
				assert_memory_equal(model + at + i,
					source == OVERLAY_ZEROS ? zeros : data + i, SECTOR);
		}
		// It ends where something else begins, or a cluster that is somewhere else.
		if (source != OVERLAY_DATA && at + bytes < MEDIUM)
			assert_true(source == OVERLAY_ZEROS ||
				written[(at + bytes) / SECTOR]);
	}
}

// The same by clusters: in order, each once, and all of them.
static void check_clusters(void)
{
	struct overlay_cluster cluster;
	uint64_t at = 0, sectors = 0, expected = 0;

	for (unsigned i = 0; i < MEDIUM / SECTOR; i++)
		expected += written[i];
	while (overlay_next(overlay, at, &cluster)) {
		assert_true(cluster.offset >= at && cluster.offset < MEDIUM);
		assert_true(cluster.valid != 0);
		for (unsigned i = 0; i < 8 && !cluster.part; i++) {
			static const uint8_t zeros[SECTOR];
			uint64_t sector = cluster.offset / SECTOR + i;
			bool valid = cluster.valid >> i & 1;
			const uint8_t *data = cluster.data != NULL ? cluster.data + i * SECTOR
				: zeros;

			sectors += valid;
			if (sector >= MEDIUM / SECTOR)
				assert_false(valid);
			else
				assert_int_equal(valid, written[sector]);
			// Nor is there anything of what was in memory before.
			assert_memory_equal(data, valid ? model + sector * SECTOR : zeros, SECTOR);
		}
		at = cluster.offset + OVERLAY_CLUSTER_BYTES;
		if (!cluster.part)
			continue;
		for (at = cluster.offset; at < cluster.offset + PART && at < MEDIUM; at += SECTOR)
			assert_true(written[at / SECTOR] && model[at] == 0);
		sectors += (at - cluster.offset) / SECTOR;
	}
	assert_int_equal(sectors, expected);
}

static void one_step(void)
{
	static uint8_t data[64 * SECTOR];
	uint64_t offset = below(MEDIUM / SECTOR) * SECTOR, bytes = (below(64) + 1) * SECTOR;
	uint64_t rest = PART - offset % PART;

	switch (below(12)) {
	case 0: // a part, or all there is of it
		offset = ALIGN_DOWN(offset, (uint64_t)PART);
		bytes = MEDIUM - offset < PART ? MEDIUM - offset : PART;
		if (below(2) == 0) {
			overlay_drop(overlay, offset);
			memset(written + offset / SECTOR, 0, bytes / SECTOR);
			return;
		}
		rest = PART;
		// Fall through.
	case 1:
	case 2:
		bytes = bytes < rest ? bytes : rest;
		bytes = bytes < MEDIUM - offset ? bytes : MEDIUM - offset;
		assert_int_equal(overlay_zero(overlay, offset, bytes), STATUS_OK);
		model_set(offset, bytes, NULL);
		return;
	default:
		bytes = bytes < MEDIUM - offset ? bytes : MEDIUM - offset;
		for (uint64_t i = 0; i < bytes; i++)
			data[i] = (uint8_t)(i / SECTOR + offset / SECTOR + below(2));
		assert_int_equal(overlay_write(overlay, offset, data, bytes), STATUS_OK);
		model_set(offset, bytes, data);
		return;
	}
}

static void test_random(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		begin(seed, UINT64_C(64) << 20);
		for (unsigned i = 0; i < STEPS; i++) {
			one_step();
			if (i % 40 == 0)
				check();
		}
		check();
		check_clusters();
		for (uint64_t at = 0; at < MEDIUM; at += PART)
			overlay_drop(overlay, at);
		assert_int_equal(overlay_used_bytes(overlay), 0);
		assert_int_equal(blocks, 1); // what leads to the tables
		assert_int_equal(overlay_memory_bytes(overlay), LARGE_PAGE_BYTES);
		end();
	}
}

// A write finds room for all of it or changes nothing; what has a place can be written again.
static void test_limit(void **state)
{
	static const uint8_t data[16 * SECTOR] = {1, 2, 3};
	uint64_t offset = 0, full;

	(void)state;
	begin(0, LIMIT);
	while (overlay_write(overlay, offset, data, 2 * OVERLAY_CLUSTER_BYTES) == STATUS_OK) {
		model_set(offset, 2 * OVERLAY_CLUSTER_BYTES, data);
		offset += 2 * OVERLAY_CLUSTER_BYTES;
	}
	full = overlay_used_bytes(overlay);
	assert_true(full <= LIMIT && full > LIMIT - 3 * OVERLAY_CLUSTER_BYTES);
	assert_int_equal(overlay_limit_bytes(overlay), LIMIT);
	check();
	assert_int_equal(overlay_write(overlay, 0, data + 1, 2 * SECTOR), STATUS_OK);
	model_set(0, 2 * SECTOR, data + 1);
	check();
	end();
}

static void test_limit_is_reached(void **state)
{
	static uint8_t data[16 * SECTOR];
	enum { TABLES = 1, DATA = 6 };
	uint64_t used;

	(void)state;
	memset(data, 0x5a, sizeof(data));
	begin(0, (TABLES + DATA) * OVERLAY_CLUSTER_BYTES);
	for (uint64_t i = 0; i < DATA - 1; i++) {
		assert_int_equal(overlay_write(overlay, i * 16 * SECTOR, data, SECTOR), STATUS_OK);
		model_set(i * 16 * SECTOR, SECTOR, data);
	}
	used = overlay_used_bytes(overlay);
	assert_int_equal(used, (TABLES + DATA - 1) * OVERLAY_CLUSTER_BYTES);
	// Two more are wanted, or one and a table; one is there.
	assert_int_equal(overlay_write(overlay, 200 * SECTOR, data, 16 * SECTOR), STATUS_NO_MEMORY);
	assert_int_equal(overlay_write(overlay, PART, data, SECTOR), STATUS_NO_MEMORY);
	assert_int_equal(overlay_used_bytes(overlay), used);
	check();
	// Whoever asks first has it, written or not.
	assert_int_equal(overlay_reserve(overlay, 200 * SECTOR, 8 * SECTOR, false), STATUS_OK);
	assert_int_equal(overlay_write(overlay, 400 * SECTOR, data, SECTOR), STATUS_NO_MEMORY);
	check();
	overlay_drop(overlay, 0); // not what is to be written
	memset(written, 0, sizeof(written));
	assert_int_equal(overlay_used_bytes(overlay), 2 * OVERLAY_CLUSTER_BYTES);
	assert_int_equal(overlay_write(overlay, 200 * SECTOR, data, 8 * SECTOR), STATUS_OK);
	model_set(200 * SECTOR, 8 * SECTOR, data);
	assert_int_equal(overlay_write(overlay, 0, data, SECTOR), STATUS_OK);
	model_set(0, SECTOR, data);
	// Zeros of a whole part take none, nor where there is a table.
	assert_int_equal(overlay_zero(overlay, PART, PART), STATUS_OK);
	model_set(PART, PART, NULL);
	assert_int_equal(overlay_zero(overlay, 8 * SECTOR, PART - 8 * SECTOR), STATUS_OK);
	model_set(8 * SECTOR, PART - 8 * SECTOR, NULL);
	check();
	check_clusters();
	end();
}

static void test_no_memory(void **state)
{
	static const uint8_t data[SECTOR] = {7};

	(void)state;
	blocks_max = 0;
	assert_int_equal(overlay_create(MEDIUM, LIMIT, &overlay), STATUS_NO_MEMORY);
	blocks_max = 1;
	begin(0, LIMIT);
	assert_int_equal(overlay_write(overlay, 0, data, SECTOR), STATUS_NO_MEMORY);
	check();
	blocks_max = UINT32_MAX;
	assert_int_equal(overlay_write(overlay, 0, data, SECTOR), STATUS_OK);
	model_set(0, SECTOR, data);
	check();
	end();
}

static void test_bounds(void **state)
{
	static const uint64_t bad[][2] = {{1, SECTOR}, {0, 1}, {MEDIUM, SECTOR},
		{MEDIUM - SECTOR, 2 * SECTOR}, {UINT64_MAX - 511, SECTOR},
		{SECTOR, UINT64_MAX - 511}};
	static const uint8_t data[2 * SECTOR];

	(void)state;
	begin(0, LIMIT);
	for (unsigned i = 0; i < ARRAY_COUNT(bad); i++) {
		assert_int_equal(overlay_write(overlay, bad[i][0], data, bad[i][1]),
			STATUS_INVALID);
		assert_int_equal(overlay_reserve(overlay, bad[i][0], bad[i][1], true),
			STATUS_INVALID);
	}
	assert_int_equal(overlay_write(overlay, SECTOR, data, 0), STATUS_OK);
	assert_int_equal(overlay_zero(overlay, SECTOR, 0), STATUS_OK);
	assert_int_equal(overlay_used_bytes(overlay), 0);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_limit_is_reached),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests_name("overlay", tests, NULL, NULL);
}

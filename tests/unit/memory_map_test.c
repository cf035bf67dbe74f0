// SPDX-License-Identifier: BSD-2-Clause
// clang-format off: cmocka.h wants these first.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
// clang-format on

#include "boot/memory_map.h"

enum { CAPACITY = 8, MODEL_PAGES = 64 };

#define PAGE PAGE_BYTES

static struct boot_range ranges[BOOT_RANGES_MAX];
static struct memory_map map;

static int setup(void **state)
{
	(void)state;
	memory_map_init(&map, ranges, CAPACITY);
	return 0;
}

// Pages [first, last) of a kind.
static void add(uint64_t first, uint64_t last, enum boot_range_kind kind)
{
	memory_map_add(&map, first * PAGE, (last - first) * PAGE, kind);
}

static void expect(uint32_t index, uint64_t first, uint64_t last, enum boot_range_kind kind)
{
	assert_true(index < map.count);
	assert_int_equal(ranges[index].start.v, first * PAGE);
	assert_int_equal(ranges[index].bytes, (last - first) * PAGE);
	assert_int_equal(ranges[index].kind, kind);
}

static void test_sorts(void **state)
{
	(void)state;
	add(20, 30, BOOT_RANGE_FREE);
	add(0, 5, BOOT_RANGE_FIRMWARE);
	add(10, 15, BOOT_RANGE_DEVICE);
	assert_int_equal(map.count, 3);
	expect(0, 0, 5, BOOT_RANGE_FIRMWARE);
	expect(1, 10, 15, BOOT_RANGE_DEVICE);
	expect(2, 20, 30, BOOT_RANGE_FREE);
}

static void test_merges_neighbours_of_a_kind(void **state)
{
	(void)state;
	add(0, 5, BOOT_RANGE_FREE);
	add(10, 15, BOOT_RANGE_FREE);
	add(5, 10, BOOT_RANGE_FREE);
	assert_int_equal(map.count, 1);
	expect(0, 0, 15, BOOT_RANGE_FREE);
	add(15, 20, BOOT_RANGE_FIRMWARE);
	assert_int_equal(map.count, 2);
	add(20, 21, BOOT_RANGE_FREE);
	add(22, 25, BOOT_RANGE_FREE);
	add(21, 22, BOOT_RANGE_FREE);
	assert_int_equal(map.count, 3);
	expect(2, 20, 25, BOOT_RANGE_FREE);
}

static void test_merges_overlaps_of_a_kind(void **state)
{
	(void)state;
	add(10, 20, BOOT_RANGE_FREE);
	add(15, 25, BOOT_RANGE_FREE);
	add(5, 12, BOOT_RANGE_FREE);
	add(8, 9, BOOT_RANGE_FREE);
	assert_int_equal(map.count, 1);
	expect(0, 5, 25, BOOT_RANGE_FREE);
	add(0, 30, BOOT_RANGE_FREE);
	assert_int_equal(map.count, 1);
	expect(0, 0, 30, BOOT_RANGE_FREE);
}

static void test_carves_use_out_of_free(void **state)
{
	(void)state;
	add(0, 100, BOOT_RANGE_FREE);
	add(40, 50, BOOT_RANGE_IMAGE);
	add(0, 1, BOOT_RANGE_IMAGE);
	add(99, 100, BOOT_RANGE_FIRMWARE);
	assert_int_equal(map.count, 5);
	expect(0, 0, 1, BOOT_RANGE_IMAGE);
	expect(1, 1, 40, BOOT_RANGE_FREE);
	expect(2, 40, 50, BOOT_RANGE_IMAGE);
	expect(3, 50, 99, BOOT_RANGE_FREE);
	expect(4, 99, 100, BOOT_RANGE_FIRMWARE);
}

static void test_free_never_covers_use(void **state)
{
	(void)state;
	add(10, 20, BOOT_RANGE_FIRMWARE);
	add(30, 40, BOOT_RANGE_DEVICE);
	add(15, 50, BOOT_RANGE_FREE);
	assert_int_equal(map.count, 4);
	expect(0, 10, 20, BOOT_RANGE_FIRMWARE);
	expect(1, 20, 30, BOOT_RANGE_FREE);
	expect(2, 30, 40, BOOT_RANGE_DEVICE);
	expect(3, 40, 50, BOOT_RANGE_FREE);
}

static void test_stronger_kind_wins(void **state)
{
	(void)state;
	add(10, 20, BOOT_RANGE_FREE);
	add(20, 30, BOOT_RANGE_FIRMWARE);
	add(15, 25, BOOT_RANGE_DEVICE);
	assert_int_equal(map.count, 3);
	expect(0, 10, 15, BOOT_RANGE_FREE);
	expect(1, 15, 25, BOOT_RANGE_DEVICE);
	expect(2, 25, 30, BOOT_RANGE_FIRMWARE);
	add(0, 40, BOOT_RANGE_DEVICE);
	assert_int_equal(map.count, 1);
	expect(0, 0, 40, BOOT_RANGE_DEVICE);
}

static void test_page_alignment(void **state)
{
	(void)state;
	memory_map_add(&map, PAGE + 1, 3 * PAGE, BOOT_RANGE_FREE);
	expect(0, 2, 4, BOOT_RANGE_FREE);
	memory_map_add(&map, 10 * PAGE + 1, PAGE, BOOT_RANGE_FIRMWARE);
	expect(1, 10, 12, BOOT_RANGE_FIRMWARE);
	memory_map_add(&map, 20 * PAGE + 1, PAGE - 1, BOOT_RANGE_FREE); // no whole page
	memory_map_add(&map, 20 * PAGE + 100, 0, BOOT_RANGE_DEVICE);
	assert_int_equal(map.count, 2);
	// A page that is half free and half in use is in use.
	memory_map_add(&map, 30 * PAGE, 2 * PAGE, BOOT_RANGE_FREE);
	memory_map_add(&map, 31 * PAGE - 1, 1, BOOT_RANGE_IMAGE);
	assert_int_equal(map.count, 4);
	expect(2, 30, 31, BOOT_RANGE_IMAGE);
	expect(3, 31, 32, BOOT_RANGE_FREE);
}

static void test_end_of_address_space(void **state)
{
	const uint64_t limit = UINT64_MAX / PAGE;

	(void)state;
	memory_map_add(&map, UINT64_MAX - 3 * PAGE + 1, UINT64_MAX, BOOT_RANGE_DEVICE);
	assert_int_equal(map.count, 1);
	expect(0, limit - 2, limit, BOOT_RANGE_DEVICE);
	memory_map_add(&map, UINT64_MAX, UINT64_MAX, BOOT_RANGE_FREE);
	memory_map_add(&map, UINT64_MAX - 4 * PAGE + 2, PAGE, BOOT_RANGE_FREE);
	assert_int_equal(map.count, 1);
	memory_map_add(&map, 0, UINT64_MAX, BOOT_RANGE_FREE);
	assert_int_equal(map.count, 2);
	expect(0, 0, limit - 2, BOOT_RANGE_FREE);
}

static void test_full_drops_smallest_free(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < CAPACITY; i++)
		add(100 * i, 100 * i + 10 + i, BOOT_RANGE_FREE);
	add(1000, 1005, BOOT_RANGE_FREE); // smaller than all: not worth a place
	assert_int_equal(map.count, CAPACITY);
	expect(0, 0, 10, BOOT_RANGE_FREE);
	add(1000, 1050, BOOT_RANGE_FREE);
	assert_int_equal(map.count, CAPACITY);
	expect(0, 100, 111, BOOT_RANGE_FREE);
	expect(CAPACITY - 1, 1000, 1050, BOOT_RANGE_FREE);
	// A split needs two places: two more go, smallest first.
	add(1010, 1020, BOOT_RANGE_IMAGE);
	assert_int_equal(map.count, CAPACITY);
	assert_false(map.has_lost_used);
	expect(CAPACITY - 2, 1010, 1020, BOOT_RANGE_IMAGE);
	expect(CAPACITY - 1, 1020, 1050, BOOT_RANGE_FREE);
}

static void test_full_of_used_ranges(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < CAPACITY; i++)
		add(10 * i, 10 * i + 5, BOOT_RANGE_FIRMWARE);
	add(200, 210, BOOT_RANGE_DEVICE);
	assert_true(map.has_lost_used);
	assert_int_equal(map.count, CAPACITY);
	// The lost range must not come back as free memory.
	add(190, 300, BOOT_RANGE_FREE);
	assert_int_equal(map.count, CAPACITY);
	expect(CAPACITY - 1, 10 * (CAPACITY - 1), 10 * (CAPACITY - 1) + 5, BOOT_RANGE_FIRMWARE);
}

// Against a model of one kind per page, with ranges from a generator.
static void test_against_model(void **state)
{
	uint32_t random = 1;

	(void)state;
	for (unsigned round = 0; round < 2000; round++) {
		int model[MODEL_PAGES];

		memory_map_init(&map, ranges, BOOT_RANGES_MAX);
		for (unsigned i = 0; i < MODEL_PAGES; i++)
			model[i] = -1;
		for (unsigned i = 0; i < 12; i++) {
			uint32_t first, last;
			int kind;

			random = random * 1664525 + 1013904223;
			first = random >> 8 & 63;
			last = first + (random >> 16 & 15);
			last = last > MODEL_PAGES ? MODEL_PAGES : last;
			kind = (int)(random >> 24 & 3);
			add(first, last, (enum boot_range_kind)kind);
			for (uint32_t page = first; page < last; page++)
				model[page] = kind > model[page] ? kind : model[page];
		}
		for (uint32_t i = 0; i < map.count; i++) {
			uint64_t end = ranges[i].start.v + ranges[i].bytes;

			assert_true(ranges[i].bytes > 0);
			if (i + 1 < map.count)
				assert_true(end < ranges[i + 1].start.v ||
					(end == ranges[i + 1].start.v &&
						ranges[i].kind != ranges[i + 1].kind));
			for (uint64_t page = ranges[i].start.v / PAGE; page < end / PAGE; page++) {
				assert_int_equal(model[page], ranges[i].kind);
				model[page] = -1;
			}
		}
		for (unsigned i = 0; i < MODEL_PAGES; i++)
			assert_int_equal(model[i], -1);
	}
}

// With too few places: nothing overlaps, and what is in use is never free.
static void test_against_model_when_full(void **state)
{
	uint32_t random = 7;

	(void)state;
	for (unsigned round = 0; round < 2000; round++) {
		int model[MODEL_PAGES] = {0};

		memory_map_init(&map, ranges, 4);
		for (unsigned i = 0; i < 20; i++) {
			uint32_t first, last;
			int kind;

			random = random * 1664525 + 1013904223;
			first = random >> 8 & 63;
			last = first + (random >> 16 & 7);
			last = last > MODEL_PAGES ? MODEL_PAGES : last;
			kind = (int)(random >> 24 & 3);
			add(first, last, (enum boot_range_kind)kind);
			for (uint32_t page = first; page < last; page++)
				model[page] = kind > model[page] ? kind : model[page];
		}
		assert_true(map.count <= 4);
		for (uint32_t i = 0; i < map.count; i++) {
			uint64_t end = ranges[i].start.v + ranges[i].bytes;

			assert_true(i + 1 >= map.count || end <= ranges[i + 1].start.v);
			if (ranges[i].kind != BOOT_RANGE_FREE)
				continue;
			for (uint64_t page = ranges[i].start.v / PAGE; page < end / PAGE; page++)
				assert_int_equal(model[page], BOOT_RANGE_FREE);
		}
	}
}

static void test_reserved_kind(void **state)
{
	(void)state;
	assert_int_equal(memory_map_reserved_kind(0xf0000, GIB), BOOT_RANGE_FIRMWARE);
	assert_int_equal(memory_map_reserved_kind(4 * GIB - PAGE, GIB), BOOT_RANGE_FIRMWARE);
	assert_int_equal(memory_map_reserved_kind(5 * GIB, 6 * GIB), BOOT_RANGE_FIRMWARE);
	assert_int_equal(memory_map_reserved_kind(1012 * GIB, 6 * GIB), BOOT_RANGE_DEVICE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_sorts, setup),
		cmocka_unit_test_setup(test_merges_neighbours_of_a_kind, setup),
		cmocka_unit_test_setup(test_merges_overlaps_of_a_kind, setup),
		cmocka_unit_test_setup(test_carves_use_out_of_free, setup),
		cmocka_unit_test_setup(test_free_never_covers_use, setup),
		cmocka_unit_test_setup(test_stronger_kind_wins, setup),
		cmocka_unit_test_setup(test_page_alignment, setup),
		cmocka_unit_test_setup(test_end_of_address_space, setup),
		cmocka_unit_test_setup(test_full_drops_smallest_free, setup),
		cmocka_unit_test_setup(test_full_of_used_ranges, setup),
		cmocka_unit_test_setup(test_against_model, setup),
		cmocka_unit_test_setup(test_against_model_when_full, setup),
		cmocka_unit_test(test_reserved_kind),
	};

	return cmocka_run_group_tests_name("memory_map", tests, NULL, NULL);
}

// SPDX-License-Identifier: BSD-2-Clause
// Nested page tables in both vendors' formats. APM vol. 2, 5.3; SDM vol. 3, 29.3.2.
#include <stdlib.h>
#include <string.h>

#include "kernel/mem.h"
#include "tests/unit/fake_env.h"
#include "vmx/engine.h"

static unsigned pages_left;

void *mem_pages_alloc(unsigned count)
{
	void *pages;

	if (pages_left < count)
		return NULL;
	pages_left -= count;
	pages = aligned_alloc(PAGE_BYTES, count * PAGE_BYTES);
	memset(pages, 0, count * PAGE_BYTES);
	return pages;
}

void mem_pages_free(void *pages, unsigned count)
{
	pages_left += count;
	free(pages);
}

static struct nested_map *map;

static uint64_t entry_of(uint64_t gpa, unsigned level)
{
	const uint64_t *table = hpa_pointer((struct hpa){nested_map_root(map)});

	for (unsigned at = 4;; at--) {
		uint64_t entry = table[gpa >> (12 + 9 * (at - 1)) & 511];

		if (at == level)
			return entry;
		table = hpa_pointer((struct hpa){entry & 0x000ffffffffff000});
	}
}

static void add(uint64_t gpa, uint64_t hpa, uint64_t bytes, enum nested_access access)
{
	assert_int_equal(nested_map_add(map, (struct gpa){gpa}, (struct hpa){hpa}, bytes, access),
		STATUS_OK);
}

static void fill(void)
{
	assert_int_equal(nested_map_create(&map), STATUS_OK);
	add(0x1000, 0x7000, 0x2000, NESTED_READ_WRITE);
	add(0x10000, 0x9000, 0x1000, NESTED_READ_ONLY);
	add(0x40000000, 0x80000000, 2 * LARGE_PAGE_BYTES, NESTED_READ_WRITE);
	add(0x50000000, 0x90001000, LARGE_PAGE_BYTES, NESTED_READ_WRITE); // not aligned alike
}

static void check_addresses(void)
{
	assert_ptr_equal(nested_map_pointer(map, (struct gpa){0x2010}), (void *)0x8010);
	assert_ptr_equal(nested_map_pointer(map, (struct gpa){0x10fff}), (void *)0x9fff);
	assert_ptr_equal(nested_map_pointer(map, (struct gpa){0x40312345}), (void *)0x80312345);
	assert_ptr_equal(nested_map_pointer(map, (struct gpa){0x501ff123}), (void *)0x90200123);
	assert_null(nested_map_pointer(map, (struct gpa){0x3000}));
	assert_null(nested_map_pointer(map, (struct gpa){0x80000000}));
	assert_null(nested_map_pointer(map, (struct gpa){BIT(48) | 0x2010}));
}

static void amd_entries(void **state)
{
	(void)state;
	pages_left = 100;
	nested_format_set(&nested_format_npt);
	fill();
	check_addresses();
	assert_int_equal(entry_of(0x1000, 4) & 0xfff, 0x27);
	assert_int_equal(entry_of(0x1000, 1), 0x7027);
	assert_int_equal(entry_of(0x10000, 1), 0x9025); // not writable
	assert_int_equal(entry_of(0x40000000, 2), 0x800000a7);
	nested_map_destroy(map);
	assert_int_equal(pages_left, 100);
}

// R, W, X; type 6 in 5:3, IPAT 6, large 7, accessed 8.
static void intel_entries(void **state)
{
	(void)state;
	pages_left = 100;
	nested_format_set(&nested_format_ept);
	fill();
	check_addresses();
	assert_int_equal(entry_of(0x1000, 4) & 0xfff, 0x107);
	assert_int_equal(entry_of(0x1000, 1), 0x7177);
	assert_int_equal(entry_of(0x10000, 1), 0x9175);
	assert_int_equal(entry_of(0x40000000, 2), 0x800001f7);
	nested_map_destroy(map);
	assert_int_equal(pages_left, 100);
}

static uint64_t *entry_place(uint64_t gpa, unsigned level)
{
	uint64_t *table = hpa_pointer((struct hpa){nested_map_root(map)});

	for (unsigned at = 4; at > level; at--)
		table = hpa_pointer((struct hpa){table[gpa >> (12 + 9 * (at - 1)) & 511] &
			0x000ffffffffff000});
	return &table[gpa >> (12 + 9 * (level - 1)) & 511];
}

static bool take_written(uint64_t gpa)
{
	return nested_map_take_written(map, (struct gpa){gpa});
}

static void check_written(const struct nested_format *format, uint64_t dirty)
{
	pages_left = 100;
	nested_format_set(format);
	fill();
	assert_false(take_written(0));
	assert_false(take_written(0x40000000));
	assert_false(take_written(0x20000000)); // not mapped
	*entry_place(0x2000, 1) |= dirty;
	*entry_place(0x40000000, 2) |= dirty;
	assert_true(take_written(0));
	assert_true(take_written(0x40000000));
	assert_false(take_written(0x40200000));
	assert_false(take_written(0));
	assert_false(take_written(0x40000000));
	nested_map_destroy(map);
}

static void what_was_written_is_told_once(void **state)
{
	(void)state;
	check_written(&nested_format_npt, BIT(6));
	check_written(&nested_format_ept, BIT(9));
	nested_format_set(&nested_format_ept_silent);
	fill();
	assert_true(take_written(0));
	assert_true(take_written(0));
	assert_false(take_written(0x20000000));
	nested_map_destroy(map);
}

static void pages_of_any_size_go(void **state)
{
	(void)state;
	pages_left = 100;
	nested_format_set(&nested_format_ept);
	fill();
	nested_map_remove(map, (struct gpa){0x1000}, PAGE_BYTES);
	nested_map_remove(map, (struct gpa){0x40000000}, LARGE_PAGE_BYTES);
	nested_map_remove(map, (struct gpa){0x60000000}, LARGE_PAGE_BYTES); // there is nothing
	assert_null(nested_map_pointer(map, (struct gpa){0x1000}));
	assert_non_null(nested_map_pointer(map, (struct gpa){0x2000}));
	assert_null(nested_map_pointer(map, (struct gpa){0x40000000}));
	assert_null(nested_map_pointer(map, (struct gpa){0x401fffff}));
	assert_non_null(nested_map_pointer(map, (struct gpa){0x40200000}));
	expect_assert_failure(nested_map_remove(map, (struct gpa){0x40200000}, PAGE_BYTES));
	add(0x40000000, 0x70000000, LARGE_PAGE_BYTES, NESTED_READ_WRITE);
	assert_ptr_equal(nested_map_pointer(map, (struct gpa){0x40000123}), (void *)0x70000123);
	nested_map_destroy(map);
}

static void memory_may_run_out(void **state)
{
	(void)state;
	nested_format_set(&nested_format_ept);
	pages_left = 0;
	assert_int_equal(nested_map_create(&map), STATUS_NO_MEMORY);
	pages_left = 3;
	assert_int_equal(nested_map_create(&map), STATUS_OK);
	assert_int_equal(nested_map_add(map, (struct gpa){0}, (struct hpa){0}, PAGE_BYTES,
		NESTED_READ_WRITE), STATUS_NO_MEMORY);
	assert_int_equal(nested_map_table_bytes(map), 3 * PAGE_BYTES);
	nested_map_destroy(map);
	assert_int_equal(pages_left, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(amd_entries),
		cmocka_unit_test(intel_entries),
		cmocka_unit_test(what_was_written_is_told_once),
		cmocka_unit_test(pages_of_any_size_go),
		cmocka_unit_test(memory_may_run_out),
	};

	return cmocka_run_group_tests_name("nested", tests, NULL, NULL);
}

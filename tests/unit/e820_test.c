// SPDX-License-Identifier: BSD-2-Clause
// The memory map: ACPI 6.5, 15.1 and 15.4.
#include "vm/e820.h"

#include "tests/unit/fake_ram.h"

static struct e820_map build(uint64_t low_bytes, uint64_t high_bytes)
{
	const struct guest_ram ram = {.low_bytes = low_bytes, .high_bytes = high_bytes};
	struct e820_map map;

	e820_build(&ram, &map);
	return map;
}

static void check_entry(const struct e820_map *map, uint32_t index, uint64_t base, uint64_t end,
	enum e820_type type)
{
	assert_true(index < map->count);
	assert_int_equal(map->entries[index].base, base);
	assert_int_equal(map->entries[index].bytes, end - base);
	assert_int_equal(map->entries[index].type, type);
}

static void test_low_memory_only(void **state)
{
	struct e820_map map = build(128 * MIB, 0);

	(void)state;
	assert_int_equal(map.count, 4);
	check_entry(&map, 0, 0, 0x9fc00, E820_RAM);
	check_entry(&map, 1, 0x9fc00, 0xa0000, E820_RESERVED);
	check_entry(&map, 2, 0xe0000, 0x100000, E820_RESERVED);
	check_entry(&map, 3, 0x100000, 128 * MIB, E820_RAM);
}

static void test_memory_above_4_gib(void **state)
{
	struct e820_map map = build(3 * GIB, 5 * GIB);

	(void)state;
	assert_int_equal(map.count, 5);
	check_entry(&map, 3, 0x100000, 3 * GIB, E820_RAM);
	check_entry(&map, 4, 4 * GIB, 9 * GIB, E820_RAM);
}

static void test_no_empty_entries(void **state)
{
	struct e820_map map = build(1 * MIB, 0);

	(void)state;
	assert_int_equal(map.count, 3);
	check_entry(&map, 2, 0xe0000, 0x100000, E820_RESERVED);
	map = build(64 * KIB, 0);
	check_entry(&map, 0, 0, 64 * KIB, E820_RAM);
}

static void test_is_ram(void **state)
{
	struct e820_map map = build(128 * MIB, 1 * GIB);

	(void)state;
	assert_true(e820_is_ram(&map, 0, 0x9fc00));
	assert_false(e820_is_ram(&map, 0, 0x9fc01));
	assert_true(e820_is_ram(&map, 0x9fbff, 1));
	assert_false(e820_is_ram(&map, 0x9fc00, 1));
	assert_false(e820_is_ram(&map, 0xa0000, 1));
	assert_false(e820_is_ram(&map, 0xfffff, 2));
	assert_true(e820_is_ram(&map, 0x100000, 127 * MIB));
	assert_false(e820_is_ram(&map, 0x100000, 127 * MIB + 1));
	assert_false(e820_is_ram(&map, 128 * MIB, 1));
	assert_true(e820_is_ram(&map, 5 * GIB - 1, 1));
	assert_false(e820_is_ram(&map, 5 * GIB - 1, 2));
}

static void test_is_ram_does_not_overflow(void **state)
{
	struct e820_map map = build(128 * MIB, 1 * GIB);

	(void)state;
	assert_false(e820_is_ram(&map, 0x100000, UINT64_MAX));
	assert_false(e820_is_ram(&map, UINT64_MAX, 1));
	assert_false(e820_is_ram(&map, UINT64_MAX, UINT64_MAX));
	assert_false(e820_is_ram(&map, 4 * GIB, UINT64_MAX - 4 * GIB + 2));
	assert_false(e820_is_ram(&map, 0x100000, 0));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_low_memory_only),
		cmocka_unit_test(test_memory_above_4_gib),
		cmocka_unit_test(test_no_empty_entries),
		cmocka_unit_test(test_is_ram),
		cmocka_unit_test(test_is_ram_does_not_overflow),
	};

	return cmocka_run_group_tests_name("e820", tests, NULL, NULL);
}

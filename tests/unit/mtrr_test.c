// SPDX-License-Identifier: BSD-2-Clause
// Memory type range registers against SDM vol. 3, 12.11.
#include "vm/mtrr.h"

#include <string.h>

#include "tests/unit/fake_env.h"

enum { BITS = 40, CAPABILITIES = 0xfe, DEFAULT_TYPE = 0x2ff };

static const uint32_t fixed[] = {0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d,
	0x26e, 0x26f};

static struct mtrr mtrr;

static int setup(void **state)
{
	(void)state;
	memset(&mtrr, 0xa5, sizeof(mtrr));
	mtrr_reset(&mtrr, 36);
	return 0;
}

static uint64_t get(uint32_t msr)
{
	uint64_t value = 0xdead;

	assert_int_equal(mtrr_read(&mtrr, msr, &value), STATUS_OK);
	return value;
}

static void accept(uint32_t msr, uint64_t value)
{
	assert_int_equal(mtrr_write(&mtrr, msr, value, BITS), STATUS_OK);
	assert_true(get(msr) == value);
}

static void refuse(uint32_t msr, uint64_t value)
{
	struct mtrr before = mtrr;

	assert_int_equal(mtrr_write(&mtrr, msr, value, BITS), STATUS_FAULT);
	assert_memory_equal(&before, &mtrr, sizeof(mtrr));
}

// Memory types that exist: 12.11, table 12-8. 2, 3 and 7 to 255 are reserved.
static bool type_exists(unsigned type)
{
	return type == 0 || type == 1 || type == 4 || type == 5 || type == 6;
}

// 12.11.2.1. The type of a byte of memory, by the variable ranges; 0x100: by none of them.
static unsigned variable_type(uint64_t at)
{
	for (uint32_t i = 0; i < MTRR_VARIABLE; i++) {
		uint64_t base = get(0x200 + 2 * i), mask = get(0x201 + 2 * i);

		if ((mask & BIT(11)) != 0 && (at & mask & ~0xfffull) == (base & mask & ~0xfffull))
			return base & 0xff;
	}
	return 0x100;
}

static void capabilities_are_what_the_arrays_hold(void **state)
{
	uint64_t value;

	(void)state;
	value = get(CAPABILITIES); // 12.11.1
	assert_int_equal(value & 0xff, MTRR_VARIABLE);
	assert_true((value & BIT(8)) != 0);            // fixed ranges
	assert_true((value & BIT(10)) != 0);           // write combining
	assert_true((value & ~0x5ffull) == 0);         // no SMRR
	refuse(CAPABILITIES, value);
	refuse(CAPABILITIES, 0);
}

static void reset_is_write_back_but_for_the_holes(void **state)
{
	(void)state;
	assert_int_equal(get(DEFAULT_TYPE), 0xc06);
	for (unsigned i = 0; i < MTRR_FIXED; i++) // 0x259: 0xa0000 to 0xbffff
		assert_true(get(fixed[i]) == (fixed[i] == 0x259 ? 0 : 0x0606060606060606));
	assert_int_equal(variable_type(3 * GIB - 1), 0x100);
	assert_int_equal(variable_type(3 * GIB), 0);
	assert_int_equal(variable_type(4 * GIB - 1), 0);
	assert_int_equal(variable_type(4 * GIB), 0x100);
	assert_int_equal(variable_type(7 * GIB), 0x100);
	for (uint32_t msr = 0x202; msr < 0x200 + 2 * MTRR_VARIABLE; msr++)
		assert_true(get(msr) == 0);
}

static void each_register_is_its_own(void **state)
{
	(void)state;
	for (unsigned i = 0; i < MTRR_FIXED; i++)
		accept(fixed[i], 0x0001040506000000u + (i % 2));
	for (uint32_t i = 0; i < 2 * MTRR_VARIABLE; i++)
		accept(0x200 + i, (uint64_t)(i + 1) << 12);
	accept(DEFAULT_TYPE, 0);
	for (unsigned i = 0; i < MTRR_FIXED; i++)
		assert_true(get(fixed[i]) == 0x0001040506000000u + (i % 2));
	for (uint32_t i = 0; i < 2 * MTRR_VARIABLE; i++)
		assert_true(get(0x200 + i) == (uint64_t)(i + 1) << 12);
}

static void types_that_do_not_exist_fault(void **state)
{
	(void)state;
	for (unsigned type = 0; type < 256; type++) {
		void (*expect)(uint32_t, uint64_t) = type_exists(type) ? accept : refuse;

		expect(0x200, type);
		expect(0x20e, 0x80000000 | type);
		expect(DEFAULT_TYPE, type);
		for (unsigned i = 0; i < 8; i++) // each byte of a fixed one
			expect(fixed[i], (uint64_t)type << 8 * i);
	}
}

static void reserved_bits_fault(void **state)
{
	(void)state;
	for (unsigned bit = 8; bit < 64; bit++) {
		bool enable = bit == 10 || bit == 11;

		(enable ? accept : refuse)(DEFAULT_TYPE, BIT(bit) | 6);
		(bit >= 12 && bit < BITS ? accept : refuse)(0x204, BIT(bit));
		(bit >= 11 && bit < BITS ? accept : refuse)(0x205, BIT(bit));
	}
	for (unsigned bit = 0; bit < 8; bit++)
		refuse(0x205, BIT(bit));
}

// MAXPHYADDR decides: 12.11.3.
static void the_address_width_bounds_ranges(void **state)
{
	(void)state;
	assert_int_equal(mtrr_write(&mtrr, 0x200, BIT(36), 36), STATUS_FAULT);
	assert_int_equal(mtrr_write(&mtrr, 0x200, BIT(35), 36), STATUS_OK);
	assert_int_equal(mtrr_write(&mtrr, 0x201, BIT(51) | BIT(11), 52), STATUS_OK);
	assert_int_equal(mtrr_write(&mtrr, 0x201, BIT(52) | BIT(11), 52), STATUS_FAULT);
}

static void neighbours_are_somebody_elses(void **state)
{
	static const uint32_t others[] = {0, 0xfd, 0xff, 0x1ff, 0x200 + 2 * MTRR_VARIABLE, 0x24f,
		0x251, 0x257, 0x25a, 0x267, 0x270, 0x277, 0x2fe, 0x300, 0xc0000200, UINT32_MAX};
	uint64_t value = 0x1234;

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(others); i++) {
		assert_int_equal(mtrr_read(&mtrr, others[i], &value), STATUS_NOT_FOUND);
		assert_int_equal(value, 0x1234);
		assert_int_equal(mtrr_write(&mtrr, others[i], 0, BITS), STATUS_NOT_FOUND);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(capabilities_are_what_the_arrays_hold, setup),
		cmocka_unit_test_setup(reset_is_write_back_but_for_the_holes, setup),
		cmocka_unit_test_setup(each_register_is_its_own, setup),
		cmocka_unit_test_setup(types_that_do_not_exist_fault, setup),
		cmocka_unit_test_setup(reserved_bits_fault, setup),
		cmocka_unit_test_setup(the_address_width_bounds_ranges, setup),
		cmocka_unit_test_setup(neighbours_are_somebody_elses, setup),
	};

	return cmocka_run_group_tests_name("mtrr", tests, NULL, NULL);
}

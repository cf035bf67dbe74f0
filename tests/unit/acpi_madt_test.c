// SPDX-License-Identifier: BSD-2-Clause
// The MADT: kinds of entries, flags, duplicates, lies about lengths. ACPI 6.4, 5.2.12. Tables lie
// in memory of just their size, so that the address sanitizer sees every byte read too far.
#include "kernel/acpi_madt.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/fake_env.h"

enum { HEADER_BYTES = 44, TABLE_MAX = 4096, RANDOM_TABLES = 200000 };

static uint8_t bytes[TABLE_MAX];
static uint32_t used;
static struct acpi_madt madt;

static void put(const void *entry, uint32_t count)
{
	assert_true(used + count <= TABLE_MAX);
	memcpy(bytes + used, entry, count);
	used += count;
}

#define PUT(...)                                                                                   \
	do {                                                                                       \
		const uint8_t entry[] = {__VA_ARGS__};                                             \
		put(entry, sizeof(entry));                                                         \
	} while (0)

static int setup(void **state)
{
	(void)state;
	memset(bytes, 0, sizeof(bytes));
	memcpy(bytes, "APIC", 4);
	memcpy(bytes + 36, (const uint8_t[]){0x00, 0x00, 0xe0, 0xfe}, 4);
	used = HEADER_BYTES;
	memset(&madt, 0xa5, sizeof(madt));
	return 0;
}

static bool parse(void)
{
	uint8_t *table = malloc(used + 1);
	bool result;

	assert_non_null(table);
	memcpy(table + 1, bytes, used); // unaligned, and nothing behind it
	result = acpi_madt_parse(table + 1, used, &madt);
	free(table);
	return result;
}

static void expect_ids(uint32_t count, const uint32_t *ids)
{
	assert_true(parse());
	assert_int_equal(madt.cpu_count, count);
	for (uint32_t i = 0; i < count; i++)
		assert_int_equal(madt.apic_ids[i], ids[i]);
}

static void test_empty(void **state)
{
	(void)state;
	expect_ids(0, NULL);
	assert_int_equal(madt.lapic.v, 0xfee00000);
	assert_int_equal(madt.left_out, 0);
	used = HEADER_BYTES - 1;
	assert_false(parse());
	used = 0;
	assert_false(parse());
}

// 5.2.12.2: processor uid, APIC id, flags: bit 0 enabled, bit 1 online capable.
static void test_local_apics(void **state)
{
	(void)state;
	PUT(0, 8, 0, 0, 1, 0, 0, 0);
	PUT(0, 8, 1, 2, 0, 0, 0, 0);    // disabled
	PUT(0, 8, 2, 4, 2, 0, 0, 0);    // online capable only
	PUT(0, 8, 3, 6, 3, 0, 0, 0);
	PUT(0, 8, 4, 0xff, 1, 0, 0, 0); // no processor
	PUT(1, 12, 1, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0); // an I/O APIC
	PUT(0, 8, 5, 0xfe, 1, 0, 0, 0x80);
	expect_ids(3, (const uint32_t[]){0, 6, 0xfe});
}

// 5.2.12.12, and 5.2.12.8 for the 64-bit address of the local APIC.
static void test_x2apics(void **state)
{
	(void)state;
	PUT(9, 16, 0, 0, 0x00, 0x01, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0);
	PUT(9, 16, 0, 0, 0x01, 0x01, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0);       // disabled
	PUT(9, 16, 0, 0, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0, 9, 0, 0, 0); // no processor
	PUT(9, 16, 0, 0, 0x78, 0x56, 0x34, 0x12, 1, 0, 0, 0, 9, 0, 0, 0);
	PUT(5, 12, 0, 0, 0, 0, 0xe0, 0xfe, 1, 0, 0, 0);
	expect_ids(2, (const uint32_t[]){0x100, 0x12345678});
	assert_int_equal(madt.lapic.v, 0x1fee00000);
}

// Firmware may name a processor in both kinds of entry.
static void test_duplicates(void **state)
{
	(void)state;
	PUT(0, 8, 0, 3, 1, 0, 0, 0);
	PUT(9, 16, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0);
	PUT(0, 8, 0, 3, 1, 0, 0, 0);
	PUT(0, 8, 1, 1, 1, 0, 0, 0);
	expect_ids(2, (const uint32_t[]){3, 1});
}

static void test_too_many(void **state)
{
	(void)state;
	for (uint8_t i = 0; i < 100; i++)
		PUT(0, 8, i, i, 1, 0, 0, 0);
	assert_true(parse());
	assert_int_equal(madt.cpu_count, ACPI_CPUS_MAX);
	assert_int_equal(madt.left_out, 100 - ACPI_CPUS_MAX);
	assert_int_equal(madt.apic_ids[ACPI_CPUS_MAX - 1], ACPI_CPUS_MAX - 1);
}

// An entry that ends before its kind does, or behind the table.
static void test_lengths(void **state)
{
	(void)state;
	PUT(0, 7, 0, 1, 1, 0, 0);
	PUT(9, 15, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0);
	PUT(5, 11, 0, 0, 0, 0, 0, 0, 1, 0, 0);
	PUT(0, 2);
	PUT(0, 10, 0, 4, 1, 0, 0, 0, 0, 0); // longer than it must be
	expect_ids(1, (const uint32_t[]){4});
	assert_int_equal(madt.lapic.v, 0xfee00000);
	for (uint8_t i = 0; i < 8; i++) {
		setup(NULL);
		PUT(0, 8, 0, 4, 1, 0, 0, 0);
		PUT(0, 8, 1, 5, 1, 0, 0, 0);
		used -= 8 - i; // the table ends within the second
		expect_ids(1, (const uint32_t[]){4});
	}
}

static void test_zero_length(void **state)
{
	(void)state;
	for (uint8_t length = 0; length < 2; length++) {
		setup(NULL);
		PUT(0, 8, 0, 4, 1, 0, 0, 0);
		PUT(0, length, 0, 5, 1, 0, 0, 0);
		PUT(0, 8, 1, 6, 1, 0, 0, 0);
		expect_ids(1, (const uint32_t[]){4});
	}
}

static void test_random(void **state)
{
	uint64_t random = 1;

	(void)state;
	for (unsigned n = 0; n < RANDOM_TABLES; n++) {
		setup(NULL);
		used = 0;
		random = random * 6364136223846793005u + 1442695040888963407u;
		for (uint32_t end = (uint32_t)(random >> 33) % 200; used < end; used++) {
			static const uint8_t usual[] = {0, 1, 2, 5, 7, 8, 9, 12, 16, 0xff};

			random = random * 6364136223846793005u + 1442695040888963407u;
			bytes[used] = (random >> 40 & 1) != 0
				? (uint8_t)(random >> 56)
				: usual[(random >> 33) % sizeof(usual)];
		}
		if (parse()) {
			assert_true(madt.cpu_count <= ACPI_CPUS_MAX);
			for (uint32_t i = 0; i < madt.cpu_count; i++)
				assert_int_not_equal(madt.apic_ids[i], UINT32_MAX);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_empty, setup),
		cmocka_unit_test_setup(test_local_apics, setup),
		cmocka_unit_test_setup(test_x2apics, setup),
		cmocka_unit_test_setup(test_duplicates, setup),
		cmocka_unit_test_setup(test_too_many, setup),
		cmocka_unit_test_setup(test_lengths, setup),
		cmocka_unit_test_setup(test_zero_length, setup),
		cmocka_unit_test_setup(test_random, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: BSD-2-Clause
// Tables in the format of ELF gABI's SHT_RELR, written by hand.
// clang-format off: cmocka.h wants these first.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
// clang-format on

#include "boot/relocate.h"

enum { WORDS = 200, BITMAP_WORDS = 63 };

// The image's own table, which _relocate() uses and nothing here.
const uint64_t relr_start[1], relr_end[1];

// An image of words that hold their number.
struct image {
	uint64_t words[WORDS];
};

static uint64_t base_of(const struct image *image)
{
	return (uintptr_t)image->words;
}

static uint64_t address(unsigned word)
{
	return word * sizeof(uint64_t);
}

// The bitmap entry with bit `word`, counted from the first word that it covers.
static uint64_t bit(unsigned word)
{
	return (uint64_t)1 << (word + 1) | 1;
}

static void relocate(struct image *image, const uint64_t *table, unsigned count)
{
	for (unsigned i = 0; i < WORDS; i++)
		image->words[i] = i;
	relocate_words(base_of(image), table, table + count);
}

// `expected` lists the words that moved, in order.
static void check(const struct image *image, const unsigned *expected, unsigned count)
{
	unsigned at = 0;

	for (unsigned i = 0; i < WORDS; i++) {
		if (at < count && expected[at] == i) {
			assert_int_equal(image->words[i], i + base_of(image));
			at++;
		} else {
			assert_int_equal(image->words[i], i);
		}
	}
	assert_int_equal(at, count);
}

static void no_entry_moves_nothing(void **state)
{
	static const uint64_t table[] = {0};
	struct image image;

	(void)state;
	relocate(&image, table, 0);
	check(&image, NULL, 0);
}

static void an_address_moves_its_word(void **state)
{
	const uint64_t table[] = {address(0), address(7), address(WORDS - 1)};
	static const unsigned expected[] = {0, 7, WORDS - 1};
	struct image image;

	(void)state;
	relocate(&image, table, 3);
	check(&image, expected, 3);
}

static void a_bitmap_begins_behind_the_address(void **state)
{
	const uint64_t table[] = {address(3), bit(0) | bit(2) | bit(BITMAP_WORDS - 1)};
	static const unsigned expected[] = {3, 4, 6, 3 + BITMAP_WORDS};
	struct image image;

	(void)state;
	relocate(&image, table, 2);
	check(&image, expected, 4);
}

static void bitmaps_follow_each_other(void **state)
{
	const uint64_t table[] = {address(3), UINT64_MAX, bit(1), bit(0), address(199)};
	unsigned expected[3 + BITMAP_WORDS + 1];
	struct image image;

	(void)state;
	for (unsigned i = 0; i <= BITMAP_WORDS; i++)
		expected[i] = 3 + i;
	expected[BITMAP_WORDS + 1] = 4 + BITMAP_WORDS + 1;
	expected[BITMAP_WORDS + 2] = 4 + 2 * BITMAP_WORDS;
	expected[BITMAP_WORDS + 3] = 199;
	relocate(&image, table, 5);
	check(&image, expected, BITMAP_WORDS + 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_entry_moves_nothing),
		cmocka_unit_test(an_address_moves_its_word),
		cmocka_unit_test(a_bitmap_begins_behind_the_address),
		cmocka_unit_test(bitmaps_follow_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

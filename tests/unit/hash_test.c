// SPDX-License-Identifier: BSD-2-Clause
// XXH64 with seed 0 against known values, and in pieces.
#include "replay/hash.h"

#include <string.h>

#include "tests/unit/fake_env.h"

static void known_values(void **state)
{
	(void)state;
	assert_int_equal(hash_of("", 0), 0xef46db3751d8e999);
	assert_int_equal(hash_of(NULL, 0), 0xef46db3751d8e999);
	assert_int_equal(hash_of("a", 1), 0xd24ec4f1a98c6e5b);
	assert_int_equal(hash_of("abc", 3), 0x44bc2cf5ad770999);
}

static void pieces_make_the_same(void **state)
{
	uint8_t bytes[300];
	uint64_t whole;

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 37 + i / 7);
	whole = hash_of(bytes, sizeof(bytes));
	for (size_t cut = 0; cut <= sizeof(bytes); cut++) {
		struct hash hash;

		memset(&hash, 0xa5, sizeof(hash));
		hash_begin(&hash);
		hash_update(&hash, bytes, cut);
		assert_int_equal(hash_value(&hash), hash_of(bytes, cut));
		hash_update(&hash, NULL, 0);
		hash_update(&hash, bytes + cut, sizeof(bytes) - cut);
		assert_int_equal(hash_value(&hash), whole);
	}
}

static void every_byte_matters(void **state)
{
	uint8_t bytes[100] = {0};
	uint64_t whole = hash_of(bytes, sizeof(bytes));

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++) {
		bytes[i] = 1;
		assert_int_not_equal(hash_of(bytes, sizeof(bytes)), whole);
		bytes[i] = 0;
	}
	assert_int_not_equal(hash_of(bytes, sizeof(bytes) - 1), whole);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_values),
		cmocka_unit_test(pieces_make_the_same),
		cmocka_unit_test(every_byte_matters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

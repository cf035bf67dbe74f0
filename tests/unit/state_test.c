// SPDX-License-Identifier: BSD-2-Clause
// State tables: saved form, versions, ranges, the cross-field check, first difference.
#include "kernel/base/state.h"

#include <string.h>

#include "tests/unit/fake_env.h"

struct part {
	uint16_t low;
	uint8_t high;
	uint8_t pad;
};

struct thing {
	void *host; // derived
	uint8_t byte;
	bool flag;
	uint16_t half;
	uint32_t word;
	uint64_t quad;
	uint32_t array[3];
	struct part part[2];
	uint32_t gap;
	uint64_t newer; // since version 2
	uint8_t newest; // since version 3
	uint8_t pad[3];
};

static const char *refusal; // what the cross-field check answers
static unsigned checks;

static const char *thing_check(const void *instance)
{
	const struct thing *thing = instance;

	checks++;
	if (refusal != NULL)
		return refusal;
	return thing->flag && thing->byte == 0 ? "a flag without a byte" : NULL;
}

static const struct state_field fields[] = {
	STATE_DERIVED(struct thing, host),
	STATE_ANY(struct thing, byte),
	STATE_BOOL(struct thing, flag),
	STATE_VALUE(struct thing, half, 10, 1000),
	STATE_ANY(struct thing, word),
	STATE_ANY(struct thing, quad),
	STATE_ARRAY(struct thing, array, 0, 5),
	STATE_EACH_ANY(struct thing, part, low),
	STATE_EACH(struct thing, part, high, 1, 7),
	STATE_EACH_DERIVED(struct thing, part, pad),
	STATE_PAD(struct thing, gap),
	STATE_VALUE_SINCE(2, struct thing, newer, 0, UINT64_MAX),
	STATE_VALUE_SINCE(3, struct thing, newest, 0, 9),
	STATE_PAD(struct thing, pad),
};
static const struct state_table table = STATE_TABLE("thing", 3, struct thing, fields, thing_check);

enum { BYTES_1 = 1 + 1 + 2 + 4 + 8 + 12 + 4 + 2, BYTES_2 = BYTES_1 + 8, BYTES_3 = BYTES_2 + 1 };

// `sample` in its saved form, written out by hand.
static const uint8_t saved[BYTES_3] = {
	0x12, 0x01, 0x84, 0x03,                         // byte, flag, half 900
	0xef, 0xbe, 0xad, 0xde,                         // word
	0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01, // quad
	1, 0, 0, 0, 2, 0, 0, 0, 5, 0, 0, 0,             // array
	0x34, 0x12, 0xff, 0xff, 7, 1,                   // part.low, part.high
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, // newer
	9,                                              // newest
};

static struct thing sample(void)
{
	return (struct thing){.host = &checks, .byte = 0x12, .flag = true, .half = 900,
		.word = 0xdeadbeef, .quad = 0x0102030405060708, .array = {1, 2, 5},
		.part = {{0x1234, 7, 0}, {0xffff, 1, 0}}, .newer = INT64_MAX, .newest = 9};
}

static int setup(void **state)
{
	(void)state;
	refusal = NULL;
	checks = 0;
	return 0;
}

static void sizes_follow_the_version(void **state)
{
	(void)state;
	assert_int_equal(state_saved_bytes(&table, 1), BYTES_1);
	assert_int_equal(state_saved_bytes(&table, 2), BYTES_2);
	assert_int_equal(state_saved_bytes(&table, 3), BYTES_3);
}

static void the_saved_form_is_fixed(void **state)
{
	struct thing thing = sample();
	uint8_t buffer[BYTES_3 + 1];

	(void)state;
	memset(buffer, 0xcc, sizeof(buffer));
	assert_int_equal(state_save(&table, &thing, buffer, BYTES_3), STATUS_OK);
	assert_memory_equal(buffer, saved, BYTES_3);
	assert_int_equal(buffer[BYTES_3], 0xcc);
}

static void a_small_buffer_stays_untouched(void **state)
{
	struct thing thing = sample();
	uint8_t buffer[BYTES_3];

	(void)state;
	memset(buffer, 0xcc, sizeof(buffer));
	assert_int_equal(state_save(&table, &thing, buffer, BYTES_3 - 1), STATUS_RANGE);
	assert_int_equal(state_save(&table, &thing, buffer, 0), STATUS_RANGE);
	for (unsigned i = 0; i < BYTES_3; i++)
		assert_int_equal(buffer[i], 0xcc);
}

// Whatever a fresh instance holds, a load sets every saved field and no other.
static void a_load_overwrites_poison(void **state)
{
	static const uint8_t poisons[] = {0x00, 0xa5, 0xff};
	struct thing want = sample(), thing;

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(poisons); i++) {
		memset(&thing, poisons[i], sizeof(thing));
		want.host = thing.host;
		want.gap = thing.gap;
		memcpy(want.pad, thing.pad, sizeof(want.pad));
		want.part[0].pad = want.part[1].pad = poisons[i];
		assert_int_equal(state_load(&table, 3, saved, BYTES_3, &thing, NULL), STATUS_OK);
		assert_memory_equal(&thing, &want, offsetof(struct thing, pad) + 3);
	}
}

static void fields_newer_than_the_version_stay(void **state)
{
	struct thing thing = sample();

	(void)state;
	thing.newer = 77;
	thing.newest = 3;
	thing.word = 0;
	assert_int_equal(state_load(&table, 1, saved, BYTES_1, &thing, NULL), STATUS_OK);
	assert_int_equal(thing.word, 0xdeadbeef);
	assert_int_equal(thing.newer, 77);
	assert_int_equal(thing.newest, 3);
	assert_int_equal(state_load(&table, 2, saved, BYTES_2, &thing, NULL), STATUS_OK);
	assert_int_equal(thing.newer, INT64_MAX);
	assert_int_equal(thing.newest, 3);
}

// An instance that was not reset holds nonsense in its newer fields: that is refused too.
static void newer_fields_are_checked_as_well(void **state)
{
	struct state_error error;
	struct thing thing;

	(void)state;
	memset(&thing, 0xa5, sizeof(thing));
	assert_int_equal(state_load(&table, 1, saved, BYTES_1, &thing, &error), STATUS_INVALID);
	assert_string_equal(error.field, "newest");
	assert_int_equal(error.value, 0xa5);
}

static void unknown_versions_are_refused(void **state)
{
	struct thing thing = sample();
	struct state_error error = {0};

	(void)state;
	assert_int_equal(state_load(&table, 0, saved, 0, &thing, &error), STATUS_UNSUPPORTED);
	assert_non_null(error.reason);
	assert_int_equal(state_load(&table, 4, saved, BYTES_3, &thing, &error),
		STATUS_UNSUPPORTED);
	assert_string_equal(error.table, "thing");
	assert_null(error.field);
	assert_int_equal(error.value, 4);
	assert_int_equal(state_load(&table, UINT32_MAX, saved, BYTES_3, &thing, NULL),
		STATUS_UNSUPPORTED);
	assert_int_equal(checks, 0);
}

// Every length but the right one, in a heap block of just that length: no byte past it is read.
static void every_other_length_is_refused(void **state)
{
	struct thing thing = sample(), before = thing;

	(void)state;
	for (size_t bytes = 0; bytes <= BYTES_3 + 3; bytes++) {
		uint8_t *copy = test_malloc(bytes + 1);
		struct state_error error = {0};

		memcpy(copy, saved, bytes < BYTES_3 ? bytes : BYTES_3);
		if (bytes != BYTES_3) {
			assert_int_equal(state_load(&table, 3, copy, bytes, &thing, &error),
				STATUS_TRUNCATED);
			assert_non_null(error.reason);
			assert_int_equal(error.value, bytes);
		}
		test_free(copy);
	}
	assert_memory_equal(&thing, &before, sizeof(thing));
}

static void expect_refused(const struct thing *thing, const char *field, uint32_t index,
	uint64_t value, uint64_t min, uint64_t max)
{
	struct state_error error = {0};
	uint8_t buffer[BYTES_3];
	struct thing loaded = sample();

	assert_int_equal(state_check(&table, thing, &error), STATUS_INVALID);
	assert_string_equal(error.table, "thing");
	assert_string_equal(error.field, field);
	assert_int_equal(error.index, index);
	assert_int_equal(error.value, value);
	assert_int_equal(error.min, min);
	assert_int_equal(error.max, max);
	assert_non_null(error.reason);
	assert_int_equal(checks, 0); // ranges go first
	assert_int_equal(state_check(&table, thing, NULL), STATUS_INVALID);
	assert_int_equal(state_save(&table, thing, buffer, sizeof(buffer)), STATUS_OK);
	memset(&error, 0, sizeof(error));
	assert_int_equal(state_load(&table, 3, buffer, BYTES_3, &loaded, &error), STATUS_INVALID);
	assert_string_equal(error.field, field);
	assert_int_equal(error.index, index);
}

static void ranges_hold_at_both_ends(void **state)
{
	struct thing thing = sample();

	(void)state;
	thing.half = 10;
	assert_int_equal(state_check(&table, &thing, NULL), STATUS_OK);
	thing.half = 1000;
	assert_int_equal(state_check(&table, &thing, NULL), STATUS_OK);
	checks = 0;
	thing.half = 9;
	expect_refused(&thing, "half", 0, 9, 10, 1000);
	thing.half = 1001;
	expect_refused(&thing, "half", 0, 1001, 10, 1000);
	thing = sample();
	thing.array[2] = 6;
	expect_refused(&thing, "array", 2, 6, 0, 5);
	thing = sample();
	thing.part[1].high = 0;
	expect_refused(&thing, "part.high", 1, 0, 1, 7);
	thing = sample();
	memset(&thing.flag, 2, 1); // no value of a bool: it is not looked at as one
	expect_refused(&thing, "flag", 0, 2, 0, 1);
}

static void the_cross_field_check_has_the_last_word(void **state)
{
	struct thing thing = sample();
	struct state_error error = {0};

	(void)state;
	assert_int_equal(state_check(&table, &thing, &error), STATUS_OK);
	assert_int_equal(checks, 1);
	thing.byte = 0;
	assert_int_equal(state_check(&table, &thing, &error), STATUS_INVALID);
	assert_string_equal(error.reason, "a flag without a byte");
	assert_null(error.field);
	refusal = "no";
	thing = sample();
	assert_int_equal(state_load(&table, 3, saved, BYTES_3, &thing, &error), STATUS_INVALID);
	assert_string_equal(error.reason, "no");
	assert_string_equal(error.table, "thing");
}

static void tables_without_a_check_are_fine(void **state)
{
	static const struct state_table plain = STATE_TABLE("plain", 3, struct thing, fields, NULL);
	struct thing thing = sample();

	(void)state;
	thing.byte = 0;
	assert_int_equal(state_check(&plain, &thing, NULL), STATUS_OK);
	assert_int_equal(state_load(&plain, 3, saved, BYTES_3, &thing, NULL), STATUS_OK);
	assert_int_equal(checks, 0);
}

static void expect_difference(const struct thing *other, const char *field, uint32_t index)
{
	struct thing thing = sample();
	uint32_t at = 99;
	const struct state_field *found = state_first_difference(&table, &thing, other, &at);

	assert_non_null(found);
	assert_string_equal(found->name, field);
	assert_int_equal(at, index);
	assert_ptr_equal(state_first_difference(&table, &thing, other, NULL), found);
}

static void the_first_difference_is_found(void **state)
{
	struct thing thing = sample(), other = sample();
	uint32_t at = 99;

	(void)state;
	other.host = NULL; // derived and padding do not count
	other.pad[1] = 1;
	other.part[1].pad = 1;
	assert_null(state_first_difference(&table, &thing, &other, &at));
	other.newest = 1;
	expect_difference(&other, "newest", 0);
	other.part[1].low ^= 0x8000;
	expect_difference(&other, "part.low", 1);
	other.array[1] = 0;
	other.array[2] = 0;
	expect_difference(&other, "array", 1);
	other.quad ^= BIT(63);
	expect_difference(&other, "quad", 0);
}

// One value of each width, and none of its neighbours' bytes.
static void single_fields_are_read_and_set(void **state)
{
	struct thing thing, before;

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(fields); i++) {
		const struct state_field *field = &fields[i];
		uint64_t all = UINT64_MAX >> (64 - 8 * (field->width != 0 ? field->width : 8));

		if (field->kind != STATE_FIELD_SAVED)
			continue;
		for (uint32_t n = 0; n < field->count; n++) {
			size_t at = field->offset + (size_t)n * field->stride;

			memset(&thing, 0, sizeof(thing));
			memset(&before, 0, sizeof(before));
			state_field_set(field, &thing, n, UINT64_MAX);
			memset((uint8_t *)&before + at, 0xff, field->width);
			assert_memory_equal(&thing, &before, sizeof(thing));
			assert_true(state_field_get(field, &thing, n) == all);
		}
	}
}

static void every_status_has_a_name(void **state)
{
	(void)state;
	for (unsigned i = 0; i < STATUS_COUNT; i++)
		assert_non_null(status_name((enum status)i));
	assert_string_equal(status_name(STATUS_OK), "ok");
	assert_string_equal(status_name((enum status)STATUS_COUNT), "unknown status");
	assert_string_equal(status_name((enum status)-1), "unknown status");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(sizes_follow_the_version, setup),
		cmocka_unit_test_setup(the_saved_form_is_fixed, setup),
		cmocka_unit_test_setup(a_small_buffer_stays_untouched, setup),
		cmocka_unit_test_setup(a_load_overwrites_poison, setup),
		cmocka_unit_test_setup(fields_newer_than_the_version_stay, setup),
		cmocka_unit_test_setup(newer_fields_are_checked_as_well, setup),
		cmocka_unit_test_setup(unknown_versions_are_refused, setup),
		cmocka_unit_test_setup(every_other_length_is_refused, setup),
		cmocka_unit_test_setup(ranges_hold_at_both_ends, setup),
		cmocka_unit_test_setup(the_cross_field_check_has_the_last_word, setup),
		cmocka_unit_test_setup(tables_without_a_check_are_fine, setup),
		cmocka_unit_test_setup(the_first_difference_is_found, setup),
		cmocka_unit_test_setup(single_fields_are_read_and_set, setup),
		cmocka_unit_test_setup(every_status_has_a_name, setup),
	};

	return cmocka_run_group_tests_name("state", tests, NULL, NULL);
}

// SPDX-License-Identifier: BSD-2-Clause
// The position in a snapshot: vm/snapshot_position.c.
#include "tests/unit/snapshot_bench.h"

#include <stdio.h>

static void expect_refused(const char *what)
{
	assert_int_not_equal(load(), STATUS_OK);
	if (strstr(stream.error, what) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", what, stream.error);
}

static void refuse_time(struct landing_time time, const char *field, size_t at, uint32_t value)
{
	char what[40];

	memcpy((uint8_t *)&time + at, &value, sizeof(value));
	landing_set_time(vm, &time);
	snapshot_stream_free(&stream);
	assert_int_equal(save(&stream), STATUS_OK);
	snprintf(what, sizeof(what), "position 0: %s", field);
	expect_refused(what);
}

// Its time is a function of its position.
static void positions_come_back(void **state)
{
	// At half the rate from 2,000,000 ticks on.
	struct landing_time time = {.ticks = 4000000, .skipped = 4000000, .turn = 1,
		.turn_end = 4100000, .rate = 512, .rate_ticks = 2000000};

	(void)state;
	assert_int_equal(save(&stream), STATUS_OK);
	assert_int_equal(landing_create(vm), STATUS_OK);
	expect_refused("has_position");
	snapshot_stream_free(&stream);
	landing_set_time(vm, &time);
	assert_int_equal(save(&stream), STATUS_OK);
	landing_set_time(vm, &(struct landing_time){.skipped = 5000000});
	assert_int_equal(load(), STATUS_OK);
	assert_int_equal(landing_time(vm).ticks, 4000000);
	assert_int_equal(landing_time(vm).rate, 512);
	assert_true(4000000 - landing_time(vm).rate_ticks < 1024); // the same, carried
	time = landing_time(vm);
	assert_int_equal(landing_time_value(&time), 5000000);
	assert_int_equal(landing_time(vm).turn, 1);
	assert_int_equal(landing_time(vm).turn_end, 4100000);
	snapshot_stream_free(&stream);
	vm->paused_tsc++;
	assert_int_equal(save(&stream), STATUS_OK);
	expect_refused("position 0: ticks");
	snapshot_stream_free(&stream);
	vm->paused_tsc--;
	refuse_time(time, "turn", offsetof(struct landing_time, turn), 2);
	refuse_time(time, "rate", offsetof(struct landing_time, rate), 0);
	refuse_time(time, "rate", offsetof(struct landing_time, rate), 255);
	refuse_time(time, "rate", offsetof(struct landing_time, rate), UINT32_MAX);
	refuse_time(time, "rate_ticks", offsetof(struct landing_time, rate_ticks), 4000001);
}

// Version 1 had one rate for all.
static void positions_of_version_1_are_read(void **state)
{
	const uint64_t saved[3] = {4000001, 999999, 4100000}; // ticks, skipped, end of the turn
	const uint32_t turn = 1;

	(void)state;
	assert_int_equal(landing_create(vm), STATUS_OK);
	snapshot_write_begin(&stream);
	snapshot_section_begin(&stream, "position", 0, 1, sizeof(saved) + sizeof(turn));
	snapshot_put(&stream, saved, sizeof(saved));
	snapshot_put(&stream, &turn, sizeof(turn));
	snapshot_section_end(&stream);
	assert_int_equal(snapshot_write_end(&stream), STATUS_OK);
	assert_int_equal(snapshot_stream_verify(&stream), STATUS_OK);
	snapshot_rewind(&stream);
	if (snapshot_position_read(vm, &stream) != STATUS_OK)
		fail_msg("%s", stream.error);
	assert_int_equal(landing_time(vm).ticks, 4000001);
	assert_int_equal(landing_time(vm).rate, 1024);
	assert_int_equal(landing_time(vm).turn, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(positions_come_back),
		TEST(positions_of_version_1_are_read),
	};

	return cmocka_run_group_tests_name("snapshot_position", tests, NULL, NULL);
}

// SPDX-License-Identifier: BSD-2-Clause
// Requests that come at once, or one behind the other: when they begin, by a clock of the test's.
#include "vm/throttle.h"

#include "tests/unit/fake_env.h"
#include "vm/splitmix.h"

#define MS UINT64_C(1000000)
#define S  (1000 * MS)

enum { START = 5, KIB_ = 1024 };

static struct throttle throttle;

static void begin(struct throttle_limit bytes, struct throttle_limit requests)
{
	const struct throttle_config config = {bytes, requests};

	throttle_init(&throttle, &config);
}

// When the last of so many begins that all come at `now`.
static uint64_t many(uint64_t now, unsigned count, uint64_t bytes)
{
	uint64_t at = 0, before = 0;

	for (unsigned i = 0; i < count; i++) {
		at = throttle_pass(&throttle, now, bytes, 1);
		assert_true(at >= before && at >= now);
		before = at;
	}
	return at;
}

static void test_average(void **state)
{
	(void)state;
	// 100 a second: 11 at once fill the bucket with more than a tenth of a second.
	begin((struct throttle_limit){0}, (struct throttle_limit){.average = 100});
	assert_true(many(START, 11, 0) == START);
	assert_true(many(START, 1, 0) == START + 10 * MS);
	assert_true(many(START, 1000, 0) == START + 10010 * MS);
	// It leaks while nothing comes, and no further than to its ground.
	assert_true(many(START + 100 * S, 11, 0) == START + 100 * S);
	assert_true(many(START + 100 * S, 1, 0) == START + 100 * S + 10 * MS);
	// One that is larger than the bucket begins, and the next one waits for all of it.
	begin((struct throttle_limit){.average = 1000 * KIB_}, (struct throttle_limit){0});
	assert_true(many(START, 1, 5000 * KIB_) == START);
	assert_true(many(START, 1, 1) == START + 4900 * MS);
	assert_true(many(START, 1, 0) == START + 4900 * MS + 977); // the byte's time, rounded up
}

static void test_none(void **state)
{
	(void)state;
	begin((struct throttle_limit){0}, (struct throttle_limit){0});
	assert_true(many(START, 1000000, 1 << 30) == START);
}

// 2,000 a second for 60 seconds, and 3 more in which those drain that have leaked meanwhile; then
// 100: the example of QEMU's documentation.
static void test_burst(void **state)
{
	uint64_t at, count = 0;

	(void)state;
	begin((struct throttle_limit){0}, (struct throttle_limit){.average = 100, .burst = 2000,
		.burst_seconds = 60});
	at = many(START, 201, 0); // a tenth of a second of the burst's
	assert_true(at == START);
	at = many(START, 1, 0);
	assert_true(at == START + S / 2000);
	at = many(START, 2000, 0);
	assert_true(at == START + S + S / 2000);
	for (count = 2202; at < START + 62 * S; count++)
		at = many(START, 1, 0);
	assert_in_range(count, 62 * 2000 + 200, 62 * 2000 + 203);
	at = many(START, 20000, 0); // what is left of it, then 100 a second
	assert_true(many(START, 100, 0) == at + S);
	// A burst of a second has no rate of its own.
	begin((struct throttle_limit){0}, (struct throttle_limit){.average = 100, .burst = 2000,
		.burst_seconds = 1});
	assert_true(many(START, 2001, 0) == START);
	assert_true(many(START, 101, 0) == START + S + 10 * MS);
}

static void test_both(void **state)
{
	(void)state;
	begin((struct throttle_limit){.average = 1 << 20}, (struct throttle_limit){.average = 10});
	assert_true(many(START, 2, 512) == START);
	assert_true(many(START, 1, 512) == START + 100 * MS); // by requests
	(void)many(START, 1, 1 << 20);
	// By bytes: 1 MiB and 1,536 bytes less 1 MiB a tenth.
	assert_in_range(many(START, 1, 512), START + 1100 * MS, START + 1102 * MS);
}

// The whole of it is done at the rate, to the nanosecond: no part of one is lost.
static void test_exact(void **state)
{
	static const uint64_t rates[] = {1, 3, 7, 999, 1000003, UINT64_C(4294967311),
		THROTTLE_RATE_MAX};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(rates); i++) {
		uint64_t seed = i, units = 0, at = START, now = START;

		begin((struct throttle_limit){.average = rates[i]}, (struct throttle_limit){0});
		for (unsigned n = 0; n < 5000; n++) {
			uint64_t bytes = splitmix_next(&seed) % (2 * rates[i] + 2) / 1000;
			uint64_t expected;

			at = throttle_pass(&throttle, now, bytes, 1);
			// It has never been empty: what is in it has leaked since the start.
			expected = START + units / rates[i] * S +
				(units % rates[i] * S + rates[i] - 1) / rates[i];
			assert_true(at == (expected > now + 100 * MS ? expected - 100 * MS : now));
			units += bytes;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_average),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_burst),
		cmocka_unit_test(test_both),
		cmocka_unit_test(test_exact),
	};

	return cmocka_run_group_tests_name("throttle", tests, NULL, NULL);
}

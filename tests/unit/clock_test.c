// SPDX-License-Identifier: BSD-2-Clause
// Deadlines in ticks: the first at which the time has come, neither before nor after.
#include "kernel/clock.h"

// cmocka.h wants these first.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

uint64_t clock_tsc_to_ns;

static void deadlines_are_not_rounded(void **state)
{
	static const uint64_t frequencies[] = {19200000, 150000000, 1000000000, 2900000000,
		3333333333, 4700000001};
	uint64_t random = 1, rounded = 0;

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(frequencies); i++) {
		clock_tsc_to_ns = (uint64_t)((unsigned __int128)NS_PER_SECOND *
			BIT(CLOCK_TSC_SHIFT) / frequencies[i]);
		for (unsigned round = 0; round < 20000; round++) {
			uint64_t ns = 1 + (random >> 20) % (NS_PER_SECOND << round % 10), ticks;

			random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
			ticks = clock_ns_first_tsc(ns);
			assert_true(clock_tsc_ns(ticks) >= ns);
			assert_true(ticks > 0 && clock_tsc_ns(ticks - 1) < ns);
			rounded += clock_tsc_ns(ticks) != ns;
		}
	}
	assert_true(rounded > 1000); // where a tick is longer than a nanosecond
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(deadlines_are_not_rounded)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

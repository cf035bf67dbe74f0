// SPDX-License-Identifier: BSD-2-Clause
// High precision event timers against IA-PC HPET 1.0a, by its sections.
#include "tests/unit/fake_env.h"

#include "tests/unit/hpet_bench.h"

// ---- 2.3.4, 2.3.5, 2.3.7

static void test_capabilities(void **state)
{
	(void)state;
	assert_int_equal(in(HPET_CAPABILITIES), UINT64_C(10000000) << 32 | 0x8086a201);
	assert_int_equal(in32(HPET_CAPABILITIES + 4), 10000000);
	out(HPET_CAPABILITIES, 0);
	assert_int_equal(in32(HPET_CAPABILITIES), 0x8086a201);
	for (unsigned i = 0; i < HPET_TIMERS; i++) {
		assert_int_equal(in(timer_at(i, 0)), UINT64_C(0x00ff0104) << 32 | 0x30);
		assert_int_equal(comparator_of(i), UINT64_MAX);
		out(timer_at(i, 0x10), UINT64_MAX); // FSB route: there is none
		assert_int_equal(in(timer_at(i, 0x10)), 0);
	}
	out(HPET_CONFIGURATION, UINT64_MAX);
	assert_int_equal(in(HPET_CONFIGURATION), HPET_ENABLE | HPET_LEGACY);
	// Reserved, and timers that are not there.
	for (unsigned at = 0x28; at < HPET_COUNTER; at += 8) {
		out(at, UINT64_MAX);
		assert_int_equal(in(at), 0);
	}
	for (unsigned at = timer_at(HPET_TIMERS, 0); at < HPET_BYTES; at += 8) {
		out(at, UINT64_MAX);
		assert_int_equal(in(at), 0);
	}
}

static void test_counter(void **state)
{
	(void)state;
	pass(100);
	assert_int_equal(in(HPET_COUNTER), 0); // halted
	out(HPET_COUNTER, 0x1122334455667788);
	out32(HPET_COUNTER + 4, 0xfffffffe);
	assert_int_equal(in(HPET_COUNTER), 0xfffffffe55667788);
	out32(HPET_COUNTER, 0xffffff00);
	out(HPET_CONFIGURATION, HPET_ENABLE);
	fake_save_and_load(&env);
	pass(0x100);
	assert_int_equal(in(HPET_COUNTER), 0xffffffff00000000);
	out(HPET_COUNTER, 5); // not while it runs
	assert_int_equal(in32(HPET_COUNTER), 0);
	out(HPET_CONFIGURATION, 0);
	pass(7);
	assert_int_equal(in(HPET_COUNTER), 0xffffffff00000000);
	out(HPET_CONFIGURATION, HPET_ENABLE);
	pass(UINT64_C(1) << 32);
	assert_int_equal(in(HPET_COUNTER), 0); // around
}

// Looked at every 7 ns, and restarted now and then, it is where one clock has it.
static void test_no_drift(void **state)
{
	uint64_t start;

	(void)state;
	out(HPET_CONFIGURATION, HPET_ENABLE);
	start = env.now.ns / HPET_TICK_NS;
	for (unsigned i = 0; i < 100000; i++) {
		fake_advance(&env, 7);
		assert_int_equal(in(HPET_COUNTER), env.now.ns / HPET_TICK_NS - start);
	}
}

// 2.3.2: what is no aligned access of 32 or 64 bits.
static void test_accesses(void **state)
{
	(void)state;
	out(HPET_COUNTER, 0x1122334455667788);
	fake_write(&env, HPET_REGION_REGISTERS, HPET_COUNTER, 1, 0);
	fake_write(&env, HPET_REGION_REGISTERS, HPET_COUNTER, 2, 0);
	fake_write(&env, HPET_REGION_REGISTERS, HPET_COUNTER + 2, 4, 0);
	fake_write(&env, HPET_REGION_REGISTERS, HPET_COUNTER + 4, 8, 0);
	assert_int_equal(in(HPET_COUNTER), 0x1122334455667788);
	assert_int_equal(fake_read(&env, HPET_REGION_REGISTERS, HPET_COUNTER + 3, 1) & 0xff, 0x55);
	assert_int_equal(fake_read(&env, HPET_REGION_REGISTERS, HPET_COUNTER + 6, 2), 0x1122);
	assert_int_equal(fake_read(&env, HPET_REGION_REGISTERS, HPET_COUNTER + 6, 4), UINT32_MAX);
}

// ---- 2.3.8, 2.3.9

static void test_one_shot(void **state)
{
	(void)state;
	configure(2, EDGE | ROUTE_16);
	compare(2, 1000);
	assert_int_equal(env.deadline[2].ns, GUEST_TIME_NEVER.ns); // the block is off
	out(HPET_CONFIGURATION, HPET_ENABLE);
	assert_int_equal(env.deadline[2].ns,
		(env.now.ns / HPET_TICK_NS + 1000) * HPET_TICK_NS);
	pass(999);
	assert_false(env.line[16]);
	fake_save_and_load(&env);
	pass(1);
	assert_true(env.line[16]);
	assert_int_equal(env.line_rises[16], 1);
	assert_int_equal(in(HPET_STATUS), 0); // of level-triggered timers alone
	assert_int_equal(comparator_of(2), 1000);
	assert_int_equal(env.deadline[2].ns, GUEST_TIME_NEVER.ns); // in 5,849 years
	fake_save_and_load(&env);
	compare(2, 1010);
	assert_true(env.line[16]);
	pass(10);
	assert_int_equal(env.line_rises[16], 2);
	// What has passed is not caught up with.
	compare(2, 1005);
	pass(100000);
	assert_int_equal(env.line_rises[16], 2);
	// Without INT_ENB nothing comes, nor when it is set later.
	configure(2, ROUTE_16);
	assert_false(env.line[16]);
	compare(2, in(HPET_COUNTER) + 5);
	assert_int_equal(env.deadline[2].ns, GUEST_TIME_NEVER.ns);
	pass(10);
	configure(2, EDGE | ROUTE_16);
	pass(10);
	assert_int_equal(env.line_rises[16], 2);
	assert_false(env.line[16]);
}

// 2.3.9.2.2. The first write behind VAL_SET sets both, the next the period.
static void test_periodic(void **state)
{
	(void)state;
	configure(0, EDGE | ROUTE_16 | HPET_TIMER_PERIODIC | HPET_TIMER_VALUE_SET);
	assert_int_equal(config_of(0) & HPET_TIMER_VALUE_SET, HPET_TIMER_VALUE_SET);
	compare(0, 5000);
	assert_int_equal(config_of(0) & HPET_TIMER_VALUE_SET, 0);
	assert_int_equal(comparator_of(0), 5000);
	compare(0, 2000);
	assert_int_equal(comparator_of(0), 5000);
	out(HPET_CONFIGURATION, HPET_ENABLE);
	pass(4999);
	assert_int_equal(env.line_rises[16], 0);
	for (unsigned i = 1; i <= 1000; i++) {
		fake_save_and_load(&env);
		pass(i == 1 ? 1 : 2000);
		assert_int_equal(env.line_rises[16], i);
		assert_int_equal(comparator_of(0), 5000 + i * 2000);
	}
	// Another period counts from the next match on.
	pass(1500);
	compare(0, 300);
	pass(499);
	assert_int_equal(env.line_rises[16], 1000);
	pass(1);
	assert_int_equal(env.line_rises[16], 1001);
	pass(300);
	assert_int_equal(env.line_rises[16], 1002);
	// Without VAL_SET the accumulator cannot be set; with a period of 0 it stays.
	compare(0, 0);
	pass(299);
	assert_int_equal(env.line_rises[16], 1002);
	pass(1);
	assert_int_equal(env.line_rises[16], 1003);
	pass(1000000);
	assert_int_equal(env.line_rises[16], 1003);
}

// A timer whose event comes late makes one edge, and is not behind afterwards.
static void test_late(void **state)
{
	uint64_t due;

	(void)state;
	configure(0, EDGE | ROUTE_16 | HPET_TIMER_PERIODIC | HPET_TIMER_VALUE_SET);
	compare(0, 700);
	out(HPET_CONFIGURATION, HPET_ENABLE);
	due = env.deadline[0].ns;
	env.now.ns = due + 123456 * HPET_TICK_NS; // no event in between
	assert_int_equal(comparator_of(0), 700 + (123456 / 700 + 1) * 700);
	assert_int_equal(env.line_rises[16], 1);
	assert_int_equal(env.deadline[0].ns,
		due + (uint64_t)(123456 / 700 + 1) * 700 * HPET_TICK_NS);
}

// One interrupt a microsecond is the most, and the accumulator is exact.
static void test_short_periods(void **state)
{
	static const unsigned periods[] = {1, 7, 99, 100};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		unsigned period = periods[i];

		fake_reset(&env, DEVICE_RESET_LINE);
		configure(1, EDGE | ROUTE_17 | HPET_TIMER_PERIODIC | HPET_TIMER_VALUE_SET);
		compare(1, period);
		out(HPET_CONFIGURATION, HPET_ENABLE);
		fake_clear(&env);
		pass(1000000);
		assert_in_range(env.line_rises[17], 5000, 10000);
		assert_int_equal(comparator_of(1), (1000000 / period + 1) * period);
	}
}

// Tn_32MODE_CNF; 2.3.9.2.1: a one-shot timer of 32 bits also interrupts at a wrap.
static void test_32_bits(void **state)
{
	(void)state;
	compare(0, 0x123456789abcdef0);
	configure(0, EDGE | ROUTE_16 | HPET_TIMER_32);
	assert_int_equal(comparator_of(0), 0x9abcdef0);
	compare(0, 0xff00000010);
	assert_int_equal(comparator_of(0), 0x10);
	out(HPET_COUNTER, 0x3fffffff0);
	out(HPET_CONFIGURATION, HPET_ENABLE);
	pass(15);
	assert_int_equal(env.line_rises[16], 0);
	pass(1);
	assert_int_equal(env.line_rises[16], 1);
	fake_save_and_load(&env);
	pass(16);
	assert_int_equal(env.line_rises[16], 2);
	pass(BIT(32) - 17);
	assert_int_equal(env.line_rises[16], 2);
	pass(1); // the next wrap
	assert_int_equal(env.line_rises[16], 3);
	pass(15);
	assert_int_equal(env.line_rises[16], 3);
	pass(1);
	assert_int_equal(env.line_rises[16], 4);
	// A periodic one does not care for wraps.
	out(HPET_CONFIGURATION, 0);
	out(HPET_COUNTER, 0xffffff00);
	configure(0, EDGE | ROUTE_16 | HPET_TIMER_32 | HPET_TIMER_PERIODIC | HPET_TIMER_VALUE_SET);
	compare(0, 0xffffff80);
	compare(0, 0x100);
	fake_clear(&env);
	out(HPET_CONFIGURATION, HPET_ENABLE);
	pass(0x80);
	assert_int_equal(env.line_rises[16], 1);
	assert_int_equal(comparator_of(0), 0x80);
	pass(0xff);
	assert_int_equal(env.line_rises[16], 1);
	pass(1);
	assert_int_equal(env.line_rises[16], 2);
	assert_int_equal(comparator_of(0), 0x180);
}

// Halves of the comparator; VAL_SET goes with the first.
static void test_halves(void **state)
{
	(void)state;
	out32(timer_at(0, HPET_TIMER_COMPARATOR), 0x1234);
	assert_int_equal(comparator_of(0), 0xffffffff00001234);
	out32(timer_at(0, HPET_TIMER_COMPARATOR + 4), 1);
	assert_int_equal(comparator_of(0), 0x100001234);
	out32(timer_at(0, 4), 0xffffffff); // capabilities
	out32(timer_at(0, 0), EDGE | ROUTE_16 | HPET_TIMER_PERIODIC | HPET_TIMER_VALUE_SET);
	assert_int_equal(in32(timer_at(0, 4)), 0x00ff0104);
	out32(timer_at(0, HPET_TIMER_COMPARATOR), 0x2000);
	assert_int_equal(comparator_of(0), 0x100002000);
	out32(timer_at(0, HPET_TIMER_COMPARATOR + 4), 0);
	assert_int_equal(comparator_of(0), 0x100002000); // of the period
}

// 2.3.6: status bits, which level-triggered timers set with or without INT_ENB.
static void test_level(void **state)
{
	(void)state;
	configure(0, LEVEL | ROUTE_16 | HPET_TIMER_PERIODIC | HPET_TIMER_VALUE_SET);
	compare(0, 1000);
	configure(1, HPET_TIMER_LEVEL | ROUTE_17);
	compare(1, 1500);
	out(HPET_CONFIGURATION, HPET_ENABLE);
	pass(1000);
	assert_true(env.line[16]);
	assert_int_equal(in(HPET_STATUS), 1);
	assert_int_equal(env.deadline[0].ns, GUEST_TIME_NEVER.ns); // nothing more to tell
	fake_save_and_load(&env);
	pass(1000);
	assert_int_equal(in(HPET_STATUS), 3);
	assert_false(env.line[17]);
	configure(1, LEVEL | ROUTE_17);
	assert_true(env.line[17]);
	out32(HPET_STATUS + 4, 3);
	out(HPET_STATUS, 0);
	assert_int_equal(in(HPET_STATUS), 3);
	out32(HPET_STATUS, 1);
	assert_int_equal(in(HPET_STATUS), 2);
	assert_false(env.line[16]);
	assert_true(env.line[17]);
	pass(999);
	assert_false(env.line[16]);
	pass(1);
	assert_true(env.line[16]);
	// 2.3.5: the block's enable takes the interrupts away, and not their status.
	out(HPET_CONFIGURATION, 0);
	assert_false(env.line[16] || env.line[17]);
	assert_int_equal(in(HPET_STATUS), 3);
	fake_save_and_load(&env);
	out(HPET_CONFIGURATION, HPET_ENABLE);
	assert_true(env.line[16] && env.line[17]);
	// Edge-triggered, there is no status.
	configure(1, EDGE | ROUTE_17);
	assert_int_equal(in(HPET_STATUS), 1);
	assert_false(env.line[17]);
}

// 2.3.5, LEG_RT_CNF.
static void test_legacy(void **state)
{
	(void)state;
	fake_line(&env, HPET_INPUT_PIT, true);
	assert_true(env.line[HPET_OUTPUT_IRQ0] && env.line[HPET_OUTPUT_PIN2]);
	fake_line(&env, HPET_INPUT_RTC, true);
	assert_true(env.line[HPET_OUTPUT_IRQ8]);
	fake_line(&env, HPET_INPUT_PIT, false);
	assert_false(env.line[HPET_OUTPUT_IRQ0] || env.line[HPET_OUTPUT_PIN2]);
	configure(0, EDGE | ROUTE_16); // the route does not count now
	configure(1, EDGE | ROUTE_17);
	configure(2, EDGE | ROUTE_17);
	compare(0, 100);
	compare(1, 200);
	compare(2, 300);
	out(HPET_CONFIGURATION, HPET_LEGACY);
	assert_false(env.line[HPET_OUTPUT_IRQ8]);
	fake_line(&env, HPET_INPUT_PIT, true);
	fake_line(&env, HPET_INPUT_RTC, false);
	fake_line(&env, HPET_INPUT_RTC, true);
	assert_false(env.line[HPET_OUTPUT_IRQ0] || env.line[HPET_OUTPUT_IRQ8]);
	fake_save_and_load(&env);
	fake_clear(&env);
	out(HPET_CONFIGURATION, HPET_LEGACY | HPET_ENABLE);
	pass(100);
	assert_true(env.line[HPET_OUTPUT_IRQ0] && env.line[HPET_OUTPUT_PIN2]);
	assert_false(env.line[HPET_OUTPUT_IRQ8] || env.line[16]);
	pass(100);
	assert_true(env.line[HPET_OUTPUT_IRQ8]);
	assert_false(env.line[17]);
	pass(100);
	assert_true(env.line[17]);
	compare(0, 400);
	pass(100);
	assert_int_equal(env.line_rises[HPET_OUTPUT_IRQ0], 2);
	fake_line(&env, HPET_INPUT_PIT, false);
	out(HPET_CONFIGURATION, HPET_ENABLE); // the PIT and the RTC are back
	assert_false(env.line[HPET_OUTPUT_IRQ0] || env.line[HPET_OUTPUT_PIN2]);
	assert_true(env.line[HPET_OUTPUT_IRQ8]);
	assert_false(env.line[16] || env.line[17]);
}

// Tn_INT_ROUTE_CNF: a route that there is not is not taken; a pin of the PIT's or the RTC's is the
// timer's alone.
static void test_routes(void **state)
{
	(void)state;
	for (unsigned route = 0; route < 32; route++) {
		bool there = (HPET_ROUTES >> route & 1) != 0;

		fake_reset(&env, DEVICE_RESET_LINE);
		fake_clear(&env);
		configure(2, EDGE | route << HPET_TIMER_ROUTE_SHIFT);
		assert_int_equal(config_of(2) >> HPET_TIMER_ROUTE_SHIFT, there ? route : 0);
		compare(2, 10);
		fake_line(&env, HPET_INPUT_PIT, true);
		fake_line(&env, HPET_INPUT_RTC, true);
		out(HPET_CONFIGURATION, HPET_ENABLE);
		pass(9);
		assert_true(env.line[HPET_OUTPUT_IRQ0]);
		assert_int_equal(env.line[HPET_OUTPUT_PIN2], route != 2);
		assert_int_equal(env.line[HPET_OUTPUT_IRQ8], route != 8);
		fake_clear(&env);
		pass(1);
		for (unsigned i = 0; i < HPET_OUTPUTS; i++)
			assert_int_equal(env.line_rises[i], there && i == route);
		fake_save_and_load(&env);
	}
}

// Edges of several timers at one pin, at one time too.
static void test_shared_route(void **state)
{
	(void)state;
	for (unsigned i = 0; i < HPET_TIMERS; i++) {
		configure(i, EDGE | ROUTE_16);
		compare(i, 1000 + i / 2 * 500);
	}
	out(HPET_CONFIGURATION, HPET_ENABLE);
	pass(1000);
	assert_in_range(env.line_rises[16], 1, 2);
	fake_save_and_load(&env);
	fake_clear(&env);
	pass(500);
	assert_int_equal(env.line_rises[16], 1);
	assert_true(env.line[16]);
}

static void test_reset(void **state)
{
	(void)state;
	configure(0, LEVEL | ROUTE_16);
	compare(0, 10);
	configure(1, EDGE | ROUTE_17 | HPET_TIMER_PERIODIC | HPET_TIMER_VALUE_SET);
	compare(1, 20);
	out(HPET_CONFIGURATION, HPET_ENABLE | HPET_LEGACY);
	fake_line(&env, HPET_INPUT_PIT, true);
	pass(15);
	fake_reset(&env, DEVICE_RESET_LINE);
	assert_int_equal(in(HPET_CONFIGURATION), 0);
	assert_int_equal(in(HPET_STATUS), 0);
	assert_int_equal(in(HPET_COUNTER), 0);
	for (unsigned i = 0; i < HPET_TIMERS; i++) {
		assert_int_equal(config_of(i), 0);
		assert_int_equal(comparator_of(i), UINT64_MAX);
		assert_int_equal(env.deadline[i].ns, GUEST_TIME_NEVER.ns);
	}
	fake_clear(&env);
	pass(1000000);
	assert_int_equal(env.line_calls, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_capabilities, setup, teardown),
		cmocka_unit_test_setup_teardown(test_counter, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_drift, setup, teardown),
		cmocka_unit_test_setup_teardown(test_accesses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_shot, setup, teardown),
		cmocka_unit_test_setup_teardown(test_periodic, setup, teardown),
		cmocka_unit_test_setup_teardown(test_late, setup, teardown),
		cmocka_unit_test_setup_teardown(test_short_periods, setup, teardown),
		cmocka_unit_test_setup_teardown(test_32_bits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_halves, setup, teardown),
		cmocka_unit_test_setup_teardown(test_level, setup, teardown),
		cmocka_unit_test_setup_teardown(test_legacy, setup, teardown),
		cmocka_unit_test_setup_teardown(test_routes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_shared_route, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reset, setup, teardown),
	};

	return cmocka_run_group_tests_name("hpet", tests, NULL, NULL);
}

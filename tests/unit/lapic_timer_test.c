// SPDX-License-Identifier: BSD-2-Clause
// The local APIC's timer (SDM vol. 3, 11.5.4), and random accesses to the whole device.
#include "tests/unit/lapic_test.h"

enum {
	ONE_SHOT = 0x30,
	PERIODIC = 0x20030,
	DEADLINE = 0x40030,
	DIVIDE_1 = 0xb,
};

static void start(struct fake_env *env, uint32_t lvt, uint32_t divide)
{
	create(env, 0);
	put(env, LAPIC_SVR, 0x1ff);
	put(env, LAPIC_TIMER_DIVIDE, divide);
	put(env, LAPIC_LVT_TIMER, lvt);
}

// Takes the timer's interrupt; false if there is none.
static bool took(struct fake_env *env)
{
	if (pending(env) < 0)
		return false;
	assert_int_equal(acknowledge(env), 0x30);
	if (lapic_of(env->device)->mode == LAPIC_MODE_X2APIC)
		assert_int_equal(msr_write(env, LAPIC_EOI, 0), STATUS_OK);
	else
		put(env, LAPIC_EOI, 0);
	return true;
}

static void test_one_shot(void **state)
{
	struct fake_env env;

	(void)state;
	start(&env, ONE_SHOT, DIVIDE_1);
	put(&env, LAPIC_TIMER_INITIAL, 1000);
	assert_int_equal(get(&env, LAPIC_TIMER_CURRENT), 1000);
	fake_advance(&env, 1);
	assert_int_equal(get(&env, LAPIC_TIMER_CURRENT), 999);
	fake_save_and_load(&env);
	fake_advance(&env, 998);
	assert_int_equal(get(&env, LAPIC_TIMER_CURRENT), 1);
	assert_false(took(&env));
	fake_advance(&env, 1);
	assert_int_equal(get(&env, LAPIC_TIMER_CURRENT), 0);
	assert_int_equal(get(&env, LAPIC_TIMER_INITIAL), 1000);
	assert_true(took(&env));
	fake_advance(&env, 100000);
	assert_false(took(&env));
	put(&env, LAPIC_TIMER_INITIAL, 50);
	put(&env, LAPIC_TIMER_INITIAL, 0); // stops
	assert_int_equal(env.deadline[0].ns, UINT64_MAX);
	fake_destroy(&env);
}

// Figure 11-10
static void test_divide(void **state)
{
	static const struct {
		uint32_t value, divisor;
	} cases[] = {{0, 2}, {1, 4}, {2, 8}, {3, 16}, {8, 32}, {9, 64}, {10, 128}, {11, 1}};
	struct fake_env env;

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		start(&env, ONE_SHOT, cases[i].value);
		put(&env, LAPIC_TIMER_INITIAL, 3);
		fake_advance(&env, cases[i].divisor - 1);
		fake_save_and_load(&env);
		assert_int_equal(get(&env, LAPIC_TIMER_CURRENT), 3);
		fake_advance(&env, 1);
		assert_int_equal(get(&env, LAPIC_TIMER_CURRENT), 2);
		fake_advance(&env, 2 * cases[i].divisor - 1);
		assert_false(took(&env));
		fake_advance(&env, 1);
		assert_true(took(&env));
		fake_destroy(&env);
	}
	start(&env, ONE_SHOT, 0); // a new divisor for the present count
	put(&env, LAPIC_TIMER_INITIAL, 100);
	fake_advance(&env, 100);
	put(&env, LAPIC_TIMER_DIVIDE, DIVIDE_1);
	assert_int_equal(get(&env, LAPIC_TIMER_CURRENT), 50);
	fake_advance(&env, 49);
	assert_false(took(&env));
	fake_advance(&env, 1);
	assert_true(took(&env));
	fake_destroy(&env);
}

static void test_largest_count(void **state)
{
	struct fake_env env;

	(void)state;
	start(&env, PERIODIC, 10);
	put(&env, LAPIC_TIMER_INITIAL, 0xffffffff);
	assert_int_equal(get(&env, LAPIC_TIMER_CURRENT), 0xffffffff);
	fake_advance(&env, UINT64_C(0xffffffff) * 128 - 1);
	assert_false(took(&env));
	assert_int_equal(get(&env, LAPIC_TIMER_CURRENT), 1);
	fake_advance(&env, 1);
	assert_true(took(&env));
	assert_int_equal(get(&env, LAPIC_TIMER_CURRENT), 0xffffffff);
	fake_destroy(&env);
}

// No drift, however late; missed periods are skipped at once.
static void test_periodic(void **state)
{
	struct fake_env env;
	uint64_t begin;

	(void)state;
	start(&env, PERIODIC, DIVIDE_1);
	begin = env.now.ns;
	put(&env, LAPIC_TIMER_INITIAL, 3000);
	for (unsigned i = 1; i <= 10; i++) {
		fake_advance(&env, 2999);
		assert_false(took(&env));
		assert_int_equal(get(&env, LAPIC_TIMER_CURRENT), 1);
		fake_advance(&env, 1);
		assert_true(took(&env));
		assert_int_equal(get(&env, LAPIC_TIMER_CURRENT), 3000);
		assert_int_equal(env.deadline[0].ns, begin + (i + 1) * 3000);
		fake_save_and_load(&env);
	}
	env.now.ns += UINT64_C(1000000000000) * 3 + 700; // the deadline passes unattended
	assert_int_equal(get(&env, LAPIC_TIMER_CURRENT), 2300);
	fake_advance(&env, 0);
	assert_true(took(&env));
	assert_int_equal(env.deadline[0].ns, env.now.ns + 2300);
	fake_advance(&env, 2300);
	assert_true(took(&env));
	fake_destroy(&env);
}

// A period under 1 us: expiries are at least 1 us apart, on the timer's own grid.
static void test_shortest_period(void **state)
{
	struct fake_env env;
	unsigned expiries = 0;

	(void)state;
	start(&env, PERIODIC, DIVIDE_1);
	put(&env, LAPIC_TIMER_INITIAL, 300);
	fake_advance(&env, 300);
	assert_true(took(&env));
	assert_int_equal(env.deadline[0].ns, env.now.ns + 1200);
	fake_advance(&env, 100);
	assert_int_equal(get(&env, LAPIC_TIMER_CURRENT), 200);
	fake_advance(&env, 200);
	assert_int_equal(get(&env, LAPIC_TIMER_CURRENT), 300);
	fake_save_and_load(&env);
	put(&env, LAPIC_LVT_TIMER, ONE_SHOT); // ends with the present period
	fake_advance(&env, 299);
	assert_false(took(&env));
	fake_advance(&env, 1);
	assert_true(took(&env));
	put(&env, LAPIC_LVT_TIMER, PERIODIC);
	put(&env, LAPIC_TIMER_INITIAL, 1);
	for (unsigned i = 0; i < 10000; i++) {
		fake_advance(&env, 1);
		assert_int_equal(get(&env, LAPIC_TIMER_CURRENT), 1);
		expiries += took(&env);
	}
	assert_in_range(expiries, 9, 11);
	fake_destroy(&env);
}

static void test_mode_changes(void **state)
{
	struct fake_env env;

	(void)state;
	start(&env, ONE_SHOT, DIVIDE_1);
	put(&env, LAPIC_TIMER_INITIAL, 5000);
	fake_advance(&env, 1000);
	put(&env, LAPIC_LVT_TIMER, PERIODIC);
	assert_int_equal(get(&env, LAPIC_TIMER_CURRENT), 4000);
	fake_advance(&env, 4000);
	assert_true(took(&env));
	fake_advance(&env, 5000);
	assert_true(took(&env));
	put(&env, LAPIC_LVT_TIMER, PERIODIC | 0x10000); // masked: runs on unheard
	fake_advance(&env, 5000);
	assert_false(took(&env));
	put(&env, LAPIC_LVT_TIMER, PERIODIC);
	fake_advance(&env, 5000);
	assert_true(took(&env));
	put(&env, LAPIC_LVT_TIMER, DEADLINE); // 11.5.4.1: disarmed
	assert_int_equal(env.deadline[0].ns, UINT64_MAX);
	assert_int_equal(get(&env, LAPIC_TIMER_CURRENT), 0);
	put(&env, LAPIC_TIMER_INITIAL, 100); // ignored
	assert_int_equal(env.deadline[0].ns, UINT64_MAX);
	assert_int_equal(get(&env, LAPIC_TIMER_INITIAL), 0);
	deadline_write(&env, 1000000000);
	put(&env, LAPIC_LVT_TIMER, ONE_SHOT); // disarmed
	assert_int_equal(env.deadline[0].ns, UINT64_MAX);
	assert_int_equal(lapic_tsc_deadline_read(env.device), 0);
	deadline_write(&env, 1000000000); // ignored
	assert_int_equal(lapic_tsc_deadline_read(env.device), 0);
	put(&env, LAPIC_LVT_TIMER, 0x60030); // reserved mode: stands still
	put(&env, LAPIC_TIMER_INITIAL, 100);
	deadline_write(&env, 1000000000);
	assert_int_equal(env.deadline[0].ns, UINT64_MAX);
	fake_destroy(&env);
}

// A write after the deadline, yet before the expiry was delivered, loses nothing.
static void test_late_write(void **state)
{
	struct fake_env env;

	(void)state;
	start(&env, ONE_SHOT, DIVIDE_1);
	put(&env, LAPIC_TIMER_INITIAL, 100);
	env.now.ns += 150;
	assert_int_equal(get(&env, LAPIC_TIMER_CURRENT), 0);
	put(&env, LAPIC_TIMER_INITIAL, 100);
	assert_true(took(&env));
	fake_advance(&env, 100);
	assert_true(took(&env));
	fake_destroy(&env);
}

// 11.5.4.1
static void test_tsc_deadline(void **state)
{
	struct fake_env env;
	uint64_t tsc;

	(void)state;
	start(&env, DEADLINE, DIVIDE_1);
	tsc = lapic_guest_tsc(env.device, env.now);
	assert_int_equal(tsc, env.now.ns * 3);
	deadline_write(&env, tsc + 3001);
	assert_int_equal(lapic_tsc_deadline_read(env.device), tsc + 3001);
	assert_int_equal(env.deadline[0].ns, env.now.ns + 1001); // never early
	fake_save_and_load(&env);
	fake_advance(&env, 1000);
	assert_false(took(&env));
	fake_advance(&env, 1);
	assert_true(took(&env));
	assert_int_equal(lapic_tsc_deadline_read(env.device), 0);
	deadline_write(&env, 1); // passed: at once
	assert_true(took(&env));
	assert_int_equal(lapic_tsc_deadline_read(env.device), 0);
	deadline_write(&env, tsc + 300000);
	deadline_write(&env, 0); // disarms
	assert_int_equal(env.deadline[0].ns, UINT64_MAX);
	deadline_write(&env, UINT64_MAX); // after some 195 years
	assert_int_equal(env.deadline[0].ns, UINT64_C(6148914691236517205));
	fake_save_and_load(&env);
	fake_destroy(&env);
}

static void set_offset(struct fake_env *env, int64_t offset)
{
	env->in_stimulus = true;
	lapic_set_tsc_offset(env->device, env->now, offset);
	env->in_stimulus = false;
}

static void test_tsc_offset(void **state)
{
	struct fake_env env;

	(void)state;
	start(&env, DEADLINE, DIVIDE_1);
	set_offset(&env, -(int64_t)env.now.ns * 3);
	assert_int_equal(lapic_guest_tsc(env.device, env.now), 0);
	deadline_write(&env, 30000);
	assert_int_equal(env.deadline[0].ns, env.now.ns + 10000);
	set_offset(&env, -(int64_t)env.now.ns * 3 + 3000);
	assert_int_equal(env.deadline[0].ns, env.now.ns + 9000);
	fake_save_and_load(&env);
	fake_advance(&env, 8999);
	assert_false(took(&env));
	set_offset(&env, 0); // far past the deadline
	assert_true(took(&env));
	assert_int_equal(env.deadline[0].ns, UINT64_MAX);
	set_offset(&env, 5);
	assert_false(took(&env));
	fake_reset(&env, DEVICE_RESET_LINE);
	assert_int_equal(lapic_guest_tsc(env.device, env.now), env.now.ns * 3 + 5);
	fake_destroy(&env);
}

// Odd frequencies: armed for the first nanosecond at which the TSC has reached the deadline.
static void test_tsc_rounding(void **state)
{
	static const uint64_t hz[] = {1, 999999937, 2394454321, LAPIC_TSC_HZ_MAX};
	struct fake_env env;

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(hz); i++)
		for (uint64_t ahead = 1; ahead < 100; ahead++) {
			struct guest_time at;
			uint64_t deadline;

			start(&env, DEADLINE, DIVIDE_1);
			lapic_configure(env.device, 0, hz[i]);
			deadline = lapic_guest_tsc(env.device, env.now) + ahead * ahead * ahead;
			deadline_write(&env, deadline);
			at = env.deadline[0];
			assert_true(lapic_guest_tsc(env.device, at) >= deadline);
			at.ns--;
			assert_true(lapic_guest_tsc(env.device, at) < deadline);
			fake_destroy(&env);
		}
}

static void test_x2apic_timer(void **state)
{
	struct fake_env env;

	(void)state;
	create(&env, 0);
	enter_x2apic(&env);
	assert_int_equal(msr_write(&env, LAPIC_SVR, 0x1ff), STATUS_OK);
	assert_int_equal(msr_write(&env, LAPIC_LVT_TIMER, ONE_SHOT), STATUS_OK);
	assert_int_equal(msr_write(&env, LAPIC_TIMER_DIVIDE, DIVIDE_1), STATUS_OK);
	assert_int_equal(msr_write(&env, LAPIC_TIMER_INITIAL, 64), STATUS_OK);
	fake_advance(&env, 60);
	assert_int_equal(msr(&env, LAPIC_TIMER_CURRENT), 4);
	fake_advance(&env, 4);
	assert_true(took(&env));
	fake_destroy(&env);
}

static uint64_t random_next(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *seed >> 20;
}

static void random_step(struct fake_env *env, uint64_t *seed)
{
	uint64_t value = random_next(seed) & UINT64_MAX >> (random_next(seed) % 60);
	unsigned index = (unsigned)random_next(seed) % 0x42, size = 1u << random_next(seed) % 4;
	uint64_t unused;

	switch (random_next(seed) % 12) {
	case 0:
		fake_read(env, 0, (random_next(seed) % 4096) & ~(uint64_t)(size - 1), size);
		break;
	case 1:
		fake_write(env, 0, (random_next(seed) % 4096) & ~(uint64_t)(size - 1), size, value);
		break;
	case 2:
		fake_line(env, value & 1, (value & 2) != 0);
		break;
	case 3:
		deliver(env, (uint8_t)(random_next(seed) % 9), (uint8_t)value,
			(value & 0x100) != 0);
		break;
	case 4:
		if (pending(env) >= 0)
			acknowledge(env);
		break;
	case 5:
		if (random_next(seed) % 16 == 0)
			(void)!base_write(env, value << 8);
		break;
	case 6:
		deadline_write(env, value);
		break;
	case 7:
		fake_advance(env, value % 5000);
		break;
	case 8:
		(void)!msr_read(env, index, &unused);
		break;
	case 9:
		(void)!msr_write(env, index, value);
		break;
	case 10:
		put(env, LAPIC_SVR, 0x1ff);
		break;
	default:
		put(env, index, (uint32_t)value);
		break;
	}
}

static void test_random(void **state)
{
	struct fake_env env;
	uint64_t seed = 42;

	(void)state;
	create(&env, 0);
	for (unsigned i = 0; i < 200000; i++) {
		random_step(&env, &seed);
		fake_clear(&env);
		assert_int_equal(state_check(lapic_model.state, env.device, NULL), STATUS_OK);
		if (i % 64 == 0) {
			struct lapic before = *lapic_of(env.device), *after;

			after = lapic_of(fake_save_and_load(&env));
			assert_int_equal(before.pending, after->pending);
			assert_int_equal(before.ppr, after->ppr);
			assert_int_equal(before.extint, after->extint);
			assert_int_equal(before.mode, after->mode);
			assert_int_equal(before.timer_shift, after->timer_shift);
		}
	}
	fake_destroy(&env);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_shot),
		cmocka_unit_test(test_divide),
		cmocka_unit_test(test_largest_count),
		cmocka_unit_test(test_periodic),
		cmocka_unit_test(test_shortest_period),
		cmocka_unit_test(test_mode_changes),
		cmocka_unit_test(test_late_write),
		cmocka_unit_test(test_tsc_deadline),
		cmocka_unit_test(test_tsc_offset),
		cmocka_unit_test(test_tsc_rounding),
		cmocka_unit_test(test_x2apic_timer),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests_name("lapic_timer", tests, NULL, NULL);
}

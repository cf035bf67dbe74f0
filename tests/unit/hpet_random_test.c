// SPDX-License-Identifier: BSD-2-Clause
// High precision event timers at random, beside a block that is clocked tick by tick; their state.
#include "tests/unit/fake_env.h"

#include <string.h>

#include "tests/unit/hpet_bench.h"

struct reference {
	uint64_t counter, comparator[HPET_TIMERS], period[HPET_TIMERS];
	unsigned config, timer[HPET_TIMERS], status, rises[HPET_OUTPUTS];
};

static void reference_match(struct reference *ref, unsigned i)
{
	unsigned route = ref->timer[i] >> HPET_TIMER_ROUTE_SHIFT;

	if ((ref->timer[i] & HPET_TIMER_PERIODIC) != 0) {
		ref->comparator[i] += ref->period[i];
		if ((ref->timer[i] & HPET_TIMER_32) != 0)
			ref->comparator[i] &= UINT32_MAX;
	}
	if ((ref->timer[i] & HPET_TIMER_LEVEL) != 0) {
		if ((ref->status & 1u << i) == 0 && (ref->timer[i] & HPET_TIMER_INTERRUPT) != 0)
			ref->rises[route]++;
		ref->status |= 1u << i;
	} else if ((ref->timer[i] & HPET_TIMER_INTERRUPT) != 0) {
		ref->rises[route]++;
	}
}

static void reference_tick(struct reference *ref)
{
	ref->counter++;
	for (unsigned i = 0; i < HPET_TIMERS; i++) {
		uint64_t mask = ref->timer[i] & HPET_TIMER_32 ? UINT32_MAX : UINT64_MAX;

		if ((ref->counter & mask) == ref->comparator[i] ||
			((ref->counter & mask) == 0 && mask == UINT32_MAX &&
				(ref->timer[i] & HPET_TIMER_PERIODIC) == 0))
			reference_match(ref, i);
	}
}

static uint64_t random_bits(void)
{
	static uint64_t seed = 88172645463325252;

	seed = seed * 6364136223846793005 + 1442695040888963407;
	return seed >> 33;
}

// Timer i to pin 16 + i; periods long enough for each edge to be one.
static void reference_program(struct reference *ref, unsigned i)
{
	uint64_t base = random_bits() & 1 ? ref->counter : 0;
	unsigned config = (unsigned)random_bits() & (LEVEL | HPET_TIMER_PERIODIC | HPET_TIMER_32);
	uint64_t mask = config & HPET_TIMER_32 ? UINT32_MAX : UINT64_MAX;

	config |= (16 + i) << HPET_TIMER_ROUTE_SHIFT;
	out(HPET_STATUS, 1u << i);
	ref->status &= ~(1u << i);
	configure(i, config | HPET_TIMER_VALUE_SET);
	ref->timer[i] = config;
	ref->comparator[i] = (base + random_bits() % 1000) & mask;
	compare(i, ref->comparator[i]);
	ref->period[i] = 100 + random_bits() % 900;
	if ((config & HPET_TIMER_PERIODIC) != 0)
		compare(i, ref->period[i]);
}

static void test_reference(void **state)
{
	struct reference ref = {.counter = UINT32_MAX - 100000};

	(void)state;
	memset(ref.comparator, 0xff, sizeof(ref.comparator));
	out(HPET_COUNTER, ref.counter);
	out(HPET_CONFIGURATION, HPET_ENABLE);
	for (unsigned i = 0; i < 3000; i++) {
		unsigned ticks = (unsigned)random_bits() % 400;

		if (random_bits() % 4 == 0)
			reference_program(&ref, (unsigned)random_bits() % HPET_TIMERS);
		fake_clear(&env);
		memset(ref.rises, 0, sizeof(ref.rises));
		pass(ticks);
		for (unsigned n = 0; n < ticks; n++)
			reference_tick(&ref);
		assert_int_equal(in(HPET_COUNTER), ref.counter);
		assert_int_equal(in(HPET_STATUS), ref.status);
		for (unsigned n = 0; n < HPET_TIMERS; n++) {
			assert_int_equal(comparator_of(n), ref.comparator[n]);
			assert_int_equal(env.line_rises[16 + n], ref.rises[16 + n]);
		}
		if (i % 16 == 0)
			fake_save_and_load(&env);
	}
	assert_true(ref.counter > UINT32_MAX);
}

// ---- The state

static void set_field(const char *name, uint32_t index, uint64_t value)
{
	const struct state_table *table = hpet_model.state;

	for (uint32_t i = 0; i < table->field_count; i++)
		if (strcmp(table->fields[i].name, name) == 0) {
			state_field_set(&table->fields[i], env.device, index, value);
			return;
		}
	fail_msg("no field %s", name);
}

static void expect_refused(const char *name, uint32_t index, uint64_t value, const char *reason)
{
	struct state_error error = {0};

	fake_reset(&env, DEVICE_RESET_POWER);
	set_field(name, index, value);
	assert_int_equal(state_check(hpet_model.state, env.device, &error), STATUS_INVALID);
	assert_string_equal(error.reason, reason);
}

static void test_state(void **state)
{
	(void)state;
	fake_check_coverage(&hpet_model);
	fake_check_ranges(&env);
	expect_refused("timers.config", 1, 1, "bits of a timer that cannot be set");
	expect_refused("timers.config", 2, 3 << HPET_TIMER_ROUTE_SHIFT,
		"a timer's route that it does not have");
	expect_refused("timers.config", 0, HPET_TIMER_32,
		"more than 32 bits of a timer of 32 bits");
	expect_refused("timers.raised", 0, 1, "an edge of a timer that has none");
	expect_refused("status", 0, 4, "the status of an edge-triggered timer");
	fake_reset(&env, DEVICE_RESET_POWER);
	for (unsigned i = 0; i < 20000; i++) {
		unsigned at = (unsigned)random_bits() % 0x160;
		uint64_t value = random_bits() << 33 ^ random_bits();

		if (random_bits() % 2 == 0)
			value %= 4096;
		fake_write(&env, HPET_REGION_REGISTERS, at & ~7u, random_bits() % 4 ? 8 : 4, value);
		fake_line(&env, at % HPET_INPUTS, (value & 1) != 0);
		(void)fake_read(&env, HPET_REGION_REGISTERS, at, 1u << random_bits() % 4);
		fake_advance(&env, random_bits() % 5000);
		assert_int_equal(state_check(hpet_model.state, env.device, NULL), STATUS_OK);
		fake_save_and_load(&env);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_reference, setup, teardown),
		cmocka_unit_test_setup_teardown(test_state, setup, teardown),
	};

	return cmocka_run_group_tests_name("hpet_random", tests, NULL, NULL);
}

// SPDX-License-Identifier: BSD-2-Clause
// System control port B: Intel ICH9 datasheet, 13.7.1 (NMI_SC).
#include "tests/unit/fake_env.h"

#include "emul/port61.h"

static struct fake_env env;

static int setup(void **state)
{
	(void)state;
	fake_create(&env, &port61_model);
	env.now.ns = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_destroy(&env);
	return 0;
}

static unsigned in_port(void)
{
	return (unsigned)fake_read(&env, PORT61_REGION_PORT, 0, 1);
}

static void out_port(unsigned value)
{
	fake_write(&env, PORT61_REGION_PORT, 0, 1, value);
}

static void test_control_bits(void **state)
{
	(void)state;
	assert_int_equal(in_port(), 0);
	out_port(0xff);
	assert_int_equal(in_port(), 0x0f); // bits 4 to 7 are read-only
	assert_true(env.line[PORT61_OUTPUT_GATE2]);
	assert_true(env.line[PORT61_OUTPUT_SPEAKER]);
	fake_save_and_load(&env);
	out_port(0x0e);
	assert_false(env.line[PORT61_OUTPUT_GATE2]);
	assert_true(env.line[PORT61_OUTPUT_SPEAKER]);
	assert_false(fake_level(&env, PORT61_OUTPUT_GATE2));
	assert_true(fake_level(&env, PORT61_OUTPUT_SPEAKER));
	fake_clear(&env);
	out_port(0x02);
	assert_int_equal(env.line_calls, 0);
	out_port(0x01);
	assert_int_equal(env.line_calls, 2);
	assert_true(fake_level(&env, PORT61_OUTPUT_GATE2));
	fake_reset(&env, DEVICE_RESET_LINE);
	assert_int_equal(in_port(), 0);
	assert_false(fake_level(&env, PORT61_OUTPUT_GATE2));
}

static void test_timer_output(void **state)
{
	(void)state;
	env.input[PORT61_INPUT_OUT2] = true;
	assert_int_equal(in_port(), 0x20);
	env.input[PORT61_INPUT_OUT2] = false;
	assert_int_equal(in_port(), 0);
}

// Bit 4 toggles every 15.085 us.
static void test_refresh_toggle(void **state)
{
	unsigned changes = 0, last = in_port();

	(void)state;
	for (unsigned us = 0; us < 15085; us++) {
		unsigned value;

		fake_advance(&env, 1000);
		value = in_port();
		assert_int_equal(value & ~0x10u, 0);
		changes += value != last;
		last = value;
	}
	assert_int_equal(changes, 1000);
}

static void test_state(void **state)
{
	uint64_t seed = 7;

	(void)state;
	fake_check_coverage(&port61_model);
	fake_check_ranges(&env);
	for (unsigned i = 0; i < 1000; i++) {
		seed = seed * 6364136223846793005 + 1442695040888963407;
		fake_write(&env, 0, 0, 1u << (seed >> 62), seed >> 33);
		(void)fake_read(&env, 0, 0, 1u << (seed >> 62));
		fake_advance(&env, seed >> 40);
		fake_save_and_load(&env);
		assert_int_equal(env.line[0], seed >> 33 & 1);
		assert_int_equal(state_check(port61_model.state, env.device, NULL), STATUS_OK);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_control_bits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timer_output, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refresh_toggle, setup, teardown),
		cmocka_unit_test_setup_teardown(test_state, setup, teardown),
	};

	return cmocka_run_group_tests_name("port61", tests, NULL, NULL);
}

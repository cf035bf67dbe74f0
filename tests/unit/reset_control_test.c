// SPDX-License-Identifier: BSD-2-Clause
#include "tests/unit/fake_env.h"

#include "emul/reset_control.h"

static void out(struct fake_env *env, unsigned region, uint8_t value)
{
	fake_clear(env);
	fake_write(env, region, 0, 1, value);
}

static uint64_t in(struct fake_env *env, unsigned region)
{
	return fake_read(env, region, 0, 1);
}

static void assert_request(const struct fake_env *env, enum device_request request)
{
	assert_int_equal(env->requests, 1);
	assert_int_equal(env->request, request);
}

// 82801, "PORT92: Fast A20 and Init Register".
static void port_92(void **state)
{
	struct fake_env env;

	(void)state;
	fake_create(&env, &reset_control_model);
	assert_int_equal(in(&env, RESET_CONTROL_REGION_FAST), 0x02);
	out(&env, RESET_CONTROL_REGION_FAST, 0xfc);
	assert_int_equal(in(&env, RESET_CONTROL_REGION_FAST), 0x00);
	assert_int_equal(env.requests, 0);
	out(&env, RESET_CONTROL_REGION_FAST, 0x03);
	assert_request(&env, DEVICE_REQUEST_INIT);
	assert_int_equal(in(&env, RESET_CONTROL_REGION_FAST), 0x03);
	fake_save_and_load(&env);
	out(&env, RESET_CONTROL_REGION_FAST, 0x01); // no edge
	assert_int_equal(env.requests, 0);
	out(&env, RESET_CONTROL_REGION_FAST, 0x00);
	out(&env, RESET_CONTROL_REGION_FAST, 0x01);
	assert_request(&env, DEVICE_REQUEST_INIT);
	fake_reset(&env, DEVICE_RESET_LINE);
	assert_int_equal(in(&env, RESET_CONTROL_REGION_FAST), 0x02);
	fake_destroy(&env);
}

// 82801, "RST_CNT: Reset Control Register".
static void port_cf9(void **state)
{
	struct fake_env env;

	(void)state;
	fake_create(&env, &reset_control_model);
	assert_int_equal(in(&env, RESET_CONTROL_REGION_RESET), 0);
	out(&env, RESET_CONTROL_REGION_RESET, 0xfb);
	assert_int_equal(env.requests, 0);
	assert_int_equal(in(&env, RESET_CONTROL_REGION_RESET), 0x0a);
	out(&env, RESET_CONTROL_REGION_RESET, 0x04);
	assert_request(&env, DEVICE_REQUEST_INIT);
	fake_save_and_load(&env);
	out(&env, RESET_CONTROL_REGION_RESET, 0x06); // no edge
	assert_int_equal(env.requests, 0);
	out(&env, RESET_CONTROL_REGION_RESET, 0x02);
	out(&env, RESET_CONTROL_REGION_RESET, 0x06);
	assert_request(&env, DEVICE_REQUEST_RESET);
	fake_reset(&env, DEVICE_RESET_LINE);
	assert_int_equal(in(&env, RESET_CONTROL_REGION_RESET), 0);
	out(&env, RESET_CONTROL_REGION_RESET, 0x0c);
	assert_request(&env, DEVICE_REQUEST_RESET);
	fake_reset(&env, DEVICE_RESET_LINE);
	// ACPI 6.5, 4.8.3.6: one write of the FADT's value resets.
	out(&env, RESET_CONTROL_REGION_RESET, RESET_CONTROL_RESET_VALUE);
	assert_request(&env, DEVICE_REQUEST_RESET);
	fake_destroy(&env);
}

static void checks_state(void **state)
{
	const struct state_table *table = reset_control_model.state;
	struct fake_env env;

	(void)state;
	fake_check_coverage(&reset_control_model);
	fake_create(&env, &reset_control_model);
	fake_check_ranges(&env);
	state_field_set(&table->fields[2], env.device, 0, 0x01);
	assert_int_equal(state_check(table, env.device, NULL), STATUS_INVALID);
	fake_destroy(&env);
}

static void withstands_random_accesses(void **state)
{
	struct fake_env env;
	uint32_t seed = 1;

	(void)state;
	fake_create(&env, &reset_control_model);
	for (unsigned i = 0; i < 5000; i++) {
		seed = seed * 1664525 + 1013904223;
		out(&env, seed >> 31, (uint8_t)(seed >> 16));
		assert_true(env.requests <= 1);
		assert_int_equal(in(&env, seed >> 31),
			seed >> 16 & (seed >> 31 == RESET_CONTROL_REGION_FAST ? 0x03 : 0x0e));
		assert_int_equal(state_check(reset_control_model.state, env.device, NULL),
			STATUS_OK);
		if (i % 100 == 0)
			fake_save_and_load(&env);
	}
	fake_destroy(&env);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(port_92),
		cmocka_unit_test(port_cf9),
		cmocka_unit_test(checks_state),
		cmocka_unit_test(withstands_random_accesses),
	};

	return cmocka_run_group_tests_name("reset_control", tests, NULL, NULL);
}

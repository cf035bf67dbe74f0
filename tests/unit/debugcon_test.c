// SPDX-License-Identifier: BSD-2-Clause
#include "tests/unit/fake_env.h"

#include "emul/debugcon.h"

static struct fake_env env;

static int setup(void **state)
{
	(void)state;
	fake_create(&env, &debugcon_model);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_destroy(&env);
	return 0;
}

static void test_port(void **state)
{
	(void)state;
	assert_int_equal(fake_read(&env, DEBUGCON_REGION_PORT, 0, 1), 0xe9);
	fake_write(&env, DEBUGCON_REGION_PORT, 0, 1, 0x12345648); // one byte counts
	fake_save_and_load(&env);
	fake_write(&env, DEBUGCON_REGION_PORT, 0, 1, 0x69);
	assert_int_equal(env.output_bytes, 2);
	assert_memory_equal(env.output, "Hi", 2);
}

static void test_state(void **state)
{
	(void)state;
	fake_check_ports(&env, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_port, setup, teardown),
		cmocka_unit_test_setup_teardown(test_state, setup, teardown),
	};

	return cmocka_run_group_tests_name("debugcon", tests, NULL, NULL);
}

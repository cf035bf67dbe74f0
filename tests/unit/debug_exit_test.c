// SPDX-License-Identifier: BSD-2-Clause
#include "tests/unit/fake_env.h"

#include "emul/debug_exit.h"

static struct fake_env env;

static int setup(void **state)
{
	(void)state;
	fake_create(&env, &debug_exit_model);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_destroy(&env);
	return 0;
}

static void check_exit(unsigned offset, unsigned size, uint64_t value, uint32_t status)
{
	fake_clear(&env);
	fake_write(&env, DEBUG_EXIT_REGION_PORTS, offset, size, value);
	assert_int_equal(env.requests, 1);
	assert_int_equal(env.request, DEVICE_REQUEST_EXIT);
	assert_int_equal(env.request_argument, status);
}

static void test_ports(void **state)
{
	(void)state;
	assert_int_equal(fake_read(&env, DEBUG_EXIT_REGION_PORTS, 0, 4), 0);
	assert_int_equal(env.requests, 0);
	check_exit(0, 1, 0, 1);
	check_exit(0, 1, 0x10, 0x21);
	check_exit(0, 1, 0xabcd10, 0x21); // upper bytes are not of the access
	check_exit(0, 2, 0xabcd10, 0x19a21);
	check_exit(0, 4, 0xffffffff, 0xffffffff);
	check_exit(3, 1, 2, 5);
}

static void test_state(void **state)
{
	(void)state;
	fake_check_ports(&env, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_ports, setup, teardown),
		cmocka_unit_test_setup_teardown(test_state, setup, teardown),
	};

	return cmocka_run_group_tests_name("debug_exit", tests, NULL, NULL);
}

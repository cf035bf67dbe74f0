// SPDX-License-Identifier: BSD-2-Clause
#include "tests/unit/fake_env.h"

#include "emul/pvpanic.h"

static struct fake_env env;

static int setup(void **state)
{
	(void)state;
	fake_create(&env, &pvpanic_model);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_destroy(&env);
	return 0;
}

static void check_event(uint64_t value, unsigned requests, uint32_t events)
{
	fake_clear(&env);
	fake_write(&env, PVPANIC_REGION_PORT, 0, 1, value);
	assert_int_equal(env.requests, requests);
	if (requests == 0)
		return;
	assert_int_equal(env.request, DEVICE_REQUEST_PANICKED);
	assert_int_equal(env.request_argument, events);
}

// docs/specs/pvpanic.txt: a bit for each event; those not announced are ignored.
static void test_port(void **state)
{
	(void)state;
	assert_int_equal(fake_read(&env, PVPANIC_REGION_PORT, 0, 1), 3);
	check_event(0, 0, 0);
	check_event(0xfc, 0, 0);
	check_event(1, 1, PVPANIC_PANICKED);
	check_event(2, 1, PVPANIC_CRASH_LOADED);
	check_event(0xff, 1, PVPANIC_PANICKED | PVPANIC_CRASH_LOADED);
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

	return cmocka_run_group_tests_name("pvpanic", tests, NULL, NULL);
}

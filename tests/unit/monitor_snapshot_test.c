// SPDX-License-Identifier: BSD-2-Clause
// The monitor's commands about snapshots.
#include "tests/unit/monitor_fake.h"

#define HEADER "ID        TAG                   VM SIZE                DATE        VM CLOCK\r\n"
#define ROW "     2.5 MiB 2023-11-14 22:13:20     1:02:03.004\r\n"

static void test_no_machine(void **state)
{
	static const char *const commands[] = {"savevm a", "loadvm a", "delvm a",
		"info snapshots"};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(commands); i++)
		check(commands[i], "no machine\r\n");
	machines_add();
	check("savevm a", "Error: machine 'one' is not created\r\n");
	check("loadvm a", "Error: machine 'one' is not created\r\n");
	check("info snapshots", "There is no snapshot available.\r\n");
}

static void test_life(void **state)
{
	(void)state;
	check("loadvm a", "Error: Snapshot 'a' does not exist\r\n");
	check("delvm a", "Error: Snapshot 'a' does not exist\r\n");
	check("savevm a", "");
	check("savevm b", "");
	check("info snapshots", HEADER
		"1         a                " ROW "2         b                " ROW);
	check("savevm a", ""); // in its place
	assert_int_equal(streams, 2);
	check("info snapshots", HEADER
		"2         b                " ROW "3         a                " ROW);
	bound = true;
	check("loadvm a", "Error: the machine is being recorded or replayed\r\n");
	bound = false;
	check("loadvm a", "");
	assert_string_equal(calls, "save save save load ");
	check("delvm b", "");
	assert_int_equal(streams, 1);
	check("loadvm b", "Error: Snapshot 'b' does not exist\r\n");
	// They are the machine's, which may be destroyed and created meanwhile; not another's.
	monitor_machine_select(second);
	check("info snapshots", "There is no snapshot available.\r\n");
	check("delvm a", "Error: Snapshot 'a' does not exist\r\n");
	monitor_machine_select(first);
	first->vm = NULL;
	check("loadvm a", "Error: machine 'one' is not created\r\n");
	check("delvm a", "");
	assert_int_equal(streams, 0);
}

static void test_failures(void **state)
{
	char tag[80];

	(void)state;
	check("savevm a", "");
	save_answer = STATUS_NO_MEMORY; // and the one that is there stays
	check_contains("savevm a", "Error: not enough memory: ");
	assert_int_equal(streams, 1);
	save_answer = STATUS_REFUSED;
	check("savevm a", "Error: the machine has not been started\r\n");
	save_answer = STATUS_OK;
	load_answer = STATUS_INVALID;
	check("loadvm a", "Error: vcpu 0: bad\r\n");
	load_answer = STATUS_OK;
	check("delvm a", "");
	snprintf(tag, sizeof(tag), "savevm %064d", 0);
	check(tag, "Error: a tag has at most 63 characters\r\n");
	assert_int_equal(streams, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_no_machine, setup), // first: it adds them
		cmocka_unit_test_setup(test_life, setup),
		cmocka_unit_test_setup(test_failures, setup),
	};

	return cmocka_run_group_tests_name("monitor_snapshot", tests, NULL, NULL);
}

// SPDX-License-Identifier: BSD-2-Clause
// The monitor's commands about several machines and vcpus, and the table of machines.
#include "tests/unit/monitor_fake.h"

static void test_no_machine(void **state)
{
	static const char *const commands[] = {"stop", "cont", "system_reset", "system_powerdown",
		"x 0", "xp 0", "info status", "info registers", "info exits", "info devices",
		"info name", "info cpus", "cpu 0", "nmi", "console"};

	(void)state;
	assert_null(machine_first());
	for (unsigned i = 0; i < ARRAY_COUNT(commands); i++)
		check(commands[i], "no machine\r\n");
	check_contains("info memory", "image                             512 KiB\r\n");
	check_contains("info version", "Reprise 1.2, booted by UEFI\r\n");
	check("vm list", "  name             state           vcpus     MiB    seconds run"
		"          exits\r\n");
	// From here on there are two, and the first is created.
	machines_add();
	assert_ptr_equal(machine_first(), first);
	assert_ptr_equal(machine_find("two"), second);
	assert_null(machine_find("three"));
	check("info status", "Error: machine 'one' is not created\r\n");
	check("nmi", "Error: machine 'one' is not created\r\n");
}

static void test_machines(void **state)
{
	(void)state;
	machine.vcpu_count = 2;
	machine_vcpu.exit_total = 3;
	second_vcpu.exit_total = 4;
	check("vm list", "  name             state           vcpus     MiB    seconds run"
		"          exits\r\n"
		"* one              running             2     256         12.345              7\r\n"
		"  two              not created         1      64\r\n");
	check("info name", "one\r\n");
	check("vm create one", "Error: machine 'one' exists already\r\n");
	check("vm create three", "Error: machine 'three' not found\r\n");
	check("vm create two", "Error: no memory\r\n");
	assert_int_equal(created.rtc_epoch, 5);
	check("vm destroy two", "Error: machine 'two' is not created\r\n");
	check("vm start two", "Error: machine 'two' is not created\r\n");
	check("vm stop two", "Error: machine 'two' is not created\r\n");
	assert_string_equal(calls, "create ");
	check("vm stop one", "");
	check("vm start one", "");
	check("vm destroy one", "");
	assert_string_equal(calls, "create stop continue detach destroy ");
	check("info exits", "Error: machine 'one' is not created\r\n");
	calls[0] = '\0';
	check("vm create one", "");
	assert_string_equal(calls, "create attach ");
	assert_int_equal(created.rtc_epoch, 1700000000);
	check("vm start one", "Error: no kernel\r\n");
	check("vm select two", "");
	check("info name", "two\r\n");
	check_contains("vm list", "\r\n  one ");
	check_contains("vm list", "\r\n* two ");
	check("stop", "Error: machine 'two' is not created\r\n");
	check_contains("vm", "vm: argument expected: list|create|");
	check_contains("vm create", "vm: expected list, or create,");
	check_contains("vm list one", "vm: expected list, or create,");
	check_contains("vm pause one", "vm: expected list, or create,");
	calls[0] = '\0';
	check("console", "");
	check("console one", "");
	assert_string_equal(calls, "show-second show-first ");
	check("console three", "Error: machine 'three' not found\r\n");
}

static void test_ended(void **state)
{
	const struct vm_config *config = &first->config;

	(void)state;
	machine_all_ended_set(all_ended);
	config->output(config->owner, (const uint8_t *)"x", 1);
	machine.state = VM_ENDED;
	machine.end_status = 6;
	config->ended(config->owner);
	config->ended(config->owner); // is under way already
	machine.state = VM_RUNNING;   // reset meanwhile
	post_arrives();
	assert_string_equal(calls, "output ");
	machine.state = VM_ENDED;
	config->ended(config->owner);
	post_arrives();
	assert_string_equal(calls, "output flush all-ended show-monitor ");
	assert_int_equal(logged, 2);
	config->ended(config->owner);
	first->vm = NULL; // destroyed meanwhile
	post_arrives();
	assert_int_equal(logged, 2);
	// Another goes on: nobody leaves.
	first->vm = &machine;
	second->vm = &(struct vm){.state = VM_PAUSED};
	calls[0] = '\0';
	config->ended(config->owner);
	post_arrives();
	assert_string_equal(calls, "flush show-monitor ");
	second->vm = NULL;
}

static void test_cpus(void **state)
{
	(void)state;
	machine.vcpu_count = 2;
	second_vcpu.waits_for_startup = true;
	check("info cpus", "* CPU #0: running, host CPU 0\r\n"
		"  CPU #1: waiting for STARTUP, host CPU 0\r\n");
	check("cpu 1", "");
	second_vcpu.waits_for_startup = false;
	second_vcpu.halted = true;
	machine.state = VM_PAUSED;
	check("info cpus", "  CPU #0: stopped, host CPU 0\r\n"
		"* CPU #1: halted, host CPU 0\r\n");
	check("cpu 2", "invalid CPU index\r\n");
	check("cpu -1", "invalid CPU index\r\n");
	check("cpu 0x", "invalid CPU index\r\n");
	check_contains("info registers", "\r\nCPU#1\r\nRAX=0000000000000111");
	registers.gpr[GPR_RAX] = 0xabc;
	check_contains("info registers 0", "\r\nCPU#0\r\nRAX=0000000000000abc");
	check_contains("info registers -a", "\r\nCPU#0\r\nRAX=0000000000000abc");
	check_contains("info registers -a", "\r\nCPU#1\r\nRAX=0000000000000111");
	check("info registers 7", "CPU#7 not available\r\n");
	check("nmi", "");
	check("spoil_entry", "");
	check("cpu 0", "");
	check("nmi", "");
	assert_string_equal(calls, "nmi1 spoil 1 nmi0 ");
	bound = true;
	check("spoil_entry", "Error: the machine is being recorded or replayed\r\n");
	bound = false;
	machine.state = VM_ENDED;
	check("nmi", "Error: the machine is not running (shutdown)\r\n");
	check("spoil_entry", "Error: the machine is not running (shutdown)\r\n");
	machine_vcpu.exit_counts[VMEXIT_HLT] = (struct vm_exit_count){1, 200};
	machine_vcpu.exit_counts[VMEXIT_IO] = (struct vm_exit_count){0, 0};
	second_vcpu.exit_counts[VMEXIT_HLT] = (struct vm_exit_count){3, 200};
	check("info exits", "exit                        count      mean ns\r\n"
		"hlt                             4           50\r\n"
		"total                           4           50\r\n");
	memset(machine_vcpu.exit_counts, 0, sizeof(machine_vcpu.exit_counts));
	memset(second_vcpu.exit_counts, 0, sizeof(second_vcpu.exit_counts));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_no_machine, setup), // first: it adds them
		cmocka_unit_test_setup(test_machines, setup),
		cmocka_unit_test_setup(test_ended, setup),
		cmocka_unit_test_setup(test_cpus, setup),
	};

	return cmocka_run_group_tests_name("monitor_vms", tests, NULL, NULL);
}

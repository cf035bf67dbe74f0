// SPDX-License-Identifier: BSD-2-Clause
// The monitor's commands about one machine, and its prompt.
#include "tests/unit/monitor_fake.h"

static void test_dispatch(void **state)
{
	(void)state;
	check("", "");
	check("   ", "");
	check("foo 1", "unknown command: 'foo'\r\n");
	check("stop/4", "unknown command: 'stop/4'\r\n");
	check("stop now", "stop: extraneous characters at the end of line\r\n"
		"Try \"help stop\" for more information\r\n");
	check("x", "x: argument expected: addr\r\nTry \"help x\" for more information\r\n");
	check("help \"a", "help: unterminated string\r\n");
	check("help foo", "unknown command: 'foo'\r\n");
	check("help cont", "cont|c -- resume emulation\r\n");
	check("help xp", "xp/fmt addr -- physical memory dump starting at 'addr'\r\n");
	check("info foo", "unknown command: 'info foo'\r\n");
	check("info status x", "info status: extraneous characters at the end of line\r\n"
		"Try \"help info\" for more information\r\n");
	check_contains("help", "info [subcommand] -- show various information\r\n"
		"loadvm tag -- restore a VM snapshot from its tag\r\n"
		"mouse_button state -- ");
	check_contains("info", "info devices -- ");
	check_contains("help info", "info version -- ");
}

static void test_machine(void **state)
{
	(void)state;
	check(" stop ", "");
	check("info status", "VM status: paused\r\n");
	check("c", "");
	check("info status", "VM status: running\r\n");
	check("system_reset", "");
	assert_string_equal(calls, "stop continue reset ");
	check("system_powerdown", "Error: busy\r\n");
	machine.state = VM_ENDED;
	check("info status", "VM status: paused (shutdown)\r\n");
	check("cont", "Error: Resetting the Virtual Machine is required\r\n");
	check("system_powerdown", "Error: the machine is not running (shutdown)\r\n");
	machine.end = VM_END_DEBUG_EXIT;
	machine.end_status = 3;
	check("info status", "VM status: paused (debug exit with status 3)\r\n");
	machine.state = VM_CREATED;
	check("cont", "Error: no kernel\r\n");
	check("quit", "");
	assert_string_equal(calls, "stop continue reset quit ");
}

static void test_info(void **state)
{
	static const struct device_model model = {.name = "dev", .description = "a device"};
	static struct device device = {.model = &model, .id = 0};
	static struct vm_device devices[1];

	(void)state;
	check("info version", "Reprise 1.2, booted by UEFI\r\nengine: an engine\r\n"
		"clock: TSC 2400.007 MHz, APIC timer 1000.000 MHz, measured by HPET\r\n");
	machine_vcpu.exit_counts[VMEXIT_HLT] = (struct vm_exit_count){2, 400};
	machine_vcpu.exit_counts[VMEXIT_IO] = (struct vm_exit_count){10, 10000};
	check("info exits", "exit                        count      mean ns\r\n"
		"io                             10          500\r\n"
		"hlt                             2          100\r\n"
		"total                          12          433\r\n");
	machine.device_count = 1;
	machine.devices = devices;
	machine.devices[0].device = &device;
	machine.bus.regions[3] = (struct bus_region){.device = &device, .base = 0x3f8, .bytes = 8,
		.space = DEVICE_SPACE_PORT};
	machine.bus.regions[1] = (struct bus_region){.device = &device, .base = 0xfec00000,
		.bytes = 4096, .space = DEVICE_SPACE_MMIO};
	machine.bus.regions[4] = (struct bus_region){.device = &device, .base = 0xfb000,
		.bytes = 256, .space = DEVICE_SPACE_PCI};
	check("info devices", " 0 dev: a device\r\n"
		"    memory 0x00000000fec00000-0x00000000fec00fff\r\n"
		"    port   0x03f8-0x03ff\r\n"
		"    PCI    00:1f.3\r\n");
	check_contains("info memory", "machine one\r\n"
		"  guest memory                 262144 KiB\r\n"
		"  overhead                        600 KiB\r\n");
	registers.gpr[GPR_RAX] = 0xabc;
	check_contains("info registers", "RAX=0000000000000abc RBX=");
}

static void put64(uint64_t at, uint64_t value)
{
	assert_int_equal(guest_ram_write(&machine.ram, (struct gpa){at}, &value, 8), STATUS_OK);
}

static void test_memory(void **state)
{
	struct guest_ram *ram = fake_ram_create(2 * MIB, 0);
	static uint8_t before[2 * MIB];

	(void)state;
	machine.ram = *ram;
	// 4-level: 0x40000000 -> 0x5000 (a user page), and the next page is not there.
	registers = (struct vcpu_state){.cr0 = BIT(31) | 1, .cr3 = 0x1000, .cr4 = BIT(5) | BIT(21),
		.efer = 0xd00, .rip = 0x40000ff8};
	for (uint64_t at = 0x1000; at < 0x5000; at += 8)
		put64(at, 0);
	put64(0x1000, 0x2000 | 7);
	put64(0x2008, 0x3000 | 7);
	put64(0x3000, 0x4000 | 7);
	put64(0x4000, 0x5000 | 7);
	put64(0x5ff8, 0x1122334455667788);
	memcpy(before, ram->blocks[0], sizeof(before));
	check("x $rip", "0000000040000ff8: 0x55667788\r\n");
	check("x/2xb $rip + 1", "0000000040000ff9: 0x77 0x66\r\n");
	check("x $pc", "0000000040000ff8: 0x88\r\n"); // the size holds
	check("x /1gx 0x40000ff8", "0000000040000ff8: 0x1122334455667788\r\n");
	check("x/3gx 0x40000fe8", "0000000040000fe8: 0xa5a5a5a5a5a5a5a5 0xa5a5a5a5a5a5a5a5\r\n"
		"0000000040000ff8: 0x1122334455667788\r\n");
	check("x/2gx 0x40000ff8", "0000000040000ff8: Cannot access memory\r\n");
	check("x 0", "0000000000000000: Cannot access memory\r\n");
	check("xp/1wx 0x5ff8", "0000000000005ff8: 0x55667788\r\n");
	check("xp 0xfee00000", "00000000fee00000: Cannot access memory\r\n");
	check("xp 0xa0000", "00000000000a0000: Cannot access memory\r\n");
	check("xp/4cb 0x5ff9", "0000000000005ff9: 'w' 'f' 'U' 'D'\r\n");
	check("x/i $rip", "x/i: there is no disassembler in this monitor\r\n");
	check("x/z 0", "invalid char in format: 'z'\r\n");
	check("xp 12z", "xp: invalid char in number: 'z'\r\n");
	// No accessed flag, nothing at all.
	assert_memory_equal(before, ram->blocks[0], sizeof(before));
	fake_ram_destroy(ram);
}

static void test_prompt(void **state)
{
	struct guest_ram *ram = fake_ram_create(2 * MIB, 0);

	(void)state;
	machine.ram = *ram;
	loop();
	screen_bytes = 0;
	typed("stop\rinfo sta\t\r"); // two lines at once
	loop();
	assert_string_equal(calls, "stop ");
	assert_non_null(strstr(screen, "VM status: paused\r\n"));
	assert_non_null(strstr(screen, "(reprise) "));
	// Something from outside pushes the prompt down, and it comes back with what was typed.
	typed("he");
	loop();
	screen_bytes = 0;
	monitor_puts("event\n");
	loop();
	assert_string_equal(screen, "\r\x1b[Kevent\r\n\r(reprise) he\x1b[K");
	// Ctrl-C ends a dump.
	typed("\x15xp/100000wx 0\r");
	interrupt_at_pause = 5;
	loop();
	assert_int_equal(pauses, 5);
	// Not shown: what was typed ahead waits.
	calls[0] = '\0';
	typed("cont\r");
	monitor_shown = false;
	loop();
	assert_string_equal(calls, "");
	monitor_shown = true;
	prompt_due = true;
	loop();
	assert_string_equal(calls, "continue ");
	fake_ram_destroy(ram);
}

static int setup_machines(void **state)
{
	(void)state;
	machines_add();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_dispatch, setup),
		cmocka_unit_test_setup(test_machine, setup),
		cmocka_unit_test_setup(test_info, setup),
		cmocka_unit_test_setup(test_memory, setup),
		cmocka_unit_test_setup(test_prompt, setup),
	};

	return cmocka_run_group_tests_name("monitor_command", tests, setup_machines, NULL);
}

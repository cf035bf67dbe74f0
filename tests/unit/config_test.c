// SPDX-License-Identifier: BSD-2-Clause
#include "tests/unit/config_bench.h"

#include "kernel/debug_exit.h"

static void test_defaults(void **state)
{
	(void)state;
	assert_int_equal(parse(VM), STATUS_OK);
	assert_string_equal(error, "");
	assert_int_equal(config.host.log_level, CONFIG_LOG_INFO);
	assert_int_equal(config.host.debug_exit, 0);
	assert_false(config.host.quit_on_exit);
	assert_false(config.host.start_in_monitor);
	assert_int_equal(config.host.cpus, CONFIG_CPUS_MAX);
	assert_int_equal(config.host.cpus_from, CONFIG_CPUS_AUTO);
	assert_int_equal(config.vm_count, 1);
	assert_string_equal(config.vms[0].name, "a");
	assert_int_equal(config.vms[0].line, 1);
	assert_int_equal(config.vms[0].memory_bytes, 64 * MIB);
	assert_int_equal(config.vms[0].vcpus, 1);
	assert_int_equal(config.vms[0].pin.count, 0);
	assert_string_equal(config.vms[0].kernel, "vmlinuz");
	assert_string_equal(config.vms[0].initrd, "");
	assert_string_equal(config.vms[0].cmdline, "");
	assert_true(config.vms[0].x2apic);
	assert_true(config.vms[0].hpet);
	assert_int_equal(config.vms[0].machine, CONFIG_MACHINE_PC);
	assert_false(config.vms[0].debugcon);
	assert_false(config.vms[0].debug_exit);
	assert_int_equal(config.vms[0].rtc_base, CONFIG_RTC_HOST);
	assert_true(config.vms[0].autostart);
	assert_int_equal(config.vms[0].step.second, 0);
	assert_int_equal(config.vms[0].landing_test.second, 0);
	assert_false(config.vms[0].landing_trace);
	assert_int_equal(config.vms[0].hardware_shaped, 0);
}

static void test_positions(void **state)
{
	(void)state;
	assert_int_equal(parse(VM "step = all\nlanding_test = 7:1000\nlanding_trace = on\n"
				  "hardware_shaped = 0x10\n"), STATUS_OK);
	assert_true(config.vms[0].step.second == CONFIG_STEP_ALL.second);
	assert_int_equal(config.vms[0].landing_test.first, 7);
	assert_int_equal(config.vms[0].landing_test.second, 1000);
	assert_true(config.vms[0].landing_trace);
	assert_int_equal(config.vms[0].hardware_shaped, 16);
	assert_int_equal(parse(VM "step = 500:0x20\n"), STATUS_OK);
	assert_int_equal(config.vms[0].step.first, 500);
	assert_int_equal(config.vms[0].step.second, 32);
	assert_int_equal(parse(VM "step = off\n"), STATUS_OK);
	assert_int_equal(config.vms[0].step.second, 0);
	expect_vm_error("step = some",
		"reprise.ini:4: step: expected off, all, or FROM:COUNT in ticks, got \"some\"");
	expect_vm_error("step = 5:", "reprise.ini:4: step: expected off, all, or FROM:COUNT in "
				     "ticks, got \"5:\"");
	expect_vm_error("landing_test = 5:0",
		"reprise.ini:4: landing_test: expected SEED:COUNT, two numbers, got \"5:0\"");
	expect_vm_error("hardware_shaped = on",
		"reprise.ini:4: hardware_shaped: expected a number, 0 for off, got \"on\"");
}

static void test_every_key(void **state)
{
	(void)state;
	assert_int_equal(parse("[vm one]\nmemory = 1G\nvcpus = 64\nkernel = \\EFI\\.\\bzImage\n"
			       "initrd = /x//initrd.img\ncmdline = console=ttyS0 a=\"b # c\"\n"
			       "x2apic = off\ndebugcon = on\nisa_debug_exit = on\n"
			       "balloon = on\nconsole_device = virtio\nrng = on\n"
			       "hpet = off\nmachine = q35\n"
			       "rtc_base = 1704067200\nautostart = off\n"
			       "test_disk = 64K\ntest_disk_delay = 9\n"
			       "test_save_load = 7\ntest_save_load_memory = 0\n"
			       "[reprise]\nlog = debug\ndebug_exit = 0x501\nquit_on_exit = on\n"
			       "console = monitor\ncpus = 3\ncpus_from = mp\n"),
		STATUS_OK);
	assert_int_equal(config.host.log_level, CONFIG_LOG_DEBUG);
	assert_int_equal(config.host.debug_exit, 0x501);
	assert_true(config.host.quit_on_exit);
	assert_true(config.host.start_in_monitor);
	assert_int_equal(config.host.cpus, 3);
	assert_int_equal(config.host.cpus_from, CONFIG_CPUS_MP);
	assert_int_equal(config.vm_count, 1);
	assert_int_equal(config.vms[0].memory_bytes, GIB);
	assert_string_equal(config.vms[0].kernel, "EFI/bzImage");
	assert_string_equal(config.vms[0].initrd, "x/initrd.img");
	assert_string_equal(config.vms[0].cmdline, "console=ttyS0 a=\"b # c\"");
	assert_false(config.vms[0].x2apic);
	assert_true(config.vms[0].debugcon);
	assert_true(config.vms[0].debug_exit);
	assert_int_equal(config.vms[0].console_device, CONFIG_CONSOLE_VIRTIO);
	assert_true(config.vms[0].balloon);
	assert_true(config.vms[0].rng);
	assert_false(config.vms[0].hpet);
	assert_int_equal(config.vms[0].machine, CONFIG_MACHINE_Q35);
	assert_int_equal(config.vms[0].rtc_base, 1704067200);
	assert_false(config.vms[0].autostart);
	assert_int_equal(config.vms[0].test_disk, 65536);
	assert_int_equal(config.vms[0].test_disk_delay, 9);
	assert_int_equal(config.vms[0].save_load, 7);
	assert_int_equal(config.vms[0].save_load_memory, 0);
}

static void test_debug_exit(void **state)
{
	(void)state;
	assert_int_equal(parse("[reprise]\ndebug_exit = 65535\n" VM), STATUS_OK);
	assert_int_equal(config.host.debug_exit, 0xffff);
	assert_int_equal(parse("[reprise]\ndebug_exit = bochs\n" VM), STATUS_OK);
	assert_int_equal(config.host.debug_exit, DEBUG_EXIT_BOCHS);
	assert_int_equal(parse("[reprise]\ndebug_exit = 0\n" VM), STATUS_OK);
	assert_int_equal(config.host.debug_exit, DEBUG_EXIT_NONE);
}

static void test_log_levels(void **state)
{
	(void)state;
	assert_int_equal(parse("[reprise]\nlog = error\n" VM), STATUS_OK);
	assert_int_equal(config.host.log_level, CONFIG_LOG_ERROR);
	assert_int_equal(parse("[reprise]\nlog = warn\n" VM), STATUS_OK);
	assert_int_equal(config.host.log_level, CONFIG_LOG_WARN);
	expect_error("[reprise]\nlog = loud\n" VM,
		"reprise.ini:2: log: expected error, warn, info or debug, got \"loud\"");
}

static void test_cpus(void **state)
{
	static const char *const sources[] = {
		[CONFIG_CPUS_AUTO] = "auto", [CONFIG_CPUS_ACPI] = "acpi", [CONFIG_CPUS_MP] = "mp",
		[CONFIG_CPUS_PROBE] = "probe"};
	static const char *const bad[] = {"0", "65", "-1", "all", "2x", "4294967297"};
	char text[256], message[256];

	(void)state;
	for (uint32_t i = 0; i < ARRAY_COUNT(sources); i++) {
		(void)snprintf(text, sizeof(text), "[reprise]\ncpus_from = %s\n" VM, sources[i]);
		assert_int_equal(parse(text), STATUS_OK);
		assert_int_equal(config.host.cpus_from, i);
	}
	expect_error("[reprise]\ncpus_from = smbios\n" VM,
		"reprise.ini:2: cpus_from: expected auto, acpi, mp or probe, got \"smbios\"");
	assert_int_equal(parse("[reprise]\ncpus = 1\n" VM), STATUS_OK);
	assert_int_equal(config.host.cpus, 1);
	assert_int_equal(parse("[reprise]\ncpus = 64\n" VM), STATUS_OK);
	assert_int_equal(config.host.cpus, 64);
	for (uint32_t i = 0; i < ARRAY_COUNT(bad); i++) {
		(void)snprintf(text, sizeof(text), "[reprise]\ncpus = %s\n" VM, bad[i]);
		(void)snprintf(message, sizeof(message), "reprise.ini:2: cpus: expected a number "
			"of CPUs from 1 to 64, got \"%s\"", bad[i]);
		expect_error(text, message);
	}
}

static void expect_size(const char *value, uint64_t bytes)
{
	char text[128];

	(void)snprintf(text, sizeof(text), "[vm a]\nkernel = k\nmemory = %s\n", value);
	assert_int_equal(parse(text), STATUS_OK);
	assert_int_equal(config.vms[0].memory_bytes, bytes);
}

static void expect_bad_size(const char *value, const char *expected)
{
	char text[128], message[256];

	(void)snprintf(text, sizeof(text), "[vm a]\nkernel = k\nmemory = %s\n", value);
	(void)snprintf(message, sizeof(message),
		"reprise.ini:3: memory: expected %s, got \"%s\"", expected, value);
	expect_error(text, message);
}

static void test_sizes(void **state)
{
	(void)state;
	expect_size("2M", 2 * MIB);
	expect_size("2m", 2 * MIB);
	expect_size("2048K", 2 * MIB);
	expect_size("2097152", 2 * MIB);
	expect_size("0x200000", 2 * MIB);
	expect_size("3g", 3 * GIB);
	expect_size("17179869183G", UINT64_MAX - GIB + 1);
}

static void test_bad_sizes(void **state)
{
	(void)state;
	expect_bad_size("lots", "a size such as 512M");
	expect_bad_size("", "a size such as 512M");
	expect_bad_size("M", "a size such as 512M");
	expect_bad_size("-2M", "a size such as 512M");
	expect_bad_size("2MB", "a size such as 512M");
	expect_bad_size("2 M", "a size such as 512M");
	expect_bad_size("2T", "a size such as 512M");
	expect_bad_size("0x", "a size such as 512M");
	expect_bad_size("18446744073709551616", "a size such as 512M");
	expect_bad_size("99999999999999999999999M", "a size such as 512M");
	expect_bad_size("17179869184G", "a size below 2^64 bytes");
	expect_bad_size("0", "a multiple of 2M, at least 2M");
	expect_bad_size("0G", "a multiple of 2M, at least 2M");
	expect_bad_size("3M", "a multiple of 2M, at least 2M");
	expect_bad_size("2097153", "a multiple of 2M, at least 2M");
}

static void test_bad_values(void **state)
{
	(void)state;
	expect_vm_error("vcpus = 65", "reprise.ini:4: vcpus: expected a number from 1 to 64, "
				      "got \"65\"");
	expect_vm_error("tsc_khz = 999", "reprise.ini:4: tsc_khz: expected a number of kHz from "
		"1000 to 10000000, or host, got \"999\"");
	expect_vm_error("tsc_khz = 10000001", "reprise.ini:4: tsc_khz: expected a number of kHz "
		"from 1000 to 10000000, or host, got \"10000001\"");
	expect_vm_error("vcpus = 0", "reprise.ini:4: vcpus: expected a number from 1 to 64, "
				     "got \"0\"");
	expect_vm_error("console_device = serial",
		"reprise.ini:4: console_device: expected uart or virtio, got \"serial\"");
	expect_vm_error("machine = microvm", "reprise.ini:4: machine: expected pc or q35, "
		"got \"microvm\"");
	expect_vm_error("x2apic = yes", "reprise.ini:4: x2apic: expected on or off, got \"yes\"");
	expect_vm_error("debugcon = ON",
		"reprise.ini:4: debugcon: expected on, off or a port, got \"ON\"");
	expect_vm_error("test_disk = 0",
		"reprise.ini:4: test_disk: expected a multiple of 4K, up to 1M, got \"0\"");
	expect_vm_error("test_disk = 6K",
		"reprise.ini:4: test_disk: expected a multiple of 4K, up to 1M, got \"6K\"");
	expect_vm_error("test_disk = 2M",
		"reprise.ini:4: test_disk: expected a multiple of 4K, up to 1M, got \"2M\"");
	expect_vm_error("test_save_load = often",
		"reprise.ini:4: test_save_load: expected a number from 0 to 1000000000, "
		"got \"often\"");
	expect_vm_error("autostart =", "reprise.ini:4: autostart: expected on or off, got \"\"");
	expect_vm_error("rtc_base = now", "reprise.ini:4: rtc_base: expected seconds since 1970 "
					  "(to the end of 9999), or host, got \"now\"");
	expect_vm_error("rtc_base = 253402300800",
		"reprise.ini:4: rtc_base: expected seconds since 1970 (to the end of 9999), or "
		"host, got \"253402300800\"");
	expect_error("[reprise]\ndebug_exit = 65536\n" VM,
		"reprise.ini:2: debug_exit: expected an I/O port from 0 to 0xffff, "
		"or bochs, got \"65536\"");
	expect_error("[reprise]\ndebug_exit = bochs2\n" VM,
		"reprise.ini:2: debug_exit: expected an I/O port from 0 to 0xffff, "
		"or bochs, got \"bochs2\"");
	expect_error("[reprise]\nconsole = on\n" VM,
		"reprise.ini:2: console: expected guest or monitor, got \"on\"");
}

static void expect_pin(const char *vcpus, const char *value, const char *cpus)
{
	char text[512];

	(void)snprintf(text, sizeof(text), VM "pin = %s\nvcpus = %s\n", value, vcpus);
	assert_int_equal(parse(text), STATUS_OK);
	assert_int_equal(config.vms[0].pin.line, 4);
	assert_int_equal(config.vms[0].pin.count, strlen(cpus));
	for (size_t i = 0; cpus[i] != '\0'; i++)
		assert_int_equal(config.vms[0].pin.cpus[i], cpus[i] - '0');
}

static void test_pin(void **state)
{
	static const char *const bad[] = {"", "x", "-", "1,", ",1", "1,,2", "1-", "-1", "3-0", "64",
		"0-64", "1 2", "0-1-2", "0:1", "0-63,0", "18446744073709551616"};
	char line[256], message[256];

	(void)state;
	expect_pin("1", "0", "0");
	expect_pin("3", "2,0-1", "201");
	expect_pin("4", "0x1-0x3,9", "1239");
	expect_pin("3", "5,5,5", "555");
	assert_int_equal(parse(VM "vcpus = 64\npin = 0-63\n"), STATUS_OK);
	assert_int_equal(config.vms[0].pin.count, 64);
	assert_int_equal(config.vms[0].pin.cpus[63], 63);
	for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
		(void)snprintf(line, sizeof(line), "pin = %s", bad[i]);
		(void)snprintf(message, sizeof(message), "reprise.ini:4: pin: expected at most 64 "
			"host CPUs from 0 to 63, as in 0,2-3, got \"%s\"", bad[i]);
		expect_vm_error(line, message);
	}
	expect_vm_error("pin = 0-1", "reprise.ini:4: pin: expected 1 host CPU, for the one vcpu, "
				     "got \"0-1\"");
	expect_vm_error("pin = 0\nvcpus = 3", "reprise.ini:4: pin: expected 3 host CPUs, one for "
					      "each vcpu, got \"0\"");
	expect_vm_error("vcpus = 3\npin = 0-3\n[reprise]", "reprise.ini:5: pin: expected 3 host "
		"CPUs, one for each vcpu, got \"0-3\"");
}

static void test_bad_paths(void **state)
{
	char line[256], long_path[200];

	(void)state;
	expect_vm_error("initrd = ../x", "reprise.ini:4: initrd: expected a path without .. and "
					 "control characters, got \"../x\"");
	expect_vm_error("initrd = /", "reprise.ini:4: initrd: expected a file's path on the ESP, "
				      "got \"/\"");
	expect_vm_error("initrd =", "reprise.ini:4: initrd: expected a file's path on the ESP, "
				    "got \"\"");
	expect_vm_error("initrd = \xc3\xa4", "reprise.ini:4: initrd: expected a file's path in "
					     "ASCII, got \"??\"");
	memset(long_path, 'p', sizeof(long_path));
	long_path[CONFIG_PATH_MAX] = '\0';
	(void)snprintf(line, sizeof(line), "initrd = %s", long_path);
	expect_vm_error(line, "reprise.ini:4: initrd: expected a path of at most 127 characters, "
			      "got \"pppppppppppppppppppppppppppppppppppppppp...\"");
	long_path[CONFIG_PATH_MAX - 1] = '\0';
	(void)snprintf(line, sizeof(line), VM "initrd = %s", long_path);
	assert_int_equal(parse(line), STATUS_OK);
	assert_string_equal(config.vms[0].initrd, long_path);
}

static void test_long_cmdline(void **state)
{
	char value[CONFIG_CMDLINE_MAX + 1], line[CONFIG_CMDLINE_MAX + 64];

	(void)state;
	memset(value, 'c', sizeof(value));
	value[CONFIG_CMDLINE_MAX - 1] = '\0';
	(void)snprintf(line, sizeof(line), VM "cmdline = %s", value);
	assert_int_equal(parse(line), STATUS_OK);
	assert_string_equal(config.vms[0].cmdline, value);
	value[CONFIG_CMDLINE_MAX - 1] = 'c';
	value[CONFIG_CMDLINE_MAX] = '\0';
	(void)snprintf(line, sizeof(line), "cmdline = %s", value);
	expect_vm_error(line, "reprise.ini:4: cmdline: expected at most 2047 characters, "
			      "got \"cccccccccccccccccccccccccccccccccccccccc...\"");
}

static void test_unknown_and_duplicate(void **state)
{
	(void)state;
	expect_vm_error("colour = red",
		"reprise.ini:4: key: expected one of memory, vcpus, tsc_khz, pin, machine, "
		"firmware, pflash, kernel, initrd, cmdline, x2apic, display, "
		"debugcon, isa_debug_exit, balloon, console_device, rng, hpet, usb, "
		"rtc_base, autostart, recordable, rr, "
		"rrbeacon, rrfile, step, landing_test, landing_trace, hardware_shaped, "
		"test_disk, test_disk_delay, "
		"test_save_load, test_save_load_memory, got \"colour\"");
	expect_vm_error("memory = 64M",
		"reprise.ini:4: memory: expected this key once in the section, got it again");
	expect_vm_error("log = info",
		"reprise.ini:4: key: expected one of memory, vcpus, tsc_khz, pin, machine, "
		"firmware, pflash, kernel, initrd, cmdline, x2apic, display, "
		"debugcon, isa_debug_exit, balloon, console_device, rng, hpet, usb, "
		"rtc_base, autostart, recordable, rr, "
		"rrbeacon, rrfile, step, landing_test, landing_trace, hardware_shaped, "
		"test_disk, test_disk_delay, "
		"test_save_load, test_save_load_memory, got \"log\"");
	expect_error("[reprise]\nmemory = 2M\n" VM,
		"reprise.ini:2: key: expected one of log, debug_exit, cpus, cpus_from, "
		"quit_on_exit, console, got \"memory\"");
	expect_vm_error("[floppy d]",
		"reprise.ini:4: section: expected [reprise], [vm NAME], [disk NAME] or "
		"[nic NAME], "
		"got \"floppy\"");
	expect_vm_error("[vm a]",
		"reprise.ini:4: [vm]: expected a name that no other VM has, got \"a\"");
	expect_vm_error("[reprise]\n[reprise]",
		"reprise.ini:5: [reprise]: expected this section once, got it again");
	expect_vm_error("[reprise x]", "reprise.ini:4: [reprise]: expected no name, got \"x\"");
	expect_vm_error("[vm]", "reprise.ini:4: [vm]: expected [vm NAME], got no name");
	expect_vm_error("[vm 12345678901234567890123456789012]",
		"reprise.ini:4: [vm]: expected a name of at most 31 characters, "
		"got \"12345678901234567890123456789012\"");
}

static void test_missing(void **state)
{
	(void)state;
	expect_error("[vm a]\nkernel = k\n",
		"reprise.ini:1: memory: expected this key in the section, got none");
	expect_error("\n[vm a]\nmemory = 2M\n[reprise]\n",
		"reprise.ini:2: kernel: expected this key in the section, or firmware, "
		"got neither");
	expect_error("[reprise]\nlog = info\n",
		"reprise.ini:2: [vm]: expected at least one [vm NAME] section, got none");
	expect_error("", "reprise.ini:1: [vm]: expected at least one [vm NAME] section, got none");
}

static void test_too_many_vms(void **state)
{
	char text[2048];
	size_t used = 0;

	(void)state;
	for (unsigned i = 0; i <= CONFIG_VMS_MAX; i++) {
		if (i == CONFIG_VMS_MAX) {
			assert_int_equal(parse(text), STATUS_OK);
			assert_int_equal(config.vm_count, CONFIG_VMS_MAX);
			assert_string_equal(config.vms[CONFIG_VMS_MAX - 1].name, "v15");
			assert_int_equal(config.vms[CONFIG_VMS_MAX - 1].line, 46);
		}
		used += (size_t)snprintf(text + used, sizeof(text) - used,
			"[vm v%u]\nmemory = 2M\nkernel = k\n", i);
	}
	expect_error(text,
		"reprise.ini:49: [vm]: expected at most 16 VMs, got \"v16\"");
}

static void test_not_ini(void **state)
{
	(void)state;
	assert_int_equal(parse(VM "nonsense\n"), STATUS_BAD_FORMAT);
	assert_string_equal(error, "reprise.ini:4: expected key = value, a [section], or # and a "
				   "comment, got \"nonsense\"");
}

static void test_error_is_cut_off(void **state)
{
	char name[2 * CONFIG_ERROR_MAX];

	(void)state;
	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(config_parse(name, "", 0, &config, error), STATUS_INVALID);
	assert_int_equal(strlen(error), CONFIG_ERROR_MAX - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_every_key),
		cmocka_unit_test(test_debug_exit),
		cmocka_unit_test(test_positions),
		cmocka_unit_test(test_log_levels),
		cmocka_unit_test(test_cpus),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_bad_sizes),
		cmocka_unit_test(test_bad_values),
		cmocka_unit_test(test_pin),
		cmocka_unit_test(test_bad_paths),
		cmocka_unit_test(test_long_cmdline),
		cmocka_unit_test(test_unknown_and_duplicate),
		cmocka_unit_test(test_missing),
		cmocka_unit_test(test_too_many_vms),
		cmocka_unit_test(test_not_ini),
		cmocka_unit_test(test_error_is_cut_off),
	};

	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}

// SPDX-License-Identifier: BSD-2-Clause
// The keys of recording and replaying: recordable, rr, rrfile.
#include "tests/unit/config_bench.h"

static void expect_sink(const char *value, uint32_t sink, uint64_t number, const char *name)
{
	char text[512];
	const struct config_rr_file *file = &config.vms[0].rrfile;

	(void)snprintf(text, sizeof(text), VM "recordable = on\nrrfile = %s\n", value);
	assert_int_equal(parse(text), STATUS_OK);
	assert_int_equal(file->sink, sink);
	assert_true(file->bytes == (sink == CONFIG_RR_SINK_RAM ? number : 0));
	assert_int_equal(file->disk, sink == CONFIG_RR_SINK_DISK ? number : 0);
	assert_string_equal(file->name, name);
	assert_true(config.vms[0].recordable && config.vms[0].rr == CONFIG_RR_NONE);
}

static void test_rr(void **state)
{
	(void)state;
	assert_int_equal(parse(VM), STATUS_OK);
	assert_false(config.vms[0].recordable);
	assert_int_equal(config.vms[0].rr, CONFIG_RR_NONE);
	assert_int_equal(config.vms[0].rrfile.sink, CONFIG_RR_SINK_NONE);
	expect_sink("ram:1M", CONFIG_RR_SINK_RAM, MIB, "");
	expect_sink("ram:2g", CONFIG_RR_SINK_RAM, 2 * GIB, "");
	expect_sink("disk:0", CONFIG_RR_SINK_DISK, 0, "");
	expect_sink("disk:255", CONFIG_RR_SINK_DISK, 255, "");
	expect_sink("disk:vda", CONFIG_RR_SINK_DISK, 0, "vda");
	expect_sink("disk:nvme0n4294967294", CONFIG_RR_SINK_DISK, 0, "nvme0n4294967294");
	expect_sink("disk:abcdefghijklmnopqr9", CONFIG_RR_SINK_DISK, 0, "abcdefghijklmnopqr9");
	expect_sink("partition:the log", CONFIG_RR_SINK_PARTITION, 0, "the log");
	expect_sink("partition:0FC63DAF-8483-4772-8E79-3D69D8477DE4", CONFIG_RR_SINK_PARTITION, 0,
		"0FC63DAF-8483-4772-8E79-3D69D8477DE4");
	expect_sink("file:\\logs/a.rr", CONFIG_RR_SINK_FILE, 0, "logs/a.rr");
	assert_int_equal(parse(VM "rr = record\nrrfile = ram:16M\n"), STATUS_OK);
	assert_true(config.vms[0].recordable); // implied
	assert_int_equal(config.vms[0].rr, CONFIG_RR_RECORD);
	assert_int_equal(parse(VM "rrfile = disk:1\nrr = replay\nrecordable = on\n"), STATUS_OK);
	assert_int_equal(config.vms[0].rr, CONFIG_RR_REPLAY);
	assert_int_equal(parse(VM "rrbeacon = 10000\nrecordable = on\n"), STATUS_OK);
	assert_int_equal(config.vms[0].rrbeacon, 10000);
	assert_int_equal(parse(VM "vcpus = 2\npin = 1,1\nrecordable = on\n"), STATUS_OK);
	assert_int_equal(parse(VM "vcpus = 2\npin = 1,0\nrecordable = off\n"), STATUS_OK);
	assert_int_equal(parse(VM "rr = none\nrecordable = off\n"), STATUS_OK);
	assert_false(config.vms[0].recordable);
}

static void test_bad_rr(void **state)
{
	static const char *const no_sink[] = {"", "ram", "log.rr", "RAM:1M", "tape:0", ":"};
	static const char *const no_ring[] = {"ram:", "ram:lots", "ram:262143", "ram:0", "ram:1Mx",
		"ram:99999999999G"};
	static const char *const no_disk[] = {"disk:", "disk:256", "disk:-1", "disk:A", "disk:1 2",
		"disk:1a", "disk:n v", "disk:abcdefghijklmnopqrst", "disk:{", "disk:a/b"};
	static const char *const no_name[] = {"partition:", "partition:\xc3\xa4",
		"partition:1234567890123456789012345678901234567"};
	static const struct {
		const char *const *values;
		size_t count;
		const char *expected;
	} rows[] = {
		{no_sink, ARRAY_COUNT(no_sink), "ram:SIZE, disk:NAME, partition:NAME or file:PATH"},
		{no_ring, ARRAY_COUNT(no_ring), "ram: with a size of at least 256K"},
		{no_disk, ARRAY_COUNT(no_disk), "disk: with a name such as vda, or a number from 0 "
			"to 255"},
		{no_name, ARRAY_COUNT(no_name),
			"partition: with a label or GUID of 1 to 36 letters of ASCII"},
	};
	char line[256], expected[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
		for (size_t j = 0; j < rows[i].count; j++) {
			(void)snprintf(expected, sizeof(expected),
				"reprise.ini:4: rrfile: expected %s, got \"", rows[i].expected);
			(void)snprintf(line, sizeof(line), VM "rrfile = %s\n", rows[i].values[j]);
			assert_int_equal(parse(line), STATUS_INVALID);
			if (strncmp(error, expected, strlen(expected)) != 0)
				fail_msg("\"%s\" is not \"%s...\"", error, expected);
		}
	expect_vm_error("rrfile = file:../a", "reprise.ini:4: rrfile: expected a path without .. "
					      "and control characters, got \"file:../a\"");
	expect_vm_error("rr = on", "reprise.ini:4: rr: expected none, record or replay, "
				   "got \"on\"");
	expect_vm_error("rrbeacon = 9999",
		"reprise.ini:4: rrbeacon: expected ticks, 10000 to 1099511627776, got \"9999\"");
	expect_vm_error("rrbeacon = often",
		"reprise.ini:4: rrbeacon: expected ticks, 10000 to 1099511627776, got \"often\"");
	expect_vm_error("recordable = yes",
		"reprise.ini:4: recordable: expected on or off, got \"yes\"");
	// What they say about each other.
	expect_vm_error("rr = record",
		"reprise.ini:4: rr: expected rrfile in the section too, got none");
	expect_vm_error("rrfile = disk:0\nrr = record\nrecordable = off",
		"reprise.ini:6: recordable: expected on, which rr needs, or no such key, "
		"got \"off\"");
	expect_vm_error("rr = replay\nrrfile = ram:1M\n[reprise]",
		"reprise.ini:5: rrfile: expected a disk, partition or file to replay, got ram");
	expect_vm_error("rrfile = disk:0", "reprise.ini:4: rrfile: expected recordable = on or rr "
					   "in the section too, got neither");
	expect_vm_error("vcpus = 3\npin = 1,1,0\nrecordable = on",
		"reprise.ini:5: pin: expected the same host CPU for each vcpu of a recordable "
		"machine, got \"1,1,0\"");
	expect_vm_error("rr = none\nrrfile = disk:0\nrecordable = off",
		"reprise.ini:5: rrfile: expected recordable = on or rr in the section too, got "
		"neither");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rr),
		cmocka_unit_test(test_bad_rr),
	};

	return cmocka_run_group_tests_name("config_rr", tests, NULL, NULL);
}

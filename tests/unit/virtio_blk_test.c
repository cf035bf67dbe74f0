// SPDX-License-Identifier: BSD-2-Clause
// The virtio disk against a device that is right, and against one that lies: VIRTIO 1.2, sections
// 2.7 (split virtqueues), 3.1.1 (initialization), 4.1 (PCI), 5.2 (block device).
#include "tests/unit/virtio_blk_model.h"

static int setup(void **state)
{
	(void)state;
	fake_host_reset();
	fake_host.passes = device_passes;
	fake_host.mmio_in = mmio_in;
	fake_host.mmio_out = mmio_out;
	free(device.medium);
	memset(&device, 0, sizeof(device));
	device.features = BIT(32) | BIT(1) | BIT(6) | BIT(9) | BIT(28) | BIT(34);
	device.status = 15; // as firmware left it
	device.queue_size = QUEUE_MAX;
	device.notify_off = 3;
	device.medium = malloc(SECTORS * 512);
	for (unsigned i = 0; i < SECTORS * 512; i++)
		device.medium[i] = (uint8_t)(i / 512 * 7 + i);
	put(device.config, SECTORS, 8);
	put(device.config + 8, 4096, 4); // size_max
	put(device.config + 20, 512, 4);
	function = fake_function_add(0, 4, 0, 0x10421af4, 0x0180);
	fake_bar_set(function, 4, 0xc, 16 * KIB, BAR);
	fake_config_set(function, PCI_STATUS, 2, 0x10);
	fake_config_set(function, PCI_CAPABILITIES, 1, 0x40);
	capability(0x40, 1, 4, 0, 56, 0x60);
	capability(0x60, 2, 4, 0x3000, 0x1000, 0x80);
	fake_config_set(function, 0x70, 4, 4); // the multiplier
	capability(0x80, 4, 4, 0x2000, sizeof(device.config), 0xa0);
	capability(0xa0, 5, 0, 0, 0, 0);
	return 0;
}

static struct disk *last_disk(void)
{
	struct disk *at = disk_first();

	while (at != NULL && at->next != NULL)
		at = at->next;
	return at;
}

// Whether the device became a disk. What pci_init would have found is not freed: disks refer to it.
static bool probe_nth(unsigned nth)
{
	struct pci_function *found = malloc(sizeof(*found));
	struct disk *before = last_disk();

	*found = (struct pci_function){.at = function->at, .vendor = 0x1af4, .device = 0x1042};
	pci_init(&fake_host.info);
	assert_true(virtio_blk_probe(found, nth));
	disk = last_disk();
	if (disk != before)
		return true;
	assert_int_equal(fake_host.warnings, 1);
	free(found);
	return false;
}

static bool probe(void)
{
	return probe_nth(0);
}

static void check_refused(const char *reason)
{
	assert_false(probe());
	assert_non_null(strstr(fake_host.log, reason));
	// What is refused does not reach memory.
	assert_int_equal(fake_config_get(function, PCI_COMMAND, 2) & 4, 0);
}

static void test_works(void **state)
{
	(void)state;
	assert_true(probe());
	assert_int_equal(disk->sectors, SECTORS);
	assert_int_equal(disk->sector_bytes, 512);
	assert_int_equal(disk->transfer_max, 8); // of size_max
	assert_false(disk->read_only);
	assert_string_equal(disk->name, "vda");
	assert_int_equal(device.status, 15);
	assert_int_equal(device.driver_features, BIT(32) | BIT(1) | BIT(6) | BIT(9));
	assert_int_equal(fake_config_get(function, PCI_COMMAND, 2) & 0x406, 0x406);
	check_transfers(disk, device.medium);
	assert_int_equal(device.requests, 7);
	assert_int_equal(device.flushes, 1);
	assert_int_equal(fake_host.waits, 0); // an answer at once needs no wait
	for (unsigned i = 0; i < 70000; i++) // the rings' indices wrap
		assert_int_equal(disk_flush(disk), STATUS_OK);
	check_transfers(disk, device.medium);
}

static void test_waits(void **state)
{
	uint8_t sector[512];

	(void)state;
	assert_true(probe());
	check_waits(disk, device.medium, &device.delay);
	// In the loop, but in no fiber: a bug.
	fake_host.loop_runs = true;
	device.delay = 5;
	expect_assert_failure(assert_int_equal(disk_read(disk, 1, 1, sector), STATUS_OK));
}

static void test_limits(void **state)
{
	uint8_t sector[2 * 512];

	(void)state;
	device.features |= BIT(5);
	assert_true(probe());
	assert_true(disk->read_only);
	assert_int_equal(disk_write(disk, 0, 1, sector), STATUS_REFUSED);
	assert_int_equal(disk_flush(disk), STATUS_OK);
	assert_int_equal(disk_read(disk, SECTORS - 1, 2, sector), STATUS_RANGE);
	assert_int_equal(disk_read(disk, SECTORS, 1, sector), STATUS_RANGE);
	assert_int_equal(disk_read(disk, 1, UINT64_MAX, sector), STATUS_RANGE);
	assert_int_equal(disk_read(disk, UINT64_MAX, 1, sector), STATUS_RANGE);
	assert_int_equal(device.requests, 0);
	assert_int_equal(disk_read(disk, SECTORS - 2, 2, sector), STATUS_OK);
	assert_non_null(disk_find("vda"));
	assert_null(disk_find("vdy"));
	assert_ptr_equal(disk_find("0"), disk_first());
	assert_null(disk_find("0x"));
	assert_null(disk_find(""));
}

static void test_features(void **state)
{
	(void)state;
	device.features = BIT(32);
	put(device.config + 8, 1, 4);  // not negotiated: without a meaning
	put(device.config + 20, 7, 4);
	assert_true(probe());
	assert_int_equal(disk->sector_bytes, 512);
	check_transfers(disk, device.medium);
	assert_int_equal(device.flushes, 0); // 5.2.6.2: nothing to flush
}

static void test_large_blocks(void **state)
{
	uint8_t buffer[2 * 4096];

	(void)state;
	put(device.config + 20, 4096, 4);
	assert_true(probe());
	assert_int_equal(disk->sector_bytes, 4096);
	assert_int_equal(disk->sectors, SECTORS / 8);
	assert_int_equal(disk_read(disk, 6, 2, buffer), STATUS_OK);
	assert_memory_equal(buffer, device.medium + 48 * 512, sizeof(buffer));
}

// The device answers as it should, that it cannot.
static void test_errors(void **state)
{
	static const uint8_t answers[] = {1, 2, 3, 77, 255};
	uint8_t sector[512];

	(void)state;
	assert_true(probe());
	for (unsigned i = 0; i < ARRAY_COUNT(answers); i++) {
		device.answer = answers[i];
		assert_int_equal(disk_read(disk, 1, 1, sector), STATUS_IO);
		assert_int_equal(disk_write(disk, 1, 1, sector), STATUS_IO);
		assert_int_equal(disk_flush(disk), STATUS_IO);
		assert_int_equal(fake_host.errors, 3 * (i + 1));
	}
	device.answer = 0;
	assert_int_equal(disk_read(disk, 1, 1, sector), STATUS_OK);
	assert_int_equal(device.resets, 1);
}

static void test_lies(void **state)
{
	static const enum fault faults[] = {FAULT_SILENT, FAULT_TWICE, FAULT_BACK, FAULT_ID,
		FAULT_ID_LARGE, FAULT_LONG, FAULT_SHORT, FAULT_STUCK};

	for (unsigned i = 0; i < ARRAY_COUNT(faults); i++) {
		uint8_t sector[512];
		unsigned requests;

		setup(state);
		assert_true(probe());
		assert_int_equal(disk_read(disk, 1, 1, sector), STATUS_OK);
		device.fault = faults[i];
		assert_int_equal(disk_read(disk, 1, 1, sector), STATUS_IO);
		assert_int_equal(fake_host.errors, 1);
		// It is not asked any more, and cannot reach memory.
		assert_int_equal(device.resets, 2);
		assert_int_equal(fake_config_get(function, PCI_COMMAND, 2) & 4, 0);
		requests = device.requests;
		device.fault = FAULT_NONE;
		assert_int_equal(disk_read(disk, 1, 1, sector), STATUS_IO);
		assert_int_equal(disk_write(disk, 1, 1, sector), STATUS_IO);
		assert_int_equal(disk_flush(disk), STATUS_IO);
		assert_int_equal(device.requests, requests);
		assert_true(fake_host.longest_spin < 200000);
	}
}

static void test_refusals(void **state)
{
	static const struct {
		unsigned offset, bytes;
		uint64_t value;
		const char *reason;
	} configs[] = {
		{0, 8, 0, "empty"},
		{0, 8, BIT(63), "larger"},
		{0, 8, UINT64_MAX, "larger"},
		{20, 4, 0, "size"},
		{20, 4, 256, "size"},
		{20, 4, 1000, "size"},
		{20, 4, 8192, "size"},
		{8, 4, 511, "whole block"},
		{8, 4, 0, "whole block"},
	};

	for (unsigned i = 0; i < ARRAY_COUNT(configs); i++) {
		setup(state);
		put(device.config + configs[i].offset, configs[i].value, configs[i].bytes);
		check_refused(configs[i].reason);
	}
	setup(state);
	put(device.config, 7, 8);
	put(device.config + 20, 4096, 4);
	check_refused("empty"); // not one whole block
	setup(state);
	device.features &= ~BIT(32);
	check_refused("legacy");
	setup(state);
	device.fault = FAULT_FEATURES;
	check_refused("features");
	setup(state);
	device.fault = FAULT_NO_RESET;
	check_refused("reset");
	setup(state);
	device.generation_changes = UINT32_MAX;
	check_refused("changing");
	setup(state);
	device.generation_changes = 50;
	assert_true(probe());
}

static void test_bad_queue(void **state)
{
	(void)state;
	device.notify_off = 0xffff; // behind the capability's end
	check_refused("notified");
	setup(state);
	fake_config_set(function, 0x70, 4, 0x80000001);
	check_refused("notified"); // an odd place
	setup(state);
	fake_config_set(function, 0x70, 4, UINT32_MAX - 1);
	check_refused("notified");
	setup(state);
	fake_config_set(function, 0x63, 1, 3); // no such structure
	check_refused("notified");
}

static void test_bad_capabilities(void **state)
{
	static const struct {
		unsigned offset, bytes;
		uint32_t value;
	} changes[] = {
		{0x43, 1, 7},          // no common structure
		{0x44, 1, 7},          // a BAR that there is not
		{0x44, 1, 0},          // one that is not memory
		{0x48, 4, 0x3fcc},     // beyond the BAR's end
		{0x48, 4, 0xfffffff0},
		{0x48, 4, 2},          // not aligned
		{0x4c, 4, 55},         // too short
		{0x8c, 4, 23},
		{0x83, 1, 5},          // no device structure
		{0x20, 4, 0x0000000c}, // BAR 4 has no address
		{0x20, 4, 0x0800000c}, // it lies in RAM
		{0x06, 2, 0},          // no capabilities
		{0x34, 1, 0},
		{0x41, 1, 0x40},       // a loop before the others
	};

	for (unsigned i = 0; i < ARRAY_COUNT(changes); i++) {
		setup(state);
		fake_config_set(function, changes[i].offset, changes[i].bytes, changes[i].value);
		check_refused("no modern interface");
		assert_int_equal(device.resets, 0);
	}
}

static void test_capability_choice(void **state)
{
	(void)state;
	// 4.1.4.1: the first that can be used; this one is in a BAR that there is not.
	fake_config_set(function, 0x41, 1, 0xc0);
	capability(0xc0, 4, 6, 0x2000, 64, 0x60);
	// And one that reaches behind configuration space.
	fake_config_set(function, 0xa1, 1, 0xf8);
	fake_config_set(function, 0xf8, 4, 9 | 2u << 24);
	assert_true(probe());
	check_transfers(disk, device.medium);
	setup(state);
	fake_config_set(function, 0x41, 1, 0xf8);
	fake_config_set(function, 0xf8, 4, 9 | 1u << 24);
	check_refused("no modern interface");
}

static void test_many(void **state)
{
	const struct pci_function net = {.vendor = 0x1af4, .device = 0x1041};
	const struct pci_function other = {.vendor = 0x8086, .device = 0x1042};

	(void)state;
	assert_true(probe_nth(25));
	assert_string_equal(disk->name, "vdz");
	assert_false(probe_nth(26));
	assert_non_null(strstr(fake_host.log, "too many"));
	assert_false(virtio_blk_probe(&net, 0));
	assert_false(virtio_blk_probe(&other, 0));
	assert_int_equal(fake_host.warnings, 1);
}

static int teardown_all(void **state)
{
	(void)state;
	free(device.medium);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_works, setup),
		cmocka_unit_test_setup(test_waits, setup),
		cmocka_unit_test_setup(test_limits, setup),
		cmocka_unit_test_setup(test_features, setup),
		cmocka_unit_test_setup(test_large_blocks, setup),
		cmocka_unit_test_setup(test_errors, setup),
		cmocka_unit_test_setup(test_lies, setup),
		cmocka_unit_test_setup(test_refusals, setup),
		cmocka_unit_test_setup(test_bad_queue, setup),
		cmocka_unit_test_setup(test_bad_capabilities, setup),
		cmocka_unit_test_setup(test_capability_choice, setup),
		cmocka_unit_test_setup(test_many, setup),
	};

	return cmocka_run_group_tests_name("virtio_blk", tests, NULL, teardown_all);
}

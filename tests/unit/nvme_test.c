// SPDX-License-Identifier: BSD-2-Clause
// NVMe disks against a controller that is right: NVM Express 1.4, registers in 3, queues and
// physical region pages in 4, Identify in 5.15, commands in 6.
#include "tests/unit/nvme_test.h"

static void test_works(void **state)
{
	(void)state;
	assert_int_equal(probe(), 1);
	assert_string_equal(disk->name, "nvme0n1");
	assert_string_equal(disk->model, "Reprise  test  disk");
	assert_int_equal(disk->sectors, MEDIUM_BYTES / 512);
	assert_int_equal(disk->sector_bytes, 512);
	assert_int_equal(disk->transfer_max, 256);
	assert_false(disk->read_only);
	assert_int_equal(device.resets, 1);
	assert_int_equal(device.mask, UINT32_MAX);
	assert_int_equal(fake_config_get(function, PCI_COMMAND, 2) & 0x406, 0x406);
	check_transfers(disk, device.namespaces[0].medium);
	assert_int_equal(device.requests, 3);
	assert_int_equal(device.flushes, 1);
	assert_int_equal(fake_host.waits, 0); // an answer at once needs no wait
	for (unsigned i = 0; i < 70000; i++) // the rings, and the commands' numbers wrap
		assert_int_equal(disk_flush(disk), STATUS_OK);
	check_transfers(disk, device.namespaces[0].medium);
	assert_int_equal(disk_read(disk, MEDIUM_BYTES / 512, 1, &state), STATUS_RANGE);
	assert_int_equal(fake_host.errors + fake_host.warnings, 0);
}

// Wherever the buffer begins and however long it is.
static void test_buffers(void **state)
{
	static const unsigned starts[] = {0, 4, 512, 2048, 3584, 4092, 1, 2, 3, 4095, 514};
	static const unsigned counts[] = {1, 2, 7, 8, 9, 15, 16, 17, 24, 64, 255, 256, 257, 600};
	uint8_t *room = aligned_alloc(PAGE, 78 * PAGE), *medium;

	(void)state;
	assert_int_equal(probe(), 1);
	medium = device.namespaces[0].medium;
	for (unsigned i = 0; i < ARRAY_COUNT(starts); i++)
		for (unsigned n = 0; n < ARRAY_COUNT(counts); n++) {
			uint8_t *buffer = room + starts[i];
			unsigned count = counts[n], bytes = count * 512, sector = 3 + n;

			memset(room, 0xee, 78 * PAGE);
			assert_int_equal(disk_read(disk, sector, count, buffer), STATUS_OK);
			assert_memory_equal(buffer, medium + 512 * sector, bytes);
			assert_int_equal(buffer[bytes], 0xee);
			if (starts[i] > 0)
				assert_int_equal(buffer[-1], 0xee);
			for (unsigned at = 0; at < bytes; at++)
				buffer[at] ^= (uint8_t)(i + 1);
			assert_int_equal(disk_write(disk, sector, count, buffer), STATUS_OK);
			assert_memory_equal(medium + 512 * sector, buffer, bytes);
		}
	assert_int_equal(device.pages_max, 33);
	free(room);
}

static void test_waits(void **state)
{
	(void)state;
	assert_int_equal(probe(), 1);
	check_waits(disk, device.namespaces[0].medium, &device.delay);
}

static void test_transfer_sizes(void **state)
{
	static const struct {
		uint8_t pages;
		uint32_t sectors;
	} rows[] = {{0, 256}, {1, 16}, {2, 32}, {4, 128}, {5, 256}, {6, 256}, {31, 256}, {32, 256},
		{63, 256}, {64, 256}, {255, 256}};

	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++) {
		uint8_t *buffer = malloc(700 * 512);

		setup(state);
		device.identity[77] = rows[i].pages;
		assert_int_equal(probe(), 1);
		assert_int_equal(disk->transfer_max, rows[i].sectors);
		assert_int_equal(disk_read(disk, 11, 700, buffer), STATUS_OK);
		assert_memory_equal(buffer, device.namespaces[0].medium + 11 * 512, 700 * 512);
		free(buffer);
	}
}

static void test_capabilities(void **state)
{
	static const struct {
		uint64_t cap;
		const char *reason; // NULL: it works
	} rows[] = {
		{BIT(37) | 0xffff, NULL},           // no time to become ready: it gets some
		{BIT(37) | 255ull << 24 | 1, NULL},    // rings of two
		{BIT(37) | 2, NULL},                // of three
		{BIT(37) | 15, NULL},
		{BIT(37) | 15 | BIT(35), NULL},     // doorbells 1024 bytes from each other
		{BIT(37) | 15 | 7ull << 52, NULL},  // larger pages, too
		{BIT(37) | 15 | 15ull << 32, "doorbells"}, // behind the BAR
		{BIT(37), "too short"},
		{BIT(37) | 15 | BIT(48), "larger pages"},
		{BIT(44) | 15, "no NVM commands"},  // admin commands alone
		{0, "no NVM commands"},
		{UINT64_MAX, "doorbells"},
	};

	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++) {
		setup(state);
		device.cap = rows[i].cap;
		if (rows[i].reason != NULL) {
			check_refused(rows[i].reason);
			continue;
		}
		assert_int_equal(probe(), 1);
		for (unsigned n = 0; n < 5; n++)
			check_transfers(disk, device.namespaces[0].medium);
	}
}

static void test_namespaces(void **state)
{
	struct disk *second;

	(void)state;
	namespace_set(1, 7, 12);
	namespace_set(2, 8, 10);
	namespace_set(3, 0xfffffffe, 11);
	device.namespaces[1].identity[99] = 1; // protected
	device.namespaces[2].identity[26] = 0; // with metadata
	list_set();
	assert_int_equal(probe_nth(9), 3);
	assert_string_equal(disk->name, "nvme9n1");
	second = disk->next;
	assert_string_equal(second->name, "nvme9n7");
	assert_string_equal(second->next->name, "nvme9n4294967294");
	assert_ptr_equal(disk_find("nvme9n7"), second);
	assert_int_equal(fake_host.warnings, 1);
	assert_non_null(strstr(fake_host.log, "nvme9n8: its blocks have metadata"));
	assert_true(second->read_only);
	assert_int_equal(second->sector_bytes, 4096);
	assert_int_equal(second->sectors, MEDIUM_BYTES / 4096);
	assert_int_equal(second->transfer_max, 32);
	second->read_only = false;
	check_transfers(disk, device.namespaces[0].medium);
	check_transfers(second, device.namespaces[1].medium);
	check_transfers(second->next, device.namespaces[3].medium);
	assert_ptr_equal(disk->lock, second->lock);
}

// Controllers without a list, and lists that are none.
static void test_lists(void **state)
{
	(void)state;
	device.vs = 0x10000;
	namespace_set(1, 3, 9);
	put(device.identity + 516, 3, 4);
	memset(device.list, 0xff, sizeof(device.list));
	assert_int_equal(probe(), 2);
	assert_string_equal(disk->next->name, "nvme0n3");
	setup(state);
	device.identify_answer[2] = 2; // invalid field
	assert_int_equal(probe(), 1);
	setup(state);
	put(device.list + 4, 1, 4);
	check_refused("in no order");
	setup(state);
	put(device.list, UINT32_MAX, 4);
	check_refused("in no order");
	setup(state);
	put(device.list, 0, 4);
	check_refused("no namespace");
	setup(state);
	put(device.list, 2, 4);
	assert_int_equal(probe(), 0);
	assert_non_null(strstr(fake_host.log, "no namespace"));
	setup(state);
	for (unsigned i = 0; i < 1024; i++)
		put(device.list + 4 * (size_t)i, i + 1, 4);
	assert_int_equal(probe(), 1);
	assert_int_equal(fake_host.warnings, 64); // one that says so, and 63 that are empty
	setup(state);
	device.vs = 0x10000;
	put(device.identity + 516, UINT32_MAX, 4);
	assert_int_equal(probe(), 1);
}

static void test_refused_namespaces(void **state)
{
	static const struct {
		unsigned offset, bytes;
		uint64_t value;
		const char *reason;
	} rows[] = {
		{0, 8, 0, "empty"},
		{0, 8, BIT(54), "larger"},
		{0, 8, UINT64_MAX, "larger"},
		{26, 1, 2, "none that it has"},
		{26, 1, 0x1f, "none that it has"},
		{26, 1, 0, "metadata"},
		{29, 1, 1, "metadata"},
		{134, 1, 0, "size"},
		{134, 1, 8, "size"},
		{134, 1, 13, "size"},
		{134, 1, 32, "size"},
		{134, 1, 255, "size"},
		{0, 8, BIT(54) - 1, NULL},
	};

	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++) {
		setup(state);
		put(device.namespaces[0].identity + rows[i].offset, rows[i].value, rows[i].bytes);
		assert_int_equal(probe(), rows[i].reason == NULL);
		if (rows[i].reason == NULL)
			continue;
		assert_non_null(strstr(fake_host.log, "nvme0n1: "));
		assert_non_null(strstr(fake_host.log, rows[i].reason));
		assert_int_equal(fake_config_get(function, PCI_COMMAND, 2) & 4, 0);
	}
	setup(state);
	device.identify_answer[0] = 11;
	assert_int_equal(probe(), 0);
}

static void test_refused_controllers(void **state)
{
	(void)state;
	fake_bar_set(function, 0, 4, BAR_BYTES, 0);
	check_refused("no addresses");
	setup(state);
	fake_bar_set(function, 0, 4, 8192, 0x08000000); // in RAM
	check_refused("no addresses");
	setup(state);
	device.csts = UINT32_MAX;
	check_refused("does not answer");
	setup(state);
	device.identity[111] = 3; // for administration alone
	check_refused("no controller of disks");
	setup(state);
	device.identify_answer[1] = 2;
	check_refused("does not tell");
	setup(state);
	assert_int_equal(probe_nth(100), 0);
	assert_non_null(strstr(fake_host.log, "too many"));
	assert_false(nvme_probe(&(struct pci_function){.class = 0x0108, .interface = 1}, 0));
	assert_false(nvme_probe(&(struct pci_function){.class = 0x0106, .interface = 2}, 0));
}

static void test_no_cache(void **state)
{
	(void)state;
	device.identity[525] = 0xfe;
	assert_int_equal(probe(), 1);
	check_transfers(disk, device.namespaces[0].medium);
	assert_int_equal(device.flushes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_works, setup),
		cmocka_unit_test_setup(test_buffers, setup),
		cmocka_unit_test_setup(test_waits, setup),
		cmocka_unit_test_setup(test_transfer_sizes, setup),
		cmocka_unit_test_setup(test_capabilities, setup),
		cmocka_unit_test_setup(test_namespaces, setup),
		cmocka_unit_test_setup(test_lists, setup),
		cmocka_unit_test_setup(test_refused_namespaces, setup),
		cmocka_unit_test_setup(test_refused_controllers, setup),
		cmocka_unit_test_setup(test_no_cache, setup),
	};

	return cmocka_run_group_tests_name("nvme", tests, NULL, teardown_all);
}

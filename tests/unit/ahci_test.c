// SPDX-License-Identifier: BSD-2-Clause
// AHCI disks against a controller that is right: AHCI 1.3.1, registers in 3, memory in 4, software
// in 10; ATA/ATAPI-6.
#include "tests/unit/ahci_test.h"

static void test_works(void **state)
{
	(void)state;
	assert_int_equal(probe(), 1);
	assert_string_equal(disk->name, "sda");
	assert_string_equal(disk->model, "Reprise test  disk");
	assert_int_equal(disk->sectors, MEDIUM_SECTORS);
	assert_int_equal(disk->sector_bytes, 512);
	assert_int_equal(disk->unit, 0);
	assert_int_equal(hba.resets, 1);
	assert_int_equal(hba.ports[0].resets, 1);
	assert_int_equal(fake_config_get(function, PCI_COMMAND, 2) & 0x406, 0x406);
	// Where there is nothing, nothing may come.
	assert_int_equal(hba.ports[1].cmd & 0xc011, 0);
	check_transfers(disk, hba.ports[0].medium);
	assert_int_equal(hba.ports[0].commands, 4);
	assert_int_equal(hba.ports[0].flushes, 1);
	assert_int_equal(hba.ports[0].flush_command, 0xea);
	assert_int_equal(disk_read(disk, MEDIUM_SECTORS, 1, &state), STATUS_RANGE);
	assert_int_equal(fake_host.errors + fake_host.warnings, 0);
	assert_true(fake_host.now - FAKE_START_NS < NS_PER_SECOND / 10);
}

// Wherever the buffer begins and however long it is.
static void test_buffers(void **state)
{
	static const unsigned starts[] = {0, 2, 512, 4094, 1, 3, 4095};
	static const unsigned counts[] = {1, 2, 7, 64, 65, 255, 256, 257, 600};
	uint8_t *room = aligned_alloc(4096, 78 * 4096), *medium = hba.ports[0].medium;

	for (unsigned pass = 0; pass < 2; pass++) {
		setup(state);
		if (pass == 1) { // a controller that reaches 4 GiB, and buffers behind
			hba.cap &= INT32_MAX;
			fake_host.has_low_memory = true;
		}
		assert_true((uintptr_t)room > 4 * GIB);
		assert_int_equal(probe(), 1);
		for (unsigned i = 0; i < ARRAY_COUNT(starts) * ARRAY_COUNT(counts); i++) {
			uint8_t *buffer = room + starts[i % ARRAY_COUNT(starts)];
			unsigned count = counts[i / ARRAY_COUNT(starts)], bytes = count * 512;

			memset(room, 0xee, 78 * 4096);
			assert_int_equal(disk_read(disk, 3, count, buffer), STATUS_OK);
			assert_memory_equal(buffer, medium + 512 * 3, bytes);
			assert_int_equal(buffer[bytes], 0xee);
			if (buffer > room)
				assert_int_equal(buffer[-1], 0xee);
			for (unsigned at = 0; at < bytes; at++)
				buffer[at] ^= (uint8_t)(i + 1);
			assert_int_equal(disk_write(disk, 3, count, buffer), STATUS_OK);
			assert_memory_equal(medium + 512 * 3, buffer, bytes);
		}
	}
	free(room);
	setup(state);
	hba.cap &= INT32_MAX;
	assert_int_equal(probe(), 0);
	assert_int_equal(fake_host.warnings, 3); // a port each
	assert_non_null(strstr(fake_host.log, "no memory"));
}

static void test_waits(void **state)
{
	(void)state;
	assert_int_equal(probe(), 1);
	check_waits(disk, hba.ports[0].medium, &hba.delay);
	setup(state);
	fake_host.in_fiber = fake_host.loop_runs = false;
	assert_int_equal(probe(), 1);
}

static void test_addresses(void **state)
{
	static const uint64_t sectors[] = {0, 0x0765432, 0x0fffffff - 4, 0x0fffffff, 0x10000000,
		0x123456789abc, (UINT64_C(1) << 48) - 4};

	for (unsigned i = 0; i < ARRAY_COUNT(sectors); i++) {
		uint8_t buffer[4 * 512], again[sizeof(buffer)];

		setup(state);
		identity_set(&hba.ports[0], BIT(48));
		hba.ports[0].medium_start = sectors[i];
		assert_int_equal(probe(), 1);
		assert_int_equal(disk->sectors, BIT(48));
		memset(buffer, (int)i + 1, sizeof(buffer));
		assert_int_equal(disk_write(disk, sectors[i], 4, buffer), STATUS_OK);
		assert_memory_equal(hba.ports[0].medium, buffer, sizeof(buffer));
		assert_int_equal(disk_read(disk, sectors[i], 4, again), STATUS_OK);
		assert_memory_equal(again, buffer, sizeof(buffer));
	}
}

static void test_large_sectors(void **state)
{
	(void)state;
	hba.ports[0].sector_bytes = 4096;
	hba.ports[0].identity[106] = 0x5000;
	hba.ports[0].identity[117] = 2048;
	identity_set(&hba.ports[1], 300);
	assert_int_equal(probe(), 1);
	assert_int_equal(disk->sector_bytes, 4096);
	assert_int_equal(disk->transfer_max, 32);
	check_transfers(disk, hba.ports[0].medium);
}

static void test_places(void **state)
{
	unsigned names;

	(void)state;
	hba.ports[0].kind = CDROM;
	hba.ports[1].kind = DISK;
	hba.ports[1].identity[49] = 0; // it has its name all the same
	hba.ports[3].kind = DISK;
	assert_int_equal(probe_first(3, &names), 1);
	assert_int_equal(names, 2);
	assert_string_equal(disk->name, "sde");
	assert_int_equal(disk->unit, 3);
	check_transfers(disk, hba.ports[3].medium);
	assert_non_null(strstr(fake_host.log, "port 0: an ATAPI device"));
	assert_non_null(strstr(fake_host.log, "sdd: it has cylinders"));
	assert_int_equal(fake_host.warnings, 1);
	setup(state);
	hba.ports[0].kind = MULTIPLIER;
	hba.ports[1].kind = STRANGE;
	assert_int_equal(probe_first(0, &names), 0);
	assert_int_equal(names + fake_host.warnings, 0);
	assert_non_null(strstr(fake_host.log, "port 0: a port multiplier"));
	assert_non_null(strstr(fake_host.log, "port 1: neither"));
	setup(state);
	hba.pi = 0xf;
	hba.ports[1].kind = hba.ports[2].kind = hba.ports[3].kind = DISK;
	assert_int_equal(probe_first(0, &names), 4);
	assert_ptr_not_equal(disk->lock, disk->next->lock);
	setup(state);
	hba.ports[1].kind = DISK;
	assert_int_equal(probe_first(25, &names), 1);
	assert_string_equal(disk->name, "sdz");
	assert_non_null(strstr(fake_host.log, "port 1: one disk too many"));
	assert_int_equal(ahci_probe(&(struct pci_function){.class = 0x0106}, 2), 0);
	assert_int_equal(ahci_probe(&(struct pci_function){.class = 0x0104, .interface = 1}, 2), 0);
}

// Disks that take their time, or for ever.
static void test_links(void **state)
{
	(void)state;
	hba.spin_up = 9 * NS_PER_SECOND;
	assert_int_equal(probe(), 1);
	check_transfers(disk, hba.ports[0].medium);
	setup(state);
	hba.ports[0].kind = NEVER_READY;
	check_refused("port 0: the device does not become ready");
	assert_true(fake_host.now - FAKE_START_NS < 12 * NS_PER_SECOND);
	setup(state);
	hba.ports[0].kind = NO_LINK;
	check_refused("port 0: there is a device, and no link");
	assert_true(fake_host.now - FAKE_START_NS < 2 * NS_PER_SECOND);
	setup(state);
	hba.ports[0].kind = ABSENT;
	assert_int_equal(probe(), 0);
	assert_int_equal(fake_host.warnings, 0);
	setup(state);
	hba.pi = 0;
	assert_int_equal(probe(), 0);
}

static void test_handoff(void **state)
{
	static const struct {
		uint32_t bohc;
		unsigned ends_ms; // 0: never
		unsigned warnings;
	} rows[] = {{0, 0, 0}, {1, 10, 0}, {1, 1000, 1}, {0x11, 1000, 0}, {0x11, 0, 1}, {1, 0, 1}};

	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++) {
		setup(state);
		hba.cap2 = 1;
		hba.bohc = rows[i].bohc;
		if (rows[i].ends_ms > 0)
			hba.bios_ends = fake_host.now + rows[i].ends_ms * UINT64_C(1000000);
		assert_int_equal(probe(), 1);
		assert_int_equal(hba.bohc & 2, 2);
		assert_int_equal(fake_host.warnings, rows[i].warnings);
		assert_true(fake_host.now - FAKE_START_NS < 3 * NS_PER_SECOND);
	}
}

static void test_refused_controllers(void **state)
{
	(void)state;
	fake_bar_set(function, 5, 0, BAR_BYTES, 0);
	check_refused("no addresses");
	setup(state);
	fake_bar_set(function, 5, 0, BAR_BYTES, 0x08000000); // in RAM
	check_refused("no addresses");
	setup(state);
	hba.pi = BIT(31) | 1;
	check_refused("not in its registers");
	setup(state);
	hba.is_gone = true;
	check_refused("does not answer");
	setup(state);
	hba.is_stuck = true;
	check_refused("does not reset");
	assert_true(fake_host.now - FAKE_START_NS < 3 * NS_PER_SECOND);
}

static void test_identities(void **state)
{
	static const struct {
		unsigned word;
		uint16_t value;
		unsigned disks;
		uint64_t sectors;
	} rows[] = {
		{49, 0, 0, 0},            // no LBA
		{60, 0, 1, MEDIUM_SECTORS}, // words 100 to 103 have it
		{83, 0, 0, 0},            // not 48 bits
		{83, 0xffff, 0, 0},       // not valid
		{103, 0xffff, 1, MEDIUM_SECTORS}, // more than 48 bits: words 60 and 61 then
		{106, 0x5000, 0, 0},      // sectors of 0 words
		{106, 0x1000, 1, MEDIUM_SECTORS}, // not valid
	};

	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++) {
		setup(state);
		hba.ports[0].identity[rows[i].word] = rows[i].value;
		assert_int_equal(probe(), rows[i].disks);
		assert_int_equal(fake_host.warnings, 1 - rows[i].disks);
		if (rows[i].disks > 0)
			assert_int_equal(disk->sectors, rows[i].sectors);
	}
	setup(state);
	identity_set(&hba.ports[0], 0);
	check_refused("no sectors");
	setup(state);
	hba.ports[0].identity[106] = 0x5000;
	hba.ports[0].identity[118] = 0x8000; // 2^32 bytes
	check_refused("size");
	setup(state);
	hba.ports[0].identity[83] = 1 << 14 | 1 << 12 | 1 << 10; // FLUSH CACHE alone
	assert_int_equal(probe(), 1);
	assert_int_equal(disk_flush(disk), STATUS_OK);
	assert_int_equal(hba.ports[0].flush_command, 0xe7);
	setup(state);
	hba.ports[0].identity[83] = 1 << 14 | 1 << 10; // nor that
	assert_int_equal(probe(), 1);
	assert_int_equal(disk_flush(disk), STATUS_OK);
	assert_int_equal(hba.ports[0].flushes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_works, setup),
		cmocka_unit_test_setup(test_buffers, setup),
		cmocka_unit_test_setup(test_waits, setup),
		cmocka_unit_test_setup(test_addresses, setup),
		cmocka_unit_test_setup(test_large_sectors, setup),
		cmocka_unit_test_setup(test_places, setup),
		cmocka_unit_test_setup(test_links, setup),
		cmocka_unit_test_setup(test_handoff, setup),
		cmocka_unit_test_setup(test_refused_controllers, setup),
		cmocka_unit_test_setup(test_identities, setup),
	};

	return cmocka_run_group_tests_name("ahci", tests, NULL, NULL);
}

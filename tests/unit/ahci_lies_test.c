// SPDX-License-Identifier: BSD-2-Clause
// AHCI disks and controllers that fail, or lie: AHCI 1.3.1, errors in 6.2.
#include "tests/unit/ahci_test.h"

// What any disk may say for itself, nothing breaks.
static void test_random_identities(void **state)
{
	uint64_t seed = 11;
	unsigned used = 0;

	for (unsigned i = 0; i < 300; i++) {
		uint8_t *sector;

		setup(state);
		for (unsigned n = 0; n < 256; n++) {
			seed = seed * 6364136223846793005 + 1442695040888963407;
			if ((seed >> 60) < 8)
				hba.ports[0].identity[n] = (uint16_t)(seed >> 40);
		}
		if (probe() == 0)
			continue;
		used++;
		assert_true(disk->sectors > 0 && disk->sectors <= BIT(48));
		hba.ports[0].medium_start = disk->sectors - 1;
		hba.ports[0].sector_bytes = disk->sector_bytes;
		sector = malloc(disk->sector_bytes);
		assert_int_equal(disk_read(disk, disk->sectors - 1, 1, sector), STATUS_OK);
		assert_int_equal(disk_read(disk, disk->sectors, 1, sector), STATUS_RANGE);
		free(sector);
	}
	assert_true(used > 0);
}

static void test_errors(void **state)
{
	static const struct {
		uint32_t causes;
		uint8_t status;
		unsigned resets; // of the link
	} rows[] = {
		{0, 0x51, 0}, {0, 0x70, 0}, {0, 0x59, 1}, {0, 0x71, 0}, {1 << 27, 0x50, 0},
		{1 << 27, 0xd0, 1}, {1 << 28, 0x50, 0}, {1 << 29, 0x80, 1}, {1 << 24, 0x50, 0},
	};
	uint8_t buffer[8 * 512] __attribute__((aligned(2)));

	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++) {
		struct port *port = &hba.ports[0];

		setup(state);
		assert_int_equal(probe(), 1);
		port->bad_sector = 105;
		port->bad_causes = rows[i].causes;
		port->bad_status = rows[i].status;
		port->bad_error = 0x40;
		assert_int_equal(disk_read(disk, 100, 8, buffer), STATUS_IO);
		assert_int_equal(fake_host.errors, 1);
		assert_non_null(strstr(fake_host.log, "sda: read at sector 100: status 0x"));
		assert_non_null(strstr(fake_host.log, "error 0x40"));
		assert_int_equal(port->resets, 1 + rows[i].resets);
		assert_int_equal(disk_write(disk, 105, 1, buffer), STATUS_IO);
		assert_int_equal(disk_flush(disk), STATUS_IO);
		assert_int_equal(fake_host.errors, 3);
		// It goes on.
		port->bad_status = 0;
		assert_int_equal(disk_read(disk, 106, 2, buffer), STATUS_OK);
		assert_memory_equal(buffer, port->medium + 106 * 512, 1024);
		assert_int_equal(disk_flush(disk), STATUS_OK);
		assert_false(disk->failed);
	}
	setup(state);
	assert_int_equal(probe(), 1);
	for (unsigned i = 0; i < 2; i++) {
		hba.ports[0].fault = i == 0 ? FAULT_SHORT : FAULT_LONG;
		assert_int_equal(disk_read(disk, 100, 8, buffer), STATUS_IO);
		assert_non_null(strstr(fake_host.log, "of a wrong length"));
	}
	// What went wrong while nobody asked for anything is no command's fault.
	setup(state);
	assert_int_equal(probe(), 1);
	hba.ports[0].is |= BIT(27);
	hba.ports[0].is_halted = true;
	check_transfers(disk, hba.ports[0].medium);
	assert_int_equal(fake_host.errors, 0);
}

static void check_dead(struct disk *at, const struct port *port)
{
	unsigned commands = port->commands, errors = fake_host.errors;
	uint8_t sector[512] __attribute__((aligned(2)));

	assert_true(at->failed);
	assert_int_equal(disk_read(at, 1, 1, sector), STATUS_IO);
	assert_int_equal(disk_write(at, 1, 1, sector), STATUS_IO);
	assert_int_equal(disk_flush(at), STATUS_IO);
	assert_int_equal(port->commands, commands);
	assert_int_equal(fake_host.errors, errors);
	assert_true(fake_host.longest_spin < 200000);
}

static void two_probe(void **state)
{
	setup(state);
	hba.ports[1].kind = DISK;
	assert_int_equal(probe(), 2);
}

static void test_lies(void **state)
{
	static const struct {
		enum fault fault;
		const char *reason;
	} rows[] = {{FAULT_SILENT, "no answer"}, {FAULT_PULLED, "the link is gone"},
		{FAULT_DEAD, "the link is gone"}};
	uint8_t sector[512] __attribute__((aligned(2)));

	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++) {
		two_probe(state);
		hba.ports[0].fault = rows[i].fault;
		assert_int_equal(disk_read(disk, 1, 1, sector), STATUS_IO);
		assert_int_equal(fake_host.errors, 1);
		assert_non_null(strstr(fake_host.log, rows[i].reason));
		assert_non_null(strstr(fake_host.log, "sda: read at sector 1: "));
		// This port is off, and the other one goes on.
		assert_int_equal(hba.ports[0].cmd & 0xc011, 0);
		hba.ports[0].fault = FAULT_NONE;
		check_dead(disk, &hba.ports[0]);
		assert_true(fake_host.now - FAKE_START_NS < 40 * NS_PER_SECOND);
		check_transfers(disk->next, hba.ports[1].medium);
	}
	// Another disk may be there now.
	two_probe(state);
	hba.ports[0].serr |= BIT(16) | BIT(26);
	assert_int_equal(disk_write(disk, 1, 1, sector), STATUS_IO);
	assert_non_null(strstr(fake_host.log, "the link was gone"));
	check_dead(disk, &hba.ports[0]);
}

// A port that does not stop takes the others with it.
static void test_stuck(void **state)
{
	static const enum fault faults[] = {FAULT_STUCK, FAULT_GONE};
	uint8_t sector[512] __attribute__((aligned(2)));

	for (unsigned i = 0; i < ARRAY_COUNT(faults); i++) {
		two_probe(state);
		hba.ports[0].fault = faults[i];
		assert_int_equal(disk_read(disk, 1, 1, sector), STATUS_IO);
		assert_int_equal(fake_config_get(function, PCI_COMMAND, 2) & 4, 0);
		check_dead(disk, &hba.ports[0]);
		assert_int_equal(disk_read(disk->next, 1, 1, sector), STATUS_IO);
		assert_true(fake_host.now - FAKE_START_NS < 40 * NS_PER_SECOND);
		check_dead(disk->next, &hba.ports[1]);
	}
}

static void other_reads(void)
{
	uint8_t sector[512] __attribute__((aligned(2)));

	fake_host.passes = hba_passes;
	hba.ports[0].fault = FAULT_STUCK;
	hba.delay = 0;
	assert_int_equal(disk_read(disk, 1, 1, sector), STATUS_IO);
}

// While another fiber waits for another disk.
static void test_stuck_beside(void **state)
{
	uint8_t sector[512] __attribute__((aligned(2)));

	two_probe(state);
	hba.delay = 100000;
	fake_host.passes = other_reads;
	assert_int_equal(disk_read(disk->next, 1, 1, sector), STATUS_IO);
	assert_non_null(strstr(fake_host.log, "sdb: read at sector 1: the controller had to be"));
	assert_int_equal(fake_host.errors, 2);
	check_dead(disk->next, &hba.ports[1]);
}

static void test_lies_at_start(void **state)
{
	static const enum fault faults[] = {FAULT_SILENT, FAULT_STUCK, FAULT_PULLED, FAULT_GONE,
		FAULT_SHORT, FAULT_LONG, FAULT_DEAD};

	for (unsigned i = 0; i < ARRAY_COUNT(faults); i++) {
		setup(state);
		hba.ports[0].fault = faults[i];
		check_refused("sda: ");
		assert_true(fake_host.now - FAKE_START_NS < 15 * NS_PER_SECOND);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_random_identities, setup),
		cmocka_unit_test_setup(test_errors, setup),
		cmocka_unit_test_setup(test_lies, setup),
		cmocka_unit_test_setup(test_stuck, setup),
		cmocka_unit_test_setup(test_stuck_beside, setup),
		cmocka_unit_test_setup(test_lies_at_start, setup),
	};

	return cmocka_run_group_tests_name("ahci_lies", tests, NULL, NULL);
}

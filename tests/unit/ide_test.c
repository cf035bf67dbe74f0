// SPDX-License-Identifier: BSD-2-Clause
// IDE disks against drives that are right, and against some that are not: ATA/ATAPI-6, chapters 6
// (addresses), 7 (registers), 8 (commands), 9 (protocols).
#include "tests/unit/ide_model.h"

static int setup(void **state)
{
	(void)state;
	fake_host_reset();
	fake_host.port_in = port_in;
	fake_host.port_out = port_out;
	memset(&ata, 0, sizeof(ata));
	ata.ports[0] = 0x1f0;
	ata.ports[1] = 0x170;
	ata.controls[0] = 0x3f6;
	ata.controls[1] = 0x376;
	ata.bad_sector = UINT64_MAX;
	for (unsigned i = 0; i < sizeof(ata.medium); i++)
		ata.medium[i] = (uint8_t)(i / 512 * 7 + i);
	for (unsigned i = 0; i < 4; i++) {
		ata.drives[i].status = DRDY;
		ata.drives[i].at = 256;
	}
	ata.drives[0].kind = DISK;
	identity_set(&ata.drives[0], MEDIUM_SECTORS);
	return 0;
}

static struct pci_function function = {.at = {0, 1, 1}, .class = 0x0101, .interface = 0x80};
static struct disk *disk; // the latest

// How many disks came.
static unsigned probe(void)
{
	unsigned before = 0, after = 0;

	if (fake_host.function_count == 0)
		(void)fake_function_add(0, 1, 1, 0x70108086, 0x0101);
	for (disk = disk_first(); disk != NULL; disk = disk->next)
		before++;
	assert_true(ide_probe(&function, 0));
	for (struct disk *at = disk_first(); at != NULL; at = at->next) {
		after++;
		disk = at;
	}
	return after - before;
}

static void test_works(void **state)
{
	static uint8_t buffer[290 * 512];

	(void)state;
	assert_int_equal(probe(), 1);
	assert_string_equal(disk->name, "hda");
	assert_string_equal(disk->model, "Reprise test  disk"); // what is not printable is a space
	assert_int_equal(disk->sectors, MEDIUM_SECTORS);
	assert_int_equal(disk->sector_bytes, 512);
	assert_int_equal(disk->unit, 0);
	assert_false(disk->read_only);
	assert_int_equal(fake_config_get(&fake_host.functions[0], PCI_COMMAND, 2) & 1, 1);
	assert_int_equal(disk_read(disk, 5, 290, buffer), STATUS_OK);
	assert_memory_equal(buffer, ata.medium + 5 * 512, sizeof(buffer));
	for (unsigned i = 0; i < sizeof(buffer); i++)
		buffer[i] ^= 0x5a;
	assert_int_equal(disk_write(disk, 9, 290, buffer), STATUS_OK);
	assert_memory_equal(ata.medium + 9 * 512, buffer, sizeof(buffer));
	assert_int_equal(disk_flush(disk), STATUS_OK);
	assert_int_equal(ata.drives[0].flushes, 1);
	assert_int_equal(ata.drives[0].extended, 0);
	assert_int_equal(disk_read(disk, MEDIUM_SECTORS, 1, buffer), STATUS_RANGE);
	assert_int_equal(fake_host.errors + fake_host.warnings, 0);
}

// A slow drive, and the fibers beside it.
static void test_waits(void **state)
{
	uint8_t buffer[4 * 512];

	(void)state;
	ata.latency = 20000;
	assert_int_equal(probe(), 1);
	fake_host.wake_comes = true;
	assert_int_equal(disk_read(disk, 5, 4, buffer), STATUS_OK);
	assert_memory_equal(buffer, ata.medium + 5 * 512, sizeof(buffer));
	assert_true(fake_host.waits > 4);
	assert_int_equal(fake_host.wakes_given, 1);
	assert_true(fake_host.longest_spin < 200000);
}

static void test_addresses(void **state)
{
	static const struct {
		uint64_t sector;
		unsigned count, extended;
	} rows[] = {
		{0x0fffffff - 4, 4, 0},
		{0x0fffffff - 4, 5, 1}, // the last one has no number of 28 bits
		{0x0fffffff - 4, 6, 1},
		{0x0fffffff, 1, 1},
		{0x10000000, 1, 1},
		{0x123456789abc, 4, 1},
		{BIT(48) - 4, 4, 1},
		{0x0765432, 4, 0},
	};

	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++) {
		uint8_t buffer[6 * 512], again[sizeof(buffer)];

		setup(state);
		identity_set(&ata.drives[0], BIT(48));
		ata.medium_start = rows[i].sector;
		assert_int_equal(probe(), 1);
		assert_int_equal(disk->sectors, BIT(48));
		memset(buffer, (int)i + 1, sizeof(buffer));
		assert_int_equal(disk_write(disk, rows[i].sector, rows[i].count, buffer),
			STATUS_OK);
		assert_memory_equal(ata.medium, buffer, rows[i].count * 512);
		assert_int_equal(disk_read(disk, rows[i].sector, rows[i].count, again), STATUS_OK);
		assert_memory_equal(again, buffer, rows[i].count * 512);
		assert_int_equal(ata.drives[0].extended, 2 * rows[i].extended);
	}
}

static void test_places(void **state)
{
	(void)state;
	ata.drives[0].kind = CDROM;
	ata.drives[1].kind = DISK;
	identity_set(&ata.drives[1], 100);
	ata.drives[3].kind = DISK;
	identity_set(&ata.drives[3], 200);
	assert_int_equal(probe(), 2);
	assert_string_equal(disk->name, "hdd");
	assert_int_equal(disk->unit, 3);
	assert_int_equal(disk->sectors, 200);
	assert_int_equal(disk_find("hdb")->sectors, 100);
	// The two of a channel share its lock.
	ata.drives[2].kind = DISK;
	identity_set(&ata.drives[2], 300);
	assert_int_equal(probe(), 3);
	assert_ptr_not_equal(disk->lock, disk_find("hdb")->lock);
	assert_true(ide_probe(&function, 1)); // the next controller's
	assert_non_null(disk_find("hdf"));
	assert_false(ide_probe(&(struct pci_function){.class = 0x0106}, 2));
}

static void test_nobody(void **state)
{
	static const uint8_t values[] = {0x00, 0xff, 0x7f, 0x80, 0x08, 0x88};

	for (unsigned i = 0; i < ARRAY_COUNT(values); i++) {
		setup(state);
		ata.drives[0].kind = ABSENT;
		ata.floating = values[i];
		assert_int_equal(probe(), 0);
		assert_int_equal(fake_host.warnings, 0);
		assert_true(fake_host.now - FAKE_START_NS < 5 * NS_PER_SECOND);
	}
	setup(state);
	ata.drives[0].kind = DEAD; // takes a command, and is busy from then on
	assert_int_equal(probe(), 0);
	assert_true(fake_host.now - FAKE_START_NS < 5 * NS_PER_SECOND);
}

static void test_identities(void **state)
{
	static const struct {
		unsigned word;
		uint16_t value;
		unsigned disks;
		uint64_t sectors;
	} rows[] = {
		{0, 0x8040, 0, 0},        // ATAPI
		{49, 0, 0, 0},            // no LBA
		{60, 0, 1, MEDIUM_SECTORS}, // words 100 to 103 have it
		{83, 0, 1, MEDIUM_SECTORS},
		{83, 0xffff, 1, MEDIUM_SECTORS}, // not valid
		{103, 0xffff, 1, MEDIUM_SECTORS}, // more than 48 bits: words 60 and 61 then
		{61, 0xffff, 1, BIT(28) - 1}, // more than 28 bits
		{106, 0x5000, 0, 0},      // sectors of 0 words
		{106, 0x1000, 1, MEDIUM_SECTORS}, // not valid
		{106, 0x4000, 1, MEDIUM_SECTORS},
	};

	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++) {
		setup(state);
		ata.drives[0].identity[rows[i].word] = rows[i].value;
		assert_int_equal(probe(), rows[i].disks);
		if (rows[i].disks > 0)
			assert_int_equal(disk->sectors, rows[i].sectors);
	}
	setup(state);
	identity_set(&ata.drives[0], 0);
	assert_int_equal(probe(), 0);
	assert_int_equal(fake_host.warnings, 1);
	setup(state);
	ata.drives[0].identity[83] = 1 << 14 | 1 << 12; // FLUSH CACHE alone
	assert_int_equal(probe(), 1);
	assert_int_equal(disk_flush(disk), STATUS_OK);
	assert_int_equal(ata.drives[0].flushes, 1);
	setup(state);
	ata.drives[0].identity[83] = 1 << 14; // nor that
	assert_int_equal(probe(), 1);
	assert_int_equal(disk_flush(disk), STATUS_OK);
	assert_int_equal(ata.drives[0].flushes, 0);
}

// What any drive may say for itself, nothing breaks.
static void test_random_identities(void **state)
{
	uint64_t seed = 11;

	for (unsigned i = 0; i < 300; i++) {
		uint8_t sector[512];

		setup(state);
		for (unsigned n = 0; n < 256; n++) {
			seed = seed * 6364136223846793005 + 1442695040888963407;
			if ((seed >> 60) < 8)
				ata.drives[0].identity[n] = (uint16_t)(seed >> 40);
		}
		if (probe() == 0)
			continue;
		assert_true(disk->sectors > 0 && disk->sectors <= BIT(48));
		ata.medium_start = disk->sectors - 1;
		assert_int_equal(disk_read(disk, disk->sectors - 1, 1, sector), STATUS_OK);
		assert_int_equal(disk_read(disk, disk->sectors, 1, sector), STATUS_RANGE);
	}
}

static void test_errors(void **state)
{
	static const uint8_t statuses[] = {DRDY | ERR, DRDY | DF, DRDY | ERR | DRQ, DRDY, 0};
	uint8_t buffer[8 * 512];

	for (unsigned i = 0; i < ARRAY_COUNT(statuses); i++) {
		setup(state);
		assert_int_equal(probe(), 1);
		ata.bad_sector = 105;
		ata.bad_status = statuses[i];
		ata.bad_error = 0x40;
		assert_int_equal(disk_read(disk, 100, 8, buffer), STATUS_IO);
		assert_int_equal(fake_host.errors, 1);
		assert_non_null(strstr(fake_host.log, "hda: read at sector 105: status 0x"));
		assert_non_null(strstr(fake_host.log, "error 0x40"));
		assert_memory_equal(buffer, ata.medium + 100 * 512, 5 * 512);
		assert_int_equal(disk_write(disk, 105, 1, buffer), STATUS_IO);
		// It goes on.
		assert_int_equal(disk_read(disk, 106, 2, buffer), STATUS_OK);
		assert_int_equal(ata.drives[0].resets, statuses[i] & DRQ ? 2 : 0);
	}
	setup(state);
	assert_int_equal(probe(), 1);
	ata.bad_status = ERR;
	assert_int_equal(disk_flush(disk), STATUS_IO);
	ata.bad_status = DF;
	assert_int_equal(disk_flush(disk), STATUS_IO);
	ata.bad_status = 0;
	assert_int_equal(disk_flush(disk), STATUS_OK);
}

static void test_hangs(void **state)
{
	uint8_t buffer[8 * 512];

	for (unsigned i = 0; i < 3; i++) {
		setup(state);
		assert_int_equal(probe(), 1);
		ata.hangs_at_bad = true;
		ata.bad_sector = 3;
		ata.bad_status = DRDY | DRQ;
		if (i == 2) { // before a command is taken
			ata.drives[0].busy = UINT32_MAX;
			assert_int_equal(disk_flush(disk), STATUS_IO);
		} else if (i == 1) {
			assert_int_equal(disk_write(disk, 0, 8, buffer), STATUS_IO);
		} else {
			assert_int_equal(disk_read(disk, 0, 8, buffer), STATUS_IO);
		}
		assert_non_null(strstr(fake_host.log, "not used any more"));
		assert_int_equal(ata.drives[0].resets, 1);
		assert_true(fake_host.now - FAKE_START_NS < 70 * NS_PER_SECOND);
		assert_true(fake_host.longest_spin < 200000);
		// Nor would it be if it had come to itself.
		ata.bad_sector = UINT64_MAX;
		assert_int_equal(disk_read(disk, 0, 8, buffer), STATUS_IO);
		assert_int_equal(disk_flush(disk), STATUS_IO);
		assert_int_equal(fake_host.errors, 1);
	}
}

static void test_native(void **state)
{
	struct fake_function *made = fake_function_add(0, 1, 1, 0x70108086, 0x0101);
	uint8_t buffer[512];

	ata.ports[0] = 0xc000;
	ata.controls[0] = 0xc012; // the third byte of the BAR
	fake_bar_set(made, 0, 1, 8, 0xc000);
	fake_bar_set(made, 1, 1, 4, 0xc010);
	function.interface = 0x81;
	assert_int_equal(probe(), 1);
	assert_int_equal(disk_read(disk, 5, 1, buffer), STATUS_OK);
	assert_memory_equal(buffer, ata.medium + 5 * 512, 512);
	setup(state);
	made = fake_function_add(0, 1, 1, 0x70108086, 0x0101);
	fake_bar_set(made, 0, 1, 8, 0);
	fake_bar_set(made, 1, 1, 4, 0);
	assert_int_equal(probe(), 0);
	assert_int_equal(fake_host.warnings, 1);
	function.interface = 0x80;
}

// Two controllers that both claim the ports of a PC: the first one has them.
static void test_same_ports(void **state)
{
	const struct pci_function *at, *two[2] = {NULL, NULL};

	(void)state;
	(void)fake_function_add(0, 1, 0, 0x70108086, 0x0101);
	(void)fake_function_add(0, 2, 0, 0x70108086, 0x0101);
	pci_init(&fake_host.info);
	for (at = pci_first(); at != NULL; at = at->next) {
		two[0] = two[1];
		two[1] = at;
	}
	assert_non_null(two[0]);
	assert_true(ide_probe(two[0], 0));
	assert_int_equal(fake_host.warnings, 0);
	ata.selected[0] = 1; // nobody touches it
	assert_true(ide_probe(two[1], 1));
	assert_int_equal(fake_host.warnings, 2);
	assert_int_equal(ata.selected[0], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_works, setup),
		cmocka_unit_test_setup(test_waits, setup),
		cmocka_unit_test_setup(test_addresses, setup),
		cmocka_unit_test_setup(test_places, setup),
		cmocka_unit_test_setup(test_nobody, setup),
		cmocka_unit_test_setup(test_identities, setup),
		cmocka_unit_test_setup(test_random_identities, setup),
		cmocka_unit_test_setup(test_errors, setup),
		cmocka_unit_test_setup(test_hangs, setup),
		cmocka_unit_test_setup(test_native, setup),
		cmocka_unit_test_setup(test_same_ports, setup), // leaves functions behind
	};

	return cmocka_run_group_tests_name("ide", tests, NULL, NULL);
}

// SPDX-License-Identifier: BSD-2-Clause
// NVMe disks and controllers that fail, or lie: NVM Express 1.4, completions in 4.6, the
// controller's status in 3.1.6.
#include "tests/unit/nvme_test.h"

// The controller answers as it should, that it cannot.
static void test_errors(void **state)
{
	static const uint16_t answers[] = {1, 0x281, 0x80, 0x700, 0x7ff};
	uint8_t sector[512] __attribute__((aligned(4)));

	(void)state;
	assert_int_equal(probe(), 1);
	for (unsigned i = 0; i < ARRAY_COUNT(answers); i++) {
		device.answer = answers[i];
		assert_int_equal(disk_read(disk, 1, 1, sector), STATUS_IO);
		assert_int_equal(disk_write(disk, 1, 1, sector), STATUS_IO);
		assert_int_equal(disk_flush(disk), STATUS_IO);
		assert_int_equal(fake_host.errors, 3 * (i + 1));
	}
	assert_non_null(strstr(fake_host.log, "read at sector 1: status type 2, code 0x81"));
	device.answer = 0;
	check_transfers(disk, device.namespaces[0].medium);
	assert_int_equal(device.resets, 1);
}

static const enum fault lies[] = {FAULT_SILENT, FAULT_STUCK, FAULT_PHASE, FAULT_FATAL, FAULT_GONE,
	FAULT_STOPS, FAULT_ID, FAULT_QUEUE, FAULT_HEAD, FAULT_HEAD_LARGE};
static const char *const reasons[] = {"no answer", "no answer", "no answer", "a fatal error",
	"it is gone", "it has stopped", "another command", "another command", "lost its place",
	"lost its place"};

static void check_dead(void)
{
	unsigned requests = device.requests, errors = fake_host.errors;
	uint8_t sector[512] __attribute__((aligned(4)));

	assert_true(disk->failed && disk->next->failed);
	assert_int_equal(fake_config_get(function, PCI_COMMAND, 2) & 4, 0);
	device.fault = FAULT_NONE; // nor if it comes to itself
	for (struct disk *at = disk; at != NULL; at = at->next) {
		assert_int_equal(disk_read(at, 1, 1, sector), STATUS_IO);
		assert_int_equal(disk_write(at, 1, 1, sector), STATUS_IO);
		assert_int_equal(disk_flush(at), STATUS_IO);
	}
	assert_int_equal(device.requests, requests);
	assert_int_equal(fake_host.errors, errors);
	assert_true(fake_host.longest_spin < 200000);
	assert_true(fake_host.now - FAKE_START_NS < 40 * NS_PER_SECOND);
}

static void two_probe(void **state)
{
	setup(state);
	namespace_set(1, 2, 9);
	list_set();
	assert_int_equal(probe(), 2);
}

static void test_lies(void **state)
{
	uint8_t sector[512] __attribute__((aligned(4)));

	for (unsigned i = 0; i < ARRAY_COUNT(lies); i++) {
		two_probe(state);
		assert_int_equal(disk_read(disk, 1, 1, sector), STATUS_OK);
		device.fault = lies[i];
		assert_int_equal(disk_read(disk, 1, 1, sector), STATUS_IO);
		assert_int_equal(fake_host.errors, 1);
		assert_non_null(strstr(fake_host.log, "nvme0 is not used any more"));
		assert_non_null(strstr(fake_host.log, reasons[i]));
		if (i >= 3) // it is not waited for what cannot come
			assert_true(fake_host.now - FAKE_START_NS < NS_PER_SECOND);
		check_dead();
	}
	// One answer too many shows with the next command, as does one that nobody asked for.
	two_probe(state);
	device.fault = FAULT_TWICE;
	assert_int_equal(disk_read(disk, 1, 1, sector), STATUS_OK);
	assert_int_equal(disk_read(disk->next, 1, 1, sector), STATUS_IO);
	assert_non_null(strstr(fake_host.log, "nobody's"));
	check_dead();
	two_probe(state);
	answer_write(1, 7, 0, false);
	assert_int_equal(disk_flush(disk), STATUS_IO);
	check_dead();
}

// The same while it is started.
static void test_lies_at_start(void **state)
{
	static const enum fault faults[] = {FAULT_NO_RESET, FAULT_NO_READY, FAULT_FATAL_READY};

	for (unsigned i = 0; i < ARRAY_COUNT(faults); i++) {
		setup(state);
		device.fault = faults[i];
		check_refused(i == 0 ? "does not reset" : "does not become ready");
		assert_true(fake_host.now - FAKE_START_NS < 5 * NS_PER_SECOND);
	}
	// With each admin command: of queues, Identify, of the second namespace.
	for (unsigned i = 0; i < ARRAY_COUNT(lies); i++)
		for (unsigned after = 0; after < 7; after++) {
			setup(state);
			namespace_set(1, 2, 9);
			list_set();
			device.fault = lies[i];
			device.fault_after = after;
			check_refused("disk: NVMe at 00:04.0: ");
			assert_true(fake_host.now - FAKE_START_NS < 20 * NS_PER_SECOND);
		}
}

// What any controller may say for itself, nothing breaks.
static void test_random(void **state)
{
	uint64_t seed = 5;
	unsigned used = 0;

	for (unsigned i = 0; i < 500; i++) {
		uint8_t *places[] = {device.identity, device.list, device.namespaces[0].identity};

		setup(state);
		for (unsigned n = 0; n < 60; n++) {
			unsigned offset, place;

			seed = seed * 6364136223846793005 + 1442695040888963407;
			place = (unsigned)(seed >> 40) % 3;
			offset = (unsigned)(seed >> 48) % (place == 0 ? 600 : 160);
			if (seed >> 62 != 0)
				places[place][offset] = (uint8_t)(seed >> 32);
		}
		used += probe();
		for (struct disk *at = disk; at != NULL; at = at->next) {
			uint8_t *buffer = malloc(at->sector_bytes);

			assert_true(at->sectors > 0);
			if ((MEDIUM_BYTES / at->sector_bytes) <= at->sectors)
				assert_int_equal(disk_read(at, MEDIUM_BYTES / at->sector_bytes - 1,
					1, buffer), STATUS_OK);
			assert_int_equal(disk_read(at, at->sectors, 1, buffer), STATUS_RANGE);
			free(buffer);
		}
	}
	assert_true(used > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_errors, setup),
		cmocka_unit_test_setup(test_lies, setup),
		cmocka_unit_test_setup(test_lies_at_start, setup),
		cmocka_unit_test_setup(test_random, setup),
	};

	return cmocka_run_group_tests_name("nvme_lies", tests, NULL, teardown_all);
}

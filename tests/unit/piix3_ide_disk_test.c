// SPDX-License-Identifier: BSD-2-Clause
// Disks of the IDE function: what they say of themselves, and of errors. ACS-3, ATA/ATAPI-7.
#include "tests/unit/ide_bench.h"

static void the_disk_says_what_it_is(void **state)
{
	uint8_t page[ATA_SECTOR_BYTES];
	uint8_t sum = 0;

	(void)state;
	out(STATUS, ATA_IDENTIFY_DEVICE);
	read_page(page);
	for (unsigned i = 0; i < sizeof(page); i++)
		sum = (uint8_t)(sum + page[i]);
	assert_int_equal(sum, 0);
	assert_int_equal(word_of(page, 0), 0x40);
	assert_memory_equal(page + 20, "esirla              ", 20); // words, their upper byte first
	assert_memory_equal(page + 54, "ERRPSI EAHDRIDKS", 14);
	assert_int_equal(word_of(page, 60) | word_of(page, 61) << 16, SECTORS);
	assert_int_equal(word_of(page, 100) | word_of(page, 101) << 16, SECTORS);
	assert_int_equal(word_of(page, 1), SECTORS / 1008);
	assert_int_equal(word_of(page, 59), 0x108);
	assert_int_equal(word_of(page, 63), 0x07);
	assert_int_equal(word_of(page, 85), 0x69);
	out(COUNT, 0x22); // MWDMA 2
	out(ERROR, ATA_FEATURE_TRANSFER_MODE);
	out(STATUS, ATA_SET_FEATURES);
	expect_done();
	out(COUNT, 0x46); // there is no UDMA 6
	out(STATUS, ATA_SET_FEATURES);
	expect_failed(ATA_ERROR_ABRT);
	out(COUNT, 4);
	out(STATUS, ATA_SET_MULTIPLE_MODE);
	expect_done();
	out(STATUS, ATA_IDENTIFY_DEVICE);
	read_page(page);
	assert_int_equal(word_of(page, 63), 0x0407);
	assert_int_equal(word_of(page, 59), 0x104);
}

static void errors_say_where(void **state)
{
	(void)state;
	command(ATA_READ_SECTORS, 0x54321, 1); // beyond the end
	expect_failed(ATA_ERROR_IDNF);
	command(ATA_READ_SECTORS_EXT, SECTORS - 1, 2);
	expect_failed(ATA_ERROR_IDNF);
	command(0xff, 0, 1);
	expect_failed(ATA_ERROR_ABRT);
	command(ATA_NOP, 0, 1);
	expect_failed(ATA_ERROR_ABRT);
	command(ATA_VERIFY, 0x10000, 0);
	expect_asked(0, DEVICE_IO_READ, 0x10000, DEVICE_IO_BYTES_MAX);
	complete(STATUS_OK);
	expect_asked(0, DEVICE_IO_READ, 0x10040, DEVICE_IO_BYTES_MAX);
	complete(STATUS_IO);
	assert_int_equal(in(LOW), 0x40);
	assert_int_equal(in(MIDDLE), 0);
	assert_int_equal(in(HIGH), 1);
	expect_failed(ATA_ERROR_UNC);
	out(STATUS, ATA_READ_MULTIPLE); // of the same registers
	assert_int_equal(env.submits, 1);
	complete(STATUS_RANGE);
	env.submits = 0;
	expect_failed(ATA_ERROR_IDNF);
}

// ATA-7, 6.2: by cylinder, head and sector, of a translation that can be set.
static void old_addresses_are_understood(void **state)
{
	(void)state;
	command(ATA_READ_SECTORS, (2 << 8) | 3, 1);
	control(ATA_CONTROL_SRST);
	control(0);
	address((2 << 8) | 3, 1);
	out(DEVICE, 5);
	fake_clear(&env);
	out(STATUS, ATA_READ_SECTORS);
	expect_asked(0, DEVICE_IO_READ, (2 * 16 + 5) * 63 + 2, ATA_SECTOR_BYTES);
	complete(STATUS_IO);
	assert_int_equal(in(LOW), 3);
	assert_int_equal(in(MIDDLE), 2);
	assert_int_equal(in(DEVICE), 0xa5);
	expect_failed(ATA_ERROR_UNC);
	out(COUNT, 17);
	out(DEVICE, 3);
	out(STATUS, ATA_INITIALIZE_DEVICE_PARAMETERS);
	expect_done();
	out(STATUS, ATA_READ_SECTORS);
	env.submits = 0;
	assert_int_equal(env.io.offset, ((2 * 4 + 3) * 17 + 2) * ATA_SECTOR_BYTES);
	complete(STATUS_IO);
	out(LOW, 18);
	out(STATUS, ATA_READ_SECTORS);
	expect_failed(ATA_ERROR_IDNF);
	out(LOW, 0);
	out(STATUS, ATA_SEEK);
	expect_failed(ATA_ERROR_IDNF);
}

static void smart(uint8_t feature, uint8_t low)
{
	address(ATA_SMART_SIGNATURE | low, 1);
	out(ERROR, feature);
	out(STATUS, ATA_SMART);
}

static void its_health_is_told(void **state)
{
	uint8_t page[ATA_SECTOR_BYTES], sum = 0;

	(void)state;
	smart(ATA_SMART_READ_DATA, 0);
	read_page(page);
	for (unsigned i = 0; i < sizeof(page); i++)
		sum = (uint8_t)(sum + page[i]);
	assert_int_equal(sum, 0);
	assert_int_equal(page[2], 5);
	smart(ATA_SMART_READ_THRESHOLDS, 0);
	read_page(page);
	assert_int_equal(page[3], 10);
	smart(ATA_SMART_RETURN_STATUS, 0);
	assert_int_equal(in(MIDDLE), 0x4f);
	assert_int_equal(in(HIGH), 0xc2);
	expect_done();
	smart(ATA_SMART_EXECUTE, 1);
	expect_done();
	smart(ATA_SMART_READ_LOG, ATA_LOG_SELF_TESTS);
	read_page(page);
	assert_int_equal(page[508], 1);
	smart(ATA_SMART_READ_LOG, ATA_LOG_DIRECTORY);
	read_page(page);
	assert_int_equal(page[2 * ATA_LOG_SUMMARY_ERRORS], 1);
	smart(ATA_SMART_READ_LOG, ATA_LOG_EXTENDED_SELF_TESTS);
	expect_failed(ATA_ERROR_ABRT);
	address(ATA_LOG_EXTENDED_SELF_TESTS, 1);
	out(STATUS, ATA_READ_LOG_EXT);
	read_page(page);
	assert_int_equal(page[2], 1);
	address(ATA_LOG_DIRECTORY, 2);
	out(STATUS, ATA_READ_LOG_EXT);
	expect_failed(ATA_ERROR_ABRT);
	smart(ATA_SMART_DISABLE, 0);
	expect_done();
	smart(ATA_SMART_READ_DATA, 0);
	expect_failed(ATA_ERROR_ABRT);
	smart(ATA_SMART_ENABLE, 0);
	expect_done();
}

static void it_rests_and_wakes(void **state)
{
	(void)state;
	out(STATUS, ATA_STANDBY_IMMEDIATE);
	complete(STATUS_OK);
	(void)in(STATUS);
	env.submits = 0;
	out(STATUS, ATA_CHECK_POWER_MODE);
	assert_int_equal(in(COUNT), 0);
	expect_done();
	out(STATUS, ATA_IDLE_IMMEDIATE);
	expect_done();
	out(STATUS, ATA_CHECK_POWER_MODE);
	assert_int_equal(in(COUNT), 0xff);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_disk_says_what_it_is),
		TEST(errors_say_where),
		TEST(old_addresses_are_understood),
		TEST(its_health_is_told),
		TEST(it_rests_and_wakes),
	};

	return cmocka_run_group_tests_name("piix3_ide_disk", tests, NULL, NULL);
}

// SPDX-License-Identifier: BSD-2-Clause
// Bus masters of the IDE function: Bus Master IDE 1.0.
#include "tests/unit/ide_bench.h"

static void data_move_by_dma(void **state)
{
	(void)state;
	entry(0, MEMORY, 512);
	entry(1, MEMORY + 0x1000, 1024 | 0x80000000);
	command(ATA_READ_DMA_EXT, 9, 3);
	assert_int_equal(status(), DATA);
	assert_int_equal(env.submits, 0);
	fake_save_and_load(&env);
	master(IDE_MASTER_START); // the wrong direction
	assert_int_equal(env.submits, 0);
	master(0);
	master(IDE_MASTER_START | IDE_MASTER_TO_MEMORY);
	expect_asked(0, DEVICE_IO_READ, 9, 1536);
	assert_int_equal(env.io_pieces[1].at.v, MEMORY + 0x1000);
	assert_int_equal(env.io_pieces[1].bytes, 1024);
	assert_int_equal(master_status(), IDE_MASTER_ACTIVE);
	fake_save_and_load(&env);
	complete(STATUS_OK);
	assert_int_equal(master_status(), IDE_MASTER_INTERRUPT);
	expect_done();
	fake_write(&env, IDE_REGION_BUS_MASTER, 2, 1, IDE_MASTER_INTERRUPT | 0x60);
	assert_int_equal(master_status(), 0x60);
}

// In parts that a back end takes; a table of more than is needed leaves the master active.
static void long_transfers_have_parts(void **state)
{
	(void)state;
	entry(0, 0, 0); // 64 KiB
	entry(1, 0, 0x80000000);
	command(ATA_WRITE_DMA, 0, 129);
	master(IDE_MASTER_START);
	expect_asked(0, DEVICE_IO_WRITE, 0, DEVICE_IO_BYTES_MAX);
	complete(STATUS_OK);
	expect_asked(0, DEVICE_IO_WRITE, 64, DEVICE_IO_BYTES_MAX);
	complete(STATUS_OK);
	expect_asked(0, DEVICE_IO_WRITE, 128, ATA_SECTOR_BYTES);
	complete(STATUS_OK);
	assert_int_equal(master_status(), IDE_MASTER_INTERRUPT | IDE_MASTER_ACTIVE);
	expect_done();
	for (unsigned i = 0; i < 20; i++)
		entry(i, MEMORY, 512 | (i == 19 ? 0x80000000 : 0));
	master(0);
	command(ATA_READ_DMA, 0, 20);
	master(IDE_MASTER_START | IDE_MASTER_TO_MEMORY);
	expect_asked(0, DEVICE_IO_READ, 0, 16 * 512);
	complete(STATUS_OK);
	expect_asked(0, DEVICE_IO_READ, 16, 4 * 512);
	complete(STATUS_OK);
	expect_done();
}

// 3.1: a table that is too short ends the transfer, and the command waits for ever.
static void bad_tables_do_no_harm(void **state)
{
	(void)state;
	entry(0, MEMORY, 512 | 0x80000000);
	command(ATA_READ_DMA, 0, 2);
	master(IDE_MASTER_START | IDE_MASTER_TO_MEMORY);
	expect_asked(0, DEVICE_IO_READ, 0, 512);
	complete(STATUS_OK);
	assert_int_equal(env.submits, 0);
	assert_int_equal(status(), DATA);
	assert_int_equal(master_status(), 0);
	assert_false(interrupts());
	control(ATA_CONTROL_SRST);
	assert_int_equal(status(), ATA_STATUS_BSY);
	control(0);
	assert_int_equal(status(), READY);
	command(ATA_READ_DMA, 0, 1);
	master(0);
	fake_write(&env, IDE_REGION_BUS_MASTER, 4, 4, 0xfffffff8); // nowhere
	fake_write(&env, IDE_REGION_BUS_MASTER, 0, 1, IDE_MASTER_START | IDE_MASTER_TO_MEMORY);
	assert_int_equal(master_status(), IDE_MASTER_ERROR);
	assert_int_equal(status(), DATA);
	control(ATA_CONTROL_SRST);
	control(0);
	fake_write(&env, IDE_REGION_BUS_MASTER, 2, 1, IDE_MASTER_ERROR);
	command(ATA_READ_DMA, 0, 1);
	env.submit_answer = STATUS_RANGE; // what the entry names is no memory
	master(0);
	master(IDE_MASTER_START | IDE_MASTER_TO_MEMORY);
	env.submits = 0;
	assert_int_equal(master_status(), IDE_MASTER_ERROR | IDE_MASTER_INTERRUPT);
	expect_failed(ATA_ERROR_ABRT);
	env.submit_answer = STATUS_OK;
	config_write(PCIDEV_COMMAND, 2, PCIDEV_COMMAND_PORT); // no master of the bus
	command(ATA_READ_DMA, 0, 1);
	master(0);
	master(IDE_MASTER_START | IDE_MASTER_TO_MEMORY);
	assert_int_equal(env.submits, 0);
}

static void what_is_stopped_is_lost(void **state)
{
	uint64_t request;

	(void)state;
	entry(0, MEMORY, 512 | 0x80000000);
	command(ATA_READ_DMA, 0, 1);
	master(IDE_MASTER_START | IDE_MASTER_TO_MEMORY);
	request = env.io.request;
	master(0);
	assert_int_equal(env.drops, 1);
	assert_int_equal(env.dropped, request);
	assert_int_equal(status(), DATA);
	fake_save_and_load(&env);
	master(IDE_MASTER_START | IDE_MASTER_TO_MEMORY);
	assert_int_not_equal(env.io.request, request);
	fake_complete(&env, 0, request, STATUS_OK); // nobody waits for that one
	assert_int_equal(status(), ATA_STATUS_BSY);
	fake_reset(&env, DEVICE_RESET_LINE);
	assert_int_equal(status(), READY);
}

static void a_busy_back_end_is_asked_again(void **state)
{
	static const uint8_t commands[] = {ATA_READ_DMA, ATA_READ_SECTORS, ATA_WRITE_SECTORS,
		ATA_VERIFY, ATA_FLUSH_CACHE};

	(void)state;
	entry(0, MEMORY, 512 | 0x80000000);
	for (size_t i = 0; i < ARRAY_COUNT(commands); i++) {
		env.submit_answer = STATUS_BUSY;
		command(commands[i], 5, 1);
		master(0);
		master(IDE_MASTER_START | IDE_MASTER_TO_MEMORY);
		if (commands[i] == ATA_WRITE_SECTORS)
			write_block(3, ATA_SECTOR_BYTES);
		assert_int_equal(status(), ATA_STATUS_BSY);
		fake_save_and_load(&env);
		env.submits = 0;
		fake_advance(&env, 1000000);
		assert_true(env.submits != 0);
		env.submit_answer = STATUS_OK;
		env.submits = 0;
		fake_advance(&env, 1000000);
		assert_int_equal(env.submits, 1);
		env.submits = 0;
		complete(STATUS_OK);
		if (commands[i] == ATA_READ_SECTORS)
			for (unsigned n = 0; n < ATA_SECTOR_BYTES; n += 2)
				(void)fake_read(&env, IDE_REGION_COMMAND, 0, 2);
		assert_int_equal(in(STATUS), READY);
	}
}

// ACS-3 7.5: ranges, those of no sectors passed over.
static void ranges_are_trimmed(void **state)
{
	uint64_t ranges[] = {0, UINT64_C(3) << 48 | 100, 0, UINT64_C(1) << 48 | (SECTORS - 1)};

	(void)state;
	memset(env.ram + MEMORY, 0, ATA_SECTOR_BYTES);
	memcpy(env.ram + MEMORY, ranges, sizeof(ranges));
	entry(0, MEMORY, 512 | 0x80000000);
	out(ERROR, 0);
	out(ERROR, ATA_TRIM);
	command(ATA_DATA_SET_MANAGEMENT, 0, 1);
	master(IDE_MASTER_START);
	assert_int_equal(env.io.bytes, 3 * ATA_SECTOR_BYTES);
	expect_asked(0, DEVICE_IO_DISCARD, 100, 3 * ATA_SECTOR_BYTES);
	fake_save_and_load(&env);
	complete(STATUS_OK);
	expect_asked(0, DEVICE_IO_DISCARD, SECTORS - 1, ATA_SECTOR_BYTES);
	complete(STATUS_OK);
	expect_done();
	ranges[0] = UINT64_C(2) << 48 | (SECTORS - 1);
	memcpy(env.ram + MEMORY, ranges, sizeof(ranges));
	master(0);
	command(ATA_DATA_SET_MANAGEMENT, 0, 1);
	master(IDE_MASTER_START);
	expect_failed(ATA_ERROR_IDNF);
	command(ATA_DATA_SET_MANAGEMENT, 0, 9);
	expect_failed(ATA_ERROR_ABRT);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(data_move_by_dma),
		TEST(long_transfers_have_parts),
		TEST(bad_tables_do_no_harm),
		TEST(what_is_stopped_is_lost),
		TEST(a_busy_back_end_is_asked_again),
		TEST(ranges_are_trimmed),
	};

	return cmocka_run_group_tests_name("piix3_ide_master", tests, NULL, NULL);
}

// SPDX-License-Identifier: BSD-2-Clause
// The AHCI function: lists and tables, commands that are not queued, and their errors. AHCI 1.3.1.
#include "tests/unit/ahci_bench.h"

// 4.2.2: PRDBC; 10.3.5 of Serial ATA: the frame.
static void data_moves_by_the_table(void **state)
{
	(void)state;
	prepare(0, ATA_READ_DMA_EXT, 0x12345, 2);
	entry(0, 0, MEMORY, 511 - 2);
	entry(0, 1, MEMORY + 0x1000, 1);
	entry(0, 2, MEMORY + 0x2001, 511 | AHCI_ENTRY_TELLS); // its lowest bit is nobody's
	header(0, 0, 3);
	issue(0);
	expect_asked(DEVICE_IO_READ, 0x12345 * 512, 1024);
	assert_int_equal(env.io.piece_count, 3);
	assert_int_equal(env.io_pieces[0].bytes, 510);
	assert_int_equal(env.io_pieces[1].at.v, MEMORY + 0x1000);
	assert_int_equal(env.io_pieces[2].at.v, MEMORY + 0x2000);
	assert_int_equal(task() & ATA_STATUS_BSY, ATA_STATUS_BSY);
	assert_int_equal(in(AHCI_CI), 1);
	assert_int_equal(in(AHCI_CMD) & AHCI_CMD_RUNS, AHCI_CMD_RUNS);
	fake_save_and_load(&env);
	complete(STATUS_OK);
	assert_int_equal(moved(0), 1024);
	assert_int_equal(frames(AHCI_FRAME_REGISTER)[0], AHCI_KIND_REGISTER);
	assert_int_equal(frames(AHCI_FRAME_REGISTER)[1], AHCI_FLAG_INTERRUPT);
	assert_int_equal(frames(AHCI_FRAME_REGISTER)[2], READY);
	assert_int_equal(frames(AHCI_FRAME_REGISTER)[4], 0x45);
	assert_int_equal(task(), READY);
	expect_interrupt(AHCI_INTERRUPT_REGISTER | AHCI_INTERRUPT_ENTRY);
}

// More of an entry than a request can have, and more entries.
static void long_tables_are_gone_through_in_parts(void **state)
{
	(void)state;
	prepare(0, ATA_WRITE_DMA_EXT, 7, 128);
	entry(0, 0, MEMORY, 0x8000 - 1);
	for (unsigned i = 1; i < 20; i++)
		entry(0, i, 0x200 * i, 0x200 - 1);
	entry(0, 20, 0, 0x3fffff);
	header(0, WRITES, 21);
	issue(0);
	expect_asked(DEVICE_IO_WRITE, 7 * 512, 0x8000);
	complete(STATUS_OK);
	expect_asked(DEVICE_IO_WRITE, 7 * 512 + 0x8000, 16 * 0x200);
	fake_save_and_load(&env);
	complete(STATUS_OK);
	expect_asked(DEVICE_IO_WRITE, 7 * 512 + 0xa000, 0x6000);
	assert_int_equal(env.io.piece_count, 4);
	complete(STATUS_OK);
	assert_int_equal(moved(0), 0x10000);
	expect_done();
}

// 5.3.10: what has been issued waits until the device is ready, and is taken in turn.
static void commands_are_taken_one_by_one(void **state)
{
	(void)state;
	prepare(3, ATA_READ_DMA, 1, 1);
	prepare(9, ATA_FLUSH_CACHE, 0, 0);
	prepare(1, ATA_READ_DMA, 2, 1);
	issue(3);
	fake_save_and_load(&env);
	out(AHCI_CI, 1 << 9 | 1 << 1);
	assert_int_equal(in(AHCI_CMD) >> AHCI_CMD_SLOT_SHIFT & 0x1f, 3);
	expect_asked(DEVICE_IO_READ, 512, 512);
	complete(STATUS_OK);
	assert_int_equal(in(AHCI_CI), 1 << 9 | 1 << 1);
	expect_asked(DEVICE_IO_FLUSH, 0, 0);
	complete(STATUS_OK);
	expect_asked(DEVICE_IO_READ, 1024, 512);
	complete(STATUS_OK);
	expect_done();
	out(AHCI_CMD, RUNNING & ~AHCI_CMD_START);
	out(AHCI_CI, 1); // 3.3.14: nothing is processed
	out(AHCI_SACT, 1);
	assert_int_equal(in(AHCI_CI), 0);
	assert_int_equal(in(AHCI_SACT), 0);
}

// 11.6 of Serial ATA: the last frame is the one before the data.
static void pio_moves_data_by_the_table_too(void **state)
{
	(void)state;
	command(ATA_READ_SECTORS, 3, 2);
	complete(STATUS_OK);
	assert_int_equal(task(), READY);
	assert_int_equal(frames(AHCI_FRAME_PIO)[0], AHCI_KIND_PIO_SETUP);
	assert_int_equal(frames(AHCI_FRAME_PIO)[1], AHCI_FLAG_TO_HOST | AHCI_FLAG_INTERRUPT);
	assert_int_equal(frames(AHCI_FRAME_PIO)[2], READY | ATA_STATUS_DRQ);
	assert_int_equal(frames(AHCI_FRAME_PIO)[15], READY);
	assert_int_equal(frames(AHCI_FRAME_PIO)[17], 2); // of 256 bytes
	expect_interrupt(AHCI_INTERRUPT_PIO);
	command(ATA_WRITE_SECTORS, 3, 2);
	assert_int_equal(frames(AHCI_FRAME_PIO)[1], 0);
	expect_asked(DEVICE_IO_WRITE, 3 * 512, 1024);
	complete(STATUS_OK);
	expect_done();
}

static void the_disk_says_that_it_is_serial(void **state)
{
	const uint8_t *page = env.ram + MEMORY;

	(void)state;
	command(ATA_IDENTIFY_DEVICE, 0, 1);
	expect_interrupt(AHCI_INTERRUPT_PIO);
	assert_int_equal(moved(0), ATA_SECTOR_BYTES);
	assert_int_equal(page[150] | page[151] << 8, 31);
	assert_int_equal(page[152] | page[153] << 8, 0x106);
	assert_int_equal(page[186] | page[187] << 8, 0); // no cable
	assert_int_equal(page[120] | page[121] << 8 | page[122] << 16, SECTORS);
	assert_memory_equal(page + 20, "esirla", 6);
}

// 7.5 of ACS-3: ranges in memory, which entries may lie across.
static void ranges_are_discarded(void **state)
{
	const uint64_t ranges[2] = {UINT64_C(3) << 48 | 100, UINT64_C(5) << 48 | (SECTORS - 5)};
	uint64_t outside = UINT64_C(6) << 48 | (SECTORS - 5);

	(void)state;
	prepare(0, ATA_DATA_SET_MANAGEMENT, 0, 1);
	frame_of(0)->features = ATA_TRIM;
	memcpy(env.ram + MEMORY + 2, ranges, 4);
	memcpy(env.ram + MEMORY + 0x100, (const uint8_t *)ranges + 4, 12);
	entry(0, 0, MEMORY + 2, 3);
	entry(0, 1, MEMORY + 0x100, 507);
	header(0, WRITES, 2);
	issue(0);
	expect_asked(DEVICE_IO_DISCARD, 100 * 512, 3 * 512);
	fake_save_and_load(&env);
	env.submit_answer = STATUS_BUSY;
	complete(STATUS_OK);
	expect_asked(DEVICE_IO_DISCARD, (SECTORS - 5) * 512, 5 * 512);
	fake_save_and_load(&env);
	env.submit_answer = STATUS_OK;
	fake_advance(&env, 1000000);
	expect_asked(DEVICE_IO_DISCARD, (SECTORS - 5) * 512, 5 * 512);
	complete(STATUS_OK);
	expect_done();
	memcpy(env.ram + MEMORY + 0x100 + 4, &outside, 8);
	issue(0);
	env.submits = 0;
	complete(STATUS_OK);
	expect_failed(ATA_ERROR_IDNF);
	header(0, WRITES, 1); // four bytes alone
	issue(0);
	assert_int_equal(env.submits, 0);
	assert_int_equal(task() & ATA_STATUS_BSY, ATA_STATUS_BSY);
}

static void errors_say_where(void **state)
{
	(void)state;
	command(ATA_READ_DMA_EXT, SECTORS, 1);
	expect_failed(ATA_ERROR_IDNF);
	command(0xff, 0, 0);
	expect_failed(ATA_ERROR_ABRT);
	command(ATA_READ_DMA_EXT, 9, 65); // one more than a request's
	complete(STATUS_OK);
	complete(STATUS_IO);
	assert_int_equal(frames(AHCI_FRAME_REGISTER)[2], FAILED);
	assert_int_equal(frames(AHCI_FRAME_REGISTER)[3], ATA_ERROR_UNC);
	assert_int_equal(frames(AHCI_FRAME_REGISTER)[4], 9 + 64);
	env.submits = 0;
	prepare(5, ATA_IDLE, 0, 0); // 6.2.1: no other before a restart
	out(AHCI_CI, 1 << 5);
	assert_int_equal(in(AHCI_CI), 1 | 1 << 5);
	fake_save_and_load(&env);
	out(AHCI_CMD, RUNNING & ~AHCI_CMD_START);
	out(AHCI_CMD, RUNNING);
	out(AHCI_PXIS, UINT32_MAX);
	set(AHCI_IS, 1);
	command(ATA_WRITE_DMA_EXT, 9, 1);
	complete(STATUS_IO);
	expect_failed(ATA_ERROR_ABRT);
	command(ATA_VERIFY_EXT, 9, 1);
	expect_asked(DEVICE_IO_READ, 9 * 512, 512);
	complete(STATUS_RANGE);
	expect_failed(ATA_ERROR_IDNF);
	command(ATA_VERIFY_EXT, 9, 1);
	env.submits = 0;
	complete(STATUS_OK);
	assert_int_equal(moved(0), 0);
	expect_done();
	env.submit_answer = STATUS_UNSUPPORTED;
	command(ATA_FLUSH_CACHE, 0, 0);
	expect_failed(ATA_ERROR_ABRT);
}

static void expect_bus_failure(void)
{
	assert_int_equal(in(AHCI_CI), 1);
	expect_interrupt(AHCI_INTERRUPT_BUS);
	list_restart();
	out(AHCI_SCTL, AHCI_SCTL_RESET); // 6.2.2.1: the device may be busy
	out(AHCI_SCTL, 0);
	out(AHCI_SERR, UINT32_MAX);
	set(AHCI_IS, 1);
}

// 6.1.4
static void memory_that_is_not_there_is_told(void **state)
{
	const uint64_t nowhere = UINT64_C(1) << 40;

	(void)state;
	env.submit_answer = STATUS_RANGE;
	command(ATA_READ_DMA_EXT, 1, 1);
	expect_bus_failure();
	env.submit_answer = STATUS_OK;
	prepare(0, ATA_READ_DMA_EXT, 1, 1);
	memcpy(env.ram + LIST + offsetof(struct ahci_header, table), &nowhere, 8);
	issue(0);
	expect_bus_failure();
	prepare(0, ATA_IDENTIFY_DEVICE, 0, 1);
	entry(0, 0, nowhere, 511);
	issue(0);
	expect_bus_failure();
	prepare(0, ATA_READ_DMA_EXT, 1, 1); // its table's end is beyond
	memcpy(env.ram + FAKE_RAM_BYTES - 0x80, table_of(0), 0x80);
	memcpy(env.ram + LIST + offsetof(struct ahci_header, table),
		&(uint64_t){FAKE_RAM_BYTES - 0x80}, 8);
	issue(0);
	expect_bus_failure();
	command(ATA_READ_DMA_EXT, 1, 1);
	out(AHCI_CLB + 4, 1);
	complete(STATUS_OK); // what has been moved cannot be told
	assert_int_equal(in(AHCI_PXIS) & AHCI_INTERRUPT_BUS, AHCI_INTERRUPT_BUS);
	out(AHCI_CLB + 4, 0);
	out(AHCI_PXIS, UINT32_MAX);
	set(AHCI_IS, 1);
	list_restart();
	out(AHCI_FB + 4, 1);
	command(ATA_IDLE, 0, 0);
	assert_int_equal(in(AHCI_PXIS), AHCI_INTERRUPT_BUS | AHCI_INTERRUPT_REGISTER);
}

// What reads more than its table has loses it; what writes more waits.
static void tables_may_be_too_short(void **state)
{
	(void)state;
	prepare(0, ATA_READ_DMA_EXT, 1, 2);
	entry(0, 0, MEMORY, 511);
	issue(0);
	expect_asked(DEVICE_IO_READ, 512, 512);
	complete(STATUS_OK);
	assert_int_equal(moved(0), 512);
	assert_int_equal(in(AHCI_CI), 0);
	expect_interrupt(AHCI_INTERRUPT_REGISTER | AHCI_INTERRUPT_OVERFLOW);
	prepare(0, ATA_IDENTIFY_DEVICE, 0, 1);
	header(0, 0, 0);
	issue(0);
	expect_interrupt(AHCI_INTERRUPT_PIO | AHCI_INTERRUPT_OVERFLOW);
	prepare(0, ATA_WRITE_DMA_EXT, 1, 1);
	header(0, WRITES, 0);
	issue(0);
	assert_int_equal(env.submits, 0);
	assert_int_equal(task() & ATA_STATUS_BSY, ATA_STATUS_BSY);
	fake_save_and_load(&env);
	out(AHCI_CMD, RUNNING & ~AHCI_CMD_START);
	assert_int_equal(task() & ATA_STATUS_BSY, ATA_STATUS_BSY);
	out(AHCI_CMD, (RUNNING & ~AHCI_CMD_START) | AHCI_CMD_OVERRIDE); // 3.3.7
	assert_int_equal(task() & ATA_STATUS_BSY, 0);
	out(AHCI_CMD, RUNNING);
	command(ATA_IDLE, 0, 0);
	expect_done();
}

static void control(uint8_t value, unsigned flags)
{
	prepare(0, 0, 0, 0);
	frame_of(0)->flags = 0;
	frame_of(0)->control = value;
	header(0, flags, 0);
	issue(0);
}

// 10.4.1
static void software_resets_the_device(void **state)
{
	(void)state;
	command(ATA_READ_DMA_EXT, 1, 1);
	out(AHCI_CMD, RUNNING & ~AHCI_CMD_START);
	assert_int_equal(env.drops, 1);
	out(AHCI_CMD, RUNNING | AHCI_CMD_OVERRIDE);
	control(ATA_CONTROL_SRST, CLEARS);
	assert_int_equal(in(AHCI_CI), 0);
	assert_int_equal(task() & 0xff, READY);
	fake_save_and_load(&env);
	control(0, 0);
	assert_int_equal(in(AHCI_CI), 0);
	assert_int_equal(task(), READY | ATA_ERROR_PASSED << 8);
	assert_int_equal(frames(AHCI_FRAME_REGISTER)[4], 1);
	assert_int_equal(in(AHCI_PXIS), 0);
	command(ATA_EXECUTE_DEVICE_DIAGNOSTIC, 0, 0);
	assert_int_equal(task(), READY | ATA_ERROR_PASSED << 8);
	expect_interrupt(AHCI_INTERRUPT_REGISTER);
	control(ATA_CONTROL_SRST, CLEARS);
	command(ATA_IDLE, 0, 0); // in reset, it does not answer
	assert_int_equal(task() & ATA_STATUS_BSY, ATA_STATUS_BSY);
	assert_int_equal(in(AHCI_CI), 1);
}

// 6.1.2, and frames that nobody answers.
static void frames_that_are_none(void **state)
{
	static const uint8_t words[] = {0, 4, 17};

	(void)state;
	for (unsigned i = 0; i <= ARRAY_COUNT(words); i++) {
		prepare(0, ATA_IDLE, 0, 0);
		if (i < ARRAY_COUNT(words))
			env.ram[LIST] = words[i];
		else
			frame_of(0)->kind = AHCI_KIND_REGISTER;
		issue(0);
		assert_int_equal(in(AHCI_SERR), AHCI_SERR_HANDSHAKE);
		assert_int_equal(in(AHCI_CI), 1);
		expect_interrupt(AHCI_INTERRUPT_INTERFACE);
		out(AHCI_SERR, UINT32_MAX);
		out(AHCI_CMD, RUNNING & ~AHCI_CMD_START);
		out(AHCI_CMD, (RUNNING & ~AHCI_CMD_START) | AHCI_CMD_OVERRIDE);
		out(AHCI_CMD, RUNNING);
	}
	prepare(0, ATA_IDLE, 0, 0);
	frame_of(0)->flags |= 3; // behind a port multiplier
	issue(0);
	assert_int_equal(task() & ATA_STATUS_BSY, ATA_STATUS_BSY);
	assert_int_equal(in(AHCI_PXIS), 0);
}

// 2.1: nothing is read of memory before that.
static void it_waits_to_be_a_bus_master(void **state)
{
	(void)state;
	config_write(PCIDEV_COMMAND, 2, PCIDEV_COMMAND_MEMORY);
	command(ATA_READ_DMA_EXT, 1, 65);
	assert_int_equal(env.submits, 0);
	config_write(PCIDEV_COMMAND, 2, PCIDEV_COMMAND_MEMORY | PCIDEV_COMMAND_MASTER);
	assert_int_equal(env.submits, 1);
	config_write(PCIDEV_COMMAND, 2, PCIDEV_COMMAND_MEMORY);
	complete(STATUS_OK); // and the next part waits
	assert_int_equal(env.submits, 1);
	fake_save_and_load(&env);
	fake_advance(&env, 1000000);
	assert_int_equal(env.submits, 1);
	config_write(PCIDEV_COMMAND, 2, PCIDEV_COMMAND_MEMORY | PCIDEV_COMMAND_MASTER);
	fake_advance(&env, 1000000);
	env.submits--;
	expect_asked(DEVICE_IO_READ, 65 * 512, 512);
	complete(STATUS_OK);
	expect_done();
}

static void a_busy_back_end_is_asked_again(void **state)
{
	(void)state;
	command(ATA_SET_FEATURES, 0, 0);
	expect_failed(ATA_ERROR_ABRT);
	prepare(0, ATA_SET_FEATURES, 0, 0);
	frame_of(0)->features = ATA_FEATURE_WRITE_CACHE_OFF;
	issue(0);
	complete(STATUS_OK);
	env.submits = 0;
	expect_done();
	env.submit_answer = STATUS_BUSY;
	command(ATA_WRITE_DMA_EXT, 1, 1);
	fake_save_and_load(&env);
	fake_advance(&env, 100000);
	assert_int_equal(env.submits, 2);
	env.submit_answer = STATUS_OK;
	env.submits = 0;
	fake_advance(&env, 100000);
	expect_asked(DEVICE_IO_WRITE, 512, 512);
	env.submit_answer = STATUS_BUSY;
	complete(STATUS_OK); // it is durable
	fake_save_and_load(&env);
	env.submit_answer = STATUS_OK;
	env.submits = 0;
	fake_advance(&env, 100000);
	expect_asked(DEVICE_IO_FLUSH, 0, 0);
	complete(STATUS_OK);
	expect_done();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(data_moves_by_the_table),
		TEST(long_tables_are_gone_through_in_parts),
		TEST(commands_are_taken_one_by_one),
		TEST(pio_moves_data_by_the_table_too),
		TEST(the_disk_says_that_it_is_serial),
		TEST(ranges_are_discarded),
		TEST(errors_say_where),
		TEST(memory_that_is_not_there_is_told),
		TEST(tables_may_be_too_short),
		TEST(software_resets_the_device),
		TEST(frames_that_are_none),
		TEST(it_waits_to_be_a_bus_master),
		TEST(a_busy_back_end_is_asked_again),
	};

	return cmocka_run_group_tests_name("ich9_ahci_command", tests, NULL, NULL);
}

// SPDX-License-Identifier: BSD-2-Clause
// The IDE function: registers, PIO, resets, states. ATA/ATAPI-7.
#include "tests/unit/ide_bench.h"

static void the_ports_answer_where_they_are_wanted(void **state)
{
	(void)state;
	assert_int_equal(env.region[IDE_REGION_COMMAND].base, 0x1f0);
	assert_int_equal(env.region[IDE_REGION_CONTROL].base, 0x3f6);
	assert_int_equal(env.region[IDE_REGION_COMMAND + 1].base, 0x170);
	assert_int_equal(env.region[IDE_REGION_BUS_MASTER].base, 0xc000);
	config_write(IDE_TIMING, 2, 0);
	assert_int_equal(env.region[IDE_REGION_COMMAND].bytes, 0);
	assert_int_equal(env.region[IDE_REGION_COMMAND + 1].bytes, 8);
	config_write(PCIDEV_COMMAND, 2, 0);
	assert_int_equal(env.region[IDE_REGION_COMMAND + 1].bytes, 0);
}

// 9.12: the signature; a drive that is not there, and a channel without any.
static void drives_are_found(void **state)
{
	(void)state;
	assert_int_equal(status(), READY);
	assert_int_equal(in(ERROR), ATA_ERROR_PASSED);
	assert_int_equal(in(COUNT), 1);
	assert_int_equal(in(LOW), 1);
	assert_int_equal(in(MIDDLE), 0);
	assert_int_equal(in(HIGH), 0);
	out(DEVICE, ATA_DEVICE_SECOND);
	assert_int_equal(in(DEVICE), 0xb0);
	assert_int_equal(status(), READY);
	fake_write(&env, IDE_REGION_COMMAND + 1, DEVICE, 1, ATA_DEVICE_SECOND);
	assert_int_equal(fake_read(&env, IDE_REGION_CONTROL + 1, 0, 1), 0); // it takes packets
	assert_int_equal(fake_read(&env, IDE_REGION_COMMAND + 1, MIDDLE, 1), 0x14);
	assert_int_equal(fake_read(&env, IDE_REGION_COMMAND + 1, HIGH, 1), 0xeb);
	fake_write(&env, IDE_REGION_COMMAND + 1, DEVICE, 1, 0);
	assert_int_equal(fake_read(&env, IDE_REGION_CONTROL + 1, 0, 1), READY);
}

static void sectors_are_read_by_pio(void **state)
{
	(void)state;
	command(ATA_READ_SECTORS, 0x12345, 2);
	expect_asked(0, DEVICE_IO_READ, 0x12345, ATA_SECTOR_BYTES);
	assert_false(interrupts());
	memset(env.data, 0x5a, sizeof(env.data));
	complete(STATUS_OK);
	assert_int_equal(status(), DATA);
	assert_true(interrupts());
	assert_int_equal(fake_read(&env, IDE_REGION_COMMAND, 0, 4), 0x5a5a5a5a);
	fake_save_and_load(&env);
	for (unsigned i = 4; i < ATA_SECTOR_BYTES; i += 4)
		(void)fake_read(&env, IDE_REGION_COMMAND, 0, 4);
	(void)in(STATUS);
	expect_asked(0, DEVICE_IO_READ, 0x12346, ATA_SECTOR_BYTES);
	fake_save_and_load(&env);
	complete(STATUS_OK);
	assert_true(interrupts());
	for (unsigned i = 0; i < ATA_SECTOR_BYTES; i += 2)
		(void)fake_read(&env, IDE_REGION_COMMAND, 0, 2);
	assert_int_equal(in(STATUS), READY);
	assert_int_equal(fake_read(&env, IDE_REGION_COMMAND, 0, 2), 0);
}

static void blocks_are_written_by_pio(void **state)
{
	(void)state;
	command(ATA_WRITE_MULTIPLE_EXT, 7, 9);
	assert_int_equal(env.submits, 0);
	assert_false(interrupts()); // of the first block nobody is told
	write_block(1, 8 * ATA_SECTOR_BYTES);
	expect_asked(0, DEVICE_IO_WRITE, 7, 8 * ATA_SECTOR_BYTES);
	assert_int_equal(env.data[8 * ATA_SECTOR_BYTES - 1], 1);
	complete(STATUS_OK);
	assert_true(interrupts());
	(void)in(STATUS);
	fake_save_and_load(&env); // what is left is less than the first block
	write_block(2, ATA_SECTOR_BYTES);
	expect_asked(0, DEVICE_IO_WRITE, 15, ATA_SECTOR_BYTES);
	assert_int_equal(env.data[0], 2);
	complete(STATUS_OK);
	expect_done();
}

// Without a cache, and with FUA, a write is safe when it is done.
static void writes_are_durable(void **state)
{
	(void)state;
	command(ATA_WRITE_MULTIPLE_FUA_EXT, 0, 1);
	write_block(1, ATA_SECTOR_BYTES);
	complete(STATUS_OK);
	env.submits--;
	expect_asked(0, DEVICE_IO_FLUSH, 0, 0);
	complete(STATUS_OK);
	expect_done();
	out(ERROR, ATA_FEATURE_WRITE_CACHE_OFF);
	out(STATUS, ATA_SET_FEATURES);
	assert_int_equal(env.io.kind, DEVICE_IO_FLUSH);
	complete(STATUS_OK);
	command(ATA_WRITE_SECTORS, 0, 1);
	write_block(1, ATA_SECTOR_BYTES);
	complete(STATUS_OK);
	env.submits--;
	expect_asked(0, DEVICE_IO_FLUSH, 0, 0);
	complete(STATUS_IO);
	expect_failed(ATA_ERROR_ABRT);
	command(ATA_FLUSH_CACHE_EXT, 0, 0);
	expect_asked(0, DEVICE_IO_FLUSH, 0, 0);
	complete(STATUS_OK);
	expect_done();
}

// 9.3: a reset ends whatever there is.
static void a_reset_drops_what_is_asked_for(void **state)
{
	(void)state;
	command(ATA_READ_SECTORS, 0, 1);
	control(ATA_CONTROL_SRST);
	assert_int_equal(env.drops, 1);
	out(STATUS, ATA_IDENTIFY_DEVICE); // is not heard
	assert_int_equal(status(), ATA_STATUS_BSY);
	complete(STATUS_OK);
	control(0);
	assert_int_equal(status(), READY);
	assert_false(interrupts());
	out(STATUS, ATA_EXECUTE_DEVICE_DIAGNOSTIC);
	assert_true(interrupts());
	assert_int_equal(in(ERROR), ATA_ERROR_PASSED);
	control(ATA_CONTROL_NIEN);
	assert_false(interrupts());
	control(0);
	assert_true(interrupts());
}

static void registers_have_a_past(void **state)
{
	(void)state;
	address(UINT64_C(0x665544332211), 0x1234);
	assert_int_equal(in(LOW), 0x11);
	assert_int_equal(in(COUNT), 0x34);
	control(ATA_CONTROL_HOB);
	assert_int_equal(in(LOW), 0x44);
	assert_int_equal(in(MIDDLE), 0x55);
	assert_int_equal(in(HIGH), 0x66);
	assert_int_equal(in(COUNT), 0x12);
	out(LOW, 0x77); // and what is written ends that
	assert_int_equal(in(LOW), 0x77);
	command(ATA_READ_SECTORS, 1, 1);
	out(LOW, 0x99); // while it is busy nothing is
	assert_int_equal(in(LOW), 1);
}

#define REFUSE(change, undo, what)                                                                 \
	do {                                                                                       \
		const char *problem;                                                               \
		change;                                                                            \
		problem = ide_model.state->check(ide);                                             \
		assert_non_null(problem);                                                          \
		assert_string_equal(problem, what);                                                \
		undo;                                                                              \
		assert_null(ide_model.state->check(ide));                                          \
	} while (0)

static void impossible_states_are_refused(void **state)
{
	struct ide *ide = CONTAINER_OF(env.device, struct ide, pci.device);
	struct ide_channel *of = &ide->channels[0];

	(void)state;
	fake_check_coverage(&ide_model);
	fake_check_ranges(&env);
	command(ATA_READ_SECTORS, 1, 2);
	complete(STATUS_OK);
	ide = CONTAINER_OF(env.device, struct ide, pci.device);
	of = &ide->channels[0];
	REFUSE(of->work.lba = SECTORS - 1, of->work.lba = 1, "a command beyond its disk");
	REFUSE(of->work.block = 0, of->work.block = 1, "a command without data");
	REFUSE(of->done = 2000, of->done = 0, "a transfer beyond its command");
	REFUSE(of->at = 512, of->at = 0, "a block beyond its command, or at its end");
	REFUSE(of->bytes = 2048, of->bytes = 512, "a block beyond its command, or at its end");
	REFUSE(of->line = false, of->line = true, "an interrupt that contradicts itself");
	REFUSE(ide->drives[0].disk.sectors = 0, ide->drives[0].disk.sectors = SECTORS,
		"a command of a drive that is not there");
	REFUSE(of->state = IDE_OUT, of->state = IDE_IN, "a command in a state that is not its own");
	REFUSE(of->state = IDE_AWAITS_MASTER, of->state = IDE_IN,
		"a command in a state that is not its own");
	of->state = IDE_ASKED;
	for (unsigned kind = DEVICE_IO_WRITE; kind < DEVICE_IO_KINDS; kind++)
		REFUSE(of->asked = (uint8_t)kind, of->asked = DEVICE_IO_READ,
			"a command in a state that is not its own");
	of->state = IDE_AWAITS_ROOM;
	of->retry.ns = 1;
	REFUSE(of->retry = GUEST_TIME_NEVER, of->retry.ns = 1,
		"a command in a state that is not its own");
	REFUSE(of->work.durable = true, of->work.durable = false,
		"a command that is durable, and writes nothing");
	of->state = IDE_IN;
	of->work.kind = ATA_WORK_PAGE;
	of->work.sectors = 1;
	REFUSE(of->work.dma = true, of->work.dma = false, "a command without data, by DMA");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_ports_answer_where_they_are_wanted),
		TEST(drives_are_found),
		TEST(sectors_are_read_by_pio),
		TEST(blocks_are_written_by_pio),
		TEST(writes_are_durable),
		TEST(a_reset_drops_what_is_asked_for),
		TEST(registers_have_a_past),
		TEST(impossible_states_are_refused),
	};

	return cmocka_run_group_tests_name("piix3_ide", tests, NULL, NULL);
}

// SPDX-License-Identifier: BSD-2-Clause
// A CD drive of the IDE function: packets, and what they move. ATA/ATAPI-7 volume 1, 6.27, and
// volume 2, 11.8. The drive is the second one of the second channel.
#include "tests/unit/ide_bench.h"

enum { REASON_END = 3, BLOCK = SCSI_CD_BLOCK_BYTES };

static uint8_t cd_in(unsigned reg)
{
	return (uint8_t)fake_read(&env, IDE_REGION_COMMAND + 1, reg, 1);
}

static void cd_out(unsigned reg, uint8_t value)
{
	fake_write(&env, IDE_REGION_COMMAND + 1, reg, 1, value);
}

static uint8_t cd_status(void)
{
	return (uint8_t)fake_read(&env, IDE_REGION_CONTROL + 1, 0, 1);
}

static bool cd_interrupts(void)
{
	return env.line[IDE_OUTPUT_IRQ + 1];
}

// `limit`: of what one interrupt moves.
static void packet(uint8_t features, unsigned limit, const char *cdb)
{
	cd_out(DEVICE, ATA_DEVICE_SECOND);
	cd_out(ERROR, features);
	cd_out(MIDDLE, (uint8_t)limit);
	cd_out(HIGH, (uint8_t)(limit >> 8));
	fake_clear(&env);
	cd_out(STATUS, ATA_PACKET);
	assert_int_equal(cd_status(), DATA); // it is awaited, and no interrupt tells
	assert_int_equal(cd_in(COUNT), ATAPI_REASON_COMMAND);
	assert_false(cd_interrupts());
	for (unsigned i = 0; i < ATAPI_PACKET_BYTES; i += 2) {
		uint16_t word;

		memcpy(&word, cdb + i, 2);
		fake_write(&env, IDE_REGION_COMMAND + 1, 0, 2, word);
	}
}

static void expect_end(uint8_t status, uint8_t error)
{
	assert_int_equal(cd_status(), READY | status);
	assert_true(cd_interrupts());
	assert_int_equal(cd_in(COUNT), REASON_END);
	assert_int_equal(cd_in(ERROR), error);
	assert_int_equal(cd_in(STATUS), READY | status);
	assert_false(cd_interrupts());
}

static void expect_part(unsigned bytes, uint8_t value)
{
	assert_int_equal(cd_status(), DATA);
	assert_true(cd_interrupts());
	assert_int_equal(cd_in(COUNT), ATAPI_REASON_IN);
	assert_int_equal(cd_in(MIDDLE) | cd_in(HIGH) << 8, bytes);
	(void)cd_in(STATUS);
	assert_false(cd_interrupts());
	for (unsigned i = 0; i < bytes; i += 2) {
		uint16_t word = (uint16_t)fake_read(&env, IDE_REGION_COMMAND + 1, 0, 2);

		assert_int_equal(word & 0xff, value);
	}
}

static void expect_read(unsigned port, uint64_t block, uint64_t bytes)
{
	uint64_t there = env.io.piece_count == 0 ? env.io.bytes : 0;

	for (unsigned i = 0; i < env.io.piece_count; i++)
		there += env.io_pieces[i].bytes;
	assert_int_equal(env.submits, 1);
	assert_int_equal(env.io_port, port);
	assert_int_equal(env.io.kind, DEVICE_IO_READ);
	assert_int_equal(env.io.offset, block * BLOCK);
	assert_int_equal(there, bytes);
	assert_int_equal(cd_status(), ATA_STATUS_BSY);
	env.submits = 0;
}

static void set(enum device_setting setting, uint64_t value)
{
	assert_true(env.device->model->accepts(env.device, setting, value));
	fake_set(&env, setting, value);
}

// What the reset has left to be told.
static int setup_cd(void **state)
{
	(void)setup(state);
	packet(0, 0, "\0\0\0\0\0\0\0\0\0\0\0\0");
	expect_end(ATA_STATUS_ERR, SCSI_UNIT_ATTENTION << 4);
	return 0;
}

static void the_drive_says_what_it_is(void **state)
{
	uint8_t page[ATA_SECTOR_BYTES];

	(void)state;
	cd_out(DEVICE, ATA_DEVICE_SECOND);
	cd_out(STATUS, ATA_IDENTIFY_DEVICE);
	assert_int_equal(cd_status(), READY | ATA_STATUS_ERR);
	assert_int_equal(cd_in(ERROR), ATA_ERROR_ABRT);
	assert_int_equal(cd_in(COUNT) | cd_in(LOW) << 8, 0x0101);
	assert_int_equal(cd_in(MIDDLE) | cd_in(HIGH) << 8, 0xeb14);
	cd_out(STATUS, ATA_IDENTIFY_PACKET_DEVICE);
	assert_int_equal(cd_status(), DATA);
	for (unsigned i = 0; i < ATA_SECTOR_BYTES; i += 2) {
		uint64_t word = fake_read(&env, IDE_REGION_COMMAND + 1, 0, 2);

		memcpy(page + i, &word, 2);
	}
	assert_int_equal(word_of(page, 0), 0x85c0);
	assert_memory_equal(page + 54, "ERRPSI EDCR-MO  ", 16);
	assert_int_equal(word_of(page, 82), 0x0210);
	cd_out(COUNT, 0x45); // UDMA 5
	cd_out(ERROR, ATA_FEATURE_TRANSFER_MODE);
	cd_out(STATUS, ATA_SET_FEATURES);
	assert_int_equal(cd_status(), READY);
	cd_out(STATUS, ATA_READ_DMA); // of no drive of this kind
	assert_int_equal(cd_in(ERROR), ATA_ERROR_ABRT);
	cd_out(STATUS, ATA_CHECK_POWER_MODE);
	assert_int_equal(cd_in(COUNT), 0xff);
	cd_out(STATUS, ATA_STANDBY_IMMEDIATE);
	assert_int_equal(cd_status(), READY);
	fake_save_and_load(&env);
}

static void pages_are_read_in_parts(void **state)
{
	(void)state;
	packet(0, 8, "\x12\0\0\0\x24\0\0\0\0\0\0\0"); // INQUIRY
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(cd_in(MIDDLE), 8);
		assert_true(cd_interrupts());
		(void)cd_in(STATUS);
		fake_save_and_load(&env);
		for (unsigned j = 0; j < 8; j += 4)
			(void)fake_read(&env, IDE_REGION_COMMAND + 1, 0, 4);
	}
	assert_int_equal(cd_in(MIDDLE), 4); // the rest
	assert_int_equal(fake_read(&env, IDE_REGION_COMMAND + 1, 0, 4), 0x20312e30); // "0.1 "
	expect_end(0, 0);
	packet(0, 0, "\x12\0\0\0\x24\0\0\0\0\0\0\0"); // parts of nothing
	expect_end(ATA_STATUS_ERR, ATA_ERROR_ABRT);
	packet(0, 0, "\0\0\0\0\0\0\0\0\0\0\0\0"); // which a command without data may have
	expect_end(0, 0);
	packet(0, 0xfffe, "\xff\0\0\0\0\0\0\0\0\0\0\0");
	expect_end(ATA_STATUS_ERR, SCSI_ILLEGAL_REQUEST << 4);
}

static void blocks_are_read_by_pio(void **state)
{
	(void)state;
	packet(0, 0x600, "\x28\0\0\0\0\x10\0\0\x03\0\0\0");
	expect_read(CD, 16, 2 * BLOCK); // what the buffer takes
	memset(env.data, 0x5a, sizeof(env.data));
	fake_save_and_load(&env);
	complete(STATUS_OK);
	expect_part(0x600, 0x5a);
	fake_save_and_load(&env);
	expect_part(0x600, 0x5a);
	expect_part(0x400, 0x5a);
	expect_read(CD, 18, BLOCK);
	memset(env.data, 0x5b, sizeof(env.data));
	complete(STATUS_OK);
	expect_part(0x600, 0x5b);
	expect_part(0x200, 0x5b);
	expect_end(0, 0);
	packet(0, 0xffff, "\x28\0\0\0\0\x10\0\0\x01\0\0\0"); // as SFF 8020 has the most
	complete(STATUS_OK);
	expect_part(BLOCK, 0x5b);
	expect_end(0, 0);
	packet(0, 0x800, "\x28\0\0\0\x03\xe7\0\0\x02\0\0\0"); // beyond its end
	expect_end(ATA_STATUS_ERR, SCSI_ILLEGAL_REQUEST << 4);
	packet(0, 0x800, "\x28\0\0\0\0\x10\0\0\x01\0\0\0");
	complete(STATUS_IO);
	expect_end(ATA_STATUS_ERR, SCSI_MEDIUM_ERROR << 4);
	packet(0, 0x800, "\x2f\0\0\0\0\x10\0\0\x01\0\0\0"); // VERIFY
	env.submits = 0;
	complete(STATUS_OK);
	expect_end(0, 0);
}

static void cd_master(uint8_t value)
{
	fake_write(&env, IDE_REGION_BUS_MASTER, 8 + 4, 4, TABLE);
	fake_write(&env, IDE_REGION_BUS_MASTER, 8, 1, value);
}

static void blocks_and_pages_move_by_dma(void **state)
{
	(void)state;
	entry(0, MEMORY, BLOCK);
	entry(1, MEMORY + BLOCK, BLOCK | 0x80000000);
	packet(ATAPI_DMA, 0, "\x28\0\0\0\0\x05\0\0\x02\0\0\0");
	assert_int_equal(env.submits, 0);
	fake_save_and_load(&env);
	cd_master(IDE_MASTER_START | IDE_MASTER_TO_MEMORY);
	expect_read(CD, 5, 2 * BLOCK);
	complete(STATUS_OK);
	expect_end(0, 0);
	cd_master(0);
	entry(0, MEMORY, 20);
	entry(1, MEMORY + 0x100, 16 | 0x80000000);
	packet(ATAPI_DMA, 0, "\x12\0\0\0\x24\0\0\0\0\0\0\0");
	fake_save_and_load(&env);
	cd_master(IDE_MASTER_START | IDE_MASTER_TO_MEMORY);
	expect_end(0, 0);
	assert_memory_equal(env.ram + MEMORY + 8, "REPRISE CD-R", 12);
	assert_memory_equal(env.ram + MEMORY + 0x100, "OM          0.1 ", 16);
	cd_master(0);
	entry(0, 0xfffff000, 36 | 0x80000000); // nowhere
	packet(ATAPI_DMA, 0, "\x12\0\0\0\x24\0\0\0\0\0\0\0");
	cd_master(IDE_MASTER_START | IDE_MASTER_TO_MEMORY);
	expect_end(ATA_STATUS_ERR, SCSI_ABORTED_COMMAND << 4);
	cd_master(0);
	entry(0, MEMORY, 10 | 0x80000000); // too little
	packet(ATAPI_DMA, 0, "\x12\0\0\0\x24\0\0\0\0\0\0\0");
	cd_master(IDE_MASTER_START | IDE_MASTER_TO_MEMORY);
	assert_int_equal(cd_status(), DATA);
	fake_save_and_load(&env);
	cd_out(STATUS, ATA_DEVICE_RESET); // which is taken in mid-transfer
	assert_int_equal(cd_status(), 0);
	assert_int_equal(cd_in(MIDDLE) | cd_in(HIGH) << 8, 0xeb14);
	assert_false(cd_interrupts());
}

static void discs_change(void **state)
{
	uint64_t names[DEVICE_IO_MAX];

	(void)state;
	set(DEVICE_SETTING_INSERT, device_disc(CD, 5, false));
	packet(0, 8, "\0\0\0\0\0\0\0\0\0\0\0\0");
	expect_end(ATA_STATUS_ERR, SCSI_UNIT_ATTENTION << 4);
	packet(0, 0x800, "\x28\0\0\x06\0\0\0\0\x01\0\0\0");
	expect_read(5, 0x60000, BLOCK);
	fake_save_and_load(&env);
	assert_int_equal(env.device->model->awaited(env.device, 5, names), 1);
	set(DEVICE_SETTING_EJECT, device_disc(CD, 0, false)); // in mid-transfer
	assert_int_equal(env.drops, 1);
	expect_end(ATA_STATUS_ERR, SCSI_NOT_READY << 4);
	fake_save_and_load(&env);
	packet(0, 0x800, "\x28\0\0\x06\0\0\0\0\x01\0\0\0");
	expect_end(ATA_STATUS_ERR, SCSI_NOT_READY << 4);
	set(DEVICE_SETTING_INSERT, device_disc(CD, CD, false));
	packet(0, 8, "\x1e\0\0\0\x01\0\0\0\0\0\0\0");
	expect_end(ATA_STATUS_ERR, SCSI_UNIT_ATTENTION << 4);
	packet(0, 8, "\x1e\0\0\0\x01\0\0\0\0\0\0\0"); // locked
	expect_end(0, 0);
	set(DEVICE_SETTING_EJECT, device_disc(CD, 0, false));
	assert_int_equal(ide_cd(env.device, CD)->disc, CD);
	assert_int_equal(ide_cd(env.device, CD)->event, SCSI_EVENT_EJECT_REQUEST);
	set(DEVICE_SETTING_EJECT, device_disc(CD, 0, true));
	assert_int_equal(ide_cd(env.device, CD)->disc, SCSI_NO_DISC);
	assert_null(ide_cd(env.device, 0));
	assert_false(env.device->model->accepts(env.device, DEVICE_SETTING_EJECT, 0)); // a disk
	assert_false(env.device->model->accepts(env.device, DEVICE_SETTING_EJECT,
		device_disc(CD, 5, false)));
	assert_false(env.device->model->accepts(env.device, DEVICE_SETTING_INSERT,
		device_disc(CD, 6, false))); // there is none
	assert_false(env.device->model->accepts(env.device, DEVICE_SETTING_INSERT,
		device_disc(CD, 5, false) | 1 << 17));
	assert_false(env.device->model->accepts(env.device, DEVICE_SETTING_MEDIUM_BYTES, 512));
}

static void refused(size_t offset, size_t bytes, uint64_t value, const char *why)
{
	struct ide *ide = (struct ide *)env.device;
	uint8_t before[8];

	memcpy(before, (uint8_t *)ide + offset, bytes);
	memcpy((uint8_t *)ide + offset, &value, bytes);
	assert_string_equal(ide_model.state->check(ide), why);
	memcpy((uint8_t *)ide + offset, before, bytes);
	assert_null(ide_model.state->check(ide));
}
#define REFUSED(member, value, why)                                                                \
	refused(offsetof(struct ide, member), sizeof(((struct ide *)0)->member), value, why)

static void impossible_states_are_refused(void **state)
{
	(void)state;
	REFUSED(drives[CD].unit.blocks, CD_BLOCKS + 1, "a disc that the drive cannot have");
	REFUSED(drives[CD].unit.disc, 6, "a disc that the drive cannot have");
	REFUSED(drives[CD].unit.disc, SCSI_NO_DISC, "a disc of nowhere");
	REFUSED(drives[0].unit.disc, 5, "a disc that the drive cannot have");
	packet(0, 0x600, "\x28\0\0\0\0\x10\0\0\x03\0\0\0");
	complete(STATUS_OK);
	REFUSED(channels[1].limit, 1, "a part beyond its buffer");
	REFUSED(channels[1].held, 0x500, "a part beyond its buffer");
	REFUSED(channels[1].work.sectors, 4 * CD_BLOCKS, "a command beyond its disc");
	REFUSED(channels[1].work.block, 1, "a command beyond its disc");
	REFUSED(channels[1].work.is_packet, 0, "a command of a disk, of a CD drive");
	REFUSED(channels[1].work.durable, 1, "a packet's command that no packet asks for");
	cd_out(STATUS, ATA_DEVICE_RESET);
	cd_out(STATUS, ATA_IDENTIFY_PACKET_DEVICE); // else its end would be a packet's
	REFUSED(channels[1].bytes, 100, "a part of a page");
	cd_out(STATUS, ATA_DEVICE_RESET);
	packet(0, 8, "\x12\0\0\0\x24\0\0\0\0\0\0\0");
	REFUSED(channels[1].held, SCSI_PAGE_BYTES + 1, "a page beyond its buffer");
	REFUSED(channels[1].work.kind, ATA_WORK_PACKET, "a command in a state that is not its own");
}

int main(void)
{
#define TEST(test_) cmocka_unit_test_setup_teardown(test_, setup_cd, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_drive_says_what_it_is),
		TEST(pages_are_read_in_parts),
		TEST(blocks_are_read_by_pio),
		TEST(blocks_and_pages_move_by_dma),
		TEST(discs_change),
		TEST(impossible_states_are_refused),
	};

	return cmocka_run_group_tests_name("piix3_ide_cd", tests, NULL, NULL);
}

// SPDX-License-Identifier: BSD-2-Clause
// A disk at USB. USB Mass Storage Class, Bulk-Only Transport 1.0.
#include "tests/unit/uhci_bench.h"

enum {
	DISK = 5, // address
	BULK_IN = 1, BULK_OUT = 2,
	SECTOR = SCSI_DISK_BLOCK_BYTES,
	READ = 0x80, WRITE = 0,
	PASSED = 0, FAILED, PHASE_ERROR,
	PORT_RESET = 4,
};

static uint32_t tag;

static int begin(void **state)
{
	setup(state);
	all_begin();
	hub_port(USB_SET_FEATURE, PORT_RESET, 3);
	device_begin(DISK);
	tag = 0x1000;
	return 0;
}

static int command_send(const uint8_t *cdb, unsigned cdb_bytes, uint8_t flags, uint32_t length)
{
	uint8_t block[31] = {'U', 'S', 'B', 'C'};

	tag++;
	memcpy(block + 4, &tag, 4);
	memcpy(block + 8, &length, 4);
	block[12] = flags;
	block[14] = (uint8_t)cdb_bytes;
	memcpy(block + 15, cdb, cdb_bytes);
	env.submits = 0;
	return packet(USB_PID_OUT, DISK, BULK_OUT, block, sizeof(block));
}

static void command(uint8_t code, uint32_t lba, unsigned blocks, uint8_t flags, uint32_t length)
{
	const uint8_t cdb[10] = {code, 0, 0, 0, (uint8_t)(lba >> 8), (uint8_t)lba, 0, 0,
		(uint8_t)blocks};

	assert_int_equal(command_send(cdb, sizeof(cdb), flags, length), 31);
}

static int bulk_in(uint8_t *data)
{
	return packet(USB_PID_IN, DISK, BULK_IN, data, USB_PACKET_MAX);
}

static int bulk_out(uint8_t value, unsigned bytes)
{
	uint8_t data[USB_PACKET_MAX];

	memset(data, value, sizeof(data));
	return packet(USB_PID_OUT, DISK, BULK_OUT, data, bytes);
}

static void expect_status(uint8_t status, uint32_t residue)
{
	uint8_t data[USB_PACKET_MAX];
	uint32_t words[3];

	assert_int_equal(bulk_in(data), 13);
	memcpy(words, data, sizeof(words));
	assert_int_equal(words[0], 0x53425355);
	assert_int_equal(words[1], tag);
	assert_int_equal(words[2], residue);
	assert_int_equal(data[12], status);
	assert_int_equal(bulk_in(data), NAKED);
}

static void halt_clear(unsigned endpoint)
{
	expect_no_data(DISK, USB_TO_ENDPOINT, USB_CLEAR_FEATURE, USB_FEATURE_ENDPOINT_HALT,
		(uint16_t)endpoint);
}

static void complete(enum status answer)
{
	fake_complete(&env, env.io_port, env.io.request, answer);
}

static void expect_asked(enum device_io_kind kind, uint64_t lba, uint64_t sectors)
{
	assert_int_equal(env.submits, 1);
	assert_int_equal(env.io_port, 0);
	assert_int_equal(env.io.kind, kind);
	assert_int_equal(env.io.offset, lba * SECTOR);
	assert_int_equal(env.io.bytes, sectors * SECTOR);
	env.submits = 0;
}

// It is ready when it has told of its power-on.
static void attention(void)
{
	static const uint8_t test_unit_ready[6] = {0};

	assert_int_equal(command_send(test_unit_ready, 6, READ, 0), 31);
	expect_status(FAILED, 0);
	assert_int_equal(command_send(test_unit_ready, 6, WRITE, 0), 31);
	expect_status(PASSED, 0);
}

static void requests_are_answered(void **state)
{
	uint8_t data[64], text[64];

	(void)state;
	assert_int_equal(control(DISK, 0xa1, 0xfe, 0, 0, data, 1), 1);
	assert_int_equal(data[0], 0);
	assert_int_equal(control(DISK, 0xa1, 0xfe, 0, 1, data, 1), STALLED);
	assert_int_equal(control(DISK, 0xa1, 0xfd, 0, 0, data, 1), STALLED);
	assert_int_equal(control(DISK, 0x21, 0xfd, 0, 0, NULL, 0), STALLED);
	expect_no_data(DISK, 0x21, 0xff, 0, 0);
	assert_int_equal(control(DISK, 0x80, USB_GET_DESCRIPTOR, 0x200, 0, data, 64), 32);
	assert_int_equal(data[14], 8); // mass storage
	assert_int_equal(control(DISK, 0x80, USB_GET_DESCRIPTOR, 0x303, 0, text, 64), 14);
	assert_int_equal(text[2], 's');
}

static void pages_are_read(void **state)
{
	static const uint8_t inquiry[6] = {0x12, 0, 0, 0, 36}, sense[6] = {3, 0, 0, 0, 18};
	uint8_t data[64];

	(void)state;
	attention();
	assert_int_equal(command_send(inquiry, 6, READ, 36), 31);
	fake_save_and_load(&env);
	assert_int_equal(bulk_in(data), 36);
	expect_status(PASSED, 0);
	assert_int_equal(command_send(inquiry, 6, READ, 255), 31); // more than there is
	assert_int_equal(bulk_in(data), 36);
	expect_status(PASSED, 255 - 36);
	command(0xff, 0, 0, READ, 18); // no such command: nothing, and a halt
	assert_int_equal(bulk_in(data), STALLED);
	fake_save_and_load(&env);
	halt_clear(0x81);
	expect_status(FAILED, 18);
	assert_int_equal(command_send(sense, 6, READ, 18), 31);
	assert_int_equal(bulk_in(data), 18);
	assert_int_equal(data[2], SCSI_ILLEGAL_REQUEST);
	expect_status(PASSED, 0);
}

// The back end takes its time; who asks meanwhile is to ask again.
static void sectors_are_read(void **state)
{
	uint8_t data[64];

	(void)state;
	attention();
	command(0x28, 7, 5, READ, 5 * SECTOR);
	expect_asked(DEVICE_IO_READ, 7, 4);
	assert_int_equal(bulk_in(data), NAKED);
	assert_int_equal(bulk_out(0, 8), NAKED);
	fake_save_and_load(&env);
	memset(env.data, 0x5a, 4 * SECTOR);
	complete(STATUS_OK);
	for (unsigned i = 0; i < 32; i++) {
		assert_int_equal(bulk_in(data), 64);
		assert_int_equal(data[63], 0x5a);
		if (i == 5)
			fake_save_and_load(&env);
	}
	expect_asked(DEVICE_IO_READ, 11, 1);
	assert_int_equal(bulk_in(data), NAKED);
	complete(STATUS_OK);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(bulk_in(data), 64);
	expect_status(PASSED, 0);
}

static void sectors_are_written(void **state)
{
	(void)state;
	attention();
	command(0x2a, 60, 4, WRITE, 4 * SECTOR);
	for (unsigned i = 0; i < 32; i++) {
		assert_int_equal(env.submits, 0);
		assert_int_equal(bulk_out((uint8_t)i, 64), 64);
		if (i == 7)
			fake_save_and_load(&env);
	}
	expect_asked(DEVICE_IO_WRITE, 60, 4);
	assert_int_equal(env.data[64], 1);
	assert_int_equal(env.data[2047], 31);
	assert_int_equal(bulk_in(env.data), NAKED);
	fake_save_and_load(&env);
	complete(STATUS_OK);
	expect_status(PASSED, 0);
	command(0x35, 0, 0, WRITE, 0); // SYNCHRONIZE CACHE
	expect_asked(DEVICE_IO_FLUSH, 0, 0);
	fake_save_and_load(&env);
	complete(STATUS_OK);
	expect_status(PASSED, 0);
	assert_int_equal(command_send((const uint8_t[]){0x2a, 8, 0, 0, 0, 0, 0, 0, 1, 0}, 10, WRITE,
		SECTOR), 31); // FUA
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(bulk_out(1, 64), 64);
	expect_asked(DEVICE_IO_WRITE, 0, 1);
	complete(STATUS_OK);
	expect_asked(DEVICE_IO_FLUSH, 0, 0);
	fake_save_and_load(&env);
	complete(STATUS_OK);
	expect_status(PASSED, 0);
	command(0x2f, 0, 64, WRITE, 0); // VERIFY
	expect_asked(DEVICE_IO_READ, 0, 64);
	fake_save_and_load(&env);
	complete(STATUS_OK);
	expect_status(PASSED, 0);
}

// What the back end cannot do, or not yet.
static void back_ends_fail(void **state)
{
	uint8_t data[64];

	(void)state;
	attention();
	command(0x28, 0, 5, READ, 5 * SECTOR);
	complete(STATUS_OK);
	for (unsigned i = 0; i < 32; i++)
		assert_int_equal(bulk_in(data), 64);
	complete(STATUS_IO); // of the rest
	assert_int_equal(bulk_in(data), STALLED);
	halt_clear(0x81);
	expect_status(FAILED, SECTOR);
	command(0x2a, 0, 5, WRITE, 5 * SECTOR);
	for (unsigned i = 0; i < 32; i++)
		assert_int_equal(bulk_out(0, 64), 64);
	complete(STATUS_IO);
	assert_int_equal(bulk_out(0, 64), STALLED);
	halt_clear(0x02);
	expect_status(FAILED, SECTOR);
	env.submit_answer = STATUS_BUSY;
	command(0x28, 0, 1, READ, SECTOR);
	assert_int_equal(bulk_in(data), NAKED);
	fake_save_and_load(&env);
	env.submit_answer = STATUS_OK;
	env.submits = 0;
	assert_int_equal(bulk_in(data), NAKED);
	expect_asked(DEVICE_IO_READ, 0, 1);
	complete(STATUS_OK);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(bulk_in(data), 64);
	expect_status(PASSED, 0);
	env.submit_answer = STATUS_BUSY;
	command(0x28, 0, 1, READ, SECTOR);
	env.submit_answer = STATUS_UNSUPPORTED;
	assert_int_equal(bulk_in(data), STALLED);
	halt_clear(0x81);
	expect_status(FAILED, SECTOR);
	env.submit_answer = STATUS_OK;
}

// 6.7: the thirteen cases, those above excepted.
static void hosts_expect_other_data(void **state)
{
	uint8_t data[64];

	(void)state;
	attention();
	command(0x28, 0, 1, READ, 0); // 2
	expect_status(PHASE_ERROR, 0);
	command(0x2a, 0, 1, WRITE, 0); // 3
	expect_status(PHASE_ERROR, 0);
	command(0x35, 0, 0, READ, 100); // 4
	complete(STATUS_OK);
	assert_int_equal(bulk_in(data), STALLED);
	halt_clear(0x81);
	expect_status(PASSED, 100);
	command(0x28, 0, 1, READ, 100); // 7
	assert_int_equal(bulk_in(data), STALLED);
	halt_clear(0x81);
	expect_status(PHASE_ERROR, 100);
	command(0x2a, 0, 1, READ, SECTOR); // 8
	assert_int_equal(bulk_in(data), STALLED);
	halt_clear(0x81);
	expect_status(PHASE_ERROR, SECTOR);
	command(0x00, 0, 0, WRITE, 100); // 9
	assert_int_equal(bulk_out(0, 64), STALLED);
	halt_clear(2);
	expect_status(PASSED, 100);
	command(0x28, 0, 1, WRITE, SECTOR); // 10
	assert_int_equal(bulk_out(0, 64), STALLED);
	halt_clear(2);
	expect_status(PHASE_ERROR, SECTOR);
	command(0x2a, 0, 1, WRITE, SECTOR + 64); // 11
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(bulk_out(0, 64), 64);
	complete(STATUS_OK);
	assert_int_equal(bulk_out(0, 64), STALLED);
	halt_clear(2);
	expect_status(PASSED, 64);
	command(0x2a, 0, 2, WRITE, SECTOR); // 13
	assert_int_equal(bulk_out(0, 64), STALLED);
	halt_clear(2);
	expect_status(PHASE_ERROR, SECTOR);
	command(0x28, 0, 1, READ, SECTOR + 64); // 5, of whole packets
	complete(STATUS_OK);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(bulk_in(data), 64);
	assert_int_equal(bulk_in(data), STALLED);
	halt_clear(0x81);
	expect_status(PASSED, 64);
	assert_int_equal(env.submits, 1);
}

// 6.6.1, 5.3.4: only a reset of it helps.
static void blocks_that_are_none_break_it(void **state)
{
	static const uint8_t changes[][2] = {{0, 'X'}, {13, 1}, {14, 0}, {14, 17}};
	uint8_t data[64];

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(changes); i++) {
		uint8_t block[31] = {'U', 'S', 'B', 'C', [14] = 6};

		block[changes[i][0]] = changes[i][1];
		assert_int_equal(packet(USB_PID_OUT, DISK, BULK_OUT, block, 31), STALLED);
		assert_int_equal(bulk_in(data), STALLED);
		fake_save_and_load(&env);
		halt_clear(0x81);
		halt_clear(2);
		assert_int_equal(bulk_in(data), STALLED);
		assert_int_equal(bulk_out(0, 31), STALLED);
		expect_no_data(DISK, 0x21, 0xff, 0, 0);
		halt_clear(0x81);
		halt_clear(2);
		assert_int_equal(bulk_in(data), NAKED);
	}
	attention();
	assert_int_equal(bulk_out(0, 30), STALLED);
}

// A request is dropped with its command.
static void it_is_reset_in_mid_transfer(void **state)
{
	uint8_t data[64];

	(void)state;
	attention();
	for (unsigned i = 0; i < 4; i++) {
		unsigned drops = env.drops;

		command(0x28, 0, 1, READ, SECTOR);
		if (i == 0) {
			expect_no_data(DISK, 0x21, 0xff, 0, 0);
		} else if (i == 1) {
			expect_no_data(DISK, 0, USB_SET_CONFIGURATION, 1, 0);
		} else if (i == 2) {
			hub_port(USB_SET_FEATURE, PORT_RESET, 3);
			device_begin(DISK);
		} else {
			fake_set(&env, DEVICE_SETTING_UNPLUG, UHCI_DISK);
			assert_int_equal(bulk_in(data), SILENT);
		}
		assert_int_equal(env.drops, drops + 1);
		assert_int_equal(env.dropped, env.io.request);
		complete(STATUS_OK); // reaches nobody
		if (i != 3)
			assert_int_equal(bulk_in(data), NAKED);
		if (i == 2)
			attention();
	}
	fake_set(&env, DEVICE_SETTING_PLUG, UHCI_DISK);
	hub_port(USB_SET_FEATURE, PORT_RESET, 3);
	device_begin(DISK);
	attention();
	assert_int_equal(uhci_model.awaited(env.device, 0, (uint64_t[DEVICE_IO_MAX]){0}), 0);
	command(0x28, 0, 1, READ, SECTOR);
	assert_int_equal(uhci_model.awaited(env.device, 0, (uint64_t[DEVICE_IO_MAX]){0}), 1);
	assert_int_equal(uhci_model.awaited(env.device, 4, (uint64_t[DEVICE_IO_MAX]){0}), 0);
}

static void impossible_states_are_refused(void **state)
{
	static const char other[] = "a USB disk in a state that is not its command's";
	struct usb_storage *disk;
	uint8_t data[64];

	(void)state;
	fake_check_ranges(&env);
	attention();
	command(0x28, 1, 5, READ, 5 * SECTOR);
	disk = &uhci()->disks[0];
	REFUSE(disk->work.lba = 60, disk->work.lba = 1, "a command beyond its USB disk");
	REFUSE(disk->work.blocks = 65, disk->work.blocks = 5, "a command beyond its USB disk");
	REFUSE(disk->moved = 5000, disk->moved = 0, "a transfer of a USB disk beyond its command");
	REFUSE(disk->length = 5, disk->length = 5 * SECTOR,
		"a transfer of a USB disk beyond its command");
	REFUSE(disk->done = 3000, disk->done = 0,
		"a transfer of a USB disk beyond its command");
	REFUSE(disk->part = 512, disk->part = 2048, other);
	REFUSE(disk->kind = DEVICE_IO_WRITE, disk->kind = DEVICE_IO_READ, other);
	REFUSE(disk->phase = USB_STORAGE_FROM_HOST, disk->phase = USB_STORAGE_TO_HOST, other);
	REFUSE(disk->phase = USB_STORAGE_COMMAND, disk->phase = USB_STORAGE_TO_HOST, other);
	for (unsigned kind = 0; kind < SCSI_WORK_KINDS; kind++)
		if (kind != SCSI_WORK_READ && kind != SCSI_WORK_VERIFY)
			REFUSE(disk->work.kind = (uint8_t)kind, disk->work.kind = SCSI_WORK_READ,
				other);
	complete(STATUS_OK);
	assert_int_equal(bulk_in(data), 64);
	disk = &uhci()->disks[0];
	REFUSE(disk->at = 2048, disk->at = 64, other);
	REFUSE(disk->moved = 63, disk->moved = 64, other);
	REFUSE(disk->work.kind = SCSI_WORK_VERIFY, disk->work.kind = SCSI_WORK_READ, other);
	expect_no_data(DISK, 0x21, 0xff, 0, 0);
	command(0x2a, 1, 1, WRITE, SECTOR);
	assert_int_equal(bulk_out(0, 64), 64);
	disk = &uhci()->disks[0];
	REFUSE(disk->at = 512, disk->at = 64, other);
	REFUSE(disk->moved = 65, disk->moved = 64, other);
	REFUSE(disk->total = 64, disk->total = SECTOR, other);
}

int main(void)
{
#define DISK_TEST(name) cmocka_unit_test_setup_teardown(name, begin, teardown)
	const struct CMUnitTest tests[] = {
		DISK_TEST(requests_are_answered),
		DISK_TEST(pages_are_read),
		DISK_TEST(sectors_are_read),
		DISK_TEST(sectors_are_written),
		DISK_TEST(back_ends_fail),
		DISK_TEST(hosts_expect_other_data),
		DISK_TEST(blocks_that_are_none_break_it),
		DISK_TEST(it_is_reset_in_mid_transfer),
		DISK_TEST(impossible_states_are_refused),
	};

	return cmocka_run_group_tests_name("usb_storage", tests, NULL, NULL);
}

// SPDX-License-Identifier: BSD-2-Clause
// Commands of SCSI units. SPC-3, SBC-2, MMC-5.
#include "emul/scsi.h"
#include "tests/unit/fake_env.h"

#include <string.h>

enum { BLOCKS = 0x12345, DISC = 3 };

static struct scsi_unit unit;
static struct scsi_work work;
static uint8_t page[SCSI_PAGE_BYTES];

static int setup_cd(void **state)
{
	(void)state;
	unit = (struct scsi_unit){.is_cd = true, .blocks = BLOCKS, .disc = DISC, .serial = "cd"};
	scsi_reset(&unit);
	unit.attention = SCSI_SENSE_NONE;
	return 0;
}

static int setup_disk(void **state)
{
	(void)state;
	unit = (struct scsi_unit){.blocks = BLOCKS, .disc = SCSI_NO_DISC, .serial = "disk"};
	scsi_reset(&unit);
	unit.attention = SCSI_SENSE_NONE;
	return 0;
}

// `tail`: bytes 1 on.
static enum scsi_work_kind begin(uint8_t command, const char *tail, unsigned count)
{
	uint8_t cdb[SCSI_CDB_BYTES] = {command};

	memcpy(cdb + 1, tail, count);
	memset(page, 0xaa, sizeof(page));
	scsi_command_begin(&unit, cdb, &work, page);
	return work.kind;
}
#define BEGIN(command, tail) begin(command, tail, sizeof(tail) - 1)

static void expect_failed(enum scsi_sense_key key, enum scsi_sense_code code)
{
	assert_int_equal(work.kind, SCSI_WORK_FAILED);
	assert_int_equal(unit.sense_key, key);
	assert_int_equal(unit.sense, code);
	assert_int_equal(BEGIN(SCSI_REQUEST_SENSE, "\0\0\0\x12"), SCSI_WORK_PAGE);
	assert_int_equal(work.bytes, 18);
	assert_int_equal(page[0], 0x70);
	assert_int_equal(page[2], key);
	assert_int_equal(page[7], 10);
	assert_int_equal(scsi_get(page + 12, 2), code);
	(void)BEGIN(SCSI_REQUEST_SENSE, "\0\0\0\x12"); // it has been told
	assert_int_equal(page[2] | page[12] | page[13], 0);
}

static void a_cd_drive_says_what_it_is(void **state)
{
	(void)state;
	assert_int_equal(BEGIN(SCSI_INQUIRY, "\0\0\0\x24"), SCSI_WORK_PAGE);
	assert_int_equal(work.bytes, 36);
	assert_memory_equal(page, "\x05\x80\x05\x02\x1f\0\0\0REPRISE CD-ROM          0.1 ", 36);
	assert_int_equal(BEGIN(SCSI_INQUIRY, "\0\0\0\x05"), SCSI_WORK_PAGE); // no more than that
	assert_int_equal(work.bytes, 5);
	assert_int_equal(BEGIN(SCSI_INQUIRY, "\0\0\0\0"), SCSI_WORK_NONE);
	assert_int_equal(BEGIN(SCSI_INQUIRY, "\x01\x80\0\xff"), SCSI_WORK_PAGE);
	assert_int_equal(work.bytes, 6);
	assert_memory_equal(page, "\x05\x80\0\x02" "cd", 6);
	(void)BEGIN(SCSI_INQUIRY, "\x01\x83\0\xff");
	assert_memory_equal(page, "\x05\x83\0\x0e\x02\x01\0\x0aREPRISE cd", 18);
	(void)BEGIN(SCSI_INQUIRY, "\x01\x01\0\xff");
	expect_failed(SCSI_ILLEGAL_REQUEST, SCSI_SENSE_INVALID_FIELD);
	(void)BEGIN(SCSI_INQUIRY, "\0\x01\0\xff"); // a page without EVPD
	expect_failed(SCSI_ILLEGAL_REQUEST, SCSI_SENSE_INVALID_FIELD);
	(void)BEGIN(0xff, "");
	expect_failed(SCSI_ILLEGAL_REQUEST, SCSI_SENSE_INVALID_COMMAND);
	assert_int_equal(BEGIN(SCSI_REPORT_LUNS, "\0\0\0\0\0\0\0\x10"), SCSI_WORK_PAGE);
	assert_memory_equal(page, "\0\0\0\x08\0\0\0\0\0\0\0\0\0\0\0\0", 16);
}

static void the_disc_has_a_size(void **state)
{
	(void)state;
	assert_int_equal(BEGIN(SCSI_READ_CAPACITY_10, ""), SCSI_WORK_PAGE);
	assert_memory_equal(page, "\0\x01\x23\x44\0\0\x08\0", 8);
	assert_int_equal(BEGIN(SCSI_SERVICE_ACTION_IN_16, "\x10\0\0\0\0\0\0\0\0\0\0\0\x20"),
		SCSI_WORK_PAGE);
	assert_int_equal(work.bytes, 32);
	assert_memory_equal(page, "\0\0\0\0\0\x01\x23\x44\0\0\x08\0", 12);
	(void)BEGIN(SCSI_SERVICE_ACTION_IN_16, "\x11");
	expect_failed(SCSI_ILLEGAL_REQUEST, SCSI_SENSE_INVALID_FIELD);
	(void)BEGIN(SCSI_READ_FORMAT_CAPACITIES, "\0\0\0\0\0\0\0\xff");
	assert_memory_equal(page, "\0\0\0\x08\0\x01\x23\x45\x02\0\x08\0", 12);
	assert_int_equal(BEGIN(SCSI_TEST_UNIT_READY, ""), SCSI_WORK_NONE);
}

// MMC-5 6.26: 0x12345 blocks are 16:36:15 behind the pregap.
static void the_table_of_contents_has_one_track(void **state)
{
	(void)state;
	assert_int_equal(BEGIN(SCSI_READ_TOC, "\0\0\0\0\0\0\x03\x24"), SCSI_WORK_PAGE);
	assert_int_equal(work.bytes, 20);
	assert_memory_equal(page, "\0\x12\x01\x01" "\0\x14\x01\0\0\0\0\0"
		"\0\x14\xaa\0\0\x01\x23\x45", 20);
	(void)BEGIN(SCSI_READ_TOC, "\x02\0\0\0\0\xaa\x03\x24");
	assert_int_equal(work.bytes, 12);
	assert_memory_equal(page, "\0\x0a\x01\x01\0\x14\xaa\0\0\x10\x24\x0f", 12);
	(void)BEGIN(SCSI_READ_TOC, "\0\0\0\0\0\x02\x03\x24");
	expect_failed(SCSI_ILLEGAL_REQUEST, SCSI_SENSE_INVALID_FIELD);
	(void)BEGIN(SCSI_READ_TOC, "\0\x01\0\0\0\0\0\x0c"); // sessions
	assert_memory_equal(page, "\0\x0a\x01\x01\0\x14\x01\0\0\0\0\0", 12);
	(void)BEGIN(SCSI_READ_TOC, "\0\0\0\0\0\0\0\x0c\x40"); // the same, where it was once
	assert_memory_equal(page, "\0\x0a\x01\x01\0\x14\x01\0\0\0\0\0", 12);
	(void)BEGIN(SCSI_READ_TOC, "\x02\x02\0\0\0\0\0\xff"); // points
	assert_int_equal(work.bytes, 48);
	assert_memory_equal(page + 4, "\x01\x14\0\xa0\0\0\0\0\x01\0\0", 11);
	assert_memory_equal(page + 26, "\x01\x14\0\xa2\0\0\0\0\x10\x24\x0f", 11);
	(void)BEGIN(SCSI_READ_TOC, "\0\x05\0\0\0\0\0\xff"); // CD-TEXT
	expect_failed(SCSI_ILLEGAL_REQUEST, SCSI_SENSE_INVALID_FIELD);
	assert_int_equal(BEGIN(SCSI_READ_DISC_INFORMATION, "\0\0\0\0\0\0\0\x22"),
		SCSI_WORK_PAGE);
	assert_memory_equal(page, "\0\x20\x0e\x01\x01\x01\x01\x20", 8);
}

static void features_follow_the_disc(void **state)
{
	(void)state;
	assert_int_equal(BEGIN(SCSI_GET_CONFIGURATION, "\0\0\0\0\0\0\0\xff"), SCSI_WORK_PAGE);
	assert_int_equal(scsi_get(page, 4), work.bytes - 4);
	assert_int_equal(scsi_get(page + 6, 2), 0x08);
	assert_memory_equal(page + 8, "\0\0\x03\x08\0\x10\0\0\0\x08\x01\0", 12);
	unit.blocks = 1000000; // no CD has so many
	(void)BEGIN(SCSI_GET_CONFIGURATION, "\x02\0\x1f\0\0\0\0\xff");
	assert_int_equal(work.bytes, 16);
	assert_memory_equal(page, "\0\0\0\x0c\0\0\0\x10\0\x1f\x01\x04", 12);
	(void)BEGIN(SCSI_GET_CONFIGURATION, "\x01\0\x1e\0\0\0\0\xff"); // those that are current
	assert_memory_equal(page + 8, "\0\x1f", 2);
	(void)BEGIN(SCSI_GET_CONFIGURATION, "\x03\0\0\0\0\0\0\xff");
	expect_failed(SCSI_ILLEGAL_REQUEST, SCSI_SENSE_INVALID_FIELD);
	(void)BEGIN(SCSI_MODE_SENSE_10, "\0\x2a\0\0\0\0\0\xff");
	assert_int_equal(work.bytes, 28);
	assert_memory_equal(page, "\0\x1a\0\0\0\0\0\0\x2a\x12\x3b\0\x70\0\x29", 15);
	(void)BEGIN(SCSI_MODE_SENSE_6, "\0\x3f\0\xff");
	assert_int_equal(work.bytes, 4 + 8 + 20);
	assert_int_equal(page[0], 31);
	(void)BEGIN(SCSI_MODE_SENSE_6, "\0\x08\0\xff"); // no cache
	expect_failed(SCSI_ILLEGAL_REQUEST, SCSI_SENSE_INVALID_FIELD);
	(void)BEGIN(SCSI_MODE_SENSE_6, "\0\xea\0\xff"); // saved ones
	expect_failed(SCSI_ILLEGAL_REQUEST, SCSI_SENSE_NO_SAVING);
	(void)BEGIN(SCSI_MECHANISM_STATUS, "\0\0\0\0\0\0\0\0\x08");
	assert_int_equal(work.bytes, 8);
	assert_int_equal(page[1], 0);
}

static void expect_medium(enum scsi_work_kind kind, uint64_t lba, uint32_t blocks)
{
	assert_int_equal(work.kind, kind);
	assert_int_equal(work.lba, lba);
	assert_int_equal(work.blocks, blocks);
}

static void blocks_are_read(void **state)
{
	(void)state;
	(void)BEGIN(SCSI_READ_6, "\xe1\x23\x45\0"); // 21 bits, and 0 is 256
	expect_failed(SCSI_ILLEGAL_REQUEST, SCSI_SENSE_OUT_OF_RANGE);
	(void)BEGIN(SCSI_READ_6, "\xe0\x23\x45\0");
	expect_medium(SCSI_WORK_READ, 0x2345, 256);
	(void)BEGIN(SCSI_READ_10, "\0\0\x01\x23\x44\0\0\x01");
	expect_medium(SCSI_WORK_READ, BLOCKS - 1, 1);
	(void)BEGIN(SCSI_READ_10, "\0\0\x01\x23\x44\0\0\x02");
	expect_failed(SCSI_ILLEGAL_REQUEST, SCSI_SENSE_OUT_OF_RANGE);
	(void)BEGIN(SCSI_READ_12, "\0\0\0\x01\0\0\x01\0\0");
	expect_medium(SCSI_WORK_READ, 0x100, 0x10000);
	(void)BEGIN(SCSI_READ_16, "\0\0\0\0\x01\0\0\0\0\0\0\0\x01");
	expect_failed(SCSI_ILLEGAL_REQUEST, SCSI_SENSE_OUT_OF_RANGE);
	assert_int_equal(BEGIN(SCSI_READ_10, ""), SCSI_WORK_NONE); // of none
	(void)BEGIN(SCSI_READ_CD, "\0\0\0\x10\0\0\0\x03\x10");
	expect_medium(SCSI_WORK_READ, 0x1000, 3);
	(void)BEGIN(SCSI_READ_CD, "\0\0\0\x10\0\0\0\x03\xf8"); // raw
	expect_failed(SCSI_ILLEGAL_REQUEST, SCSI_SENSE_INVALID_FIELD);
	(void)BEGIN(SCSI_READ_CD, "\x04\0\0\x10\0\0\0\x03\x10"); // audio
	expect_failed(SCSI_ILLEGAL_REQUEST, SCSI_SENSE_INVALID_FIELD);
	assert_int_equal(BEGIN(SCSI_READ_CD, "\0\0\0\x10\0\0\0\x03"), SCSI_WORK_NONE);
	(void)BEGIN(SCSI_VERIFY_10, "\0\0\0\0\x05\0\0\x02");
	expect_medium(SCSI_WORK_VERIFY, 5, 2);
	(void)BEGIN(SCSI_WRITE_10, "\0\0\0\0\x05\0\0\x02");
	expect_failed(SCSI_DATA_PROTECT, SCSI_SENSE_WRITE_PROTECTED);
	assert_int_equal(BEGIN(SCSI_SEEK_10, "\0\0\0\0\x05"), SCSI_WORK_NONE);
	(void)BEGIN(SCSI_SEEK_10, "\0\0\x01\x23\x45");
	expect_failed(SCSI_ILLEGAL_REQUEST, SCSI_SENSE_OUT_OF_RANGE);
	unit.blocks = UINT64_C(1) << 33;
	(void)BEGIN(SCSI_READ_12, "\0\0\0\0\0\0\x10\0\0"); // more than a command may have
	expect_failed(SCSI_ILLEGAL_REQUEST, SCSI_SENSE_INVALID_FIELD);
	scsi_fail_by(&unit, STATUS_IO, false);
	work.kind = SCSI_WORK_FAILED;
	expect_failed(SCSI_MEDIUM_ERROR, SCSI_SENSE_READ_ERROR);
}

static void event(uint8_t code, uint8_t status)
{
	assert_int_equal(BEGIN(SCSI_GET_EVENT_STATUS_NOTIFICATION,
		"\x01\0\0\x10\0\0\0\x08"), SCSI_WORK_PAGE);
	assert_int_equal(work.bytes, 8);
	assert_memory_equal(page, "\0\x06\x04\x10", 4);
	assert_int_equal(page[4], code);
	assert_int_equal(page[5], status);
}

static void the_tray_opens_and_closes(void **state)
{
	(void)state;
	event(SCSI_EVENT_NEW_MEDIA, 2); // since the reset
	event(SCSI_EVENT_NONE, 2);
	assert_int_equal(BEGIN(SCSI_PREVENT_ALLOW_MEDIUM_REMOVAL, "\0\0\0\x01"), SCSI_WORK_NONE);
	(void)BEGIN(SCSI_START_STOP_UNIT, "\0\0\0\x02");
	expect_failed(SCSI_ILLEGAL_REQUEST, SCSI_SENSE_REMOVAL_PREVENTED);
	assert_false(scsi_cd_eject(&unit, false)); // the button
	event(SCSI_EVENT_EJECT_REQUEST, 2);
	(void)BEGIN(SCSI_PREVENT_ALLOW_MEDIUM_REMOVAL, "");
	assert_int_equal(BEGIN(SCSI_START_STOP_UNIT, "\0\0\0\x02"), SCSI_WORK_NONE);
	event(SCSI_EVENT_MEDIA_REMOVAL, 1);
	(void)BEGIN(SCSI_TEST_UNIT_READY, "");
	expect_failed(SCSI_NOT_READY, SCSI_SENSE_NO_MEDIUM_OPEN);
	(void)BEGIN(SCSI_READ_10, "\0\0\0\0\x05\0\0\x02");
	expect_failed(SCSI_NOT_READY, SCSI_SENSE_NO_MEDIUM_OPEN);
	(void)BEGIN(SCSI_READ_TOC, "\0\0\0\0\0\0\x03\x24");
	expect_failed(SCSI_NOT_READY, SCSI_SENSE_NO_MEDIUM_OPEN);
	(void)BEGIN(SCSI_START_STOP_UNIT, "\0\0\0\x03");
	event(SCSI_EVENT_NEW_MEDIA, 2);
	(void)BEGIN(SCSI_TEST_UNIT_READY, "");
	expect_failed(SCSI_UNIT_ATTENTION, SCSI_SENSE_MEDIUM_CHANGED);
	assert_int_equal(BEGIN(SCSI_TEST_UNIT_READY, ""), SCSI_WORK_NONE);
}

static void discs_come_and_go(void **state)
{
	(void)state;
	(void)BEGIN(SCSI_PREVENT_ALLOW_MEDIUM_REMOVAL, "\0\0\0\x01");
	assert_true(scsi_cd_eject(&unit, true));
	scsi_cd_remove(&unit);
	assert_int_equal(unit.disc, SCSI_NO_DISC);
	event(SCSI_EVENT_MEDIA_REMOVAL, 1);
	(void)BEGIN(SCSI_GET_CONFIGURATION, "\x02\0\0\0\0\0\0\xff");
	assert_int_equal(scsi_get(page + 6, 2), 0);
	(void)BEGIN(SCSI_START_STOP_UNIT, "\0\0\0\x03"); // with nothing in it
	event(SCSI_EVENT_NONE, 0);
	(void)BEGIN(SCSI_READ_CAPACITY_10, "");
	expect_failed(SCSI_NOT_READY, SCSI_SENSE_NO_MEDIUM_CLOSED);
	(void)BEGIN(SCSI_READ_FORMAT_CAPACITIES, "\0\0\0\0\0\0\0\xff");
	assert_int_equal(page[8], 3);
	scsi_cd_insert(&unit, 5, 77);
	assert_int_equal(unit.disc, 5);
	event(SCSI_EVENT_NEW_MEDIA, 2);
	(void)BEGIN(SCSI_READ_CAPACITY_10, "");
	expect_failed(SCSI_UNIT_ATTENTION, SCSI_SENSE_MEDIUM_CHANGED);
	(void)BEGIN(SCSI_READ_CAPACITY_10, "");
	assert_int_equal(scsi_get(page, 4), 76);
	(void)BEGIN(SCSI_GET_EVENT_STATUS_NOTIFICATION, "\0\0\0\x10\0\0\0\x08");
	expect_failed(SCSI_ILLEGAL_REQUEST, SCSI_SENSE_INVALID_FIELD);
	(void)BEGIN(SCSI_GET_EVENT_STATUS_NOTIFICATION, "\x01\0\0\x02\0\0\0\x08");
	assert_memory_equal(page, "\0\x02\x80\x10", 4);
}

// SPC-3 5.8: once, and not to who asks what it is.
static void a_reset_is_told(void **state)
{
	(void)state;
	scsi_reset(&unit);
	assert_int_equal(BEGIN(SCSI_INQUIRY, "\0\0\0\x24"), SCSI_WORK_PAGE);
	(void)BEGIN(SCSI_TEST_UNIT_READY, "");
	expect_failed(SCSI_UNIT_ATTENTION, SCSI_SENSE_RESET);
	scsi_reset(&unit);
	(void)BEGIN(SCSI_REQUEST_SENSE, "\0\0\0\x12");
	assert_int_equal(page[2], SCSI_UNIT_ATTENTION);
	assert_int_equal(BEGIN(SCSI_TEST_UNIT_READY, ""), SCSI_WORK_NONE);
}

static void a_disk_is_written(void **state)
{
	(void)state;
	(void)BEGIN(SCSI_INQUIRY, "\0\0\0\x24");
	assert_memory_equal(page, "\0\0\x05\x02\x1f\0\0\0REPRISE DISK ", 21);
	(void)BEGIN(SCSI_READ_CAPACITY_10, "");
	assert_memory_equal(page, "\0\x01\x23\x44\0\0\x02\0", 8);
	(void)BEGIN(SCSI_WRITE_6, "\0\0\x05\x02");
	expect_medium(SCSI_WORK_WRITE, 5, 2);
	assert_false(work.durable);
	(void)BEGIN(SCSI_WRITE_10, "\x08\0\0\0\x05\0\0\x02"); // FUA
	expect_medium(SCSI_WORK_WRITE, 5, 2);
	assert_true(work.durable);
	(void)BEGIN(SCSI_WRITE_16, "\0\0\0\0\0\0\0\0\x05\0\0\0\x02");
	expect_medium(SCSI_WORK_WRITE, 5, 2);
	assert_int_equal(BEGIN(SCSI_SYNCHRONIZE_CACHE_10, ""), SCSI_WORK_FLUSH);
	assert_int_equal(BEGIN(SCSI_START_STOP_UNIT, ""), SCSI_WORK_FLUSH);
	assert_true(unit.stopped);
	assert_int_equal(BEGIN(SCSI_START_STOP_UNIT, "\0\0\0\x01"), SCSI_WORK_NONE);
	assert_false(unit.stopped);
	(void)BEGIN(SCSI_MODE_SENSE_6, "\0\x08\0\xff");
	assert_memory_equal(page, "\x17\0\0\0\x08\x12\x04", 7);
	unit.readonly = true;
	(void)BEGIN(SCSI_MODE_SENSE_6, "\0\x3f\0\xff");
	assert_int_equal(page[2], 0x80);
	(void)BEGIN(SCSI_WRITE_10, "\0\0\0\0\x05\0\0\x02");
	expect_failed(SCSI_DATA_PROTECT, SCSI_SENSE_WRITE_PROTECTED);
	assert_int_equal(BEGIN(SCSI_SEND_DIAGNOSTIC, "\x04"), SCSI_WORK_NONE);
	(void)BEGIN(SCSI_SEND_DIAGNOSTIC, "");
	expect_failed(SCSI_ILLEGAL_REQUEST, SCSI_SENSE_INVALID_FIELD);
	(void)BEGIN(SCSI_READ_TOC, "\0\0\0\0\0\0\x03\x24"); // it is no CD drive
	expect_failed(SCSI_ILLEGAL_REQUEST, SCSI_SENSE_INVALID_COMMAND);
	unit.blocks = 0;
	(void)BEGIN(SCSI_TEST_UNIT_READY, "");
	expect_failed(SCSI_NOT_READY, SCSI_SENSE_NO_MEDIUM);
	scsi_fail_by(&unit, STATUS_NO_MEMORY, true);
	work.kind = SCSI_WORK_FAILED;
	expect_failed(SCSI_MEDIUM_ERROR, SCSI_SENSE_WRITE_ERROR);
}

int main(void)
{
#define CD(test_)   cmocka_unit_test_setup(test_, setup_cd)
#define DISK(test_) cmocka_unit_test_setup(test_, setup_disk)
	const struct CMUnitTest tests[] = {
		CD(a_cd_drive_says_what_it_is),
		CD(the_disc_has_a_size),
		CD(the_table_of_contents_has_one_track),
		CD(features_follow_the_disc),
		CD(blocks_are_read),
		CD(the_tray_opens_and_closes),
		CD(discs_come_and_go),
		CD(a_reset_is_told),
		DISK(a_disk_is_written),
	};

	return cmocka_run_group_tests_name("scsi", tests, NULL, NULL);
}

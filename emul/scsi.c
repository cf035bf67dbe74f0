// SPDX-License-Identifier: BSD-2-Clause
// Commands of a SCSI logical unit: which there are, and what each wants of the medium.
//
// Specifications: SPC-3 (T10/1416-D), 6; SBC-2 (T10/1417-D), 5; those of CD drives alone:
// scsi_cd.c.
//
// Left out on purpose: commands with parameters that the driver sends (MODE SELECT, UNMAP), more
// logical units than one, reservations, tagged queues, linked commands, deferred errors.
//
// Entered by the adapter that a unit belongs to only.
#include "emul/scsi_internal.h"

#include <string.h>

enum {
	FUA = 0x08, // of WRITE (10) and longer: SBC-2 5.29
	START_LOAD_EJECT = 0x02,
	START = 0x01,
	PREVENT = 0x01,
	REPORT_LUNS_BYTES = 16,
	CAPACITY_16_BYTES = 32,
};

void scsi_reset(struct scsi_unit *unit)
{
	unit->sense_key = SCSI_NO_SENSE;
	unit->sense = SCSI_SENSE_NONE;
	unit->attention = SCSI_SENSE_RESET;
	unit->event = unit->disc != SCSI_NO_DISC && unit->is_cd ? SCSI_EVENT_NEW_MEDIA
		: SCSI_EVENT_NONE;
	unit->tray_open = unit->locked = unit->stopped = false;
}

void scsi_fail(struct scsi_unit *unit, enum scsi_sense_key key, enum scsi_sense_code code)
{
	unit->sense_key = (uint8_t)key;
	unit->sense = (uint16_t)code;
}

void scsi_fail_by(struct scsi_unit *unit, enum status status, bool write)
{
	if (status == STATUS_RANGE)
		scsi_fail(unit, SCSI_ILLEGAL_REQUEST, SCSI_SENSE_OUT_OF_RANGE);
	else if (status == STATUS_REFUSED)
		scsi_fail(unit, SCSI_DATA_PROTECT, SCSI_SENSE_WRITE_PROTECTED);
	else
		scsi_fail(unit, SCSI_MEDIUM_ERROR,
			write ? SCSI_SENSE_WRITE_ERROR : SCSI_SENSE_READ_ERROR);
}

void scsi_refuse(struct scsi_unit *unit, struct scsi_work *work, enum scsi_sense_key key,
	enum scsi_sense_code code)
{
	scsi_fail(unit, key, code);
	work->kind = SCSI_WORK_FAILED;
}

void scsi_answer(struct scsi_work *work, uint32_t bytes, uint32_t wanted)
{
	work->bytes = bytes < wanted ? bytes : wanted;
	work->kind = work->bytes != 0 ? SCSI_WORK_PAGE : SCSI_WORK_NONE;
}

// SPC-3 5.5: there is something to be read or written.
static bool is_ready(struct scsi_unit *unit, struct scsi_work *work)
{
	if (unit->tray_open)
		scsi_refuse(unit, work, SCSI_NOT_READY, SCSI_SENSE_NO_MEDIUM_OPEN);
	else if (unit->blocks == 0)
		scsi_refuse(unit, work, SCSI_NOT_READY,
			unit->is_cd ? SCSI_SENSE_NO_MEDIUM_CLOSED : SCSI_SENSE_NO_MEDIUM);
	else
		return true;
	return false;
}

void scsi_medium_begin(struct scsi_unit *unit, struct scsi_work *work, enum scsi_work_kind kind,
	uint64_t lba, uint32_t blocks)
{
	if (!is_ready(unit, work))
		return;
	if (lba > unit->blocks || blocks > unit->blocks - lba) {
		scsi_refuse(unit, work, SCSI_ILLEGAL_REQUEST, SCSI_SENSE_OUT_OF_RANGE);
		return;
	}
	if (kind == SCSI_WORK_WRITE && (unit->is_cd || unit->readonly)) {
		scsi_refuse(unit, work, SCSI_DATA_PROTECT, SCSI_SENSE_WRITE_PROTECTED);
		return;
	}
	if (blocks > SCSI_BLOCKS_MAX) {
		scsi_refuse_field(unit, work);
		return;
	}
	work->lba = lba;
	work->blocks = blocks;
	unit->stopped = false;
	work->kind = (uint8_t)(blocks != 0 ? kind : SCSI_WORK_NONE);
}

// Where a command of each length has its address and its count: SPC-3 4.3.4.
static void address_of(const uint8_t *cdb, uint64_t *lba, uint32_t *blocks)
{
	switch (cdb[0] >> 5) {
	case 0: // 6 bytes
		*lba = scsi_get(cdb + 1, 3) & 0x1fffff;
		*blocks = cdb[4] != 0 ? cdb[4] : 256;
		break;
	case 4: // 16 bytes
		*lba = (uint64_t)scsi_get(cdb + 2, 4) << 32 | scsi_get(cdb + 6, 4);
		*blocks = scsi_get(cdb + 10, 4);
		break;
	case 5: // 12 bytes
		*lba = scsi_get(cdb + 2, 4);
		*blocks = scsi_get(cdb + 6, 4);
		break;
	default: // 10 bytes
		*lba = scsi_get(cdb + 2, 4);
		*blocks = scsi_get(cdb + 7, 2);
		break;
	}
}

static bool medium_command(struct scsi_unit *unit, const uint8_t *cdb, struct scsi_work *work)
{
	static const struct {
		uint8_t command, kind;
	} commands[] = {
		{SCSI_READ_6, SCSI_WORK_READ},
		{SCSI_READ_10, SCSI_WORK_READ},
		{SCSI_READ_12, SCSI_WORK_READ},
		{SCSI_READ_16, SCSI_WORK_READ},
		{SCSI_WRITE_6, SCSI_WORK_WRITE},
		{SCSI_WRITE_10, SCSI_WORK_WRITE},
		{SCSI_WRITE_12, SCSI_WORK_WRITE},
		{SCSI_WRITE_16, SCSI_WORK_WRITE},
		{SCSI_VERIFY_10, SCSI_WORK_VERIFY},
		{SCSI_VERIFY_16, SCSI_WORK_VERIFY},
	};
	uint64_t lba;
	uint32_t blocks;

	for (size_t i = 0; i < ARRAY_COUNT(commands); i++) {
		if (commands[i].command != cdb[0])
			continue;
		address_of(cdb, &lba, &blocks);
		work->durable = commands[i].kind == SCSI_WORK_WRITE && cdb[0] != SCSI_WRITE_6 &&
			(cdb[1] & FUA) != 0;
		scsi_medium_begin(unit, work, commands[i].kind, lba, blocks);
		return true;
	}
	return false;
}

// SPC-3 6.27. It is over with it; what has happened to the unit comes before what a command did.
static void sense_tell(struct scsi_unit *unit, const uint8_t *cdb, struct scsi_work *work,
	uint8_t *page)
{
	if (unit->sense_key == SCSI_NO_SENSE && unit->attention != SCSI_SENSE_NONE) {
		scsi_fail(unit, SCSI_UNIT_ATTENTION, unit->attention);
		unit->attention = SCSI_SENSE_NONE;
	}
	page[0] = 0x70; // of this command, fixed format
	page[2] = unit->sense_key;
	page[7] = SCSI_SENSE_BYTES - 8;
	scsi_put(page + 12, 2, unit->sense);
	scsi_fail(unit, SCSI_NO_SENSE, SCSI_SENSE_NONE);
	scsi_answer(work, SCSI_SENSE_BYTES, cdb[4]);
}

// SBC-2 5.10 and 5.11.
static void capacity_tell(struct scsi_unit *unit, const uint8_t *cdb, struct scsi_work *work,
	uint8_t *page)
{
	uint64_t last = unit->blocks - 1;

	if (!is_ready(unit, work))
		return;
	if (cdb[0] == SCSI_READ_CAPACITY_10) {
		scsi_put(page, 4, last < UINT32_MAX ? last : UINT32_MAX);
		scsi_put(page + 4, 4, scsi_block_bytes(unit));
		scsi_answer(work, 8, 8);
	} else if ((cdb[1] & 0x1f) == SCSI_READ_CAPACITY_16) {
		scsi_put(page, 8, last);
		scsi_put(page + 8, 4, scsi_block_bytes(unit));
		scsi_answer(work, CAPACITY_16_BYTES, scsi_get(cdb + 10, 4));
	} else {
		scsi_refuse_field(unit, work);
	}
}

// MMC-5 6.24, which floppies and USB disks are asked as well: one size, formatted.
static void format_capacities_tell(struct scsi_unit *unit, const uint8_t *cdb,
	struct scsi_work *work, uint8_t *page)
{
	bool there = unit->blocks != 0 && !unit->tray_open;

	page[3] = 8;
	scsi_put(page + 4, 4, there ? unit->blocks : UINT32_MAX);
	scsi_put(page + 8, 4, scsi_block_bytes(unit));
	page[8] = there ? 2 : 3;
	scsi_answer(work, 12, scsi_get(cdb + 7, 2));
}

static void start_stop(struct scsi_unit *unit, const uint8_t *cdb, struct scsi_work *work)
{
	bool start = (cdb[4] & START) != 0;

	if ((cdb[4] & 0xf0) != 0) // a power condition: nothing to be seen
		return;
	if (unit->is_cd && (cdb[4] & START_LOAD_EJECT) != 0) {
		scsi_cd_load(unit, work, start);
		return;
	}
	unit->stopped = !start && !unit->is_cd;
	if (!start && !unit->is_cd) // what it has is safe before it rests: SBC-2 5.19
		work->kind = SCSI_WORK_FLUSH;
}

// Tells what has happened to the unit, once. SPC-3 5.8: these commands do not.
static bool attention_tell(struct scsi_unit *unit, const uint8_t *cdb, struct scsi_work *work)
{
	if (unit->attention == SCSI_SENSE_NONE || cdb[0] == SCSI_INQUIRY ||
		cdb[0] == SCSI_REQUEST_SENSE || cdb[0] == SCSI_REPORT_LUNS ||
		(unit->is_cd && (cdb[0] == SCSI_GET_CONFIGURATION ||
		cdb[0] == SCSI_GET_EVENT_STATUS_NOTIFICATION)))
		return false;
	scsi_refuse(unit, work, SCSI_UNIT_ATTENTION, unit->attention);
	unit->attention = SCSI_SENSE_NONE;
	return true;
}

static bool common_command(struct scsi_unit *unit, const uint8_t *cdb, struct scsi_work *work,
	uint8_t *page)
{
	switch (cdb[0]) {
	case SCSI_TEST_UNIT_READY:
		(void)is_ready(unit, work);
		break;
	case SCSI_REQUEST_SENSE:
		sense_tell(unit, cdb, work, page);
		break;
	case SCSI_INQUIRY:
		scsi_inquire(unit, cdb, work, page);
		break;
	case SCSI_MODE_SENSE_6:
	case SCSI_MODE_SENSE_10:
		scsi_mode_sense(unit, cdb, work, page);
		break;
	case SCSI_START_STOP_UNIT:
		start_stop(unit, cdb, work);
		break;
	case SCSI_SEND_DIAGNOSTIC: // the self-test passes: SPC-3 6.28
		if ((cdb[1] & 0x04) == 0)
			scsi_refuse_field(unit, work);
		break;
	case SCSI_PREVENT_ALLOW_MEDIUM_REMOVAL:
		unit->locked = (cdb[4] & PREVENT) != 0;
		break;
	case SCSI_READ_FORMAT_CAPACITIES:
		format_capacities_tell(unit, cdb, work, page);
		break;
	case SCSI_READ_CAPACITY_10:
	case SCSI_SERVICE_ACTION_IN_16:
		capacity_tell(unit, cdb, work, page);
		break;
	case SCSI_SYNCHRONIZE_CACHE_10:
	case SCSI_SYNCHRONIZE_CACHE_16:
		work->kind = unit->is_cd ? SCSI_WORK_NONE : SCSI_WORK_FLUSH;
		break;
	case SCSI_REPORT_LUNS: // the one that there is: SPC-3 6.21
		page[3] = 8;
		scsi_answer(work, REPORT_LUNS_BYTES, scsi_get(cdb + 6, 4));
		break;
	default:
		return false;
	}
	return true;
}

void scsi_command_begin(struct scsi_unit *unit, const uint8_t cdb[SCSI_CDB_BYTES],
	struct scsi_work *work, uint8_t page[SCSI_PAGE_BYTES])
{
	memset(work, 0, sizeof(*work));
	memset(page, 0, SCSI_PAGE_BYTES);
	if (attention_tell(unit, cdb, work))
		return;
	if (cdb[0] != SCSI_REQUEST_SENSE)
		scsi_fail(unit, SCSI_NO_SENSE, SCSI_SENSE_NONE);
	if (!medium_command(unit, cdb, work) && !common_command(unit, cdb, work, page) &&
		!(unit->is_cd && scsi_cd_command(unit, cdb, work, page)))
		scsi_refuse(unit, work, SCSI_ILLEGAL_REQUEST, SCSI_SENSE_INVALID_COMMAND);
}

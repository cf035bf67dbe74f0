// SPDX-License-Identifier: BSD-2-Clause
// Commands of a CD or DVD drive alone, and its tray. MMC-5 (T10/1675-D), 6.
//
// Left out on purpose: audio, sub-channels, raw sectors (READ CD gives user data alone), more
// tracks than one, READ DVD STRUCTURE, writing.
#include "emul/scsi_internal.h"

#include <string.h>

enum {
	LEAD_OUT = 0xaa,
	DATA_TRACK = 0x14, // digital, no copy; ADR 1: the position
	PREGAP = 150,      // blocks before block 0, in times
	SECOND_BLOCKS = 75,

	PROFILE_CD_ROM = 0x0008,
	PROFILE_DVD_ROM = 0x0010,
	CD_BLOCKS_MAX = 80 * 60 * SECOND_BLOCKS, // 80 minutes; what has more is a DVD

	EVENT_CLASS_MEDIA = 4,
	MEDIA_PRESENT = 0x02,
	TRAY_OPEN = 0x01,

	CD_USER_DATA = 0x10, // byte 9 of READ CD
};

// MMC-5 4.2.1: minutes, seconds and frames of a block.
static void address_put(uint8_t *to, uint64_t block, bool as_time)
{
	if (!as_time) {
		scsi_put(to, 4, block);
		return;
	}
	block += PREGAP;
	to[0] = 0;
	to[1] = (uint8_t)(block / SECOND_BLOCKS / 60);
	to[2] = (uint8_t)(block / SECOND_BLOCKS % 60);
	to[3] = (uint8_t)(block % SECOND_BLOCKS);
}

// 6.26.3.2: the one track, and the lead-out behind it.
static uint32_t tracks_make(const struct scsi_unit *unit, uint8_t first, bool as_time,
	uint8_t *page)
{
	uint8_t *at = page + 4;

	if (first > 1 && first != LEAD_OUT)
		return 0;
	if (first <= 1) {
		at[1] = DATA_TRACK;
		at[2] = 1;
		address_put(at + 4, 0, as_time);
		at += 8;
	}
	at[1] = DATA_TRACK;
	at[2] = LEAD_OUT;
	address_put(at + 4, unit->blocks, as_time);
	at += 8;
	return (uint32_t)(at - page);
}

// 6.26.3.3: the last complete session is the first one.
static uint32_t sessions_make(bool as_time, uint8_t *page)
{
	page[5] = DATA_TRACK;
	page[6] = 1;
	address_put(page + 8, 0, as_time);
	return 12;
}

// 6.26.3.4: descriptors of the lead-in's points, and of the track. Times are all they have.
static uint32_t full_toc_make(const struct scsi_unit *unit, uint8_t *page)
{
	static const uint8_t points[] = {0xa0, 0xa1, 0xa2, 1};

	for (unsigned i = 0; i < ARRAY_COUNT(points); i++) {
		uint8_t *at = page + 4 + 11 * i;

		at[0] = 1; // session
		at[1] = DATA_TRACK;
		at[3] = points[i];
		if (points[i] == 0xa0 || points[i] == 0xa1)
			at[8] = 1; // the first and the last track
		else
			address_put(at + 7, points[i] == 0xa2 ? unit->blocks : 0, true);
	}
	return 4 + 11 * ARRAY_COUNT(points);
}

static void toc_tell(struct scsi_unit *unit, const uint8_t *cdb, struct scsi_work *work,
	uint8_t *page)
{
	bool as_time = (cdb[1] & 0x02) != 0;
	uint8_t format = cdb[2] & 0x0f;
	uint32_t bytes = 0;

	scsi_medium_begin(unit, work, SCSI_WORK_NONE, 0, 0);
	if (work->kind == SCSI_WORK_FAILED)
		return;
	if (format == 0)
		format = cdb[9] >> 6; // where SFF 8020 had it
	if (format == 0)
		bytes = tracks_make(unit, cdb[6], as_time, page);
	else if (format == 1)
		bytes = sessions_make(as_time, page);
	else if (format == 2)
		bytes = full_toc_make(unit, page);
	if (bytes == 0) {
		scsi_refuse_field(unit, work);
		return;
	}
	scsi_put(page, 2, bytes - 2);
	page[2] = page[3] = 1; // the first and last track, or session
	scsi_answer(work, bytes, scsi_get(cdb + 7, 2));
}

static uint16_t profile_of(const struct scsi_unit *unit)
{
	if (unit->blocks == 0 || unit->tray_open)
		return 0;
	return unit->blocks > CD_BLOCKS_MAX ? PROFILE_DVD_ROM : PROFILE_CD_ROM;
}

// 6.5, and 5.3 for the features. Their versions are in bits 5:2 of byte 2, bit 1: it does not
// come and go; bit 0: it is current.
static void configuration_tell(struct scsi_unit *unit, const uint8_t *cdb, struct scsi_work *work,
	uint8_t *page)
{
	uint16_t profile = profile_of(unit);
	bool is_cd = profile == PROFILE_CD_ROM, is_dvd = profile == PROFILE_DVD_ROM;
	const struct {
		uint16_t code;
		uint8_t flags, bytes;
		uint8_t data[8];
	} features[] = {
		{0x0000, 0x03, 8, {0, PROFILE_DVD_ROM, is_dvd, 0, 0, PROFILE_CD_ROM, is_cd, 0}},
		{0x0001, 0x0b, 8, {0, 0, 0, 2, 0x01}}, // core: ATAPI
		{0x0002, 0x07, 4, {0x02}}, // events
		{0x0003, 0x03, 4, {0x29}}, // removable: a tray, which ejects, and can be locked
		{0x0010, (uint8_t)(profile != 0), 8, {0, 0, 8, 0, 0, 1, 0, 0}}, // random reads
		{0x001e, (uint8_t)(0x08 | is_cd), 4, {0}}, // CDs
		{0x001f, is_dvd, 4, {0}},                  // DVDs
	};
	uint16_t first = (uint16_t)scsi_get(cdb + 2, 2);
	uint8_t which = cdb[1] & 0x03; // all; those that are current; that one alone
	uint32_t bytes = 8;

	for (size_t i = 0; i < ARRAY_COUNT(features); i++) {
		if (features[i].code < first || (which == 2 && features[i].code != first) ||
			(which == 1 && (features[i].flags & 1) == 0))
			continue;
		scsi_put(page + bytes, 2, features[i].code);
		page[bytes + 2] = features[i].flags;
		page[bytes + 3] = features[i].bytes;
		memcpy(page + bytes + 4, features[i].data, features[i].bytes);
		bytes += 4u + features[i].bytes;
	}
	scsi_put(page, 4, bytes - 4);
	scsi_put(page + 6, 2, profile);
	if (which == 3)
		scsi_refuse_field(unit, work);
	else
		scsi_answer(work, bytes, scsi_get(cdb + 7, 2));
}

// 6.7. It is asked, and does not tell by itself.
static void event_tell(struct scsi_unit *unit, const uint8_t *cdb, struct scsi_work *work,
	uint8_t *page)
{
	uint32_t bytes = 4;

	if ((cdb[1] & 0x01) == 0) { // asynchronous
		scsi_refuse_field(unit, work);
		return;
	}
	page[3] = 1 << EVENT_CLASS_MEDIA; // the classes that it has
	if ((cdb[4] & 1 << EVENT_CLASS_MEDIA) == 0) {
		page[2] = 0x80; // none of those
	} else {
		page[2] = EVENT_CLASS_MEDIA;
		page[4] = unit->event;
		page[5] = unit->tray_open ? TRAY_OPEN // what is in it is not known then
			: unit->blocks != 0 ? MEDIA_PRESENT : 0;
		bytes = 8;
		if (scsi_get(cdb + 7, 2) > 4)
			unit->event = SCSI_EVENT_NONE;
	}
	scsi_put(page, 2, bytes - 2);
	scsi_answer(work, bytes, scsi_get(cdb + 7, 2));
}

// 6.22: complete, one session, one track.
static void disc_tell(struct scsi_unit *unit, const uint8_t *cdb, struct scsi_work *work,
	uint8_t *page)
{
	scsi_medium_begin(unit, work, SCSI_WORK_NONE, 0, 0);
	if (work->kind == SCSI_WORK_FAILED)
		return;
	scsi_put(page, 2, 32);
	page[2] = 0x0e;
	page[3] = page[4] = page[5] = page[6] = 1;
	page[7] = 0x20; // of no restricted use
	memset(page + 16, 0xff, 8); // it can be no longer
	scsi_answer(work, 34, scsi_get(cdb + 7, 2));
}

// 6.19.
static void cd_read(struct scsi_unit *unit, const uint8_t *cdb, struct scsi_work *work)
{
	uint8_t type = cdb[1] >> 2 & 7; // any, mode 1, mode 2 form 1
	uint32_t blocks = scsi_get(cdb + 6, 3);

	if (cdb[9] == 0)
		blocks = 0;
	else if ((cdb[9] & 0xfe) != CD_USER_DATA || (cdb[10] & 7) != 0) {
		scsi_refuse_field(unit, work);
		return;
	}
	if (type != 0 && type != 2 && type != 4)
		scsi_refuse_field(unit, work);
	else
		scsi_medium_begin(unit, work, SCSI_WORK_READ, scsi_get(cdb + 2, 4), blocks);
}

bool scsi_cd_command(struct scsi_unit *unit, const uint8_t *cdb, struct scsi_work *work,
	uint8_t *page)
{
	switch (cdb[0]) {
	case SCSI_READ_TOC:
		toc_tell(unit, cdb, work, page);
		break;
	case SCSI_GET_CONFIGURATION:
		configuration_tell(unit, cdb, work, page);
		break;
	case SCSI_GET_EVENT_STATUS_NOTIFICATION:
		event_tell(unit, cdb, work, page);
		break;
	case SCSI_READ_DISC_INFORMATION:
		disc_tell(unit, cdb, work, page);
		break;
	case SCSI_MECHANISM_STATUS: // no changer: 6.10
		page[1] = unit->tray_open ? 0x10 : 0;
		scsi_answer(work, 8, scsi_get(cdb + 8, 2));
		break;
	case SCSI_READ_CD:
		cd_read(unit, cdb, work);
		break;
	case SCSI_SEEK_10:
		scsi_medium_begin(unit, work, SCSI_WORK_NONE, scsi_get(cdb + 2, 4), 1);
		break;
	case SCSI_SET_CD_SPEED:
		break;
	default:
		return false;
	}
	return true;
}

static void tray_close(struct scsi_unit *unit)
{
	if (!unit->tray_open)
		return;
	unit->tray_open = false;
	if (unit->blocks == 0)
		return;
	unit->attention = SCSI_SENSE_MEDIUM_CHANGED;
	unit->event = SCSI_EVENT_NEW_MEDIA;
}

static void tray_open(struct scsi_unit *unit)
{
	if (unit->tray_open)
		return;
	unit->tray_open = true;
	unit->event = SCSI_EVENT_MEDIA_REMOVAL;
}

void scsi_cd_load(struct scsi_unit *unit, struct scsi_work *work, bool load)
{
	if (load)
		tray_close(unit);
	else if (unit->locked)
		scsi_refuse(unit, work, SCSI_ILLEGAL_REQUEST, SCSI_SENSE_REMOVAL_PREVENTED);
	else
		tray_open(unit);
}

bool scsi_cd_eject(struct scsi_unit *unit, bool force)
{
	if (unit->locked && !force && !unit->tray_open) {
		unit->event = SCSI_EVENT_EJECT_REQUEST;
		return false;
	}
	unit->locked = false;
	tray_open(unit);
	return true;
}

void scsi_cd_remove(struct scsi_unit *unit)
{
	unit->disc = SCSI_NO_DISC;
	unit->blocks = 0;
}

void scsi_cd_insert(struct scsi_unit *unit, uint8_t disc, uint64_t blocks)
{
	unit->tray_open = true;
	unit->disc = disc;
	unit->blocks = blocks;
	tray_close(unit);
}

// SPDX-License-Identifier: BSD-2-Clause
// What a SCSI unit says of itself. SPC-3 (T10/1416-D), 6.4 (INQUIRY), 7.4 (mode pages), 7.6 (vital
// product data); SBC-2 (T10/1417-D), 6.3; MMC-5 (T10/1675-D), 7.
#include "emul/scsi_internal.h"

#include <string.h>

enum {
	TYPE_DISK = 0x00,
	TYPE_CD = 0x05,
	REMOVABLE = 0x80,
	VERSION_SPC_3 = 0x05,
	INQUIRY_BYTES = 36,
	VENDOR = 8, // of standard INQUIRY data
	PRODUCT = 16,
	REVISION = 32,
	VITAL = 0x01, // EVPD
	VITAL_PAGES = 0x00,
	VITAL_SERIAL = 0x80,
	VITAL_IDENTIFIER = 0x83,

	MODE_CACHE = 0x08,
	MODE_ERROR_RECOVERY = 0x01,
	MODE_CD_CAPABILITIES = 0x2a,
	MODE_ALL = 0x3f,
	MODE_SAVED = 3, // of bits 7:6 of the page code
	MODE_CHANGEABLE = 1,
	WRITE_PROTECTED = 0x80, // device-specific parameter: SBC-2 6.3.1
	CD_SPEED = 706, // KB a second: 4x, as a driver shows it
};
#define MAKER    "REPRISE "
#define FIRMWARE "0.1 "

static void text(uint8_t *to, unsigned bytes, const char *from)
{
	for (unsigned i = 0; i < bytes; i++)
		to[i] = *from != '\0' ? (uint8_t)*from++ : ' ';
}

static unsigned serial_bytes(const struct scsi_unit *unit)
{
	unsigned bytes = 0;

	while (bytes < SCSI_SERIAL_BYTES && unit->serial[bytes] != 0)
		bytes++;
	return bytes;
}

static uint8_t type_of(const struct scsi_unit *unit)
{
	return unit->is_cd ? TYPE_CD : TYPE_DISK;
}

// SPC-3 7.6. The identifier is that of a vendor, by ASCII: 7.6.3.4.
static uint32_t vital_make(const struct scsi_unit *unit, uint8_t code, uint8_t *page)
{
	unsigned serial = serial_bytes(unit), bytes = 0;

	page[0] = type_of(unit);
	page[1] = code;
	switch (code) {
	case VITAL_PAGES:
		page[5] = VITAL_SERIAL;
		page[6] = VITAL_IDENTIFIER;
		bytes = 3;
		break;
	case VITAL_SERIAL:
		memcpy(page + 4, unit->serial, serial);
		bytes = serial;
		break;
	case VITAL_IDENTIFIER:
		page[4] = 0x02; // ASCII
		page[5] = 0x01; // T10 vendor ID, of the logical unit
		page[7] = (uint8_t)(8 + serial);
		text(page + 8, 8, MAKER);
		memcpy(page + 16, unit->serial, serial);
		bytes = 12 + serial;
		break;
	default:
		return 0;
	}
	page[3] = (uint8_t)bytes;
	return 4 + bytes;
}

void scsi_inquire(struct scsi_unit *unit, const uint8_t *cdb, struct scsi_work *work,
	uint8_t *page)
{
	uint32_t wanted = scsi_get(cdb + 3, 2), bytes = INQUIRY_BYTES;

	if ((cdb[1] & VITAL) != 0) {
		bytes = vital_make(unit, cdb[2], page);
	} else if (cdb[2] != 0) {
		bytes = 0;
	} else {
		page[0] = type_of(unit);
		page[1] = unit->is_cd ? REMOVABLE : 0;
		page[2] = VERSION_SPC_3;
		page[3] = 0x02; // response data format
		page[4] = INQUIRY_BYTES - 5;
		text(page + VENDOR, 8, MAKER);
		text(page + PRODUCT, 16, unit->is_cd ? "CD-ROM" : "DISK");
		text(page + REVISION, 4, FIRMWARE);
	}
	if (bytes != 0)
		scsi_answer(work, bytes, wanted);
	else
		scsi_refuse_field(unit, work);
}

// MMC-5 7 (Appendix E of the older MMC-3 for the capabilities).
static uint32_t cd_capabilities_make(const struct scsi_unit *unit, uint8_t *page)
{
	page[0] = MODE_CD_CAPABILITIES;
	page[1] = 18;
	page[2] = 0x3b; // reads CD-R, CD-RW, DVD-ROM, DVD-R, DVD-RAM
	page[4] = 0x70; // mode 2 forms 1 and 2, several sessions
	page[5] = 0x00; // no audio
	page[6] = 0x20 | 0x08 | 0x01; // a tray, which ejects, and can be locked
	if (unit->locked)
		page[6] |= 0x02;
	scsi_put(page + 8, 2, CD_SPEED);
	scsi_put(page + 12, 2, 512); // KiB of its buffer
	scsi_put(page + 14, 2, CD_SPEED);
	return 20;
}

// One page behind `to`, or nothing. Nothing can be changed.
static uint32_t mode_page_make(const struct scsi_unit *unit, uint8_t code, bool changeable,
	uint8_t *to)
{
	uint32_t bytes = 0;

	if (code == MODE_ERROR_RECOVERY) {
		to[0] = MODE_ERROR_RECOVERY;
		to[1] = unit->is_cd ? 6 : 10;
		to[3] = changeable ? 0 : 1; // retries
		bytes = to[1] + 2u;
	} else if (code == MODE_CACHE && !unit->is_cd) {
		to[0] = MODE_CACHE;
		to[1] = 18;
		to[2] = changeable || unit->readonly ? 0 : 0x04; // a write cache
		bytes = 20;
	} else if (code == MODE_CD_CAPABILITIES && unit->is_cd) {
		bytes = cd_capabilities_make(unit, to);
		if (changeable)
			memset(to + 2, 0, bytes - 2);
	}
	return bytes;
}

static uint32_t mode_pages_make(const struct scsi_unit *unit, uint8_t code, bool changeable,
	uint8_t *to)
{
	static const uint8_t codes[] = {MODE_ERROR_RECOVERY, MODE_CACHE, MODE_CD_CAPABILITIES};
	uint32_t bytes = 0;

	for (size_t i = 0; i < ARRAY_COUNT(codes); i++)
		if (code == MODE_ALL || code == codes[i])
			bytes += mode_page_make(unit, codes[i], changeable, to + bytes);
	return bytes;
}

// SPC-3 6.9 and 6.10, without block descriptors.
void scsi_mode_sense(struct scsi_unit *unit, const uint8_t *cdb, struct scsi_work *work,
	uint8_t *page)
{
	bool is_long = cdb[0] == SCSI_MODE_SENSE_10;
	uint32_t header = is_long ? 8 : 4, bytes;
	uint8_t control = cdb[2] >> 6;

	if (control == MODE_SAVED) {
		scsi_refuse(unit, work, SCSI_ILLEGAL_REQUEST, SCSI_SENSE_NO_SAVING);
		return;
	}
	bytes = mode_pages_make(unit, cdb[2] & 0x3f, control == MODE_CHANGEABLE, page + header);
	if (bytes == 0) {
		scsi_refuse_field(unit, work);
		return;
	}
	bytes += header;
	if (is_long)
		scsi_put(page, 2, bytes - 2);
	else
		page[0] = (uint8_t)(bytes - 1);
	if (!unit->is_cd && unit->readonly)
		page[is_long ? 3 : 2] = WRITE_PROTECTED;
	scsi_answer(work, bytes, is_long ? scsi_get(cdb + 7, 2) : cdb[4]);
}

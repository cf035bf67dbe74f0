// SPDX-License-Identifier: BSD-2-Clause
// The commands of a SCSI logical unit, a disk or a CD drive, however it is attached (ATAPI, USB):
// what a command wants, and the data that the unit makes up itself. Transfers are its adapter's.
// See scsi.c.
#ifndef EMUL_SCSI_H
#define EMUL_SCSI_H

#include "emul/device.h"
#include "emul/scsi_abi.h"

enum {
	SCSI_PAGE_BYTES = 256, // the longest data that a unit makes up
	SCSI_SERIAL_BYTES = 20,
	SCSI_NO_DISC = 0xff,
	SCSI_BLOCKS_MAX = 0x80000, // of a command
};

enum scsi_kind { SCSI_DISK, SCSI_CD, SCSI_KINDS };

// Part of the state of a device.
struct scsi_unit {
	uint64_t blocks;  // of the medium that is in it; 0: none is
	uint8_t serial[SCSI_SERIAL_BYTES]; // (c) zeros behind it
	uint16_t sense;   // enum scsi_sense_code of the last command that failed, until it is told
	uint16_t attention; // the same: of what has happened to the unit, and has yet to be told
	uint8_t sense_key; // enum scsi_sense_key
	uint8_t disc;     // the adapter's name for the medium of a CD drive; SCSI_NO_DISC: none
	uint8_t event;    // enum scsi_media_event that has yet to be asked for
	bool tray_open;   // of a CD drive: its disc cannot be read
	bool locked;      // the driver prevents that its medium is removed
	bool stopped;     // of a disk
	bool is_cd;       // (c)
	bool readonly;    // (c) of a disk
};

// Of a table that has it since that version.
#define SCSI_UNIT_STATE(version, type, array, unit)                                                \
	STATE_EACH_SINCE(version, type, array, unit.blocks, 0, UINT64_MAX),                        \
		STATE_EACH_SINCE(version, type, array, unit.sense, 0, UINT16_MAX),                 \
		STATE_EACH_SINCE(version, type, array, unit.attention, 0, UINT16_MAX),             \
		STATE_EACH_SINCE(version, type, array, unit.sense_key, 0, 0xf),                    \
		STATE_EACH_SINCE(version, type, array, unit.disc, 0, UINT8_MAX),                   \
		STATE_EACH_SINCE(version, type, array, unit.event, 0, SCSI_EVENTS - 1),            \
		STATE_EACH_SINCE(version, type, array, unit.tray_open, 0, 1),                      \
		STATE_EACH_SINCE(version, type, array, unit.locked, 0, 1),                         \
		STATE_EACH_SINCE(version, type, array, unit.stopped, 0, 1),                        \
		STATE_EACH_DERIVED(type, array, unit.is_cd),                                       \
		STATE_EACH_DERIVED(type, array, unit.readonly),                                    \
		STATE_EACH_DERIVED(type, array, unit.serial)

// A disc of an adapter's port: in the CD drive that it belongs to, or beside it.
struct scsi_disc {
	uint64_t blocks; // 0: there is none
	uint8_t drive;   // the adapter's number
	uint8_t reserved[7];
};

enum scsi_work_kind {
	SCSI_WORK_NONE,   // nothing more: it has been done
	SCSI_WORK_FAILED, // nothing: CHECK CONDITION, and the sense is there
	SCSI_WORK_PAGE,   // `bytes` of a page are read
	SCSI_WORK_READ,   // `blocks` from `lba` on, all of which are on the medium
	SCSI_WORK_WRITE,
	SCSI_WORK_VERIFY, // read, and nobody gets it
	SCSI_WORK_FLUSH,
	SCSI_WORK_KINDS
};

struct scsi_work {
	uint64_t lba;
	uint32_t blocks;
	uint32_t bytes;
	uint8_t kind; // enum scsi_work_kind
	bool durable; // a write that is not done before it is safe
	uint8_t reserved[6];
};

// It has lost its power, or was reset by its bus; what is in it stays in it.
void scsi_reset(struct scsi_unit *unit);
static inline uint32_t scsi_block_bytes(const struct scsi_unit *unit)
{
	return unit->is_cd ? SCSI_CD_BLOCK_BYTES : SCSI_DISK_BLOCK_BYTES;
}

// Begins the command in `cdb`. A page that is made up is in `page`, of which *work has as many
// bytes as the driver wants; a driver may take fewer.
void scsi_command_begin(struct scsi_unit *unit, const uint8_t cdb[SCSI_CDB_BYTES],
	struct scsi_work *work, uint8_t page[SCSI_PAGE_BYTES]);
// The command fails: what REQUEST SENSE says next.
void scsi_fail(struct scsi_unit *unit, enum scsi_sense_key key, enum scsi_sense_code code);
// The same, by what the back end has answered to a request.
void scsi_fail_by(struct scsi_unit *unit, enum status status, bool write);

// scsi_cd.c: somebody presses the button of a CD drive, or forces the tray out. False: the driver
// has been told that somebody wants to. No command is under way.
bool scsi_cd_eject(struct scsi_unit *unit, bool force);
// Another disc is put in and the tray closes: of so many blocks, more than 0.
void scsi_cd_insert(struct scsi_unit *unit, uint8_t disc, uint64_t blocks);
// Takes the disc out of the open tray.
void scsi_cd_remove(struct scsi_unit *unit);

#endif

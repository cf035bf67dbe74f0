// SPDX-License-Identifier: BSD-2-Clause
// SCSI: commands, sense and data that are big-endian. SPC-3 (T10/1416-D), SBC-2 (T10/1417-D) for
// disks, MMC-5 (T10/1675-D) for CD drives.
#ifndef EMUL_SCSI_ABI_H
#define EMUL_SCSI_ABI_H

#include "kernel/base/types.h"

enum {
	SCSI_CDB_BYTES = 16, // of the longest command; ATAPI's have 12
	SCSI_CD_BLOCK_BYTES = 2048,
	SCSI_DISK_BLOCK_BYTES = 512,
	SCSI_SENSE_BYTES = 18, // fixed format: SPC-3 4.5.3
};

enum scsi_command {
	SCSI_TEST_UNIT_READY = 0x00,
	SCSI_REQUEST_SENSE = 0x03,
	SCSI_READ_6 = 0x08,
	SCSI_WRITE_6 = 0x0a,
	SCSI_INQUIRY = 0x12,
	SCSI_MODE_SENSE_6 = 0x1a,
	SCSI_START_STOP_UNIT = 0x1b,
	SCSI_SEND_DIAGNOSTIC = 0x1d,
	SCSI_PREVENT_ALLOW_MEDIUM_REMOVAL = 0x1e,
	SCSI_READ_FORMAT_CAPACITIES = 0x23,
	SCSI_READ_CAPACITY_10 = 0x25,
	SCSI_READ_10 = 0x28,
	SCSI_WRITE_10 = 0x2a,
	SCSI_SEEK_10 = 0x2b,
	SCSI_VERIFY_10 = 0x2f,
	SCSI_SYNCHRONIZE_CACHE_10 = 0x35,
	SCSI_READ_TOC = 0x43,
	SCSI_GET_CONFIGURATION = 0x46,
	SCSI_GET_EVENT_STATUS_NOTIFICATION = 0x4a,
	SCSI_READ_DISC_INFORMATION = 0x51,
	SCSI_MODE_SENSE_10 = 0x5a,
	SCSI_READ_16 = 0x88,
	SCSI_WRITE_16 = 0x8a,
	SCSI_VERIFY_16 = 0x8f,
	SCSI_SYNCHRONIZE_CACHE_16 = 0x91,
	SCSI_SERVICE_ACTION_IN_16 = 0x9e,
	SCSI_REPORT_LUNS = 0xa0,
	SCSI_READ_12 = 0xa8,
	SCSI_WRITE_12 = 0xaa,
	SCSI_SET_CD_SPEED = 0xbb,
	SCSI_MECHANISM_STATUS = 0xbd,
	SCSI_READ_CD = 0xbe,
};

enum { SCSI_READ_CAPACITY_16 = 0x10 }; // service action of SERVICE ACTION IN

enum scsi_sense_key { // SPC-3 4.5.6
	SCSI_NO_SENSE = 0x0,
	SCSI_NOT_READY = 0x2,
	SCSI_MEDIUM_ERROR = 0x3,
	SCSI_HARDWARE_ERROR = 0x4,
	SCSI_ILLEGAL_REQUEST = 0x5,
	SCSI_UNIT_ATTENTION = 0x6,
	SCSI_DATA_PROTECT = 0x7,
	SCSI_ABORTED_COMMAND = 0xb,
};

// Additional sense code << 8 | its qualifier: SPC-3 D.
enum scsi_sense_code {
	SCSI_SENSE_NONE = 0x0000,
	SCSI_SENSE_WRITE_ERROR = 0x0c00,
	SCSI_SENSE_READ_ERROR = 0x1100, // unrecovered
	SCSI_SENSE_INVALID_COMMAND = 0x2000,
	SCSI_SENSE_OUT_OF_RANGE = 0x2100,
	SCSI_SENSE_INVALID_FIELD = 0x2400,
	SCSI_SENSE_NO_SUCH_UNIT = 0x2500, // LOGICAL UNIT NOT SUPPORTED
	SCSI_SENSE_WRITE_PROTECTED = 0x2700,
	SCSI_SENSE_MEDIUM_CHANGED = 0x2800,
	SCSI_SENSE_RESET = 0x2900,
	SCSI_SENSE_NO_SAVING = 0x3900,
	SCSI_SENSE_NO_MEDIUM = 0x3a00,
	SCSI_SENSE_NO_MEDIUM_CLOSED = 0x3a01,
	SCSI_SENSE_NO_MEDIUM_OPEN = 0x3a02,
	SCSI_SENSE_REMOVAL_PREVENTED = 0x5302,
};

enum scsi_media_event { // MMC-5 6.7.2.5
	SCSI_EVENT_NONE = 0,
	SCSI_EVENT_EJECT_REQUEST = 1,
	SCSI_EVENT_NEW_MEDIA = 2,
	SCSI_EVENT_MEDIA_REMOVAL = 3,
	SCSI_EVENTS
};

static inline uint32_t scsi_get(const uint8_t *from, unsigned bytes)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < bytes; i++)
		value = value << 8 | from[i];
	return value;
}

static inline void scsi_put(uint8_t *to, unsigned bytes, uint64_t value)
{
	for (unsigned i = bytes; i > 0; i--, value >>= 8)
		to[i - 1] = (uint8_t)value;
}

#endif

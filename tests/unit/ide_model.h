// SPDX-License-Identifier: BSD-2-Clause
// An IDE controller with four drives, for tests: it has the numbers of the specification, not those
// of the driver.
#ifndef TESTS_UNIT_IDE_MODEL_H
#define TESTS_UNIT_IDE_MODEL_H

#include "tests/unit/fake_host.h"

#include <stdlib.h>
#include <string.h>

#include "drivers/disk.h"
#include "drivers/ide.h"
#include "kernel/x86.h"

enum { BSY = 0x80, DRDY = 0x40, DF = 0x20, DRQ = 0x08, ERR = 0x01, MEDIUM_SECTORS = 300 };

enum kind { ABSENT, DISK, CDROM, DEAD };

struct drive {
	enum kind kind;
	uint16_t identity[256];
	uint8_t status, error;
	uint8_t current[6], previous[6]; // registers 1 to 6, and what they held before
	uint16_t buffer[256];
	unsigned at;         // word of the buffer; 256: nothing is moved
	unsigned left;       // sectors
	bool writes, is_identity;
	uint64_t sector;
	unsigned busy;       // reads of the status, or waits, for which it is busy
	unsigned flushes, extended; // commands
	unsigned resets;
};

static struct {
	struct drive drives[4];
	unsigned selected[2]; // of each channel
	uint8_t control[2];
	uint16_t ports[2], controls[2];
	uint8_t floating; // what nobody answers
	// Faults: of the sector, or of all.
	uint64_t bad_sector;
	uint8_t bad_status, bad_error;
	bool hangs_at_bad; // busy for ever
	bool never_asks;   // for data
	unsigned latency;
	uint64_t medium_start; // sector of the disk that medium[0] is
	uint8_t medium[MEDIUM_SECTORS * 512];
} ata;

static struct drive *selected(unsigned channel)
{
	return &ata.drives[channel * 2 + ata.selected[channel]];
}

static bool decode(uint16_t port, unsigned *channel, unsigned *offset)
{
	for (unsigned i = 0; i < 2; i++) {
		*channel = i;
		*offset = port - (unsigned)ata.ports[i];
		if (*offset < 8)
			return true;
		*offset = 8;
		if (port == ata.controls[i])
			return true;
	}
	return false;
}

static uint64_t address(const struct drive *drive, bool is_ext)
{
	uint64_t low = drive->current[3] | (uint64_t)drive->current[4] << 8 |
		(uint64_t)drive->current[5] << 16;

	assert_int_equal(drive->current[0] & 0x40, 0x40); // LBA
	if (!is_ext)
		return low | (uint64_t)(drive->current[0] & 0xf) << 24;
	return low | (uint64_t)drive->previous[3] << 24 | (uint64_t)drive->previous[4] << 32 |
		(uint64_t)drive->previous[5] << 40;
}

static uint8_t *medium(uint64_t sector)
{
	assert_true(sector >= ata.medium_start && sector < ata.medium_start + MEDIUM_SECTORS);
	return ata.medium + (sector - ata.medium_start) * 512;
}

// The next sector of a command, or its end.
static void sector_begin(struct drive *drive)
{
	drive->at = 256;
	drive->status = DRDY;
	drive->busy = ata.latency;
	if (drive->left == 0)
		return;
	if (drive->sector == ata.bad_sector && !drive->is_identity) {
		if (ata.hangs_at_bad)
			drive->busy = UINT32_MAX;
		drive->status = ata.bad_status;
		drive->error = ata.bad_error;
		drive->left = 0;
		return;
	}
	if (ata.never_asks && !drive->is_identity)
		return;
	if (drive->is_identity)
		memcpy(drive->buffer, drive->identity, 512);
	else if (!drive->writes)
		memcpy(drive->buffer, medium(drive->sector), 512);
	drive->at = 0;
	drive->status = DRDY | DRQ;
}

static void sector_end(struct drive *drive)
{
	if (drive->writes)
		memcpy(medium(drive->sector), drive->buffer, 512);
	drive->left--;
	drive->sector++;
	sector_begin(drive);
}

static void command(struct drive *drive, uint8_t value)
{
	bool is_ext = value == 0x24 || value == 0x34 || value == 0xea;
	unsigned count = drive->current[2] | (is_ext ? (unsigned)drive->previous[2] << 8 : 0);

	if (drive->kind == ABSENT)
		return;
	assert_int_equal(drive->status & (BSY | DRQ), 0);
	drive->is_identity = value == 0xec;
	drive->writes = value == 0x30 || value == 0x34;
	drive->left = drive->is_identity ? 1 : count != 0 ? count : is_ext ? 65536 : 256;
	drive->extended += is_ext && value != 0xea;
	if (drive->kind == CDROM || drive->kind == DEAD) {
		drive->status = drive->kind == CDROM ? DRDY | ERR : 0;
		drive->busy = drive->kind == CDROM ? 2 : UINT32_MAX;
		drive->error = 4; // aborted
		drive->left = 0;
		return;
	}
	if (value == 0xe7 || value == 0xea) {
		drive->flushes++;
		drive->left = 0;
		drive->status = DRDY | ata.bad_status;
		drive->error = ata.bad_error;
		drive->busy = ata.latency;
		return;
	}
	assert_true(drive->is_identity || value == 0x20 || value == 0x24 || drive->writes);
	if (!drive->is_identity)
		drive->sector = address(drive, is_ext);
	sector_begin(drive);
}

static uint8_t status(struct drive *drive)
{
	if (drive->kind == ABSENT)
		return ata.floating;
	if (drive->busy > 0 && drive->busy != UINT32_MAX)
		drive->busy--;
	return drive->busy > 0 ? BSY : drive->status;
}

static uint32_t port_in(uint16_t port, unsigned bytes)
{
	unsigned channel, offset;
	struct drive *drive;
	uint16_t word;

	if (!decode(port, &channel, &offset))
		return UINT32_MAX;
	drive = selected(channel);
	if (offset == 0) {
		assert_int_equal(bytes, 2);
		assert_true(drive->at < 256 && !drive->writes && drive->busy == 0);
		word = drive->buffer[drive->at++];
		if (drive->at == 256)
			sector_end(drive);
		return word;
	}
	assert_int_equal(bytes, 1);
	if (offset >= 7)
		return status(drive);
	assert_int_equal(offset, 1);
	return drive->error;
}

static void reset(unsigned channel)
{
	for (unsigned i = 0; i < 2; i++) {
		struct drive *drive = &ata.drives[channel * 2 + i];

		drive->status = DRDY;
		drive->busy = 3;
		drive->left = 0;
		drive->at = 256;
		drive->resets++;
	}
}

static void port_out(uint16_t port, unsigned bytes, uint32_t value)
{
	unsigned channel, offset;
	struct drive *drive;

	assert_true(decode(port, &channel, &offset));
	drive = selected(channel);
	if (offset == 0) {
		assert_int_equal(bytes, 2);
		assert_true(drive->at < 256 && drive->writes && drive->busy == 0);
		drive->buffer[drive->at++] = (uint16_t)value;
		if (drive->at == 256)
			sector_end(drive);
		return;
	}
	assert_int_equal(bytes, 1);
	if (offset == 8) {
		if ((value & 4) == 0 && (ata.control[channel] & 4) != 0)
			reset(channel);
		assert_int_equal(value & 2, 2); // no interrupts
		ata.control[channel] = (uint8_t)value;
	} else if (offset == 6) {
		ata.selected[channel] = value >> 4 & 1;
		selected(channel)->current[0] = (uint8_t)value;
	} else if (offset == 7) {
		command(drive, (uint8_t)value);
	} else {
		drive->previous[offset] = drive->current[offset];
		drive->current[offset] = (uint8_t)value;
	}
}

static void identity_set(struct drive *drive, uint64_t sectors)
{
	const char model[] = "eRrpsi eetts\1\xff" "idks                          ";
	uint32_t low = sectors < BIT(28) ? (uint32_t)sectors : (uint32_t)BIT(28) - 1;

	drive->identity[0] = 0x0040;
	memcpy(&drive->identity[27], model, 40);
	drive->identity[49] = 1 << 9;
	memcpy(&drive->identity[60], &low, 4);
	drive->identity[83] = 1 << 14 | 1 << 13 | 1 << 12 | 1 << 10;
	memcpy(&drive->identity[100], &sectors, 8);
}

#endif

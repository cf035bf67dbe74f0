// SPDX-License-Identifier: BSD-2-Clause
// What the payloads about drives of an IDE controller (ide_*) share: its registers.
#ifndef TESTS_GUEST_IDE_H
#define TESTS_GUEST_IDE_H

#include "dev.h"
#include "emul/ata_abi.h"

enum {
	CHANNELS = 2,
	MASTER = 0x540, // ports
	FUNCTION = 0x80000000u | 1 << 11 | 1 << 8,
	VECTOR = 0x50,
	SECTOR = ATA_SECTOR_BYTES,
	LAST = 1u << 31,
	DATA = 0, ERROR, COUNT, LOW, MIDDLE, HIGH, DEVICE, STATUS, // registers
	SECOND = ATA_DEVICE_SECOND,
	TO_MEMORY = 8, START = 1, // bus master
	FAILED = 2, INTERRUPT = 4,
	BUSY = ATA_STATUS_BSY | ATA_STATUS_DRQ,
	POLLS = 10000, // of some 4 us and more
};

static const uint16_t ports[CHANNELS] = {0x1f0, 0x170}, controls[CHANNELS] = {0x3f6, 0x376};

struct entry {
	uint32_t at, bytes;
};

static inline void config_write(unsigned offset, uint32_t value)
{
	outl(0xcf8, FUNCTION | offset);
	outl(0xcfc, value);
}

static inline void place(void)
{
	config_write(0x40, 0x80008000); // the channels answer
	config_write(0x20, MASTER);
	config_write(4, 5);
}

static inline uint8_t in(unsigned channel, unsigned reg)
{
	return inb((uint16_t)(ports[channel] + reg));
}

static inline void out(unsigned channel, unsigned reg, unsigned value)
{
	outb((uint16_t)(ports[channel] + reg), (uint8_t)value);
}

static inline uint8_t status(unsigned channel)
{
	return inb(controls[channel]);
}

// Until none of the bits is set, or those that are wanted are.
static inline bool await(unsigned channel, uint8_t bits, uint8_t wanted)
{
	for (unsigned i = 0; i < POLLS; i++) {
		if ((status(channel) & bits) == wanted)
			return true;
		idle();
	}
	return false;
}

static inline void start(unsigned channel, unsigned drive, unsigned command, unsigned lba,
	unsigned count)
{
	out(channel, DEVICE, ATA_DEVICE_LBA | drive);
	out(channel, COUNT, count);
	out(channel, LOW, lba);
	out(channel, MIDDLE, lba >> 8);
	out(channel, HIGH, lba >> 16);
	out(channel, STATUS, command);
}

static inline uint16_t master(unsigned channel, unsigned reg)
{
	return (uint16_t)(MASTER + 8 * channel + reg);
}

static inline uint8_t master_status(unsigned channel)
{
	return inb(master(channel, 2)) & 7;
}

#endif

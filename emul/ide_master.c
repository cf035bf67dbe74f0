// SPDX-License-Identifier: BSD-2-Clause
// The bus masters of an IDE function: Programming Interface for Bus Master IDE Controller 1.0.
//
// Left out on purpose: the limits of 64 KiB that no part of the table may cross.
#include "emul/ide_internal.h"

enum {
	REGISTER_COMMAND = 0,
	REGISTER_STATUS = 2,
	REGISTER_TABLE = 4, // 4 bytes
	WRITABLE = IDE_MASTER_START | IDE_MASTER_TO_MEMORY,
	ENTRY_BYTES_MAX = 0x10000,
};
#define TABLE_WRITABLE UINT32_C(0xfffffffc)
#define ENTRY_LAST     UINT32_C(0x80000000)

// 1.2
struct entry {
	uint32_t at;
	uint32_t bytes; // even; 0: ENTRY_BYTES_MAX; bit 31: the last
};

static uint8_t byte_read(const struct ide_master *master, uint64_t offset)
{
	switch (offset) {
	case REGISTER_COMMAND:
		return master->command;
	case REGISTER_STATUS:
		return master->status;
	case REGISTER_TABLE:
	case REGISTER_TABLE + 1:
	case REGISTER_TABLE + 2:
	case REGISTER_TABLE + 3:
		return (uint8_t)(master->table >> 8 * (offset - REGISTER_TABLE));
	default:
		return 0;
	}
}

uint64_t ide_master_read(const struct ide *ide, unsigned channel, uint64_t offset, unsigned size)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < size; i++)
		value |= (uint64_t)byte_read(&ide->channels[channel].master, offset + i) << 8 * i;
	return value;
}

// What is under way when the master is stopped is lost, and the command waits.
static void command_write(struct ide *ide, unsigned channel, struct guest_time now, uint8_t value)
{
	struct ide_master *master = &ide->channels[channel].master;
	bool started = (value & ~master->command & IDE_MASTER_START) != 0;
	bool stopped = (master->command & ~value & IDE_MASTER_START) != 0;

	master->command = value & WRITABLE;
	if (stopped) {
		master->status &= (uint8_t)~IDE_MASTER_ACTIVE;
		ide_stop(ide, channel);
	}
	if (!started)
		return;
	master->status |= IDE_MASTER_ACTIVE;
	master->entry = master->table;
	master->left = 0;
	master->last = false;
	ide_go_on(ide, channel, now);
}

static void byte_write(struct ide *ide, unsigned channel, struct guest_time now, uint64_t offset,
	uint8_t value)
{
	struct ide_master *master = &ide->channels[channel].master;
	unsigned shift = 8 * (unsigned)(offset & 3);

	switch (offset) {
	case REGISTER_COMMAND:
		command_write(ide, channel, now, value);
		break;
	case REGISTER_STATUS: // 2.2: the errors and the interrupt are cleared by ones
		master->status = (uint8_t)((master->status &
			~(value & (IDE_MASTER_ERROR | IDE_MASTER_INTERRUPT)) &
			~IDE_MASTER_CAPABLE) | (value & IDE_MASTER_CAPABLE));
		break;
	case REGISTER_TABLE:
	case REGISTER_TABLE + 1:
	case REGISTER_TABLE + 2:
	case REGISTER_TABLE + 3:
		master->table = ((master->table & ~(UINT32_C(0xff) << shift)) |
			(uint32_t)value << shift) & TABLE_WRITABLE;
		break;
	default:
		break;
	}
}

void ide_master_write(struct ide *ide, unsigned channel, struct guest_time now, uint64_t offset,
	unsigned size, uint64_t value)
{
	for (unsigned i = 0; i < size; i++)
		byte_write(ide, channel, now, offset + i, (uint8_t)(value >> 8 * i));
}

bool ide_master_is_ready(const struct ide *ide, unsigned channel, bool to_memory)
{
	const struct ide_master *master = &ide->channels[channel].master;

	return (master->status & IDE_MASTER_ACTIVE) != 0 && pcidev_is_master(&ide->pci) &&
		((master->command & IDE_MASTER_TO_MEMORY) != 0) == to_memory;
}

static bool entry_next(struct ide *ide, unsigned channel)
{
	struct ide_master *master = &ide->channels[channel].master;
	struct entry entry;

	if (master->last)
		return false;
	if (device_dma_read(&ide->pci.device, (struct gpa){master->entry}, &entry, sizeof(entry)) !=
		STATUS_OK) {
		ide_master_fail(ide, channel);
		return false;
	}
	master->entry += (uint32_t)sizeof(entry);
	master->at = entry.at & ~UINT32_C(1);
	master->left = entry.bytes & 0xfffe;
	if (master->left == 0)
		master->left = ENTRY_BYTES_MAX;
	master->last = (entry.bytes & ENTRY_LAST) != 0;
	return true;
}

uint32_t ide_master_pieces(struct ide *ide, unsigned channel, uint32_t bytes,
	struct device_io_piece pieces[DEVICE_IO_PIECES_MAX], uint8_t *count)
{
	struct ide_master *master = &ide->channels[channel].master;
	uint32_t got = 0;

	*count = 0;
	while (got < bytes && *count < DEVICE_IO_PIECES_MAX) {
		uint32_t part = bytes - got;

		if (master->left == 0 && !entry_next(ide, channel))
			break;
		if (part > master->left)
			part = master->left;
		pieces[(*count)++] = (struct device_io_piece){{master->at}, part};
		master->at += part;
		master->left -= part;
		got += part;
	}
	return got;
}

// 3.1: it stays active where its table has more than was moved.
void ide_master_end(struct ide *ide, unsigned channel)
{
	struct ide_master *master = &ide->channels[channel].master;

	if (master->last && master->left == 0)
		master->status &= (uint8_t)~IDE_MASTER_ACTIVE;
}

void ide_master_fail(struct ide *ide, unsigned channel)
{
	struct ide_master *master = &ide->channels[channel].master;

	master->status &= (uint8_t)~IDE_MASTER_ACTIVE;
	master->status |= IDE_MASTER_ERROR;
}

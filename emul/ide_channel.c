// SPDX-License-Identifier: BSD-2-Clause
// A channel of an IDE function: its drives' registers. ATA/ATAPI-7 volume 1 (T13/1532D), 5, and
// volume 2, 9 (reset).
#include "emul/ide_internal.h"

enum {
	REGISTER_ERROR = 1, // and features
	REGISTER_COUNT = 2,
	REGISTER_LOW = 3,
	REGISTER_MIDDLE = 4,
	REGISTER_HIGH = 5,
	REGISTER_DEVICE = 6,
	REGISTER_STATUS = 7, // and command
	NOBODY = 0x7f, // what is read where no drive is: ATA-7 volume 2, 7.1
};

bool ide_channel_is_empty(const struct ide *ide, unsigned channel)
{
	const struct ide_drive *drives = &ide->drives[channel * IDE_CHANNEL_DRIVES];

	return !ide_drive_is_there(&drives[0]) && !ide_drive_is_there(&drives[1]);
}

// 9.12: what tells whether the drive is a disk, or takes packets.
static void signature_set(struct ide_drive *drive)
{
	drive->file = (struct ata_taskfile){.lba = drive->unit.is_cd ? ATAPI_SIGNATURE : 1,
		.count = 1, .error = ATA_ERROR_PASSED,
		.status = drive->disk.sectors != 0 ? IDE_STATUS_READY : 0};
}

void ide_channel_reset(struct ide *ide, unsigned channel)
{
	ide_request_drop(ide, channel);
	for (unsigned i = 0; i < IDE_CHANNEL_DRIVES; i++)
		signature_set(&ide->drives[channel * IDE_CHANNEL_DRIVES + i]);
	ide->channels[channel].selected = 0;
	ide_irq_set(ide, channel, false);
}

// 11.2, of both drives; the answers of a drive that is not there are the other one's.
static void diagnose(struct ide *ide, unsigned channel)
{
	ide_channel_reset(ide, channel);
	if (!ide_channel_is_empty(ide, channel))
		ide_irq_set(ide, channel, true);
}

static void command_write(struct ide *ide, unsigned channel, struct guest_time now, uint8_t value)
{
	struct ide_drive *drive = ide_selected(ide, channel);

	drive->file.command = value;
	ide_irq_set(ide, channel, false);
	if (value == ATA_EXECUTE_DEVICE_DIAGNOSTIC)
		diagnose(ide, channel);
	else if (ide_drive_is_there(drive))
		ide_command_begin(ide, channel, now);
}

// 6.8, which drives of packets take at any time.
static bool device_reset(struct ide *ide, unsigned channel, unsigned reg, uint8_t value)
{
	struct ide_drive *drive = ide_selected(ide, channel);

	if (reg != REGISTER_STATUS || value != ATA_DEVICE_RESET || !drive->unit.is_cd)
		return false;
	ide_request_drop(ide, channel);
	signature_set(drive);
	drive->file.device = ide->channels[channel].selected != 0 ? ATA_DEVICE_SECOND : 0;
	ide_irq_set(ide, channel, false);
	return true;
}

// The older half of what is written in turn is read with HOB.
static uint16_t pushed(uint16_t before, uint8_t value)
{
	return (uint16_t)(before << 8 | value);
}

static uint64_t lba_pushed(uint64_t before, unsigned shift, uint8_t value)
{
	uint64_t old = before >> shift & 0xff;
	uint64_t kept = before & ~(UINT64_C(0xff) << shift) & ~(UINT64_C(0xff) << (shift + 24));

	return kept | old << (shift + 24) | (uint64_t)value << shift;
}

static void file_write(struct ata_taskfile *file, unsigned reg, uint8_t value)
{
	switch (reg) {
	case REGISTER_ERROR:
		file->features = pushed(file->features, value);
		break;
	case REGISTER_COUNT:
		file->count = pushed(file->count, value);
		break;
	case REGISTER_LOW:
	case REGISTER_MIDDLE:
	case REGISTER_HIGH:
		file->lba = lba_pushed(file->lba, 8 * (reg - REGISTER_LOW), value);
		break;
	default:
		file->device = value;
		break;
	}
}

// Both drives have what is written. While one is busy or has data nothing is: 7.15.6.
void ide_register_write(struct ide *ide, unsigned channel, struct guest_time now, unsigned reg,
	uint8_t value)
{
	struct ide_channel *of = &ide->channels[channel];
	struct ide_drive *drives = &ide->drives[channel * IDE_CHANNEL_DRIVES];

	if ((of->control & ATA_CONTROL_SRST) != 0 || device_reset(ide, channel, reg, value) ||
		of->state != IDE_IDLE)
		return;
	of->control &= (uint8_t)~ATA_CONTROL_HOB;
	if (reg == REGISTER_STATUS) {
		command_write(ide, channel, now, value);
		return;
	}
	for (unsigned i = 0; i < IDE_CHANNEL_DRIVES; i++)
		file_write(&drives[i].file, reg, value);
	if (reg == REGISTER_DEVICE)
		of->selected = (value & ATA_DEVICE_SECOND) != 0;
}

uint8_t ide_status(const struct ide *ide, unsigned channel)
{
	const struct ide_channel *of = &ide->channels[channel];
	uint8_t status = ide->drives[ide_selected_index(ide, channel)].file.status;

	if (ide_channel_is_empty(ide, channel))
		return NOBODY;
	return (of->control & ATA_CONTROL_SRST) != 0 ? ATA_STATUS_BSY : status;
}

uint8_t ide_register_read(struct ide *ide, unsigned channel, unsigned reg)
{
	const struct ide_drive *drive = ide_selected(ide, channel);
	unsigned older = (ide->channels[channel].control & ATA_CONTROL_HOB) != 0;

	if (ide_channel_is_empty(ide, channel))
		return NOBODY;
	switch (reg) {
	case REGISTER_ERROR:
		return drive->file.error;
	case REGISTER_COUNT:
		return (uint8_t)(drive->file.count >> 8 * older);
	case REGISTER_LOW:
	case REGISTER_MIDDLE:
	case REGISTER_HIGH:
		return (uint8_t)(drive->file.lba >> (8 * (reg - REGISTER_LOW) + 24 * older));
	case REGISTER_DEVICE:
		return drive->file.device | ATA_DEVICE_FIXED;
	default:
		ide_irq_set(ide, channel, false);
		return ide_status(ide, channel);
	}
}

// 9.3: the reset is over when the bit is cleared.
void ide_control_write(struct ide *ide, unsigned channel, uint8_t value)
{
	struct ide_channel *of = &ide->channels[channel];
	uint8_t before = of->control;

	of->control = value;
	if ((before & ~value & ATA_CONTROL_SRST) != 0)
		ide_channel_reset(ide, channel);
	else if ((value & ~before & ATA_CONTROL_SRST) != 0)
		ide_request_drop(ide, channel);
	ide_irq_set(ide, channel, of->irq);
}


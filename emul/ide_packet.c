// SPDX-License-Identifier: BSD-2-Clause
// Commands that come as packets, for CD drives of an IDE function. ATA/ATAPI-7 volume 2
// (T13/1532D), 11.8 (PACKET protocol); what is in the packets: scsi.c.
//
//   IDLE --PACKET--> OUT --the packet is written--> as commands of disks (ide_work.c), or IDLE
//
// What PIO reads comes in parts, of which each has its length in the registers and its interrupt:
//
//   ASKED, or a page that is made up --> IN --a part has been read--> IN, or ASKED behind the
//        buffer's last
#include "emul/ide_internal.h"

#include <string.h>

enum {
	BLOCK_SECTORS = SCSI_CD_BLOCK_BYTES / ATA_SECTOR_BYTES,
	LIMIT_MAX = 0xfffe, // of what one interrupt moves: ATA-7 volume 1, 6.27
};
_Static_assert((int)SCSI_PAGE_BYTES <= (int)IDE_BUFFER_BYTES, "pages");

// No interrupt tells that the packet is awaited: it is so at once.
void ide_packet_await(struct ide *ide, unsigned channel)
{
	struct ide_drive *drive = ide_selected(ide, channel);

	ide->channels[channel].limit = (uint16_t)(drive->file.lba >> 8);
	drive->file.count = ATAPI_REASON_COMMAND;
	ide_data_wait(ide, channel, IDE_OUT, ATAPI_PACKET_BYTES);
}

void ide_packet_fail(struct ide *ide, unsigned channel)
{
	ide_command_end(ide, channel, ATA_STATUS_ERR,
		(uint8_t)(ide_selected(ide, channel)->unit.sense_key << 4));
}

static void part_begin(struct ide *ide, unsigned channel)
{
	struct ide_channel *of = &ide->channels[channel];
	struct ide_drive *drive = ide_selected(ide, channel);
	uint32_t at = of->at, left = of->held - at, part = of->limit & LIMIT_MAX;

	part = part < left ? part : left;
	ide_data_wait(ide, channel, IDE_IN, at + part);
	of->at = at;
	drive->file.count = ATAPI_REASON_IN;
	drive->file.lba = (drive->file.lba & 0xff) | part << 8;
	ide_irq_set(ide, channel, true);
}

void ide_packet_filled(struct ide *ide, unsigned channel, uint32_t bytes)
{
	struct ide_channel *of = &ide->channels[channel];

	of->held = bytes;
	of->at = 0;
	part_begin(ide, channel);
}

void ide_packet_taken(struct ide *ide, unsigned channel, struct guest_time now)
{
	struct ide_channel *of = &ide->channels[channel];

	if (of->at < of->held) {
		part_begin(ide, channel);
		return;
	}
	of->done += of->held;
	of->held = 0;
	if (of->work.kind == ATA_WORK_READ)
		ide_work_go_on(ide, channel, now);
	else
		ide_command_end(ide, channel, 0, 0);
}

static bool pieces_write(struct ide *ide, const struct device_io_piece *pieces, unsigned count,
	const uint8_t *from)
{
	for (unsigned i = 0; i < count; i++) {
		if (device_dma_write(&ide->pci.device, pieces[i].at, from, pieces[i].bytes) !=
			STATUS_OK)
			return false;
		from += pieces[i].bytes;
	}
	return true;
}

void ide_packet_move(struct ide *ide, unsigned channel)
{
	struct ide_channel *of = &ide->channels[channel];
	struct device_io_piece pieces[DEVICE_IO_PIECES_MAX];
	uint8_t count;
	uint32_t part;

	ide_master_await(ide, channel);
	if (!ide_master_is_ready(ide, channel, true) || of->done >= of->held)
		return;
	part = ide_master_pieces(ide, channel, of->held - of->done, pieces, &count);
	if (!pieces_write(ide, pieces, count, of->buffer + of->done)) {
		ide_master_fail(ide, channel);
		scsi_fail(&ide_selected(ide, channel)->unit, SCSI_ABORTED_COMMAND,
			SCSI_SENSE_NONE);
		ide_packet_fail(ide, channel);
		return;
	}
	of->done += part;
	if (of->done == of->held)
		ide_command_end(ide, channel, 0, 0);
	else
		ide_master_end(ide, channel); // its table has ended before the page
}

static void data_begin(struct ide *ide, unsigned channel, struct guest_time now,
	const struct scsi_work *work, const uint8_t *page)
{
	struct ide_channel *of = &ide->channels[channel];

	if (!of->work.dma && (of->limit & LIMIT_MAX) == 0) { // no part has anything
		ide_command_end(ide, channel, ATA_STATUS_ERR, ATA_ERROR_ABRT);
		return;
	}
	if (work->kind == SCSI_WORK_PAGE) {
		of->work.kind = ATA_WORK_PAGE;
		memcpy(of->buffer, page, work->bytes);
		of->held = work->bytes;
		of->at = 0;
		if (of->work.dma)
			ide_packet_move(ide, channel);
		else
			part_begin(ide, channel);
		return;
	}
	of->work.kind = ATA_WORK_READ;
	of->work.lba = work->lba * BLOCK_SECTORS;
	of->work.sectors = work->blocks * BLOCK_SECTORS;
	of->work.block = ATA_MULTIPLE_MAX;
	ide_work_go_on(ide, channel, now);
}

void ide_packet_begin(struct ide *ide, unsigned channel, struct guest_time now)
{
	struct ide_channel *of = &ide->channels[channel];
	struct ide_drive *drive = ide_selected(ide, channel);
	uint8_t cdb[SCSI_CDB_BYTES] = {0}, page[SCSI_PAGE_BYTES];
	struct scsi_work work;

	memcpy(cdb, of->buffer, ATAPI_PACKET_BYTES);
	of->at = of->bytes = 0;
	scsi_command_begin(&drive->unit, cdb, &work, page);
	switch (work.kind) {
	case SCSI_WORK_PAGE:
	case SCSI_WORK_READ:
		data_begin(ide, channel, now, &work, page);
		break;
	case SCSI_WORK_VERIFY:
		of->work.kind = ATA_WORK_VERIFY;
		of->work.lba = work.lba * BLOCK_SECTORS;
		of->work.sectors = work.blocks * BLOCK_SECTORS;
		of->work.block = ATA_MULTIPLE_MAX;
		of->work.dma = false;
		ide_work_go_on(ide, channel, now);
		break;
	case SCSI_WORK_FAILED:
		of->work.dma = false;
		ide_packet_fail(ide, channel);
		break;
	default:
		of->work.dma = false;
		ide_command_end(ide, channel, 0, 0);
		break;
	}
}

static bool is_at_disc(const struct ide *ide, unsigned channel, unsigned drive)
{
	const struct ide_channel *of = &ide->channels[channel];

	return of->state != IDE_IDLE && ide_selected_index(ide, channel) == drive &&
		of->work.is_packet && (of->work.kind == ATA_WORK_READ ||
		of->work.kind == ATA_WORK_VERIFY);
}

// A command that reads the disc which goes fails.
void ide_tray_set(struct ide *ide, enum device_setting setting, uint64_t value)
{
	unsigned drive = device_disc_drive(value), disc = device_disc_port(value);
	unsigned channel = drive / IDE_CHANNEL_DRIVES;
	struct scsi_unit *unit = &ide->drives[drive].unit;
	bool reads = is_at_disc(ide, channel, drive);

	if (!scsi_cd_eject(unit, device_disc_is_forced(value)))
		return;
	if (reads)
		ide_request_drop(ide, channel);
	scsi_cd_remove(unit);
	if (setting == DEVICE_SETTING_INSERT)
		scsi_cd_insert(unit, (uint8_t)disc, ide->discs[disc].blocks);
	if (!reads)
		return;
	scsi_fail(unit, SCSI_NOT_READY, SCSI_SENSE_NO_MEDIUM);
	ide_packet_fail(ide, channel);
}

bool ide_tray_accepts(const struct ide *ide, enum device_setting setting, uint64_t value)
{
	unsigned drive = device_disc_drive(value), disc = device_disc_port(value);

	if (value >> 17 != 0 || drive >= IDE_DRIVES || !ide->drives[drive].unit.is_cd)
		return false;
	if (setting == DEVICE_SETTING_EJECT)
		return disc == 0;
	return disc < IDE_PORTS && ide->discs[disc].blocks != 0 && ide->discs[disc].drive == drive;
}

const char *ide_unit_check(const struct ide *ide, unsigned drive)
{
	const struct scsi_unit *unit = &ide->drives[drive].unit;

	if (unit->disc == SCSI_NO_DISC)
		return unit->blocks == 0 ? NULL : "a disc of nowhere";
	if (!unit->is_cd || unit->disc >= IDE_PORTS || ide->discs[unit->disc].drive != drive ||
		unit->blocks == 0 || unit->blocks != ide->discs[unit->disc].blocks)
		return "a disc that the drive cannot have";
	return NULL;
}

const char *ide_packet_check(const struct ide *ide, unsigned channel)
{
	const struct ide_channel *of = &ide->channels[channel];
	const struct ata_work *work = &of->work;
	uint64_t sectors = ide->drives[ide_selected_index(ide, channel)].unit.blocks *
		BLOCK_SECTORS;
	bool reads = work->kind == ATA_WORK_READ || work->kind == ATA_WORK_VERIFY;

	if (!reads && work->kind != ATA_WORK_PAGE && work->kind != ATA_WORK_PACKET)
		return "a packet's command that there is not";
	if (reads && (work->lba >= sectors || work->sectors > sectors - work->lba ||
		work->sectors == 0 || work->block != ATA_MULTIPLE_MAX ||
		work->sectors > SCSI_BLOCKS_MAX * BLOCK_SECTORS))
		return "a command beyond its disc";
	if (of->state == IDE_IN && (of->held > IDE_BUFFER_BYTES || of->bytes > of->held ||
		(of->limit & LIMIT_MAX) == 0))
		return "a part beyond its buffer";
	if (work->kind == ATA_WORK_PAGE && (of->held > SCSI_PAGE_BYTES || of->done >= of->held))
		return "a page beyond its buffer";
	if (work->kind == ATA_WORK_PACKET && of->bytes != ATAPI_PACKET_BYTES)
		return "a packet of another length";
	if (work->durable || (work->dma && work->kind == ATA_WORK_VERIFY))
		return "a packet's command that no packet asks for";
	return NULL;
}

// SPDX-License-Identifier: BSD-2-Clause
// Commands of the drives of an IDE function. ATA/ATAPI-7 volume 2 (T13/1532D), 11 (protocols).
//
//   IDLE --command that reads by PIO--> ASKED --a block is there--> IN --the guest has read it-->
//        ASKED, or IDLE behind the last
//   IDLE --command that writes by PIO--> OUT --the guest has written a block--> ASKED --it is
//        written--> OUT, or IDLE behind the last
//   IDLE --command with DMA--> AWAITS_MASTER --the bus master has pieces--> ASKED --they are
//        moved--> AWAITS_MASTER, or IDLE behind the last
//   ASKED --the back end is busy--> AWAITS_ROOM --timer--> ASKED
//   any --reset--> IDLE: a request is dropped
//
// What is durable is flushed before the command ends: ASKED once more.
#include "emul/ide_internal.h"

#include <string.h>

enum { RETRY_NS = 100000 };
#define REQUEST_BYTES_MAX ((uint32_t)DEVICE_IO_BYTES_MAX)
_Static_assert((int)ATA_TRIM_BLOCKS_MAX * ATA_SECTOR_BYTES <= (int)IDE_BUFFER_BYTES, "of TRIM");

void ide_command_end(struct ide *ide, unsigned channel, uint8_t status, uint8_t error)
{
	struct ide_channel *of = &ide->channels[channel];
	struct ide_drive *drive = ide_selected(ide, channel);

	if (of->work.dma)
		ide_master_end(ide, channel);
	of->state = IDE_IDLE;
	if (of->work.is_packet)
		drive->file.count = ATAPI_REASON_COMMAND | ATAPI_REASON_IN;
	drive->file.status = IDE_STATUS_READY | status;
	drive->file.error = error;
	ide_irq_set(ide, channel, true);
}

// With the sector that it has come to.
static void command_fail(struct ide *ide, unsigned channel, uint8_t error)
{
	struct ide_channel *of = &ide->channels[channel];
	struct ide_drive *drive = ide_selected(ide, channel);

	if (of->work.kind >= ATA_WORK_READ && of->work.kind <= ATA_WORK_VERIFY)
		ata_show_sector(&drive->disk, &drive->file,
			of->work.lba + of->done / ATA_SECTOR_BYTES);
	ide_command_end(ide, channel, ATA_STATUS_ERR, error);
}

// The back end takes no such request: its memory is none.
static void request_refused(struct ide *ide, unsigned channel)
{
	struct ide_channel *of = &ide->channels[channel];

	if (of->work.dma)
		ide_master_fail(ide, channel);
	if (!of->work.is_packet) {
		command_fail(ide, channel, ATA_ERROR_ABRT);
		return;
	}
	scsi_fail(&ide_selected(ide, channel)->unit, SCSI_ABORTED_COMMAND, SCSI_SENSE_NONE);
	ide_packet_fail(ide, channel);
}

// The back end has not done it, which is no failure of the bus master's: Bus Master IDE 1.0, 2.2.
static void request_failed(struct ide *ide, unsigned channel, enum status status)
{
	struct ide_channel *of = &ide->channels[channel];

	if (!of->work.is_packet) {
		command_fail(ide, channel, status == STATUS_RANGE ? ATA_ERROR_IDNF
			: of->asked == DEVICE_IO_READ ? ATA_ERROR_UNC : ATA_ERROR_ABRT);
		return;
	}
	scsi_fail_by(&ide_selected(ide, channel)->unit, status, false);
	ide_packet_fail(ide, channel);
}

static uint32_t work_bytes(const struct ide_channel *of)
{
	return of->work.sectors * ATA_SECTOR_BYTES;
}

static uint32_t block_bytes(const struct ide_channel *of)
{
	uint32_t left = work_bytes(of) - of->done, block = of->work.block * ATA_SECTOR_BYTES;

	return left < block ? left : block;
}

static void ask(struct ide *ide, unsigned channel, struct guest_time now, struct device_io *io)
{
	struct ide_channel *of = &ide->channels[channel];
	enum status status;

	io->request = ++of->name;
	of->asked = io->kind;
	of->state = IDE_ASKED;
	ide_selected(ide, channel)->file.status = ATA_STATUS_BSY;
	status = device_submit(&ide->pci.device, ide_port(ide, channel), io);
	if (status == STATUS_OK)
		return;
	if (status == STATUS_BUSY) { // dropped requests are still under way
		of->state = IDE_AWAITS_ROOM;
		of->retry.ns = now.ns + RETRY_NS;
		device_arm_timer(&ide->pci.device, channel, of->retry);
		return;
	}
	request_refused(ide, channel);
}

// Between the buffer, or nothing, and the medium.
static void ask_own(struct ide *ide, unsigned channel, struct guest_time now,
	enum device_io_kind kind, uint32_t bytes)
{
	struct ide_channel *of = &ide->channels[channel];
	struct device_io io = {.kind = (uint8_t)kind, .bytes = bytes, .data = of->buffer,
		.offset = of->work.lba * ATA_SECTOR_BYTES + of->done};

	of->part = bytes;
	ask(ide, channel, now, &io);
}

static void ask_flush(struct ide *ide, unsigned channel, struct guest_time now)
{
	struct device_io io = {.kind = DEVICE_IO_FLUSH};

	ide->channels[channel].part = 0;
	ask(ide, channel, now, &io);
}

void ide_data_wait(struct ide *ide, unsigned channel, enum ide_state state, uint32_t bytes)
{
	struct ide_channel *of = &ide->channels[channel];

	of->state = (uint8_t)state;
	of->at = 0;
	of->bytes = bytes;
	ide_selected(ide, channel)->file.status = IDE_STATUS_READY | ATA_STATUS_DRQ;
}

static void work_end(struct ide *ide, unsigned channel, struct guest_time now)
{
	struct ide_channel *of = &ide->channels[channel];

	if (of->work.durable && of->asked != DEVICE_IO_FLUSH)
		ask_flush(ide, channel, now);
	else
		ide_command_end(ide, channel, 0, 0);
}

static void verify_go_on(struct ide *ide, unsigned channel, struct guest_time now)
{
	const struct ide_channel *of = &ide->channels[channel];
	uint32_t left = work_bytes(of) - of->done;

	ask_own(ide, channel, now, DEVICE_IO_READ,
		left < REQUEST_BYTES_MAX ? left : REQUEST_BYTES_MAX);
}

void ide_master_await(struct ide *ide, unsigned channel)
{
	ide->channels[channel].state = IDE_AWAITS_MASTER;
	ide_selected(ide, channel)->file.status = IDE_STATUS_READY | ATA_STATUS_DRQ;
}

static void transfer_go_on(struct ide *ide, unsigned channel, struct guest_time now)
{
	struct ide_channel *of = &ide->channels[channel];
	struct device_io_piece pieces[DEVICE_IO_PIECES_MAX];
	uint32_t left = work_bytes(of) - of->done;
	struct device_io io = {.kind = of->work.kind == ATA_WORK_READ ? DEVICE_IO_READ
		: DEVICE_IO_WRITE, .pieces = pieces};

	struct ide_master before;

	ide_master_await(ide, channel);
	if (!ide_master_is_ready(ide, channel, io.kind == DEVICE_IO_READ))
		return;
	before = of->master;
	io.offset = of->work.lba * ATA_SECTOR_BYTES + of->done;
	of->part = ide_master_pieces(ide, channel,
		left < REQUEST_BYTES_MAX ? left : REQUEST_BYTES_MAX, pieces, &io.piece_count);
	if (of->part != 0)
		ask(ide, channel, now, &io);
	else
		ide_master_end(ide, channel); // its table has ended before the command
	if (of->state == IDE_AWAITS_ROOM)
		of->master = before; // these pieces once more
}

// Ranges of the blocks that are in the buffer, one behind the other.
static void trim_go_on(struct ide *ide, unsigned channel, struct guest_time now)
{
	struct ide_channel *of = &ide->channels[channel];
	const struct ata_disk *disk = &ide_selected(ide, channel)->disk;
	uint32_t ranges = of->work.sectors * ATA_TRIM_RANGES, sectors = 0;
	bool outside = false;
	uint64_t lba = 0;

	while (of->range < ranges && !ata_trim_range(disk,
		of->buffer + of->range / ATA_TRIM_RANGES * ATA_SECTOR_BYTES,
		of->range % ATA_TRIM_RANGES, &lba, &sectors, &outside))
		of->range++;
	if (of->range >= ranges) {
		ide_command_end(ide, channel, 0, 0);
	} else if (outside) {
		command_fail(ide, channel, ATA_ERROR_IDNF);
	} else {
		struct device_io io = {.kind = DEVICE_IO_DISCARD,
			.offset = lba * ATA_SECTOR_BYTES,
			.bytes = (uint64_t)sectors * ATA_SECTOR_BYTES};

		of->part = 0;
		ask(ide, channel, now, &io);
	}
}

static bool pieces_read(struct ide *ide, const struct device_io_piece *pieces, unsigned count,
	uint8_t *to)
{
	for (unsigned i = 0; i < count; i++) {
		if (device_dma_read(&ide->pci.device, pieces[i].at, to, pieces[i].bytes) !=
			STATUS_OK)
			return false;
		to += pieces[i].bytes;
	}
	return true;
}

static void trim_blocks_read(struct ide *ide, unsigned channel, struct guest_time now)
{
	struct ide_channel *of = &ide->channels[channel];
	struct device_io_piece pieces[DEVICE_IO_PIECES_MAX];
	uint8_t count;
	uint32_t part;

	ide_master_await(ide, channel);
	if (!ide_master_is_ready(ide, channel, false))
		return;
	part = ide_master_pieces(ide, channel, work_bytes(of) - of->done, pieces, &count);
	if (!pieces_read(ide, pieces, count, of->buffer + of->done)) {
		ide_master_fail(ide, channel);
		command_fail(ide, channel, ATA_ERROR_ABRT);
		return;
	}
	of->done += part;
	if (of->done == work_bytes(of))
		trim_go_on(ide, channel, now);
	else
		ide_master_end(ide, channel); // too many pieces for a table of so few bytes
}

void ide_work_go_on(struct ide *ide, unsigned channel, struct guest_time now)
{
	struct ide_channel *of = &ide->channels[channel];

	if (of->work.kind == ATA_WORK_TRIM)
		trim_blocks_read(ide, channel, now);
	else if (of->work.kind == ATA_WORK_PAGE)
		ide_packet_move(ide, channel);
	else if (of->done == work_bytes(of))
		work_end(ide, channel, now);
	else if (of->work.kind == ATA_WORK_VERIFY)
		verify_go_on(ide, channel, now);
	else if (of->work.dma)
		transfer_go_on(ide, channel, now);
	else if (of->work.kind == ATA_WORK_READ)
		ask_own(ide, channel, now, DEVICE_IO_READ, block_bytes(of));
	else
		ide_data_wait(ide, channel, IDE_OUT, block_bytes(of));
}

void ide_go_on(struct ide *ide, unsigned channel, struct guest_time now)
{
	if (ide->channels[channel].state == IDE_AWAITS_MASTER)
		ide_work_go_on(ide, channel, now);
}

void ide_stop(struct ide *ide, unsigned channel)
{
	struct ide_channel *of = &ide->channels[channel];

	if (!of->work.dma || of->part == 0 ||
		(of->state != IDE_ASKED && of->state != IDE_AWAITS_ROOM))
		return;
	ide_request_drop(ide, channel);
	ide_master_await(ide, channel);
}

void ide_retry(struct ide *ide, unsigned channel, struct guest_time now)
{
	struct ide_channel *of = &ide->channels[channel];

	if (of->state != IDE_AWAITS_ROOM)
		return; // of a state that was loaded, and contradicts itself
	if (of->asked == DEVICE_IO_FLUSH)
		ask_flush(ide, channel, now);
	else if (of->asked == DEVICE_IO_DISCARD)
		trim_go_on(ide, channel, now);
	else if (of->asked == DEVICE_IO_WRITE && !of->work.dma)
		ask_own(ide, channel, now, DEVICE_IO_WRITE, of->part);
	else
		ide_work_go_on(ide, channel, now);
}

void ide_request_drop(struct ide *ide, unsigned channel)
{
	struct ide_channel *of = &ide->channels[channel];

	if (of->state == IDE_ASKED)
		device_drop(&ide->pci.device, ide_port(ide, channel), of->name);
	device_arm_timer(&ide->pci.device, channel, GUEST_TIME_NEVER);
	of->state = IDE_IDLE;
}

void ide_command_begin(struct ide *ide, unsigned channel, struct guest_time now)
{
	struct ide_channel *of = &ide->channels[channel];
	struct ide_drive *drive = ide_selected(ide, channel);

	of->done = of->part = of->at = of->bytes = of->range = of->held = 0;
	of->asked = DEVICE_IO_READ;
	drive->file.error = 0;
	if (drive->unit.is_cd)
		atapi_command_begin(&drive->disk, &drive->file, &of->work);
	else
		ata_command_begin(&drive->disk, &drive->file, &of->work);
	switch (of->work.kind) {
	case ATA_WORK_NONE:
		ide_command_end(ide, channel, 0, 0);
		break;
	case ATA_WORK_REFUSED:
		ide_command_end(ide, channel, ATA_STATUS_ERR, of->work.error);
		break;
	case ATA_WORK_PAGE:
		ata_page_make(&drive->disk, &of->work, of->buffer);
		ide_data_wait(ide, channel, IDE_IN, ATA_SECTOR_BYTES);
		ide_irq_set(ide, channel, true);
		break;
	case ATA_WORK_PACKET:
		ide_packet_await(ide, channel);
		break;
	case ATA_WORK_FLUSH:
		ask_flush(ide, channel, now);
		break;
	default:
		ide_work_go_on(ide, channel, now);
		break;
	}
}

static void part_completed(struct ide *ide, unsigned channel, struct guest_time now)
{
	struct ide_channel *of = &ide->channels[channel];
	bool is_in = of->work.kind == ATA_WORK_READ && !of->work.dma;
	uint32_t part = of->part;

	of->part = 0;
	if (is_in) {
		device_take_data(&ide->pci.device, ide_port(ide, channel), of->buffer, part);
		if (of->work.is_packet) {
			ide_packet_filled(ide, channel, part);
			return;
		}
		ide_data_wait(ide, channel, IDE_IN, part);
		ide_irq_set(ide, channel, true);
		return;
	}
	of->done += part;
	ide_work_go_on(ide, channel, now);
	if (of->state == IDE_OUT)
		ide_irq_set(ide, channel, true);
}

void ide_completed(struct ide *ide, unsigned channel, struct guest_time now, enum status status)
{
	struct ide_channel *of = &ide->channels[channel];

	if (status != STATUS_OK) {
		request_failed(ide, channel, status);
		return;
	}
	if (of->asked == DEVICE_IO_FLUSH) {
		ide_command_end(ide, channel, 0, 0);
	} else if (of->asked == DEVICE_IO_DISCARD) {
		of->range++;
		trim_go_on(ide, channel, now);
	} else {
		part_completed(ide, channel, now);
	}
}

uint32_t ide_data_read(struct ide *ide, unsigned channel, struct guest_time now, unsigned size)
{
	struct ide_channel *of = &ide->channels[channel];
	uint32_t value = 0;

	if (of->state != IDE_IN)
		return ide_channel_is_empty(ide, channel) ? UINT32_MAX : 0;
	if (size > of->bytes - of->at)
		size = of->bytes - of->at;
	memcpy(&value, of->buffer + of->at, size);
	of->at += size;
	if (of->at < of->bytes)
		return value;
	if (of->work.is_packet) {
		ide_packet_taken(ide, channel, now);
		return value;
	}
	of->done += of->bytes;
	of->state = IDE_IDLE;
	ide_selected(ide, channel)->file.status = IDE_STATUS_READY;
	if (of->done != work_bytes(of))
		ide_work_go_on(ide, channel, now);
	return value;
}

void ide_data_write(struct ide *ide, unsigned channel, struct guest_time now, unsigned size,
	uint32_t value)
{
	struct ide_channel *of = &ide->channels[channel];

	if (of->state != IDE_OUT)
		return;
	if (size > of->bytes - of->at)
		size = of->bytes - of->at;
	memcpy(of->buffer + of->at, &value, size);
	of->at += size;
	if (of->at < of->bytes)
		return;
	if (of->work.kind == ATA_WORK_PACKET)
		ide_packet_begin(ide, channel, now);
	else
		ask_own(ide, channel, now, DEVICE_IO_WRITE, of->bytes);
}

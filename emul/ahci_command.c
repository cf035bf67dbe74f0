// SPDX-License-Identifier: BSD-2-Clause
// The list of commands of a port, and commands that are not queued.
//
// Specifications: AHCI 1.3.1, 4.2.2, 4.2.3 (list and tables), 5.3.2 to 5.5 (how they are
// processed); Serial ATA 2.6, 11 (what the device does).
//
// The device has one command that is not queued, or any number of those that are. Bits of PxCI:
//
//   issued --the device is ready--> taken, a frame sent to it --it answers--> clear
//   taken --it answers with an error--> taken, and the port halted, until PxCMD.ST is cleared
//   any --PxCMD.ST cleared, controller reset--> clear
//
// Called by the other sources of the function only.
#include "emul/ahci_internal.h"

#include <string.h>

// 5.3.3: whether there is anybody to send a command to.
static bool is_ready(const struct ahci *ahci, const struct ahci_port *of)
{
	return (of->command & AHCI_CMD_START) != 0 && !of->halted && ahci_link_is_up(of) &&
		(of->file.status & (ATA_STATUS_BSY | ATA_STATUS_DRQ)) == 0 &&
		pcidev_is_master(&ahci->pci);
}

// 4.2.2: how many bytes have been moved.
static void moved_tell(struct ahci *ahci, unsigned port, unsigned slot)
{
	const uint32_t *done = &ahci_slot_of(ahci, port, slot)->done;
	uint64_t at = ahci->ports[port].list + slot * (uint64_t)AHCI_HEADER_BYTES +
		offsetof(struct ahci_header, moved);

	if (device_dma_write(&ahci->pci.device, (struct gpa){at}, done, sizeof(*done)) !=
		STATUS_OK)
		ahci_bus_fail(ahci, port);
}

static bool reads_by_pio(const struct ata_work *work)
{
	return !work->dma && (work->kind == ATA_WORK_READ || work->kind == ATA_WORK_PAGE);
}

void ahci_command_end(struct ahci *ahci, unsigned port, uint8_t error)
{
	struct ahci_port *of = &ahci->ports[port];
	struct ahci_slot *slot = ahci_slot_of(ahci, port, of->slot);
	const struct ata_work *work = &of->work;

	slot->state = AHCI_SLOT_FREE;
	of->busy = false;
	if (slot->done != 0 && work->kind != ATA_WORK_VERIFY)
		moved_tell(ahci, port, of->slot);
	if (error != 0) {
		if (work->kind >= ATA_WORK_READ && work->kind <= ATA_WORK_VERIFY)
			ata_show_sector(&of->disk, &of->file,
				slot->lba + slot->done / ATA_SECTOR_BYTES);
		ahci_frame_registers(ahci, port, AHCI_STATUS_READY | ATA_STATUS_ERR, error,
			AHCI_WITH_INTERRUPT);
		return;
	}
	of->issued &= ~(uint32_t)BIT(of->slot);
	of->taken &= ~(uint32_t)BIT(of->slot);
	if (reads_by_pio(work))
		ahci_frame_pio(ahci, port, AHCI_STATUS_READY,
			work->block * (uint32_t)ATA_SECTOR_BYTES, true);
	else
		ahci_frame_registers(ahci, port, AHCI_STATUS_READY, 0, AHCI_WITH_INTERRUPT);
}

static void page_give(struct ahci *ahci, unsigned port)
{
	struct ahci_port *of = &ahci->ports[port];
	struct ahci_slot *slot = ahci_slot_of(ahci, port, of->slot);
	uint8_t page[ATA_SECTOR_BYTES];

	if (of->work.page == ATA_PAGE_LOG && of->work.log == ATA_LOG_QUEUE_ERROR) {
		ahci_queue_log(of, page);
		of->queue_failed = false;
	} else {
		ata_page_make(&of->disk, &of->work, page);
	}
	if (!ahci_bytes_move(ahci, port, slot, page, sizeof(page), true)) {
		if (of->halted)
			return;
		ahci_interrupt(ahci, port, AHCI_INTERRUPT_OVERFLOW);
	}
	ahci_command_end(ahci, port, 0);
}

static void work_begin(struct ahci *ahci, unsigned port, struct guest_time now)
{
	struct ahci_port *of = &ahci->ports[port];
	struct ahci_slot *slot = ahci_slot_of(ahci, port, of->slot);

	of->busy = true;
	slot->state = AHCI_SLOT_STARVES; // until it is told better
	slot->kind = of->work.kind;
	slot->lba = of->work.lba;
	slot->bytes = of->work.sectors * ATA_SECTOR_BYTES;
	slot->durable = of->work.durable;
	switch (of->work.kind) {
	case ATA_WORK_NONE:
		ahci_command_end(ahci, port, 0);
		break;
	case ATA_WORK_REFUSED:
		ahci_command_end(ahci, port, of->work.error);
		break;
	case ATA_WORK_PAGE:
		page_give(ahci, port);
		break;
	case ATA_WORK_FLUSH:
		ahci_flush_begin(ahci, port, of->slot, now);
		break;
	default:
		if (of->work.kind == ATA_WORK_WRITE && !of->work.dma)
			ahci_frame_pio(ahci, port, ATA_STATUS_BSY,
				of->work.block * (uint32_t)ATA_SECTOR_BYTES, false);
		if (!of->halted) // the frame's memory was there
			ahci_transfer_go_on(ahci, port, of->slot, now);
		break;
	}
}

// Serial ATA 2.6, 11.5: of software reset and of a diagnostic.
static void diagnosed(struct ahci *ahci, unsigned port, enum ahci_told told)
{
	struct ahci_port *of = &ahci->ports[port];

	of->queue_failed = false;
	ahci_signature_set(of);
	of->signature = AHCI_SIG_ATA;
	of->issued &= ~(uint32_t)BIT(of->slot);
	of->taken &= ~(uint32_t)BIT(of->slot);
	ahci_frame_registers(ahci, port, AHCI_STATUS_READY, ATA_ERROR_PASSED, told);
}

// 13.6.2 (native queuing): one that has failed is asked about before there are others.
static bool is_of_failed_queue(const struct ahci_port *of)
{
	return of->file.command == ATA_READ_LOG_EXT && (of->file.lba & 0xff) == ATA_LOG_QUEUE_ERROR;
}

static void command_begin(struct ahci *ahci, unsigned port, struct guest_time now)
{
	struct ahci_port *of = &ahci->ports[port];

	if (of->queue_failed && !is_of_failed_queue(of)) {
		ahci_frame_registers(ahci, port, AHCI_STATUS_READY | ATA_STATUS_ERR, ATA_ERROR_ABRT,
			AHCI_WITH_INTERRUPT);
	} else if (ahci_queue_has(of->file.command)) {
		ahci_queue_begin(ahci, port, of->slot, now);
	} else if (of->queued != 0) {
		ahci_queue_refuse_other(ahci, port);
	} else if (of->file.command == ATA_EXECUTE_DEVICE_DIAGNOSTIC) {
		diagnosed(ahci, port, AHCI_WITH_INTERRUPT);
	} else {
		ata_command_begin(&of->disk, &of->file, &of->work);
		work_begin(ahci, port, now);
	}
}

static void registers_take(struct ata_taskfile *file, const struct ahci_frame *frame)
{
	file->lba = 0;
	for (unsigned i = 0; i < 3; i++)
		file->lba |= (uint64_t)frame->lba[i] << 8 * i |
			(uint64_t)frame->lba_high[i] << 8 * (i + 3);
	file->features = (uint16_t)(frame->features | frame->features_high << 8);
	file->count = (uint16_t)(frame->count | frame->count_high << 8);
	file->device = frame->device;
	file->command = frame->command;
}

// 10.4.1: software reset is a frame that sets a bit, and one that clears it. The device answers the
// second.
static void control_take(struct ahci *ahci, unsigned port, uint8_t control, uint16_t flags)
{
	struct ahci_port *of = &ahci->ports[port];
	bool before = of->resets;

	of->resets = (control & ATA_CONTROL_SRST) != 0;
	if (of->resets)
		ahci_requests_drop(ahci, port);
	if (before && !of->resets) {
		diagnosed(ahci, port, AHCI_SILENTLY);
	} else if ((flags & AHCI_HEADER_CLEARS) != 0) {
		of->file.status = AHCI_STATUS_READY;
		of->issued &= ~(uint32_t)BIT(of->slot);
		of->taken &= ~(uint32_t)BIT(of->slot);
	}
}

// 6.1.2: the device has not taken the frame.
static void link_fail(struct ahci *ahci, unsigned port)
{
	struct ahci_port *of = &ahci->ports[port];

	of->errors |= AHCI_SERR_HANDSHAKE;
	of->halted = true;
	ahci_interrupt(ahci, port, AHCI_INTERRUPT_INTERFACE);
}

static void command_take(struct ahci *ahci, unsigned port, struct guest_time now)
{
	struct ahci_port *of = &ahci->ports[port];
	struct ahci_slot *slot = ahci_slot_of(ahci, port, of->slot);
	struct device *device = &ahci->pci.device;
	struct ahci_header header;
	struct ahci_frame frame;
	struct gpa at = {of->list + of->slot * (uint64_t)AHCI_HEADER_BYTES};
	unsigned words;

	if (device_dma_read(device, at, &header, sizeof(header)) != STATUS_OK ||
		device_dma_read(device, (struct gpa){header.table & ~UINT64_C(0x7f)}, &frame,
			sizeof(frame)) != STATUS_OK) {
		ahci_bus_fail(ahci, port);
		return;
	}
	of->file.status |= ATA_STATUS_BSY;
	words = header.flags & AHCI_HEADER_WORDS;
	if (words < AHCI_FRAME_WORDS || words > AHCI_FRAME_WORDS_MAX ||
		frame.kind != AHCI_KIND_COMMAND) {
		link_fail(ahci, port);
		return;
	}
	if (header.flags >> AHCI_HEADER_PORT_SHIFT != 0 || (frame.flags & AHCI_FLAG_PORT) != 0)
		return; // nobody answers behind a multiplier that is not there
	if ((frame.flags & AHCI_FLAG_COMMAND) == 0) {
		control_take(ahci, port, frame.control, header.flags);
		return;
	}
	if (of->resets)
		return; // nor does a device in reset
	registers_take(&of->file, &frame);
	if (slot->state != AHCI_SLOT_FREE) { // a tag that it has
		ahci_queue_refuse_other(ahci, port);
		return;
	}
	slot->table = header.table & ~UINT64_C(0x7f);
	slot->entries = header.entries;
	slot->entry = 0;
	slot->entry_done = slot->done = slot->part = 0;
	slot->asked = DEVICE_IO_READ;
	slot->tells = false;
	command_begin(ahci, port, now);
}

void ahci_list_go_on(struct ahci *ahci, unsigned port, struct guest_time now)
{
	struct ahci_port *of = &ahci->ports[port];
	uint32_t left, behind;

	while ((left = of->issued & ~of->taken) != 0 && is_ready(ahci, of)) {
		behind = left & ~(uint32_t)(BIT(of->next) - 1);
		of->slot = (uint8_t)__builtin_ctz(behind != 0 ? behind : left);
		of->next = (uint8_t)((of->slot + 1u) % AHCI_SLOTS);
		of->taken |= (uint32_t)BIT(of->slot);
		command_take(ahci, port, now);
	}
}

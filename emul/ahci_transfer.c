// SPDX-License-Identifier: BSD-2-Clause
// Work of the commands that a device has: between its back end and the memory that tables name.
//
//   SENT --completion of another part than the last--> SENT, the next part
//   SENT --completion of the last--> FREE, the command ends
//   SENT --the back end is busy--> WAITS --timer--> SENT
//   SENT --the table of a write ends before the command--> STARVES, until it is dropped
//
// A request has the pieces of at most DEVICE_IO_PIECES_MAX entries of the table, which is read as
// the transfer comes to them: AHCI 1.3.1, 4.2.3.3. What is durable is flushed before its command
// ends.
//
// Called by the other sources of the function only.
#include "emul/ahci_internal.h"

#include <string.h>

enum { RETRY_NS = 100000, RANGE_BYTES = 8 };

static void end(struct ahci *ahci, unsigned port, unsigned slot, uint8_t error)
{
	if ((ahci->ports[port].queued & BIT(slot)) != 0)
		ahci_queue_end(ahci, port, slot, error);
	else
		ahci_command_end(ahci, port, error);
}

static void wait(struct ahci *ahci, struct ahci_slot *slot, struct guest_time now)
{
	slot->state = AHCI_SLOT_WAITS;
	ahci->retry.ns = now.ns + RETRY_NS;
	device_arm_timer(&ahci->pci.device, AHCI_TIMER_RETRY, ahci->retry);
}

// False: it waits; what the caller has taken of the table for it is to be given back.
static bool ask(struct ahci *ahci, unsigned port, unsigned index, struct guest_time now,
	struct device_io *io)
{
	struct ahci_port *of = &ahci->ports[port];
	struct ahci_slot *slot = ahci_slot_of(ahci, port, index);
	enum status status = STATUS_BUSY;

	io->request = ++of->sequence << 8 | index;
	slot->name = io->request;
	slot->asked = io->kind;
	slot->state = AHCI_SLOT_SENT;
	if (likely(pcidev_is_master(&ahci->pci)))
		status = device_submit(&ahci->pci.device, port, io);
	if (likely(status == STATUS_OK))
		return true;
	if (status == STATUS_BUSY) { // dropped requests are still under way
		wait(ahci, slot, now);
		return false;
	}
	slot->state = AHCI_SLOT_STARVES;
	if (status == STATUS_RANGE)
		ahci_bus_fail(ahci, port);
	else
		end(ahci, port, index, ATA_ERROR_ABRT);
	return true;
}

// What is behind the pieces that have been taken, as far as a request can have it. Returns its
// bytes; 0: the table has no more, or, *unreadable, is not in memory.
static uint32_t pieces_take(struct ahci *ahci, struct ahci_slot *slot, uint32_t bytes,
	struct device_io_piece pieces[DEVICE_IO_PIECES_MAX], uint8_t *count, bool *unreadable)
{
	struct ahci_entry entries[DEVICE_IO_PIECES_MAX];
	struct gpa at = {slot->table + AHCI_TABLE_ENTRIES + slot->entry * sizeof(entries[0])};
	uint32_t there = slot->entries - slot->entry, got = 0;

	*count = 0;
	*unreadable = false;
	if (there > DEVICE_IO_PIECES_MAX)
		there = DEVICE_IO_PIECES_MAX;
	if (there != 0 && device_dma_read(&ahci->pci.device, at, entries,
		there * sizeof(entries[0])) != STATUS_OK) {
		*unreadable = true;
		return 0;
	}
	for (uint32_t i = 0; i < there && got < bytes; i++) {
		uint32_t size = ((entries[i].bytes & AHCI_ENTRY_BYTES) | 1) + 1;
		uint32_t left = slot->entry_done < size ? size - slot->entry_done : 0;
		uint32_t part = left < bytes - got ? left : bytes - got;

		if (part != 0) // the guest may have made it shorter meanwhile
			pieces[(*count)++] = (struct device_io_piece){
				{(entries[i].at & ~UINT64_C(1)) + slot->entry_done}, part};
		got += part;
		slot->entry_done += part;
		if (part != left)
			break;
		slot->tells |= (entries[i].bytes & AHCI_ENTRY_TELLS) != 0;
		slot->entry_done = 0;
		slot->entry++;
	}
	return got;
}

bool ahci_bytes_move(struct ahci *ahci, unsigned port, struct ahci_slot *slot, uint8_t *own,
	uint32_t bytes, bool to_memory)
{
	struct device_io_piece pieces[DEVICE_IO_PIECES_MAX];
	struct device *device = &ahci->pci.device;

	while (bytes > 0) {
		uint8_t count;
		bool bad;
		uint32_t part = pieces_take(ahci, slot, bytes, pieces, &count, &bad);

		for (unsigned i = 0; i < count && !bad; i++) {
			bad = STATUS_OK != (to_memory
				? device_dma_write(device, pieces[i].at, own, pieces[i].bytes)
				: device_dma_read(device, pieces[i].at, own, pieces[i].bytes));
			own += pieces[i].bytes;
		}
		if (bad)
			ahci_bus_fail(ahci, port);
		if (bad || part == 0)
			return false;
		slot->done += part;
		bytes -= part;
	}
	return true;
}

void ahci_flush_begin(struct ahci *ahci, unsigned port, unsigned slot, struct guest_time now)
{
	struct device_io io = {.kind = DEVICE_IO_FLUSH};

	ahci_slot_of(ahci, port, slot)->part = 0;
	(void)ask(ahci, port, slot, now, &io);
}

// Nobody gets what is read.
static void verify_go_on(struct ahci *ahci, unsigned port, unsigned index, struct guest_time now)
{
	struct ahci_slot *slot = ahci_slot_of(ahci, port, index);
	uint32_t left = slot->bytes - slot->done;
	struct device_io io = {.kind = DEVICE_IO_READ,
		.offset = slot->lba * ATA_SECTOR_BYTES + slot->done};

	slot->part = left < DEVICE_IO_BYTES_MAX ? left : (uint32_t)DEVICE_IO_BYTES_MAX;
	io.bytes = slot->part;
	(void)ask(ahci, port, index, now, &io);
}

// 4.2.3.3 does not say what becomes of it: more than the table has is lost, and what it does not
// have is waited for.
static void table_ended(struct ahci *ahci, unsigned port, unsigned index)
{
	struct ahci_slot *slot = ahci_slot_of(ahci, port, index);

	slot->state = AHCI_SLOT_STARVES;
	if (slot->kind != ATA_WORK_READ)
		return;
	ahci_interrupt(ahci, port, AHCI_INTERRUPT_OVERFLOW);
	end(ahci, port, index, 0);
}

static void data_go_on(struct ahci *ahci, unsigned port, unsigned index, struct guest_time now)
{
	struct ahci_slot *slot = ahci_slot_of(ahci, port, index);
	struct device_io_piece pieces[DEVICE_IO_PIECES_MAX];
	struct device_io io = {.kind = slot->kind == ATA_WORK_READ ? DEVICE_IO_READ
		: DEVICE_IO_WRITE, .pieces = pieces,
		.offset = slot->lba * ATA_SECTOR_BYTES + slot->done};
	uint32_t left = slot->bytes - slot->done, entry_done = slot->entry_done;
	uint16_t entry = slot->entry;
	bool unreadable;

	slot->part = pieces_take(ahci, slot,
		left < DEVICE_IO_BYTES_MAX ? left : (uint32_t)DEVICE_IO_BYTES_MAX, pieces,
		&io.piece_count, &unreadable);
	if (unreadable) {
		ahci_bus_fail(ahci, port);
		return;
	}
	if (slot->part == 0) {
		table_ended(ahci, port, index);
		return;
	}
	if ((ahci->ports[port].queued & BIT(index)) != 0)
		ahci_frame_dma(ahci, port, index, slot->done, slot->part,
			slot->kind == ATA_WORK_READ);
	if (ahci->ports[port].halted) {
		if (slot->state != AHCI_SLOT_FREE) // else the frame's memory was none
			slot->state = AHCI_SLOT_STARVES;
		return;
	}
	if (!ask(ahci, port, index, now, &io)) {
		slot->entry = entry;
		slot->entry_done = entry_done;
		slot->tells = false;
	}
}

// Ranges of the blocks that are in memory, one behind the other: ACS-3 7.5.3.
static void trim_go_on(struct ahci *ahci, unsigned port, unsigned index, struct guest_time now)
{
	const struct ata_disk *disk = &ahci->ports[port].disk;
	struct ahci_slot *slot = ahci_slot_of(ahci, port, index);
	uint8_t block[ATA_SECTOR_BYTES]; // a range alone
	struct device_io io = {.kind = DEVICE_IO_DISCARD};
	uint32_t sectors = 0;
	uint64_t lba = 0;

	while (slot->done < slot->bytes) {
		struct ahci_slot before = *slot;
		bool outside;

		if (!ahci_bytes_move(ahci, port, slot, block, RANGE_BYTES, false)) {
			if (!ahci->ports[port].halted)
				table_ended(ahci, port, index);
			return;
		}
		if (!ata_trim_range(disk, block, 0, &lba, &sectors, &outside))
			continue;
		if (outside) {
			end(ahci, port, index, ATA_ERROR_IDNF);
			return;
		}
		io.offset = lba * ATA_SECTOR_BYTES;
		io.bytes = (uint64_t)sectors * ATA_SECTOR_BYTES;
		if (!ask(ahci, port, index, now, &io)) {
			before.state = AHCI_SLOT_WAITS;
			before.asked = DEVICE_IO_DISCARD;
			*slot = before;
		}
		return;
	}
	end(ahci, port, index, 0);
}

void ahci_transfer_go_on(struct ahci *ahci, unsigned port, unsigned index, struct guest_time now)
{
	struct ahci_slot *slot = ahci_slot_of(ahci, port, index);

	if (slot->kind == ATA_WORK_TRIM)
		trim_go_on(ahci, port, index, now);
	else if (slot->done < slot->bytes && slot->kind == ATA_WORK_VERIFY)
		verify_go_on(ahci, port, index, now);
	else if (slot->done < slot->bytes)
		data_go_on(ahci, port, index, now);
	else if (slot->durable && slot->asked != DEVICE_IO_FLUSH)
		ahci_flush_begin(ahci, port, index, now);
	else
		end(ahci, port, index, 0);
}

void ahci_completed(struct ahci *ahci, unsigned port, unsigned index, struct guest_time now,
	enum status status)
{
	struct ahci_slot *slot = ahci_slot_of(ahci, port, index);

	slot->state = AHCI_SLOT_STARVES; // until it is told better
	if (unlikely(status != STATUS_OK)) {
		end(ahci, port, index, status == STATUS_RANGE ? ATA_ERROR_IDNF
			: slot->asked == DEVICE_IO_READ ? ATA_ERROR_UNC : ATA_ERROR_ABRT);
	} else if (slot->asked == DEVICE_IO_FLUSH) {
		end(ahci, port, index, 0);
	} else {
		slot->done += slot->part;
		slot->part = 0;
		if (slot->tells)
			ahci_interrupt(ahci, port, AHCI_INTERRUPT_ENTRY);
		slot->tells = false;
		ahci_transfer_go_on(ahci, port, index, now);
	}
	ahci_list_go_on(ahci, port, now);
}

void ahci_retry(struct ahci *ahci, struct guest_time now)
{
	ahci->retry = GUEST_TIME_NEVER;
	for (unsigned port = 0; port < AHCI_PORTS; port++) {
		for (unsigned i = 0; i < AHCI_SLOTS; i++) {
			const struct ahci_slot *slot = ahci_slot_of(ahci, port, i);

			if (slot->state != AHCI_SLOT_WAITS)
				continue;
			if (slot->asked == DEVICE_IO_FLUSH)
				ahci_flush_begin(ahci, port, i, now);
			else
				ahci_transfer_go_on(ahci, port, i, now);
		}
		ahci_list_go_on(ahci, port, now);
	}
}

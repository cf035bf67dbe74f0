// SPDX-License-Identifier: BSD-2-Clause
// Native command queuing: commands that the device works on at once, and ends in any order.
//
// Specifications: Serial ATA 2.6, 13.6; ACS-3 (T13/2161-D), 7.22 (READ FPDMA QUEUED), 7.60 and A.14
// (the log of the one that failed); AHCI 1.3.1, 5.5.
//
// Left out on purpose: priorities, and queued commands of later standards.
//
// Called by the other sources of the function only.
#include "emul/ahci_internal.h"

#include <string.h>

enum {
	TAG_SHIFT = 3, // in the register of the count
	TAG_MASK = 0x1f,
	NOT_QUEUED = 0x80, // in the log: the command was another one
	SECTORS_MAX = 0x10000,
};

bool ahci_queue_has(uint8_t command)
{
	return command == ATA_READ_FPDMA_QUEUED || command == ATA_WRITE_FPDMA_QUEUED;
}

// 13.6.3: all others are not done either.
static void fail(struct ahci *ahci, unsigned port, uint8_t tag, uint8_t error, uint64_t lba)
{
	struct ahci_port *of = &ahci->ports[port];

	ahci_requests_drop(ahci, port);
	of->queue_failed = true;
	of->failed_tag = tag;
	of->failed_status = AHCI_STATUS_READY | ATA_STATUS_ERR;
	of->failed_error = error;
	of->failed_device = of->file.device;
	of->failed_count = of->file.count;
	of->failed_lba = lba & ((UINT64_C(1) << 48) - 1);
}

// It was not accepted: registers say so.
static void refuse(struct ahci *ahci, unsigned port, uint8_t tag, uint8_t error)
{
	fail(ahci, port, tag, error, ahci->ports[port].file.lba);
	ahci_frame_registers(ahci, port, AHCI_STATUS_READY | ATA_STATUS_ERR, error,
		AHCI_WITH_INTERRUPT);
}

void ahci_queue_refuse_other(struct ahci *ahci, unsigned port)
{
	refuse(ahci, port, NOT_QUEUED, ATA_ERROR_ABRT);
}

void ahci_queue_begin(struct ahci *ahci, unsigned port, unsigned slot, struct guest_time now)
{
	struct ahci_port *of = &ahci->ports[port];
	const struct ata_taskfile *file = &of->file;
	struct ahci_slot *to = ahci_slot_of(ahci, port, slot);
	uint32_t sectors = file->features != 0 ? file->features : SECTORS_MAX;
	uint8_t tag = file->count >> TAG_SHIFT & TAG_MASK;
	bool writes = file->command == ATA_WRITE_FPDMA_QUEUED;

	if (tag != slot || (file->device & ATA_DEVICE_LBA) == 0) {
		refuse(ahci, port, tag, ATA_ERROR_ABRT);
		return;
	}
	if (file->lba >= of->disk.sectors || sectors > of->disk.sectors - file->lba) {
		refuse(ahci, port, tag, ATA_ERROR_IDNF);
		return;
	}
	to->kind = writes ? ATA_WORK_WRITE : ATA_WORK_READ;
	to->durable = writes &&
		((file->device & ATA_DEVICE_FUA) != 0 || !of->disk.write_cache);
	to->lba = file->lba;
	to->bytes = sectors * ATA_SECTOR_BYTES;
	to->state = AHCI_SLOT_STARVES; // until it is told better
	of->disk.standby = false;
	of->queued |= (uint32_t)BIT(slot);
	of->issued &= ~(uint32_t)BIT(slot);
	of->taken &= ~(uint32_t)BIT(slot);
	ahci_frame_registers(ahci, port, AHCI_STATUS_READY, 0, AHCI_SILENTLY);
	if (!of->halted) // the area for frames is in memory
		ahci_transfer_go_on(ahci, port, slot, now);
}

void ahci_queue_end(struct ahci *ahci, unsigned port, unsigned slot, uint8_t error)
{
	struct ahci_port *of = &ahci->ports[port];
	struct ahci_slot *from = ahci_slot_of(ahci, port, slot);

	if (error != 0) {
		fail(ahci, port, (uint8_t)slot, error, from->lba + from->done / ATA_SECTOR_BYTES);
		ahci_frame_bits(ahci, port, AHCI_STATUS_READY | ATA_STATUS_ERR, error, 0);
		return;
	}
	from->state = AHCI_SLOT_FREE;
	of->queued &= ~(uint32_t)BIT(slot);
	ahci_frame_bits(ahci, port, AHCI_STATUS_READY, 0, (uint32_t)BIT(slot));
}

void ahci_queue_log(const struct ahci_port *of, uint8_t page[ATA_SECTOR_BYTES])
{
	uint8_t sum = 0;

	memset(page, 0, ATA_SECTOR_BYTES);
	page[0] = of->failed_tag;
	page[2] = of->failed_status;
	page[3] = of->failed_error;
	for (unsigned i = 0; i < 3; i++) {
		page[4 + i] = (uint8_t)(of->failed_lba >> 8 * i);
		page[8 + i] = (uint8_t)(of->failed_lba >> 8 * (i + 3));
	}
	page[7] = of->failed_device;
	page[12] = (uint8_t)of->failed_count;
	page[13] = (uint8_t)(of->failed_count >> 8);
	for (unsigned i = 0; i < ATA_SECTOR_BYTES - 1; i++)
		sum = (uint8_t)(sum + page[i]);
	page[ATA_SECTOR_BYTES - 1] = (uint8_t)-sum;
}

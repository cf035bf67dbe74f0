// SPDX-License-Identifier: BSD-2-Clause
// Frames that the device of a port sends: what they change, and where they go in guest memory.
//
// Specifications: AHCI 1.3.1, 4.2.1 (where), 5.3 (what the controller does); Serial ATA 2.6, 10.3.
//
// Called by the other sources of the function only.
#include "emul/ahci_internal.h"

#include <string.h>

// 10.3.7
struct dma_setup {
	uint8_t kind, flags, reserved[2];
	uint32_t tag, tag_high, reserved2;
	uint32_t offset, bytes, reserved3;
};

// 10.3.6
struct bits {
	uint8_t kind, flags, status, error;
	uint32_t tags;
};

void ahci_bus_fail(struct ahci *ahci, unsigned port)
{
	ahci_requests_drop(ahci, port);
	ahci->ports[port].halted = true;
	ahci_interrupt(ahci, port, AHCI_INTERRUPT_BUS);
}

static void post(struct ahci *ahci, unsigned port, enum ahci_frame_place place, const void *frame,
	size_t bytes)
{
	const struct ahci_port *of = &ahci->ports[port];

	if ((of->command & AHCI_CMD_RECEIVE) == 0 || !pcidev_is_master(&ahci->pci))
		return;
	if (device_dma_write(&ahci->pci.device, (struct gpa){of->frames + place}, frame, bytes) !=
		STATUS_OK)
		ahci_bus_fail(ahci, port);
}

static struct ahci_frame registers_of(const struct ahci_port *of, enum ahci_frame_kind kind)
{
	const struct ata_taskfile *file = &of->file;
	struct ahci_frame frame = {.kind = (uint8_t)kind, .command = file->status,
		.features = file->error, .device = file->device, .count = (uint8_t)file->count,
		.count_high = (uint8_t)(file->count >> 8)};

	for (unsigned i = 0; i < 3; i++) {
		frame.lba[i] = (uint8_t)(file->lba >> 8 * i);
		frame.lba_high[i] = (uint8_t)(file->lba >> 8 * (i + 3));
	}
	return frame;
}

void ahci_frame_registers(struct ahci *ahci, unsigned port, uint8_t status, uint8_t error,
	enum ahci_told told)
{
	struct ahci_port *of = &ahci->ports[port];
	struct ahci_frame frame;
	uint32_t causes = told == AHCI_WITH_INTERRUPT ? AHCI_INTERRUPT_REGISTER : 0;

	of->file.status = status;
	of->file.error = error;
	frame = registers_of(of, AHCI_KIND_REGISTER);
	frame.flags = told == AHCI_WITH_INTERRUPT ? AHCI_FLAG_INTERRUPT : 0;
	post(ahci, port, AHCI_FRAME_REGISTER, &frame, sizeof(frame));
	if ((status & ATA_STATUS_ERR) != 0) { // 6.2.1: it stops
		of->halted = true;
		causes |= AHCI_INTERRUPT_TASK;
	}
	if (causes != 0)
		ahci_interrupt(ahci, port, causes);
}

// Its status is in the registers once the data has been moved. 10.3.10
void ahci_frame_pio(struct ahci *ahci, unsigned port, uint8_t then, uint32_t bytes, bool to_host)
{
	struct ahci_port *of = &ahci->ports[port];
	struct ahci_frame frame;

	of->file.error = 0;
	of->file.status = AHCI_STATUS_READY | ATA_STATUS_DRQ;
	frame = registers_of(of, AHCI_KIND_PIO_SETUP);
	frame.flags = to_host ? AHCI_FLAG_TO_HOST | AHCI_FLAG_INTERRUPT : 0;
	frame.control = then;
	frame.auxiliary[0] = (uint8_t)bytes;
	frame.auxiliary[1] = (uint8_t)(bytes >> 8);
	of->file.status = then;
	post(ahci, port, AHCI_FRAME_PIO, &frame, sizeof(frame));
	if (to_host)
		ahci_interrupt(ahci, port, AHCI_INTERRUPT_PIO);
}

void ahci_frame_dma(struct ahci *ahci, unsigned port, unsigned tag, uint32_t offset,
	uint32_t bytes, bool to_host)
{
	const struct dma_setup frame = {.kind = AHCI_KIND_DMA_SETUP,
		.flags = to_host ? AHCI_FLAG_TO_HOST : 0, .tag = tag, .offset = offset,
		.bytes = bytes};

	post(ahci, port, AHCI_FRAME_DMA, &frame, sizeof(frame));
}

// It leaves BSY and DRQ as they are. 5.3.12
void ahci_frame_bits(struct ahci *ahci, unsigned port, uint8_t status, uint8_t error, uint32_t tags)
{
	struct ahci_port *of = &ahci->ports[port];
	const uint8_t kept = ATA_STATUS_BSY | ATA_STATUS_DRQ;
	const struct bits frame = {AHCI_KIND_BITS, AHCI_FLAG_INTERRUPT, (uint8_t)(status & ~kept),
		error, tags};
	uint32_t causes = AHCI_INTERRUPT_BITS;

	of->file.status = (uint8_t)((of->file.status & kept) | (status & ~kept));
	of->file.error = error;
	of->active &= ~tags;
	post(ahci, port, AHCI_FRAME_BITS, &frame, sizeof(frame));
	if ((status & ATA_STATUS_ERR) != 0) {
		of->halted = true;
		causes |= AHCI_INTERRUPT_TASK;
	}
	ahci_interrupt(ahci, port, causes);
}

// SPDX-License-Identifier: BSD-2-Clause
// Registers of a port, and its link.
//
// Specification: AHCI 1.3.1, 3.3 (registers), 10.1 (initialization), 10.4 (resets), 10.10
// (staggered spin-up).
//
// A link comes up at once where a device is, PxCMD.SUD is set and PxSCTL.DET holds nothing back.
//
// Called by the other sources of the function only.
#include "emul/ahci_internal.h"

#include <string.h>

enum {
	STATUS_NOBODY = 0x7f,
	COMMAND_WRITABLE = AHCI_CMD_START | AHCI_CMD_SPIN_UP | AHCI_CMD_RECEIVE | AHCI_CMD_ATAPI |
		AHCI_CMD_LIGHT,
	LIST_ALIGN = 0x400,
	FRAMES_ALIGN = AHCI_FRAMES_BYTES,
};

bool ahci_link_is_up(const struct ahci_port *of)
{
	uint32_t detection = of->control & AHCI_SCTL_DETECTION;

	return of->disk.sectors != 0 && (of->command & AHCI_CMD_SPIN_UP) != 0 &&
		detection != AHCI_SCTL_RESET && detection != AHCI_SCTL_OFF;
}

uint32_t ahci_interrupts(const struct ahci_port *of)
{
	return of->interrupts |
		((of->errors & AHCI_SERR_EXCHANGED) != 0 ? AHCI_INTERRUPT_CONNECTED : 0) |
		((of->errors & AHCI_SERR_PHY) != 0 ? AHCI_INTERRUPT_PHY : 0);
}

static uint32_t link_status(const struct ahci_port *of)
{
	uint32_t limit = of->control >> AHCI_SSTS_SPEED_SHIFT & 0xf;

	if (ahci_link_is_up(of))
		return AHCI_SSTS_UP | (limit == 1 ? 1u : AHCI_SPEED) << AHCI_SSTS_SPEED_SHIFT;
	return (of->control & AHCI_SCTL_DETECTION) == AHCI_SCTL_OFF ? AHCI_SSTS_OFF : 0;
}

static uint32_t command_read(const struct ahci_port *of)
{
	uint32_t value = of->command | AHCI_CMD_POWER;

	if ((value & AHCI_CMD_START) != 0)
		value |= AHCI_CMD_RUNS | (uint32_t)of->slot << AHCI_CMD_SLOT_SHIFT;
	return (value & AHCI_CMD_RECEIVE) != 0 ? value | AHCI_CMD_RECEIVES : value;
}

uint32_t ahci_register_read(const struct ahci *ahci, unsigned port, unsigned reg)
{
	const struct ahci_port *of = &ahci->ports[port];

	switch (reg) {
	case AHCI_CLB:
		return (uint32_t)of->list;
	case AHCI_CLB + 4:
		return (uint32_t)(of->list >> 32);
	case AHCI_FB:
		return (uint32_t)of->frames;
	case AHCI_FB + 4:
		return (uint32_t)(of->frames >> 32);
	case AHCI_PXIS:
		return ahci_interrupts(of);
	case AHCI_IE:
		return of->enabled;
	case AHCI_CMD:
		return command_read(of);
	case AHCI_TFD:
		return (uint32_t)of->file.error << 8 | of->file.status;
	case AHCI_SIG:
		return of->signature;
	case AHCI_SSTS:
		return link_status(of);
	case AHCI_SCTL:
		return of->control;
	case AHCI_SERR:
		return of->errors;
	case AHCI_SACT:
		return of->active;
	case AHCI_CI:
		return of->issued;
	default: // PxSNTF: no disk notifies
		return 0;
	}
}

void ahci_requests_drop(struct ahci *ahci, unsigned port)
{
	struct ahci_port *of = &ahci->ports[port];

	for (unsigned i = 0; i < AHCI_SLOTS; i++) {
		struct ahci_slot *slot = ahci_slot_of(ahci, port, i);

		if (slot->state == AHCI_SLOT_SENT)
			device_drop(&ahci->pci.device, port, slot->name);
		slot->state = AHCI_SLOT_FREE;
	}
	of->queued = 0;
	of->busy = false;
}

void ahci_signature_set(struct ahci_port *of)
{
	of->file = (struct ata_taskfile){.lba = 1, .count = 1};
}

static void device_forget(struct ahci_port *of)
{
	of->resets = of->queue_failed = false;
}

// 10.4.2: the device's first frame says what it is.
static void link_came(struct ahci *ahci, unsigned port)
{
	struct ahci_port *of = &ahci->ports[port];

	ata_disk_reset(&of->disk, false);
	device_forget(of);
	ahci_signature_set(of);
	of->signature = AHCI_SIG_ATA;
	of->errors |= AHCI_SERR_PHY | AHCI_SERR_EXCHANGED;
	ahci_frame_registers(ahci, port, AHCI_STATUS_READY, ATA_ERROR_PASSED, AHCI_SILENTLY);
}

static void link_went(struct ahci *ahci, unsigned port)
{
	struct ahci_port *of = &ahci->ports[port];

	ahci_requests_drop(ahci, port);
	of->file.status = STATUS_NOBODY;
	of->file.error = 0;
	of->signature = AHCI_SIG_NONE;
	of->errors |= AHCI_SERR_PHY;
}

static void link_look(struct ahci *ahci, unsigned port, bool before)
{
	bool now = ahci_link_is_up(&ahci->ports[port]);

	if (now == before)
		return;
	if (now)
		link_came(ahci, port);
	else
		link_went(ahci, port);
	ahci_interrupt(ahci, port, 0);
}

void ahci_link_reset(struct ahci *ahci, unsigned port, bool power)
{
	struct ahci_port *of = &ahci->ports[port];

	if (power) { // nothing is under way any more
		memset(ahci_slot_of(ahci, port, 0), 0, AHCI_SLOTS * sizeof(struct ahci_slot));
		memset(of->reserved, 0, sizeof(of->reserved));
		of->list = of->frames = of->sequence = 0;
	}
	ahci_requests_drop(ahci, port);
	ata_disk_reset(&of->disk, false);
	device_forget(of);
	ahci_signature_set(of);
	of->file.status = STATUS_NOBODY;
	memset(&of->work, 0, sizeof(of->work));
	of->interrupts = of->enabled = of->command = of->control = of->errors = 0;
	of->signature = AHCI_SIG_NONE;
	of->active = of->issued = of->taken = 0;
	of->slot = of->next = 0;
	of->failed_lba = 0;
	of->failed_count = 0;
	of->failed_tag = of->failed_status = of->failed_error = of->failed_device = 0;
	of->halted = false;
}

// 10.3.2: what has not been done is forgotten. The device's registers stay as they are.
static void list_stop(struct ahci *ahci, unsigned port)
{
	struct ahci_port *of = &ahci->ports[port];

	ahci_requests_drop(ahci, port);
	of->issued = of->active = of->taken = 0;
	of->slot = of->next = 0;
	of->halted = false;
}

static void command_write(struct ahci *ahci, unsigned port, struct guest_time now, uint32_t value)
{
	struct ahci_port *of = &ahci->ports[port];
	uint32_t before = of->command;
	bool was_up = ahci_link_is_up(of);

	of->command = value & COMMAND_WRITABLE;
	link_look(ahci, port, was_up);
	if ((before & ~value & AHCI_CMD_START) != 0)
		list_stop(ahci, port);
	if ((value & AHCI_CMD_OVERRIDE) != 0 && (before & AHCI_CMD_START) == 0)
		of->file.status &= (uint8_t)~(ATA_STATUS_BSY | ATA_STATUS_DRQ);
	ahci_list_go_on(ahci, port, now);
}

static void control_write(struct ahci *ahci, unsigned port, struct guest_time now, uint32_t value)
{
	struct ahci_port *of = &ahci->ports[port];
	bool was_up = ahci_link_is_up(of);

	of->control = value & AHCI_SCTL_WRITABLE;
	link_look(ahci, port, was_up);
	ahci_list_go_on(ahci, port, now);
}

static uint64_t low_of(uint64_t register64, uint32_t value, uint32_t align)
{
	return (register64 & ~(uint64_t)UINT32_MAX) | (value & ~(align - 1));
}

static uint64_t high_of(uint64_t register64, uint32_t value)
{
	return (uint32_t)register64 | (uint64_t)value << 32;
}

// 3.3.13 and 3.3.14: bits are set by ones, while the list is processed.
static void issue(struct ahci *ahci, unsigned port, struct guest_time now, uint32_t value)
{
	struct ahci_port *of = &ahci->ports[port];

	if ((of->command & AHCI_CMD_START) == 0)
		return;
	of->issued |= value;
	ahci_list_go_on(ahci, port, now);
}

void ahci_register_write(struct ahci *ahci, unsigned port, struct guest_time now, unsigned reg,
	uint32_t value)
{
	struct ahci_port *of = &ahci->ports[port];

	switch (reg) {
	case AHCI_CLB:
		of->list = low_of(of->list, value, LIST_ALIGN);
		break;
	case AHCI_CLB + 4:
		of->list = high_of(of->list, value);
		break;
	case AHCI_FB:
		of->frames = low_of(of->frames, value, FRAMES_ALIGN);
		break;
	case AHCI_FB + 4:
		of->frames = high_of(of->frames, value);
		break;
	case AHCI_PXIS:
		of->interrupts &= ~value;
		break;
	case AHCI_IE:
		of->enabled = value & AHCI_INTERRUPTS;
		ahci_interrupt(ahci, port, 0);
		break;
	case AHCI_CMD:
		command_write(ahci, port, now, value);
		break;
	case AHCI_SCTL:
		control_write(ahci, port, now, value);
		break;
	case AHCI_SERR:
		of->errors &= ~value;
		break;
	case AHCI_SACT:
		if ((of->command & AHCI_CMD_START) != 0)
			of->active |= value;
		break;
	case AHCI_CI:
		issue(ahci, port, now, value);
		break;
	default:
		break;
	}
}

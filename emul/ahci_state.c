// SPDX-License-Identifier: BSD-2-Clause
// What the state of an AHCI function is, and cannot be.
#include "emul/ahci_internal.h"

static const char *transfer_check(const struct ahci_port *of, const struct ahci_slot *slot)
{
	bool medium = slot->kind >= ATA_WORK_READ && slot->kind <= ATA_WORK_VERIFY;
	uint64_t sectors = slot->bytes / ATA_SECTOR_BYTES;

	if (slot->bytes % ATA_SECTOR_BYTES != 0 || slot->done > slot->bytes ||
		slot->part > slot->bytes - slot->done)
		return "a transfer beyond its command";
	if (medium && (slot->lba >= of->disk.sectors || sectors > of->disk.sectors - slot->lba))
		return "a command beyond its disk";
	if (slot->kind == ATA_WORK_TRIM && sectors > ATA_TRIM_BLOCKS_MAX)
		return "a command that trims too much";
	return slot->entry > slot->entries ? "a table that is read beyond its end" : NULL;
}

// Whether a command of that kind has a request like that.
static bool request_fits(const struct ahci_slot *slot)
{
	switch (slot->asked) {
	case DEVICE_IO_READ:
		return slot->kind == ATA_WORK_READ || slot->kind == ATA_WORK_VERIFY;
	case DEVICE_IO_WRITE:
		return slot->kind == ATA_WORK_WRITE;
	case DEVICE_IO_FLUSH:
		return slot->part == 0 && (slot->kind == ATA_WORK_FLUSH ||
			(slot->kind == ATA_WORK_WRITE && slot->durable));
	default:
		return slot->kind == ATA_WORK_TRIM && slot->asked == DEVICE_IO_DISCARD;
	}
}

static const char *slot_check(const struct ahci *ahci, unsigned port, unsigned index)
{
	const struct ahci_port *of = &ahci->ports[port];
	const struct ahci_slot *slot = &ahci->slots[port * AHCI_SLOTS + index];
	bool queued = (of->queued & BIT(index)) != 0;
	bool has_command = queued || (of->busy && index == of->slot);

	if (has_command != (slot->state != AHCI_SLOT_FREE))
		return "a slot without a command, or the other way about";
	if (!has_command)
		return NULL;
	if (slot->state != AHCI_SLOT_STARVES && !request_fits(slot))
		return "a request that its command does not need";
	if (queued && slot->kind != ATA_WORK_READ && slot->kind != ATA_WORK_WRITE)
		return "a queued command that cannot be";
	if (!queued && slot->kind != of->work.kind)
		return "a command of two kinds";
	if (slot->state == AHCI_SLOT_SENT &&
		(slot->name % 256 != index || slot->name >> 8 > of->sequence))
		return "a request whose name is another's";
	if (slot->state == AHCI_SLOT_WAITS && ahci->retry.ns == GUEST_TIME_NEVER.ns)
		return "a request that waits, and for nothing";
	return transfer_check(of, slot);
}

static const char *port_check(const struct ahci *ahci, unsigned port)
{
	const struct ahci_port *of = &ahci->ports[port];
	const char *problem = of->busy ? ata_work_check(&of->disk, &of->work) : NULL;

	if ((of->taken & ~of->issued) != 0)
		return "a command that the device has, and nobody has issued";
	if (of->busy && of->queued != 0)
		return "queued commands beside another one";
	if ((of->busy || of->queued != 0) && (!ahci_link_is_up(of) ||
		(of->command & AHCI_CMD_START) == 0))
		return "commands that nobody can have";
	for (unsigned i = 0; i < AHCI_SLOTS && problem == NULL; i++)
		problem = slot_check(ahci, port, i);
	return problem;
}

static const char *ahci_check(const void *instance)
{
	const struct ahci *ahci = instance;
	const char *problem = pcidev_check(&ahci->pci, ahci_model.pci);

	if ((ahci->control & AHCI_GHC_ENABLE) == 0)
		return "a controller in a mode that it has not";
	for (unsigned i = 0; i < AHCI_PORTS && problem == NULL; i++)
		problem = port_check(ahci, i);
	return problem;
}

static const struct state_field ahci_fields[] = {
	PCIDEV_STATE(struct ahci),
	STATE_ANY(struct ahci, retry.ns),
	STATE_ANY(struct ahci, control),
	STATE_VALUE(struct ahci, pending, 0, (1 << AHCI_PORTS) - 1),
	STATE_VALUE(struct ahci, index, 0, 0xffc),
	STATE_PAD(struct ahci, reserved),
	ATA_DISK_STATE(struct ahci, ports, disk),
	STATE_EACH(struct ahci, ports, file.lba, 0, (UINT64_C(1) << 48) - 1),
	STATE_EACH_ANY(struct ahci, ports, file.features),
	STATE_EACH_ANY(struct ahci, ports, file.count),
	STATE_EACH_ANY(struct ahci, ports, file.device),
	STATE_EACH_ANY(struct ahci, ports, file.command),
	STATE_EACH_ANY(struct ahci, ports, file.status),
	STATE_EACH_ANY(struct ahci, ports, file.error),
	STATE_EACH_ANY(struct ahci, ports, work.lba),
	STATE_EACH(struct ahci, ports, work.sectors, 0, 0x10000),
	STATE_EACH(struct ahci, ports, work.kind, 0, ATA_WORK_KINDS - 1),
	STATE_EACH(struct ahci, ports, work.page, 0, ATA_PAGES - 1),
	STATE_EACH_ANY(struct ahci, ports, work.log),
	STATE_EACH(struct ahci, ports, work.block, 0, ATA_MULTIPLE_MAX),
	STATE_EACH(struct ahci, ports, work.dma, 0, 1),
	STATE_EACH(struct ahci, ports, work.durable, 0, 1),
	STATE_EACH(struct ahci, ports, work.is_smart, 0, 1),
	STATE_EACH_ANY(struct ahci, ports, work.error),
	STATE_EACH(struct ahci, ports, work.is_packet, 0, 1),
	STATE_EACH_DERIVED(struct ahci, ports, work.reserved),
	STATE_EACH_ANY(struct ahci, ports, list),
	STATE_EACH_ANY(struct ahci, ports, frames),
	STATE_EACH(struct ahci, ports, sequence, 0, (uint64_t)BIT(56) - 1),
	STATE_EACH_ANY(struct ahci, ports, failed_lba),
	STATE_EACH_ANY(struct ahci, ports, interrupts),
	STATE_EACH(struct ahci, ports, enabled, 0, AHCI_INTERRUPTS),
	STATE_EACH_ANY(struct ahci, ports, command),
	STATE_EACH_ANY(struct ahci, ports, signature),
	STATE_EACH_ANY(struct ahci, ports, control),
	STATE_EACH_ANY(struct ahci, ports, errors),
	STATE_EACH_ANY(struct ahci, ports, active),
	STATE_EACH_ANY(struct ahci, ports, issued),
	STATE_EACH_ANY(struct ahci, ports, taken),
	STATE_EACH_ANY(struct ahci, ports, queued),
	STATE_EACH_ANY(struct ahci, ports, failed_count),
	STATE_EACH(struct ahci, ports, slot, 0, AHCI_SLOTS - 1),
	STATE_EACH(struct ahci, ports, next, 0, AHCI_SLOTS - 1),
	STATE_EACH_ANY(struct ahci, ports, failed_tag),
	STATE_EACH_ANY(struct ahci, ports, failed_status),
	STATE_EACH_ANY(struct ahci, ports, failed_error),
	STATE_EACH_ANY(struct ahci, ports, failed_device),
	STATE_EACH(struct ahci, ports, busy, 0, 1),
	STATE_EACH(struct ahci, ports, halted, 0, 1),
	STATE_EACH(struct ahci, ports, resets, 0, 1),
	STATE_EACH(struct ahci, ports, queue_failed, 0, 1),
	STATE_EACH_DERIVED(struct ahci, ports, reserved),
	STATE_EACH_ANY(struct ahci, slots, lba),
	STATE_EACH_ANY(struct ahci, slots, table),
	STATE_EACH_ANY(struct ahci, slots, name),
	STATE_EACH_ANY(struct ahci, slots, bytes),
	STATE_EACH_ANY(struct ahci, slots, done),
	STATE_EACH(struct ahci, slots, part, 0, DEVICE_IO_BYTES_MAX),
	STATE_EACH_ANY(struct ahci, slots, entry_done),
	STATE_EACH_ANY(struct ahci, slots, entry),
	STATE_EACH_ANY(struct ahci, slots, entries),
	STATE_EACH(struct ahci, slots, state, 0, AHCI_SLOT_STATES - 1),
	STATE_EACH(struct ahci, slots, kind, 0, ATA_WORK_KINDS - 1),
	STATE_EACH(struct ahci, slots, asked, 0, DEVICE_IO_KINDS - 1),
	STATE_EACH(struct ahci, slots, durable, 0, 1),
	STATE_EACH(struct ahci, slots, tells, 0, 1),
	STATE_EACH_DERIVED(struct ahci, slots, reserved),
};

const struct state_table ahci_state =
	STATE_TABLE("ich9-ahci", 1, struct ahci, ahci_fields, ahci_check);

// SPDX-License-Identifier: BSD-2-Clause
// The AHCI function of an ICH9: six ports, each with an ATA disk or none.
//
// Specifications: Serial ATA AHCI 1.3.1, 2 (PCI), 3.1 (registers of all), 10.7 (interrupts), 10.12
// (the pair of ports); Intel ICH9 data sheet, 15 (what of it there is). Ports: ahci_port.c; lists
// of commands: ahci_command.c; queues: ahci_queue.c; data: ahci_transfer.c; frames: ahci_frame.c;
// what the commands mean: ata.c.
//
// Left out on purpose: legacy modes, command completion coalescing, enclosure management, port
// multipliers, power states of links, devices that come and go; frames of PIO's blocks but for one
// of a command.
//
// Entered by the VM's bus only.
#include "emul/ahci_internal.h"

#include <string.h>

#include "emul/pcidev_msi.h"

enum {
	REGISTERS_BYTES = 0x1000,
	INDEX_BYTES = 32,
	INDEX_WRITABLE = REGISTERS_BYTES - 4,
	VERSION = 0x00010200, // the ICH9's
};
#define CAPABILITIES                                                                               \
	(AHCI_CAP_64BIT | AHCI_CAP_QUEUES | AHCI_CAP_NOTIFIES | AHCI_CAP_STAGGERED |               \
		AHCI_CAP_OVERRIDE | AHCI_SPEED << AHCI_CAP_SPEED_SHIFT | AHCI_CAP_AHCI_ONLY |      \
		(AHCI_SLOTS - 1) << AHCI_CAP_SLOTS_SHIFT | (AHCI_PORTS - 1))

static const struct pcidev_register ahci_registers[] = {
	{.offset = PCIDEV_STATUS, .bytes = 2, .reset = 0x02b0, .clears = 0xf900},
	{.offset = 0x90, .bytes = 1, .reset = 0x40}, // MAP: AHCI, six ports
	{.offset = 0x92, .bytes = 2, .writable = 0x003f}, // PCS: ports that are enabled
	// 2.4: behind a pair of ports in base address register 4.
	{.offset = AHCI_SATA_CAPABILITY, .bytes = 4,
		.reset = 0x00100012 | AHCI_MSI_CAPABILITY << 8},
	{.offset = AHCI_SATA_CAPABILITY + 4, .bytes = 4, .reset = AHCI_INDEX_PORT / 4 << 4 | 8},
	PCIDEV_MSI_REGISTERS(AHCI_MSI_CAPABILITY, 0, 1),
};

static const struct pcidev_info ahci_info = {
	.vendor = 0x8086,
	.device = 0x2922,
	.subsystem_vendor = 0x1af4,
	.subsystem = 0x1100,
	.class_code = 0x010601,
	.revision = 2,
	.command = PCIDEV_COMMAND_MASTER,
	.pin = 1,
	.capabilities = AHCI_SATA_CAPABILITY,
	.bars = {[AHCI_REGION_INDEX] = {.kind = PCIDEV_BAR_PORTS, .bytes = INDEX_BYTES},
		[AHCI_REGION_REGISTERS] = {.kind = PCIDEV_BAR_MEMORY, .bytes = REGISTERS_BYTES}},
	.registers = ahci_registers,
	.register_count = ARRAY_COUNT(ahci_registers),
};

static struct ahci *ahci_of(struct device *device)
{
	return CONTAINER_OF(device, struct ahci, pci.device);
}

// 10.7.2: a message tells that there is something anew.
static void interrupt_drive(struct ahci *ahci, bool anew)
{
	bool wanted = ahci->pending != 0 && (ahci->control & AHCI_GHC_INTERRUPTS) != 0;

	if (!pcidev_msi_is_on(&ahci->pci, AHCI_MSI_CAPABILITY)) {
		pcidev_intx(&ahci->pci, wanted);
		return;
	}
	pcidev_intx(&ahci->pci, false);
	if (!wanted)
		pcidev_msi_withdraw(&ahci->pci, AHCI_MSI_CAPABILITY, 0);
	else if (anew)
		pcidev_msi_send(&ahci->pci, AHCI_MSI_CAPABILITY, 0);
}

// What is pending stays so until it is cleared here. True: it was not.
static bool port_look(struct ahci *ahci, unsigned port)
{
	const struct ahci_port *of = &ahci->ports[port];
	uint32_t bit = (uint32_t)BIT(port);

	if ((ahci_interrupts(of) & of->enabled) == 0 || (ahci->pending & bit) != 0)
		return false;
	ahci->pending |= bit;
	return true;
}

void ahci_interrupt(struct ahci *ahci, unsigned port, uint32_t causes)
{
	ahci->ports[port].interrupts |= causes;
	if (port_look(ahci, port))
		interrupt_drive(ahci, true);
}

static void pending_clear(struct ahci *ahci, uint32_t bits)
{
	ahci->pending &= ~bits;
	for (unsigned i = 0; i < AHCI_PORTS; i++)
		(void)port_look(ahci, i);
	interrupt_drive(ahci, true);
}

static void all_reset(struct ahci *ahci, bool power)
{
	ahci->control = AHCI_GHC_ENABLE;
	ahci->pending = 0;
	ahci->retry = GUEST_TIME_NEVER;
	for (unsigned i = 0; i < AHCI_PORTS; i++)
		ahci_link_reset(ahci, i, power);
}

static void control_write(struct ahci *ahci, uint32_t value)
{
	if ((value & AHCI_GHC_RESET) != 0) {
		all_reset(ahci, false);
		device_cancel_timer(&ahci->pci.device, AHCI_TIMER_RETRY);
		interrupt_drive(ahci, false);
		return;
	}
	ahci->control = AHCI_GHC_ENABLE | (value & AHCI_GHC_INTERRUPTS);
	interrupt_drive(ahci, true);
}

static uint32_t register_read(const struct ahci *ahci, uint32_t offset)
{
	uint32_t port = (offset - AHCI_PORT_FIRST) / AHCI_PORT_BYTES;

	if (offset >= AHCI_PORT_FIRST)
		return port < AHCI_PORTS
			? ahci_register_read(ahci, port, offset % AHCI_PORT_BYTES) : 0;
	switch (offset) {
	case AHCI_CAP:
		return CAPABILITIES;
	case AHCI_GHC:
		return ahci->control;
	case AHCI_IS:
		return ahci->pending;
	case AHCI_PI:
		return (1 << AHCI_PORTS) - 1;
	case AHCI_VS:
		return VERSION;
	default:
		return 0;
	}
}

static void register_write(struct ahci *ahci, struct guest_time now, uint32_t offset,
	uint32_t value)
{
	uint32_t port = (offset - AHCI_PORT_FIRST) / AHCI_PORT_BYTES;

	if (offset >= AHCI_PORT_FIRST) {
		if (port < AHCI_PORTS)
			ahci_register_write(ahci, port, now, offset % AHCI_PORT_BYTES, value);
	} else if (offset == AHCI_GHC) {
		control_write(ahci, value);
	} else if (offset == AHCI_IS) {
		pending_clear(ahci, value);
	}
}

// 3: registers are of 32 bits. What is narrower, or lies across two, reads as it lies there.
static uint64_t registers_read(const struct ahci *ahci, uint64_t offset, unsigned size)
{
	uint32_t first = (uint32_t)offset & ~3u, shift = 8 * (offset & 3);
	uint64_t value = register_read(ahci, first);

	if (shift / 8 + size > 4)
		value |= (uint64_t)register_read(ahci, first + 4) << 32;
	return value >> shift;
}

// And writes nothing.
static void registers_write(struct ahci *ahci, struct guest_time now, uint64_t offset,
	unsigned size, uint64_t value)
{
	if (offset % 4 != 0 || size < 4)
		return;
	register_write(ahci, now, (uint32_t)offset, (uint32_t)value);
	if (size == 8)
		register_write(ahci, now, (uint32_t)offset + 4, (uint32_t)(value >> 32));
}

static uint64_t index_read(const struct ahci *ahci, uint64_t offset)
{
	switch (offset) {
	case AHCI_INDEX_PORT:
		return ahci->index;
	case AHCI_DATA_PORT:
		return register_read(ahci, ahci->index);
	default:
		return 0;
	}
}

static void config_write(struct ahci *ahci, struct guest_time now, uint64_t offset, unsigned size,
	uint64_t value)
{
	pcidev_write(&ahci->pci, offset, size, value);
	pcidev_msi_update(&ahci->pci, AHCI_MSI_CAPABILITY);
	interrupt_drive(ahci, false);
	for (unsigned i = 0; i < AHCI_PORTS; i++)
		ahci_list_go_on(ahci, i, now); // it may have become a bus master
}

static uint64_t ahci_read(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size)
{
	const struct ahci *ahci = ahci_of(device);

	(void)now;
	switch (region) {
	case AHCI_REGION_REGISTERS:
		return registers_read(ahci, offset, size);
	case AHCI_REGION_INDEX:
		return index_read(ahci, offset);
	default:
		return pcidev_read(&ahci->pci, offset, size);
	}
}

static void ahci_write(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size, uint64_t value)
{
	struct ahci *ahci = ahci_of(device);

	if (region == AHCI_REGION_REGISTERS)
		registers_write(ahci, now, offset, size, value);
	else if (region == PCIDEV_REGION_CONFIG)
		config_write(ahci, now, offset, size, value);
	else if (offset == AHCI_INDEX_PORT && size == 4)
		ahci->index = (uint32_t)value & INDEX_WRITABLE;
	else if (offset == AHCI_DATA_PORT && size == 4)
		register_write(ahci, now, ahci->index, (uint32_t)value);
}

static void ahci_timer(struct device *device, struct guest_time now, unsigned timer)
{
	(void)timer;
	ahci_retry(ahci_of(device), now);
}

static void ahci_complete(struct device *device, struct guest_time now, unsigned port,
	uint64_t request, enum status status)
{
	struct ahci *ahci = ahci_of(device);
	unsigned index = request % AHCI_SLOTS;
	const struct ahci_slot *slot = ahci_slot_of(ahci, port % AHCI_PORTS, index);

	if (slot->state == AHCI_SLOT_SENT && slot->name == request)
		ahci_completed(ahci, port % AHCI_PORTS, index, now, status);
	// else of a state that contradicts itself
}

void ahci_configure(struct device *device, const struct ahci_disk_config disks[AHCI_PORTS])
{
	for (unsigned i = 0; i < AHCI_PORTS; i++) {
		struct ata_disk *disk = &ahci_of(device)->ports[i].disk;

		memset(disk, 0, sizeof(*disk));
		disk->is_serial = true;
		disk->sectors = disks[i].sectors;
		memcpy(disk->serial, disks[i].serial, sizeof(disk->serial));
	}
}

static void ahci_reset(struct device *device, struct guest_time now, enum device_reset kind)
{
	struct ahci *ahci = ahci_of(device);

	(void)now;
	pcidev_reset(&ahci->pci);
	ahci->index = ahci->reserved = 0;
	all_reset(ahci, true);
	for (unsigned i = 0; i < AHCI_PORTS; i++)
		ata_disk_reset(&ahci->ports[i].disk, kind != DEVICE_RESET_LINE);
}

static bool ahci_level(const struct device *device, struct guest_time now, unsigned output)
{
	(void)now;
	(void)output;
	return pcidev_level(&CONTAINER_OF(device, struct ahci, pci.device)->pci);
}

static unsigned ahci_awaited(const struct device *device, unsigned port,
	uint64_t names[DEVICE_IO_MAX])
{
	const struct ahci *ahci = CONTAINER_OF(device, struct ahci, pci.device);
	unsigned count = 0;

	for (unsigned i = 0; port < AHCI_PORTS && i < AHCI_SLOTS; i++) {
		const struct ahci_slot *slot = &ahci->slots[port * AHCI_SLOTS + i];

		if (slot->state == AHCI_SLOT_SENT)
			names[count++] = slot->name;
	}
	return count;
}

static void ahci_loaded(struct device *device, struct guest_time now)
{
	struct ahci *ahci = ahci_of(device);

	(void)now;
	pcidev_loaded(&ahci->pci);
	device_arm_timer(device, AHCI_TIMER_RETRY, ahci->retry);
}

const struct device_model ahci_model = {
	.name = "ich9-ahci",
	.description = "AHCI: six SATA ports",
	.instance_bytes = sizeof(struct ahci),
	.timers = AHCI_TIMERS,
	.outputs = 1,
	.state = &ahci_state,
	.pci = &ahci_info,
	.reset = ahci_reset,
	.read = ahci_read,
	.write = ahci_write,
	.timer = ahci_timer,
	.complete = ahci_complete,
	.level = ahci_level,
	.awaited = ahci_awaited,
	.loaded = ahci_loaded,
};

DEVICE_MODEL_REGISTER(198, ahci_model);

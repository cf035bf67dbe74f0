// SPDX-License-Identifier: BSD-2-Clause
// PCI Local Bus Specification 3.0: configuration mechanism #1 in 3.2.2.3.2, header in 6.1, command
// register in 6.2.2. Every bus number is tried rather than the bridges' topology followed: bridges
// may be numbered in ways that only their firmware knows, and an absent device costs one read.
#include "boot/quiesce.h"

#include "kernel/x86.h"

enum {
	PCI_ADDRESS_PORT = 0xcf8,
	PCI_DATA_PORT = 0xcfc,
	PCI_ENABLE_SHIFT = 31,
	PCI_BUSES = 256,
	PCI_SLOTS = 32,
	PCI_FUNCTIONS = 8,
	PCI_ID = 0x00,
	PCI_COMMAND = 0x04,
	PCI_CLASS = 0x08,
	PCI_HEADER = 0x0c,
	PCI_COMMAND_BUS_MASTER = 1 << 2,
	PCI_CLASS_BRIDGE = 0x06,
	PCI_HEADER_MULTIFUNCTION = 1 << 23,
	PCI_NO_VENDOR = 0xffff,
};

struct quiesce_function {
	uint32_t bus, slot, function;
};

static void quiesce_select(struct quiesce_function at, uint32_t offset)
{
	outl(PCI_ADDRESS_PORT, (uint32_t)BIT(PCI_ENABLE_SHIFT) | at.bus << 16 | at.slot << 11 |
		at.function << 8 | offset);
}

static uint32_t quiesce_read(struct quiesce_function at, uint32_t offset)
{
	quiesce_select(at, offset);
	return inl(PCI_DATA_PORT);
}

static void quiesce_stop(struct quiesce_function at)
{
	uint32_t command;

	// A bridge masters the bus for those behind it, and for the processor.
	if (quiesce_read(at, PCI_CLASS) >> 24 == PCI_CLASS_BRIDGE)
		return;
	command = quiesce_read(at, PCI_COMMAND);
	if ((command & PCI_COMMAND_BUS_MASTER) == 0)
		return;
	// The upper half is the status register, whose bits writing ones would clear.
	quiesce_select(at, PCI_COMMAND);
	outl(PCI_DATA_PORT, command & 0xffff & ~(uint32_t)PCI_COMMAND_BUS_MASTER);
}

static void quiesce_slot(uint32_t bus, uint32_t slot)
{
	uint32_t functions = 1;

	for (uint32_t i = 0; i < functions; i++) {
		struct quiesce_function at = {bus, slot, i};

		if ((quiesce_read(at, PCI_ID) & 0xffff) == PCI_NO_VENDOR) {
			if (i == 0)
				return;
			continue;
		}
		if (i == 0 && (quiesce_read(at, PCI_HEADER) & PCI_HEADER_MULTIFUNCTION) != 0)
			functions = PCI_FUNCTIONS;
		quiesce_stop(at);
	}
}

void quiesce_pci(void)
{
	for (uint32_t bus = 0; bus < PCI_BUSES; bus++)
		for (uint32_t slot = 0; slot < PCI_SLOTS; slot++)
			quiesce_slot(bus, slot);
}

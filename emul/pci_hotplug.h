// SPDX-License-Identifier: BSD-2-Clause
// Hot-plug of PCI slots by ACPI. See pci_hotplug.c.
#ifndef EMUL_PCI_HOTPLUG_H
#define EMUL_PCI_HOTPLUG_H

#include "emul/device.h"

enum { PCI_HOTPLUG_REGION_REGISTERS };

enum {
	PCI_HOTPLUG_PORT = 0xae00,
	PCI_HOTPLUG_PORT_BYTES = 0x14,

	// Registers of 4 bytes, a bit a slot; other accesses read ones and write nothing.
	PCI_HOTPLUG_UP = 0x00,     // read: plugged since the last read
	PCI_HOTPLUG_DOWN = 0x04,   // read: asked to be given up
	PCI_HOTPLUG_EJECT = 0x08,  // written: given up. Reads 0: no further features
	PCI_HOTPLUG_RMV = 0x0c,    // read: can be plugged and unplugged
	PCI_HOTPLUG_SELECT = 0x10, // the bus that the others are about: 0, or there are no slots

	PCI_HOTPLUG_SLOTS = 32, // numbered as devices of the bus; 0 is the host bridge
};

// Outputs: the event, and each slot from 1 on by its number: its device is there.
enum {
	PCI_HOTPLUG_OUTPUT_EVENT, // a pulse: DOWN or UP has one more bit
	PCI_HOTPLUG_OUTPUT_SLOT,
	PCI_HOTPLUG_OUTPUTS = PCI_HOTPLUG_SLOTS
};

extern const struct device_model pci_hotplug_model;

// Before the first reset. Slots that have a device which can be plugged and unplugged; and those of
// them whose device is there at power-on. A bit each.
void pci_hotplug_configure(struct device *device, uint32_t removable, uint32_t present);

#endif

// SPDX-License-Identifier: BSD-2-Clause
// Slots of the PCI bus whose devices can be plugged and unplugged while the machine runs.
//
// Such a device is there from the machine's creation, with all that it needs. What it has not while
// its slot has no power is a place on the bus: its configuration space, and the regions that this
// places. It is in its reset state, nothing reaches it, and its back end does nothing for it. Power
// is a line of emul/pci_hotplug.h's, so it changes at a place of the machine's run.
//
// Under the device lock.
#ifndef VM_SLOT_H
#define VM_SLOT_H

#include "vm/vm.h"

// Whether the device is on the bus: always, if it is none of these.
static inline bool slot_is_on(const struct vm_device *device)
{
	return device->power == NULL || device->power->level;
}

// The line has changed.
void slot_power(struct vm_device *device, bool on, struct guest_time now);
// At a reset of the machine, when all lines are low: devices of slots come back as these rise.
void slot_clear(struct vm_device *device);
// The lines have been loaded.
void slots_loaded(struct vm *vm);

#endif

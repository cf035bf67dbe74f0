// SPDX-License-Identifier: BSD-2-Clause
// Between pc.c and the files that put more devices on its board.
#ifndef VM_PC_INTERNAL_H
#define VM_PC_INTERNAL_H

#include "emul/device.h"
#include "kernel/base/status.h"
#include "vm/vm_config.h"

struct vm;
struct wire_sink;

enum {
	PC_PCI_FIRST_FREE = 3,  // device of bus 0; QEMU's display is the one before
	PC_PCI_CARDS_END = 25,  // devices from there on are a chipset's
};

// The machine's next device. NULL: no memory.
must_check struct device *pc_device_create(struct vm *vm, const struct device_model *model);
// As a device of PCI bus 0 with one function, whose pin is INTA. `isa`: the ISA bridge.
void pc_card_place(struct vm *vm, struct device *device, unsigned number, struct device *isa);
// The same, behind all PCI devices that are there.
void pc_pci_place_next(struct vm *vm, struct device *device, struct device *isa);

// pc_disks.c. NULL: the machine has none of them.
struct pc_disk_controllers {
	struct device *test_disk, *ide, *ahci;
	struct device *isa, *hotplug; // these are there
};
must_check enum status pc_disks_create(struct vm *vm,
	const struct pc_disk_controllers *controllers);
// The place in the configuration of a disk of this kind, counted from 0; VM_DISKS_MAX: there is
// none.
uint32_t pc_disk_of_kind(const struct vm *vm, enum vm_disk_kind kind, unsigned number);

// pc_virtio.c: virtio devices that a machine has one of, or none. Behind its disks.
must_check enum status pc_virtio_create(struct vm *vm, struct device *isa);
// Whether it is one of these.
bool pc_virtio_has_model(const struct device_model *model);

// pc_usb.c: what is at the USB controller.
must_check enum status pc_usb_create(struct vm *vm, struct device *usb);
// Whether the machine has a controller.
bool pc_usb_wanted(const struct vm *vm);

must_check enum status pc_nics_create(struct vm *vm, struct device *isa); // pc_nics.c

must_check enum status pc_flash_create(struct vm *vm); // pc_flash.c
// One more end of an output.
void pc_wire_add(struct device *from, unsigned output, const struct wire_sink *sink);
// What addresses lead to depends on that output: vm/memory.c.
void pc_wire_map(struct device *from, unsigned output);

#endif

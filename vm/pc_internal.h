// SPDX-License-Identifier: BSD-2-Clause
// Between pc.c and the files that put more devices on its board.
#ifndef VM_PC_INTERNAL_H
#define VM_PC_INTERNAL_H

#include "emul/device.h"

struct vm;

// NULL: no memory.
struct device *pc_device_create(struct vm *vm, const struct device_model *model);
// Behind all PCI devices that are there. `isa`: the ISA bridge.
void pc_pci_place_next(struct vm *vm, struct device *device, struct device *isa);

// pc_virtio.c: virtio devices that a machine has one of, or none. Behind its disks.
must_check enum status pc_virtio_create(struct vm *vm, struct device *isa);
// Whether it is one of these.
bool pc_virtio_has_model(const struct device_model *model);

#endif

// SPDX-License-Identifier: BSD-2-Clause
// Between the sources of the board.
#ifndef VM_PC_INTERNAL_H
#define VM_PC_INTERNAL_H

#include "emul/device.h"
#include "kernel/base/status.h"

struct vm;

enum { PC_PCI_FIRST_FREE = 3 }; // device of bus 0; QEMU's display is the one before

// The machine's next device. NULL: no memory.
must_check struct device *pc_device_create(struct vm *vm, const struct device_model *model);
// As a device of PCI bus 0 with one function, whose pin is INTA.
void pc_card_place(struct vm *vm, struct device *device, unsigned number, struct device *isa);

must_check enum status pc_nics_create(struct vm *vm, struct device *isa); // pc_nics.c

#endif

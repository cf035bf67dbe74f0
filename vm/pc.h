// SPDX-License-Identifier: BSD-2-Clause
// The board: which devices a PC has, where they answer, and how their lines are wired.
#ifndef VM_PC_H
#define VM_PC_H

#include "emul/device.h"
#include "kernel/base/status.h"

struct vm;

// Creates all devices of a machine and places their regions. STATUS_NO_MEMORY.
must_check enum status pc_create(struct vm *vm);
void pc_destroy(struct vm *vm);

// Power-on or reset line: every device in its reset state, then what firmware would have set up
// for a kernel that is booted directly (virtual wire mode).
void pc_reset(struct vm *vm, enum device_reset kind);

#endif

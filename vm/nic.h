// SPDX-License-Identifier: BSD-2-Clause
// A machine's place in a network: frames from its rings to the switch and back (vm/packet.h). All
// switches are served by one core, the last, as messages of its event loop: a machine's core tells
// it that frames are there, and it tells the cores of those to whom they go.
#ifndef VM_NIC_H
#define VM_NIC_H

#include "kernel/base/status.h"

struct nic;
struct vm;

// By the boot CPU, in a fiber or before the event loop.

// Of the machine's configuration, by index. STATUS_NO_MEMORY.
must_check enum status nic_create(struct vm *vm, uint32_t index, struct nic **created);
// The machine's vcpus have left their cores. NULL is allowed.
void nic_destroy(struct nic *nic);
// While the machine's vcpus are exchanged for others nobody signals them; then they are told of
// what has come meanwhile.
void nics_hold(struct vm *vm);
void nics_release(struct vm *vm);

#endif

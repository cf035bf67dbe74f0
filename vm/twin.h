// SPDX-License-Identifier: BSD-2-Clause
// A machine's twin: a fresh instance of the same configuration on the same cores, into which a
// snapshot is loaded. When that has gone well the two exchange their parts, so the machine goes on
// with what was loaded, and everyone's pointer to it stays good; the twin is destroyed then with
// what the machine had before. When it has not, the twin alone is destroyed.
#ifndef VM_TWIN_H
#define VM_TWIN_H

#include "vm/vm.h"

// In the state after power-on; it never runs. With `memory` it has memory of its own, all zero;
// else it borrows the machine's. The machine is held. STATUS_NO_MEMORY.
must_check enum status twin_create(struct vm *vm, bool memory, struct vm **twin);
// Both are held. Time, requests and how the machine stands come from the twin as well; whether it
// runs does not. The local counts of exits stay with the machine.
void twin_swap(struct vm *vm, struct vm *twin);
void twin_destroy(struct vm *twin, bool memory);

#endif

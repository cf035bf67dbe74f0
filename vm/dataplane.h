// SPDX-License-Identifier: BSD-2-Clause
// The data plane: a core that serves a device's queues instead of the vcpus' cores, so that the
// guest does not exit for I/O. Of machines that do not keep their position alone.
//
// The core polls: while there is work, and for a while behind it, for longer where a notification
// came soon after it had stopped. Then it asks for a notification.
//
//   HERE --device_give_queues--> GIVEN --device_take_queues, dataplanes_recall--> HERE
//
// Who owns the queues: `given` is under the device lock; `busy` is the serving core's. That core
// sets `busy`, then looks at `given` and at vm->run; whoever wants the queues, or the machine at
// rest, takes these away, then waits for `busy` to fall. Either sees what the other has done (full
// barriers on both sides). It stays busy while anything is at the back end.
//
// The device lock may be held by one who waits for `busy`: the serving core only tries to get it,
// and leaves its notes to who takes the queues.
#ifndef VM_DATAPLANE_H
#define VM_DATAPLANE_H

#include "vm/vm.h"

struct dataplane;

// For the device of that index, on a core that has no vcpus. By the boot CPU. STATUS_NO_MEMORY.
must_check enum status dataplane_create(struct vm *vm, uint32_t device, uint32_t core,
	struct dataplane **created);
void dataplane_destroy(struct dataplane *plane); // has no queues. NULL is allowed

// The effects of a device, under the device lock.
must_check enum status dataplane_give(struct dataplane *plane); // as device_give_queues
void dataplane_take(struct dataplane *plane);
void dataplane_kick(struct dataplane *plane);

// Whether none of the machine's is at work: with vm->run false, or its queues taken, it stays so.
bool dataplanes_rest(const struct vm *vm);
// vm->run is true: those that have queues go on.
void dataplanes_wake(const struct vm *vm);
// All queues are the devices' again, which are told. The machine rests; its home.
void dataplanes_recall(struct vm *vm);

// How much they have done, to the log.
void dataplanes_report(const struct vm *vm);

#endif

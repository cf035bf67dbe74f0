// SPDX-License-Identifier: BSD-2-Clause
// The event loop of a core: one loop runs fibers, pollers and tasks (vcpus), and sleeps when none
// has anything to do.
#ifndef KERNEL_LOOP_H
#define KERNEL_LOOP_H

#include "kernel/timer.h"

// A task is called again and again as long as it answers true. One that answers false is called
// after the next attention (an interrupt, an expired timer, a fiber that was woken).
struct loop_task {
	bool (*run)(struct loop_task *task);
	struct loop_task *next;
};

void loop_task_add(struct loop_task *task);
void loop_task_remove(struct loop_task *task);

_Noreturn void loop_run(void);

#endif

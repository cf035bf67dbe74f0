// SPDX-License-Identifier: BSD-2-Clause
// The event loop of a CPU: one loop runs messages, fibers, pollers and tasks (vcpus), and sleeps
// when none has anything to do.
#ifndef KERNEL_LOOP_H
#define KERNEL_LOOP_H

#include "kernel/message.h"
#include "kernel/timer.h"

// A task is called again and again as long as it answers true. One that answers false is called
// after the next attention (an interrupt, an expired timer, a fiber that was woken, a message).
//
// One that runs long (a vcpu) goes on until there is attention. Those that do not are all called
// after each attention before one that does; those that do take turns.
struct loop_task {
	bool (*run)(struct loop_task *task);
	bool runs_long; // (c) before it is added
	struct loop_task *next;
	struct cpu_message message; // of loop_task_add_on, while it is under way
};

// To and from the calling CPU's tasks.
void loop_task_add(struct loop_task *task);
void loop_task_remove(struct loop_task *task);
// To another CPU's tasks: it is there soon after, by message. On the calling CPU at once.
void loop_task_add_on(struct cpu *cpu, struct loop_task *task);

// The calling CPU's loop, for ever.
_Noreturn void loop_run(void);
// Whether this CPU's loop has begun.
bool loop_is_running(void);

#endif

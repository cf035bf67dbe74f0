// SPDX-License-Identifier: BSD-2-Clause
// Fibers: cooperative stacks of one CPU, so that work that waits can be written straight. A fiber
// stays on the CPU that created it.
//
// Rules for fibers: no preemption; a fiber yields within 200 us while a vcpu on its core is
// runnable; what a fiber waits for is told by fiber_wake or by a deadline, never by polling.
#ifndef KERNEL_FIBER_H
#define KERNEL_FIBER_H

#include "kernel/base/status.h"
#include "kernel/timer.h"

struct fiber;

// Runs `entry(argument)` from the event loop on; it may return. NULL: no memory.
must_check struct fiber *fiber_create(const char *name, void (*entry)(void *argument),
	void *argument);
struct fiber *fiber_self(void); // NULL outside of any fiber

// To the end of the ready queue.
void fiber_yield(void);
// Until somebody calls fiber_wake, or the TSC reaches `deadline` (TIMER_NEVER: no limit). A wake
// that came before is not lost. Returns false on the deadline.
bool fiber_wait(uint64_t deadline);
// From any CPU; the fiber must not have ended yet. Not from interrupt handlers.
void fiber_wake(struct fiber *fiber);

// Until fiber_unblock, by a message or a task of the same CPU, which must come after. A fiber_wake
// meanwhile is kept for the next fiber_wait.
void fiber_block(void);
void fiber_unblock(struct fiber *fiber);

// Whether the event loop of `cpu` need look at its fibers at all.
static always_inline bool fiber_any(const struct cpu *cpu)
{
	return cpu->fibers.ready_first != NULL || cpu->fibers.timed != 0;
}

// The event loop of `cpu`, the calling one: runs every fiber that is ready once. True if any is
// ready still.
bool fiber_run_ready(struct cpu *cpu);

#endif

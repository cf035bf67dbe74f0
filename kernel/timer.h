// SPDX-License-Identifier: BSD-2-Clause
// Host timers of a core: the nearest deadline has the core's one hardware timer.
//
// Rules: expiry only sets `attention`; the owner looks at its deadline itself when the event loop
// calls it. Deadlines are TSC values. The hardware is programmed lazily, by timer_program(), right
// before a guest entry or the core's sleep.
#ifndef KERNEL_TIMER_H
#define KERNEL_TIMER_H

#include "kernel/base/types.h"

#define TIMER_NEVER UINT64_MAX

struct timer {
	uint64_t deadline; // TSC; TIMER_NEVER: not armed
	struct timer *next; // list of all timers of the core, in no order: they are few
};

void timer_init(void);
void timer_add(struct timer *timer); // starts disarmed
void timer_remove(struct timer *timer);
void timer_set(struct timer *timer, uint64_t deadline);
// Makes the hardware fire at the nearest deadline.
void timer_program(void);

// Internal: the nearest of all deadlines, and the one that the hardware will fire at (a: the
// interrupt handler sets it to TIMER_NEVER).
extern uint64_t timer_nearest;
extern volatile uint64_t timer_programmed;

static always_inline bool timer_needs_program(void)
{
	return timer_nearest != timer_programmed;
}

#endif

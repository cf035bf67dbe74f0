// SPDX-License-Identifier: BSD-2-Clause
// Host timers of a CPU: the nearest deadline has the CPU's one hardware timer.
//
// Rules: a timer belongs to the CPU that added it, and only that one calls these functions for it;
// expiry only sets `attention`; the owner looks at its deadline itself when the event loop calls
// it. Deadlines are TSC values. The hardware is programmed lazily, by timer_program(), right
// before a guest entry or the CPU's sleep.
#ifndef KERNEL_TIMER_H
#define KERNEL_TIMER_H

#include "kernel/base/types.h"
#include "kernel/cpu.h"

#define TIMER_NEVER UINT64_MAX

struct timer {
	uint64_t deadline; // TSC; TIMER_NEVER: not armed
	struct cpu *cpu;   // whose timer it is
	struct timer *next; // list of all timers of the CPU, in no order: they are few
};

void timer_init(void);     // once, on the boot CPU
void timer_init_cpu(void); // on every other CPU

void timer_add(struct timer *timer); // to the calling CPU's; starts disarmed
void timer_remove(struct timer *timer);
void timer_set(struct timer *timer, uint64_t deadline);
// Makes this CPU's hardware fire at the nearest deadline, or in a microsecond or so if that is
// nearer: what is entered next gets on by some instructions, however fast timers expire.
void timer_program(void);
// The same without that microsecond: for whoever makes sure himself that the guest gets on.
void timer_program_exactly(void);
// In how many ticks of the TSC the hardware fires if timer_program() is called now.
uint64_t timer_left(void);

// For a guest's run that is to end at an exact tick of the TSC: whether the hardware counts those.
bool timer_counts_tsc(void);
// The hardware fires in `ticks`, whatever else is due; not 0. With interrupts held back, right
// before the entry. The deadlines come back with the next timer_program().
void timer_start_for_entry(uint32_t ticks);

// Whether this CPU's timer_program() has anything to do: two instructions relative to GS, since the
// run loop asks before every entry.
static always_inline bool timer_needs_program(void)
{
	uint64_t nearest;
	bool differ;

	__asm__ volatile("movq %%gs:%c2, %0\n\t"
			 "cmpq %%gs:%c3, %0"
		: "=&r"(nearest), "=@ccne"(differ)
		: "i"(offsetof(struct cpu, timer_nearest)),
		"i"(offsetof(struct cpu, timer_programmed))
		: "memory");
	return differ;
}

#endif

// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/timer.h"

#include "kernel/apic.h"
#include "kernel/base/assert.h"
#include "kernel/clock.h"
#include "kernel/desc.h"
#include "kernel/x86.h"

enum {
	// Well above what an entry into a guest takes after the timer was programmed, well below
	// what anyone notices: 1.3 us at 3 GHz.
	TIMER_AHEAD_TICKS = 4000,
};

// (c) after timer_init: all CPUs are of one kind.
static bool tsc_deadline;
static struct clock_scale tsc_to_apic;

static void timer_interrupt(struct interrupt_frame *frame)
{
	struct cpu *cpu = cpu_self();

	(void)frame;
	cpu->timer_programmed = TIMER_NEVER;
	cpu->attention = true;
	apic_eoi();
}

void timer_init(void)
{
	const struct clock_calibration *clock = clock_calibration();

	interrupt_handler_set(APIC_VECTOR_TIMER, timer_interrupt);
	tsc_to_apic = (struct clock_scale){mul_div_u64(clock->apic_hz, BIT(32), clock->tsc_hz), 32};
	tsc_deadline = apic_timer_deadline_enable();
}

void timer_init_cpu(void)
{
	if (tsc_deadline && !apic_timer_deadline_enable())
		ASSERT_UNREACHABLE("a CPU has no TSC deadline though the boot CPU does");
}

bool timer_counts_tsc(void)
{
	return !tsc_deadline && tsc_to_apic.mult == BIT(32);
}

void timer_start_for_entry(uint32_t ticks)
{
	cpu_self()->timer_programmed = 0; // of none of the timers
	apic_timer_start(ticks);
}

static void nearest_find(struct cpu *cpu)
{
	cpu->timer_nearest = TIMER_NEVER;
	for (struct timer *timer = cpu->timers; timer != NULL; timer = timer->next)
		if (timer->deadline < cpu->timer_nearest)
			cpu->timer_nearest = timer->deadline;
}

void timer_add(struct timer *timer)
{
	struct cpu *cpu = cpu_self();

	timer->deadline = TIMER_NEVER;
	timer->cpu = cpu;
	timer->next = cpu->timers;
	cpu->timers = timer;
}

void timer_remove(struct timer *timer)
{
	struct cpu *cpu = cpu_self();

	ASSERT(timer->cpu == cpu);
	for (struct timer **at = &cpu->timers; *at != NULL; at = &(*at)->next)
		if (*at == timer) {
			*at = timer->next;
			break;
		}
	timer->cpu = NULL;
	nearest_find(cpu);
}

void timer_set(struct timer *timer, uint64_t deadline)
{
	struct cpu *cpu = cpu_self();
	uint64_t before = timer->deadline;

	ASSERT(timer->cpu == cpu);
	timer->deadline = deadline;
	if (deadline <= cpu->timer_nearest)
		cpu->timer_nearest = deadline;
	else if (before == cpu->timer_nearest)
		nearest_find(cpu);
}

static void hardware_stop(void)
{
	if (tsc_deadline)
		wrmsr(MSR_TSC_DEADLINE, 0);
	else
		apic_timer_start(0);
}

// One that is due, or as good as, interrupts `ahead` from now.
static always_inline uint64_t ticks_left(uint64_t nearest, uint64_t now, const uint64_t ahead)
{
	return nearest > now + ahead ? nearest - now : ahead;
}

uint64_t timer_left(void)
{
	return ticks_left(cpu_self()->timer_nearest, rdtsc(), TIMER_AHEAD_TICKS);
}

static always_inline void program(const uint64_t ahead)
{
	struct cpu *cpu = cpu_self();
	uint64_t nearest = cpu->timer_nearest, now, left, ticks;

	if (likely(nearest == cpu->timer_programmed))
		return;
	cpu->timer_programmed = nearest;
	if (nearest == TIMER_NEVER) {
		hardware_stop();
		return;
	}
	now = rdtsc();
	left = ticks_left(nearest, now, ahead);
	if (tsc_deadline) {
		wrmsr(MSR_TSC_DEADLINE, now + left);
		return;
	}
	ticks = clock_scale_apply(tsc_to_apic, left);
	if (ticks > UINT32_MAX) { // comes back early, and is programmed again
		ticks = UINT32_MAX;
		cpu->timer_programmed = now;
	}
	// At least the share of TIMER_AHEAD_TICKS: not 0.
	apic_timer_start(ahead == TIMER_AHEAD_TICKS || ticks != 0 ? (uint32_t)ticks : 1);
}

// A guest whose timers expire faster than they can be served still gets some instructions done in
// between.
void timer_program(void)
{
	program(TIMER_AHEAD_TICKS);
}

void timer_program_exactly(void)
{
	program(1);
}

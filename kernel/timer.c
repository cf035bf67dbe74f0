// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/timer.h"

#include "kernel/apic.h"
#include "kernel/clock.h"
#include "kernel/cpu.h"
#include "kernel/desc.h"
#include "kernel/x86.h"

static struct timer *timers;
uint64_t timer_nearest = TIMER_NEVER;
volatile uint64_t timer_programmed = TIMER_NEVER;
static bool tsc_deadline;
static struct clock_scale tsc_to_apic;

static void timer_interrupt(struct interrupt_frame *frame)
{
	(void)frame;
	timer_programmed = TIMER_NEVER;
	cpu_self()->attention = true;
	apic_eoi();
}

void timer_init(void)
{
	const struct clock_calibration *clock = clock_calibration();

	interrupt_handler_set(APIC_VECTOR_TIMER, timer_interrupt);
	tsc_to_apic = (struct clock_scale){mul_div_u64(clock->apic_hz, BIT(32), clock->tsc_hz), 32};
	tsc_deadline = apic_timer_deadline_enable();
}

static void nearest_find(void)
{
	timer_nearest = TIMER_NEVER;
	for (struct timer *timer = timers; timer != NULL; timer = timer->next)
		if (timer->deadline < timer_nearest)
			timer_nearest = timer->deadline;
}

void timer_add(struct timer *timer)
{
	timer->deadline = TIMER_NEVER;
	timer->next = timers;
	timers = timer;
}

void timer_remove(struct timer *timer)
{
	for (struct timer **at = &timers; *at != NULL; at = &(*at)->next)
		if (*at == timer) {
			*at = timer->next;
			break;
		}
	nearest_find();
}

void timer_set(struct timer *timer, uint64_t deadline)
{
	uint64_t before = timer->deadline;

	timer->deadline = deadline;
	if (deadline <= timer_nearest)
		timer_nearest = deadline;
	else if (before == timer_nearest)
		nearest_find();
}

void timer_program(void)
{
	uint64_t now, ticks;

	if (likely(timer_nearest == timer_programmed))
		return;
	timer_programmed = timer_nearest;
	if (tsc_deadline) {
		wrmsr(MSR_TSC_DEADLINE, timer_nearest == TIMER_NEVER ? 0 : timer_nearest);
		return;
	}
	if (timer_nearest == TIMER_NEVER) {
		apic_timer_start(0);
		return;
	}
	now = rdtsc();
	ticks = timer_nearest > now ? clock_scale_apply(tsc_to_apic, timer_nearest - now) : 0;
	if (ticks > UINT32_MAX) { // comes back early, and is timer_programmed again
		ticks = UINT32_MAX;
		timer_programmed = now;
	}
	apic_timer_start(ticks > 0 ? (uint32_t)ticks : 1);
}

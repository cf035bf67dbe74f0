// SPDX-License-Identifier: BSD-2-Clause
// The local APIC's timer: one-shot, periodic and TSC-deadline mode. SDM vol. 3, 11.5.4. Its rate
// is taken from the PM timer; counts are long, so that the cost of an access does not matter.
#include "lib/dev.h"

PAYLOAD("dev_lapic_timer");

enum { VECTOR = 0x50, OTHER = 0x60, MEASURE_TICKS = 40 * PM_TICKS_PER_MS };

static uint32_t count_per_ms; // at divide 1

static void timer_stop(void)
{
	lapic_write(LAPIC_TMICT, 0);
	irq_window();
	irq_clear();
}

// Divide configuration, figure 11-10: bits 3, 1 and 0.
static uint32_t divide_of(unsigned shift)
{
	unsigned code = (shift + 7) % 8; // 2, 4, ..., 128, 1

	return (code & 3) | (code & 4) << 1;
}

static void timer_calibrate(void)
{
	uint32_t start, elapsed, left;

	lapic_write(LAPIC_TDCR, divide_of(0));
	lapic_write(LAPIC_TIMER, LAPIC_MASKED | VECTOR);
	start = pm_now();
	lapic_write(LAPIC_TMICT, 0xffffffff);
	while (pm_since(start) < MEASURE_TICKS)
		idle();
	left = lapic_read(LAPIC_TMCCT);
	elapsed = pm_since(start);
	count_per_ms = (uint32_t)((uint64_t)(0xffffffff - left) * PM_TICKS_PER_MS / elapsed);
	timer_stop();
}

// One 40 ms shot for each divider.
static void timer_dividers(void)
{
	for (unsigned shift = 0; shift < 8; shift++) {
		uint32_t start, elapsed;

		lapic_write(LAPIC_TIMER, VECTOR);
		lapic_write(LAPIC_TDCR, divide_of(shift));
		report("divide %u: register = 0x%x", 1u << shift, lapic_read(LAPIC_TDCR));
		start = pm_now();
		lapic_write(LAPIC_TMICT, (count_per_ms * 40) >> shift);
		halt_until(1);
		elapsed = pm_since(start);
		report("divide %u: on time = %u interrupts = %u count = %u", 1u << shift,
			near_by(elapsed, MEASURE_TICKS, 10), irq_count, lapic_read(LAPIC_TMCCT));
		irq_clear();
	}
	lapic_write(LAPIC_TDCR, divide_of(0));
}

static void timer_one_shot(void)
{
	uint32_t initial = count_per_ms * 50, first, second;

	lapic_write(LAPIC_TIMER, VECTOR);
	lapic_write(LAPIC_TMICT, initial);
	first = lapic_read(LAPIC_TMCCT);
	wait_us(5000);
	second = lapic_read(LAPIC_TMCCT);
	report("one_shot.counts = %u %u %u", first <= initial, second < first,
		near_by(first - second, count_per_ms * 5, 30));
	lapic_write(LAPIC_TMCCT, 1);
	report("one_shot.current_is_read_only = %u", lapic_read(LAPIC_TMCCT) > initial / 2);
	halt_until(1);
	report("one_shot.initial_stays = %u current = %u", lapic_read(LAPIC_TMICT) == initial,
		lapic_read(LAPIC_TMCCT));
	window_us(60000);
	report_irqs("one_shot.once");
	// A new count replaces the one that runs.
	lapic_write(LAPIC_TMICT, count_per_ms * 20);
	lapic_write(LAPIC_TMICT, count_per_ms * 100);
	window_us(50000);
	report_irqs("one_shot.restarted.early");
	halt_until(1);
	report_irqs("one_shot.restarted");
	lapic_write(LAPIC_TMICT, count_per_ms * 20);
	lapic_write(LAPIC_TMICT, 0);
	report("one_shot.stopped.current = %u", lapic_read(LAPIC_TMCCT));
	window_us(40000);
	report_irqs("one_shot.stopped");
	// The vector is that of the moment of expiry.
	lapic_write(LAPIC_TMICT, count_per_ms * 20);
	lapic_write(LAPIC_TIMER, OTHER);
	halt_until(1);
	report_irqs("one_shot.vector_changed");
}

// 11.5.1: what comes while masked is lost; the count runs on.
static void timer_masked(void)
{
	lapic_write(LAPIC_TIMER, LAPIC_MASKED | VECTOR);
	lapic_write(LAPIC_TMICT, count_per_ms * 5);
	wait_us(15000);
	report("masked.current = %u irr = %u", lapic_read(LAPIC_TMCCT), lapic_irr(VECTOR));
	lapic_write(LAPIC_TIMER, VECTOR);
	window_us(15000);
	report_irqs("masked.lost");
	lapic_write(LAPIC_TMICT, count_per_ms * 60);
	lapic_write(LAPIC_TIMER, LAPIC_MASKED | VECTOR);
	wait_us(1000);
	lapic_write(LAPIC_TIMER, VECTOR);
	halt_until(1);
	report_irqs("masked.unmasked_in_time");
	// Masked at the CPU it waits in IRR.
	lapic_write(LAPIC_TMICT, count_per_ms);
	wait_us(10000);
	report("pending.irr = %u", lapic_irr(VECTOR));
	lapic_write(LAPIC_TIMER, LAPIC_MASKED | VECTOR);
	irq_window();
	report_irqs("pending.masked_later");
}

static void timer_periodic(void)
{
	uint32_t start, elapsed;

	lapic_write(LAPIC_TIMER, LAPIC_PERIODIC | VECTOR);
	start = pm_now();
	lapic_write(LAPIC_TMICT, count_per_ms * 20);
	halt_until(5);
	elapsed = pm_since(start);
	report("periodic.on_time = %u interrupts = %u", near_by(elapsed, 100 * PM_TICKS_PER_MS, 10),
		irq_count);
	irq_clear();
	// Several periods with interrupts off: one waits in IRR. SDM vol. 3, 11.8.4.
	wait_us(70000);
	irq_window();
	report("periodic.merged = %u", irq_count);
	irq_clear();
	lapic_write(LAPIC_TIMER, LAPIC_PERIODIC | LAPIC_MASKED | VECTOR);
	window_us(50000);
	report_irqs("periodic.masked");
	report("periodic.masked.runs = %u", lapic_read(LAPIC_TMCCT) != 0);
	lapic_write(LAPIC_TIMER, LAPIC_PERIODIC | VECTOR);
	halt_until(2);
	report_irqs("periodic.unmasked");
	// To one-shot: the present period is the last.
	lapic_write(LAPIC_TIMER, VECTOR);
	window_us(70000);
	report_irqs("periodic.to_one_shot");
	lapic_write(LAPIC_TMICT, count_per_ms * 20);
	lapic_write(LAPIC_TIMER, LAPIC_PERIODIC | VECTOR);
	halt_until(3);
	report_irqs("one_shot.to_periodic");
	timer_stop();
	window_us(50000);
	report_irqs("periodic.stopped");
}

static void deadline_switches(void)
{
	wrmsr(MSR_TSC_DEADLINE, rdtsc() + 50000000);
	wrmsr(MSR_TSC_DEADLINE, 0);
	window_us(60000);
	report_irqs("deadline.disarmed");
	wrmsr(MSR_TSC_DEADLINE, UINT64_MAX);
	report("deadline.far = 0x%lx", rdmsr(MSR_TSC_DEADLINE));
	irq_window();
	report_irqs("deadline.far");
	wrmsr(MSR_TSC_DEADLINE, rdtsc() + 50000000);
	lapic_write(LAPIC_TIMER, VECTOR);
	report("deadline.left_mode = %lu", rdmsr(MSR_TSC_DEADLINE));
	window_us(60000);
	report_irqs("deadline.left_mode");
	lapic_write(LAPIC_TMICT, count_per_ms * 30);
	lapic_write(LAPIC_TIMER, LAPIC_DEADLINE | VECTOR);
	window_us(60000);
	report_irqs("deadline.entered_mode_stops_count");
	report("deadline.count = %u", lapic_read(LAPIC_TMCCT));
	lapic_write(LAPIC_TIMER, LAPIC_DEADLINE | LAPIC_MASKED | VECTOR);
	wrmsr(MSR_TSC_DEADLINE, 1);
	lapic_write(LAPIC_TIMER, LAPIC_DEADLINE | VECTOR);
	irq_window();
	report_irqs("deadline.masked_is_lost");
	report("deadline.masked = %lu", rdmsr(MSR_TSC_DEADLINE));
	lapic_write(LAPIC_TIMER, VECTOR);
}

// 11.5.4.1.
static void timer_deadline(void)
{
	uint64_t deadline;

	if ((cpuid(1, 0).ecx >> 24 & 1) == 0) {
		report("deadline = absent");
		return;
	}
	lapic_write(LAPIC_TIMER, VECTOR);
	wrmsr(MSR_TSC_DEADLINE, 1);
	report("deadline.outside_mode = %lu", rdmsr(MSR_TSC_DEADLINE));
	irq_window();
	report_irqs("deadline.outside_mode");
	lapic_write(LAPIC_TIMER, LAPIC_DEADLINE | VECTOR);
	deadline = rdtsc() + 50000000;
	wrmsr(MSR_TSC_DEADLINE, deadline);
	report("deadline.reads_back = %u", rdmsr(MSR_TSC_DEADLINE) == deadline);
	halt_until(1);
	report("deadline.not_early = %u", rdtsc() >= deadline);
	report("deadline.after = %lu", rdmsr(MSR_TSC_DEADLINE));
	report_irqs("deadline");
	wrmsr(MSR_TSC_DEADLINE, 1);
	irq_window();
	report_irqs("deadline.past");
	lapic_write(LAPIC_TMICT, 1000);
	report("deadline.initial_count = %u", lapic_read(LAPIC_TMICT));
	window_us(5000);
	report_irqs("deadline.count_ignored");
	deadline_switches();
}

void payload_main(void)
{
	trap_set_hook(VECTOR, irq_hook);
	trap_set_hook(OTHER, irq_hook);
	timer_calibrate();
	report("current.stopped = %u", lapic_read(LAPIC_TMCCT));
	timer_dividers();
	timer_one_shot();
	timer_masked();
	timer_periodic();
	timer_deadline();
}

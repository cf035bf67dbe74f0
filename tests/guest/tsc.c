// SPDX-License-Identifier: BSD-2-Clause
// The time-stamp counter: its frequency, what is written to it, and interrupts by it. SDM vol. 3,
// 18.17 and 11.5.4.1. With VT-x it runs at another frequency than the host's.
#include "lib/payload.h"

PAYLOAD("tsc");

enum { VECTOR = 0x41, PIT_10MS = 11932, NEAR = 1000000, WRITTEN = 5000, LEAF_KHZ = 0x40000010,
	REPR = 0x72706552 };

static void report_order(const char *what)
{
	uint64_t before = rdtsc(), between = rdmsr(MSR_TSC), after = rdtsc();

	report_check(what, before <= between && between <= after);
}

static void report_frequency(const char *what)
{
	uint64_t khz = cpuid(0x40000000, 0).ebx == REPR ? cpuid(LEAF_KHZ, 0).eax : 0;

	report_check(what, khz == 0 || near_percent(pit_measure_tsc(PIT_10MS), khz * 10));
}

static void report_written(const char *what, uint64_t value)
{
	wrmsr(MSR_TSC, value);
	report_check(what, rdtsc() - value < NEAR);
}

static void report_deadline(const char *what)
{
	uint64_t deadline = rdtsc() + 2 * NEAR;
	bool came;

	if ((cpuid(1, 0).ecx >> 24 & 1) == 0) {
		report("%s = not offered", what);
		return;
	}
	irq_clear();
	wrmsr(MSR_TSC_DEADLINE, deadline);
	sti();
	while (irq_count == 0 && rdtsc() < deadline + 50 * NEAR)
		;
	cli();
	came = irq_count == 1 && rdtsc() >= deadline;
	report_check(what, came);
	wrmsr(MSR_TSC_DEADLINE, 0);
}

void payload_main(void)
{
	trap_set_hook(VECTOR, irq_hook);
	lapic_write(LAPIC_TIMER, LAPIC_DEADLINE | VECTOR);
	report_frequency("frequency");
	report_order("RDTSC and RDMSR");
	report_deadline("deadline");
	report_written("written", WRITTEN);
	report_written("written, high", 1ull << 62);
	report_order("RDTSC and RDMSR after that");
	report_frequency("frequency after that");
	report_deadline("deadline after that");
	report_written("written again", 0);
	report_deadline("deadline after zero");
}

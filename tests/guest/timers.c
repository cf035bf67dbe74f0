// SPDX-License-Identifier: BSD-2-Clause
// All clocks tell one time: PIT, ACPI PM timer, LAPIC timer, RTC, each against the TSC, within 1 %.
#include "lib/payload.h"

PAYLOAD("timers");

enum {
	PM_TIMER = 0x608,         // 3.579545 MHz, 24 bits. ACPI 6.4, 4.8.3.3
	PM_10MS = 35795,
	PIT_10MS = 11932,         // 1.193182 MHz
	VECTOR = 0x50,
	RTC_PIN = 8,
	LAPIC_COUNT = 10000000, // long against a poll, whatever the TSC's frequency
};

static volatile uint64_t timers_stamp[8];
static volatile unsigned timers_count;

static void timers_hook(struct trap_frame *frame)
{
	(void)frame;
	if (timers_count < 8)
		timers_stamp[timers_count] = rdtsc();
	timers_count = timers_count + 1;
	lapic_write(LAPIC_EOI, 0);
}

static void timers_wait(unsigned count)
{
	for (unsigned i = 0; timers_count < count && i < 100; i++)
		sti_hlt_cli();
}

static uint64_t pm_measure_tsc(void)
{
	uint32_t first = inl(PM_TIMER) & 0xffffff;
	uint64_t start = rdtsc();

	while (((inl(PM_TIMER) - first) & 0xffffff) < PM_10MS && rdtsc() - start < 1000000000)
		spin(5000);
	return rdtsc() - start;
}

static uint64_t lapic_measure_tsc(uint32_t divide)
{
	uint64_t start;

	lapic_write(LAPIC_TIMER, LAPIC_MASKED | VECTOR);
	lapic_write(LAPIC_TDCR, divide);
	lapic_write(LAPIC_TMICT, LAPIC_COUNT);
	start = rdtsc();
	while (lapic_read(LAPIC_TMCCT) != 0 && rdtsc() - start < 1000000000)
		spin(2000);
	lapic_write(LAPIC_TDCR, 0xb);
	return rdtsc() - start;
}

static void timers_lapic(void)
{
	uint64_t one = lapic_measure_tsc(0xb), start;
	bool counts;

	report_check("lapic.divide_by_4", near_percent(lapic_measure_tsc(1), 4 * one));
	report_check("lapic.divide_by_16", near_percent(lapic_measure_tsc(3), 16 * one));
	lapic_write(LAPIC_TIMER, VECTOR);
	start = rdtsc();
	lapic_write(LAPIC_TMICT, LAPIC_COUNT);
	timers_wait(1);
	report_check("lapic.one_shot", near_percent(timers_stamp[0] - start, one));
	spin(3 * one);
	irq_window();
	report("lapic.one_shot.count = %u", timers_count);
	timers_count = 0;
	lapic_write(LAPIC_TIMER, VECTOR | LAPIC_PERIODIC);
	lapic_write(LAPIC_TMICT, LAPIC_COUNT);
	timers_wait(6);
	// Stopped by an initial count of 0. A report may take longer than a period.
	lapic_write(LAPIC_TMICT, 0);
	timers_count = 0;
	spin(2 * one);
	irq_window();
	report_check("lapic.periodic", near_percent(timers_stamp[5] - timers_stamp[0], 5 * one));
	report("lapic.stopped.count = %u", timers_count);
	lapic_write(LAPIC_TIMER, VECTOR);
	lapic_write(LAPIC_TMICT, LAPIC_COUNT);
	counts = lapic_read(LAPIC_TMCCT) <= LAPIC_COUNT &&
		lapic_read(LAPIC_TMCCT) > LAPIC_COUNT / 2;
	lapic_write(LAPIC_TMICT, 0);
	report_check("lapic.current_count", counts);
	report("lapic.current_count.stopped = %u", lapic_read(LAPIC_TMCCT));
}

// SDM vol. 3, 11.5.4.1.
static bool timers_deadline_works(void)
{
	uint64_t deadline;
	bool disarmed, count_ignored;

	timers_count = 0;
	lapic_write(LAPIC_TIMER, VECTOR | LAPIC_DEADLINE);
	__asm__ volatile("mfence" : : : "memory");
	deadline = rdtsc() + 2000000;
	wrmsr(MSR_TSC_DEADLINE, deadline);
	timers_wait(1);
	disarmed = rdmsr(MSR_TSC_DEADLINE) == 0;
	lapic_write(LAPIC_TMICT, 1000);
	spin(100000);
	irq_window();
	count_ignored = timers_count == 1;
	lapic_write(LAPIC_TIMER, VECTOR);
	return disarmed && count_ignored && timers_stamp[0] >= deadline &&
		timers_stamp[0] - deadline < 200000;
}

static void rtc_hook(struct trap_frame *frame)
{
	cmos_read(0xc);
	timers_hook(frame);
}

static void timers_rtc(uint64_t tsc_10ms)
{
	uint64_t ticks;

	report("rtc.date = %x%x-%x-%x", cmos_read(0x32), cmos_read(9), cmos_read(8),
		cmos_read(7));
	report("rtc.valid = %u", cmos_read(0xd) >> 7);
	timers_count = 0;
	trap_set_hook(VECTOR + 1, rtc_hook);
	ioapic_route(RTC_PIN, VECTOR + 1, 0);
	cmos_write(0xa, 0x26); // 1024 Hz
	cmos_read(0xc); // PF is set without PIE too, and would interrupt at once
	cmos_write(0xb, 0x42); // periodic interrupt
	timers_wait(8);
	ticks = timers_stamp[7] - timers_stamp[0]; // 7 / 1024 s
	report_check("rtc.periodic", near_percent(ticks * 1024, tsc_10ms * 700));
	cmos_write(0xb, 0x02);
	cmos_read(0xc);
	ioapic_route(RTC_PIN, LAPIC_MASKED, 0);
}

// Mode 3 and mode 2 count down and reload; a latched count stands still.
static void timers_pit(void)
{
	unsigned first, second;

	pit_periodic(0);
	outb(0x43, 0x00);
	first = inb(0x40);
	first |= (unsigned)inb(0x40) << 8;
	spin(100000);
	outb(0x43, 0x00);
	spin(100000);
	second = inb(0x40);
	second |= (unsigned)inb(0x40) << 8;
	report_check("pit.counts_down", first != second);
	outb(0x43, 0xe2); // read-back: status of channel 0
	report("pit.status = 0x%x", inb(0x40) & 0x3f);
	outb(0x43, 0x30);
}

void payload_main(void)
{
	uint64_t pit = pit_measure_tsc(PIT_10MS);
	uint64_t pm = pm_measure_tsc();

	report_check("pit_and_pm_timer", near_percent(pm, pit));
	report_check("pit.twice", near_percent(pit_measure_tsc(2 * PIT_10MS), 2 * pit));
	timers_pit();
	trap_set_hook(VECTOR, timers_hook);
	timers_lapic();
	report_check("tsc_deadline", (cpuid(1, 0).ecx >> 24 & 1) == 0 || timers_deadline_works());
	timers_rtc(pit);
}

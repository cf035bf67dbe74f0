// SPDX-License-Identifier: BSD-2-Clause
// What each clock of the machine tells at which time, and when its interrupts come: by the
// time-stamp counter, to the tick.
#include "lib/det.h"
#include "lib/dev.h"

PAYLOAD("det_timers");

enum { VECTOR = 0x50, STAMPS = 8, PIT_HZ_COUNT = 1193 };

static volatile uint64_t stamps[STAMPS];
static volatile unsigned count;
static bool is_rtc;

static void hook(struct trap_frame *frame)
{
	uint64_t now = rdtsc();

	if (count < STAMPS)
		stamps[count] = now ^ frame->rip << 48; // where it came is as good as when
	count = count + 1;
	if (is_rtc)
		cmos_read(0xc);
	lapic_write(LAPIC_EOI, 0);
}

static void report_stamps(const char *what)
{
	print("det_timers: %s =", what);
	for (unsigned i = 0; i < count && i < STAMPS; i++)
		print(" %lu@%x", stamps[i] & 0xffffffffffff, (unsigned)(stamps[i] >> 48));
	print("\n");
	count = 0;
}

// Half of the interrupts come into a loop, the others into HLT.
static void collect(const char *what, unsigned wanted, bool halted)
{
	count = 0;
	while (count < wanted) {
		if (halted) {
			sti_hlt_cli();
		} else {
			sti();
			idle();
			cli();
		}
	}
	report_stamps(what);
}

static void timers_lapic(bool halted)
{
	static const uint32_t counts[] = {1, 2, 50, 1000, 12345, 100003, 3000001};

	for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		lapic_write(LAPIC_TIMER, VECTOR);
		lapic_write(LAPIC_TMICT, counts[i]);
		collect(halted ? "lapic.halted" : "lapic.one_shot", 1, halted);
	}
	lapic_write(LAPIC_TIMER, VECTOR | LAPIC_PERIODIC);
	lapic_write(LAPIC_TMICT, 54321);
	collect("lapic.periodic", STAMPS, halted);
	lapic_write(LAPIC_TMICT, 0);
	lapic_write(LAPIC_TIMER, LAPIC_MASKED);
	if ((cpuid(1, 0).ecx >> 24 & 1) == 0)
		return;
	lapic_write(LAPIC_TIMER, VECTOR | LAPIC_DEADLINE);
	wrmsr(MSR_TSC_DEADLINE, rdtsc() + 77777);
	collect("lapic.deadline", 1, halted);
	lapic_write(LAPIC_TIMER, LAPIC_MASKED);
}

static void timers_pit(bool halted)
{
	ioapic_route(PIN_PIT, VECTOR + 1, 0);
	pit_periodic(PIT_HZ_COUNT);
	collect(halted ? "pit.halted" : "pit.periodic", STAMPS, halted);
	pit_stop();
	pit_one_shot(500);
	collect("pit.one_shot", 1, halted);
	ioapic_route(PIN_PIT, LAPIC_MASKED, 0);
}

static void timers_rtc(bool halted)
{
	is_rtc = true;
	ioapic_route(PIN_RTC, VECTOR + 2, 0);
	cmos_write(0xa, 0x26); // 1024 Hz
	cmos_read(0xc);
	cmos_write(0xb, 0x42); // periodic
	collect(halted ? "rtc.halted" : "rtc.periodic", STAMPS, halted);
	cmos_write(0xb, 0x12); // update ended
	cmos_read(0xc);
	count = 0;
	collect("rtc.update", 1, true);
	cmos_write(0xb, 0x02);
	cmos_read(0xc);
	ioapic_route(PIN_RTC, LAPIC_MASKED, 0);
	is_rtc = false;
}

// What they tell, each beside the time.
static void readings(void)
{
	lapic_write(LAPIC_TMICT, 0xffffffff);
	pit_periodic(0);
	for (unsigned i = 0; i < 6; i++) {
		uint64_t tsc = rdtsc();
		uint32_t pm = inl(PM_TIMER_PORT), lapic = lapic_read(LAPIC_TMCCT);
		unsigned pit = pit_count(0), seconds = cmos_read(0), busy = cmos_read(0xa) >> 7;

		report("at %lu = pm %u lapic %u pit %u rtc %x busy %u port61 0x%x", tsc, pm, lapic,
			pit, seconds, busy, inb(0x61));
		for (unsigned k = 0; k < i * 100; k++)
			idle();
	}
	report("date = %x%x-%x-%x %x:%x:%x", cmos_read(0x32), cmos_read(9), cmos_read(8),
		cmos_read(7), cmos_read(4), cmos_read(2), cmos_read(0));
	lapic_write(LAPIC_TMICT, 0);
	pit_stop();
}

void payload_main(void)
{
	for (unsigned i = 0; i < 3; i++)
		trap_set_hook(VECTOR + i, hook);
	readings();
	timers_lapic(false);
	timers_lapic(true);
	timers_pit(false);
	timers_pit(true);
	timers_rtc(false);
	timers_rtc(true);
	readings();
}

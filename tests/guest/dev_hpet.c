// SPDX-License-Identifier: BSD-2-Clause
// High precision event timers: registers, the counter, one-shot and periodic timers, 32 bits, edges
// and levels, routes, legacy replacement. IA-PC HPET Specification 1.0a, 2.3.
#include "emul/hpet.h"
#include "lib/dev.h"

PAYLOAD("dev_hpet");

enum {
	VECTOR = 0x50,
	RTC_VECTOR = 0x51,
	TICKS_PER_MS = 100000,
	PIN_16 = 16,
	EDGE = HPET_TIMER_INTERRUPT,
	LEVEL = HPET_TIMER_INTERRUPT | HPET_TIMER_LEVEL,
	SET = HPET_TIMER_PERIODIC | HPET_TIMER_VALUE_SET,
	TO_PIN_2 = PIN_PIT << HPET_TIMER_ROUTE_SHIFT,
	TO_PIN_16 = PIN_16 << HPET_TIMER_ROUTE_SHIFT,
};

static uint32_t in(unsigned at)
{
	return read32(HPET_BASE + at);
}

static void out(unsigned at, uint32_t value)
{
	write32(HPET_BASE + at, value);
}

static uint64_t in64(unsigned at)
{
	return *(volatile uint64_t *)(uintptr_t)(HPET_BASE + at);
}

static void out64(unsigned at, uint64_t value)
{
	*(volatile uint64_t *)(uintptr_t)(HPET_BASE + at) = value;
}

static unsigned config_at(unsigned timer)
{
	return HPET_TIMER + timer * HPET_TIMER_BYTES;
}

static unsigned comparator_at(unsigned timer)
{
	return config_at(timer) + HPET_TIMER_COMPARATOR;
}

// All off, and nothing under way.
static void stop(void)
{
	out(HPET_CONFIGURATION, 0);
	for (unsigned i = 0; i < HPET_TIMERS; i++) {
		out(config_at(i), 0);
		out64(comparator_at(i), ~0ull);
	}
	out(HPET_STATUS, 7);
	out64(HPET_COUNTER, 0);
	irq_window();
	irq_clear();
}

static void hpet_registers(void)
{
	report("capabilities = 0x%x period 0x%x", in(0), in(4));
	report("capabilities.64 = %u", in64(0) == ((uint64_t)in(4) << 32 | in(0)));
	out(0, 0);
	out(4, 0);
	report("capabilities.written = 0x%x period 0x%x", in(0), in(4));
	report("configuration = 0x%x status 0x%x", in(HPET_CONFIGURATION), in(HPET_STATUS));
	for (unsigned i = 0; i < HPET_TIMERS; i++) {
		report("timer%u: 0x%x routes 0x%x", i, in(config_at(i)), in(config_at(i) + 4));
		report("timer%u: comparator 0x%lx", i, (unsigned long)in64(comparator_at(i)));
		out(config_at(i), ~(uint32_t)(HPET_TIMER_ROUTE | HPET_TIMER_VALUE_SET));
		report("timer%u.ones: 0x%x", i, in(config_at(i)));
		report("timer%u.32_bits: comparator 0x%lx", i,
			(unsigned long)in64(comparator_at(i)));
		out(config_at(i), 3 << HPET_TIMER_ROUTE_SHIFT);
		report("timer%u.no_route: 0x%x", i, in(config_at(i)) >> HPET_TIMER_ROUTE_SHIFT);
	}
	out(HPET_CONFIGURATION, 0xfffffffc);
	report("configuration.reserved = 0x%x", in(HPET_CONFIGURATION));
	report("beyond = 0x%x 0x%x", in(config_at(HPET_TIMERS)), in(0x18));
	stop();
}

static void hpet_counter(void)
{
	uint32_t start, ticks;
	uint64_t first;

	out64(HPET_COUNTER, 0x12345678fffffff0);
	wait_us(100);
	report("halted = 0x%lx", (unsigned long)in64(HPET_COUNTER));
	out(HPET_CONFIGURATION, HPET_ENABLE);
	wait_us(100);
	report("carry = 0x%x", in(HPET_COUNTER + 4));
	first = in64(HPET_COUNTER);
	start = pm_now();
	wait_us(20000);
	ticks = pm_since(start);
	report("rate = %u", near_by(in64(HPET_COUNTER) - first,
		(uint64_t)ticks * TICKS_PER_MS * 10 / 35795, 3));
	out64(HPET_COUNTER, 0);
	report("written.running = 0x%x", in(HPET_COUNTER + 4));
	stop();
}

// Timer 2 leads to the I/O APIC's input 2, where the PIT's line is low.
static void hpet_one_shot(void)
{
	uint64_t now;

	ioapic_route(PIN_PIT, VECTOR, 0);
	out(HPET_CONFIGURATION, HPET_ENABLE);
	out(config_at(2), EDGE | TO_PIN_2);
	now = in64(HPET_COUNTER);
	out64(comparator_at(2), now + 5 * TICKS_PER_MS);
	window_us(2000);
	report_irqs("one_shot.before");
	halt_until(1);
	report("one_shot.early = %u", in64(HPET_COUNTER) < now + 5 * TICKS_PER_MS);
	window_us(10000);
	report_irqs("one_shot");
	report("one_shot.status = 0x%x", in(HPET_STATUS));
	out64(comparator_at(2), in64(HPET_COUNTER) + TICKS_PER_MS);
	window_us(5000);
	report_irqs("one_shot.again");
	out(config_at(2), TO_PIN_2);
	out64(comparator_at(2), in64(HPET_COUNTER) + TICKS_PER_MS);
	window_us(5000);
	report_irqs("one_shot.not_enabled");
	stop();
}

static void hpet_periodic(unsigned timer, uint32_t mode)
{
	uint64_t first, comparator;
	uint32_t start;

	// The emulator lets VAL_SET reach the lower half of the accumulator alone.
	out64(comparator_at(timer), 0);
	out(config_at(timer), EDGE | TO_PIN_2 | SET | mode);
	out64(comparator_at(timer), 3 * TICKS_PER_MS);
	out64(comparator_at(timer), TICKS_PER_MS);
	out(HPET_CONFIGURATION, HPET_ENABLE);
	start = pm_now();
	halt_until(21);
	report("periodic%u.rate = %u", timer,
		near_by(pm_since(start), 23 * PM_TICKS_PER_MS, 10));
	comparator = in64(comparator_at(timer));
	first = in64(HPET_COUNTER);
	report("periodic%u.comparator = %u ahead %u", timer,
		(unsigned)(comparator % TICKS_PER_MS), comparator > first);
	stop();
}

// Around the end of 32 bits.
static void hpet_wrap(void)
{
	out(config_at(2), EDGE | TO_PIN_2 | HPET_TIMER_32);
	out64(HPET_COUNTER, 0x700000000 - 5 * TICKS_PER_MS);
	out(comparator_at(2), 10 * TICKS_PER_MS);
	out(HPET_CONFIGURATION, HPET_ENABLE);
	window_us(8000);
	report_irqs("wrap");
	window_us(10000);
	report_irqs("wrap.match");
	stop();
}

// The status is what the line is; an EOI finds it high.
static void level_hook(struct trap_frame *frame)
{
	if (irq_count >= 2)
		out(HPET_STATUS, 4);
	irq_hook(frame);
}

static void hpet_level(void)
{
	trap_set_hook(VECTOR, level_hook);
	ioapic_route(PIN_PIT, VECTOR | RTE_LEVEL, 0);
	out(HPET_CONFIGURATION, HPET_ENABLE);
	out(config_at(2), LEVEL | TO_PIN_2);
	out64(comparator_at(2), in64(HPET_COUNTER) + TICKS_PER_MS);
	wait_us(3000);
	report("level.status = 0x%x", in(HPET_STATUS));
	out(HPET_STATUS, 3);
	report("level.other_bits = 0x%x", in(HPET_STATUS));
	halt_until(3);
	window_us(1000);
	report_irqs("level");
	report("level.cleared = 0x%x", in(HPET_STATUS));
	ioapic_route(PIN_PIT, VECTOR, 0);
	trap_set_hook(VECTOR, irq_hook);
	stop();
}

static void hpet_routes(void)
{
	ioapic_route(PIN_16, VECTOR + 16, 0);
	trap_set_hook(VECTOR + 16, irq_hook);
	for (unsigned i = 0; i < HPET_TIMERS; i++) {
		out(config_at(i), EDGE | TO_PIN_16);
		out64(comparator_at(i), (i + 1) * TICKS_PER_MS);
	}
	out(HPET_CONFIGURATION, HPET_ENABLE);
	window_us(6000);
	report_irqs("pin_16");
	ioapic_route(PIN_16, RTE_MASKED, 0);
	stop();
}

// Timers 0 and 1 in the places of the PIT and the RTC.
static void hpet_legacy(void)
{
	trap_set_hook(RTC_VECTOR, irq_hook);
	ioapic_route(PIN_RTC, RTC_VECTOR, 0);
	pit_program(0, 2, 2000);
	irq_clear();
	halt_until(3);
	irq_clear();
	cmos_write(0xb, 0x42); // periodic, 1024 Hz
	out(HPET_CONFIGURATION, HPET_LEGACY);
	window_us(5000);
	irq_clear();
	cmos_read(0xc);
	window_us(10000);
	report_irqs("legacy.pit_and_rtc");
	out(config_at(0), EDGE | TO_PIN_16);
	out(config_at(1), EDGE | TO_PIN_16);
	out64(comparator_at(0), 2 * TICKS_PER_MS);
	out64(comparator_at(1), 4 * TICKS_PER_MS);
	out(HPET_CONFIGURATION, HPET_LEGACY | HPET_ENABLE);
	window_us(10000);
	report_irqs("legacy.timers");
	// The same at the 8259 pair.
	ioapic_route(PIN_PIT, RTE_MASKED, 0);
	ioapic_route(PIN_RTC, RTE_MASKED, 0);
	trap_set_hook(PIC_VECTOR, irq_hook);
	lapic_write(LAPIC_LINT0, LVT_EXTINT);
	pic_init(0xfe, 0xff);
	irq_window(); // an edge from before
	outb(PIC_MASTER, 0x20);
	irq_clear();
	out64(comparator_at(0), in64(HPET_COUNTER) + 2 * TICKS_PER_MS);
	window_us(6000);
	report_irqs("legacy.8259");
	outb(PIC_MASTER, 0x20);
	pic_init(0xff, 0xff);
	lapic_write(LAPIC_LINT0, LAPIC_MASKED);
	cmos_write(0xb, 2);
	cmos_read(0xc);
	out(HPET_CONFIGURATION, 0);
	ioapic_route(PIN_PIT, VECTOR, 0);
	irq_clear();
	halt_until(3);
	report("legacy.pit_is_back = 1");
	pit_stop();
	stop();
}

void payload_main(void)
{
	trap_set_hook(VECTOR, irq_hook);
	hpet_registers();
	hpet_counter();
	hpet_one_shot();
	hpet_periodic(0, 0);
	hpet_periodic(1, HPET_TIMER_32);
	hpet_periodic(2, 0);
	hpet_wrap();
	hpet_level();
	hpet_routes();
	hpet_legacy();
}

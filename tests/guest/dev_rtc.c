// SPDX-License-Identifier: BSD-2-Clause
// The MC146818: data modes, SET, updates, UIP, alarms, periodic rates, register C, CMOS memory, the
// index port, and the calendar's turns. Motorola MC146818 data sheet.
#include "lib/dev.h"

PAYLOAD("dev_rtc");

enum {
	A = 0xa,
	B = 0xb,
	C = 0xc,
	D = 0xd,
	CENTURY = 0x32,
	UIP = 0x80,
	SET = 0x80,
	PIE = 0x40,
	AIE = 0x20,
	UIE = 0x10,
	BINARY = 4,
	HOURS_24 = 2,
	VECTOR = 0x50,
};

static volatile uint8_t c_log[IRQ_LOG_MAX];

static void rtc_hook(struct trap_frame *frame)
{
	c_log[irq_count % IRQ_LOG_MAX] = cmos_read(C);
	irq_hook(frame);
}

// Second, minute, hour, weekday, day, month, year, century: as the bytes are.
static const uint8_t places[] = {0, 2, 4, 6, 7, 8, 9, CENTURY};

static void time_set(const uint8_t time[8])
{
	for (unsigned i = 0; i < 8; i++)
		cmos_write(places[i], time[i]);
}

static void report_time(const char *what)
{
	uint8_t time[8];

	for (unsigned i = 0; i < 8; i++)
		time[i] = cmos_read(places[i]);
	report("%s = 0x%x 0x%x-0x%x-0x%x weekday 0x%x 0x%x:0x%x:0x%x", what, time[7], time[6],
		time[5], time[4], time[3], time[2], time[1], time[0]);
}

static void set(uint8_t b)
{
	cmos_write(B, SET | b);
}

// Lets the clock run until its next update is over, and stops it.
static void run_one_update(uint8_t b)
{
	irq_clear();
	cmos_read(C);
	cmos_write(B, b | UIE);
	halt_until(1);
	set(b);
	cmos_read(C);
}

static void rtc_registers(void)
{
	report("a.divider = 0x%x", cmos_read(A) & 0x7f);
	cmos_write(A, 0xa6);
	report("a.uip_is_read_only = 0x%x", cmos_read(A) & 0x7f);
	report("d = 0x%x", cmos_read(D));
	cmos_write(D, 0);
	report("d.after_write = 0x%x", cmos_read(D));
	cmos_read(C);
	cmos_write(C, 0xff);
	report("c.after_write = 0x%x", cmos_read(C) & 0x0f);
	set(HOURS_24);
	report("b.set = 0x%x", cmos_read(B));
	cmos_write(B, SET | UIE | HOURS_24);
	report("b.set_clears_uie = 0x%x", cmos_read(B));
	for (unsigned i = 0x40; i < 0x58; i++) { // memory that no firmware uses
		static const uint8_t patterns[] = {0x55, 0xaa, 0};

		for (unsigned n = 0; n < 3; n++) {
			cmos_write(i, patterns[n]);
			if (cmos_read(i) != patterns[n])
				report("memory 0x%x differs", i);
		}
	}
	// Bit 7 of the index masks NMI and is no part of the index.
	cmos_write(0x40, 0x77);
	report("index.bit_7 = 0x%x", cmos_read(0xc0));
	cmos_write(0xc0, 0x78);
	report("index.bit_7.write = 0x%x", cmos_read(0x40));
	report("index.read_twice = 0x%x 0x%x", inb(0x71), inb(0x71));
}

// SET stops updates, and the bytes stay as written.
static void rtc_set(void)
{
	static const uint8_t time[] = {0x30, 0x15, 0x12, 2, 0x10, 0x06, 0x24, 0x20};

	set(HOURS_24);
	time_set(time);
	report_time("set");
	cmos_read(C);
	sleep_ms(1500);
	report("set.stands: second 0x%x uip %u flags 0x%x", cmos_read(0), cmos_read(A) & UIP,
		cmos_read(C) & 0x30);
	run_one_update(HOURS_24);
	report_time("set.one_update");
}

static void turn(const char *what, uint8_t b, const uint8_t time[8])
{
	set(b);
	time_set(time);
	run_one_update(b);
	report_time(what);
}

// One update across each boundary, in each data mode.
static void rtc_turns(void)
{
	static const uint8_t new_year[] = {0x59, 0x59, 0x23, 1, 0x31, 0x12, 0x23, 0x20};
	static const uint8_t century[] = {0x59, 0x59, 0x23, 6, 0x31, 0x12, 0x99, 0x19};
	static const uint8_t leap[] = {0x59, 0x59, 0x23, 4, 0x28, 0x02, 0x24, 0x20};
	static const uint8_t leap_end[] = {0x59, 0x59, 0x23, 5, 0x29, 0x02, 0x24, 0x20};
	static const uint8_t common[] = {0x59, 0x59, 0x23, 3, 0x28, 0x02, 0x23, 0x20};
	static const uint8_t leap_2000[] = {0x59, 0x59, 0x23, 2, 0x28, 0x02, 0x00, 0x20};
	static const uint8_t april[] = {0x59, 0x59, 0x23, 3, 0x30, 0x04, 0x24, 0x20};
	static const uint8_t saturday[] = {0x59, 0x59, 0x23, 7, 0x06, 0x01, 0x24, 0x20};
	static const uint8_t binary[] = {59, 59, 23, 1, 31, 12, 23, 20};
	static const uint8_t bcd_carry[] = {0x09, 0x15, 0x12, 2, 0x10, 0x06, 0x24, 0x20};
	static const uint8_t noon[] = {0x59, 0x59, 0x11, 2, 0x10, 0x06, 0x24, 0x20};
	static const uint8_t one[] = {0x59, 0x59, 0x92, 2, 0x10, 0x06, 0x24, 0x20};
	static const uint8_t midnight[] = {0x59, 0x59, 0x91, 2, 0x10, 0x06, 0x24, 0x20};
	static const uint8_t after_midnight[] = {0x59, 0x59, 0x12, 2, 0x10, 0x06, 0x24, 0x20};
	static const uint8_t binary_12[] = {59, 59, 0x8b, 2, 10, 6, 24, 20};

	turn("turn.new_year", HOURS_24, new_year);
	turn("turn.century", HOURS_24, century);
	turn("turn.leap_day", HOURS_24, leap);
	turn("turn.after_leap_day", HOURS_24, leap_end);
	turn("turn.common_year", HOURS_24, common);
	turn("turn.leap_2000", HOURS_24, leap_2000);
	turn("turn.april", HOURS_24, april);
	turn("turn.week", HOURS_24, saturday);
	turn("turn.bcd_carry", HOURS_24, bcd_carry);
	turn("turn.binary", HOURS_24 | BINARY, binary);
	turn("turn.12.noon", 0, noon);
	turn("turn.12.one_pm", 0, one);
	turn("turn.12.midnight", 0, midnight);
	turn("turn.12.one_am", 0, after_midnight);
	turn("turn.12.binary", BINARY, binary_12);
}

static void alarm(const char *what, uint8_t second, uint8_t minute, uint8_t hour, unsigned updates)
{
	static const uint8_t time[] = {0x28, 0x15, 0x12, 2, 0x10, 0x06, 0x24, 0x20};
	unsigned alarms = 0;

	set(HOURS_24);
	time_set(time);
	cmos_write(1, second);
	cmos_write(3, minute);
	cmos_write(5, hour);
	irq_clear();
	cmos_read(C);
	cmos_write(B, HOURS_24 | UIE);
	halt_until(updates);
	for (unsigned i = 0; i < updates; i++)
		alarms |= (unsigned)(c_log[i] >> 5 & 1) << i;
	report("alarm.%s = 0x%x", what, alarms);
	set(HOURS_24);
	cmos_read(C);
}

// Bit n: the alarm flag came with update n. The clock starts at 12:15:28.
static void rtc_alarms(void)
{
	alarm("exact", 0x30, 0x15, 0x12, 3);
	alarm("any_second", 0xff, 0x15, 0x12, 3);
	alarm("any_minute", 0x30, 0xc0, 0x12, 3);
	alarm("any_hour", 0x30, 0x15, 0xff, 3);
	alarm("all_any", 0xff, 0xff, 0xff, 2);
	alarm("other_hour", 0x30, 0x15, 0x13, 3);
	alarm("other_second", 0x27, 0x15, 0x12, 3);
	// Its interrupt, alone.
	alarm("before_interrupt", 0x29, 0x15, 0x12, 1);
	irq_clear();
	cmos_write(0, 0x28);
	cmos_write(1, 0x29);
	cmos_read(C);
	cmos_write(B, HOURS_24 | AIE);
	halt_until(1);
	report("alarm.interrupt c = 0x%x second = 0x%x", c_log[0] & 0xa0, cmos_read(0));
	set(HOURS_24);
}

// Rates 6 to 15: 977 us to 500 ms a period.
static void rtc_rates(void)
{
	for (unsigned rate = 6; rate < 16; rate++) {
		unsigned periods = rate < 11 ? 1024 >> rate : 1;
		uint32_t start, expected = (uint32_t)((uint64_t)3579545 * periods >> (16 - rate));

		cmos_write(A, 0x20);
		cmos_read(C);
		irq_clear();
		cmos_write(A, (uint8_t)(0x20 | rate));
		cmos_write(B, HOURS_24 | PIE);
		halt_until(1);
		start = pm_now();
		halt_until(1 + periods);
		report("rate %u: %u", rate, near_by(pm_since(start), expected, 15));
		cmos_write(B, HOURS_24);
	}
	cmos_write(A, 0x20);
	cmos_read(C);
	irq_clear();
	cmos_write(B, HOURS_24 | PIE);
	sleep_ms(100);
	report("rate 0: interrupts %u flag %u", irq_count, cmos_read(C) & 0x40);
	cmos_write(B, HOURS_24);
	cmos_write(A, 0x26);
}

// Flags come without their enables; IRQF and the line want both; reading C clears all.
static void rtc_flags(void)
{
	uint8_t first, second;

	cmos_write(B, HOURS_24);
	cmos_write(1, 0xff);
	cmos_write(3, 0xff);
	cmos_write(5, 0xff);
	irq_clear();
	cmos_read(C);
	sleep_ms(1100);
	report("flags.without_enable.interrupts = %u", irq_count);
	first = cmos_read(C);
	second = cmos_read(C);
	report("flags = 0x%x then 0x%x", first, second & 0x30);
	// The line stays high until C is read: one edge, whatever else happens.
	trap_set_hook(VECTOR, irq_hook);
	cmos_write(B, HOURS_24 | PIE | UIE);
	sleep_ms(1100);
	report("line.edges_until_read = %u", irq_count);
	first = cmos_read(C);
	report("line.flags = 0x%x", first);
	irq_clear();
	// An enable that meets a flag raises the line.
	cmos_write(B, HOURS_24);
	wait_us(10000);
	report("line.before_enable = %u", irq_count);
	cmos_write(B, HOURS_24 | PIE);
	window_us(10000);
	report("line.enable_meets_flag = %u", irq_count);
	cmos_write(B, HOURS_24);
	cmos_read(C);
	irq_clear();
	trap_set_hook(VECTOR, rtc_hook);
}

// UIP precedes the update by 244 us: it is not missed by one who looks that often. It is clear
// after an update, which comes once a second.
static void rtc_uip(void)
{
	uint32_t start, last, longest = 0;
	unsigned seen = 0;
	uint8_t second;

	cmos_write(B, HOURS_24 | UIE);
	irq_clear();
	halt_until(1);
	start = pm_now();
	second = cmos_read(0);
	report("uip.after_update = %u", cmos_read(A) & UIP);
	cmos_write(B, HOURS_24);
	sleep_ms(900);
	report("uip.after_900_ms = %u second %u", cmos_read(A) & UIP, cmos_read(0) != second);
	cmos_read(C);
	last = pm_now();
	while ((cmos_read(C) & UIE) == 0) {
		uint32_t gap = pm_since(last);

		last = pm_now();
		longest = gap > longest ? gap : longest;
		seen |= cmos_read(A) & UIP;
	}
	report("uip.before_update = %u", seen != 0 || longest > PM_TICKS_PER_MS / 5);
	report("uip.second_passed = %u %u", near_by(pm_since(start), 1000 * PM_TICKS_PER_MS, 5),
		cmos_read(0) != second);
}

// 500 ms from the divider's release to the first update.
static void rtc_divider(void)
{
	uint32_t start;

	cmos_write(A, 0x66); // divider held in reset
	cmos_read(C);
	sleep_ms(1200);
	report("divider.reset.flags = 0x%x", cmos_read(C));
	irq_clear();
	cmos_write(B, HOURS_24 | UIE);
	start = pm_now();
	cmos_write(A, 0x26);
	halt_until(1);
	report("divider.first_update_after_half_a_second = %u",
		near_by(pm_since(start), 500 * PM_TICKS_PER_MS, 5));
	cmos_write(B, HOURS_24);
}

void payload_main(void)
{
	trap_set_hook(VECTOR, rtc_hook);
	ioapic_route(PIN_RTC, VECTOR, 0);
	rtc_registers();
	rtc_set();
	rtc_turns();
	rtc_alarms();
	rtc_rates();
	rtc_flags();
	rtc_uip();
	rtc_divider();
	ioapic_route(PIN_RTC, RTE_MASKED, 0);
}

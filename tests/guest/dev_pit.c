// SPDX-License-Identifier: BSD-2-Clause
// The 8254: modes, count formats, latches, the read-back command, gate edges. Intel 8254 data sheet
// (231164). Channel 2's gate and output are bits of port 0x61, so its element can be stopped and
// looked at; channel 0 interrupts. Counts that run are long: what an access costs is no matter.
#include "lib/dev.h"

PAYLOAD("dev_pit");

enum {
	LONG = 0xe000, // 48 ms
	HZ = 1193182,
	GATE2 = 1,
	OUT2 = 0x20,
	ACCESS_LOW = 1,
	ACCESS_HIGH = 2,
	ACCESS_BOTH = 3,
};

static void gate(bool high)
{
	outb(0x61, high ? GATE2 : 0);
	wait_us(5); // some ticks: a load takes one
}

static unsigned out2(void)
{
	return (inb(0x61) & OUT2) != 0;
}

static void control(unsigned channel, unsigned access, unsigned mode, bool bcd)
{
	outb(PIT_CONTROL, (uint8_t)(channel << 6 | access << 4 | mode << 1 | bcd));
}

static void count2(unsigned count)
{
	outb(0x42, (uint8_t)count);
	outb(0x42, (uint8_t)(count >> 8));
	wait_us(5);
}

static void report_state(const char *what)
{
	uint8_t status = pit_status(2);
	unsigned count = pit_count(2);

	report("%s: status 0x%x count 0x%x out %u", what, status, count, out2());
}

// With a count that runs: only where it is.
static void report_running(const char *what, unsigned from)
{
	uint8_t status = pit_status(2);
	unsigned first = pit_count(2), second;

	wait_us(500);
	second = pit_count(2);
	report("%s: status 0x%x runs %u in range %u", what, status, first != second,
		first <= from && first > from - 0x3000);
}

// Low gate: a new count is loaded and stands still. All formats.
static void pit_formats(void)
{
	gate(false);
	control(2, ACCESS_BOTH, 0, false);
	report("control.status = 0x%x out %u", pit_status(2), out2());
	count2(0x1234);
	report_state("both");
	outb(0x42, 0x78);
	report("both.half: status 0x%x", pit_status(2) & PIT_NULL);
	outb(0x42, 0x56);
	wait_us(5);
	report_state("both.again");
	control(2, ACCESS_LOW, 0, false);
	outb(0x42, 0x9a);
	wait_us(5);
	report("low: status 0x%x count 0x%x 0x%x", pit_status(2), inb(0x42), inb(0x42));
	control(2, ACCESS_HIGH, 0, false);
	outb(0x42, 0x9a);
	wait_us(5);
	report("high: status 0x%x count 0x%x 0x%x", pit_status(2), inb(0x42), inb(0x42));
	// LSB and MSB alternate; a control word starts over.
	control(2, ACCESS_BOTH, 0, false);
	count2(0x1234);
	report("flip_flop.low = 0x%x", inb(0x42));
	report("flip_flop.high = 0x%x", inb(0x42));
	report("flip_flop.low_again = 0x%x", inb(0x42));
	control(2, ACCESS_BOTH, 0, false);
	count2(0x4321);
	report("flip_flop.after_control = 0x%x", inb(0x42));
	report("flip_flop.second = 0x%x", inb(0x42));
	control(2, ACCESS_BOTH, 0, true);
	count2(0x1995);
	report_state("bcd");
	control(2, ACCESS_BOTH, 0, false);
	count2(0);
	report_state("zero");
}

// Latches hold the first value until it is read; status comes before the count.
static void pit_latches(void)
{
	unsigned low;

	control(2, ACCESS_BOTH, 0, false);
	count2(0x1111);
	outb(PIT_CONTROL, 0x80);
	count2(0x2222);
	outb(PIT_CONTROL, 0x80); // ignored: one is latched
	low = inb(0x42);
	report("latch.first = 0x%x", low | (unsigned)inb(0x42) << 8);
	low = inb(0x42);
	report("latch.then_live = 0x%x", low | (unsigned)inb(0x42) << 8);
	outb(PIT_CONTROL, 0xc8); // read-back: count and status of channel 2
	count2(0x3333);
	outb(PIT_CONTROL, 0xc8);
	report("read_back.status = 0x%x", inb(0x42));
	low = inb(0x42);
	report("read_back.count = 0x%x", low | (unsigned)inb(0x42) << 8);
	low = inb(0x42);
	report("read_back.then_live = 0x%x", low | (unsigned)inb(0x42) << 8);
	outb(PIT_CONTROL, 0xe8); // status alone
	report("read_back.status_alone = 0x%x", inb(0x42));
	outb(PIT_CONTROL, 0xd8); // count alone
	count2(0x4444);
	low = inb(0x42);
	report("read_back.count_alone = 0x%x", low | (unsigned)inb(0x42) << 8);
	outb(PIT_CONTROL, 0xf8); // neither
	low = inb(0x42);
	report("read_back.neither = 0x%x", low | (unsigned)inb(0x42) << 8);
	// Several channels at once.
	pit_program(0, 0, 0);
	control(1, ACCESS_LOW, 2, false);
	outb(0x41, 18);
	wait_us(5);
	outb(PIT_CONTROL, 0xee);
	low = inb(0x40);
	report("read_back.channel0 = 0x%x", low & 0x3f);
	low = inb(0x41);
	report("read_back.channel1 = 0x%x", low & 0x3f);
	report("read_back.channel2 = 0x%x", inb(0x42) & 0x3f);
	pit_stop();
	// A control word forgets what is latched.
	outb(PIT_CONTROL, 0xc8);
	control(2, ACCESS_BOTH, 0, false);
	count2(0x5555);
	low = inb(0x42);
	report("latch.after_control = 0x%x", low | (unsigned)inb(0x42) << 8);
}

// Mode 0: the gate stops the element and does not reload it; OUT rises once, the element goes on.
static void pit_mode0(void)
{
	unsigned frozen;

	gate(false);
	control(2, ACCESS_BOTH, 0, false);
	count2(LONG);
	gate(true);
	report_running("mode0", LONG);
	gate(false);
	frozen = pit_count(2);
	wait_us(2000);
	report("mode0.frozen = %u went = %u", pit_count(2) == frozen, frozen < LONG);
	gate(true);
	report("mode0.goes_on = %u", pit_count(2) <= frozen);
	gate(false);
	count2(0x40);
	report_state("mode0.new_count");
	gate(true);
	wait_us(1000);
	report("mode0.terminal: status 0x%x out %u wrapped %u", pit_status(2), out2(),
		pit_count(2) > 0x8000);
	gate(false);
	report("mode0.terminal.gate_low: out %u", out2());
	outb(0x42, 0x00); // the first byte stops the count and lowers OUT
	report("mode0.first_byte: out %u", out2());
	outb(0x42, 0x01);
	wait_us(5);
	report_state("mode0.second_byte");
	control(2, ACCESS_BOTH, 0, false);
	gate(true);
	wait_us(1000);
	report("mode0.no_count: status 0x%x", pit_status(2) & 0xc0);
}

// Mode 1: a rising gate starts it, and again; the level does not matter.
static void pit_mode1(void)
{
	gate(false);
	control(2, ACCESS_BOTH, 1, false);
	report("mode1.control: status 0x%x out %u", pit_status(2), out2());
	count2(LONG);
	report("mode1.written: status 0x%x out %u", pit_status(2), out2());
	gate(true);
	report_running("mode1.triggered", LONG);
	gate(false);
	report("mode1.gate_low: out %u", out2());
	report_running("mode1.gate_low", LONG);
	count2(0x100);
	report("mode1.new_count_waits: status 0x%x out %u", pit_status(2), out2());
	gate(true);
	wait_us(2000);
	report("mode1.retriggered: status 0x%x out %u", pit_status(2), out2());
}

// Modes 2 and 3: a low gate raises OUT and stops the element, a rising one reloads it.
static void pit_periodic_gate(unsigned mode)
{
	unsigned frozen;

	gate(true);
	control(2, ACCESS_BOTH, mode, false);
	report("mode%u.control: status 0x%x out %u", mode, pit_status(2), out2());
	count2(LONG);
	report_running(mode == 2 ? "mode2.runs" : "mode3.runs", LONG);
	wait_us(mode == 3 ? 30000 : 3000);
	report("mode%u.later: out %u", mode, out2());
	gate(false);
	report("mode%u.gate_low: status 0x%x out %u", mode, pit_status(2), out2());
	frozen = pit_count(2);
	wait_us(1000);
	report("mode%u.frozen = %u", mode, pit_count(2) == frozen);
	gate(true);
	report_running(mode == 2 ? "mode2.reloaded" : "mode3.reloaded", LONG);
	gate(false);
	count2(0x2000);
	report("mode%u.new_count.gate_low: null %u", mode, (pit_status(2) & PIT_NULL) != 0);
	gate(true);
	report("mode%u.new_count.gate_high: null %u in range %u", mode,
		(pit_status(2) & PIT_NULL) != 0, pit_count(2) <= 0x2000);
	gate(false);
}

// Mode 3 counts by two, from an even number.
static void pit_mode3_steps(void)
{
	unsigned odd = 0, first, second;
	uint32_t start, ticks;

	gate(true);
	control(2, ACCESS_BOTH, 3, false);
	count2(0xfffe); // half a period: 27 ms
	start = pm_now();
	first = pit_count(2);
	while (pm_since(start) < 10 * PM_TICKS_PER_MS)
		odd |= pit_count(2) & 1;
	second = pit_count(2);
	ticks = pm_since(start) / 3;
	report("mode3.odd_values = %u", odd);
	report("mode3.by_two = %u", near_by(first - second, 2 * ticks, 20));
	control(2, ACCESS_BOTH, 2, false);
	count2(0xfffe);
	start = pm_now();
	first = pit_count(2);
	wait_us(10000);
	second = pit_count(2);
	report("mode2.by_one = %u", near_by(first - second, pm_since(start) / 3, 20));
	gate(false);
}

// Modes 4 and 5: a strobe at the end; OUT is high before and after, and the element goes on.
static void pit_strobes(void)
{
	gate(false);
	control(2, ACCESS_BOTH, 4, false);
	report("mode4.control: status 0x%x out %u", pit_status(2), out2());
	count2(0x80);
	report_state("mode4.gate_low");
	gate(true);
	wait_us(1000);
	report("mode4.after: status 0x%x out %u wrapped %u", pit_status(2), out2(),
		pit_count(2) > 0x8000);
	gate(false);
	control(2, ACCESS_BOTH, 5, false);
	count2(LONG);
	report("mode5.written: status 0x%x out %u", pit_status(2), out2());
	gate(true);
	report_running("mode5.triggered", LONG);
	gate(false);
	report_running("mode5.gate_low", LONG);
	gate(true);
	report_running("mode5.retriggered", LONG);
	gate(false);
	// The upper bit of modes 6 and 7 does not count, and reads back as written.
	control(2, ACCESS_BOTH, 6, false);
	report("mode6.control: status 0x%x out %u", pit_status(2), out2());
	control(2, ACCESS_BOTH, 7, false);
	report("mode7.control: status 0x%x out %u", pit_status(2), out2());
}

static void pit_bcd(void)
{
	unsigned not_bcd = 0;

	gate(true);
	control(2, ACCESS_BOTH, 2, true);
	count2(0); // 10000
	for (unsigned i = 0; i < 200; i++) {
		unsigned count = pit_count(2);

		for (unsigned shift = 0; shift < 16; shift += 4)
			not_bcd |= (count >> shift & 15) > 9;
	}
	report("bcd.not_a_digit = %u", not_bcd);
	gate(false);
}

// Without the edge that the control word may make.
static uint32_t start_masked(unsigned mode, unsigned count)
{
	ioapic_route(PIN_PIT, RTE_MASKED, 0);
	pit_program(0, mode, count);
	rte_set(PIN_PIT, 0x50);
	return pm_now();
}

// Counts of 1: legal where there is no period. Modes 2 and 3 want 2 at least, and are looked at for
// what comes after.
static void pit_shortest(void)
{
	gate(true);
	for (unsigned mode = 0; mode <= 5; mode++) {
		control(2, ACCESS_BOTH, mode, false);
		count2(1);
		wait_us(100);
		if (mode == 0 || mode == 4)
			report("shortest.mode%u: status 0x%x out %u", mode, pit_status(2), out2());
		control(2, ACCESS_BOTH, mode, false);
		count2(2);
		wait_us(100);
		report("shortest.mode%u.2: status 0x%x", mode, pit_status(2) & 0x3f);
	}
	gate(false);
	control(2, ACCESS_BOTH, 0, false);
	count2(0x1234);
	report_state("shortest.after");
}

static void pit_interrupts(void)
{
	uint32_t start;

	trap_set_hook(0x50, irq_hook);
	for (unsigned mode = 2; mode <= 3; mode++) {
		start = start_masked(mode, HZ / 50);
		halt_until(5);
		report("irq.mode%u.rate = %u", mode,
			near_by(pm_since(start), 100 * PM_TICKS_PER_MS, 15));
		irq_clear();
	}
	// A new count in mode 2 waits for the end of the period.
	start = start_masked(2, 60000);
	outb(0x40, (uint8_t)(HZ / 100));
	outb(0x40, (uint8_t)(HZ / 100 >> 8));
	halt_until(1);
	report("irq.mode2.present_period = %u", near_by(pm_since(start), 180000, 10));
	halt_until(5);
	report("irq.mode2.new_periods = %u",
		near_by(pm_since(start), 180000 + 40 * PM_TICKS_PER_MS, 10));
	pit_stop();
	irq_clear();
	// A control word that raises OUT is an edge as well.
	start_masked(0, 0);
	outb(PIT_CONTROL, 0x34);
	irq_window();
	report_irqs("irq.control_raises_out");
	start_masked(0, 6000);
	window_us(30000);
	report_irqs("irq.mode0");
	start_masked(4, 6000);
	window_us(30000);
	report_irqs("irq.mode4");
	// Modes 1 and 5 want an edge of the gate, which is tied high.
	start_masked(5, 6000);
	window_us(30000);
	report_irqs("irq.mode5");
	ioapic_route(PIN_PIT, RTE_MASKED, 0);
	pit_program(0, 1, 6000);
	wait_us(30000);
	report("irq.mode1: status 0x%x", pit_status(0));
	pit_stop();
	control(0, ACCESS_BOTH, 0, false);
	report("control.lowers_out: status 0x%x", pit_status(0));
}

void payload_main(void)
{
	pit_formats();
	pit_latches();
	pit_mode0();
	pit_mode1();
	pit_periodic_gate(2);
	pit_periodic_gate(3);
	pit_mode3_steps();
	pit_strobes();
	pit_bcd();
	pit_shortest();
	pit_interrupts();
}

// SPDX-License-Identifier: BSD-2-Clause
// The disk for tests of back ends (emul/test_disk.h): requests under way at once, what they leave
// in memory and when, by its pin and by MSI, what is refused, and a reset in the middle. What
// depends on how long a request takes, as the order in which they end, is not printed: it stays in
// memory, for whoever compares that.
#include "emul/test_disk.h"
#include "lib/dev.h"

PAYLOAD("test_disk");

enum {
	TAGS = 16,
	PART = 2048,   // bytes of a request
	SKEW = 100,    // so that it lies in two pages where PART does not
	SPREAD = 4096, // from one to the next
	DISK_BYTES = 65536,
	PORT = 0x540,
	VECTOR = 0x50,
	MSI_VECTOR = 0x58, // and the next
	// PCI 3.0, 6.8.1: of the capability.
	MSI = 0x40, MSI_ADDRESS = 0x44, MSI_DATA = 0x4c, MSI_MASK = 0x50, MSI_PENDING = 0x54,
	MSI_ON = 1 << 16, MSI_TWO = 1 << 20,
	BIG = 32768,
	FLAG_INDEX = 0x50, FLAG = 0xa7,
	READ = 0, WRITE = 1, FLUSH = 2, UNKNOWN = 3,
};
#define COMPLETED_VALID 0x80000000u

static uint8_t out[TAGS * SPREAD] __attribute__((aligned(4096)));
static uint8_t in[TAGS * SPREAD] __attribute__((aligned(4096)));
// The order in which requests ended, and how often the guest looked meanwhile.
static volatile uint32_t witness[256];
static unsigned witnesses;

static void note(uint32_t value)
{
	witness[witnesses++ % 256] = value;
}

static uint32_t function; // of CONFIG_ADDRESS

static uint32_t config_read(unsigned offset)
{
	outl(0xcf8, function | offset);
	return inl(0xcfc);
}

static void config_write(unsigned offset, uint32_t value)
{
	outl(0xcf8, function | offset);
	outl(0xcfc, value);
}

// Its registers at PORT, and it may use memory.
static void place(void)
{
	function = 0x80000000;
	while (config_read(0) != (TEST_DISK_DEVICE << 16 | TEST_DISK_VENDOR))
		function += 1 << 11;
	config_write(0x10, PORT);
	config_write(4, 5);
}

static void set(unsigned number, uint32_t value)
{
	outl((uint16_t)(PORT + 4 * number), value);
}

static uint32_t get(unsigned number)
{
	return inl((uint16_t)(PORT + 4 * number));
}

static void start(unsigned tag, unsigned command, uint64_t at, uint32_t offset, uint32_t bytes)
{
	set(TEST_DISK_TAG, tag);
	set(TEST_DISK_ADDRESS, (uint32_t)at);
	set(TEST_DISK_ADDRESS_HI, (uint32_t)(at >> 32));
	set(TEST_DISK_OFFSET, offset);
	set(TEST_DISK_BYTES, bytes);
	set(TEST_DISK_COMMAND, command);
}

static unsigned state(unsigned tag)
{
	set(TEST_DISK_TAG, tag);
	return get(TEST_DISK_COMMAND);
}

// The next one that has ended.
static unsigned take(void)
{
	uint32_t looks = 0, completed;

	while (((completed = get(TEST_DISK_COMPLETED)) & COMPLETED_VALID) == 0)
		looks++;
	note(completed);
	note(looks);
	return completed & ~COMPLETED_VALID;
}

// As many requests as were begun, each once. Returns how many were well.
static unsigned take_all(unsigned count)
{
	uint32_t seen = 0;
	unsigned good = 0;

	for (unsigned i = 0; i < count; i++)
		seen |= 1u << take();
	for (unsigned tag = 0; tag < TAGS; tag++)
		good += (seen >> tag & 1) != 0 && state(tag) == TEST_DISK_DONE;
	return good;
}

static uint8_t pattern(unsigned tag, unsigned at)
{
	return (uint8_t)(tag * 37 + at * 11 + (at >> 8) + 1);
}

static bool is_pattern(const uint8_t *bytes, unsigned tag)
{
	for (unsigned i = 0; i < PART; i++)
		if (bytes[i] != pattern(tag, i))
			return false;
	return true;
}

static uint64_t address(const uint8_t *buffer, unsigned tag)
{
	return (uintptr_t)buffer + tag * SPREAD + SPREAD - SKEW * tag;
}

static void all_at_once(void)
{
	unsigned good = 0;

	for (unsigned tag = 0; tag < TAGS - 1; tag++)
		for (unsigned i = 0; i < PART; i++)
			((uint8_t *)(uintptr_t)address(out, tag))[i] = pattern(tag, i);
	for (unsigned tag = 0; tag < TAGS - 1; tag++)
		start(tag, WRITE, address(out, tag), tag * SPREAD, PART);
	// What is written was taken when it was asked for.
	for (unsigned i = 0; i < sizeof(out); i++)
		out[i] = 0;
	report("written = %u", take_all(TAGS - 1));
	start(0, FLUSH, 0, 0, 0);
	report("flushed = %u", take_all(1));
	for (unsigned tag = 0; tag < TAGS - 1; tag++)
		start(tag, READ, address(in, tag), tag * SPREAD, PART);
	report("read = %u", take_all(TAGS - 1));
	for (unsigned tag = 0; tag < TAGS - 1; tag++)
		good += is_pattern((const uint8_t *)(uintptr_t)address(in, tag), tag);
	report("same = %u", good);
}

// Takes as many completions, and halts meanwhile.
static void take_halted(unsigned count)
{
	while (count > 0) {
		uint32_t completed = get(TEST_DISK_COMPLETED);

		if ((completed & COMPLETED_VALID) == 0) {
			sti_hlt_cli(); // an edge: the line was low when it was found empty
			continue;
		}
		note(completed);
		count--;
	}
}

static void by_interrupt(void)
{
	unsigned pin = config_read(0x3c) & 0xff; // as firmware has routed it

	trap_set_hook(VECTOR, irq_hook);
	ioapic_route(pin, VECTOR, 0);
	set(TEST_DISK_INTERRUPT, 1);
	for (unsigned tag = 0; tag < 4; tag++)
		start(tag, READ, address(in, tag), tag * SPREAD, PART);
	take_halted(4);
	set(TEST_DISK_INTERRUPT, 0);
	irq_window();
	note(irq_count);
	report("interrupted = %s", irq_count > 0 ? "ok" : "WRONG");
	ioapic_route(pin, LAPIC_MASKED, 0);
	irq_clear();
}

static void end_one(unsigned tag)
{
	start(tag, READ, address(in, tag), tag * SPREAD, PART);
	while (state(tag) == TEST_DISK_BUSY)
		idle();
	irq_window();
}

static void by_message(void)
{
	unsigned pin = config_read(0x3c) & 0xff;
	uint32_t control = config_read(MSI) & 0xffff0000;

	report("msi.control = 0x%x", control >> 16);
	trap_set_hook(MSI_VECTOR, irq_hook);
	trap_set_hook(MSI_VECTOR + 1, irq_hook);
	ioapic_route(pin, VECTOR, 0); // where nothing shall come from
	config_write(MSI_ADDRESS, LAPIC_BASE);
	config_write(MSI_ADDRESS + 4, 0);
	config_write(MSI_DATA, MSI_VECTOR);
	config_write(MSI, MSI_ON | MSI_TWO);
	report("msi.on = 0x%x", config_read(MSI) >> 16);
	set(TEST_DISK_INTERRUPT, 1);
	end_one(2);
	report_irqs("msi.even");
	end_one(5);
	report_irqs("msi.odd");
	report("msi.pin = %u", config_read(4) >> 19 & 1); // interrupt status
	take_all(2);
	// Masked: it waits. What has been seen to is not told any more.
	config_write(MSI_MASK, 2);
	end_one(5);
	end_one(2);
	report_irqs("msi.masked");
	report("msi.pending = 0x%x", config_read(MSI_PENDING));
	config_write(MSI_MASK, 0);
	irq_window();
	report_irqs("msi.unmasked");
	report("msi.pending = 0x%x", config_read(MSI_PENDING));
	take_all(2);
	config_write(MSI_MASK, 1);
	end_one(4);
	report("msi.pending = 0x%x", config_read(MSI_PENDING));
	take_all(1);
	config_write(MSI_MASK, 0);
	irq_window();
	report_irqs("msi.withdrawn");
	// While it waits, halted.
	for (unsigned tag = 0; tag < 4; tag++)
		start(tag, READ, address(in, tag), tag * SPREAD, PART);
	take_halted(4);
	irq_window();
	note(irq_count);
	report("msi.waited = %s", irq_count >= 1 && irq_count <= 4 ? "ok" : "WRONG");
	irq_clear();
	// Off again, the pin tells what is to be told.
	end_one(7);
	report_irqs("msi.last");
	config_write(MSI, 0);
	irq_window();
	report_irqs("pin.again");
	set(TEST_DISK_INTERRUPT, 0);
	take_all(1);
	ioapic_route(pin, LAPIC_MASKED, 0);
	irq_clear();
}

// All of it comes at once, and with the completion.
static void watched(void)
{
	volatile const uint8_t *last = in + PART - 1;
	uint32_t looks = 0;
	unsigned wrong = 0;

	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < PART; i++)
			in[i] = 0;
		start(3, READ, (uintptr_t)in, 3 * SPREAD, PART);
		while (*last == 0)
			looks++;
		wrong += !is_pattern(in, 3);
		wrong += get(TEST_DISK_COMPLETED) != (COMPLETED_VALID | 3);
		note(looks);
	}
	report("watched.wrong = %u", wrong);
}

static void report_refused(const char *what, unsigned command, uint64_t at, uint32_t offset,
	uint32_t bytes)
{
	start(7, command, at, offset, bytes);
	take();
	report("%s = %u", what, state(7));
}

static void refused(void)
{
	report_refused("local_apic", READ, LAPIC_BASE, 0, 16);
	report_refused("vga_window", READ, 0xa0000, 0, 16);
	report_refused("rom", READ, 0xf0000, 0, 16);
	report_refused("above", WRITE, 0xfffffffffffff000, 0, PART);
	report_refused("wraps", READ, 0xfffffffffffffff0, 0, 32);
	report_refused("too_much", READ, (uintptr_t)in, 0, BIG + 1);
	report_refused("most", READ, (uintptr_t)in + 1, 0, BIG);
	report_refused("none", READ, (uintptr_t)in, DISK_BYTES, 0);
	report_refused("unknown", UNKNOWN, (uintptr_t)in, 0, 16);
	in[0] = 0x5a;
	report_refused("behind_end", READ, (uintptr_t)in, DISK_BYTES, 1);
	report_refused("over_end", READ, (uintptr_t)in, DISK_BYTES - 512, 1024);
	report_refused("far", WRITE, (uintptr_t)in, 0xffffffff, 1);
	report("untouched = %s", in[0] == 0x5a ? "ok" : "WRONG");
	// One that is busy hears nothing, and so does one whose completion nobody has taken.
	start(2, READ, (uintptr_t)in, 0, PART);
	start(2, READ, LAPIC_BASE, 0, PART);
	while (state(2) == TEST_DISK_BUSY)
		;
	start(2, READ, LAPIC_BASE, 0, PART);
	report("busy = %u", take_all(1));
	report("then = 0x%x", get(TEST_DISK_COMPLETED));
	report("narrow = 0x%x", inb(PORT + 4 * TEST_DISK_COMMAND));
}

// The second boot finds nothing of the requests of the first, but what was written.
static void reset_in_the_middle(void)
{
	for (unsigned tag = 0; tag < TAGS; tag++)
		start(tag, tag % 2 == 0 ? WRITE : READ, address(in, tag % 8), tag * SPREAD, PART);
	cmos_write(FLAG_INDEX, FLAG);
	outb(0xcf9, 2);
	outb(0xcf9, 6);
	spin(100000000);
	report("reset = WRONG");
}

static void second_boot(void)
{
	unsigned busy = 0;

	cmos_write(FLAG_INDEX, 0);
	wait_us(5000);
	place();
	for (unsigned tag = 0; tag < TAGS; tag++)
		busy += state(tag) != TEST_DISK_IDLE;
	report("after_reset.busy = %u", busy);
	report("after_reset.completed = 0x%x", get(TEST_DISK_COMPLETED));
	start(1, READ, (uintptr_t)in, 13 * SPREAD, PART);
	report("after_reset.read = %u", take_all(1));
	report("after_reset.same = %u", is_pattern(in, 13));
}

void payload_main(void)
{
	if (cmos_read(FLAG_INDEX) == FLAG) {
		second_boot();
		return;
	}
	pic_init(0xff, 0xff);
	lapic_prepare();
	place();
	all_at_once();
	by_interrupt();
	by_message();
	watched();
	refused();
	reset_in_the_middle();
}

// SPDX-License-Identifier: BSD-2-Clause
// The keyboard controller, whatever is plugged in: command byte, self test, buffers and status,
// output port, loops, interrupts; and port 0x92. IBM PS/2 Hardware Interface Technical Reference,
// "Keyboard and Auxiliary Device Controller". A20 stays enabled: memory is above 1 MiB.
#include "lib/dev.h"

PAYLOAD("dev_kbd");

enum {
	DATA = 0x60,
	COMMAND = 0x64,
	FULL = 1,
	BUSY = 2,
	SYSTEM = 4,
	AUXILIARY = 0x20,
	NOTHING = 0x100,
	VECTOR = 0x50,
	VECTOR_AUXILIARY = 0x51,
	PIN_AUXILIARY = 12,
};

static void wait_ready(void)
{
	for (unsigned i = 0; i < 1000 && (inb(COMMAND) & BUSY) != 0; i++)
		wait_us(10);
}

static void command(uint8_t value)
{
	wait_ready();
	outb(COMMAND, value);
}

static void data(uint8_t value)
{
	wait_ready();
	outb(DATA, value);
}

// The byte in the output buffer, NOTHING where none comes.
static unsigned take(void)
{
	for (unsigned i = 0; i < 100; i++) {
		if (inb(COMMAND) & FULL)
			return inb(DATA);
		wait_us(20);
	}
	return NOTHING;
}

static unsigned ask(uint8_t value)
{
	command(value);
	return take();
}

static void write_byte(uint8_t value)
{
	command(0x60);
	data(value);
	wait_ready();
}

static void drain(void)
{
	for (unsigned i = 0; i < 64 && take() != NOTHING; i++)
		;
}

static void kbd_basics(void)
{
	report("status.idle = 0x%x", inb(COMMAND) & (FULL | BUSY | AUXILIARY));
	report("self_test = 0x%x", ask(0xaa));
	report("self_test.sets_system = %u", (inb(COMMAND) & SYSTEM) != 0);
	report("buffer.empty = %u", (inb(COMMAND) & FULL) == 0);
	report("input_port = 0x%x", ask(0xc0) & 0x80);
	report("test.keyboard = 0x%x", ask(0xab));
	report("test.auxiliary = 0x%x", ask(0xa9));
	report("unknown = 0x%x", ask(0xb5));
	command(0xff); // a pulse of no line
	report("pulse_of_nothing = 0x%x", take());
}

// Command byte: the interface commands change its bits 4 and 5, the system flag shows in status.
static void kbd_command_byte(void)
{
	static const uint8_t values[] = {0x30, 0x34, 0x74, 0x20, 0x10};

	for (unsigned i = 0; i < sizeof(values); i++) {
		write_byte(values[i]);
		report("command_byte 0x%x = 0x%x system %u", values[i], ask(0x20),
			(inb(COMMAND) & SYSTEM) != 0);
	}
	write_byte(0x30);
	command(0xae);
	report("enable_keyboard = 0x%x", ask(0x20));
	command(0xa8);
	report("enable_auxiliary = 0x%x", ask(0x20));
	command(0xad);
	report("disable_keyboard = 0x%x", ask(0x20));
	command(0xa7);
	report("disable_auxiliary = 0x%x", ask(0x20));
	// The rest of the controller's memory.
	command(0x7e);
	data(0xa5);
	report("memory = 0x%x", ask(0x3e));
	// A command that waits for a byte is dropped for another.
	command(0x60);
	report("command_abandoned = 0x%x", ask(0x20));
}

// Status bit 3: whether the last write was to port 0x64.
static void kbd_status(void)
{
	unsigned after_command, after_data;

	command(0x60);
	after_command = inb(COMMAND) >> 3 & 1;
	data(0x30);
	after_data = inb(COMMAND) >> 3 & 1;
	report("status.command_or_data = %u %u", after_command, after_data);
	command(0xd2);
	data(0x5a);
	wait_us(100);
	report("loop.status = 0x%x", inb(COMMAND) & (FULL | AUXILIARY));
	report("loop.byte = 0x%x", take());
	report("loop.read_again = 0x%x", inb(DATA));
	command(0xd3);
	data(0xa5);
	wait_us(100);
	report("loop.auxiliary.status = 0x%x", inb(COMMAND) & (FULL | AUXILIARY));
	report("loop.auxiliary.byte = 0x%x", take());
	drain();
}

static void kbd_output_port(void)
{
	uint8_t port;

	drain();
	port = (uint8_t)ask(0xd0);
	report("output_port.not_reset = %u a20 = %u", port & 1, port >> 1 & 1);
	command(0xd1);
	data(0xdf);
	wait_ready();
	report("output_port.written = 0x%x", ask(0xd0) & 0x03);
	// Bit 4 shows a full output buffer: the reply takes its place after the reading.
	command(0xd2);
	data(1);
	wait_us(100);
	command(0xd0);
	wait_us(100);
	report("output_port.buffer_full = %u", take() >> 4 & 1);
	drain();
	report("output_port.buffer_empty = %u", ask(0xd0) >> 4 & 1);
}

static void kbd_hook(struct trap_frame *frame)
{
	irq_hook_without_eoi(frame);
	lapic_write(LAPIC_EOI, 0);
}

// IRQ 1 follows the output buffer where the command byte has its bit.
static void kbd_interrupts(void)
{
	trap_set_hook(VECTOR, kbd_hook);
	trap_set_hook(VECTOR_AUXILIARY, kbd_hook);
	ioapic_route(PIN_KEYBOARD, VECTOR, 0);
	ioapic_route(PIN_AUXILIARY, VECTOR_AUXILIARY, 0);
	write_byte(0x20);
	command(0xd2);
	data(0x11);
	window_us(500);
	report_irqs("irq.disabled");
	take();
	write_byte(0x21);
	command(0xd2);
	data(0x12);
	window_us(500);
	report_irqs("irq.keyboard");
	window_us(500);
	report_irqs("irq.once");
	report("irq.byte = 0x%x", take());
	command(0xd2);
	data(0x13);
	window_us(500);
	report_irqs("irq.again");
	take();
	// Enabled while the buffer is full.
	write_byte(0x20);
	command(0xd2);
	data(0x14);
	wait_us(500);
	write_byte(0x21);
	window_us(500);
	report_irqs("irq.enabled_while_full");
	take();
	// A controller's own reply interrupts as well.
	command(0xaa);
	window_us(500);
	report("irq.of_a_reply = %u", irq_count);
	irq_clear();
	drain();
	write_byte(0x30);
	ioapic_route(PIN_KEYBOARD, RTE_MASKED, 0);
	ioapic_route(PIN_AUXILIARY, RTE_MASKED, 0);
}

// A byte for a device is answered by the device.
static void kbd_devices(void)
{
	unsigned status;

	data(0xee);
	wait_us(1000);
	status = inb(COMMAND);
	report("device.keyboard = 0x%x status 0x%x", take(), status & 0x61);
	drain();
	command(0xd4);
	data(0xf4);
	wait_us(1000);
	status = inb(COMMAND);
	report("device.auxiliary = 0x%x status 0x%x", take(), status & 0x61);
	drain();
	write_byte(0x30);
}

// Port 0x92: bit 1 is A20, bit 0 an INIT by its edge; not written here.
static void kbd_port_92(void)
{
	uint8_t port = inb(0x92);

	outb(0x92, (uint8_t)((port & ~1) | 2));
	report("port_92.a20 = %u init = %u", inb(0x92) >> 1 & 1, inb(0x92) & 1);
}

void payload_main(void)
{
	command(0xad);
	command(0xa7);
	drain();
	write_byte(0x30);
	drain();
	kbd_basics();
	drain();
	kbd_command_byte();
	drain();
	kbd_status();
	kbd_output_port();
	kbd_interrupts();
	kbd_devices();
	kbd_port_92();
}

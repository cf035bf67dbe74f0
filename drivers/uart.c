// SPDX-License-Identifier: BSD-2-Clause
// 16550A at 0x3f8. Transmits by polling, a FIFO's worth at a time; receives by interrupt into the
// FIFO, which uart_read empties. A receiver that nobody reads lets the peer's characters wait.
#include "drivers/uart.h"

#include "kernel/apic.h"
#include "kernel/console.h"
#include "kernel/cpu.h"
#include "kernel/desc.h"
#include "kernel/x86.h"

enum {
	PORT = 0x3f8,
	IRQ = 4,
	DATA = PORT + 0,
	INTERRUPT_ENABLE = PORT + 1,
	FIFO_CONTROL = PORT + 2,
	INTERRUPT_IDENT = PORT + 2,
	LINE_CONTROL = PORT + 3,
	MODEM_CONTROL = PORT + 4,
	LINE_STATUS = PORT + 5,
	SCRATCH = PORT + 7,
	LINE_STATUS_DATA = 0x01,
	LINE_STATUS_EMPTY = 0x20,
	LINE_STATUS_IDLE = 0x40, // the last bit has been sent
	FIFO_BYTES = 16,
	WAIT_MAX = 1000000, // polls before a stuck transmitter is given up for this chunk
};

// (a) Set by the interrupt handler, cleared by uart_read before it empties the FIFO.
static volatile bool received = true;

static void uart_flush(void);

static struct console_sink sink = {.write = uart_write, .flush = uart_flush};

static void uart_interrupt(struct interrupt_frame *frame)
{
	(void)frame;
	// Masked until uart_read has emptied the FIFO, so that a flood costs one interrupt.
	outb(INTERRUPT_ENABLE, 0);
	received = true;
	cpu_self()->attention = true;
	apic_eoi();
}

bool uart_init(void)
{
	outb(SCRATCH, 0x5a);
	if (inb(SCRATCH) != 0x5a)
		return false;
	outb(INTERRUPT_ENABLE, 0);
	outb(LINE_CONTROL, 0x80);
	outb(DATA, 1); // divisor 1: 115200 baud
	outb(INTERRUPT_ENABLE, 0);
	outb(LINE_CONTROL, 0x03);
	outb(FIFO_CONTROL, 0x07); // on, cleared, trigger at one byte
	outb(MODEM_CONTROL, 0x0b);
	console_sink_add(&sink);
	return true;
}

void uart_interrupt_enable(void)
{
	interrupt_handler_set(APIC_VECTOR_SERIAL, uart_interrupt);
	apic_isa_route(IRQ, APIC_VECTOR_SERIAL);
	outb(INTERRUPT_ENABLE, 1);
}

size_t uart_read(uint8_t *bytes, size_t capacity)
{
	size_t count = 0;

	if (!received)
		return 0;
	while (count < capacity && (inb(LINE_STATUS) & LINE_STATUS_DATA) != 0)
		bytes[count++] = inb(DATA);
	if (count < capacity) {
		received = false;
		outb(INTERRUPT_ENABLE, 1); // interrupts at once if more has come meanwhile
	}
	return count;
}

void uart_write(const char *text, size_t bytes)
{
	while (bytes > 0) {
		size_t chunk = bytes < FIFO_BYTES ? bytes : FIFO_BYTES;

		for (unsigned i = 0; i < WAIT_MAX; i++) {
			if ((inb(LINE_STATUS) & LINE_STATUS_EMPTY) != 0)
				break;
			cpu_relax();
		}
		for (size_t i = 0; i < chunk; i++)
			outb(DATA, (uint8_t)text[i]);
		text += chunk;
		bytes -= chunk;
	}
}

static void uart_flush(void)
{
	for (unsigned i = 0; i < WAIT_MAX; i++) {
		if ((inb(LINE_STATUS) & LINE_STATUS_IDLE) != 0)
			break;
		cpu_relax();
	}
}

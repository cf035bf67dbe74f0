// SPDX-License-Identifier: BSD-2-Clause
// The 16550A: divisor latch, identification priorities, FIFOs and their trigger levels, loopback of
// data and modem lines, the THR-empty interrupt, scratch. National PC16550D data sheet (TL/C/8652),
// section 8. COM1 is also where the transcript goes: results are taken first and printed later, and
// all is done in loopback.
#include "lib/dev.h"

PAYLOAD("dev_uart");

enum {
	COM1 = 0x3f8,
	DATA = COM1,
	IER = COM1 + 1,
	IIR = COM1 + 2,
	FCR = COM1 + 2,
	LCR = COM1 + 3,
	MCR = COM1 + 4,
	LSR = COM1 + 5,
	MSR = COM1 + 6,
	SCR = COM1 + 7,
	LOOP = 0x10,
	OUT2 = 8,
	VECTOR = 0x50,
};

// From here on results go here.
static unsigned results[64];
static unsigned result_count;

static void note(unsigned value)
{
	if (result_count < 64)
		results[result_count++] = value;
}

// As the library sets the port up; with FIFOs, empty.
static void begin(uint8_t mcr, uint8_t fcr)
{
	while ((inb(LSR) & 0x40) == 0)
		pause();
	outb(IER, 0);
	outb(LCR, 3);
	outb(MCR, mcr);
	outb(FCR, 0);
	outb(FCR, fcr);
	while (inb(LSR) & 1)
		inb(DATA);
	inb(MSR);
	inb(IIR);
	result_count = 0;
}

static void end(const char *what)
{
	outb(IER, 0);
	while (inb(LSR) & 1)
		inb(DATA);
	outb(MCR, 3);
	outb(LCR, 3);
	outb(FCR, 7);
	print("%s: %s =", payload_name, what);
	for (unsigned i = 0; i < result_count; i++)
		print(" 0x%x", results[i]);
	print("\n");
}

// A character takes 87 us where the shift register is modelled. LSR is left alone: reading it
// would clear errors.
static void send(uint8_t byte)
{
	outb(DATA, byte);
	wait_us(300);
}

static void divisor(unsigned value)
{
	outb(LCR, 0x83);
	outb(DATA, (uint8_t)value);
	outb(IER, (uint8_t)(value >> 8));
	outb(LCR, 3);
}

static void uart_registers(void)
{
	begin(3, 0);
	for (unsigned value = 0; value < 0x100; value += 0x55) {
		outb(SCR, (uint8_t)value);
		note(inb(SCR));
	}
	end("scratch");
	begin(3, 0);
	outb(LCR, 0x83);
	outb(DATA, 0x34);
	outb(IER, 0x12);
	note(inb(DATA));
	note(inb(IER));
	outb(LCR, 3);
	note(inb(IER)); // not the divisor
	outb(LCR, 0x83);
	note(inb(DATA));
	note(inb(IER));
	divisor(1);
	end("divisor");
	begin(3, 0);
	outb(LCR, 0x7f);
	note(inb(LCR));
	outb(LCR, 3);
	outb(IER, 0xff);
	note(inb(IER));
	outb(IER, 0);
	outb(MCR, 0xff);
	note(inb(MCR));
	outb(MCR, 3);
	end("reserved_bits");
	begin(3, 0);
	note(inb(IIR));
	outb(FCR, 1);
	note(inb(IIR));
	outb(FCR, 0xc0); // without bit 0 the others do not count
	note(inb(IIR));
	note(inb(LSR));
	outb(LSR, 0); // read-only
	note(inb(LSR));
	end("identification");
}

// MCR's bits appear in MSR, crossed; deltas stay until read. 8.6, 8.7.
static void uart_modem(void)
{
	begin(LOOP, 0);
	inb(MSR);
	for (unsigned bits = 0; bits < 16; bits++) {
		outb(MCR, (uint8_t)(LOOP | bits));
		note(inb(MSR) >> 4);
	}
	end("modem.lines");
	begin(LOOP, 0);
	inb(MSR);
	outb(MCR, LOOP | 2); // RTS to CTS
	note(inb(MSR));
	note(inb(MSR));
	outb(MCR, LOOP | 1); // and DTR to DSR
	note(inb(MSR));
	outb(MCR, LOOP | 4); // RI: its leading edge is no delta
	inb(MSR);
	outb(MCR, LOOP);
	note(inb(MSR)); // its trailing edge is
	outb(MCR, LOOP | 8);
	note(inb(MSR));
	outb(MCR, LOOP);
	note(inb(MSR));
	end("modem.deltas");
	begin(LOOP, 0);
	inb(MSR);
	outb(IER, 8);
	note(inb(IIR));
	outb(MCR, LOOP | 1);
	note(inb(IIR));
	inb(MSR);
	note(inb(IIR));
	end("modem.interrupt");
}

// Data in loopback, without FIFOs: one character, and the overrun of the second.
static void uart_data(void)
{
	begin(LOOP, 0);
	note(inb(LSR));
	send(0xa5);
	note(inb(LSR));
	note(inb(DATA));
	note(inb(LSR));
	send(0x11);
	send(0x22);
	note(inb(LSR));
	note(inb(LSR)); // read: the error is gone
	note(inb(DATA));
	note(inb(LSR));
	end("data");
	begin(LOOP, 0);
	outb(LCR, 0); // five bits
	send(0xff);
	note(inb(DATA));
	outb(LCR, 2);
	send(0xff);
	note(inb(DATA));
	end("data.word_length");
}

// 8.4, 8.8: FIFO of 16, trigger levels, character timeout, overrun, reset bits.
static void uart_fifo(void)
{
	static const uint8_t levels[] = {1, 4, 8, 14};

	for (unsigned i = 0; i < 4; i++) {
		begin(LOOP, (uint8_t)(7 | i << 6));
		divisor(192); // 600 baud: the timeout is at 67 ms
		outb(IER, 1);
		for (unsigned n = 1; n <= levels[i]; n++) {
			send((uint8_t)n);
			wait_us(17000);
			if (n + 1 >= levels[i])
				note(inb(IIR));
		}
		inb(DATA);
		note(inb(IIR));
		divisor(1);
		end("fifo.trigger");
	}
	begin(LOOP, 0xc7);
	outb(IER, 1);
	send(0x77);
	wait_us(5000);
	note(inb(IIR));
	note(inb(DATA));
	note(inb(IIR));
	end("fifo.timeout");
	begin(LOOP, 7);
	for (unsigned n = 0; n < 17; n++)
		send((uint8_t)(0x40 + n));
	note(inb(LSR));
	for (unsigned n = 0; n < 16; n++)
		note(inb(DATA));
	note(inb(LSR));
	end("fifo.overrun");
	begin(LOOP, 7);
	send(1);
	send(2);
	outb(FCR, 3);
	note(inb(LSR));
	send(3);
	outb(FCR, 0); // a change of the enable bit empties them
	note(inb(LSR));
	note(inb(IIR));
	end("fifo.reset");
}

// 8.5, table IV: line status, data, THR empty, modem status.
static void uart_priorities(void)
{
	begin(LOOP, 0);
	outb(IER, 0xf);
	outb(MCR, LOOP | 1);
	send(0x31);
	send(0x32); // overrun
	note(inb(IIR));
	inb(LSR);
	note(inb(IIR));
	inb(DATA);
	note(inb(IIR)); // reading it takes the THR-empty interrupt back
	note(inb(IIR));
	inb(MSR);
	note(inb(IIR));
	end("priorities");
	// THR empty: on enabling, on a write, not again by itself.
	begin(LOOP, 0);
	outb(IER, 2);
	note(inb(IIR));
	note(inb(IIR));
	outb(IER, 0);
	outb(IER, 2);
	note(inb(IIR));
	note(inb(IIR));
	send(0x41);
	note(inb(IIR));
	note(inb(IIR));
	outb(IER, 0);
	note(inb(IIR));
	end("thr_empty");
}

static void uart_hook(struct trap_frame *frame)
{
	note(inb(IIR));
	irq_hook(frame);
}

// The line passes OUT2's gate, which loopback closes: no interrupt then, however much is pending.
static void uart_line(void)
{
	trap_set_hook(VECTOR, uart_hook);
	ioapic_route(PIN_UART, VECTOR, 0);
	begin(3, 0);
	outb(IER, 2);
	irq_window();
	note(irq_count); // OUT2 low
	outb(IER, 0);
	outb(MCR, 3 | OUT2);
	outb(IER, 2);
	irq_window();
	note(irq_count);
	irq_window();
	note(irq_count);
	outb(IER, 0);
	irq_clear();
	outb(MCR, LOOP | OUT2);
	outb(IER, 2);
	irq_window();
	note(irq_count);
	outb(IER, 0);
	outb(MCR, 3);
	end("line");
	irq_clear();
	ioapic_route(PIN_UART, RTE_MASKED, 0);
}

void payload_main(void)
{
	uart_registers();
	uart_modem();
	uart_data();
	uart_fifo();
	uart_priorities();
	uart_line();
}

// SPDX-License-Identifier: BSD-2-Clause
// A UHCI controller with an idle keyboard, for tests/bench.py: `rounds` tenths of a second, in
// which it runs and a driver has asked for the keyboard's next report every 8 ms, or with
// `halted=1` in which it is suspended, as drivers do where nobody uses it.
#include "emul/usb_abi.h"
#include "lib/dev.h"

PAYLOAD("uhci_bench");

enum {
	BASE = 0x560,
	FUNCTION = 0x80000000u | 1 << 11 | 2 << 8,
	COMMAND = BASE, FRAME = BASE + 6, LIST = BASE + 8, PORT = BASE + 16,
	RUN = 1, SUSPEND = 8,
	RESET = 0x200, ENABLED = 4,
	END = 1, QUEUE = 2, DEPTH = 4,
	ACTIVE = 1 << 23, NAK = 1 << 19,
	PERIOD = 8, // frames
	TENTH_US = 100000,
};

static uint32_t list[1024] __attribute__((aligned(4096)));
static struct {
	volatile uint32_t link, control, token, buffer;
} tds[3] __attribute__((aligned(16)));
static struct {
	volatile uint32_t next, element, reserved[2];
} queues[2] __attribute__((aligned(16))); // the keyboard's; that of all frames
static uint8_t setup[8] = {0, USB_SET_CONFIGURATION, 1};
static uint8_t report_bytes[8];

static uint32_t address_of(const volatile void *what)
{
	return (uint32_t)(uintptr_t)what;
}

static void config_write(unsigned offset, uint32_t value)
{
	outl(0xcf8, FUNCTION | offset);
	outl(0xcfc, value);
}

static void td_make(unsigned index, uint32_t link, unsigned pid, unsigned endpoint, void *buffer,
	unsigned bytes)
{
	tds[index].link = link;
	tds[index].control = ACTIVE;
	tds[index].token = pid | endpoint << 15 | ((bytes - 1) & 0x7ff) << 21;
	tds[index].buffer = address_of(buffer);
}

static void keyboard_begin(void)
{
	outw(PORT, RESET);
	wait_us(1000);
	outw(PORT, 0);
	outw(PORT, ENABLED);
	td_make(0, address_of(&tds[1]) | DEPTH, USB_PID_SETUP, 0, setup, sizeof(setup));
	td_make(1, END, USB_PID_IN, 0, setup, 0);
	queues[0].next = address_of(&queues[1]) | QUEUE;
	queues[0].element = address_of(&tds[0]);
	queues[1].next = queues[1].element = END;
	for (unsigned i = 0; i < 1024; i++)
		list[i] = address_of(&queues[i % PERIOD != 0]) | QUEUE;
	outl(LIST, address_of(list));
	outw(COMMAND, RUN);
	wait_us(10 * 1000);
	td_make(2, END, USB_PID_IN, 1, report_bytes, sizeof(report_bytes));
	queues[0].element = address_of(&tds[2]);
	wait_us(10 * 1000);
}

static uint64_t tenth_measure(void)
{
	uint64_t start = rdtsc();

	wait_us(TENTH_US / 10);
	return (rdtsc() - start) * 10;
}

// The digit behind that letter of the command line's option.
static unsigned option(char first)
{
	const char *at = (const char *)read64((uintptr_t)payload_start_info + 24);

	for (; at != NULL && *at != 0; at++)
		if (*at == first)
			while (*at != 0)
				if (*at++ == '=')
					return (unsigned)(*at - '0');
	return 0;
}

void payload_main(void)
{
	uint64_t tenth, end;
	unsigned first, passed;

	config_write(0x20, BASE);
	config_write(4, 5);
	keyboard_begin();
	tenth = tenth_measure();
	if (option('h') != 0)
		outw(COMMAND, SUSPEND);
	first = inw(FRAME);
	end = rdtsc() + tenth * option('r');
	while (rdtsc() < end)
		idle();
	passed = (inw(FRAME) - first) & 0x7ff;
	report("frames = %u", passed);
	report("status = 0x%x", (tds[2].control & (ACTIVE | NAK)) >> 16);
}

// SPDX-License-Identifier: BSD-2-Clause
// A UHCI controller (emul/uhci.c) with a keyboard at its first port, a hub at the second one and a
// tablet behind that: a driver that enumerates them, polls them, does all wrong that it can, and
// begins again.
#include "lib/uhci.h"

PAYLOAD("dev_uhci");

enum {
	KEYBOARD = 1, HUB, TABLET, // addresses
	HID_TYPE = USB_TYPE_CLASS | USB_TO_INTERFACE, HID_SET_IDLE = 10,
};

static void enumerate(void)
{
	int bytes;

	port_enable(0);
	device_begin("keyboard", KEYBOARD);
	report("no key = %d", interrupt_in(KEYBOARD, 8));
	report("idle = %d", control(KEYBOARD, HID_TYPE, HID_SET_IDLE, 1 << 8, 0, 0));
	wait_us(5000);
	bytes = interrupt_in(KEYBOARD, 8);
	report("the same again = %d bytes, %u %u", bytes, data[0], data[2]);
	(void)control(KEYBOARD, HID_TYPE, HID_SET_IDLE, 0, 0, 0);
	report("unknown = %d", control(KEYBOARD, USB_TYPE_READ, 0x40, 0, 0, 8));
	report("nobody = %d", control(99, USB_TYPE_READ, 0, 0, 0, 2));
}

static void behind_the_hub(void)
{
	int bytes;

	port_enable(1);
	device_begin("hub", HUB);
	bytes = control(HUB, USB_TYPE_READ | USB_TYPE_CLASS, USB_GET_DESCRIPTOR, 0x2900, 0, 7);
	report("hub descriptor = %d bytes, %u ports", bytes, data[2]);
	report("hub port 1 = %d", control(HUB, HUB_TYPE, USB_SET_FEATURE, HUB_PORT_RESET, 1, 0));
	bytes = control(HUB, USB_TYPE_READ | HUB_TYPE, USB_GET_STATUS, 0, 1, 4);
	report("its status = %d bytes, 0x%x", bytes, (unsigned)(data[0] | data[1] << 8));
	bytes = interrupt_in(HUB, 2);
	report("changes = %s", bytes > 0 && (data[0] & 2) != 0 ? "of port 1" : "WRONG");
	device_begin("tablet", TABLET);
	report("no movement = %d", interrupt_in(TABLET, 8));
}

static void interrupts(void)
{
	irq_clear();
	trap_set_hook(VECTOR, irq_hook_without_eoi);
	config_write(BRIDGE, 0x60, (uint32_t)IRQ << 24 | 0x808080);
	ioapic_route(IRQ, VECTOR | RTE_LEVEL, 0);
	outw(ENABLES, 15);
	td_make(0, USB_PID_IN, KEYBOARD, 0, data, 8);
	tds[0].control |= COMPLETE;
	(void)await(1); // it stalls
	window_us(2000);
	report("interrupts = %u, status 0x%x", irq_count, inw(STATUS));
	queue.element = END;
	outw(STATUS, 0x3f);
	lapic_write(LAPIC_EOI, 0);
	window_us(2000);
	report("then = %u, status 0x%x", irq_count, inw(STATUS));
	outw(ENABLES, 0);
	ioapic_route(IRQ, RTE_MASKED, 0);
}

static void frames(void)
{
	unsigned first = inw(FRAME), passed;

	wait_us(20000);
	passed = (inw(FRAME) - first) & 0x7ff;
	report("frames = %s", passed >= 19 && passed <= 22 ? "ok" : "WRONG");
	outw(COMMAND, SUSPEND);
	wait_us(100);
	first = inw(FRAME);
	wait_us(5000);
	report("while it is suspended = %u, status 0x%x", inw(FRAME) - first, inw(STATUS) & HALTED);
	outw(STATUS, 0x3f);
	outw(COMMAND, RUN);
}

// Frames end; what cannot be halts the controller.
static void wrong(void)
{
	queue.next = address_of(&queue) | QUEUE;
	report("a circle = %d", control(KEYBOARD, USB_TYPE_READ, USB_GET_STATUS, 0, 0, 2));
	queue.next = END;
	td_make(0, 0xa5, KEYBOARD, 0, data, 8);
	tds[0].link = END;
	queue.element = address_of(tds);
	wait_us(3000);
	report("no such packet = 0x%x, 0x%x", inw(STATUS), inw(COMMAND) & RUN);
	queue.element = END;
	begin();
}

static void in_the_middle(void)
{
	td_make(0, USB_PID_SETUP, KEYBOARD, 0, setup, 8);
	(void)await(1);
	begin();
	report("after a reset = 0x%x", inw(PORT) & (CONNECTED | ENABLED));
	port_enable(0);
	report("its address = %d", control(KEYBOARD, USB_TYPE_READ, USB_GET_STATUS, 0, 0, 2));
	device_begin("keyboard", KEYBOARD);
}

void payload_main(void)
{
	outl(0xcf8, FUNCTION);
	report("function = 0x%x", inl(0xcfc));
	controller_place();
	pic_init(0xff, 0xff);
	lapic_prepare();
	begin();
	report("ports = 0x%x 0x%x, third 0x%x", inw(PORT) & 0x83, inw(PORT + 2) & 0x83,
		inw(PORT + 4) & 0x80);
	enumerate();
	behind_the_hub();
	interrupts();
	frames();
	wrong();
	in_the_middle();
}

// SPDX-License-Identifier: BSD-2-Clause
// What the payloads about USB share: a driver of one queue, which each frame of a UHCI controller
// has, and of control transfers.
#ifndef TESTS_GUEST_UHCI_H
#define TESTS_GUEST_UHCI_H

#include "dev.h"
#include "emul/usb_abi.h"

enum {
	BASE = 0x560, // ports
	FUNCTION = 0x80000000u | 1 << 11 | 2 << 8,
	BRIDGE = 0x80000000u | 1 << 11, // the ISA bridge
	IRQ = 11,
	VECTOR = 0x51,
	COMMAND = BASE, STATUS = BASE + 2, ENABLES = BASE + 4, FRAME = BASE + 6, LIST = BASE + 8,
	PORT = BASE + 16,
	RUN = 1, HCRESET = 2, SUSPEND = 8, // command
	INTERRUPT = 1, ERROR = 2, HALTED = 32, // status
	CONNECTED = 1, CHANGED = 2, ENABLED = 4, RESET = 0x200, // port
	END = 1, QUEUE = 2, DEPTH = 4,
	TIMEOUT = 1 << 18, NAK = 1 << 19, STALLED = 1 << 22, ACTIVE = 1 << 23, COMPLETE = 1 << 24,
	ERRORS_3 = 3 << 27,
	CONTROL_BYTES = 8,
	TDS = 40,
	POLLS = 100000,
	HUB_TYPE = USB_TYPE_CLASS | USB_TO_OTHER,
	HUB_PORT_RESET = 4,
};

struct td {
	volatile uint32_t link, control, token, buffer;
};

static uint32_t list[1024] __attribute__((aligned(4096)));
static struct td tds[TDS] __attribute__((aligned(16)));
static struct {
	volatile uint32_t next, element, reserved[2];
} queue __attribute__((aligned(16)));
static uint8_t setup[8], data[256];

static inline uint32_t address_of(const volatile void *what)
{
	return (uint32_t)(uintptr_t)what;
}

static inline void config_write(uint32_t function, unsigned offset, uint32_t value)
{
	outl(0xcf8, function | offset);
	outl(0xcfc, value);
}

static inline void frames_are(uint32_t link)
{
	for (unsigned i = 0; i < 1024; i++)
		list[i] = link;
}

static inline void begin(void)
{
	outw(COMMAND, HCRESET);
	wait_us(100);
	queue.next = queue.element = END;
	frames_are(address_of(&queue) | QUEUE);
	outl(LIST, address_of(list));
	outw(STATUS, 0x3f);
	outw(COMMAND, RUN);
}

static inline void td_make(unsigned index, unsigned pid, unsigned address, unsigned endpoint,
	void *buffer, unsigned bytes)
{
	tds[index].link = address_of(&tds[index + 1]) | DEPTH;
	tds[index].control = ACTIVE | ERRORS_3 | 0x7ff;
	tds[index].token = pid | address << 8 | endpoint << 15 | ((bytes - 1) & 0x7ff) << 21;
	tds[index].buffer = address_of(buffer);
}

enum { IS_STALLED = -1, IS_SILENT = -2, IS_NAKED = -3, IS_LATE = -4 };

// What becomes of the first `count` descriptors.
static inline int await(unsigned count)
{
	tds[count - 1].link = END;
	queue.element = address_of(tds);
	for (unsigned i = 0; i < POLLS; i++) {
		uint32_t at = queue.element, control;

		if ((at & END) != 0)
			return 0;
		control = ((const struct td *)(uintptr_t)(at & ~15u))->control;
		if ((control & NAK) != 0)
			return IS_NAKED;
		if ((control & (ACTIVE | TIMEOUT)) == TIMEOUT)
			return IS_SILENT;
		if ((control & STALLED) != 0)
			return IS_STALLED;
		idle();
	}
	return IS_LATE;
}

static inline int moved(int result, unsigned first, unsigned end)
{
	int bytes = 0;

	for (unsigned i = first; result == 0 && i < end; i++)
		bytes += (int)((tds[i].control + 1) & 0x7ff);
	queue.element = END;
	return result != 0 ? result : bytes;
}

// All of it in a frame, if it goes well; as many bytes as the device has.
static inline int control(unsigned address, unsigned type, unsigned request, unsigned value,
	unsigned index, unsigned length)
{
	bool reads = (type & USB_TYPE_READ) != 0;
	unsigned at = 1;

	for (unsigned i = 0; i < 8; i++)
		setup[i] = (uint8_t)((uint64_t)(type | request << 8 | value << 16) >> 8 * i);
	setup[4] = (uint8_t)index;
	setup[5] = 0;
	setup[6] = (uint8_t)length;
	setup[7] = 0;
	td_make(0, USB_PID_SETUP, address, 0, setup, 8);
	for (unsigned from = 0; from < length; from += CONTROL_BYTES, at++)
		td_make(at, reads ? USB_PID_IN : USB_PID_OUT, address, 0, data + from,
			length - from < CONTROL_BYTES ? length - from : CONTROL_BYTES);
	td_make(at, reads && length != 0 ? USB_PID_OUT : USB_PID_IN, address, 0, data, 0);
	return moved(await(at + 1), 1, at);
}

static inline int interrupt_in(unsigned address, unsigned bytes)
{
	td_make(0, USB_PID_IN, address, 1, data, bytes);
	return moved(await(1), 0, 1);
}

static inline void port_enable(unsigned port)
{
	uint16_t at = (uint16_t)(PORT + 2 * port);

	outw(at, RESET);
	wait_us(1000);
	outw(at, 0);
	wait_us(100);
	outw(at, ENABLED | CHANGED | 8);
	report("port %u = 0x%x", port, inw(at) & (CONNECTED | CHANGED | ENABLED | RESET));
}

static inline void device_begin(const char *what, unsigned address)
{
	int first = control(0, USB_TYPE_READ, USB_GET_DESCRIPTOR, USB_DESCRIPTOR_DEVICE << 8, 0, 8);
	int addressed = control(0, 0, USB_SET_ADDRESS, address, 0, 0), all, configuration;
	unsigned total;

	all = control(address, USB_TYPE_READ, USB_GET_DESCRIPTOR, USB_DESCRIPTOR_DEVICE << 8, 0,
		USB_DEVICE_BYTES);
	report("%s = %d, %d, %d bytes, %x:%x", what, first, addressed, all,
		(unsigned)(data[8] | data[9] << 8), (unsigned)(data[10] | data[11] << 8));
	configuration = control(address, USB_TYPE_READ, USB_GET_DESCRIPTOR,
		USB_DESCRIPTOR_CONFIGURATION << 8, 0, 9);
	total = data[2];
	report("%s configuration = %d bytes of %u; set %d", what, configuration, total,
		control(address, 0, USB_SET_CONFIGURATION, 1, 0, 0));
}

static inline void controller_place(void)
{
	config_write(FUNCTION, 0x20, BASE);
	config_write(FUNCTION, 4, 5);
}

#endif

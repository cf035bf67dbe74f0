// SPDX-License-Identifier: BSD-2-Clause
// A UHCI function under test: a keyboard at its first port, a hub at the second one, behind which a
// tablet and a mouse are. A driver's part: one queue that each frame has, with one descriptor.
#ifndef TESTS_UNIT_UHCI_BENCH_H
#define TESTS_UNIT_UHCI_BENCH_H

#include "emul/uhci_internal.h"
#include "tests/unit/fake_env.h"

#include <string.h>

enum { LIST = 0x1000, QUEUES = 0x2000, TDS = 0x3000, DATA = 0x4000, FRAME_NS = 1000000 };
enum { COMMAND = 0x00, STATUS = 0x02, ENABLES = 0x04, FRAME = 0x06, BASE = 0x08, SOF = 0x0c,
	PORT = 0x10 };
enum { END = 1, QUEUE = 2, DEPTH = 4 };
enum {
	TD_TIMEOUT = 1 << 18, TD_NAK = 1 << 19, TD_BABBLE = 1 << 20, TD_STALLED = 1 << 22,
	TD_ACTIVE = 1 << 23, TD_INTERRUPT = 1 << 24, TD_ISOCHRONOUS = 1 << 25,
	TD_LOW_SPEED = 1 << 26, TD_ERRORS_1 = 1 << 27, TD_ERRORS_3 = 3 << 27, TD_SHORT = 1 << 29,
	TD_STATUS = 0xfe0000,
};
enum { STALLED = -1, SILENT = -2, NAKED = -3 };

static struct fake_env env;

static inline void configure(struct device *device)
{
	static const struct uhci_config config = {
		.places = {[UHCI_KEYBOARD] = 1, [UHCI_HUB] = 2,
			[UHCI_TABLET] = UHCI_BEHIND_HUB + 1, [UHCI_MOUSE] = UHCI_BEHIND_HUB + 8,
			[UHCI_DISK] = UHCI_BEHIND_HUB + 3, [UHCI_DISK + 3] = UHCI_BEHIND_HUB + 4},
		.disks = {{.blocks = 64, .serial = "serial"},
			[3] = {.blocks = 8, .readonly = true}},
	};

	uhci_configure(device, &config);
}

static inline struct uhci *uhci(void)
{
	return CONTAINER_OF(env.device, struct uhci, pci.device);
}

static inline uint16_t in(unsigned reg)
{
	return (uint16_t)fake_read(&env, UHCI_REGION_REGISTERS, reg, 2);
}

static inline void out(unsigned reg, uint16_t value)
{
	fake_write(&env, UHCI_REGION_REGISTERS, reg, 2, value);
}

static inline void config_write(unsigned offset, unsigned bytes, uint64_t value)
{
	fake_write(&env, PCIDEV_REGION_CONFIG, offset, bytes, value);
}

static inline bool interrupts(void)
{
	return env.line[PCIDEV_OUTPUT_INTX];
}

static inline void put32(uint32_t at, uint32_t value)
{
	memcpy(env.ram + at, &value, 4);
}

static inline uint32_t get32(uint32_t at)
{
	uint32_t value;

	memcpy(&value, env.ram + at, 4);
	return value;
}

static inline uint32_t td_at(unsigned index)
{
	return TDS + 0x20 * index;
}

static inline uint32_t queue_at(unsigned index)
{
	return QUEUES + 0x10 * index;
}

static inline void queue(unsigned index, uint32_t next, uint32_t element)
{
	put32(queue_at(index), next);
	put32(queue_at(index) + 4, element);
}

static inline uint32_t token(enum usb_pid pid, unsigned address, unsigned endpoint, unsigned bytes)
{
	return (uint32_t)pid | address << 8 | endpoint << 15 | ((bytes - 1) & 0x7ff) << 21;
}

static inline void td(unsigned index, uint32_t link, uint32_t control, uint32_t what)
{
	put32(td_at(index), link);
	put32(td_at(index) + 4, control | 0x7ff);
	put32(td_at(index) + 8, what);
	put32(td_at(index) + 12, DATA + 0x80 * index);
}

static inline uint32_t control_of(unsigned index)
{
	return get32(td_at(index) + 4);
}

static inline void frames_are(uint32_t link)
{
	for (unsigned i = 0; i < UHCI_FRAME_ENTRIES; i++)
		put32(LIST + 4 * i, link);
}

static inline void run(unsigned frames)
{
	fake_advance(&env, frames * (uint64_t)FRAME_NS);
}

static inline int setup(void **state)
{
	(void)state;
	fake_configure = configure;
	fake_create(&env, &uhci_model);
	config_write(PCIDEV_COMMAND, 2, PCIDEV_COMMAND_PORT | PCIDEV_COMMAND_MASTER);
	config_write(PCIDEV_BAR_FIRST + 16, 4, 0xc000);
	frames_are(END);
	fake_write(&env, UHCI_REGION_REGISTERS, BASE, 4, LIST);
	fake_clear(&env);
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	fake_destroy(&env);
	return 0;
}

static inline void port_enable(unsigned port)
{
	out(PORT + 2 * port, UHCI_PORT_RESET);
	out(PORT + 2 * port, 0);
	out(PORT + 2 * port, UHCI_PORT_ENABLED | UHCI_PORT_CHANGES);
	assert_int_equal(in(PORT + 2 * port), UHCI_PORT_CONNECTED | UHCI_PORT_ENABLED |
		UHCI_PORT_ALWAYS | UHCI_PORT_D_PLUS);
}

// One packet in a queue of its own, in the next frame: bytes moved, or what became of it.
static inline int packet(enum usb_pid pid, unsigned address, unsigned endpoint, void *data,
	unsigned bytes)
{
	uint32_t control;

	td(0, END, TD_ACTIVE | TD_ERRORS_1, token(pid, address, endpoint, bytes));
	if (pid != USB_PID_IN && bytes != 0)
		memcpy(env.ram + DATA, data, bytes);
	queue(0, END, td_at(0));
	frames_are(queue_at(0) | QUEUE);
	out(COMMAND, UHCI_COMMAND_RUN);
	run(1);
	frames_are(END);
	control = control_of(0);
	if ((control & TD_NAK) != 0)
		return NAKED;
	assert_int_equal(control & TD_ACTIVE, 0);
	if ((control & TD_TIMEOUT) != 0)
		return SILENT;
	if ((control & TD_STALLED) != 0)
		return STALLED;
	if (pid == USB_PID_IN)
		memcpy(data, env.ram + DATA, (control + 1) & 0x7ff);
	return (int)((control + 1) & 0x7ff);
}

// A control transfer: bytes of data moved, or what became of it.
static inline int control(unsigned address, uint8_t type, uint8_t request, uint16_t value,
	uint16_t index, void *data, uint16_t length)
{
	uint8_t what[USB_SETUP_BYTES] = {type, request, (uint8_t)value, (uint8_t)(value >> 8),
		(uint8_t)index, (uint8_t)(index >> 8), (uint8_t)length, (uint8_t)(length >> 8)};
	bool reads = (type & USB_TYPE_READ) != 0;
	uint8_t none[USB_PACKET_MAX];
	int moved = 0, count;

	count = packet(USB_PID_SETUP, address, 0, what, sizeof(what));
	if (count < 0)
		return count;
	while (moved < length) {
		unsigned left = (unsigned)(length - moved);
		unsigned part = left < USB_CONTROL_BYTES ? left : USB_CONTROL_BYTES;

		count = packet(reads ? USB_PID_IN : USB_PID_OUT, address, 0,
			(uint8_t *)data + moved, reads ? USB_CONTROL_BYTES : part);
		if (count < 0)
			return count;
		moved += count;
		if (count < USB_CONTROL_BYTES)
			break;
	}
	count = packet(reads && length != 0 ? USB_PID_OUT : USB_PID_IN, address, 0, none, 0);
	return count < 0 ? count : moved;
}

static inline void expect_no_data(unsigned address, uint8_t type, uint8_t request, uint16_t value,
	uint16_t index)
{
	assert_int_equal(control(address, type, request, value, index, NULL, 0), 0);
}

// The device at that port, which has been enabled, gets an address and its configuration.
static inline void device_begin(unsigned address)
{
	expect_no_data(0, USB_TO_DEVICE, USB_SET_ADDRESS, (uint16_t)address, 0);
	expect_no_data(address, USB_TO_DEVICE, USB_SET_CONFIGURATION, 1, 0);
}

static inline void hub_port(uint8_t request, uint16_t feature, unsigned port)
{
	expect_no_data(2, USB_TYPE_CLASS | USB_TO_OTHER, request, feature, (uint16_t)port);
}

// Keyboard: address 1; hub: 2; tablet: 3; mouse: 4.
static inline void all_begin(void)
{
	enum { PORT_RESET = 4 };

	port_enable(0);
	device_begin(1);
	port_enable(1);
	device_begin(2);
	hub_port(USB_SET_FEATURE, PORT_RESET, 1);
	device_begin(3);
	hub_port(USB_SET_FEATURE, PORT_RESET, 8);
	device_begin(4);
}

static inline void input(enum device_input_kind kind, unsigned code, bool down)
{
	const struct device_input what = {.kind = (uint8_t)kind, .code = (uint8_t)code,
		.down = down};

	fake_input(&env, &what);
}

static inline void move(enum device_input_kind kind, int x, int y, int wheel)
{
	const struct device_input what = {.kind = (uint8_t)kind, .x = (int16_t)x, .y = (int16_t)y,
		.wheel = (int16_t)wheel};

	fake_input(&env, &what);
}

#define REFUSE(change, undo, what)                                                                 \
	do {                                                                                       \
		const char *problem;                                                               \
		change;                                                                            \
		problem = uhci_model.state->check(uhci());                                         \
		assert_non_null(problem);                                                          \
		assert_string_equal(problem, what);                                                \
		undo;                                                                              \
		assert_null(uhci_model.state->check(uhci()));                                      \
	} while (0)

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif

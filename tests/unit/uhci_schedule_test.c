// SPDX-License-Identifier: BSD-2-Clause
// The schedule of a UHCI function: queues and transfer descriptors, in all the states that a driver
// can bring them to. UHCI Design Guide 1.1, 3 and 4.
#include "tests/unit/uhci_bench.h"

enum { ACTIVE = TD_ACTIVE | TD_ERRORS_3, ENABLE_ALL = 15,
	SETUP_BYTES = USB_SETUP_BYTES };

// GET_DESCRIPTOR of the device that has address 0, in `count` packets of data and the status.
static void transfer_make(unsigned first, unsigned count, uint32_t link_bits)
{
	static const uint8_t what[SETUP_BYTES] = {USB_TYPE_READ, USB_GET_DESCRIPTOR, 0,
		USB_DESCRIPTOR_DEVICE, 0, 0, USB_DEVICE_BYTES};

	memcpy(env.ram + DATA + 0x80 * first, what, SETUP_BYTES);
	td(first, td_at(first + 1) | link_bits, ACTIVE, token(USB_PID_SETUP, 0, 0, SETUP_BYTES));
	for (unsigned i = 1; i <= count; i++)
		td(first + i, td_at(first + i + 1) | link_bits, ACTIVE,
			token(USB_PID_IN, 0, 0, USB_CONTROL_BYTES));
	td(first + count + 1, END, ACTIVE | TD_INTERRUPT, token(USB_PID_OUT, 0, 0, 0));
}

static int begin(void **state)
{
	setup(state);
	port_enable(0);
	out(ENABLES, ENABLE_ALL);
	return 0;
}

static void start(void)
{
	out(STATUS, 0x3f);
	out(COMMAND, UHCI_COMMAND_RUN);
}

static uint32_t element(void)
{
	return get32(queue_at(0) + 4) & ~(uint32_t)DEPTH;
}

// 3.4.2: breadth first takes one of a queue in each frame, depth first all.
static void queues_are_emptied(void **state)
{
	(void)state;
	transfer_make(0, 3, 0);
	queue(0, END, td_at(0));
	frames_are(queue_at(0) | QUEUE);
	start();
	run(2);
	assert_int_equal(element(), td_at(2));
	assert_int_equal(control_of(0) & (TD_STATUS | 0x7ff), 7);
	assert_int_equal(control_of(2) & TD_ACTIVE, TD_ACTIVE);
	fake_save_and_load(&env);
	run(3);
	assert_int_equal(get32(queue_at(0) + 4), END);
	assert_int_equal(control_of(3) & 0x7ff, 1); // the last 2 of 18
	assert_int_equal(env.ram[DATA + 0x80], USB_DEVICE_BYTES);
	assert_int_equal(in(STATUS), UHCI_STATUS_INTERRUPT);
	assert_true(interrupts());
	out(STATUS, UHCI_STATUS_INTERRUPT);
	assert_false(interrupts());
	transfer_make(0, 3, DEPTH);
	queue(0, END, td_at(0));
	run(1);
	assert_int_equal(get32(queue_at(0) + 4), END);
	assert_true(interrupts());
}

// 3.2.2, SPD: the queue stays where it is, for its driver.
static void a_short_packet_stops_its_queue(void **state)
{
	(void)state;
	transfer_make(0, 4, DEPTH);
	for (unsigned i = 1; i < 5; i++)
		put32(td_at(i) + 4, control_of(i) | TD_SHORT);
	queue(0, END, td_at(0));
	frames_are(queue_at(0) | QUEUE);
	out(ENABLES, UHCI_ENABLE_SHORT);
	start();
	run(3);
	assert_int_equal(element(), td_at(3));
	assert_int_equal(control_of(3) & (TD_STATUS | 0x7ff), 1);
	assert_int_equal(control_of(4) & TD_ACTIVE, TD_ACTIVE);
	assert_true(interrupts());
	out(ENABLES, ENABLE_ALL & ~UHCI_ENABLE_SHORT);
	assert_false(interrupts());
	assert_int_equal(in(STATUS), UHCI_STATUS_INTERRUPT);
}

// What is not in a queue follows its links, whatever becomes of it.
static void descriptors_without_a_queue_are_followed(void **state)
{
	(void)state;
	device_begin(1);
	td(0, td_at(1), ACTIVE, token(USB_PID_IN, 1, 1, 8));
	td(1, td_at(2), TD_INTERRUPT, token(USB_PID_IN, 1, 1, 8)); // inactive, and tells so
	td(2, queue_at(0) | QUEUE, ACTIVE | TD_ISOCHRONOUS, token(USB_PID_IN, 1, 1, 8));
	td(3, END, ACTIVE, token(USB_PID_IN, 1, 1, 8));
	queue(0, td_at(3), END);
	frames_are(td_at(0));
	start();
	input(DEVICE_INPUT_KEY, 4, true);
	run(1);
	assert_int_equal(control_of(0) & (TD_STATUS | 0x7ff), 7);
	assert_int_equal(control_of(2) & TD_STATUS, TD_NAK); // is not tried again
	assert_int_equal(control_of(3) & TD_STATUS, TD_ACTIVE | TD_NAK);
	assert_int_equal(env.ram[DATA + 2], 4);
	assert_int_equal(in(STATUS), UHCI_STATUS_INTERRUPT);
}

// 3.2.2, C_ERR: nobody answers, three times, once, or for ever.
static void nobody_answers(void **state)
{
	(void)state;
	td(0, END, ACTIVE | TD_INTERRUPT, token(USB_PID_OUT, 5, 0, 0));
	td(1, END, TD_ACTIVE | TD_ERRORS_1, token(USB_PID_OUT, 5, 0, 0));
	td(2, END, TD_ACTIVE, token(USB_PID_OUT, 5, 0, 0));
	td(3, END, ACTIVE | TD_LOW_SPEED, token(USB_PID_IN, 0, 0, 8));
	for (unsigned i = 0; i < 4; i++)
		queue(i, i < 3 ? queue_at(i + 1) | QUEUE : END, td_at(i));
	frames_are(queue_at(0) | QUEUE);
	start();
	run(1);
	assert_int_equal(control_of(0) & ~0x7ffu, TD_ACTIVE | TD_TIMEOUT | 2 << 27 | TD_INTERRUPT);
	assert_int_equal(control_of(1) & ~0x7ffu, TD_STALLED | TD_TIMEOUT);
	assert_int_equal(control_of(2) & ~0x7ffu, TD_ACTIVE | TD_TIMEOUT);
	assert_int_equal(control_of(3) & ~0x7ffu,
		TD_ACTIVE | TD_TIMEOUT | 2 << 27 | TD_LOW_SPEED);
	assert_int_equal(in(STATUS), UHCI_STATUS_ERROR);
	assert_true(interrupts());
	out(STATUS, UHCI_STATUS_ERROR);
	assert_false(interrupts());
	run(2);
	assert_int_equal(control_of(0) & ~0x7ffu, TD_STALLED | TD_TIMEOUT | TD_INTERRUPT);
	assert_int_equal(control_of(2) & ~0x7ffu, TD_ACTIVE | TD_TIMEOUT);
	assert_int_equal(in(STATUS), UHCI_STATUS_ERROR | UHCI_STATUS_INTERRUPT);
	assert_int_equal(element(), td_at(0));
	td(2, END, TD_ACTIVE | TD_ISOCHRONOUS, token(USB_PID_IN, 5, 1, 8));
	run(1);
	assert_int_equal(control_of(2) & ~0x7ffu, TD_TIMEOUT | TD_ISOCHRONOUS);
}

// 4.1.2: what an endpoint or its packet can be besides.
static void endpoints_stall_and_babble(void **state)
{
	(void)state;
	device_begin(1);
	td(0, END, ACTIVE | TD_INTERRUPT, token(USB_PID_IN, 1, 0, 8));
	td(1, END, ACTIVE, token(USB_PID_IN, 1, 1, 4)); // a report has 8 bytes
	queue(0, queue_at(1) | QUEUE, td_at(0));
	queue(1, END, td_at(1));
	frames_are(queue_at(0) | QUEUE);
	start();
	run(1);
	assert_int_equal(control_of(0) & TD_STATUS, TD_STALLED);
	assert_int_equal(control_of(1) & TD_STATUS, TD_ACTIVE | TD_NAK);
	assert_int_equal(in(STATUS), UHCI_STATUS_ERROR | UHCI_STATUS_INTERRUPT);
	out(STATUS, 0x3f);
	input(DEVICE_INPUT_KEY, 4, true);
	run(1);
	assert_int_equal(control_of(1) & TD_STATUS, TD_STALLED | TD_BABBLE);
	assert_int_equal(in(STATUS), UHCI_STATUS_ERROR | UHCI_STATUS_INTERRUPT); // TD 0 is there
	assert_int_equal(env.ram[DATA + 0x80 + 2], 0);
	assert_int_equal(packet(USB_PID_OUT, 1, 0, env.data, 65), SILENT); // longer than any
	assert_int_equal(packet(USB_PID_SETUP, 1, 0, env.data, 7), SILENT);
	assert_int_equal(packet(USB_PID_IN, 1, 2, env.data, 8), SILENT);
}

// 4.2: it halts, with an error that nobody can mask.
static void expect_halt(unsigned error)
{
	assert_int_equal(in(COMMAND), 0);
	assert_int_equal(in(STATUS), UHCI_STATUS_HALTED | error);
	assert_true(interrupts());
	assert_int_equal(env.deadline[0].ns, GUEST_TIME_NEVER.ns);
	fake_save_and_load(&env);
	start();
}

static void memory_that_is_not_there_halts_it(void **state)
{
	enum { NOWHERE = 0xfffff000 };

	(void)state;
	out(ENABLES, 0);
	fake_write(&env, UHCI_REGION_REGISTERS, BASE, 4, NOWHERE);
	start();
	run(1);
	expect_halt(UHCI_STATUS_SYSTEM_ERROR);
	fake_write(&env, UHCI_REGION_REGISTERS, BASE, 4, LIST);
	frames_are(NOWHERE | QUEUE);
	run(1);
	expect_halt(UHCI_STATUS_SYSTEM_ERROR);
	frames_are(NOWHERE);
	run(1);
	expect_halt(UHCI_STATUS_SYSTEM_ERROR);
	queue(0, END, NOWHERE);
	frames_are(queue_at(0) | QUEUE);
	run(1);
	expect_halt(UHCI_STATUS_SYSTEM_ERROR);
	transfer_make(0, 3, DEPTH);
	put32(td_at(0) + 12, NOWHERE);
	queue(0, END, td_at(0));
	run(1);
	expect_halt(UHCI_STATUS_SYSTEM_ERROR);
	transfer_make(0, 3, DEPTH);
	put32(td_at(1) + 12, NOWHERE);
	queue(0, END, td_at(0));
	run(1);
	expect_halt(UHCI_STATUS_SYSTEM_ERROR);
	assert_int_equal(element(), td_at(1));
	config_write(PCIDEV_COMMAND, 2, 0); // no master
	run(1);
	assert_int_equal(in(STATUS), UHCI_STATUS_HALTED | UHCI_STATUS_SYSTEM_ERROR);
}

static void descriptors_that_cannot_be_halt_it(void **state)
{
	(void)state;
	out(ENABLES, 0);
	frames_are(td_at(0));
	td(0, END, ACTIVE, token((enum usb_pid)0xa5, 0, 0, 8));
	start();
	run(1);
	expect_halt(UHCI_STATUS_PROCESS_ERROR);
	td(0, END, ACTIVE, token(USB_PID_OUT, 0, 0, 1281));
	run(1);
	expect_halt(UHCI_STATUS_PROCESS_ERROR);
	td(0, END, ACTIVE, token(USB_PID_OUT, 5, 0, 1280));
	run(1);
	assert_int_equal(in(STATUS), 0);
}

// 2.1.1, SWDBG: one packet, and it halts.
static void it_can_be_stepped(void **state)
{
	(void)state;
	transfer_make(0, 3, DEPTH);
	queue(0, END, td_at(0));
	frames_are(queue_at(0) | QUEUE);
	out(STATUS, 0x3f);
	for (unsigned i = 0; i < 3; i++) {
		out(COMMAND, UHCI_COMMAND_RUN | UHCI_COMMAND_DEBUG);
		run(3);
		assert_int_equal(in(COMMAND), UHCI_COMMAND_DEBUG);
		assert_int_equal(element(), td_at(i + 1));
	}
}

// Frames end, whatever the links say: each of these is looked at while the fake allows it.
static void circles_end(void **state)
{
	(void)state;
	queue(0, queue_at(0) | QUEUE, END); // of one queue
	frames_are(queue_at(0) | QUEUE);
	start();
	run(2);
	queue(0, queue_at(1) | QUEUE, END); // of three, behind another one
	queue(1, queue_at(2) | QUEUE, END);
	queue(2, queue_at(3) | QUEUE, td_at(0));
	queue(3, queue_at(1) | QUEUE, queue_at(1) | QUEUE);
	td(0, td_at(0) | DEPTH, ACTIVE, token(USB_PID_IN, 9, 1, 8));
	run(2);
	assert_int_equal(control_of(0) >> 27 & 3, 1); // once in a frame
	frames_are(td_at(0)); // of descriptors
	td(0, td_at(1), 0, 0);
	td(1, td_at(0), 0, 0);
	run(2);
	td(0, td_at(1) | DEPTH, ACTIVE, token(USB_PID_IN, 0, 0, 8));
	queue(0, queue_at(0) | QUEUE, td_at(0) | DEPTH);
	frames_are(queue_at(0) | QUEUE);
	run(2);
	assert_int_equal(in(STATUS) & UHCI_STATUS_HALTED, 0);
}

// Reclaimed bandwidth: a circle is gone round while anything comes of it, and the frame has room.
static void a_frame_has_so_much_room(void **state)
{
	unsigned done = 0;

	(void)state;
	device_begin(1);
	for (unsigned i = 0; i < 120; i++)
		td(i, i < 119 ? td_at(i + 1) : END, ACTIVE,
			token(i == 0 ? USB_PID_SETUP : USB_PID_IN, 1, 0, 8));
	memcpy(env.ram + DATA, (uint8_t[]){USB_TYPE_READ, USB_GET_DESCRIPTOR, 0,
		USB_DESCRIPTOR_DEVICE, 0, 0, USB_DEVICE_BYTES, 0}, 8);
	queue(0, queue_at(0) | QUEUE, td_at(0));
	frames_are(queue_at(0) | QUEUE);
	start();
	run(1);
	while (done < 120 && (control_of(done) & TD_ACTIVE) == 0)
		done++;
	assert_int_equal(done, 4 + (1500 - 6 - 3 * 21 - 15 - 8) / 13); // the others are empty
}

int main(void)
{
#define SCHEDULE_TEST(name) cmocka_unit_test_setup_teardown(name, begin, teardown)
	const struct CMUnitTest tests[] = {
		SCHEDULE_TEST(queues_are_emptied),
		SCHEDULE_TEST(a_short_packet_stops_its_queue),
		SCHEDULE_TEST(descriptors_without_a_queue_are_followed),
		SCHEDULE_TEST(nobody_answers),
		SCHEDULE_TEST(endpoints_stall_and_babble),
		SCHEDULE_TEST(memory_that_is_not_there_halts_it),
		SCHEDULE_TEST(descriptors_that_cannot_be_halt_it),
		SCHEDULE_TEST(it_can_be_stepped),
		SCHEDULE_TEST(circles_end),
		SCHEDULE_TEST(a_frame_has_so_much_room),
	};

	return cmocka_run_group_tests_name("uhci_schedule", tests, NULL, NULL);
}

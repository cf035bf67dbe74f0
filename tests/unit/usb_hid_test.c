// SPDX-License-Identifier: BSD-2-Clause
// Keyboard, tablet and mouse at USB. Device Class Definition for HID 1.11.
#include "tests/unit/uhci_bench.h"

enum {
	KEYBOARD = 1, HUB_ADDRESS, TABLET, MOUSE, // addresses
	READ = USB_TYPE_READ | USB_TYPE_CLASS | USB_TO_INTERFACE,
	WRITE = USB_TYPE_CLASS | USB_TO_INTERFACE,
	GET_REPORT = 1, GET_IDLE, GET_PROTOCOL, SET_REPORT = 9, SET_IDLE, SET_PROTOCOL,
	KEY_A = 4, KEY_LEFT_SHIFT = 0xe1, KEY_RIGHT_META = 0xe7,
};

static int begin(void **state)
{
	setup(state);
	all_begin();
	return 0;
}

static void expect_report(unsigned address, const char *report, unsigned bytes)
{
	uint8_t data[USB_PACKET_MAX];

	assert_int_equal(packet(USB_PID_IN, address, 1, data, 8), bytes);
	assert_memory_equal(data, report, bytes);
}

static void expect_nothing(unsigned address)
{
	uint8_t data[USB_PACKET_MAX];

	assert_int_equal(packet(USB_PID_IN, address, 1, data, 8), NAKED);
}

static void key(unsigned usage, bool down)
{
	input(DEVICE_INPUT_KEY, usage, down);
}

// 8.3, B.1: one event in each report.
static void keys_are_reported(void **state)
{
	(void)state;
	expect_nothing(KEYBOARD);
	key(KEY_LEFT_SHIFT, true);
	key(KEY_A, true);
	key(KEY_A, true); // is pressed already
	key(KEY_A, false);
	key(KEY_RIGHT_META, true);
	expect_report(KEYBOARD, "\x02\0\0\0\0\0\0\0", 8);
	fake_save_and_load(&env);
	expect_report(KEYBOARD, "\x02\0\x04\0\0\0\0\0", 8);
	expect_report(KEYBOARD, "\x02\0\0\0\0\0\0\0", 8);
	expect_report(KEYBOARD, "\x82\0\0\0\0\0\0\0", 8);
	expect_nothing(KEYBOARD);
}

// 8.3: a seventh key makes them errors; 16 events wait.
static void there_is_an_end_of_keys(void **state)
{
	uint8_t data[8];

	(void)state;
	for (unsigned i = 0; i < 7; i++)
		key(KEY_A + i, true);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(packet(USB_PID_IN, KEYBOARD, 1, data, 8), 8);
	assert_memory_equal(data, "\0\0\x04\x05\x06\x07\x08\x09", 8);
	expect_report(KEYBOARD, "\0\0\1\1\1\1\1\1", 8);
	key(KEY_A, false);
	expect_report(KEYBOARD, "\0\0\x05\x06\x07\x08\x09\x0a", 8);
	for (unsigned i = 0; i < 20; i++)
		key(0x20, i % 2 == 0);
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(packet(USB_PID_IN, KEYBOARD, 1, data, 8), 8);
	expect_nothing(KEYBOARD);
	key(1, true); // an error is no key
	expect_report(KEYBOARD, "\0\0\x05\x06\x07\x08\x09\x0a", 8);
}

// 7.2
static void keyboards_take_requests(void **state)
{
	uint8_t data[8] = {0xff};

	(void)state;
	assert_int_equal(control(KEYBOARD, WRITE, SET_REPORT, 0x200, 0, data, 1), 1);
	assert_int_equal(control(KEYBOARD, READ, GET_REPORT, 0x200, 0, data, 8), 1);
	assert_int_equal(data[0], 0x1f);
	key(KEY_A, true);
	assert_int_equal(packet(USB_PID_IN, KEYBOARD, 1, data, 8), 8);
	assert_int_equal(control(KEYBOARD, READ, GET_REPORT, 0x100, 0, data, 8), 8);
	assert_memory_equal(data, "\0\0\x04\0\0\0\0\0", 8);
	assert_int_equal(control(KEYBOARD, READ, GET_REPORT, 0x300, 0, data, 8), STALLED);
	assert_int_equal(control(KEYBOARD, WRITE, SET_REPORT, 0x200, 0, data, 2), STALLED);
	assert_int_equal(control(KEYBOARD, WRITE, SET_REPORT, 0x100, 0, data, 1), STALLED);
	assert_int_equal(control(KEYBOARD, READ, GET_PROTOCOL, 0, 0, data, 1), 1);
	assert_int_equal(data[0], 1);
	expect_no_data(KEYBOARD, WRITE, SET_PROTOCOL, 0, 0);
	assert_int_equal(control(KEYBOARD, READ, GET_PROTOCOL, 0, 0, data, 1), 1);
	assert_int_equal(data[0], 0);
	assert_int_equal(control(KEYBOARD, WRITE, SET_PROTOCOL, 2, 0, NULL, 0), STALLED);
	assert_int_equal(control(KEYBOARD, WRITE, SET_IDLE, 0, 1, NULL, 0), STALLED);
	assert_int_equal(control(KEYBOARD, READ, GET_IDLE, 0, 1, data, 1), STALLED);
	assert_int_equal(control(KEYBOARD, WRITE, 0x33, 0, 0, NULL, 0), STALLED);
	assert_int_equal(control(KEYBOARD, READ, 0x33, 0, 0, data, 1), STALLED);
	assert_int_equal(control(TABLET, READ, GET_PROTOCOL, 0, 0, data, 1), STALLED);
	assert_int_equal(control(TABLET, WRITE, SET_PROTOCOL, 0, 0, NULL, 0), STALLED);
	assert_int_equal(control(TABLET, READ, GET_REPORT, 0x200, 0, data, 8), STALLED);
}

// 7.2.4: in steps of 4 ms.
static void old_reports_come_again(void **state)
{
	uint8_t data[1];

	(void)state;
	expect_no_data(KEYBOARD, WRITE, SET_IDLE, 10 << 8, 0);
	assert_int_equal(control(KEYBOARD, READ, GET_IDLE, 0, 0, data, 1), 1);
	assert_int_equal(data[0], 10);
	run(30);
	expect_nothing(KEYBOARD);
	run(10);
	expect_report(KEYBOARD, "\0\0\0\0\0\0\0\0", 8);
	fake_save_and_load(&env);
	expect_nothing(KEYBOARD);
	key(KEY_A, true);
	expect_report(KEYBOARD, "\0\0\x04\0\0\0\0\0", 8);
	run(38);
	expect_nothing(KEYBOARD);
	expect_report(KEYBOARD, "\0\0\x04\0\0\0\0\0", 8);
}

// 6.2.1: of each as many bytes as the one before it says.
static void reports_are_described(void **state)
{
	enum { OF_INTERFACE = USB_TYPE_READ | USB_TO_INTERFACE };
	static const unsigned addresses[] = {KEYBOARD, TABLET, MOUSE};
	uint8_t hid[9], report[128];

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(addresses); i++) {
		unsigned address = addresses[i];

		assert_int_equal(control(address, OF_INTERFACE, USB_GET_DESCRIPTOR, 0x2100, 0, hid,
			9), 9);
		assert_int_equal(hid[1], 0x21);
		assert_int_equal(control(address, OF_INTERFACE, USB_GET_DESCRIPTOR, 0x2200, 0,
			report, 128), hid[7]);
		assert_int_equal(report[hid[7] - 1], 0xc0); // end of a collection
		assert_int_equal(control(address, OF_INTERFACE, USB_GET_DESCRIPTOR, 0x2300, 0,
			report, 128), STALLED);
	}
}

static void the_tablet_tells_places(void **state)
{
	(void)state;
	move(DEVICE_INPUT_PLACE, 0x1234, 0x5678, 0);
	move(DEVICE_INPUT_PLACE, 0x1235, 0x5679, 0); // is seen instead
	input(DEVICE_INPUT_BUTTON, DEVICE_BUTTON_LEFT, true);
	move(DEVICE_INPUT_PLACE, DEVICE_PLACE_MAX, 0, 1);
	input(DEVICE_INPUT_BUTTON, DEVICE_BUTTON_LEFT, false);
	input(DEVICE_INPUT_BUTTON, DEVICE_BUTTONS, true); // there is none
	expect_report(TABLET, "\0\x35\x12\x79\x56\0", 6);
	expect_report(TABLET, "\x01\x35\x12\x79\x56\0", 6);
	fake_save_and_load(&env);
	expect_report(TABLET, "\x01\xff\x7f\0\0\xff", 6); // the wheel's up is positive
	expect_report(TABLET, "\0\xff\x7f\0\0\0", 6);
	move(DEVICE_INPUT_PLACE, DEVICE_PLACE_MAX, 0, 0);
	expect_nothing(TABLET);
	move(DEVICE_INPUT_PLACE, DEVICE_PLACE_MAX, 0, -300);
	expect_report(TABLET, "\0\xff\x7f\0\0\x7f", 6);
	expect_report(TABLET, "\0\xff\x7f\0\0\x7f", 6);
	expect_report(TABLET, "\0\xff\x7f\0\0\x2e", 6);
	expect_nothing(TABLET);
	move(DEVICE_INPUT_PLACE, -1, 5, 0); // no place
	expect_report(TABLET, "\0\0\0\x05\0\0", 6);
}

// B.2; what a report has no room for comes with the next one.
static void the_mouse_tells_steps(void **state)
{
	(void)state;
	move(DEVICE_INPUT_MOVE, 100, -3, 0);
	move(DEVICE_INPUT_MOVE, 100, -3, 2);
	expect_report(MOUSE, "\0\x7f\xfa\xfe", 4);
	fake_save_and_load(&env);
	expect_report(MOUSE, "\0\x49\0\0", 4);
	expect_nothing(MOUSE);
	move(DEVICE_INPUT_MOVE, -32768, 0, 0);
	move(DEVICE_INPUT_MOVE, -32768, 0, 0);
	expect_report(MOUSE, "\0\x81\0\0", 4);
	expect_no_data(MOUSE, WRITE, SET_PROTOCOL, 0, 0);
	expect_report(MOUSE, "\0\x81\0", 3);
	move(DEVICE_INPUT_MOVE, 32000, 0, 0);
	expect_report(MOUSE, "\0\x81\0", 3); // of 514 to the left
	expect_report(MOUSE, "\0\x81\0", 3);
	fake_set(&env, DEVICE_SETTING_UNPLUG, UHCI_TABLET);
	input(DEVICE_INPUT_BUTTON, DEVICE_BUTTON_MIDDLE, true); // goes to the mouse then
	expect_report(MOUSE, "\0\x81\0", 3);
	expect_report(MOUSE, "\0\x81\0", 3);
	expect_report(MOUSE, "\0\xfa\0", 3);
	expect_report(MOUSE, "\x04\0\0", 3);
	expect_nothing(MOUSE);
	move(DEVICE_INPUT_MOVE, 0, 0, 0);
	expect_nothing(MOUSE);
}

// Input goes to who is configured.
static void input_is_taken_where_it_can_be(void **state)
{
	const struct device_model *model = &uhci_model;

	(void)state;
	for (unsigned i = 0; i < DEVICE_INPUT_KINDS; i++)
		assert_true(model->takes_input(env.device, i));
	expect_no_data(KEYBOARD, 0, USB_SET_CONFIGURATION, 0, 0);
	assert_false(model->takes_input(env.device, DEVICE_INPUT_KEY));
	assert_false(usb_hid_input(&uhci()->hids[0], &(struct device_input){0}));
	key(KEY_A, true);
	expect_no_data(KEYBOARD, 0, USB_SET_CONFIGURATION, 1, 0);
	expect_nothing(KEYBOARD);
	fake_set(&env, DEVICE_SETTING_UNPLUG, UHCI_TABLET);
	assert_false(model->takes_input(env.device, DEVICE_INPUT_PLACE));
	assert_true(model->takes_input(env.device, DEVICE_INPUT_BUTTON));
	fake_set(&env, DEVICE_SETTING_UNPLUG, UHCI_MOUSE);
	assert_false(model->takes_input(env.device, DEVICE_INPUT_BUTTON));
	fake_reset(&env, DEVICE_RESET_LINE);
	assert_false(model->takes_input(env.device, DEVICE_INPUT_KEY));
}

int main(void)
{
#define HID_TEST(name) cmocka_unit_test_setup_teardown(name, begin, teardown)
	const struct CMUnitTest tests[] = {
		HID_TEST(keys_are_reported),
		HID_TEST(there_is_an_end_of_keys),
		HID_TEST(keyboards_take_requests),
		HID_TEST(old_reports_come_again),
		HID_TEST(reports_are_described),
		HID_TEST(the_tablet_tells_places),
		HID_TEST(the_mouse_tells_steps),
		HID_TEST(input_is_taken_where_it_can_be),
	};

	return cmocka_run_group_tests_name("usb_hid", tests, NULL, NULL);
}

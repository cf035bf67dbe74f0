// SPDX-License-Identifier: BSD-2-Clause
// What all USB devices have in common, of the keyboard's example. USB 2.0, chapters 8 and 9.
#include "tests/unit/uhci_bench.h"

enum { READ = USB_TYPE_READ, INTERFACE = USB_TO_INTERFACE, ENDPOINT = USB_TO_ENDPOINT };

static int begin(void **state)
{
	setup(state);
	port_enable(0);
	return 0;
}

static int get_descriptor(unsigned address, unsigned type, unsigned index, uint8_t *to,
	uint16_t bytes)
{
	return control(address, READ, USB_GET_DESCRIPTOR, (uint16_t)(type << 8 | index), 0, to,
		bytes);
}

// 9.6: as much as is asked for, and no more than there is.
static void descriptors_are_read(void **state)
{
	uint8_t device[255], all[255], text[255];

	(void)state;
	assert_int_equal(get_descriptor(0, USB_DESCRIPTOR_DEVICE, 0, device, 8), 8);
	assert_int_equal(device[7], USB_CONTROL_BYTES);
	assert_int_equal(get_descriptor(0, USB_DESCRIPTOR_DEVICE, 0, device, 255), 18);
	assert_int_equal(device[8] | device[9] << 8, 0x0627);
	assert_int_equal(get_descriptor(0, USB_DESCRIPTOR_CONFIGURATION, 0, all, 255), 34);
	assert_int_equal(all[2], 34);
	for (unsigned at = 0; at < 34; at += all[at])
		assert_true(all[at] >= 7 && at + all[at] <= 34);
	assert_int_equal(get_descriptor(0, USB_DESCRIPTOR_CONFIGURATION, 1, all, 255), STALLED);
	assert_int_equal(get_descriptor(0, USB_DESCRIPTOR_STRING, 0, text, 255), 4);
	assert_int_equal(text[2] | text[3] << 8, 0x0409);
	for (unsigned i = 14; i < 17; i++) {
		int bytes = get_descriptor(0, USB_DESCRIPTOR_STRING, device[i], text, 255);

		assert_true(bytes >= 4);
		assert_int_equal(text[0], bytes);
		assert_int_equal(text[1], USB_DESCRIPTOR_STRING);
	}
	assert_int_equal(get_descriptor(0, USB_DESCRIPTOR_STRING, 4, text, 255), STALLED);
	assert_int_equal(get_descriptor(0, 6, 0, text, 10), STALLED); // of high speed alone
	assert_int_equal(get_descriptor(0, USB_DESCRIPTOR_DEVICE, 0, device, 0), 0);
}

// 9.4.6: the new address is one when the status stage of the old one is over.
static void an_address_is_set_behind_its_status(void **state)
{
	uint8_t what[8] = {0, USB_SET_ADDRESS, 7}, none[8];

	(void)state;
	assert_int_equal(packet(USB_PID_SETUP, 0, 0, what, 8), 8);
	assert_int_equal(packet(USB_PID_IN, 7, 0, none, 0), SILENT);
	fake_save_and_load(&env);
	assert_int_equal(packet(USB_PID_IN, 0, 0, none, 0), 0);
	assert_int_equal(packet(USB_PID_SETUP, 0, 0, what, 8), SILENT);
	assert_int_equal(packet(USB_PID_SETUP, 7, 0, what, 8), 8);
	assert_int_equal(control(7, 0, USB_SET_ADDRESS, 128, 0, NULL, 0), STALLED);
	assert_int_equal(control(7, INTERFACE, USB_SET_ADDRESS, 1, 0, NULL, 0), STALLED);
	port_enable(0); // a reset of the port: 9.1.1.3
	assert_int_equal(packet(USB_PID_SETUP, 0, 0, what, 8), 8);
}

static void a_device_is_configured(void **state)
{
	uint8_t value = 9;

	(void)state;
	assert_int_equal(control(0, READ, USB_GET_CONFIGURATION, 0, 0, &value, 1), 1);
	assert_int_equal(value, 0);
	assert_int_equal(packet(USB_PID_IN, 0, 1, env.data, 8), SILENT);
	assert_int_equal(control(0, READ | INTERFACE, USB_GET_INTERFACE, 0, 0, &value, 1), STALLED);
	assert_int_equal(control(0, INTERFACE, USB_SET_INTERFACE, 0, 0, NULL, 0), STALLED);
	assert_int_equal(control(0, 0, USB_SET_CONFIGURATION, 2, 0, NULL, 0), STALLED);
	assert_int_equal(control(0, INTERFACE, USB_SET_CONFIGURATION, 1, 0, NULL, 0), STALLED);
	expect_no_data(0, 0, USB_SET_CONFIGURATION, 1, 0);
	assert_int_equal(control(0, READ, USB_GET_CONFIGURATION, 0, 0, &value, 1), 1);
	assert_int_equal(value, 1);
	assert_int_equal(packet(USB_PID_IN, 0, 1, env.data, 8), NAKED);
	assert_int_equal(control(0, READ | INTERFACE, USB_GET_INTERFACE, 0, 0, &value, 1), 1);
	assert_int_equal(value, 0);
	expect_no_data(0, INTERFACE, USB_SET_INTERFACE, 0, 0);
	assert_int_equal(control(0, INTERFACE, USB_SET_INTERFACE, 1, 0, NULL, 0), STALLED);
	assert_int_equal(control(0, INTERFACE, USB_SET_INTERFACE, 0, 1, NULL, 0), STALLED);
	expect_no_data(0, 0, USB_SET_CONFIGURATION, 0, 0);
	assert_int_equal(packet(USB_PID_IN, 0, 1, env.data, 8), SILENT);
}

static int status_of(uint8_t type, uint16_t index)
{
	uint8_t status[2];
	int bytes = control(0, READ | type, USB_GET_STATUS, 0, index, status, 2);

	return bytes < 0 ? bytes : status[0] | status[1] << 8;
}

// 9.4.1, 9.4.5, 9.4.9
static void features_are_set_and_cleared(void **state)
{
	(void)state;
	assert_int_equal(status_of(0, 0), 0);
	expect_no_data(0, 0, USB_SET_FEATURE, USB_FEATURE_REMOTE_WAKEUP, 0);
	assert_int_equal(status_of(0, 0), USB_STATUS_REMOTE_WAKEUP);
	expect_no_data(0, 0, USB_CLEAR_FEATURE, USB_FEATURE_REMOTE_WAKEUP, 0);
	assert_int_equal(status_of(0, 0), 0);
	assert_int_equal(control(0, 0, USB_SET_FEATURE, 2, 0, NULL, 0), STALLED);
	assert_int_equal(status_of(INTERFACE, 0), STALLED);
	assert_int_equal(status_of(ENDPOINT, 0x81), STALLED);
	assert_int_equal(control(0, ENDPOINT, USB_SET_FEATURE, 0, 0x81, NULL, 0), STALLED);
	expect_no_data(0, 0, USB_SET_CONFIGURATION, 1, 0);
	assert_int_equal(status_of(INTERFACE, 0), 0);
	assert_int_equal(status_of(INTERFACE, 1), STALLED);
	assert_int_equal(status_of(ENDPOINT, 0), 0);
	assert_int_equal(status_of(ENDPOINT, 0x81), 0);
	expect_no_data(0, ENDPOINT, USB_SET_FEATURE, USB_FEATURE_ENDPOINT_HALT, 0);
	expect_no_data(0, ENDPOINT, USB_SET_FEATURE, USB_FEATURE_ENDPOINT_HALT, 0x81);
	assert_int_equal(status_of(ENDPOINT, 0x81), USB_STATUS_HALT);
	input(DEVICE_INPUT_KEY, 4, true);
	assert_int_equal(packet(USB_PID_IN, 0, 1, env.data, 8), STALLED);
	fake_save_and_load(&env);
	expect_no_data(0, ENDPOINT, USB_CLEAR_FEATURE, USB_FEATURE_ENDPOINT_HALT, 0x81);
	assert_int_equal(packet(USB_PID_IN, 0, 1, env.data, 8), 8);
	assert_int_equal(control(0, ENDPOINT, USB_SET_FEATURE, 1, 0x81, NULL, 0), STALLED);
	assert_int_equal(control(0, ENDPOINT, USB_SET_FEATURE, 0, 0x01, NULL, 0), STALLED);
	assert_int_equal(control(0, ENDPOINT, USB_SET_FEATURE, 0, 0x8f, NULL, 0), STALLED);
	assert_int_equal(control(0, 0x60, 1, 0, 0, NULL, 0), STALLED);
}

// 8.5.3: stages that come in another order than they should.
static void control_transfers_keep_their_stages(void **state)
{
	uint8_t read[8] = {READ, USB_GET_DESCRIPTOR, 0, USB_DESCRIPTOR_DEVICE, 0, 0, 18};
	uint8_t write[8] = {0x21, 9, 0, 2, 0, 0, 1}, big[8] = {0x21, 9, 0, 2, 0, 0, 200};
	uint8_t data[64] = {0};

	(void)state;
	assert_int_equal(packet(USB_PID_IN, 0, 0, data, 8), STALLED);
	assert_int_equal(packet(USB_PID_OUT, 0, 0, data, 0), STALLED);
	assert_int_equal(packet(USB_PID_SETUP, 0, 0, read, 8), 8);
	assert_int_equal(packet(USB_PID_IN, 0, 0, data, 8), 8);
	fake_save_and_load(&env);
	assert_int_equal(packet(USB_PID_IN, 0, 0, data, 8), 8);
	assert_int_equal(data[0], 0x27); // idVendor
	assert_int_equal(packet(USB_PID_OUT, 0, 0, data, 0), 0); // an early status
	assert_int_equal(packet(USB_PID_IN, 0, 0, data, 8), STALLED);
	assert_int_equal(packet(USB_PID_SETUP, 0, 0, read, 8), 8);
	assert_int_equal(packet(USB_PID_OUT, 0, 0, data, 4), STALLED); // that has data
	assert_int_equal(packet(USB_PID_SETUP, 0, 0, write, 8), 8);
	assert_int_equal(packet(USB_PID_OUT, 0, 0, data, 2), STALLED); // too much
	assert_int_equal(packet(USB_PID_SETUP, 0, 0, write, 8), 8);
	assert_int_equal(packet(USB_PID_IN, 0, 0, data, 0), STALLED); // too little
	assert_int_equal(packet(USB_PID_SETUP, 0, 0, big, 8), 8);
	assert_int_equal(packet(USB_PID_OUT, 0, 0, data, 8), 8);
	fake_save_and_load(&env);
	assert_int_equal(packet(USB_PID_OUT, 0, 0, data, 8), STALLED);
	assert_int_equal(packet(USB_PID_SETUP, 0, 0, write, 8), 8);
	fake_set(&env, DEVICE_SETTING_UNPLUG, UHCI_KEYBOARD); // in mid-transfer
	assert_int_equal(packet(USB_PID_OUT, 0, 0, data, 1), SILENT);
	fake_set(&env, DEVICE_SETTING_PLUG, UHCI_KEYBOARD);
	port_enable(0);
	assert_int_equal(packet(USB_PID_OUT, 0, 0, data, 1), STALLED);
}

int main(void)
{
#define USB_TEST(name) cmocka_unit_test_setup_teardown(name, begin, teardown)
	const struct CMUnitTest tests[] = {
		USB_TEST(descriptors_are_read),
		USB_TEST(an_address_is_set_behind_its_status),
		USB_TEST(a_device_is_configured),
		USB_TEST(features_are_set_and_cleared),
		USB_TEST(control_transfers_keep_their_stages),
	};

	return cmocka_run_group_tests_name("usb", tests, NULL, NULL);
}

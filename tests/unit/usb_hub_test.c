// SPDX-License-Identifier: BSD-2-Clause
// A hub at USB, and who is behind it. USB 2.0, chapter 11.
#include "tests/unit/uhci_bench.h"

enum {
	HUB_ADDRESS = 2, TABLET, MOUSE,
	READ = USB_TYPE_READ | USB_TYPE_CLASS, WRITE = USB_TYPE_CLASS,
	OTHER = USB_TO_OTHER,
	CONNECTION = 1, ENABLE = 2, SUSPEND = 4, RESET = 16, POWER = 256, // wPortStatus
	PORT_ENABLE = 1, PORT_SUSPEND, PORT_RESET = 4, PORT_POWER = 8,
	C_CONNECTION = 16, C_SUSPEND = 18, C_RESET = 20,
};

static int begin(void **state)
{
	setup(state);
	all_begin();
	return 0;
}

static void expect_port(unsigned port, unsigned status, unsigned change)
{
	uint8_t data[4];

	assert_int_equal(control(HUB_ADDRESS, READ | OTHER, USB_GET_STATUS, 0, (uint16_t)port, data,
		4), 4);
	assert_int_equal(data[0] | data[1] << 8, status);
	assert_int_equal(data[2] | data[3] << 8, change);
}

static int changes(void)
{
	uint8_t data[8];
	int bytes = packet(USB_PID_IN, HUB_ADDRESS, 1, data, 2);

	return bytes < 0 ? bytes : data[0] | data[1] << 8;
}

static void the_hub_describes_itself(void **state)
{
	uint8_t data[64];

	(void)state;
	assert_int_equal(control(HUB_ADDRESS, READ, USB_GET_DESCRIPTOR, 0x2900, 0, data, 64), 11);
	assert_int_equal(data[2], USB_HUB_PORTS);
	assert_int_equal(control(HUB_ADDRESS, READ, USB_GET_DESCRIPTOR, 0x2a00, 0, data, 64),
		STALLED);
	assert_int_equal(control(HUB_ADDRESS, READ, USB_GET_STATUS, 0, 0, data, 4), 4);
	assert_memory_equal(data, "\0\0\0\0", 4);
	assert_int_equal(control(HUB_ADDRESS, USB_TYPE_READ, USB_GET_STATUS, 0, 0, data, 2), 2);
	assert_int_equal(data[0], USB_STATUS_SELF_POWERED);
	assert_int_equal(control(HUB_ADDRESS, READ, 0x33, 0, 0, data, 4), STALLED);
	assert_int_equal(control(HUB_ADDRESS, READ | OTHER, USB_GET_STATUS, 0, 9, data, 4),
		STALLED);
	assert_int_equal(control(HUB_ADDRESS, READ | OTHER, USB_GET_STATUS, 0, 0, data, 4),
		STALLED);
	expect_no_data(HUB_ADDRESS, WRITE, USB_CLEAR_FEATURE, 1, 0);
	assert_int_equal(control(HUB_ADDRESS, WRITE, USB_SET_FEATURE, 2, 0, NULL, 0), STALLED);
	assert_int_equal(control(HUB_ADDRESS, WRITE, 0x33, 0, 0, NULL, 0), STALLED);
	assert_int_equal(control(HUB_ADDRESS, WRITE | OTHER, USB_SET_FEATURE, PORT_RESET, 9, NULL,
		0), STALLED);
	assert_int_equal(control(HUB_ADDRESS, WRITE | OTHER, USB_SET_FEATURE, 22, 1, NULL, 0),
		STALLED);
	assert_int_equal(control(HUB_ADDRESS, WRITE | OTHER, USB_CLEAR_FEATURE, 21, 1, NULL, 0),
		STALLED);
}

// 11.12.4, 11.24.2
static void ports_tell_what_has_changed(void **state)
{
	(void)state;
	hub_port(USB_CLEAR_FEATURE, C_CONNECTION, 3);
	hub_port(USB_CLEAR_FEATURE, C_CONNECTION, 4);
	assert_int_equal(changes(), 1 << 1 | 1 << 8);
	expect_port(1, POWER | CONNECTION | ENABLE, CONNECTION | RESET);
	expect_port(2, POWER, 0);
	hub_port(USB_CLEAR_FEATURE, C_CONNECTION, 1);
	hub_port(USB_CLEAR_FEATURE, C_RESET, 1);
	hub_port(USB_CLEAR_FEATURE, C_CONNECTION, 8);
	hub_port(USB_CLEAR_FEATURE, C_RESET, 8);
	assert_int_equal(changes(), NAKED);
	fake_set(&env, DEVICE_SETTING_UNPLUG, UHCI_MOUSE);
	fake_save_and_load(&env);
	assert_int_equal(changes(), 1 << 8);
	expect_port(8, POWER, CONNECTION);
	hub_port(USB_CLEAR_FEATURE, C_CONNECTION, 8);
	hub_port(USB_SET_FEATURE, PORT_RESET, 8); // nobody is there
	expect_port(8, POWER, 0);
	assert_int_equal(packet(USB_PID_IN, MOUSE, 1, env.data, 8), SILENT);
	fake_set(&env, DEVICE_SETTING_PLUG, UHCI_MOUSE);
	expect_port(8, POWER | CONNECTION, CONNECTION);
	hub_port(USB_SET_FEATURE, PORT_POWER, 8);
	hub_port(USB_CLEAR_FEATURE, PORT_POWER, 8);
	hub_port(USB_SET_FEATURE, PORT_RESET, 8);
	device_begin(MOUSE);
	assert_int_equal(packet(USB_PID_IN, MOUSE, 1, env.data, 8), NAKED);
}

// 11.5: who is behind a port that is disabled or suspended hears nothing.
static void ports_are_suspended_and_disabled(void **state)
{
	(void)state;
	hub_port(USB_CLEAR_FEATURE, C_CONNECTION, 1);
	hub_port(USB_CLEAR_FEATURE, C_RESET, 1);
	hub_port(USB_SET_FEATURE, PORT_SUSPEND, 1);
	expect_port(1, POWER | CONNECTION | ENABLE | SUSPEND, 0);
	assert_int_equal(packet(USB_PID_IN, TABLET, 1, env.data, 8), SILENT);
	fake_save_and_load(&env);
	hub_port(USB_CLEAR_FEATURE, PORT_SUSPEND, 1);
	expect_port(1, POWER | CONNECTION | ENABLE, SUSPEND);
	assert_int_equal(packet(USB_PID_IN, TABLET, 1, env.data, 8), NAKED);
	hub_port(USB_CLEAR_FEATURE, C_SUSPEND, 1);
	hub_port(USB_CLEAR_FEATURE, PORT_SUSPEND, 1); // is not suspended
	expect_port(1, POWER | CONNECTION | ENABLE, 0);
	hub_port(USB_CLEAR_FEATURE, PORT_ENABLE, 1);
	expect_port(1, POWER | CONNECTION, 0);
	assert_int_equal(packet(USB_PID_IN, TABLET, 1, env.data, 8), SILENT);
	hub_port(USB_SET_FEATURE, PORT_SUSPEND, 1);
	expect_port(1, POWER | CONNECTION, 0);
}

// 11.9: what happens behind a hub reaches a host that sleeps.
static void the_host_is_woken(void **state)
{
	(void)state;
	expect_no_data(TABLET, 0, USB_SET_FEATURE, USB_FEATURE_REMOTE_WAKEUP, 0);
	hub_port(USB_SET_FEATURE, PORT_SUSPEND, 1);
	out(COMMAND, 0);
	out(STATUS, 0x3f);
	out(PORT + 2, UHCI_PORT_ENABLED | UHCI_PORT_SUSPENDED);
	move(DEVICE_INPUT_PLACE, 1, 2, 0);
	assert_int_equal(in(STATUS), UHCI_STATUS_RESUME);
	assert_int_equal(in(PORT + 2) & UHCI_PORT_RESUME, UHCI_PORT_RESUME);
	out(PORT + 2, UHCI_PORT_ENABLED);
	expect_port(1, POWER | CONNECTION | ENABLE, CONNECTION | RESET | SUSPEND);
	hub_port(USB_CLEAR_FEATURE, PORT_ENABLE, 1);
	out(COMMAND, 0);
	out(STATUS, 0x3f);
	out(PORT + 2, UHCI_PORT_ENABLED | UHCI_PORT_SUSPENDED);
	move(DEVICE_INPUT_PLACE, 2, 2, 0); // behind a port that is not enabled
	fake_set(&env, DEVICE_SETTING_UNPLUG, UHCI_MOUSE); // and it is not to tell that
	assert_int_equal(in(STATUS), 0);
	out(PORT + 2, UHCI_PORT_ENABLED);
	expect_no_data(HUB_ADDRESS, 0, USB_SET_FEATURE, USB_FEATURE_REMOTE_WAKEUP, 0);
	out(COMMAND, 0);
	out(STATUS, 0x3f);
	out(PORT + 2, UHCI_PORT_ENABLED | UHCI_PORT_SUSPENDED);
	fake_set(&env, DEVICE_SETTING_PLUG, UHCI_MOUSE);
	assert_int_equal(in(STATUS), UHCI_STATUS_RESUME);
}

static void a_hub_takes_its_children_along(void **state)
{
	(void)state;
	fake_set(&env, DEVICE_SETTING_UNPLUG, UHCI_HUB);
	assert_int_equal(in(PORT + 2), UHCI_PORT_ALWAYS | UHCI_PORT_CHANGES);
	assert_int_equal(packet(USB_PID_IN, TABLET, 1, env.data, 8), SILENT);
	assert_false(uhci_model.takes_input(env.device, DEVICE_INPUT_PLACE));
	fake_set(&env, DEVICE_SETTING_UNPLUG, UHCI_TABLET); // meanwhile
	fake_save_and_load(&env);
	fake_set(&env, DEVICE_SETTING_PLUG, UHCI_HUB);
	port_enable(1);
	assert_int_equal(packet(USB_PID_IN, MOUSE, 1, env.data, 8), SILENT);
	device_begin(HUB_ADDRESS);
	expect_port(1, POWER, 0);
	expect_port(8, POWER | CONNECTION, CONNECTION);
	expect_no_data(HUB_ADDRESS, 0, USB_SET_CONFIGURATION, 0, 0);
	fake_set(&env, DEVICE_SETTING_PLUG, UHCI_TABLET);
	expect_no_data(HUB_ADDRESS, 0, USB_SET_CONFIGURATION, 1, 0);
	expect_port(1, POWER | CONNECTION, CONNECTION);
	port_enable(1); // resets it
	device_begin(HUB_ADDRESS);
	expect_port(1, POWER | CONNECTION, CONNECTION);
}

int main(void)
{
#define HUB_TEST(name) cmocka_unit_test_setup_teardown(name, begin, teardown)
	const struct CMUnitTest tests[] = {
		HUB_TEST(the_hub_describes_itself),
		HUB_TEST(ports_tell_what_has_changed),
		HUB_TEST(ports_are_suspended_and_disabled),
		HUB_TEST(the_host_is_woken),
		HUB_TEST(a_hub_takes_its_children_along),
	};

	return cmocka_run_group_tests_name("usb_hub", tests, NULL, NULL);
}

// SPDX-License-Identifier: BSD-2-Clause
// The UHCI function: registers, ports, interrupts, resets, states. UHCI Design Guide 1.1.
#include "tests/unit/uhci_bench.h"

enum { THERE = UHCI_PORT_CONNECTED | UHCI_PORT_ALWAYS | UHCI_PORT_D_PLUS };

static void registers_have_their_defaults(void **state)
{
	(void)state;
	assert_int_equal(fake_read(&env, PCIDEV_REGION_CONFIG, 0, 4), 0x70208086);
	assert_int_equal(fake_read(&env, PCIDEV_REGION_CONFIG, 8, 4), 0x0c030001);
	assert_int_equal(fake_read(&env, PCIDEV_REGION_CONFIG, PCIDEV_INTERRUPT_PIN, 1), 4);
	assert_int_equal(fake_read(&env, PCIDEV_REGION_CONFIG, 0x60, 1), 0x10);
	assert_int_equal(fake_read(&env, PCIDEV_REGION_CONFIG, UHCI_LEGACY, 2), 0x2000);
	assert_int_equal(env.region[UHCI_REGION_REGISTERS].base, 0xc000);
	assert_int_equal(env.region[UHCI_REGION_REGISTERS].bytes, 32);
	assert_int_equal(in(COMMAND), 0);
	assert_int_equal(in(STATUS), UHCI_STATUS_HALTED);
	assert_int_equal(in(ENABLES), 0);
	assert_int_equal(in(FRAME), 0);
	assert_int_equal(in(SOF), 64);
	assert_int_equal(in(PORT), THERE | UHCI_PORT_CONNECT_CHANGE);
	assert_int_equal(in(PORT + 4) & UHCI_PORT_ALWAYS, 0); // there is no third port
	assert_int_equal(in(0x0e), 0);
	assert_int_equal(env.deadline[0].ns, GUEST_TIME_NEVER.ns);
}

// Of any size; a byte leaves the other half as it is.
static void registers_can_be_written_in_parts(void **state)
{
	(void)state;
	fake_write(&env, UHCI_REGION_REGISTERS, BASE, 4, 0x12345fff);
	assert_int_equal(fake_read(&env, UHCI_REGION_REGISTERS, BASE, 4), 0x12345000);
	fake_write(&env, UHCI_REGION_REGISTERS, BASE + 3, 1, 0x77);
	assert_int_equal(fake_read(&env, UHCI_REGION_REGISTERS, BASE, 4), 0x77345000);
	assert_int_equal(fake_read(&env, UHCI_REGION_REGISTERS, BASE + 2, 1), 0x34);
	fake_write(&env, UHCI_REGION_REGISTERS, ENABLES, 4, 0x0123ffff);
	assert_int_equal(in(ENABLES), 15);
	assert_int_equal(in(FRAME), 0x123);
	out(FRAME, 0xffff);
	assert_int_equal(in(FRAME), 0x7ff);
	fake_write(&env, UHCI_REGION_REGISTERS, SOF, 1, 0xff);
	assert_int_equal(in(SOF), 0x7f);
	fake_write(&env, UHCI_REGION_REGISTERS, PORT + 1, 1, 0x12);
	assert_int_equal(in(PORT) & (UHCI_PORT_CHANGES | UHCI_PORT_RESET),
		UHCI_PORT_CONNECT_CHANGE | UHCI_PORT_RESET);
	fake_write(&env, UHCI_REGION_REGISTERS, PORT, 1, UHCI_PORT_CONNECT_CHANGE);
	assert_int_equal(in(PORT) & (UHCI_PORT_CHANGES | UHCI_PORT_RESET), UHCI_PORT_RESET);
	fake_write(&env, UHCI_REGION_REGISTERS, PORT, 8, 0); // is none that a PC makes
	assert_int_equal(in(PORT) & UHCI_PORT_RESET, UHCI_PORT_RESET);
	config_write(UHCI_LEGACY, 2, 0xffff);
	assert_int_equal(fake_read(&env, PCIDEV_REGION_CONFIG, UHCI_LEGACY, 2), 0x20bf);
}

// 2.1.1, 2.1.4: the number of the frame, which turns over, while it runs and is not suspended.
static void frames_are_counted_while_it_runs(void **state)
{
	(void)state;
	out(FRAME, 0x7fe);
	out(COMMAND, UHCI_COMMAND_RUN);
	assert_int_equal(in(STATUS), 0);
	run(1);
	assert_int_equal(in(FRAME), 0x7ff);
	out(FRAME, 5); // not now
	run(1);
	assert_int_equal(in(FRAME), 0);
	fake_save_and_load(&env);
	run(2);
	assert_int_equal(in(FRAME), 2);
	out(COMMAND, UHCI_COMMAND_RUN | UHCI_COMMAND_SUSPEND);
	assert_int_equal(env.deadline[0].ns, GUEST_TIME_NEVER.ns);
	run(5);
	assert_int_equal(in(FRAME), 2);
	out(COMMAND, UHCI_COMMAND_RUN);
	run(1);
	assert_int_equal(in(FRAME), 3);
	out(COMMAND, 0);
	assert_int_equal(in(STATUS), UHCI_STATUS_HALTED);
	assert_int_equal(env.deadline[0].ns, GUEST_TIME_NEVER.ns);
	out(STATUS, UHCI_STATUS_HALTED);
	assert_int_equal(in(STATUS), 0);
}

// 2.1.6: 12000 bits a frame, more or less.
static void a_frame_has_the_length_of_the_register(void **state)
{
	(void)state;
	fake_write(&env, UHCI_REGION_REGISTERS, SOF, 1, 0);
	out(COMMAND, UHCI_COMMAND_RUN);
	assert_int_equal(env.deadline[0].ns - env.now.ns, 994666);
}

// What a machine that stood still has missed is made good, up to a point.
static void frames_that_are_missed_are_counted(void **state)
{
	(void)state;
	out(COMMAND, UHCI_COMMAND_RUN);
	env.now.ns += 100 * FRAME_NS;
	fake_advance(&env, 0);
	assert_int_equal(in(FRAME), 100);
	assert_true(env.deadline[0].ns > env.now.ns);
	env.now.ns += 10 * FRAME_NS;
	fake_advance(&env, 0);
	assert_int_equal(in(FRAME), 110);
}

// 2.1.7: a reset, then the driver enables the port.
static void a_port_is_enabled_for_somebody(void **state)
{
	(void)state;
	out(PORT, UHCI_PORT_CONNECT_CHANGE);
	assert_int_equal(in(PORT), THERE);
	out(PORT, UHCI_PORT_RESET | UHCI_PORT_ENABLED);
	assert_int_equal(in(PORT), UHCI_PORT_CONNECTED | UHCI_PORT_ALWAYS | UHCI_PORT_RESET);
	port_enable(0);
	fake_set(&env, DEVICE_SETTING_UNPLUG, UHCI_KEYBOARD);
	assert_int_equal(in(PORT), UHCI_PORT_ALWAYS | UHCI_PORT_CHANGES);
	out(PORT, UHCI_PORT_CHANGES | UHCI_PORT_ENABLED);
	assert_int_equal(in(PORT), UHCI_PORT_ALWAYS);
	fake_set(&env, DEVICE_SETTING_PLUG, UHCI_KEYBOARD);
	assert_int_equal(in(PORT), THERE | UHCI_PORT_CONNECT_CHANGE);
	fake_save_and_load(&env);
	port_enable(0);
	assert_int_equal(packet(USB_PID_IN, 0, 0, env.data, 8), STALLED); // it hears
	out(PORT, 0);
	assert_int_equal(packet(USB_PID_IN, 0, 0, env.data, 8), SILENT);
}

static void what_is_plugged_in_can_be_unplugged(void **state)
{
	const struct device_model *model = &uhci_model;
	struct uhci_device_info info;

	(void)state;
	for (unsigned i = 0; i < UHCI_DEVICES; i++) {
		if (uhci()->places[i] == UHCI_NOWHERE)
			continue;
		assert_false(model->accepts(env.device, DEVICE_SETTING_PLUG, i));
		assert_true(model->accepts(env.device, DEVICE_SETTING_UNPLUG, i));
		fake_set(&env, DEVICE_SETTING_UNPLUG, i);
		assert_true(model->accepts(env.device, DEVICE_SETTING_PLUG, i));
		assert_false(uhci_device_describe(env.device, i, &info));
		fake_save_and_load(&env);
	}
	assert_false(model->accepts(env.device, DEVICE_SETTING_PLUG, UHCI_DEVICES));
	assert_false(model->accepts(env.device, DEVICE_SETTING_BALLOON_PAGES, 0));
	fake_reset(&env, DEVICE_RESET_LINE); // leaves them where they are
	assert_false(uhci_device_describe(env.device, UHCI_KEYBOARD, &info));
	fake_reset(&env, DEVICE_RESET_POWER);
	assert_true(uhci_device_describe(env.device, UHCI_KEYBOARD, &info));
	assert_int_equal(info.port, 1);
	assert_int_equal(info.hub_port, 0);
	assert_string_equal(info.product, "USB Keyboard");
	assert_true(uhci_device_describe(env.device, UHCI_MOUSE, &info));
	assert_int_equal(info.port, 8);
	assert_int_equal(info.hub_port, 2);
	assert_string_equal(uhci_device_name(UHCI_MOUSE), "usb-mouse");
}

// 2.1.1, 2.1.7: a device wakes its port, and a controller that is suspended.
static void a_key_wakes_the_host(void **state)
{
	(void)state;
	port_enable(0);
	device_begin(1);
	out(COMMAND, 0);
	out(STATUS, 0x3f);
	out(ENABLES, UHCI_ENABLE_RESUME);
	out(PORT, UHCI_PORT_ENABLED | UHCI_PORT_SUSPENDED);
	input(DEVICE_INPUT_KEY, 4, true);
	assert_int_equal(in(STATUS), 0); // it may not
	out(PORT, UHCI_PORT_ENABLED);
	expect_no_data(1, USB_TO_DEVICE, USB_SET_FEATURE, USB_FEATURE_REMOTE_WAKEUP, 0);
	out(COMMAND, 0);
	out(PORT, UHCI_PORT_ENABLED | UHCI_PORT_SUSPENDED);
	assert_int_equal(packet(USB_PID_IN, 1, 1, env.data, 8), SILENT);
	out(COMMAND, 0);
	out(STATUS, 0x3f);
	input(DEVICE_INPUT_KEY, 4, false);
	assert_int_equal(in(STATUS), UHCI_STATUS_RESUME);
	assert_int_equal(in(PORT), UHCI_PORT_CONNECTED | UHCI_PORT_ALWAYS | UHCI_PORT_ENABLED |
		UHCI_PORT_SUSPENDED | UHCI_PORT_RESUME | UHCI_PORT_D_MINUS);
	assert_true(interrupts());
	fake_save_and_load(&env);
	out(STATUS, UHCI_STATUS_RESUME);
	assert_false(interrupts());
	out(PORT, UHCI_PORT_ENABLED | UHCI_PORT_SUSPENDED); // the resume ends
	assert_int_equal(in(PORT), THERE | UHCI_PORT_ENABLED);
	out(COMMAND, UHCI_COMMAND_SUSPEND);
	input(DEVICE_INPUT_KEY, 5, true);
	assert_int_equal(in(COMMAND), UHCI_COMMAND_SUSPEND | UHCI_COMMAND_RESUME);
	assert_true(interrupts());
}

static void a_plug_wakes_the_host(void **state)
{
	(void)state;
	out(STATUS, 0x3f);
	fake_set(&env, DEVICE_SETTING_UNPLUG, UHCI_KEYBOARD);
	assert_int_equal(in(STATUS), 0);
	out(ENABLES, UHCI_ENABLE_RESUME);
	out(COMMAND, UHCI_COMMAND_SUSPEND);
	out(STATUS, 0x3f);
	fake_set(&env, DEVICE_SETTING_PLUG, UHCI_KEYBOARD);
	assert_int_equal(in(STATUS), UHCI_STATUS_RESUME);
	assert_true(interrupts());
	config_write(UHCI_LEGACY, 2, 0); // 5.2.1: nobody hears of it
	assert_false(interrupts());
	config_write(UHCI_LEGACY, 2, UHCI_LEGACY_PIRQ);
	assert_true(interrupts());
	config_write(PCIDEV_COMMAND, 2, PCIDEV_COMMAND_INTX_OFF);
	assert_false(interrupts());
}

// 2.1.1: HCRESET and GRESET, in mid-transfer.
static void resets_end_whatever_there_is(void **state)
{
	uint8_t what[8] = {USB_TYPE_READ, USB_GET_DESCRIPTOR, 0, USB_DESCRIPTOR_DEVICE, 0, 0, 18};

	(void)state;
	port_enable(0);
	device_begin(1);
	assert_int_equal(packet(USB_PID_SETUP, 1, 0, what, 8), 8);
	out(ENABLES, 15);
	out(COMMAND, UHCI_COMMAND_RUN | UHCI_COMMAND_RESET);
	assert_int_equal(in(COMMAND), 0);
	assert_int_equal(in(STATUS), UHCI_STATUS_HALTED);
	assert_int_equal(in(ENABLES), 0);
	assert_int_equal(in(FRAME), 0);
	assert_int_equal(fake_read(&env, UHCI_REGION_REGISTERS, BASE, 4), 0);
	assert_int_equal(in(PORT), THERE | UHCI_PORT_CHANGES);
	assert_int_equal(in(PORT + 2), THERE | UHCI_PORT_CONNECT_CHANGE);
	assert_int_equal(env.deadline[0].ns, GUEST_TIME_NEVER.ns);
	fake_write(&env, UHCI_REGION_REGISTERS, BASE, 4, LIST);
	out(PORT, UHCI_PORT_ENABLED); // the device has not been reset
	assert_int_equal(packet(USB_PID_IN, 1, 0, env.data, 8), 8);
	out(COMMAND, UHCI_COMMAND_GLOBAL_RESET);
	assert_int_equal(in(COMMAND), UHCI_COMMAND_GLOBAL_RESET);
	assert_int_equal(in(PORT), THERE | UHCI_PORT_CONNECT_CHANGE);
	fake_save_and_load(&env);
	out(COMMAND, 0);
	fake_write(&env, UHCI_REGION_REGISTERS, BASE, 4, LIST);
	out(PORT, UHCI_PORT_ENABLED);
	assert_int_equal(packet(USB_PID_IN, 1, 0, env.data, 8), SILENT);
	assert_int_equal(packet(USB_PID_IN, 0, 0, env.data, 8), STALLED);
}

static void impossible_states_are_refused(void **state)
{
	struct uhci *of;

	(void)state;
	fake_check_coverage(&uhci_model);
	fake_check_ranges(&env);
	all_begin();
	of = uhci();
	REFUSE(of->done = 1, of->done = 0, "what is done, and is not told");
	REFUSE((of->status |= 8), (of->status &= 0x37), "an interrupt that contradicts itself");
	REFUSE(of->frame_list = 0x1010, of->frame_list = LIST, "a frame list within a page");
	REFUSE(of->ports[0] |= 0x80, of->ports[0] &= 0xff7f, "a port with bits that it has not");
	REFUSE(of->ports[0] |= UHCI_PORT_RESET, of->ports[0] &= (uint16_t)~UHCI_PORT_RESET,
		"a port that is enabled for nobody, or in its reset");
	REFUSE(of->hids[0].usb.plugged = false, of->hids[0].usb.plugged = true,
		"a port that is enabled for nobody, or in its reset");
	REFUSE(of->hubs[0].ports[0].status &= 0xff, of->hubs[0].ports[0].status |= 0x100,
		"a port of a hub in a state that it has not");
	REFUSE(of->hubs[0].ports[0].status &= 0x1fe, of->hubs[0].ports[0].status |= 1,
		"a port of a hub that contradicts who is there");
	REFUSE(of->hubs[0].ports[1].status = 0x102, of->hubs[0].ports[1].status = 0x100,
		"a port of a hub that is enabled for nobody");
	REFUSE(of->hids[1].usb.halted = 4, of->hids[1].usb.halted = 0,
		"an endpoint that a USB device has not");
	REFUSE(of->hids[1].usb.at = 1, of->hids[1].usb.at = 0,
		"a control transfer beyond its data");
	REFUSE(of->hids[1].usb.stage = USB_STAGE_READ, of->hids[1].usb.stage = USB_STAGE_NONE,
		"a control transfer in a stage that is not its own");
	REFUSE(of->places[0] = 2, of->places[0] = 1, "a USB device at another place than in this "
		"machine");
	REFUSE(of->places[0] = 0x11, of->places[0] = 1, "a USB device at another place than in "
		"this machine");
	REFUSE(of->places[0] = 0x10, of->places[0] = 1, "a USB device at another place than in "
		"this machine");
	of->hids[1].usb.setup = UINT64_C(20) << 48;
	of->hids[1].usb.at = 9;
	REFUSE(of->hids[1].usb.stage = USB_STAGE_WRITE, of->hids[1].usb.stage = USB_STAGE_NONE,
		"a control transfer with more data than there can be");
	of->hids[1].usb.model = NULL;
	assert_string_equal(uhci_model.state->check(of), "a USB device that the machine has not");
	of->hids[1].usb.model = &usb_tablet_model;
	out(COMMAND, UHCI_COMMAND_RUN);
	REFUSE(of->frame_end = GUEST_TIME_NEVER, of->frame_end.ns = 5, "a frame without end");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(registers_have_their_defaults),
		TEST(registers_can_be_written_in_parts),
		TEST(frames_are_counted_while_it_runs),
		TEST(a_frame_has_the_length_of_the_register),
		TEST(frames_that_are_missed_are_counted),
		TEST(a_port_is_enabled_for_somebody),
		TEST(what_is_plugged_in_can_be_unplugged),
		TEST(a_key_wakes_the_host),
		TEST(a_plug_wakes_the_host),
		TEST(resets_end_whatever_there_is),
		TEST(impossible_states_are_refused),
	};

	return cmocka_run_group_tests_name("uhci", tests, NULL, NULL);
}

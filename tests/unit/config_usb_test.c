// SPDX-License-Identifier: BSD-2-Clause
// usb, of a [vm NAME].
#include "tests/unit/config_bench.h"

static void test_usb(void **state)
{
	static const uint8_t wanted[] = {CONFIG_USB_TABLET, CONFIG_USB_HUB, CONFIG_USB_KEYBOARD,
		CONFIG_USB_MOUSE};

	(void)state;
	assert_int_equal(parse(VM), STATUS_OK);
	assert_int_equal(config.vms[0].usb.count, 0);
	assert_int_equal(parse(VM "usb = usb-tablet,usb-hub ,\tusb-kbd, usb-mouse\n"), STATUS_OK);
	assert_int_equal(config.vms[0].usb.count, 4);
	assert_memory_equal(config.vms[0].usb.devices, wanted, 4);
	assert_int_equal(parse(VM "usb = usb-hub\n"), STATUS_OK);
	assert_int_equal(parse(VM "usb = usb-kbd, usb-tablet\n"), STATUS_OK);
	assert_int_equal(config.vms[0].usb.count, 2);
}

#define WORDS                                                                                      \
	"reprise.ini:4: usb: expected a list of usb-kbd, usb-tablet, usb-mouse and usb-hub, got "

static void test_bad_usb(void **state)
{
	(void)state;
	expect_vm_error("usb =", WORDS "\"\"");
	expect_vm_error("usb = usb-kbd,", WORDS "\"usb-kbd,\"");
	expect_vm_error("usb = usb-kbd usb-mouse", WORDS "\"usb-kbd usb-mouse\"");
	expect_vm_error("usb = usb-storage", WORDS "\"usb-storage\"");
	expect_vm_error("usb = usb-kbd, usb-kbd",
		"reprise.ini:4: usb: expected each device once, got \"usb-kbd, usb-kbd\"");
	expect_vm_error("usb = usb-kbd,usb-mouse,usb-tablet", "reprise.ini:4: usb: expected "
		"usb-hub among more than 2 devices, got \"usb-kbd,usb-mouse,usb-tablet\"");
}

#define DISK(name) "[disk " name "]\nvm = a\nmedium = ram:4K\ninterface = usb\n"

static void test_disks(void **state)
{
	(void)state;
	assert_int_equal(parse(VM DISK("a") DISK("b")), STATUS_OK);
	assert_int_equal(config.disks[1].interface, CONFIG_DISK_USB);
	assert_int_equal(parse(VM "usb = usb-hub, usb-kbd\n" DISK("a") DISK("b") DISK("c")
		DISK("d")), STATUS_OK);
	expect_error(VM DISK("a") DISK("b") DISK("c"), "reprise.ini:12: interface: expected "
		"usb-hub in usb beside more than 2 devices");
	expect_error(VM "usb = usb-kbd\n" DISK("a") DISK("b"), "reprise.ini:9: interface: expected "
		"usb-hub in usb beside more than 2 devices");
	expect_error(VM "usb = usb-hub\n" DISK("a") DISK("b") DISK("c") DISK("d") DISK("e"),
		"reprise.ini:21: interface: expected at most 4 disks of a VM with usb");
	expect_error(VM DISK("a") "plugged = off\n",
		"reprise.ini:4: plugged: expected on where interface = usb, got off");
	expect_error(VM DISK("a") "dataplane = 1\n",
		"reprise.ini:4: dataplane: expected interface = virtio beside it");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_usb),
		cmocka_unit_test(test_bad_usb),
		cmocka_unit_test(test_disks),
	};

	return cmocka_run_group_tests_name("config_usb", tests, NULL, NULL);
}

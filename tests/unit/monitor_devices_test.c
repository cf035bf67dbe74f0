// SPDX-License-Identifier: BSD-2-Clause
// The monitor's commands that set something of a device.
#include "tests/unit/monitor_fake.h"

static void test_block_resize(void **state)
{
	(void)state;
	machines_add();
	first->vm = &machine;
	monitor_machine_select(first);
	machine.media[1].bytes = 4 * MIB;
	set_answer = STATUS_OK;
	check("block_resize data 5", "");
	check("block_resize data 1536K", "");
	assert_string_equal(calls, "set 0 5242880 set 0 1572864 ");
	check("block_resize root 5", "Error: Cannot find device 'root'\r\n");
	check("block_resize data 5MB", "Error: '5MB' is not a size such as 512M\r\n");
	check("block_resize data 0", "Error: '0' is not a size such as 512M\r\n");
	check("block_resize data 1T", "Error: not so much memory is free: 200 MiB\r\n");
	set_answer = STATUS_INVALID;
	check("block_resize data 5",
		"Error: a disk's size is in steps of 512 bytes, up to 64G\r\n");
	set_answer = STATUS_BUSY;
	check("block_resize data 5", "Error: the last change has not taken place yet\r\n");
	set_answer = STATUS_REFUSED;
	machine.state = VM_CREATED;
	check("block_resize data 5", "Error: the machine is not running (created)\r\n");
	first->vm = NULL;
	check_contains("block_resize data 5", "Error: machine 'one' is not created");
	check_contains("help block_resize", "block_resize device size -- ");
}

static void test_balloon(void **state)
{
	(void)state;
	check("balloon 100", "Error: No balloon device has been activated\r\n");
	check("info balloon", "Error: No balloon device has been activated\r\n");
	machine.config.balloon = true;
	set_answer = STATUS_OK;
	check("balloon 224", "");
	check("balloon 256M", "");
	assert_string_equal(calls, "set 1 8192 set 1 0 ");
	check("balloon 257",
		"Error: '257' is not a size such as 512M, up to the machine's memory\r\n");
	check("balloon 0", "Error: '0' is not a size such as 512M, up to the machine's memory\r\n");
	check("info balloon", "balloon: actual=240 wanted=224 free_mem=100\r\n");
}

static void test_cd(void **state)
{
	static const struct vm_disk_config disks[] = {{.name = "cd", .is_cd = true},
		{.name = "second", .kind = VM_DISK_DISC, .is_cd = true}, {.name = "data"}};

	(void)state;
	memcpy(machine.config.disks, disks, sizeof(disks));
	machine.config.disk_count = 3;
	set_answer = STATUS_OK;
	check("eject cd", "");
	check("eject -f cd", "");
	check("change cd second", "");
	check("change -f cd cd", "");
	assert_string_equal(calls, "set 4 2 set 4 65538 set 5 1282 set 5 66050 ");
	set_cd.locked = true;
	check("eject cd", "Error: Device 'cd' is locked and force was not specified, wait for tray "
		"to open and try again\r\n");
	check("eject -f cd", "");
	set_cd.locked = false;
	check("eject data", "Error: Device 'data' is not removable\r\n");
	check("eject dvd", "Error: Device 'dvd' not found\r\n");
	check("eject -f", "Error: eject [-f] device\r\n");
	check("change cd second third", "Error: change [-f] device disc\r\n");
	check("change cd data",
		"Error: there is no disc 'data' for drive 'cd' in the configuration\r\n");
	check("change cd third",
		"Error: there is no disc 'third' for drive 'cd' in the configuration\r\n");
	set_answer = STATUS_BUSY;
	check("eject cd", "Error: the last change has not taken place yet\r\n");
	machine.config.disk_count = 0;
}

static void test_hotplug(void **state)
{
	(void)state;
	machine.hotplug = &set_hotplug;
	machine.state = VM_RUNNING;
	set_answer = STATUS_OK;
	set_power.level = false;
	check("device_del data", "Error: Device 'data' not found\r\n");
	check("device_add virtio-blk-pci,drive=data", "");
	check("device_add virtio-blk-pci,id=data,drive=data", "");
	assert_string_equal(calls, "set 2 4 set 2 4 ");
	check("device_add virtio-blk-pci,id=disk,drive=data",
		"Error: the id of this disk is 'data'\r\n");
	check("device_add virtio-blk-pci,drive=root",
		"Error: no disk 'root' in the configuration\r\n");
	check("device_add virtio-blk-pci", "Error: drive property not set\r\n");
	check("device_add virtio-blk-pci,", "Error: Property '' not found\r\n");
	check("device_add virtio-blk-pci,drive=data,bus=pci.0",
		"Error: Property 'bus=pci.0' not found\r\n");
	check("device_add e1000,drive=data",
		"Error: 'e1000' is not a valid device model name\r\n");
	set_power.level = true;
	check("device_add virtio-blk-pci,drive=data", "Error: Duplicate device ID 'data'\r\n");
	calls[0] = '\0';
	check("device_del data", "");
	assert_string_equal(calls, "set 3 4 ");
	check("device_del root", "Error: Device 'root' not found\r\n");
	set_answer = STATUS_BUSY;
	check("device_del data", "Error: the last change has not taken place yet\r\n");
	set_answer = STATUS_REFUSED;
	machine.state = VM_ENDED;
	check_contains("device_del data", "Error: the machine is not running (");
}

static void usb_begin(void)
{
	static const struct uhci_config config = {.places = {[UHCI_KEYBOARD] = 1, [UHCI_HUB] = 2,
		[UHCI_TABLET] = UHCI_BEHIND_HUB + 3}};
	struct device *usb = &set_uhci.pci.device;

	machine.config.usb_count = 3;
	usb->id = 5;
	usb->model = &uhci_model;
	uhci_configure(usb, &config);
	set_uhci.hids[0].usb.plugged = set_uhci.hids[1].usb.plugged = true;
	set_uhci.hubs[0].usb.plugged = true;
	set_uhci.hids[1].usb.address = 12;
	machine.state = VM_RUNNING;
	set_answer = STATUS_OK;
	calls[0] = '\0';
}

static void test_info_usb(void **state)
{
	(void)state;
	usb_begin();
	check("info usb", "  Device 0.0, Port 1, Speed 12 Mb/s, Product USB Keyboard, "
		"ID: usb-kbd\r\n"
		"  Device 0.12, Port 2.3, Speed 12 Mb/s, Product USB Tablet, "
		"ID: usb-tablet\r\n"
		"  Device 0.0, Port 2, Speed 12 Mb/s, Product USB Hub, ID: usb-hub\r\n");
	machine.config.usb_count = 0;
	check("info usb", "USB support not enabled\r\n");
	check("device_del usb-kbd", "Error: Device 'usb-kbd' not found\r\n");
	check("device_add usb-kbd", "Error: no device 'usb-kbd' in the configuration\r\n");
	machine.config.usb_count = 3;
}

static void test_usb_plug(void **state)
{
	(void)state;
	usb_begin();
	check("device_del usb-tablet", "");
	set_uhci.hids[1].usb.plugged = false;
	check("device_del usb-tablet", "Error: Device 'usb-tablet' not found\r\n");
	check("device_add usb-tablet", "");
	assert_string_equal(calls, "set 3 1 set 2 1 ");
	set_answer = STATUS_INVALID;
	check("device_add usb-kbd", "Error: Duplicate device ID 'usb-kbd'\r\n");
	check("device_add usb-mouse", "Error: no device 'usb-mouse' in the configuration\r\n");
	check("device_add usb-mouse,drive=data",
		"Error: 'usb-mouse' is not a valid device model name\r\n");
	calls[0] = '\0';
	set_answer = STATUS_OK;
	check("device_add usb-storage,drive=stick", "");
	assert_string_equal(calls, "set 2 4 ");
	check("device_add usb-storage,drive=other",
		"Error: 'usb-storage' is not a valid device model name\r\n");
	check("device_del stick", "Error: Device 'stick' not found\r\n");
	set_answer = STATUS_BUSY;
	check("device_del usb-hub", "Error: the last change has not taken place yet\r\n");
}

// A part after another, as long as nothing is in the way.
static void test_commit(void **state)
{
	struct region region = {.bytes = 8 * MIB};
	struct vm_disk_region below = {.region = &region, .source = "disk:0", .hash_known = true};

	(void)state;
	first->vm = &machine;
	machine.config.disk_count = 2;
	machine.config.disks[0] = (struct vm_disk_config){.name = "other"};
	machine.config.disks[1] = (struct vm_disk_config){.name = "data", .overlay_bytes = MIB,
		.region = &below};
	check("commit other", "Error: there is no disk 'other' with snapshot = on\r\n");
	check("commit x", "Error: there is no disk 'x' with snapshot = on\r\n");
	overlaid.claim = STATUS_BUSY;
	check("commit data", "Error: disk data: disk:0: some of it is read by disk other\r\n");
	overlaid.claim = STATUS_OK;
	region.read_only = true;
	check("commit data", "Error: disk data: disk:0 cannot be written\r\n");
	region.read_only = false;
	assert_int_equal(overlaid.begun, 0);
	assert_int_equal(below.commits, 0);
	assert_true(below.hash_known);
	machine.holds = 1;
	overlaid.parts = 3;
	check("commit data", "");
	assert_int_equal(overlaid.begun, 4);
	assert_int_equal(overlaid.homes, 5); // the first time it was held
	assert_int_equal(below.commits, 1);
	assert_false(below.hash_known);
	assert_int_equal(overlaid.use, REGION_READ);
	overlaid.refused_at = 1;
	overlaid.answer = STATUS_IO;
	check("commit all", "Error: disk data: input/output error in the part at 2 MiB; what has "
		"not been written is in the overlay still\r\n");
	assert_int_equal(overlaid.use, REGION_READ);
	overlaid.refused_at = UINT64_MAX;
	overlaid.begun = overlaid.homes = pauses = 0;
	machine.holds = interrupt_at_pause = 1; // Ctrl-C: it ends behind the part
	typed("commit data\r");
	loop();
	assert_int_equal(overlaid.begun, 1);
	interrupt_at_pause = 0;
	machine.config.disk_count = 0;
	check("commit all", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_block_resize, setup),
		cmocka_unit_test_setup(test_balloon, setup),
		cmocka_unit_test_setup(test_cd, setup),
		cmocka_unit_test_setup(test_hotplug, setup),
		cmocka_unit_test_setup(test_info_usb, setup),
		cmocka_unit_test_setup(test_usb_plug, setup),
		cmocka_unit_test_setup(test_commit, setup),
	};

	return cmocka_run_group_tests_name("monitor_devices", tests, NULL, NULL);
}

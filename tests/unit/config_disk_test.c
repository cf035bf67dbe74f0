// SPDX-License-Identifier: BSD-2-Clause
// [disk NAME].
#include "tests/unit/config_bench.h"

static void test_disks(void **state)
{
	(void)state;
	assert_int_equal(parse("[disk root]\nvm = two\nmedium = image:/images/root.img\n"
			       "readonly = on\ntest_delay = 3\ninterface = virtio\n"
			       "[vm one]\nmemory = 2M\nkernel = k\n"
			       "[vm two]\nmemory = 2M\nkernel = k\n"
			       "[disk scratch]\nvm = one\nmedium = ram:1536\nplugged = off\n"),
		STATUS_OK);
	assert_int_equal(config.disk_count, 2);
	assert_string_equal(config.disks[0].name, "root");
	assert_string_equal(config.disks[0].vm, "two");
	assert_string_equal(config.disks[0].medium.path, "images/root.img");
	assert_int_equal(config.disks[0].medium.bytes, 0);
	assert_true(config.disks[0].readonly && config.disks[0].plugged);
	assert_int_equal(config.disks[0].delay, 3);
	assert_int_equal(config.disks[0].interface, CONFIG_DISK_VIRTIO);
	assert_string_equal(config.disks[1].vm, "one");
	assert_int_equal(config.disks[1].medium.bytes, 1536);
	assert_false(config.disks[1].readonly || config.disks[1].plugged);
}

#define CD "[disk cd]\nvm = a\nmedia = cdrom\ninterface = ide\n"

static void test_cds(void **state)
{
	(void)state;
	assert_int_equal(parse("[vm a]\nmemory = 2M\nkernel = k\n"
		"[disk second]\nvm = a\nmedia = cdrom\ndrive = cd\nmedium = image:two.iso\n"
		CD "readonly = on\n"), STATUS_OK);
	assert_int_equal(config.disks[0].media, CONFIG_MEDIA_CDROM);
	assert_string_equal(config.disks[0].drive, "cd");
	assert_int_equal(config.disks[1].medium.kind, CONFIG_MEDIUM_RAM); // with nothing in it
	assert_int_equal(config.disks[1].medium.bytes, 0);
	expect_vm_error("[disk d]\nvm = a\nmedia = dvd",
		"reprise.ini:6: media: expected disk or cdrom, got \"dvd\"");
	expect_vm_error("[disk d]\nvm = a\nmedia = cdrom",
		"reprise.ini:4: interface: expected ide where media = cdrom, got virtio");
	expect_vm_error(CD "snapshot = on",
		"reprise.ini:4: snapshot: expected off where media = cdrom, got on");
	expect_vm_error(CD "plugged = off",
		"reprise.ini:4: plugged: expected on where media = cdrom, got off");
	expect_vm_error(CD "dataplane = 1",
		"reprise.ini:4: dataplane: expected no such key where media = cdrom, got one");
	expect_vm_error(CD "drive = cd",
		"reprise.ini:4: medium: expected this key in the section, got none");
	expect_vm_error(CD "medium = ram:4K\ndrive = cd",
		"reprise.ini:4: interface: expected no such key beside drive, got one");
	expect_vm_error("[disk d]\nvm = a\nmedium = ram:4K\ndrive = cd",
		"reprise.ini:4: media: expected cdrom beside drive, got disk");
	expect_vm_error("[disk d]\nvm = a\nmedium = ram:4K\nmedia = cdrom\ndrive = d",
		"reprise.ini:4: drive: expected the name of a [disk NAME] of the same VM with "
		"media = cdrom");
}

static void test_regions(void **state)
{
	static const char *const media[] = {"disk:vda", "disk:7", "partition:a label",
		"file:logs/one.img"};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(media); i++) {
		char text[256];

		snprintf(text, sizeof(text), "[vm a]\nmemory = 2M\nkernel = k\n[disk d]\nvm = a\n"
			"medium = %s\n", media[i]);
		assert_int_equal(parse(text), STATUS_OK);
		assert_int_equal(config.disks[0].medium.kind, CONFIG_MEDIUM_REGION);
		assert_string_equal(config.disks[0].medium.region, media[i]);
	}
	assert_int_equal(parse("[vm a]\nmemory = 2M\nkernel = k\n[disk d]\nvm = a\n"
		"medium = file:\\logs//one.img\n"), STATUS_OK);
	assert_string_equal(config.disks[0].medium.region, "file:logs/one.img");
	assert_int_equal(parse("[vm a]\nmemory = 2M\nkernel = k\n[disk d]\nvm = a\n"
		"medium = ram:4K\nbps = 1M\nbps_max = 3M\nbps_max_length = 60\niops = 100\n"),
		STATUS_OK);
	assert_int_equal(config.disks[0].bps.average, 1 << 20);
	assert_int_equal(config.disks[0].bps.burst, 3 << 20);
	assert_int_equal(config.disks[0].bps.burst_seconds, 60);
	assert_int_equal(config.disks[0].iops.average, 100);
	assert_int_equal(parse("[vm a]\nmemory = 2M\nkernel = k\n[disk d]\nvm = a\n"
		"medium = disk:0\nsnapshot = on\nsnapshot_memory = 64M\n"), STATUS_OK);
	assert_true(config.disks[0].snapshot);
	assert_int_equal(config.disks[0].snapshot_memory, 64 << 20);
}

static void test_bad_disks(void **state)
{
	char text[2048] = "test_disk = 4K\n";

	(void)state;
	expect_vm_error("[disk]", "reprise.ini:4: [disk]: expected [disk NAME], got no name");
	expect_vm_error("[disk d]\nvm = a",
		"reprise.ini:4: medium: expected this key in the section, got none");
	expect_vm_error("[disk d]\nmedium = ram:4K",
		"reprise.ini:4: vm: expected this key in the section, got none");
	expect_vm_error("[disk d]\nvm = b\nmedium = ram:4K",
		"reprise.ini:4: vm: expected the name of a [vm NAME] section, got \"b\"");
	expect_vm_error("[disk d]\nvm = a\nmedium = ram:4K\n[disk d]",
		"reprise.ini:7: [disk]: expected a name that no other disk has, got \"d\"");
	expect_vm_error("[disk d]\nmedium = ram:100",
		"reprise.ini:5: medium: expected ram: with a size in steps of 512, up to 64G, "
		"got \"ram:100\"");
	expect_vm_error("[disk d]\nmedium = ram:0",
		"reprise.ini:5: medium: expected ram: with a size in steps of 512, up to 64G, "
		"got \"ram:0\"");
	expect_vm_error("[disk d]\nmedium = image:../x",
		"reprise.ini:5: medium: expected a path without .. and control characters, "
		"got \"image:../x\"");
	expect_vm_error("[disk d]\nmedium = disk.img",
		"reprise.ini:5: medium: expected ram:SIZE, image:PATH, disk:NAME, partition:NAME "
		"or file:PATH, got \"disk.img\"");
	expect_vm_error("[disk d]\nmedium = disk:",
		"reprise.ini:5: medium: expected disk: or partition: with a name of 1 to 36 "
		"letters of ASCII, got \"disk:\"");
	expect_vm_error("[disk d]\nmedium = partition:a\tb",
		"reprise.ini:5: medium: expected disk: or partition: with a name of 1 to 36 "
		"letters of ASCII, got \"partition:a?b\"");
	expect_vm_error("[disk d]\nmedium = file:../x",
		"reprise.ini:5: medium: expected a path without .. and control characters, "
		"got \"file:../x\"");
	expect_vm_error("[disk d]\nsnapshot_memory = 512K",
		"reprise.ini:5: snapshot_memory: expected a size from 1M to 64G, got \"512K\"");
	expect_vm_error("[disk d]\nvm = a\nmedium = ram:4K\nsnapshot_memory = 2M",
		"reprise.ini:4: snapshot_memory: expected snapshot = on beside it");
	expect_vm_error("[disk d]\nvm = a\nmedium = ram:4K\nsnapshot = on\nreadonly = on",
		"reprise.ini:4: snapshot: expected off where readonly = on, got on");
	expect_vm_error("[disk d]\niops = 0",
		"reprise.ini:5: iops: expected so many a second, from 1 to 10G, got \"0\"");
	expect_vm_error("[disk d]\niops_max_length = 3601",
		"reprise.ini:5: iops_max_length: expected seconds, from 1 to 3600, got \"3601\"");
	expect_vm_error("[disk d]\nvm = a\nmedium = ram:4K\nbps_max = 2M",
		"reprise.ini:4: bps: expected this key beside its _max, got none");
	expect_vm_error("[disk d]\nvm = a\nmedium = ram:4K\nbps = 2M\nbps_max = 1M",
		"reprise.ini:4: bps: expected no more than where it is allowed to burst to");
	expect_vm_error("[disk d]\nvm = a\nmedium = ram:4K\niops = 2\niops_max_length = 2",
		"reprise.ini:4: iops_max: expected this key beside its _length, got none");
	expect_vm_error("[disk d]\ninterface = scsi",
		"reprise.ini:5: interface: expected virtio, ide, ahci or usb, got \"scsi\"");
	expect_vm_error("[disk d]\nvm =",
		"reprise.ini:5: vm: expected a name of 1 to 31 characters, got \"\"");
	for (unsigned i = 0; i < 8; i++) // beside the one for tests
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
			"[disk d%u]\nvm = a\nmedium = ram:4K\n", i);
	expect_vm_error(text, "reprise.ini:26: [disk]: expected at most 8 disks of a VM, "
		"got \"d7\"");
}

static void test_bad_ide_disks(void **state)
{
	char text[1024] = "";

	(void)state;
	expect_error("[disk d]\nvm = q\nmedium = ram:4K\ninterface = ide\n[vm q]\nmemory = 2M\n"
		"kernel = k\nmachine = q35\n", "reprise.ini:1: interface: expected virtio or "
		"ahci where the machine is a q35, got ide");
	expect_vm_error("[disk d]\nvm = a\nmedium = ram:4K\ninterface = ide\nreadonly = on",
		"reprise.ini:4: readonly: expected off where interface = ide or ahci, got on");
	expect_vm_error("[disk d]\nvm = a\nmedium = ram:4K\ninterface = ide\nplugged = off",
		"reprise.ini:4: plugged: expected on where interface = ide or ahci, got off");
	expect_vm_error("[disk d]\nvm = a\nmedium = ram:4K\ninterface = ide\ndataplane = 1",
		"reprise.ini:4: dataplane: expected interface = virtio beside it");
	for (unsigned i = 0; i < 5; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
			"[disk d%u]\nvm = a\nmedium = ram:4K\ninterface = ide\n", i);
	expect_vm_error(text, "reprise.ini:20: interface: expected at most 4 disks of a VM with "
		"ide");
}

static void test_bad_ahci_disks(void **state)
{
	char text[1024] = "";

	(void)state;
	expect_vm_error("[disk d]\nvm = a\nmedium = ram:4K\ninterface = ahci\nreadonly = on",
		"reprise.ini:4: readonly: expected off where interface = ide or ahci, got on");
	for (unsigned i = 0; i < 7; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
			"[disk d%u]\nvm = a\nmedium = ram:4K\ninterface = ahci\n", i);
	expect_vm_error(text, "reprise.ini:28: interface: expected at most 6 disks of a VM with "
		"ahci");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_disks),
		cmocka_unit_test(test_cds),
		cmocka_unit_test(test_regions),
		cmocka_unit_test(test_bad_disks),
		cmocka_unit_test(test_bad_ide_disks),
		cmocka_unit_test(test_bad_ahci_disks),
	};

	return cmocka_run_group_tests_name("config_disk", tests, NULL, NULL);
}

// SPDX-License-Identifier: BSD-2-Clause
// [nic NAME].
#include "tests/unit/config_bench.h"

static void test_nics(void **state)
{
	static const uint8_t given[] = {0x52, 0x54, 0x00, 0xab, 0xCD, 0xef};
	uint8_t derived[2][CONFIG_MAC_BYTES];

	(void)state;
	assert_int_equal(parse("[nic a]\nvm = two\nmac = 52:54:00:ab:CD:ef\nswitch = inner\n"
			       "model = virtio\n"
			       "[vm one]\nmemory = 2M\nkernel = k\n"
			       "[vm two]\nmemory = 2M\nkernel = k\n"
			       "[nic b]\nvm = one\n[nic c]\nvm = two\n"),
		STATUS_OK);
	assert_int_equal(config.nic_count, 3);
	assert_string_equal(config.nics[0].name, "a");
	assert_string_equal(config.nics[0].vm, "two");
	assert_string_equal(config.nics[0].network, "inner");
	assert_memory_equal(config.nics[0].mac, given, sizeof(given));
	assert_int_equal(config.nics[0].model, CONFIG_NIC_VIRTIO);
	assert_string_equal(config.nics[1].network, "lan");
	for (unsigned i = 0; i < 2; i++) {
		memcpy(derived[i], config.nics[1 + i].mac, sizeof(derived[i]));
		assert_int_equal(derived[i][0], 2); // locally administered, of one station
	}
	assert_memory_not_equal(derived[0], derived[1], sizeof(derived[0]));
	// The same each time, whatever else there is.
	assert_int_equal(parse("[vm two]\nmemory = 4M\nkernel = k\n[nic c]\nvm = two\n"),
		STATUS_OK);
	assert_memory_equal(config.nics[0].mac, derived[1], sizeof(derived[1]));
	// One address may be in two switches.
	assert_int_equal(parse(VM "[nic a]\nvm = a\nmac = 02:00:00:00:00:01\n"
			       "[nic b]\nvm = a\nmac = 02:00:00:00:00:01\nswitch = other\n"),
		STATUS_OK);
}

#define MAC                                                                                        \
	"reprise.ini:5: mac: expected an address of one station, such as 02:00:00:00:00:01, got "

static void test_bad_nics(void **state)
{
	char text[2048] = "";

	(void)state;
	expect_vm_error("[nic]", "reprise.ini:4: [nic]: expected [nic NAME], got no name");
	expect_vm_error("[nic n]",
		"reprise.ini:4: vm: expected this key in the section, got none");
	expect_vm_error("[nic n]\nvm = b",
		"reprise.ini:4: vm: expected the name of a [vm NAME] section, got \"b\"");
	expect_vm_error("[nic n]\nvm = a\n[nic n]",
		"reprise.ini:6: [nic]: expected a name that no other NIC has, got \"n\"");
	expect_vm_error("[nic 01234567890123456789012345678901]",
		"reprise.ini:4: [nic]: expected a name of at most 31 characters, "
		"got \"01234567890123456789012345678901\"");
	expect_vm_error("[nic n]\nmac = 02:00:00:00:00", MAC "\"02:00:00:00:00\"");
	expect_vm_error("[nic n]\nmac = 02-00-00-00-00-01", MAC "\"02-00-00-00-00-01\"");
	expect_vm_error("[nic n]\nmac = 02:00:00:00:00:0g", MAC "\"02:00:00:00:00:0g\"");
	expect_vm_error("[nic n]\nmac = 03:00:00:00:00:01", MAC "\"03:00:00:00:00:01\"");
	expect_vm_error("[nic n]\nmac = 00:00:00:00:00:00", MAC "\"00:00:00:00:00:00\"");
	expect_vm_error("[nic n]\nmodel = e1000",
		"reprise.ini:5: model: expected virtio, got \"e1000\"");
	expect_vm_error("[nic n]\nswitch =",
		"reprise.ini:5: switch: expected a name of 1 to 31 characters, got \"\"");
	expect_vm_error("[nic n]\ncolour = red",
		"reprise.ini:5: key: expected one of vm, switch, mac, model, got \"colour\"");
	expect_vm_error("[nic n]\nvm = a\nmac = 02:00:00:00:00:01\n"
			"[nic m]\nvm = a\nmac = 02:00:00:00:00:01",
		"reprise.ini:7: mac: expected an address that no other NIC of the switch has");
	for (unsigned i = 0; i < 5; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
			"[nic n%u]\nvm = a\n", i);
	expect_vm_error(text, "reprise.ini:12: [nic]: expected at most 4 NICs of a VM, "
		"got \"n4\"");
	text[0] = '\0';
	for (unsigned i = 0; i < 33; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
			"[nic n%u]\nvm = a\n", i);
	expect_vm_error(text, "reprise.ini:68: [nic]: expected at most 32 NICs, got \"n32\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nics),
		cmocka_unit_test(test_bad_nics),
	};

	return cmocka_run_group_tests_name("config_nic", tests, NULL, NULL);
}

// SPDX-License-Identifier: BSD-2-Clause
// What a guest begins with: firmware, and where its log goes.
#include "tests/unit/config_bench.h"

static void test_firmware(void **state)
{
	static const struct {
		const char *value, *path;
		uint16_t pm_base;
	} good[] = {{"seabios", "firmware/bios-256k.bin", 0x600},
		{"ovmf", "firmware/OVMF.fd", 0xb000}};
	char text[128];

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(good); i++) {
		snprintf(text, sizeof(text), "[vm a]\nmemory = 64M\nfirmware = %s\n",
			good[i].value);
		assert_int_equal(parse(text), STATUS_OK);
		assert_string_equal(config_firmware_path(&config.vms[0]), good[i].path);
		assert_int_equal(config_firmware_pm_base(&config.vms[0]), good[i].pm_base);
		assert_string_equal(config.vms[0].kernel, "");
	}
	assert_int_equal(parse(VM), STATUS_OK);
	assert_null(config_firmware_path(&config.vms[0]));
	assert_int_equal(config_firmware_pm_base(&config.vms[0]), 0);
	assert_int_equal(parse("[vm a]\nmemory = 64M\nfirmware = ovmf\nmachine = q35\n"),
		STATUS_OK);
	assert_int_equal(config_firmware_pm_base(&config.vms[0]), 0);
	expect_vm_error("firmware = bios",
		"reprise.ini:4: firmware: expected none, seabios or ovmf, got \"bios\"");
	expect_error("[vm a]\nmemory = 64M\nfirmware = none\n",
		"reprise.ini:1: kernel: expected this key in the section, or firmware, "
		"got neither");
	expect_error("[vm a]\nmemory = 64M\nfirmware = ovmf\ncmdline = quiet\n",
		"reprise.ini:4: cmdline: expected no such key beside firmware, which boots from "
		"disks");
}

#define OVMF "[vm a]\nmemory = 64M\nfirmware = ovmf\n"

static void test_pflash(void **state)
{
	static const struct {
		const char *value, *region; // NULL: refused
	} table[] = {{"partition:vars of ovmf", "partition:vars of ovmf"},
		{"disk:vda", "disk:vda"}, {"disk:1", "disk:1"},
		{"file:EFI\\vars.fd", "file:EFI/vars.fd"}, {"ram:1M", NULL}, {"vars", NULL},
		{"disk:", NULL}, {"file:", NULL}, {"file:../vars", NULL},
		{"partition:0123456789012345678901234567890123456", NULL}};
	char text[256];

	(void)state;
	assert_int_equal(parse(OVMF), STATUS_OK);
	assert_null(config_flash_path(&config.vms[0]));
	for (unsigned i = 0; i < ARRAY_COUNT(table); i++) {
		snprintf(text, sizeof(text), OVMF "pflash = %s\n", table[i].value);
		assert_int_equal(parse(text), table[i].region != NULL ? STATUS_OK
								      : STATUS_INVALID);
		if (table[i].region == NULL)
			continue;
		assert_string_equal(config.vms[0].pflash, table[i].region);
		assert_string_equal(config_firmware_path(&config.vms[0]),
			"firmware/OVMF_CODE_4M.fd");
		assert_string_equal(config_flash_path(&config.vms[0]),
			"firmware/OVMF_VARS_4M.fd");
	}
	expect_error(OVMF "pflash = vda\n", "reprise.ini:4: pflash: expected disk:NAME, "
		"partition:NAME or file:PATH, got \"vda\"");
	expect_vm_error("pflash = disk:0",
		"reprise.ini:4: pflash: expected firmware = ovmf in the section too, got another");
}

static void test_debugcon(void **state)
{
	(void)state;
	assert_int_equal(parse(VM "debugcon = 0x402\n"), STATUS_OK);
	assert_int_equal(config.vms[0].debugcon, 0x402);
	assert_int_equal(parse(VM "debugcon = off\n"), STATUS_OK);
	assert_int_equal(config.vms[0].debugcon, 0);
	expect_vm_error("debugcon = 65536",
		"reprise.ini:4: debugcon: expected on, off or a port, got \"65536\"");
}

static void test_display(void **state)
{
	(void)state;
	assert_int_equal(parse(VM), STATUS_OK);
	assert_int_equal(config.vms[0].display, CONFIG_DISPLAY_NONE);
	assert_int_equal(parse(VM "display = vga\n"), STATUS_OK);
	assert_int_equal(config.vms[0].display, CONFIG_DISPLAY_VGA);
	assert_null(config_display_path(CONFIG_DISPLAY_VGA, CONFIG_FIRMWARE_NONE));
	assert_null(config_display_path(CONFIG_DISPLAY_VGA, CONFIG_FIRMWARE_OVMF));
	assert_null(config_display_path(CONFIG_DISPLAY_NONE, CONFIG_FIRMWARE_SEABIOS));
	assert_string_equal(config_display_path(CONFIG_DISPLAY_VGA, CONFIG_FIRMWARE_SEABIOS),
		"firmware/vgabios-stdvga.bin");
	expect_vm_error("display = std",
		"reprise.ini:4: display: expected none or vga, got \"std\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_firmware),
		cmocka_unit_test(test_pflash),
		cmocka_unit_test(test_debugcon),
		cmocka_unit_test(test_display),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

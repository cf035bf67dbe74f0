// SPDX-License-Identifier: BSD-2-Clause
// The host bridge of a Q35: Intel 3 Series data sheet (316966), 5.1.
#include "tests/unit/fake_env.h"

#include "emul/pci_host.h"

static struct fake_env env;

static int setup(void **state)
{
	(void)state;
	fake_create(&env, &mch_model);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_destroy(&env);
	return 0;
}

static uint64_t in(unsigned offset, unsigned size)
{
	return fake_read(&env, PCIDEV_REGION_CONFIG, offset, size);
}

static void out(unsigned offset, unsigned size, uint64_t value)
{
	fake_write(&env, PCIDEV_REGION_CONFIG, offset, size, value);
}

static void expect_ecam(uint64_t base, uint64_t bytes)
{
	const struct fake_region *region = &env.region[PCI_HOST_REGION_ECAM];

	assert_int_equal(region->bytes, bytes);
	if (bytes == 0)
		return;
	assert_int_equal(region->base, base);
	assert_int_equal(region->space, DEVICE_SPACE_MMIO);
}

static void test_identity(void **state)
{
	(void)state;
	assert_int_equal(in(0x00, 4), 0x29c08086);
	assert_int_equal(in(0x08, 4), 0x06000000);
	assert_int_equal(in(0x0e, 1), 0);
	assert_int_equal(in(0x2c, 4), 0x11001af4);
	assert_int_equal(in(0x9c, 4), 0x00380200); // SMRAM, ESMRAMC
	out(0x9c, 4, 0xffffffff);
	assert_int_equal(in(0x9c, 4), 0x00bf7a00);
	// MCHBAR, DEVEN and the others are not there.
	for (unsigned offset = 0x40; offset < 0x60; offset += 4) {
		out(offset, 4, 0xffffffff);
		assert_int_equal(in(offset, 4), 0);
	}
}

// 5.1.16, PCIEXBAR.
static void test_ecam(void **state)
{
	(void)state;
	expect_ecam(0, 0);
	assert_int_equal(in(MCH_PCIEXBAR, 4), 0xb0000000);
	out(MCH_PCIEXBAR, 4, MCH_ECAM_BASE | MCH_PCIEXBAR_ENABLE);
	expect_ecam(0xb0000000, 256 * MIB);
	fake_save_and_load(&env);
	expect_ecam(0xb0000000, 256 * MIB);
	fake_clear(&env);
	out(MCH_PCIEXBAR, 4, MCH_ECAM_BASE | MCH_PCIEXBAR_ENABLE); // the same again
	assert_int_equal(env.region_calls, 0);
	// A window of 256 MiB has no use for the lower bits of the address.
	out(MCH_PCIEXBAR, 4, 0xec000000 | 1);
	expect_ecam(0xe0000000, 256 * MIB);
	out(MCH_PCIEXBAR, 4, 0xec000000 | 1 << 1 | 1);
	expect_ecam(0xe8000000, 128 * MIB);
	out(MCH_PCIEXBAR, 4, 0xec000000 | 2 << 1 | 1);
	expect_ecam(0xec000000, 64 * MIB);
	out(MCH_PCIEXBAR, 4, 0xec000000 | 3 << 1 | 1); // reserved
	expect_ecam(0, 0);
	out(MCH_PCIEXBAR + 4, 4, 0xffffffff);
	assert_int_equal(in(MCH_PCIEXBAR + 4, 4), 0xf);
	out(MCH_PCIEXBAR, 4, 1);
	expect_ecam(UINT64_C(0xf00000000), 256 * MIB);
	fake_save_and_load(&env);
	out(MCH_PCIEXBAR, 1, 0);
	expect_ecam(0, 0);
	assert_true(pci_host_moves_window(env.device, PCI_HOST_REGION_ECAM));
	assert_false(pci_host_moves_window(env.device, PCI_HOST_REGION_DATA));
}

// 5.1.17 to 5.1.23: as a 440FX has them, elsewhere.
static void test_shadow(void **state)
{
	(void)state;
	for (unsigned i = 0; i < PCI_HOST_SHADOW_PARTS; i++) {
		unsigned reg = i == 12 ? MCH_PAM : MCH_PAM + 1 + i / 2;
		unsigned shift = i == 12 || i % 2 == 1 ? 4 : 0;

		out(reg, 1, 0xfu << shift);
		for (unsigned n = 0; n < PCI_HOST_SHADOW_PARTS; n++) {
			assert_int_equal(env.line[PCI_HOST_OUTPUT_READ + n], n == i);
			assert_int_equal(env.line[PCI_HOST_OUTPUT_WRITE + n], n == i);
		}
		fake_save_and_load(&env);
		out(reg, 1, 0);
	}
	out(PCI_HOST_PAM, 4, 0xffffffff); // where a 440FX has them
	for (unsigned n = 0; n < PCI_HOST_OUTPUTS; n++)
		assert_false(env.line[n]);
	out(MCH_PAM + 3, 4, 0xffffffff);
	fake_reset(&env, DEVICE_RESET_LINE);
	for (unsigned n = 0; n < PCI_HOST_OUTPUTS; n++)
		assert_false(env.line[n]);
}

static void test_address(void **state)
{
	(void)state;
	fake_write(&env, PCI_HOST_REGION_ADDRESS, 0, 2, 0xffff);
	assert_int_equal(fake_read(&env, PCI_HOST_REGION_ADDRESS, 0, 4), 0);
	fake_write(&env, PCI_HOST_REGION_ADDRESS, 0, 4, 0x8000f844);
	assert_int_equal(fake_read(&env, PCI_HOST_REGION_ADDRESS, 0, 4), 0x8000f844);
	assert_int_equal(pci_host_decode(env.device, PCI_HOST_REGION_DATA, 1), 0xf8045);
	assert_int_equal(pci_host_decode(env.device, PCI_HOST_REGION_ECAM, 0x100000), 0x100000);
	fake_reset(&env, DEVICE_RESET_LINE);
	assert_int_equal(fake_read(&env, PCI_HOST_REGION_ADDRESS, 0, 4), 0);
}

static void test_state(void **state)
{
	uint64_t seed = 3;

	(void)state;
	fake_check_coverage(&mch_model);
	fake_check_ranges(&env);
	for (unsigned i = 0; i < 20000; i++) {
		seed = seed * 6364136223846793005 + 1442695040888963407;
		fake_write(&env, PCIDEV_REGION_CONFIG, seed >> 56 & 0xfc,
			1u << (seed >> 54 & 3) % 3, seed >> 20 & 0xffffffff);
		assert_int_equal(state_check(mch_model.state, env.device, NULL), STATUS_OK);
		if (i % 100 == 0)
			fake_save_and_load(&env);
	}
	pcidev_of(env.device)->config[MCH_PAM] = 1;
	assert_int_equal(state_check(mch_model.state, env.device, NULL), STATUS_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_identity, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ecam, setup, teardown),
		cmocka_unit_test_setup_teardown(test_shadow, setup, teardown),
		cmocka_unit_test_setup_teardown(test_address, setup, teardown),
		cmocka_unit_test_setup_teardown(test_state, setup, teardown),
	};

	return cmocka_run_group_tests_name("pci_host_mch", tests, NULL, NULL);
}

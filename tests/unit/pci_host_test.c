// SPDX-License-Identifier: BSD-2-Clause
#include "tests/unit/fake_env.h"

#include "emul/pci_host.h"

#define ENABLE ((uint64_t)0x80000000)

static void out_address(struct fake_env *env, uint64_t address)
{
	fake_write(env, PCI_HOST_REGION_ADDRESS, 0, 4, address);
}

static uint64_t in(struct fake_env *env, unsigned offset, unsigned size)
{
	return fake_read(env, PCIDEV_REGION_CONFIG, offset, size);
}

static void out(struct fake_env *env, unsigned offset, unsigned size, uint64_t value)
{
	fake_write(env, PCIDEV_REGION_CONFIG, offset, size, value);
}

// PCI 3.0, 3.2.2.3.2: only 32-bit accesses reach CONFIG_ADDRESS.
static void latches_addresses(void **state)
{
	struct fake_env env;

	(void)state;
	fake_create(&env, &pci_host_model);
	assert_int_equal(fake_read(&env, PCI_HOST_REGION_ADDRESS, 0, 4), 0);
	out_address(&env, 0xffffffff);
	assert_int_equal(fake_read(&env, PCI_HOST_REGION_ADDRESS, 0, 4), 0x80fffffc);
	out_address(&env, ENABLE);
	fake_save_and_load(&env);
	fake_write(&env, PCI_HOST_REGION_ADDRESS, 3, 1, 0x01);
	fake_write(&env, PCI_HOST_REGION_ADDRESS, 0, 2, 0xffff);
	assert_int_equal(fake_read(&env, PCI_HOST_REGION_ADDRESS, 0, 4), ENABLE);
	assert_int_equal(fake_read(&env, PCI_HOST_REGION_ADDRESS, 0, 1), 0xff);
	assert_int_equal(fake_read(&env, PCI_HOST_REGION_ADDRESS, 2, 2), 0xffff);
	fake_destroy(&env);
}

// PCI 3.0, 6.1 and 6.2; 82441FX, 3.2.
static void is_a_host_bridge(void **state)
{
	struct fake_env env;

	(void)state;
	fake_create(&env, &pci_host_model);
	assert_int_equal(in(&env, 0x00, 4), 0x12378086);
	assert_int_equal(in(&env, 0x02, 2), 0x1237);
	assert_int_equal(in(&env, 0x03, 1), 0x12);
	assert_int_equal(in(&env, 0x04, 4), 0x02800006);
	assert_int_equal(in(&env, 0x08, 4), 0x06000002);
	assert_int_equal(in(&env, 0x0a, 2), 0x0600);
	assert_int_equal(in(&env, 0x0e, 1), 0x00); // header type 0, one function
	for (unsigned offset = 0x10; offset < 0x40; offset += offset == 0x28 ? 8 : 4) {
		out(&env, offset, 4, 0xffffffff);
		assert_int_equal(in(&env, offset, 4), 0); // no BAR, capability or pin
	}
	out(&env, 0x00, 4, 0);
	assert_int_equal(in(&env, 0x00, 4), 0x12378086);
	out(&env, 0x04, 4, 0xffffffff);
	assert_int_equal(in(&env, 0x04, 4), 0x02800146);
	out(&env, 0x04, 2, 0x0000);
	assert_int_equal(in(&env, 0x04, 4), 0x02800004);
	out(&env, 0x0d, 1, 0x47);
	assert_int_equal(in(&env, 0x0c, 4), 0x00004000);
	fake_save_and_load(&env);
	out(&env, 0x5a, 2, 0xff21);
	assert_int_equal(in(&env, 0x58, 4), 0x33210000);
	out(&env, 0x72, 1, 0xff);
	assert_int_equal(in(&env, 0x72, 1), 0x7a);
	fake_reset(&env, DEVICE_RESET_LINE);
	assert_int_equal(in(&env, 0x58, 4), 0);
	assert_int_equal(in(&env, 0x72, 1), 0x02);
	fake_destroy(&env);
}

static bool reads_ram(const struct fake_env *env, unsigned part)
{
	return env->line[PCI_HOST_OUTPUT_READ + part];
}

static bool writes_ram(const struct fake_env *env, unsigned part)
{
	return env->line[PCI_HOST_OUTPUT_WRITE + part];
}

// 82441FX, 3.2.18: PAM0 has 0xf0000 in its upper half, PAM1 0xc0000 and 0xc4000, and so on.
static void says_what_is_shadowed(void **state)
{
	struct fake_env env;

	(void)state;
	fake_create(&env, &pci_host_model);
	for (unsigned i = 0; i < PCI_HOST_SHADOW_PARTS; i++)
		assert_false(reads_ram(&env, i) || writes_ram(&env, i));
	for (unsigned i = 0; i < PCI_HOST_SHADOW_PARTS; i++) {
		unsigned reg = i == 12 ? 0x59 : 0x5a + i / 2;
		unsigned shift = i == 12 || i % 2 == 1 ? 4 : 0;

		for (unsigned bits = 0; bits < 16; bits++) {
			out(&env, reg, 1, bits << shift);
			assert_int_equal(reads_ram(&env, i), (bits & 1) != 0);
			assert_int_equal(writes_ram(&env, i), (bits & 2) != 0);
			for (unsigned other = 0; other < PCI_HOST_SHADOW_PARTS; other++)
				if (other != i)
					assert_false(reads_ram(&env, other) ||
						writes_ram(&env, other));
			fake_save_and_load(&env);
		}
		out(&env, reg, 1, 0);
	}
	out(&env, 0x5c, 4, 0xffffffff);
	assert_true(reads_ram(&env, 11) && writes_ram(&env, 4));
	fake_reset(&env, DEVICE_RESET_LINE);
	for (unsigned i = 0; i < PCI_HOST_SHADOW_PARTS; i++)
		assert_false(reads_ram(&env, i) || writes_ram(&env, i));
	fake_destroy(&env);
}

// As in ECAM: function << 12 | register.
static void decodes(void **state)
{
	struct fake_env env;

	(void)state;
	fake_create(&env, &pci_host_model);
	out_address(&env, 0x7f | 3 << 8 | 17 << 11);
	assert_true(pci_host_decode(env.device, PCI_HOST_REGION_DATA, 0) == PCI_HOST_ECAM_NOWHERE);
	out_address(&env, ENABLE | 0x7f | 3 << 8 | 17 << 11);
	fake_save_and_load(&env);
	assert_true(pci_host_decode(env.device, PCI_HOST_REGION_DATA, 2) ==
		(17 << 15 | 3 << 12 | 0x7e));
	out_address(&env, ENABLE | 0xff00);
	assert_true(pci_host_decode(env.device, PCI_HOST_REGION_DATA, 3) == 0xff003);
	for (unsigned bus = 1; bus < 256; bus++) {
		out_address(&env, ENABLE | bus << 16);
		assert_true(pci_host_decode(env.device, PCI_HOST_REGION_DATA, 0) ==
			PCI_HOST_ECAM_NOWHERE);
	}
	// Whatever CONFIG_ADDRESS has.
	assert_true(pci_host_decode(env.device, PCI_HOST_REGION_ECAM, 0xf8123) == 0xf8123);
	fake_destroy(&env);
}

static void checks_state(void **state)
{
	const struct state_table *table = pci_host_model.state;
	struct state_error error;
	struct fake_env env;

	(void)state;
	fake_check_coverage(&pci_host_model);
	fake_create(&env, &pci_host_model);
	fake_check_ranges(&env);
	state_field_set(&table->fields[2], env.device, 0, 1);
	assert_int_equal(state_check(table, env.device, &error), STATUS_INVALID);
	assert_null(error.field);
	state_field_set(&table->fields[2], env.device, 0, 0);
	state_field_set(&table->fields[1], env.device, 0x59, 0x30);
	assert_int_equal(state_check(table, env.device, &error), STATUS_OK);
	state_field_set(&table->fields[1], env.device, 0x00, 0x87);
	assert_int_equal(state_check(table, env.device, &error), STATUS_INVALID);
	assert_null(error.field);
	fake_destroy(&env);
}

static void withstands_random_accesses(void **state)
{
	struct fake_env env;
	uint64_t seed = 1;

	(void)state;
	fake_create(&env, &pci_host_model);
	for (unsigned i = 0; i < 50000; i++) {
		unsigned region, size, offset;

		seed = seed * 6364136223846793005 + 1442695040888963407;
		region = seed >> 47 & 1 ? PCI_HOST_REGION_ADDRESS : PCIDEV_REGION_CONFIG;
		size = 1U << (seed >> 61) % 3;
		offset = (unsigned)(seed >> 50) %
			(region == PCIDEV_REGION_CONFIG ? PCIDEV_CONFIG_BYTES + 1 - size
							: PCI_HOST_PORT_BYTES + 1 - size);
		if (seed >> 48 & 1)
			fake_write(&env, region, offset, size, seed >> 8 & 0xffffffff);
		else
			(void)fake_read(&env, region, offset, size);
		assert_int_equal(state_check(pci_host_model.state, env.device, NULL), STATUS_OK);
		if (i % 500 == 0)
			fake_save_and_load(&env);
	}
	fake_destroy(&env);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(latches_addresses),
		cmocka_unit_test(is_a_host_bridge),
		cmocka_unit_test(says_what_is_shadowed),
		cmocka_unit_test(decodes),
		cmocka_unit_test(checks_state),
		cmocka_unit_test(withstands_random_accesses),
	};

	return cmocka_run_group_tests_name("pci_host", tests, NULL, NULL);
}

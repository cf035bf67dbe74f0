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
	out_address(env, ENABLE | (offset & 0xfc));
	return fake_read(env, PCI_HOST_REGION_DATA, offset & 3, size);
}

static void out(struct fake_env *env, unsigned offset, unsigned size, uint64_t value)
{
	out_address(env, ENABLE | (offset & 0xfc));
	fake_write(env, PCI_HOST_REGION_DATA, offset & 3, size, value);
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
	for (unsigned offset = 0x10; offset < 0x40; offset += 4) {
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
	out(&env, 0x5a, 2, 0x3321);
	assert_int_equal(in(&env, 0x58, 4), 0x33210000);
	out(&env, 0x72, 1, 0xff);
	assert_int_equal(in(&env, 0x72, 1), 0x7a);
	fake_reset(&env, DEVICE_RESET_LINE);
	assert_int_equal(in(&env, 0x58, 4), 0);
	assert_int_equal(in(&env, 0x72, 1), 0x02);
	fake_destroy(&env);
}

static void answers_for_nobody_else(void **state)
{
	static const uint32_t others[] = {1 << 8, 7 << 8, 1 << 11, 31 << 11, 1 << 16, 255 << 16};
	struct fake_env env;

	(void)state;
	fake_create(&env, &pci_host_model);
	for (unsigned i = 0; i < ARRAY_COUNT(others); i++) {
		out_address(&env, ENABLE | others[i] | 0x04);
		fake_write(&env, PCI_HOST_REGION_DATA, 0, 4, 0);
		assert_int_equal(fake_read(&env, PCI_HOST_REGION_DATA, 0, 4), 0xffffffff);
		assert_int_equal(fake_read(&env, PCI_HOST_REGION_DATA, 2, 2), 0xffff);
	}
	out_address(&env, 0x04); // not enabled
	fake_write(&env, PCI_HOST_REGION_DATA, 0, 4, 0);
	assert_int_equal(fake_read(&env, PCI_HOST_REGION_DATA, 0, 4), 0xffffffff);
	assert_int_equal(in(&env, 0x04, 4), 0x02800006);
	fake_destroy(&env);
}

static void decodes(void **state)
{
	struct pci_config_address address;
	struct fake_env env;

	(void)state;
	fake_create(&env, &pci_host_model);
	out_address(&env, 0x7f | 3 << 8 | 17 << 11 | 0xa5 << 16);
	assert_false(pci_host_decode(env.device, 0, &address));
	out_address(&env, ENABLE | 0x7f | 3 << 8 | 17 << 11 | 0xa5 << 16);
	fake_save_and_load(&env);
	assert_true(pci_host_decode(env.device, 2, &address));
	assert_int_equal(address.bus, 0xa5);
	assert_int_equal(address.device, 17);
	assert_int_equal(address.function, 3);
	assert_int_equal(address.offset, 0x7e);
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
	state_field_set(&table->fields[1], env.device, 0, 1);
	assert_int_equal(state_check(table, env.device, &error), STATUS_INVALID);
	assert_null(error.field);
	state_field_set(&table->fields[1], env.device, 0, 0);
	state_field_set(&table->fields[3], env.device, 0x59, 0xff);
	assert_int_equal(state_check(table, env.device, &error), STATUS_OK);
	state_field_set(&table->fields[3], env.device, 0x00, 0x87);
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
		unsigned size, offset;

		seed = seed * 6364136223846793005 + 1442695040888963407;
		size = 1U << (seed >> 61) % 3;
		offset = (unsigned)(seed >> 50) % (5 - size);
		if (seed >> 49 & 1)
			out_address(&env, ENABLE | (seed >> 40 & 0xfc));
		if (seed >> 48 & 1)
			fake_write(&env, seed >> 47 & 1, offset, size, seed >> 8 & 0xffffffff);
		else
			(void)fake_read(&env, seed >> 47 & 1, offset, size);
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
		cmocka_unit_test(answers_for_nobody_else),
		cmocka_unit_test(decodes),
		cmocka_unit_test(checks_state),
		cmocka_unit_test(withstands_random_accesses),
	};

	return cmocka_run_group_tests_name("pci_host", tests, NULL, NULL);
}

// SPDX-License-Identifier: BSD-2-Clause
#include "tests/unit/fake_env.h"

#include "emul/acpi_pm.h"

enum {
	STATUS = ACPI_PM_EVENT,
	ENABLE = ACPI_PM_EVENT + 2,
	GPE0_ENABLE = ACPI_PM_GPE0 + 2,
	TMR = 0x0001,
	PWRBTN = 0x0100,
	SCI_EN = 0x0001,
	SLP_EN = 0x2000,
	ALL_ENABLES = 0x0721,
};

#define TIMER_HZ ((uint64_t)3579545)

static uint64_t in(struct fake_env *env, uint64_t offset, unsigned size)
{
	return fake_read(env, ACPI_PM_REGION_REGISTERS, offset, size);
}

static void out(struct fake_env *env, uint64_t offset, unsigned size, uint64_t value)
{
	fake_write(env, ACPI_PM_REGION_REGISTERS, offset, size, value);
}

static void smi(struct fake_env *env, uint8_t command)
{
	fake_write(env, ACPI_PM_REGION_SMI, 0, 1, command);
}

static bool sci(const struct fake_env *env)
{
	return env->line[ACPI_PM_OUTPUT_SCI];
}

// ACPI 6.5, 4.8.2.1 and 4.8.3.3.
static void timer_counts(void **state)
{
	struct fake_env env;

	(void)state;
	fake_create(&env, &acpi_pm_model);
	assert_int_equal(in(&env, ACPI_PM_TIMER, 4), 3579); // at 1 ms
	fake_advance(&env, 999 * 1000000);
	assert_int_equal(in(&env, ACPI_PM_TIMER, 4), TIMER_HZ);
	assert_int_equal(in(&env, ACPI_PM_TIMER, 2), TIMER_HZ & 0xffff);
	assert_int_equal(in(&env, ACPI_PM_TIMER + 2, 1), TIMER_HZ >> 16);
	out(&env, ACPI_PM_TIMER, 4, 0);
	assert_int_equal(in(&env, ACPI_PM_TIMER, 4), TIMER_HZ);
	fake_advance(&env, 1999 * NS_PER_SECOND);
	assert_int_equal(in(&env, ACPI_PM_TIMER, 4), (2000 * TIMER_HZ) & 0xffffffff);
	fake_destroy(&env);
}

// 4.8.3.1.1, TMR_STS: the most significant bit changed.
static void timer_overflow(void **state)
{
	const uint64_t toggle = (BIT(31) * NS_PER_SECOND + TIMER_HZ - 1) / TIMER_HZ;
	struct fake_env env;

	(void)state;
	fake_create(&env, &acpi_pm_model);
	fake_advance(&env, toggle - 1 - env.now.ns);
	assert_int_equal(in(&env, ACPI_PM_TIMER, 4), 0x7fffffff);
	assert_int_equal(in(&env, STATUS, 2), 0);
	fake_save_and_load(&env);
	fake_advance(&env, 1);
	assert_int_equal(in(&env, ACPI_PM_TIMER, 4), 0x80000000);
	assert_int_equal(in(&env, STATUS, 2), TMR);
	assert_int_equal(env.deadline[0].ns, UINT64_MAX);
	out(&env, STATUS, 2, TMR);
	assert_int_equal(in(&env, STATUS, 2), 0);
	smi(&env, ACPI_PM_ACPI_ENABLE);
	out(&env, ENABLE, 2, TMR);
	assert_int_equal(env.deadline[0].ns, (BIT(32) * NS_PER_SECOND + TIMER_HZ - 1) / TIMER_HZ);
	fake_save_and_load(&env);
	fake_advance(&env, toggle);
	assert_true(sci(&env));
	assert_int_equal(env.deadline[0].ns, UINT64_MAX);
	fake_save_and_load(&env);
	out(&env, STATUS, 1, TMR);
	assert_false(sci(&env));
	assert_true(env.deadline[0].ns > env.now.ns);
	out(&env, ENABLE, 2, 0);
	assert_int_equal(env.deadline[0].ns, UINT64_MAX);
	// Two toggles leave the bit as it was, but it changed.
	fake_advance(&env, 2 * toggle);
	assert_int_equal(in(&env, STATUS, 2), TMR);
	fake_destroy(&env);
}

// 4.8.2.2.1 (power button), 4.8.2.5 (legacy mode), 4.8.3.1 (status and enable).
static void power_button(void **state)
{
	struct fake_env env;

	(void)state;
	fake_create(&env, &acpi_pm_model);
	out(&env, ENABLE, 2, PWRBTN);
	fake_line(&env, ACPI_PM_INPUT_POWER_BUTTON, true);
	assert_int_equal(in(&env, STATUS, 2), PWRBTN);
	assert_false(sci(&env));
	smi(&env, ACPI_PM_ACPI_ENABLE);
	assert_int_equal(in(&env, ACPI_PM_CONTROL, 2), SCI_EN);
	assert_true(sci(&env));
	fake_save_and_load(&env);
	out(&env, STATUS, 1, 0xff); // the other byte
	assert_true(sci(&env));
	out(&env, STATUS + 1, 1, 0x01);
	assert_false(sci(&env));
	fake_save_and_load(&env);
	fake_line(&env, ACPI_PM_INPUT_POWER_BUTTON, true);
	fake_line(&env, ACPI_PM_INPUT_POWER_BUTTON, false);
	assert_int_equal(in(&env, STATUS, 2), 0);
	fake_line(&env, ACPI_PM_INPUT_POWER_BUTTON, true);
	assert_true(sci(&env));
	out(&env, ENABLE, 2, 0);
	assert_false(sci(&env));
	out(&env, ENABLE, 2, PWRBTN);
	smi(&env, ACPI_PM_ACPI_DISABLE);
	assert_false(sci(&env));
	assert_int_equal(in(&env, ACPI_PM_CONTROL, 2), 0);
	// A button held over a reset is no press.
	fake_reset(&env, DEVICE_RESET_LINE);
	fake_line(&env, ACPI_PM_INPUT_POWER_BUTTON, true);
	assert_int_equal(in(&env, STATUS, 2), 0);
	fake_destroy(&env);
}

// 4.8.3.2.1
static void sleeps_in_s5_alone(void **state)
{
	struct fake_env env;

	(void)state;
	fake_create(&env, &acpi_pm_model);
	for (unsigned type = 0; type < 8; type++) {
		fake_clear(&env);
		out(&env, ACPI_PM_CONTROL, 2, SCI_EN | type << 10);
		assert_int_equal(env.requests, 0);
		assert_int_equal(in(&env, ACPI_PM_CONTROL, 2), SCI_EN | type << 10);
		out(&env, ACPI_PM_CONTROL, 2, SCI_EN | SLP_EN | type << 10);
		assert_int_equal(env.requests, type == ACPI_PM_SLEEP_TYPE_S5);
		assert_int_equal(in(&env, ACPI_PM_CONTROL, 2), SCI_EN | type << 10);
		fake_save_and_load(&env);
	}
	fake_clear(&env);
	out(&env, ACPI_PM_CONTROL + 1, 1, 0x20); // bytes alone
	assert_int_equal(env.requests, 1);
	assert_int_equal(env.request, DEVICE_REQUEST_POWER_OFF);
	assert_int_equal(in(&env, ACPI_PM_CONTROL, 2), SCI_EN);
	out(&env, ACPI_PM_CONTROL, 2, 0xdfff & ~(7 << 10)); // all but SLP_EN; GBL_RLS reads 0
	assert_int_equal(in(&env, ACPI_PM_CONTROL, 2), 0x0003);
	fake_destroy(&env);
}

// 4.8.3.1.2, 4.8.4.1 and unused offsets.
static void other_registers(void **state)
{
	struct fake_env env;

	(void)state;
	fake_create(&env, &acpi_pm_model);
	out(&env, STATUS, 4, 0xffffffff);
	assert_int_equal(in(&env, STATUS, 4), (uint64_t)ALL_ENABLES << 16);
	assert_int_equal(in(&env, ENABLE + 1, 1), ALL_ENABLES >> 8);
	out(&env, ACPI_PM_GPE0, 4, 0xa55affff);
	assert_int_equal(in(&env, ACPI_PM_GPE0, 4), 0xa55a0000);
	out(&env, GPE0_ENABLE, 1, 0x77);
	assert_int_equal(in(&env, GPE0_ENABLE, 2), 0xa577);
	out(&env, 0x30, 4, 0xffffffff);
	assert_int_equal(in(&env, 0x30, 4), 0);
	assert_int_equal(in(&env, ACPI_PM_BYTES - 1, 1), 0);
	fake_write(&env, ACPI_PM_REGION_SMI, 0, 2, 0x5a42);
	fake_save_and_load(&env);
	assert_int_equal(fake_read(&env, ACPI_PM_REGION_SMI, 0, 2), 0x5a42);
	assert_int_equal(fake_read(&env, ACPI_PM_REGION_SMI, 1, 1), 0x5a);
	fake_reset(&env, DEVICE_RESET_LINE);
	assert_int_equal(in(&env, STATUS, 4), 0);
	assert_int_equal(in(&env, GPE0_ENABLE, 2), 0);
	fake_destroy(&env);
}

// 4.8.4.1: status and enable, the first cleared by ones.
static void pci_hotplug_event(void **state)
{
	const unsigned bit = 1 << ACPI_PM_GPE_PCI_HOTPLUG;
	struct fake_env env;

	(void)state;
	fake_create(&env, &acpi_pm_model);
	out(&env, ACPI_PM_CONTROL, 2, 1); // ACPI mode
	fake_line(&env, ACPI_PM_INPUT_PCI_HOTPLUG, true);
	fake_line(&env, ACPI_PM_INPUT_PCI_HOTPLUG, false);
	assert_int_equal(in(&env, ACPI_PM_GPE0, 4), bit);
	assert_false(env.line[ACPI_PM_OUTPUT_SCI]);
	out(&env, GPE0_ENABLE, 2, 0xffff);
	assert_true(env.line[ACPI_PM_OUTPUT_SCI]);
	assert_int_equal(in(&env, STATUS, 2), 0); // it is no press of the button
	fake_save_and_load(&env);
	out(&env, ACPI_PM_GPE0 + 1, 1, 0xff);
	out(&env, ACPI_PM_GPE0, 1, 0xff & ~bit);
	assert_true(env.line[ACPI_PM_OUTPUT_SCI]);
	out(&env, GPE0_ENABLE, 2, 0xffff & ~bit);
	assert_false(env.line[ACPI_PM_OUTPUT_SCI]);
	out(&env, GPE0_ENABLE, 2, bit);
	assert_true(env.line[ACPI_PM_OUTPUT_SCI]);
	out(&env, ACPI_PM_CONTROL, 2, 0); // legacy mode
	assert_false(env.line[ACPI_PM_OUTPUT_SCI]);
	out(&env, ACPI_PM_CONTROL, 2, 1);
	out(&env, ACPI_PM_GPE0, 2, bit);
	assert_false(env.line[ACPI_PM_OUTPUT_SCI]);
	assert_int_equal(in(&env, ACPI_PM_GPE0, 4), bit << 16);
	fake_line(&env, ACPI_PM_INPUT_PCI_HOTPLUG, true); // the next one
	assert_true(env.line[ACPI_PM_OUTPUT_SCI]);
	fake_reset(&env, DEVICE_RESET_LINE);
	assert_int_equal(in(&env, ACPI_PM_GPE0, 4), 0);
	assert_false(env.line[ACPI_PM_OUTPUT_SCI]);
	fake_destroy(&env);
}

static void refuse(struct fake_env *env, uint32_t field, uint64_t value)
{
	const struct state_table *table = acpi_pm_model.state;
	struct state_error error;

	state_field_set(&table->fields[field], env->device, 0, value);
	assert_int_equal(state_check(table, env->device, &error), STATUS_INVALID);
	assert_null(error.field);
	state_field_set(&table->fields[field], env->device, 0, 0);
	assert_int_equal(state_check(table, env->device, &error), STATUS_OK);
}

static void config(struct fake_env *env, unsigned offset, unsigned size, uint64_t value)
{
	fake_write(env, PCIDEV_REGION_CONFIG, offset, size, value);
}

// 82371AB, 7.1: PMBASE and PMREGMISC place the registers.
static void is_function_of_a_piix4(void **state)
{
	const struct fake_region *region;
	struct fake_env env;

	(void)state;
	fake_create(&env, &acpi_pm_model);
	region = &env.region[ACPI_PM_REGION_REGISTERS];
	assert_int_equal(fake_read(&env, PCIDEV_REGION_CONFIG, 0, 4), 0x71138086);
	assert_int_equal(fake_read(&env, PCIDEV_REGION_CONFIG, 8, 4), 0x06800003);
	assert_int_equal(fake_read(&env, PCIDEV_REGION_CONFIG, PCIDEV_INTERRUPT_PIN, 1), 1);
	config(&env, ACPI_PM_PMREGMISC, 1, 0xff);
	assert_int_equal(region->bytes, 0); // at address 0 it is nowhere
	config(&env, ACPI_PM_PMBASE, 4, 0xffff0617);
	assert_int_equal(fake_read(&env, PCIDEV_REGION_CONFIG, ACPI_PM_PMBASE, 4), 0x0601);
	assert_int_equal(region->space, DEVICE_SPACE_PORT);
	assert_int_equal(region->base, 0x600);
	assert_int_equal(region->bytes, ACPI_PM_BYTES);
	fake_save_and_load(&env);
	config(&env, ACPI_PM_PMBASE, 2, 0xffff);
	assert_int_equal(region->base, 0xffc0);
	config(&env, ACPI_PM_PMREGMISC, 1, 0);
	assert_int_equal(region->bytes, 0);
	fake_save_and_load(&env);
	fake_destroy(&env);
}

static void checks_state(void **state)
{
	struct fake_env env;

	(void)state;
	fake_check_coverage(&acpi_pm_model);
	fake_create(&env, &acpi_pm_model);
	fake_check_ranges(&env);
	refuse(&env, 3, 0x0020); // status
	refuse(&env, 4, 0x0010); // enable
	refuse(&env, 5, 0x0004); // control
	refuse(&env, 7, 0x0001); // general-purpose status
	fake_destroy(&env);
}

static void withstands_random_accesses(void **state)
{
	struct fake_env env;
	uint64_t seed = 1;

	(void)state;
	fake_create(&env, &acpi_pm_model);
	for (unsigned i = 0; i < 50000; i++) {
		unsigned region, size;
		uint64_t offset;

		seed = seed * 6364136223846793005 + 1442695040888963407;
		region = ACPI_PM_REGION_REGISTERS + (seed >> 63 != 0);
		size = region == ACPI_PM_REGION_SMI ? 1U << (seed >> 62 & 1) :
						      1U << (seed >> 61) % 3;
		offset = region == ACPI_PM_REGION_SMI ? (seed >> 60 & 1) % (3 - size) :
							(seed >> 50) % (ACPI_PM_BYTES + 1 - size);
		if (seed >> 49 & 1)
			fake_write(&env, region, offset, size, seed);
		else
			(void)fake_read(&env, region, offset, size);
		if ((seed >> 40 & 7) == 0)
			fake_line(&env, 0, seed >> 39 & 1);
		fake_advance(&env, (seed >> 8 & 0xfffff) << (seed >> 4 & 15));
		assert_int_equal(state_check(acpi_pm_model.state, env.device, NULL), STATUS_OK);
		if (i % 500 == 0)
			fake_save_and_load(&env);
	}
	fake_destroy(&env);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timer_counts),
		cmocka_unit_test(timer_overflow),
		cmocka_unit_test(power_button),
		cmocka_unit_test(pci_hotplug_event),
		cmocka_unit_test(sleeps_in_s5_alone),
		cmocka_unit_test(other_registers),
		cmocka_unit_test(is_function_of_a_piix4),
		cmocka_unit_test(checks_state),
		cmocka_unit_test(withstands_random_accesses),
	};

	return cmocka_run_group_tests_name("acpi_pm", tests, NULL, NULL);
}

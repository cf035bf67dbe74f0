// SPDX-License-Identifier: BSD-2-Clause
// The LPC bridge of an ICH9 (316972): 13.1, 10.1, 13.8. What the registers of power management do
// is acpi_pm_test's; here, that they are where an ICH9 has them.
#include "tests/unit/fake_env.h"

#include "emul/ich9_lpc.h"

static struct fake_env env;

static int setup(void **state)
{
	(void)state;
	fake_create(&env, &ich9_lpc_model);
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

static uint64_t pm_in(unsigned offset, unsigned size)
{
	return fake_read(&env, ACPI_PM_REGION_REGISTERS, offset, size);
}

static void pm_out(unsigned offset, unsigned size, uint64_t value)
{
	fake_write(&env, ACPI_PM_REGION_REGISTERS, offset, size, value);
}

static void slot(unsigned number, bool level)
{
	fake_line(&env, ICH9_LPC_INPUT_SLOT + number, level);
}

static void expect_lines(uint32_t lines)
{
	for (unsigned i = 0; i < ICH9_LPC_OUTPUTS; i++)
		assert_int_equal(env.line[i], (lines & BIT(i)) != 0);
}

static void expect_region(unsigned region, uint64_t base, uint64_t bytes)
{
	assert_int_equal(env.region[region].bytes, bytes);
	if (bytes != 0)
		assert_int_equal(env.region[region].base, base);
}

static void test_identity(void **state)
{
	(void)state;
	assert_int_equal(in(0x00, 4), 0x29188086);
	assert_int_equal(in(0x08, 4), 0x06010002);
	assert_int_equal(in(0x0e, 1), 0x80);
	assert_int_equal(in(0x2c, 4), 0x11001af4);
	assert_int_equal(in(ICH9_LPC_PIRQ_ROUTE, 4), 0x80808080);
	assert_int_equal(in(ICH9_LPC_PIRQ_ROUTE_E, 4), 0x80808080);
	assert_int_equal(in(0x3d, 1), 0);
}

// Each PIRQ is an input of the I/O APIC, wherever its route leads.
static void test_pins(void **state)
{
	(void)state;
	for (unsigned number = 0; number < ICH9_LPC_SLOTS; number++) {
		unsigned pirq = number < 25 ? 4 + number % 4 : 0;

		assert_int_equal(ich9_lpc_pirq(number), pirq);
		slot(number, true);
		expect_lines((uint32_t)BIT(16 + pirq));
		fake_save_and_load(&env);
		slot(number, false);
		expect_lines(0);
	}
	for (unsigned i = 0; i < 3; i++) { // INTB# to INTD# of the chipset's
		fake_line(&env, ICH9_LPC_INPUT_OWN + i, true);
		expect_lines((uint32_t)BIT(17 + i));
		fake_save_and_load(&env);
		fake_line(&env, ICH9_LPC_INPUT_OWN + i, false);
	}
	slot(3, true); // two of a PIRQ
	slot(7, true);
	slot(31, true);
	slot(3, false);
	expect_lines((uint32_t)(BIT(23) | BIT(16)));
	fake_reset(&env, DEVICE_RESET_LINE);
	expect_lines(0);
}

// 13.1.15, 13.1.17: and an ISA interrupt where it does.
static void test_routes(void **state)
{
	(void)state;
	slot(2, true);  // PIRQG#
	slot(25, true); // PIRQA#
	for (unsigned irq = 0; irq < 16; irq++) {
		bool may = irq >= 3 && irq != 8 && irq != 13;

		out(ICH9_LPC_PIRQ_ROUTE_E + 2, 1, irq);
		expect_lines((uint32_t)(BIT(22) | BIT(16) | (may ? BIT(irq) : 0)));
		out(ICH9_LPC_PIRQ_ROUTE_E + 2, 1, irq | 0x80);
		expect_lines((uint32_t)(BIT(22) | BIT(16)));
	}
	out(ICH9_LPC_PIRQ_ROUTE_E + 2, 1, 11);
	out(ICH9_LPC_PIRQ_ROUTE, 1, 11);
	fake_save_and_load(&env);
	slot(2, false);
	expect_lines((uint32_t)(BIT(16) | BIT(11)));
	slot(25, false);
	expect_lines(0);
	out(ICH9_LPC_PIRQ_ROUTE, 4, 0xffffffff);
	assert_int_equal(in(ICH9_LPC_PIRQ_ROUTE, 4), 0x8f8f8f8f);
}

// 13.1.10, 13.1.11: PMBASE and ACPI_CNTL.
static void test_pm_place(void **state)
{
	(void)state;
	expect_region(ACPI_PM_REGION_REGISTERS, 0, 0);
	out(ACPI_PM_PMBASE, 4, ACPI_PM_BASE);
	expect_region(ACPI_PM_REGION_REGISTERS, 0, 0);
	out(ICH9_LPC_ACPI_CNTL, 1, ICH9_LPC_ACPI_ENABLE);
	expect_region(ACPI_PM_REGION_REGISTERS, ACPI_PM_BASE, ICH9_LPC_PM_BYTES);
	fake_save_and_load(&env);
	expect_region(ACPI_PM_REGION_REGISTERS, ACPI_PM_BASE, ICH9_LPC_PM_BYTES);
	out(ACPI_PM_PMBASE, 4, 0xffffffff);
	assert_int_equal(in(ACPI_PM_PMBASE, 4), 0xff81);
	expect_region(ACPI_PM_REGION_REGISTERS, 0xff80, ICH9_LPC_PM_BYTES);
	out(ICH9_LPC_ACPI_CNTL, 1, 0);
	expect_region(ACPI_PM_REGION_REGISTERS, 0, 0);
}

// 10.1: interrupt routes of slots, as they are at reset; nothing else, and nothing to be written.
static void test_rcrb(void **state)
{
	(void)state;
	out(ICH9_LPC_RCBA, 4, 0xfed1c001);
	expect_region(ICH9_LPC_REGION_RCRB, 0xfed1c000, ICH9_LPC_RCRB_BYTES);
	fake_save_and_load(&env);
	expect_region(ICH9_LPC_REGION_RCRB, 0xfed1c000, ICH9_LPC_RCRB_BYTES);
	fake_write(&env, ICH9_LPC_REGION_RCRB, 0x3140, 4, 0);
	assert_int_equal(fake_read(&env, ICH9_LPC_REGION_RCRB, 0x3140, 2), 0x3210);
	assert_int_equal(fake_read(&env, ICH9_LPC_REGION_RCRB, 0x3144, 2), 0x3210);
	assert_int_equal(fake_read(&env, ICH9_LPC_REGION_RCRB, 0x3150, 2), 0x3210);
	assert_int_equal(fake_read(&env, ICH9_LPC_REGION_RCRB, 0x3410, 4), 0);
	out(ICH9_LPC_RCBA, 4, 0xfed1c000);
	expect_region(ICH9_LPC_REGION_RCRB, 0, 0);
}

// 13.8.3: events and the timer as a PIIX4 has them; eight bytes of GPE0_STS, eight of GPE0_EN.
static void test_pm_registers(void **state)
{
	(void)state;
	pm_out(ACPI_PM_EVENT + 2, 2, 0x0100);
	pm_out(ACPI_PM_CONTROL, 2, 1);
	fake_line(&env, ACPI_PM_INPUT_POWER_BUTTON, true);
	assert_true(env.line[ACPI_PM_OUTPUT_SCI]);
	assert_int_equal(pm_in(ACPI_PM_EVENT, 2), 0x0100);
	fake_save_and_load(&env);
	pm_out(ACPI_PM_EVENT, 2, 0x0100);
	assert_false(env.line[ACPI_PM_OUTPUT_SCI]);
	pm_out(ACPI_PM_GPE0 + 8, 4, 1 << ACPI_PM_GPE_PCI_HOTPLUG);
	assert_int_equal(pm_in(ACPI_PM_GPE0 + 8, 8), 1 << ACPI_PM_GPE_PCI_HOTPLUG);
	assert_int_equal(pm_in(ACPI_PM_GPE0 + 2, 2), 0); // where a PIIX4 has it
	fake_line(&env, ACPI_PM_INPUT_PCI_HOTPLUG, true);
	assert_true(env.line[ACPI_PM_OUTPUT_SCI]);
	assert_int_equal(pm_in(ACPI_PM_GPE0, 8), 1 << ACPI_PM_GPE_PCI_HOTPLUG);
	pm_out(ACPI_PM_GPE0 + 2, 2, 0xffff);
	fake_save_and_load(&env);
	assert_true(env.line[ACPI_PM_OUTPUT_SCI]);
	pm_out(ACPI_PM_GPE0, 2, 0xffff);
	assert_false(env.line[ACPI_PM_OUTPUT_SCI]);
	// SMI_EN: SMM is set up, for firmware not to do so.
	assert_int_equal(pm_in(0x30, 4), 0x20);
	pm_out(0x30, 4, 0x12345678);
	assert_int_equal(pm_in(0x30, 4), 0x12345678);
	assert_int_equal(pm_in(0x60, 4), 0); // TCO
	fake_advance(&env, NS_PER_SECOND);
	assert_int_equal(pm_in(ACPI_PM_TIMER, 4), env.now.ns * 3579545 / NS_PER_SECOND);
	fake_clear(&env);
	pm_out(ACPI_PM_CONTROL, 2, 0x2000); // S5
	assert_int_equal(env.requests, 1);
	assert_int_equal(env.request, DEVICE_REQUEST_POWER_OFF);
	fake_write(&env, ACPI_PM_REGION_SMI, 0, 1, ACPI_PM_ACPI_ENABLE);
	assert_int_equal(fake_read(&env, ACPI_PM_REGION_SMI, 0, 1), ACPI_PM_ACPI_ENABLE);
	assert_int_equal(pm_in(ACPI_PM_CONTROL, 2) & 1, 1);
	fake_reset(&env, DEVICE_RESET_LINE);
	assert_int_equal(pm_in(0x30, 4), 0x20);
	assert_int_equal(pm_in(ACPI_PM_GPE0 + 8, 4), 0);
}

static void test_timer(void **state)
{
	(void)state;
	pm_out(ACPI_PM_EVENT + 2, 2, 1);
	pm_out(ACPI_PM_CONTROL, 2, 1);
	fake_advance(&env, 600 * NS_PER_SECOND); // 2^31 ticks are 599.9 s
	assert_true(env.line[ACPI_PM_OUTPUT_SCI]);
	fake_save_and_load(&env);
	assert_int_equal(pm_in(ACPI_PM_EVENT, 2), 1);
}

static void test_state(void **state)
{
	static const unsigned regions[] = {PCIDEV_REGION_CONFIG, PCIDEV_REGION_CONFIG,
		ACPI_PM_REGION_REGISTERS, ICH9_LPC_REGION_RCRB};
	uint64_t seed = 5;

	(void)state;
	fake_check_coverage(&ich9_lpc_model);
	fake_check_ranges(&env);
	for (unsigned i = 0; i < 20000; i++) {
		unsigned size, offset;

		seed = seed * 6364136223846793005 + 1442695040888963407;
		size = 1u << (seed >> 62) % 3;
		offset = (unsigned)(seed >> 50) % (ICH9_LPC_PM_BYTES + 1 - size);
		offset += seed >> 33 & (regions[seed >> 40 & 3] == PCIDEV_REGION_CONFIG) ? 128 : 0;
		fake_write(&env, regions[seed >> 40 & 3], offset, size, seed >> 8 & 0xffffffff);
		(void)fake_read(&env, regions[seed >> 40 & 3], offset, size);
		fake_line(&env, (unsigned)(seed >> 20) % ICH9_LPC_INPUTS, (seed >> 19 & 1) != 0);
		fake_advance(&env, seed >> 36);
		assert_int_equal(state_check(ich9_lpc_model.state, env.device, NULL), STATUS_OK);
		if (i % 100 == 0)
			fake_save_and_load(&env);
	}
	pcidev_of(env.device)->config[ICH9_LPC_PIRQ_ROUTE] = 0x10;
	assert_int_equal(state_check(ich9_lpc_model.state, env.device, NULL), STATUS_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_identity, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pins, setup, teardown),
		cmocka_unit_test_setup_teardown(test_routes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pm_place, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rcrb, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pm_registers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_state, setup, teardown),
	};

	return cmocka_run_group_tests_name("ich9_lpc", tests, NULL, NULL);
}

// SPDX-License-Identifier: BSD-2-Clause
// Local APIC: IA32_APIC_BASE, x2APIC mode, destinations. Sections are those of the SDM, volume 3.
#include "tests/unit/lapic_test.h"

static uint64_t mapped_base;
static unsigned maps, unmaps;

static void record_map(struct device *device, unsigned region, enum device_space space,
	uint64_t base, uint64_t bytes)
{
	(void)device;
	assert_int_equal(region, LAPIC_REGION_PAGE);
	assert_int_equal(space, DEVICE_SPACE_MMIO);
	assert_int_equal(bytes, 4096);
	mapped_base = base;
	maps++;
}

static void record_unmap(struct device *device, unsigned region)
{
	(void)device;
	assert_int_equal(region, LAPIC_REGION_PAGE);
	unmaps++;
}

// 11.4.3, 11.4.5, 11.12.5
static void test_base(void **state)
{
	struct device_env ops;
	struct fake_env env;

	(void)state;
	create(&env, 0);
	ops = *env.device->env;
	ops.map_region = record_map;
	ops.unmap_region = record_unmap;
	env.device->env = &ops;
	maps = unmaps = 0;
	assert_int_equal(base_write(&env, 0xfee00801), STATUS_FAULT);
	assert_int_equal(base_write(&env, 0xfee00a00), STATUS_FAULT);
	assert_int_equal(base_write(&env, BIT(52) | 0xfee00800), STATUS_FAULT);
	assert_int_equal(base_write(&env, 0xfee00400), STATUS_FAULT);
	assert_int_equal(maps + unmaps, 0);
	assert_int_equal(base_write(&env, 0x123456800), STATUS_OK);
	assert_int_equal(mapped_base, 0x123456000);
	assert_int_equal(lapic_base_read(env.device), 0x123456900); // BSP stays
	assert_int_equal(maps, 1);
	software_enable(&env);
	deliver(&env, INTERRUPT_FIXED, 0x40, false);
	put(&env, LAPIC_ICR_HIGH, 0x55000000);
	assert_int_equal(base_write(&env, 0xfee00d00), STATUS_OK); // to x2APIC
	assert_int_equal(unmaps, 1);
	assert_int_equal(pending(&env), 0x40); // kept, 11.12.5.1
	assert_int_equal(msr(&env, LAPIC_ICR), 0);
	assert_int_equal(fake_read(&env, 0, 0x20, 4), 0xffffffff);
	put(&env, LAPIC_TPR, 0x20);
	assert_int_equal(lapic_get_tpr(env.device), 0);
	assert_int_equal(base_write(&env, 0xfee00900), STATUS_FAULT); // not back to xAPIC
	assert_int_equal(base_write(&env, 0xfee00000), STATUS_OK);
	assert_int_equal(pending(&env), -1); // back in the reset state, 11.4.3
	assert_int_equal(base_write(&env, 0xfee00c00), STATUS_FAULT); // not at once to x2APIC
	assert_int_equal(base_write(&env, 0xfee00800), STATUS_OK);
	assert_int_equal(mapped_base, 0xfee00000);
	assert_int_equal(get(&env, LAPIC_SVR), 0xff);
	fake_destroy(&env);
}

// 11.4.3: without its local APIC the processor has INTR and NMI pins.
static void test_disabled(void **state)
{
	const struct interrupt_message all = {.destination = 0xff, .assert = true};
	struct fake_env env;
	uint64_t value;

	(void)state;
	create(&env, 0);
	assert_true(lapic_matches(env.device, &all));
	fake_line(&env, LAPIC_INPUT_LINT0, true);
	assert_false(lapic_extint_pending(env.device));
	assert_int_equal(base_write(&env, 0xfee00000), STATUS_OK);
	assert_true(lapic_extint_pending(env.device));
	assert_false(lapic_matches(env.device, &all));
	fake_save_and_load(&env);
	assert_true(lapic_extint_pending(env.device));
	fake_line(&env, LAPIC_INPUT_LINT0, false);
	assert_false(lapic_extint_pending(env.device));
	fake_line(&env, LAPIC_INPUT_LINT1, true);
	fake_line(&env, LAPIC_INPUT_LINT1, true);
	assert_int_equal(env.line_rises[LAPIC_OUTPUT_NMI], 1);
	deliver(&env, INTERRUPT_NMI, 0, false);
	assert_int_equal(env.line_rises[LAPIC_OUTPUT_NMI], 1);
	assert_int_equal(fake_read(&env, 0, 0x20, 4), 0xffffffff);
	assert_int_equal(msr_read(&env, LAPIC_ID, &value), STATUS_FAULT);
	fake_destroy(&env);
}

// 11.12.1.2, table 11-6
static void test_x2apic_registers(void **state)
{
	static const uint8_t readable[] = {0x02, 0x03, 0x08, 0x0a, 0x0d, 0x0f, 0x28, 0x30, 0x32,
		0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3e};
	static const uint8_t writable[] = {0x08, 0x0b, 0x0f, 0x28, 0x30, 0x32, 0x33, 0x34, 0x35,
		0x36, 0x37, 0x38, 0x3e, 0x3f};
	struct fake_env env;
	uint64_t value;

	(void)state;
	create(&env, 0);
	assert_int_equal(msr_read(&env, LAPIC_ID, &value), STATUS_FAULT); // xAPIC mode
	assert_int_equal(msr_write(&env, LAPIC_EOI, 0), STATUS_FAULT);
	enter_x2apic(&env);
	for (unsigned i = 0, r = 0, w = 0; i < 0x400; i++) {
		bool reads = i >= 0x10 && i < 0x28, writes = false;

		if (r < ARRAY_COUNT(readable) && readable[r] == i)
			r++, reads = true;
		if (w < ARRAY_COUNT(writable) && writable[w] == i)
			w++, writes = true;
		assert_int_equal(msr_read(&env, i, &value), reads ? STATUS_OK : STATUS_FAULT);
		// The ICR's and SELF IPI's illegal vector is an error of another kind.
		assert_int_equal(msr_write(&env, i, 0), writes ? STATUS_OK : STATUS_FAULT);
	}
	fake_destroy(&env);
}

// 11.12.1.3: reserved bits; what may be written is written.
static void test_x2apic_reserved_bits(void **state)
{
	static const struct {
		unsigned index;
		uint64_t allowed;
	} cases[] = {
		{LAPIC_TPR, 0xff}, {LAPIC_EOI, 0}, {LAPIC_ESR, 0}, {LAPIC_SVR, 0x3ff},
		{LAPIC_ICR, 0xffffffff000ccfff}, {LAPIC_LVT_TIMER, 0x710ff},
		{LAPIC_LVT_THERMAL, 0x117ff}, {LAPIC_LVT_PERFORMANCE, 0x117ff},
		{LAPIC_LVT_LINT0, 0x1f7ff}, {LAPIC_LVT_LINT1, 0x1f7ff},
		{LAPIC_LVT_ERROR, 0x110ff}, {LAPIC_TIMER_INITIAL, 0xffffffff},
		{LAPIC_TIMER_DIVIDE, 0xb}, {LAPIC_SELF_IPI, 0xff},
	};
	struct fake_env env;

	(void)state;
	create(&env, 0);
	enter_x2apic(&env);
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
		for (unsigned bit = 0; bit < 64; bit++) {
			bool allowed = (cases[i].allowed & BIT(bit)) != 0;

			assert_int_equal(msr_write(&env, cases[i].index, BIT(bit)),
				allowed ? STATUS_OK : STATUS_FAULT);
			fake_clear(&env);
		}
	fake_destroy(&env);
}

// 11.12.9, 11.12.10.2, 11.12.11
static void test_x2apic_commands(void **state)
{
	struct fake_env env;

	(void)state;
	create(&env, 0x123);
	enter_x2apic(&env);
	assert_int_equal(msr(&env, LAPIC_ID), 0x123);
	assert_int_equal(msr(&env, LAPIC_LDR), 0x120008);
	assert_int_equal(msr_write(&env, LAPIC_SELF_IPI, 0x40), STATUS_OK);
	assert_int_equal(pending(&env), -1); // software-disabled
	assert_int_equal(msr_write(&env, LAPIC_SVR, 0x1ff), STATUS_OK);
	assert_int_equal(msr_write(&env, LAPIC_SELF_IPI, 0x40), STATUS_OK);
	assert_int_equal(acknowledge(&env), 0x40);
	assert_int_equal(msr_write(&env, LAPIC_EOI, 1), STATUS_FAULT);
	assert_int_equal(msr_write(&env, LAPIC_EOI, 0), STATUS_OK);
	assert_int_equal(msr(&env, LAPIC_ISR + 2), 0);
	assert_int_equal(msr_write(&env, LAPIC_SELF_IPI, 0xf), STATUS_OK);
	assert_int_equal(msr_write(&env, LAPIC_ESR, 0), STATUS_OK);
	assert_int_equal(msr(&env, LAPIC_ESR), 0x20);
	assert_int_equal(msr_write(&env, LAPIC_ICR, 0x12345678000008fd), STATUS_OK);
	assert_int_equal(env.messages, 1);
	assert_int_equal(env.message[0].destination, 0x12345678);
	assert_int_equal(env.message[0].vector, 0xfd);
	assert_true(env.message[0].x2apic && env.message[0].logical);
	fake_save_and_load(&env);
	assert_int_equal(msr(&env, LAPIC_ICR), 0x12345678000008fd);
	fake_destroy(&env);
}

static bool matches(struct fake_env *env, uint32_t destination, bool logical, bool x2apic)
{
	const struct interrupt_message message = {
		.destination = destination, .logical = logical, .x2apic = x2apic};

	return lapic_matches(env->device, &message);
}

// 11.6.2
static void test_destinations(void **state)
{
	struct fake_env env;

	(void)state;
	create(&env, 5);
	assert_true(matches(&env, 5, false, false));
	assert_false(matches(&env, 4, false, false));
	assert_true(matches(&env, 0xff, false, false));
	assert_false(matches(&env, 0xff, false, true)); // an id in x2APIC's space
	assert_true(matches(&env, 0xffffffff, false, true));
	put(&env, LAPIC_LDR, 0x21000000); // 11.6.2.2: flat
	assert_true(matches(&env, 0x20, true, false));
	assert_true(matches(&env, 0x03, true, false));
	assert_false(matches(&env, 0x5e, true, false));
	put(&env, LAPIC_DFR, 0x0fffffff); // cluster
	assert_true(matches(&env, 0x23, true, false));
	assert_false(matches(&env, 0x22, true, false));
	assert_false(matches(&env, 0x13, true, false));
	assert_true(matches(&env, 0xff, true, false));
	enter_x2apic(&env); // 11.12.10
	assert_true(matches(&env, 5, false, true));
	assert_true(matches(&env, 0x20, true, false));
	assert_true(matches(&env, 0x60, true, true));
	assert_false(matches(&env, 0x10020, true, true));
	assert_false(matches(&env, 0xffdf, true, true));
	assert_true(matches(&env, 0xff, true, false));
	assert_true(matches(&env, 0xffffffff, true, true));
	fake_destroy(&env);
	create(&env, 0x1ff);
	enter_x2apic(&env);
	assert_true(matches(&env, 0x1ff, false, true));
	assert_false(matches(&env, 0xfe, false, true));
	assert_true(matches(&env, 0x1f8000, true, true));
	assert_false(matches(&env, 0x1e8000, true, true));
	fake_destroy(&env);
}

static void test_lowest_priority(void **state)
{
	struct fake_env env;

	(void)state;
	create(&env, 0);
	assert_int_equal(lapic_priority(env.device), 256);
	software_enable(&env);
	assert_int_equal(lapic_priority(env.device), 0);
	lapic_set_tpr(env.device, 0x35);
	assert_int_equal(lapic_priority(env.device), 0x35);
	fake_destroy(&env);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_base),
		cmocka_unit_test(test_disabled),
		cmocka_unit_test(test_x2apic_registers),
		cmocka_unit_test(test_x2apic_reserved_bits),
		cmocka_unit_test(test_x2apic_commands),
		cmocka_unit_test(test_destinations),
		cmocka_unit_test(test_lowest_priority),
	};

	return cmocka_run_group_tests_name("lapic_x2apic", tests, NULL, NULL);
}

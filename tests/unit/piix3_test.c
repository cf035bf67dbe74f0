// SPDX-License-Identifier: BSD-2-Clause
#include "tests/unit/fake_env.h"

#include "emul/piix3.h"

static void route(struct fake_env *env, unsigned pirq, uint8_t value)
{
	fake_write(env, PCIDEV_REGION_CONFIG, PIIX3_PIRQ_ROUTE + pirq, 1, value);
}

static void pirq(struct fake_env *env, unsigned number, unsigned line, bool level)
{
	fake_line(env, number * PIIX3_PIRQ_INPUTS + line, level);
}

static void expect_lines(const struct fake_env *env, uint32_t irqs)
{
	for (unsigned i = 0; i < PIIX3_OUTPUTS; i++)
		assert_int_equal(env->line[i], (irqs & BIT(i)) != 0);
}

// 82371SB, 2.2.
static void is_an_isa_bridge(void **state)
{
	struct fake_env env;

	(void)state;
	fake_create(&env, &piix3_model);
	assert_int_equal(fake_read(&env, PCIDEV_REGION_CONFIG, 0x00, 4), 0x70008086);
	assert_int_equal(fake_read(&env, PCIDEV_REGION_CONFIG, 0x04, 4), 0x02000007);
	assert_int_equal(fake_read(&env, PCIDEV_REGION_CONFIG, 0x08, 4), 0x06010000);
	assert_int_equal(fake_read(&env, PCIDEV_REGION_CONFIG, 0x0c, 4), 0x00800000);
	assert_int_equal(fake_read(&env, PCIDEV_REGION_CONFIG, 0x60, 4), 0x80808080);
	fake_destroy(&env);
}

static void leads_interrupts(void **state)
{
	struct fake_env env;

	(void)state;
	fake_create(&env, &piix3_model);
	pirq(&env, 0, 0, true);
	expect_lines(&env, 0);
	route(&env, 0, 10);
	expect_lines(&env, 1 << 10);
	route(&env, 1, 10); // two share an interrupt
	route(&env, 3, 5);
	pirq(&env, 1, 7, true);
	pirq(&env, 3, 31, true);
	expect_lines(&env, 1 << 10 | 1 << 5);
	fake_save_and_load(&env);
	pirq(&env, 0, 0, false);
	expect_lines(&env, 1 << 10 | 1 << 5);
	pirq(&env, 1, 8, true); // two share a PIRQ
	pirq(&env, 1, 7, false);
	expect_lines(&env, 1 << 10 | 1 << 5);
	pirq(&env, 1, 8, false);
	expect_lines(&env, 1 << 5);
	route(&env, 3, 5 | PIIX3_PIRQ_DISABLED);
	expect_lines(&env, 0);
	route(&env, 3, 0xff);
	assert_int_equal(fake_read(&env, PCIDEV_REGION_CONFIG, 0x63, 1), 0x8f);
	for (unsigned irq = 0; irq < 16; irq++) { // not to the timer, keyboard, cascade, RTC, FPU
		bool may = irq >= 3 && irq != 8 && irq != 13;

		route(&env, 3, (uint8_t)irq);
		expect_lines(&env, may ? (uint32_t)1 << irq : 0);
	}
	fake_reset(&env, DEVICE_RESET_LINE);
	expect_lines(&env, 0);
	route(&env, 3, 5);
	expect_lines(&env, 0);
	fake_destroy(&env);
}

static void checks_state(void **state)
{
	struct fake_env env;

	(void)state;
	fake_check_coverage(&piix3_model);
	fake_create(&env, &piix3_model);
	fake_check_ranges(&env);
	pcidev_of(env.device)->config[PIIX3_PIRQ_ROUTE] = 0x10;
	assert_int_equal(state_check(piix3_model.state, env.device, NULL), STATUS_INVALID);
	fake_destroy(&env);
}

static void withstands_random_accesses(void **state)
{
	struct fake_env env;
	uint64_t seed = 1;

	(void)state;
	fake_create(&env, &piix3_model);
	for (unsigned i = 0; i < 20000; i++) {
		unsigned size, offset;

		seed = seed * 6364136223846793005 + 1442695040888963407;
		size = 1U << (seed >> 61) % 3;
		offset = (unsigned)(seed >> 50) % (PCIDEV_CONFIG_BYTES + 1 - size);
		if (seed >> 48 & 1)
			fake_write(&env, PCIDEV_REGION_CONFIG, offset, size,
				seed >> 8 & 0xffffffff);
		else
			pirq(&env, seed >> 40 & 3, seed >> 32 & 31, seed >> 31 & 1);
		assert_int_equal(state_check(piix3_model.state, env.device, NULL), STATUS_OK);
		if (i % 500 == 0)
			fake_save_and_load(&env);
	}
	fake_destroy(&env);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_an_isa_bridge),
		cmocka_unit_test(leads_interrupts),
		cmocka_unit_test(checks_state),
		cmocka_unit_test(withstands_random_accesses),
	};

	return cmocka_run_group_tests_name("piix3", tests, NULL, NULL);
}

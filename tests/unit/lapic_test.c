// SPDX-License-Identifier: BSD-2-Clause
// Local APIC: registers, acceptance and priorities, pins, messages. Sections are those of the
// SDM, volume 3.
#include "tests/unit/lapic_test.h"

// 11.4.7.1
static void test_reset_state(void **state)
{
	struct fake_env env;

	(void)state;
	create(&env, 5);
	assert_int_equal(get(&env, LAPIC_ID), 5u << 24);
	assert_int_equal(get(&env, LAPIC_VERSION), 0x50014);
	for (unsigned i = LAPIC_ISR; i < LAPIC_ESR; i++)
		assert_int_equal(get(&env, i), 0);
	for (unsigned i = LAPIC_LVT_TIMER; i <= LAPIC_LVT_ERROR; i++)
		assert_int_equal(get(&env, i), 0x10000);
	assert_int_equal(get(&env, LAPIC_TPR), 0);
	assert_int_equal(get(&env, LAPIC_PPR), 0);
	assert_int_equal(get(&env, LAPIC_APR), 0);
	assert_int_equal(get(&env, LAPIC_RRD), 0);
	assert_int_equal(get(&env, LAPIC_LDR), 0);
	assert_int_equal(get(&env, LAPIC_DFR), 0xffffffff);
	assert_int_equal(get(&env, LAPIC_SVR), 0xff);
	assert_int_equal(get(&env, LAPIC_ESR), 0);
	assert_int_equal(get(&env, LAPIC_ICR), 0);
	assert_int_equal(get(&env, LAPIC_ICR_HIGH), 0);
	assert_int_equal(get(&env, LAPIC_TIMER_INITIAL), 0);
	assert_int_equal(get(&env, LAPIC_TIMER_CURRENT), 0);
	assert_int_equal(get(&env, LAPIC_TIMER_DIVIDE), 0);
	assert_int_equal(lapic_base_read(env.device), 0xfee00800);
	assert_int_equal(pending(&env), -1);
	assert_int_equal(get(&env, LAPIC_ESR), 0);
	fake_save_and_load(&env);
	assert_int_equal(get(&env, LAPIC_ID), 5u << 24);
	fake_destroy(&env);
	create(&env, 0); // 11.4.4: BSP
	assert_int_equal(lapic_base_read(env.device), 0xfee00900);
	fake_destroy(&env);
}

// Figures 11-6 to 11-8, 11-12, 11-14, 11-18, 11-23: what sticks of all ones, and of an ID write.
static void test_register_masks(void **state)
{
	static const struct {
		unsigned index;
		uint32_t sticks;
	} cases[] = {
		{LAPIC_ID, 0}, {LAPIC_TPR, 0xff}, {LAPIC_LDR, 0xff000000}, {LAPIC_SVR, 0x3ff},
		{LAPIC_ICR_HIGH, 0xffffffff}, {LAPIC_LVT_TIMER, 0x700ff},
		{LAPIC_LVT_THERMAL, 0x107ff}, {LAPIC_LVT_PERFORMANCE, 0x107ff},
		{LAPIC_LVT_LINT0, 0x1a7ff}, {LAPIC_LVT_LINT1, 0x1a7ff},
		{LAPIC_LVT_ERROR, 0x100ff}, {LAPIC_TIMER_DIVIDE, 0xb}, {LAPIC_VERSION, 0x50014},
	};
	struct fake_env env;

	(void)state;
	create(&env, 0);
	software_enable(&env);
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		put(&env, cases[i].index, 0xffffffff);
		assert_int_equal(get(&env, cases[i].index), cases[i].sticks);
		fake_save_and_load(&env);
	}
	put(&env, LAPIC_DFR, 0);
	assert_int_equal(get(&env, LAPIC_DFR), 0x0fffffff);
	put(&env, LAPIC_ICR, 0xfffff8ff); // reserved delivery would be sent: keep it Fixed
	assert_int_equal(get(&env, LAPIC_ICR), 0xcc8ff);
	fake_destroy(&env);
}

// Access sizes, as lapic.c has them.
static void test_access_sizes(void **state)
{
	struct fake_env env;

	(void)state;
	create(&env, 0x12);
	assert_int_equal(fake_read(&env, 0, 0x23, 1), 0x12);
	assert_int_equal(fake_read(&env, 0, 0x22, 2), 0x1200);
	assert_int_equal(fake_read(&env, 0, 0x20, 8), 0x12000000);
	assert_int_equal(fake_read(&env, 0, 0x24, 4), 0);
	fake_write(&env, 0, 0x80, 1, 0x20);
	fake_write(&env, 0, 0x80, 2, 0x20);
	fake_write(&env, 0, 0x80, 8, 0x20);
	fake_write(&env, 0, 0x84, 4, 0x20);
	assert_int_equal(get(&env, LAPIC_TPR), 0);
	fake_destroy(&env);
}

// 11.8.3.1 and 11.8.4
static void test_priorities(void **state)
{
	struct fake_env env;

	(void)state;
	create(&env, 0);
	software_enable(&env);
	deliver(&env, INTERRUPT_FIXED, 0x41, false);
	deliver(&env, INTERRUPT_LOWEST_PRIORITY, 0xc3, true);
	deliver(&env, INTERRUPT_FIXED, 0x7f, false);
	assert_int_equal(pending(&env), 0xc3);
	assert_int_equal(get(&env, LAPIC_IRR + 2), 2);
	assert_int_equal(get(&env, LAPIC_IRR + 3), 0x80000000);
	assert_int_equal(get(&env, LAPIC_IRR + 6), 8);
	assert_int_equal(get(&env, LAPIC_TMR + 6), 8);
	assert_int_equal(get(&env, LAPIC_TMR + 2), 0);
	lapic_set_tpr(env.device, 0xc0);
	assert_int_equal(pending(&env), -1);
	assert_int_equal(get(&env, LAPIC_APR), 0xc0);
	lapic_set_tpr(env.device, 0xbf);
	assert_int_equal(pending(&env), 0xc3);
	assert_int_equal(get(&env, LAPIC_PPR), 0xbf);
	assert_int_equal(get(&env, LAPIC_APR), 0xc0);
	put(&env, LAPIC_TPR, 0x12);
	assert_int_equal(lapic_get_tpr(env.device), 0x12);
	assert_int_equal(acknowledge(&env), 0xc3);
	assert_int_equal(get(&env, LAPIC_ISR + 6), 8);
	assert_int_equal(get(&env, LAPIC_IRR + 6), 0);
	assert_int_equal(get(&env, LAPIC_PPR), 0xc0);
	assert_int_equal(pending(&env), -1);
	deliver(&env, INTERRUPT_FIXED, 0xcf, false); // same class: waits
	assert_int_equal(pending(&env), -1);
	deliver(&env, INTERRUPT_FIXED, 0xd0, false); // nests
	fake_save_and_load(&env);
	assert_int_equal(pending(&env), 0xd0);
	assert_int_equal(acknowledge(&env), 0xd0);
	put(&env, LAPIC_EOI, 0);
	assert_int_equal(env.messages, 0);
	assert_int_equal(get(&env, LAPIC_PPR), 0xc0);
	put(&env, LAPIC_EOI, 0); // level-triggered: told to the I/O APICs, 11.8.5
	assert_int_equal(env.messages, 1);
	assert_int_equal(env.message[0].delivery, INTERRUPT_EOI);
	assert_int_equal(env.message[0].vector, 0xc3);
	assert_int_equal(acknowledge(&env), 0xcf);
	put(&env, LAPIC_EOI, 0);
	assert_int_equal(acknowledge(&env), 0x7f);
	assert_int_equal(get(&env, LAPIC_PPR), 0x70);
	put(&env, LAPIC_EOI, 0);
	assert_int_equal(acknowledge(&env), 0x41);
	put(&env, LAPIC_EOI, 0);
	put(&env, LAPIC_EOI, 0); // none in service: ignored
	assert_int_equal(pending(&env), -1);
	assert_int_equal(env.messages, 1);
	fake_destroy(&env);
}

// Every legal vector goes all the way; TMR follows the last acceptance (11.8.4).
static void test_all_vectors(void **state)
{
	struct fake_env env;

	(void)state;
	create(&env, 0);
	software_enable(&env);
	for (unsigned i = 16; i < 256; i++)
		deliver(&env, INTERRUPT_FIXED, (uint8_t)i, true);
	for (unsigned i = 16; i < 256; i++)
		deliver(&env, INTERRUPT_FIXED, (uint8_t)i, false);
	for (unsigned i = 255; i >= 32; i--) {
		assert_int_equal(pending(&env), i);
		assert_int_equal(acknowledge(&env), i);
		put(&env, LAPIC_EOI, 0);
	}
	assert_int_equal(pending(&env), 31);
	assert_int_equal(env.messages, 0);
	fake_destroy(&env);
}

// 11.9
static void test_spurious(void **state)
{
	struct fake_env env;

	(void)state;
	create(&env, 0);
	put(&env, LAPIC_SVR, 0x1e7);
	deliver(&env, INTERRUPT_FIXED, 0x55, false);
	lapic_set_tpr(env.device, 0xf0);
	assert_int_equal(acknowledge(&env), 0xe7);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(get(&env, LAPIC_ISR + i), 0);
	lapic_set_tpr(env.device, 0);
	assert_int_equal(pending(&env), 0x55);
	fake_destroy(&env);
}

// 11.4.7.2
static void test_software_disabled(void **state)
{
	struct fake_env env;
	uint8_t vector = 0;

	(void)state;
	create(&env, 0);
	put(&env, LAPIC_LVT_ERROR, 0x44);
	assert_int_equal(get(&env, LAPIC_LVT_ERROR), 0x10044);
	software_enable(&env);
	put(&env, LAPIC_LVT_ERROR, 0x44);
	assert_int_equal(get(&env, LAPIC_LVT_ERROR), 0x44);
	deliver(&env, INTERRUPT_FIXED, 0x61, false);
	put(&env, LAPIC_SVR, 0xff);
	assert_int_equal(get(&env, LAPIC_LVT_ERROR), 0x10044);
	assert_int_equal(pending(&env), 0x61); // held
	deliver(&env, INTERRUPT_FIXED, 0x71, false);
	deliver(&env, INTERRUPT_EXTINT, 0, false);
	assert_int_equal(pending(&env), 0x61);
	assert_false(lapic_extint_pending(env.device));
	assert_int_equal(lapic_priority(env.device), 256);
	deliver(&env, INTERRUPT_NMI, 0, false);
	deliver(&env, INTERRUPT_SMI, 0, false);
	deliver(&env, INTERRUPT_INIT, 0, false);
	deliver(&env, INTERRUPT_STARTUP, 0x9a, false);
	assert_int_equal(env.line_rises[LAPIC_OUTPUT_NMI], 1);
	assert_int_equal(env.line_rises[LAPIC_OUTPUT_SMI], 1);
	assert_int_equal(env.line_rises[LAPIC_OUTPUT_INIT], 1);
	assert_false(env.line[LAPIC_OUTPUT_NMI]);
	assert_false(fake_level(&env, LAPIC_OUTPUT_NMI));
	fake_save_and_load(&env);
	assert_true(lapic_take_startup(env.device, &vector));
	assert_int_equal(vector, 0x9a);
	assert_false(lapic_take_startup(env.device, &vector));
	fake_destroy(&env);
}

// 11.4.7.3: and the level de-assert form of INIT is without effect (11.6.1).
static void test_init(void **state)
{
	struct fake_env env;
	const struct interrupt_message deassert = {.delivery = INTERRUPT_INIT, .level = true};
	uint8_t vector;

	(void)state;
	create(&env, 3);
	assert_int_equal(base_write(&env, 0xfed00000 | LAPIC_BASE_ENABLE), STATUS_OK);
	software_enable(&env);
	put(&env, LAPIC_LDR, 0x08000000);
	put(&env, LAPIC_TIMER_INITIAL, 1000);
	deliver(&env, INTERRUPT_FIXED, 0x61, true);
	acknowledge(&env);
	deliver(&env, INTERRUPT_FIXED, 0x71, true);
	deliver(&env, INTERRUPT_STARTUP, 1, false);
	fake_message(&env, &deassert);
	assert_int_equal(env.line_rises[LAPIC_OUTPUT_INIT], 0);
	deliver(&env, INTERRUPT_INIT, 0, false); // forgets the STARTUP before it, not the one after
	assert_false(lapic_take_startup(env.device, &vector));
	deliver(&env, INTERRUPT_STARTUP, 2, false);
	env.in_stimulus = true;
	lapic_init(env.device, env.now);
	env.in_stimulus = false;
	assert_true(lapic_take_startup(env.device, &vector));
	assert_int_equal(vector, 2);
	assert_int_equal(pending(&env), -1);
	assert_int_equal(get(&env, LAPIC_ID), 3u << 24);
	assert_int_equal(get(&env, LAPIC_SVR), 0xff);
	assert_int_equal(get(&env, LAPIC_LDR), 0);
	assert_int_equal(get(&env, LAPIC_ISR + 3) | get(&env, LAPIC_IRR + 3), 0);
	assert_int_equal(env.deadline[LAPIC_TIMER].ns, UINT64_MAX);
	assert_int_equal(lapic_base_read(env.device), 0xfed00800);
	fake_destroy(&env);
}

// 11.5.3
static void test_errors(void **state)
{
	struct fake_env env;

	(void)state;
	create(&env, 0);
	software_enable(&env);
	put(&env, LAPIC_LVT_ERROR, 0x44);
	assert_int_equal(get(&env, 0x2f), 0); // LVT CMCI: not there
	assert_int_equal(get(&env, LAPIC_ESR), 0); // not latched yet
	assert_int_equal(acknowledge(&env), 0x44);
	put(&env, LAPIC_EOI, 0);
	deliver(&env, INTERRUPT_FIXED, 15, false);
	assert_int_equal(pending(&env), -1); // not rearmed
	put(&env, LAPIC_ICR, 0x0000f); // 11.6.1: not sent
	assert_int_equal(env.messages, 0);
	fake_save_and_load(&env);
	put(&env, LAPIC_ESR, 0);
	assert_int_equal(get(&env, LAPIC_ESR), 0xe0);
	put(&env, LAPIC_ESR, 0);
	assert_int_equal(get(&env, LAPIC_ESR), 0);
	put(&env, 0x40, 1); // illegal register again, rearmed
	assert_int_equal(acknowledge(&env), 0x44);
	put(&env, LAPIC_EOI, 0);
	put(&env, LAPIC_ESR, 0);
	put(&env, LAPIC_LVT_ERROR, 0x04); // an error interrupt with an illegal vector
	put(&env, LAPIC_ICR, 0x40003);
	assert_int_equal(pending(&env), -1);
	put(&env, LAPIC_ESR, 0);
	assert_int_equal(get(&env, LAPIC_ESR), 0x60);
	fake_destroy(&env);
}

// 11.6.1
static void test_commands(void **state)
{
	struct fake_env env;
	const struct interrupt_message *message = &env.message[0];

	(void)state;
	create(&env, 0);
	software_enable(&env);
	put(&env, LAPIC_ICR_HIGH, 0x21000000);
	put(&env, LAPIC_ICR, 0xc8d9); // logical, Fixed, level, assert
	assert_int_equal(env.messages, 1);
	assert_int_equal(message->destination, 0x21);
	assert_int_equal(message->vector, 0xd9);
	assert_int_equal(message->delivery, INTERRUPT_FIXED);
	assert_true(message->logical && message->assert && !message->level && !message->x2apic);
	assert_int_equal(message->shorthand, INTERRUPT_TO_DESTINATION);
	put(&env, LAPIC_ICR, 0xc4500); // INIT to all others
	assert_int_equal(env.message[1].delivery, INTERRUPT_INIT);
	assert_int_equal(env.message[1].shorthand, INTERRUPT_TO_OTHERS);
	assert_true(env.message[1].assert);
	put(&env, LAPIC_ICR, 0x8500); // INIT level de-assert
	assert_true(!env.message[2].assert && env.message[2].level);
	put(&env, LAPIC_ICR, 0x46ab);
	assert_int_equal(env.message[3].delivery, INTERRUPT_STARTUP);
	put(&env, LAPIC_ICR, 0x4300); // reserved
	put(&env, LAPIC_ICR, 0x4700);
	assert_int_equal(env.messages, 4);
	assert_int_equal(pending(&env), -1);
	put(&env, LAPIC_ICR, 0x44033); // self
	assert_int_equal(env.messages, 4);
	assert_int_equal(pending(&env), 0x33);
	put(&env, LAPIC_ICR, 0x84044); // all
	assert_int_equal(env.messages, 5);
	assert_int_equal(env.message[4].shorthand, INTERRUPT_TO_ALL);
	fake_destroy(&env);
}

// 11.5.1: ExtINT, NMI, Fixed by edge and level, polarity.
static void test_pins(void **state)
{
	struct fake_env env;

	(void)state;
	create(&env, 0);
	software_enable(&env);
	put(&env, LAPIC_LVT_LINT0, 0x10700);
	fake_line(&env, LAPIC_INPUT_LINT0, true);
	assert_false(lapic_extint_pending(env.device));
	put(&env, LAPIC_LVT_LINT0, 0x700);
	assert_true(lapic_extint_pending(env.device));
	fake_save_and_load(&env);
	assert_true(lapic_extint_pending(env.device));
	fake_line(&env, LAPIC_INPUT_LINT0, false);
	assert_false(lapic_extint_pending(env.device));
	put(&env, LAPIC_LVT_LINT1, 0x400);
	fake_line(&env, LAPIC_INPUT_LINT1, true);
	fake_line(&env, LAPIC_INPUT_LINT1, true);
	assert_int_equal(env.line_rises[LAPIC_OUTPUT_NMI], 1);
	put(&env, LAPIC_LVT_LINT1, 0x10400);
	fake_line(&env, LAPIC_INPUT_LINT1, false);
	fake_line(&env, LAPIC_INPUT_LINT1, true);
	assert_int_equal(env.line_rises[LAPIC_OUTPUT_NMI], 1);
	put(&env, LAPIC_LVT_LINT1, 0x2500); // INIT, active low
	fake_line(&env, LAPIC_INPUT_LINT1, false);
	assert_int_equal(env.line_rises[LAPIC_OUTPUT_INIT], 1);
	put(&env, LAPIC_LVT_LINT0, 0x31); // Fixed, edge
	fake_line(&env, LAPIC_INPUT_LINT0, true);
	assert_int_equal(acknowledge(&env), 0x31);
	put(&env, LAPIC_EOI, 0);
	assert_int_equal(pending(&env), -1);
	assert_int_equal(env.messages, 0);
	fake_destroy(&env);
}

static void test_level_pin(void **state)
{
	struct fake_env env;

	(void)state;
	create(&env, 0);
	software_enable(&env);
	fake_line(&env, LAPIC_INPUT_LINT0, true);
	put(&env, LAPIC_LVT_LINT0, 0x8032);
	assert_int_equal(get(&env, LAPIC_LVT_LINT0), 0xc032); // remote IRR
	put(&env, LAPIC_LVT_LINT0, 0x8032); // which is read-only
	assert_int_equal(get(&env, LAPIC_LVT_LINT0), 0xc032);
	assert_int_equal(acknowledge(&env), 0x32);
	fake_line(&env, LAPIC_INPUT_LINT0, true); // remote IRR bars the next
	put(&env, LAPIC_LVT_LINT0, 0x8032);
	assert_int_equal(get(&env, LAPIC_IRR + 1), 0);
	fake_save_and_load(&env);
	put(&env, LAPIC_EOI, 0); // still asserted: once more
	assert_int_equal(acknowledge(&env), 0x32);
	fake_line(&env, LAPIC_INPUT_LINT0, false);
	put(&env, LAPIC_EOI, 0);
	assert_int_equal(pending(&env), -1);
	assert_int_equal(get(&env, LAPIC_LVT_LINT0), 0x8032);
	fake_line(&env, LAPIC_INPUT_LINT0, true);
	put(&env, LAPIC_LVT_LINT0, 0x32);
	assert_int_equal(get(&env, LAPIC_LVT_LINT0), 0x32);
	fake_destroy(&env);
}

static void test_extint_message(void **state)
{
	struct fake_env env;

	(void)state;
	create(&env, 0);
	software_enable(&env);
	deliver(&env, INTERRUPT_EXTINT, 0x12, false);
	fake_save_and_load(&env);
	assert_true(lapic_extint_pending(env.device));
	lapic_acknowledge_extint(env.device);
	assert_false(lapic_extint_pending(env.device));
	fake_destroy(&env);
}

static void refuse(struct fake_env *env, const struct lapic *impossible)
{
	struct state_error error = {0};

	assert_int_equal(state_check(lapic_model.state, impossible, &error), STATUS_INVALID);
	assert_null(error.field);
	assert_non_null(error.reason);
	assert_int_equal(state_check(lapic_model.state, env->device, NULL), STATUS_OK);
}

static void test_impossible_states(void **state)
{
	struct fake_env env;
	struct lapic copy;

	(void)state;
	create(&env, 0);
#define REFUSE(...)                                                                                \
	do {                                                                                       \
		copy = *lapic_of(env.device);                                                      \
		__VA_ARGS__;                                                                       \
		refuse(&env, &copy);                                                               \
	} while (0)
	REFUSE(copy.base = LAPIC_BASE_X2APIC);
	REFUSE(copy.base |= 1);
	REFUSE(copy.irr[0] = 1);
	REFUSE(copy.isr[0] = 0x8000);
	REFUSE(copy.lvt[3] = 0); // unmasked while software-disabled
	REFUSE(copy.lvt[5] |= 0x100);
	REFUSE(copy.lvt[3] |= 0x4000);
	REFUSE(copy.timer_deadline_ns = 1);
	REFUSE(copy.timer_divide = 4);
	REFUSE(copy.tsc_deadline = 1);
	REFUSE(copy.lvt[0] |= 0x40000, copy.timer_initial = 1);
	REFUSE(copy.ldr = 1);
	REFUSE(copy.icr = 0x1000);
	REFUSE(copy.esr = 1);
	REFUSE(copy.base = 0xfee00000, copy.irr[3] = 1);
	fake_check_ranges(&env);
	fake_check_coverage(&lapic_model);
	fake_destroy(&env);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reset_state),
		cmocka_unit_test(test_register_masks),
		cmocka_unit_test(test_access_sizes),
		cmocka_unit_test(test_priorities),
		cmocka_unit_test(test_all_vectors),
		cmocka_unit_test(test_spurious),
		cmocka_unit_test(test_software_disabled),
		cmocka_unit_test(test_init),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_pins),
		cmocka_unit_test(test_level_pin),
		cmocka_unit_test(test_extint_message),
		cmocka_unit_test(test_impossible_states),
	};

	return cmocka_run_group_tests_name("lapic", tests, NULL, NULL);
}

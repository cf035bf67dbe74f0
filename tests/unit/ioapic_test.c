// SPDX-License-Identifier: BSD-2-Clause
// I/O APIC. Sections are those of the 82093AA datasheet (290566).
#include "tests/unit/fake_env.h"

#include "emul/ioapic.h"

static uint32_t get(struct fake_env *env, uint32_t index)
{
	fake_write(env, 0, IOAPIC_IOREGSEL, 4, index);
	return (uint32_t)fake_read(env, 0, IOAPIC_IOWIN, 4);
}

static void put(struct fake_env *env, uint32_t index, uint32_t value)
{
	fake_write(env, 0, IOAPIC_IOREGSEL, 4, index);
	fake_write(env, 0, IOAPIC_IOWIN, 4, value);
}

static void put_entry(struct fake_env *env, unsigned pin, uint64_t entry)
{
	put(env, IOAPIC_REDIRECTION + 2 * pin + 1, (uint32_t)(entry >> 32));
	put(env, IOAPIC_REDIRECTION + 2 * pin, (uint32_t)entry);
}

static void end_interrupt(struct fake_env *env, uint8_t vector)
{
	const struct interrupt_message eoi = {.vector = vector, .delivery = INTERRUPT_EOI};

	fake_message(env, &eoi);
}

// 3.1, 3.2.1 to 3.2.4
static void test_registers(void **state)
{
	struct fake_env env;

	(void)state;
	fake_create(&env, &ioapic_model);
	assert_int_equal(fake_read(&env, 0, IOAPIC_IOREGSEL, 4), 0);
	assert_int_equal(get(&env, IOAPIC_VERSION), 0x00170020);
	assert_int_equal(get(&env, IOAPIC_ID), 0);
	put(&env, IOAPIC_ID, 0xffffffff);
	assert_int_equal(get(&env, IOAPIC_ID), 0x0f000000);
	assert_int_equal(get(&env, IOAPIC_ARBITRATION), 0x0f000000);
	put(&env, IOAPIC_VERSION, 0);
	assert_int_equal(get(&env, IOAPIC_VERSION), 0x00170020);
	for (unsigned i = 0x10; i < 0x40; i++)
		assert_int_equal(get(&env, i), i & 1 ? 0 : 0x10000);
	for (unsigned i = 0; i < 24; i++) {
		put(&env, 0x11 + 2 * i, 0xffffffff);
		put(&env, 0x10 + 2 * i, 0xffff50ff);
		assert_int_equal(get(&env, 0x11 + 2 * i), 0xff000000);
		assert_int_equal(get(&env, 0x10 + 2 * i), 0x100ff); // status, remote IRR: RO
		put(&env, 0x10 + 2 * i, 0xffffffff);
		assert_int_equal(get(&env, 0x10 + 2 * i), 0x1afff);
	}
	put(&env, 0x40, 0xffffffff);
	put(&env, 0x03, 0xffffffff);
	assert_int_equal(get(&env, 0x40) | get(&env, 0xff) | get(&env, 0x03), 0);
	assert_int_equal(fake_read(&env, 0, 0x20, 4), 0);
	assert_int_equal(fake_read(&env, 0, IOAPIC_EOI, 4), 0);
	assert_int_equal(env.messages, 0);
	fake_save_and_load(&env);
	assert_int_equal(get(&env, 0x3e), 0x1afff);
	fake_destroy(&env);
}

// As ioapic.c has it
static void test_access_sizes(void **state)
{
	struct fake_env env;

	(void)state;
	fake_create(&env, &ioapic_model);
	fake_write(&env, 0, IOAPIC_IOREGSEL, 1, 0x01);
	assert_int_equal(fake_read(&env, 0, IOAPIC_IOREGSEL, 1), 1);
	assert_int_equal(fake_read(&env, 0, IOAPIC_IOWIN, 1), 0x20);
	assert_int_equal(fake_read(&env, 0, IOAPIC_IOWIN + 2, 1), 0x17);
	assert_int_equal(fake_read(&env, 0, IOAPIC_IOWIN, 8), 0x170020);
	assert_int_equal(fake_read(&env, 0, IOAPIC_IOWIN + 4, 4), 0);
	fake_write(&env, 0, IOAPIC_IOREGSEL, 4, 0x10);
	fake_write(&env, 0, IOAPIC_IOWIN, 1, 0);
	fake_write(&env, 0, IOAPIC_IOWIN, 8, 0);
	fake_write(&env, 0, IOAPIC_IOWIN + 1, 4, 0);
	assert_int_equal(get(&env, 0x10), 0x10000);
	fake_destroy(&env);
}

static void test_edge(void **state)
{
	struct fake_env env;
	const struct interrupt_message *message = &env.message[0];

	(void)state;
	fake_create(&env, &ioapic_model);
	fake_line(&env, 4, true); // masked: lost
	put_entry(&env, 4, 0x2100000000000934);
	assert_int_equal(env.messages, 0);
	fake_line(&env, 4, true);
	assert_int_equal(env.messages, 0);
	fake_line(&env, 4, false);
	fake_save_and_load(&env);
	fake_line(&env, 4, true);
	assert_int_equal(env.messages, 1);
	assert_int_equal(message->destination, 0x21);
	assert_int_equal(message->vector, 0x34);
	assert_int_equal(message->delivery, INTERRUPT_LOWEST_PRIORITY);
	assert_true(message->logical && message->assert && !message->level && !message->x2apic);
	fake_line(&env, 4, false);
	fake_line(&env, 4, true); // no EOI needed
	assert_int_equal(env.messages, 2);
	assert_int_equal(get(&env, 0x18), 0x934); // no remote IRR
	put_entry(&env, 4, 0x0100000000002034); // active low
	fake_line(&env, 4, false);
	assert_int_equal(env.messages, 3);
	assert_false(env.message[2].logical);
	fake_destroy(&env);
}

static void test_level(void **state)
{
	struct fake_env env;

	(void)state;
	fake_create(&env, &ioapic_model);
	fake_line(&env, 11, true);
	put_entry(&env, 11, 0x8045);
	assert_int_equal(env.messages, 1);
	assert_true(env.message[0].level);
	assert_int_equal(get(&env, 0x26), 0xc045);
	fake_line(&env, 11, false);
	fake_line(&env, 11, true); // still on its way
	assert_int_equal(env.messages, 1);
	put(&env, 0x27, 0x02000000); // nor does a write to the entry change that
	put(&env, 0x26, 0x8045);
	assert_int_equal(env.messages, 1);
	assert_int_equal(get(&env, 0x26), 0xc045);
	fake_save_and_load(&env);
	end_interrupt(&env, 0x44); // another's
	assert_int_equal(env.messages, 1);
	end_interrupt(&env, 0x45);
	assert_int_equal(env.messages, 2); // asserted still: again
	fake_line(&env, 11, false);
	fake_write(&env, 0, IOAPIC_EOI, 4, 0x45); // the EOI register does the same
	assert_int_equal(env.messages, 2);
	assert_int_equal(get(&env, 0x26), 0x8045);
	end_interrupt(&env, 0x45);
	assert_int_equal(env.messages, 2);
	fake_line(&env, 11, true);
	put(&env, 0x26, 0x18045); // masked with remote IRR set
	end_interrupt(&env, 0x45);
	assert_int_equal(env.messages, 3);
	assert_int_equal(get(&env, 0x26), 0x18045);
	put(&env, 0x26, 0x8045);
	assert_int_equal(env.messages, 4);
	put(&env, 0x26, 0x10045); // to edge-triggered and back: remote IRR falls
	put(&env, 0x26, 0x18045);
	assert_int_equal(get(&env, 0x26), 0x18045);
	put_entry(&env, 11, 0xa045); // active low: not asserted
	assert_int_equal(env.messages, 4);
	fake_line(&env, 11, false);
	assert_int_equal(env.messages, 5);
	fake_destroy(&env);
}

// Two entries with one vector: both end.
static void test_shared_vector(void **state)
{
	struct fake_env env;

	(void)state;
	fake_create(&env, &ioapic_model);
	put_entry(&env, 0, 0x8050);
	put_entry(&env, 23, 0x8050);
	fake_line(&env, 0, true);
	fake_line(&env, 23, true);
	assert_int_equal(env.messages, 2);
	end_interrupt(&env, 0x50);
	assert_int_equal(env.messages, 4);
	fake_destroy(&env);
}

// 3.2.4: other delivery modes are edges; EOI alone is taken from the message bus.
static void test_delivery_modes(void **state)
{
	static const uint8_t modes[] = {INTERRUPT_SMI, INTERRUPT_NMI, INTERRUPT_INIT,
		INTERRUPT_EXTINT};
	const struct interrupt_message other = {.vector = 0x60, .delivery = INTERRUPT_FIXED};
	struct fake_env env;

	(void)state;
	fake_create(&env, &ioapic_model);
	for (unsigned i = 0; i < ARRAY_COUNT(modes); i++) {
		put_entry(&env, 1, 0x8000u | (uint32_t)modes[i] << 8);
		fake_line(&env, 1, true);
		assert_int_equal(env.messages, i + 1);
		assert_int_equal(env.message[i].delivery, modes[i]);
		assert_false(env.message[i].level);
		fake_line(&env, 1, false);
	}
	put_entry(&env, 1, 0x8060);
	fake_line(&env, 1, true);
	fake_clear(&env);
	fake_message(&env, &other);
	assert_int_equal(env.messages, 0);
	assert_int_equal(get(&env, 0x12), 0xc060);
	fake_destroy(&env);
}

static void test_reset(void **state)
{
	struct fake_env env;

	(void)state;
	fake_create(&env, &ioapic_model);
	put(&env, IOAPIC_ID, 0x05000000);
	fake_line(&env, 9, true);
	put_entry(&env, 9, 0x8050);
	fake_reset(&env, DEVICE_RESET_LINE);
	fake_clear(&env);
	assert_int_equal(get(&env, IOAPIC_ID), 0);
	assert_int_equal(get(&env, 0x22), 0x10000);
	put_entry(&env, 9, 0x8050); // the wire is high as before
	assert_int_equal(env.messages, 1);
	fake_destroy(&env);
}

static void check_state(struct fake_env *env, enum status expected)
{
	assert_int_equal(state_check(ioapic_model.state, env->device, NULL), expected);
}

static void test_state(void **state)
{
	const struct state_field *rte = &ioapic_model.state->fields[1];
	struct fake_env env;

	(void)state;
	fake_create(&env, &ioapic_model);
	fake_check_coverage(&ioapic_model);
	fake_check_ranges(&env);
	state_field_set(rte, env.device, 3, 0x1000);
	check_state(&env, STATUS_INVALID);
	state_field_set(rte, env.device, 3, 0x4000); // remote IRR, edge
	check_state(&env, STATUS_INVALID);
	state_field_set(rte, env.device, 3, 0xc400); // remote IRR, NMI
	check_state(&env, STATUS_INVALID);
	state_field_set(rte, env.device, 3, 0xc000);
	check_state(&env, STATUS_OK);
	fake_destroy(&env);
}

static uint32_t random_next(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*seed >> 32);
}

static void test_random(void **state)
{
	struct fake_env env;
	uint64_t seed = 7;

	(void)state;
	fake_create(&env, &ioapic_model);
	for (unsigned i = 0; i < 100000; i++) {
		unsigned size = 1u << random_next(&seed) % 4;
		uint32_t offset = (random_next(&seed) % 0x60) & ~(size - 1);
		uint32_t value = random_next(&seed);

		switch (random_next(&seed) % 5) {
		case 0:
			fake_read(&env, 0, offset, size);
			break;
		case 1:
			fake_write(&env, 0, offset, size, value);
			break;
		case 2:
			put(&env, value % 0x42, random_next(&seed));
			break;
		case 3:
			fake_line(&env, value % 24, (value & 0x100) != 0);
			break;
		default:
			end_interrupt(&env, (uint8_t)value);
			break;
		}
		assert_true(env.messages <= 24);
		fake_clear(&env);
		check_state(&env, STATUS_OK);
		if (i % 64 == 0)
			fake_save_and_load(&env);
	}
	fake_destroy(&env);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_registers),
		cmocka_unit_test(test_access_sizes),
		cmocka_unit_test(test_edge),
		cmocka_unit_test(test_level),
		cmocka_unit_test(test_shared_vector),
		cmocka_unit_test(test_delivery_modes),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_state),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests_name("ioapic", tests, NULL, NULL);
}

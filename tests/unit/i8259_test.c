// SPDX-License-Identifier: BSD-2-Clause
// The pair of 8259As. Headings are those of the 8259A datasheet (231468).
#include "tests/unit/fake_env.h"

#include <string.h>

#include "emul/i8259.h"

enum {
	MASTER = I8259_REGION_MASTER,
	SLAVE = I8259_REGION_SLAVE,
	EOI = 0x20,
	READ_IRR = 0x0a,
	READ_ISR = 0x0b,
	POLL = 0x0c,
};

static void put(struct fake_env *env, unsigned region, unsigned port, uint8_t value)
{
	fake_write(env, region, port, 1, value);
}

static uint8_t get(struct fake_env *env, unsigned region, unsigned port)
{
	return (uint8_t)fake_read(env, region, port, 1);
}

static uint8_t get_after(struct fake_env *env, unsigned region, uint8_t ocw3)
{
	put(env, region, 0, ocw3);
	return get(env, region, 0);
}

static uint8_t inta(struct fake_env *env)
{
	uint8_t vector;

	env->in_stimulus = true;
	vector = i8259_acknowledge(env->device, env->now);
	env->in_stimulus = false;
	return vector;
}

static bool intr(struct fake_env *env)
{
	assert_int_equal(fake_level(env, I8259_OUTPUT_INTR), env->line[I8259_OUTPUT_INTR]);
	return env->line[I8259_OUTPUT_INTR];
}

static void initialise(struct fake_env *env, unsigned region, uint8_t icw4)
{
	put(env, region, 0, 0x11);
	put(env, region, 1, region == MASTER ? 0x20 : 0x28);
	put(env, region, 1, region == MASTER ? 0x04 : 0x02);
	put(env, region, 1, icw4);
}

static void start(struct fake_env *env, uint8_t master_icw4, uint8_t slave_icw4)
{
	fake_create(env, &i8259_model);
	initialise(env, MASTER, master_icw4);
	initialise(env, SLAVE, slave_icw4);
}

static void raise(struct fake_env *env, unsigned input)
{
	fake_line(env, input, false);
	fake_line(env, input, true);
}

// Initialization Command Words 1 and 2
static void test_initialisation(void **state)
{
	struct fake_env env;

	(void)state;
	fake_create(&env, &i8259_model);
	fake_line(&env, 1, true);
	assert_false(intr(&env)); // not initialised
	put(&env, MASTER, 1, 0xa5);
	assert_int_equal(get(&env, MASTER, 1), 0xa5);
	put(&env, MASTER, 0, 0x11);
	assert_int_equal(get(&env, MASTER, 1), 0); // IMR cleared
	fake_save_and_load(&env);
	put(&env, MASTER, 1, 0x47); // the low three bits are not the vector's
	fake_save_and_load(&env);
	put(&env, MASTER, 1, 0x04);
	fake_save_and_load(&env);
	put(&env, MASTER, 1, 0x01);
	assert_int_equal(get(&env, MASTER, 1), 0);
	assert_false(intr(&env)); // the edge was before ICW1
	raise(&env, 1);
	assert_true(intr(&env));
	fake_save_and_load(&env);
	assert_int_equal(inta(&env), 0x41);
	put(&env, MASTER, 0, 0x10); // cascaded, no ICW4: two more bytes
	put(&env, MASTER, 1, 0x20);
	put(&env, MASTER, 1, 0x04);
	put(&env, MASTER, 1, 0x55);
	assert_int_equal(get(&env, MASTER, 1), 0x55);
	put(&env, MASTER, 0, 0x12); // single, no ICW4: one
	put(&env, MASTER, 1, 0x20);
	put(&env, MASTER, 1, 0x66);
	assert_int_equal(get(&env, MASTER, 1), 0x66);
	put(&env, MASTER, 0, 0x13); // single, ICW4: two
	put(&env, MASTER, 1, 0x20);
	put(&env, MASTER, 1, 0x01);
	put(&env, MASTER, 1, 0x77);
	assert_int_equal(get(&env, MASTER, 1), 0x77);
	fake_destroy(&env);
}

// Fully Nested Mode, End of Interrupt
static void test_nesting(void **state)
{
	struct fake_env env;

	(void)state;
	start(&env, 1, 1);
	raise(&env, 5);
	raise(&env, 3);
	assert_int_equal(get_after(&env, MASTER, READ_IRR), 0x28);
	assert_int_equal(inta(&env), 0x23);
	assert_int_equal(get(&env, MASTER, 0), 0x20);
	assert_int_equal(get_after(&env, MASTER, READ_ISR), 0x08);
	fake_save_and_load(&env);
	assert_int_equal(get(&env, MASTER, 0), 0x08); // selection remembered
	assert_false(intr(&env)); // 5 waits
	fake_line(&env, 3, true); // no edge
	assert_int_equal(get_after(&env, MASTER, READ_IRR), 0x20);
	raise(&env, 3);
	assert_false(intr(&env)); // so does 3
	put(&env, MASTER, 0, READ_ISR);
	raise(&env, 0);
	assert_true(intr(&env));
	assert_int_equal(inta(&env), 0x20);
	put(&env, MASTER, 0, EOI); // non-specific: 0
	assert_int_equal(get(&env, MASTER, 0), 0x08);
	put(&env, MASTER, 0, 0x63); // specific: 3
	assert_int_equal(get(&env, MASTER, 0), 0);
	assert_int_equal(inta(&env), 0x23);
	put(&env, MASTER, 0, EOI);
	assert_int_equal(inta(&env), 0x25);
	put(&env, MASTER, 0, EOI);
	put(&env, MASTER, 0, EOI);
	assert_false(intr(&env));
	fake_destroy(&env);
}

// Operation Command Word 1
static void test_mask(void **state)
{
	struct fake_env env;

	(void)state;
	start(&env, 1, 1);
	put(&env, MASTER, 1, 0x10);
	raise(&env, 4);
	assert_false(intr(&env));
	assert_int_equal(get(&env, MASTER, 0), 0x10); // requested all the same
	put(&env, MASTER, 1, 0);
	assert_true(intr(&env));
	put(&env, MASTER, 1, 0x10);
	assert_false(intr(&env));
	fake_destroy(&env);
}

// Cascade Mode
static void test_cascade(void **state)
{
	struct fake_env env;

	(void)state;
	start(&env, 1, 1);
	fake_line(&env, 2, true); // not connected
	assert_false(intr(&env));
	raise(&env, 12);
	assert_int_equal(get_after(&env, MASTER, READ_IRR), 0x04);
	assert_int_equal(get_after(&env, SLAVE, READ_IRR), 0x10);
	assert_int_equal(inta(&env), 0x2c);
	assert_int_equal(get_after(&env, MASTER, READ_ISR), 0x04);
	assert_int_equal(get_after(&env, SLAVE, READ_ISR), 0x10);
	fake_save_and_load(&env);
	raise(&env, 8); // higher on the slave, yet IR2 is in service
	assert_false(intr(&env));
	raise(&env, 1);
	assert_int_equal(inta(&env), 0x21);
	put(&env, MASTER, 0, EOI);
	put(&env, MASTER, 0, EOI);
	assert_int_equal(inta(&env), 0x28);
	put(&env, SLAVE, 0, EOI);
	put(&env, SLAVE, 0, EOI);
	put(&env, MASTER, 0, EOI);
	assert_int_equal(get(&env, SLAVE, 0) | get(&env, MASTER, 0), 0);
	assert_false(intr(&env));
	fake_destroy(&env);
}

// Special Fully Nested Mode
static void test_special_fully_nested(void **state)
{
	struct fake_env env;

	(void)state;
	start(&env, 0x11, 1);
	raise(&env, 12);
	assert_int_equal(inta(&env), 0x2c);
	raise(&env, 13); // lower on the slave
	raise(&env, 3);  // lower on the master
	assert_false(intr(&env));
	raise(&env, 8);
	fake_save_and_load(&env);
	assert_true(intr(&env));
	assert_int_equal(inta(&env), 0x28);
	put(&env, SLAVE, 0, EOI);
	put(&env, SLAVE, 0, EOI);
	assert_int_equal(inta(&env), 0x2d);
	put(&env, SLAVE, 0, EOI);
	put(&env, MASTER, 0, EOI);
	assert_int_equal(inta(&env), 0x23);
	fake_destroy(&env);
}

// Interrupt Sequence: a request that is gone yields IR7, and sets no bit in ISR.
static void test_spurious(void **state)
{
	struct fake_env env;

	(void)state;
	start(&env, 1, 1);
	raise(&env, 4);
	fake_line(&env, 4, false);
	assert_false(intr(&env));
	assert_int_equal(inta(&env), 0x27);
	assert_int_equal(get_after(&env, MASTER, READ_ISR), 0);
	raise(&env, 7); // a real one has its bit
	assert_int_equal(inta(&env), 0x27);
	assert_int_equal(get(&env, MASTER, 0), 0x80);
	put(&env, MASTER, 0, EOI);
	raise(&env, 10);
	put(&env, SLAVE, 1, 0x04);
	assert_false(intr(&env));
	assert_int_equal(inta(&env), 0x27); // the slave's request is gone for the master too
	put(&env, SLAVE, 1, 0);
	assert_true(intr(&env));
	assert_int_equal(inta(&env), 0x2a);
	fake_destroy(&env);
}

// Poll Command: taking the slave's request takes the master's.
static void test_poll_slave(void **state)
{
	struct fake_env env;

	(void)state;
	start(&env, 1, 1);
	raise(&env, 9);
	assert_int_equal(get_after(&env, SLAVE, POLL), 0x81);
	assert_false(intr(&env));
	assert_int_equal(get_after(&env, SLAVE, POLL), 0x00);
	fake_destroy(&env);
}

// Edge and Level Triggered Modes, by ELCR
static void test_level_triggered(void **state)
{
	struct fake_env env;

	(void)state;
	start(&env, 1, 1);
	fake_write(&env, I8259_REGION_ELCR, 0, 2, 0xffff);
	assert_int_equal(fake_read(&env, I8259_REGION_ELCR, 0, 2), 0xdef8);
	fake_line(&env, 11, true);
	assert_int_equal(inta(&env), 0x2b);
	assert_false(intr(&env));
	fake_save_and_load(&env);
	put(&env, SLAVE, 0, EOI);
	put(&env, MASTER, 0, EOI);
	assert_true(intr(&env)); // still asserted
	fake_line(&env, 11, false);
	assert_false(intr(&env));
	assert_int_equal(inta(&env), 0x27);
	fake_line(&env, 5, true);
	assert_true(intr(&env));
	put(&env, I8259_REGION_ELCR, 0, 0); // an edge again, which was not seen
	assert_false(intr(&env));
	put(&env, MASTER, 0, 0x11); // the initialisation does not touch it
	assert_int_equal(get(&env, I8259_REGION_ELCR, 1), 0xde);
	fake_destroy(&env);
}

// Automatic End of Interrupt Mode; Automatic Rotation
static void test_automatic_eoi(void **state)
{
	struct fake_env env;

	(void)state;
	start(&env, 3, 3);
	raise(&env, 1);
	raise(&env, 6);
	assert_int_equal(inta(&env), 0x21);
	assert_int_equal(get_after(&env, MASTER, READ_ISR), 0);
	assert_int_equal(inta(&env), 0x26);
	put(&env, MASTER, 0, 0x80); // rotate in automatic EOI mode
	raise(&env, 3);
	fake_save_and_load(&env);
	assert_int_equal(inta(&env), 0x23);
	raise(&env, 3);
	raise(&env, 4);
	assert_int_equal(inta(&env), 0x24); // 3 is now the lowest
	put(&env, MASTER, 0, 0x00);
	raise(&env, 4); // 4 is the lowest, and stays so
	assert_int_equal(inta(&env), 0x23);
	raise(&env, 3);
	assert_int_equal(inta(&env), 0x23);
	fake_destroy(&env);
}

// Automatic and Specific Rotation
static void test_rotation(void **state)
{
	struct fake_env env;

	(void)state;
	start(&env, 1, 1);
	raise(&env, 4);
	raise(&env, 6);
	assert_int_equal(inta(&env), 0x24);
	put(&env, MASTER, 0, 0xa0); // rotate on non-specific EOI: 4 becomes the lowest
	raise(&env, 4);
	raise(&env, 0);
	fake_save_and_load(&env);
	assert_int_equal(inta(&env), 0x26);
	put(&env, MASTER, 0, EOI);
	assert_int_equal(inta(&env), 0x20);
	put(&env, MASTER, 0, EOI);
	assert_int_equal(inta(&env), 0x24);
	put(&env, MASTER, 0, 0xe4); // rotate on specific EOI
	put(&env, MASTER, 0, 0xc1); // set priority: 1 the lowest, 2 the highest
	put(&env, MASTER, 0, 0x40); // no operation
	raise(&env, 0);
	raise(&env, 3);
	assert_int_equal(inta(&env), 0x23);
	assert_int_equal(get_after(&env, MASTER, READ_ISR), 0x08);
	assert_false(intr(&env));
	put(&env, MASTER, 0, EOI);
	assert_int_equal(inta(&env), 0x20);
	put(&env, MASTER, 0, 0xa0); // 0 the lowest: 1 is above it again
	put(&env, MASTER, 0, 0xa0); // nothing in service: nothing rotates
	raise(&env, 0);
	raise(&env, 1);
	assert_int_equal(inta(&env), 0x21);
	fake_destroy(&env);
}

// Special Mask Mode
static void test_special_mask(void **state)
{
	struct fake_env env;

	(void)state;
	start(&env, 1, 1);
	raise(&env, 3);
	assert_int_equal(inta(&env), 0x23);
	raise(&env, 6);
	put(&env, MASTER, 1, 0x08);
	assert_false(intr(&env));
	put(&env, MASTER, 0, 0x68);
	fake_save_and_load(&env);
	assert_true(intr(&env)); // 6, though 3 is in service
	assert_int_equal(inta(&env), 0x26);
	put(&env, MASTER, 0, EOI); // does not end the masked 3
	assert_int_equal(get_after(&env, MASTER, READ_ISR), 0x08);
	raise(&env, 6);
	assert_true(intr(&env));
	put(&env, MASTER, 0, 0x08); // ESMM = 0: no change
	assert_true(intr(&env));
	put(&env, MASTER, 0, 0x48);
	assert_false(intr(&env));
	put(&env, MASTER, 0, 0x63);
	assert_true(intr(&env));
	fake_destroy(&env);
}

// Poll Command
static void test_poll(void **state)
{
	struct fake_env env;

	(void)state;
	start(&env, 1, 1);
	put(&env, MASTER, 0, POLL);
	assert_int_equal(get(&env, MASTER, 0), 0);
	raise(&env, 14);
	raise(&env, 6);
	put(&env, MASTER, 0, POLL);
	fake_save_and_load(&env);
	assert_int_equal(get(&env, MASTER, 0), 0x82); // the slave's
	assert_int_equal(get_after(&env, SLAVE, POLL), 0x86);
	assert_int_equal(get_after(&env, MASTER, READ_ISR), 0x04);
	assert_int_equal(get_after(&env, SLAVE, READ_ISR), 0x40);
	put(&env, SLAVE, 0, EOI);
	put(&env, MASTER, 0, EOI);
	put(&env, MASTER, 0, POLL);
	assert_int_equal(get(&env, MASTER, 1), 0x86); // whichever port is read
	assert_int_equal(get(&env, MASTER, 1), 0); // once
	fake_destroy(&env);
}

static void test_reset(void **state)
{
	struct fake_env env;

	(void)state;
	start(&env, 1, 1);
	put(&env, I8259_REGION_ELCR, 0, 0x20);
	fake_line(&env, 5, true);
	assert_true(intr(&env));
	fake_reset(&env, DEVICE_RESET_LINE);
	assert_false(intr(&env));
	assert_int_equal(get(&env, I8259_REGION_ELCR, 0), 0);
	put(&env, I8259_REGION_ELCR, 0, 0x20);
	assert_int_equal(get(&env, MASTER, 0), 0x20); // the wire is high as before
	initialise(&env, MASTER, 1);
	assert_true(intr(&env));
	fake_destroy(&env);
}

static const struct state_field *field(const char *name)
{
	for (uint32_t i = 0; i < i8259_model.state->field_count; i++)
		if (strcmp(i8259_model.state->fields[i].name, name) == 0)
			return &i8259_model.state->fields[i];
	fail_msg("no field %s", name);
	return NULL;
}

static void refuse(struct fake_env *env, const char *name, uint32_t index, uint64_t value)
{
	uint64_t before = state_field_get(field(name), env->device, index);
	struct state_error error = {0};

	state_field_set(field(name), env->device, index, value);
	assert_int_equal(state_check(i8259_model.state, env->device, &error), STATUS_INVALID);
	assert_null(error.field);
	state_field_set(field(name), env->device, index, before);
	assert_int_equal(state_check(i8259_model.state, env->device, NULL), STATUS_OK);
}

static void test_state(void **state)
{
	struct fake_env env;

	(void)state;
	start(&env, 1, 1);
	fake_check_coverage(&i8259_model);
	fake_check_ranges(&env);
	refuse(&env, "chips.elcr", 0, 0x04);
	refuse(&env, "chips.elcr", 1, 0x20);
	refuse(&env, "chips.irr", 1, 0x01);
	refuse(&env, "chips.lines", 0, 0x04);
	refuse(&env, "chips.vector_base", 0, 0x21);
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
	uint64_t seed = 3;

	(void)state;
	fake_create(&env, &i8259_model);
	for (unsigned i = 0; i < 100000; i++) {
		unsigned region = random_next(&seed) % 3, port = random_next(&seed) & 1;
		uint8_t value = (uint8_t)random_next(&seed);

		switch (random_next(&seed) % 5) {
		case 0:
			fake_read(&env, region, port & 1, 1);
			break;
		case 1:
			fake_read(&env, region, 0, 2);
			break;
		case 2:
			put(&env, region, port, value);
			break;
		case 3:
			fake_line(&env, value & 15, (value & 16) != 0);
			break;
		default:
			if (intr(&env))
				inta(&env);
			break;
		}
		assert_int_equal(state_check(i8259_model.state, env.device, NULL), STATUS_OK);
		intr(&env);
		if (i % 16 == 0) {
			initialise(&env, MASTER, value & 0x13);
			initialise(&env, SLAVE, value & 0x03);
		}
		if (i % 64 == 0)
			fake_save_and_load(&env);
	}
	fake_destroy(&env);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_initialisation),
		cmocka_unit_test(test_nesting),
		cmocka_unit_test(test_mask),
		cmocka_unit_test(test_cascade),
		cmocka_unit_test(test_special_fully_nested),
		cmocka_unit_test(test_spurious),
		cmocka_unit_test(test_poll_slave),
		cmocka_unit_test(test_level_triggered),
		cmocka_unit_test(test_automatic_eoi),
		cmocka_unit_test(test_rotation),
		cmocka_unit_test(test_special_mask),
		cmocka_unit_test(test_poll),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_state),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests_name("i8259", tests, NULL, NULL);
}

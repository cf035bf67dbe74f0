// SPDX-License-Identifier: BSD-2-Clause
#include "tests/unit/fake_env.h"

#include "emul/i8042.h"

enum {
	FULL = 0x01,
	SYSTEM = 0x04,
	COMMAND = 0x08,
	OPEN = 0x10, // not inhibited: constant
	AUXILIARY = 0x20,
	TIMEOUT = 0x40,
};

static void command(struct fake_env *env, uint8_t value)
{
	fake_write(env, I8042_REGION_COMMAND, 0, 1, value);
}

static void data(struct fake_env *env, uint8_t value)
{
	fake_write(env, I8042_REGION_DATA, 0, 1, value);
}

static uint64_t status(struct fake_env *env)
{
	return fake_read(env, I8042_REGION_COMMAND, 0, 1);
}

static uint64_t read_data(struct fake_env *env)
{
	return fake_read(env, I8042_REGION_DATA, 0, 1);
}

// A command's answer, which is there at once and is not the auxiliary port's.
static uint64_t answer(struct fake_env *env, uint8_t value)
{
	command(env, value);
	assert_int_equal(status(env) & (FULL | AUXILIARY | TIMEOUT), FULL);
	fake_save_and_load(env);
	return read_data(env);
}

static void write_command_byte(struct fake_env *env, uint8_t value)
{
	command(env, 0x60);
	fake_save_and_load(env);
	data(env, value);
}

// PS/2 HITR, "Keyboard and Auxiliary Device Controller", status register and commands 20 and 60.
static void status_and_command_byte(void **state)
{
	struct fake_env env;

	(void)state;
	fake_create(&env, &i8042_model);
	assert_int_equal(status(&env), OPEN);
	assert_int_equal(answer(&env, 0x20), 0x30);
	assert_int_equal(status(&env), OPEN | COMMAND);
	write_command_byte(&env, 0x47);
	assert_int_equal(status(&env), OPEN | SYSTEM);
	assert_int_equal(answer(&env, 0x20), 0x47);
	command(&env, 0xad);
	command(&env, 0xa7);
	assert_int_equal(answer(&env, 0x20), 0x77);
	command(&env, 0xae);
	assert_int_equal(answer(&env, 0x20), 0x67);
	command(&env, 0xa8);
	assert_int_equal(answer(&env, 0x20), 0x47);
	command(&env, 0x7f); // the last byte of RAM
	data(&env, 0x99);
	assert_int_equal(answer(&env, 0x3f), 0x99);
	assert_int_equal(answer(&env, 0x20), 0x47);
	// A new command drops the awaited byte of the last.
	command(&env, 0x60);
	command(&env, 0xae);
	data(&env, 0x00);
	assert_int_equal(answer(&env, 0x20), 0x47);
	fake_destroy(&env);
}

static void self_and_interface_tests(void **state)
{
	struct fake_env env;

	(void)state;
	fake_create(&env, &i8042_model);
	assert_int_equal(answer(&env, 0xaa), 0x55);
	assert_int_equal(status(&env), OPEN | SYSTEM | COMMAND);
	assert_int_equal(answer(&env, 0xab), 0x01); // clock line stuck low
	assert_int_equal(answer(&env, 0xa9), 0x01);
	assert_int_equal(answer(&env, 0xc0), 0x80);
	assert_int_equal(answer(&env, 0xe0), 0x00);
	command(&env, 0xff); // pulses nothing
	command(&env, 0x00);
	assert_int_equal(status(&env) & FULL, 0);
	assert_int_equal(env.requests, 0);
	fake_destroy(&env);
}

// No device takes a byte: the controller answers for it.
static void finds_no_devices(void **state)
{
	struct fake_env env;

	(void)state;
	fake_create(&env, &i8042_model);
	write_command_byte(&env, 0x33);
	assert_false(env.line[I8042_OUTPUT_KEYBOARD]);
	data(&env, 0xf2); // identify
	assert_int_equal(status(&env), OPEN | FULL | TIMEOUT);
	assert_true(env.line[I8042_OUTPUT_KEYBOARD]);
	assert_false(env.line[I8042_OUTPUT_AUXILIARY]);
	fake_save_and_load(&env);
	assert_int_equal(read_data(&env), 0xfe);
	assert_false(env.line[I8042_OUTPUT_KEYBOARD]);
	assert_int_equal(status(&env), OPEN);
	assert_int_equal(read_data(&env), 0xfe);        // the buffer keeps its byte
	assert_int_equal(answer(&env, 0x20), 0x23);     // the interface was enabled
	command(&env, 0xd4);
	fake_save_and_load(&env);
	data(&env, 0xf2);
	assert_int_equal(status(&env), OPEN | FULL | TIMEOUT | AUXILIARY);
	assert_true(env.line[I8042_OUTPUT_AUXILIARY]);
	assert_false(env.line[I8042_OUTPUT_KEYBOARD]);
	fake_save_and_load(&env);
	assert_int_equal(read_data(&env), 0xfe);
	assert_false(env.line[I8042_OUTPUT_AUXILIARY]);
	// Loop-back: without an auxiliary port both are the keyboard's.
	command(&env, 0xd2);
	data(&env, 0x5a);
	assert_int_equal(status(&env), OPEN | FULL);
	assert_int_equal(read_data(&env), 0x5a);
	command(&env, 0xd3);
	data(&env, 0xa5);
	assert_int_equal(status(&env), OPEN | FULL);
	assert_int_equal(read_data(&env), 0xa5);
	// Interrupts follow the command byte while a byte waits.
	data(&env, 0xff);
	assert_true(env.line[I8042_OUTPUT_KEYBOARD]);
	write_command_byte(&env, 0x00);
	assert_false(env.line[I8042_OUTPUT_KEYBOARD]);
	fake_destroy(&env);
}

static void resets_the_machine(void **state)
{
	struct fake_env env;

	(void)state;
	fake_create(&env, &i8042_model);
	for (unsigned value = 0xf0; value <= 0xff; value++) {
		fake_clear(&env);
		command(&env, (uint8_t)value);
		assert_int_equal(env.requests, !(value & 1));
		assert_true(env.requests == 0 || env.request == DEVICE_REQUEST_RESET);
	}
	fake_clear(&env);
	command(&env, 0xd1);
	data(&env, 0xff);
	assert_int_equal(env.requests, 0);
	command(&env, 0xd1);
	fake_save_and_load(&env);
	data(&env, 0xfe);
	assert_int_equal(env.requests, 1);
	assert_int_equal(env.request, DEVICE_REQUEST_RESET);
	fake_reset(&env, DEVICE_RESET_LINE);
	assert_int_equal(answer(&env, 0xd0), 0xcf);
	fake_destroy(&env);
}

// Bit 1 is A20; bits 4 and 5 tell of the output buffer.
static void has_an_output_port(void **state)
{
	struct fake_env env;

	(void)state;
	fake_create(&env, &i8042_model);
	command(&env, 0xd1);
	data(&env, 0xfd);
	assert_int_equal(answer(&env, 0xd0), 0xcd);
	data(&env, 0xff);
	assert_int_equal(answer(&env, 0xd0), 0xdd);
	command(&env, 0xd4);
	data(&env, 0xff);
	assert_int_equal(answer(&env, 0xd0), 0xed);
	assert_int_equal(env.requests, 0);
	fake_destroy(&env);
}

static void refuse(struct fake_env *env, uint32_t field, uint64_t value)
{
	const struct state_table *table = i8042_model.state;
	uint64_t before = state_field_get(&table->fields[field], env->device, 0);
	struct state_error error;

	state_field_set(&table->fields[field], env->device, 0, value);
	assert_int_equal(state_check(table, env->device, &error), STATUS_INVALID);
	assert_null(error.field);
	state_field_set(&table->fields[field], env->device, 0, before);
	assert_int_equal(state_check(table, env->device, &error), STATUS_OK);
}

static void checks_state(void **state)
{
	struct fake_env env;

	(void)state;
	fake_check_coverage(&i8042_model);
	fake_create(&env, &i8042_model);
	fake_check_ranges(&env);
	refuse(&env, 2, 0x04);      // status: derived
	refuse(&env, 2, AUXILIARY); // of no byte
	refuse(&env, 3, 0x60);      // command: the last write was none
	refuse(&env, 4, 0x10);      // output port: derived
	command(&env, 0xd1);
	refuse(&env, 3, 0xd0);
	refuse(&env, 3, 0x5f);
	fake_destroy(&env);
}

static void withstands_random_accesses(void **state)
{
	struct fake_env env;
	uint32_t seed = 1;

	(void)state;
	fake_create(&env, &i8042_model);
	for (unsigned i = 0; i < 50000; i++) {
		seed = seed * 1664525 + 1013904223;
		fake_clear(&env);
		if (seed >> 31)
			fake_write(&env, seed >> 30 & 1, 0, 1, seed >> 20 & 0xff);
		else
			(void)fake_read(&env, seed >> 30 & 1, 0, 1);
		assert_true(env.requests <= 1);
		assert_int_equal(state_check(i8042_model.state, env.device, NULL), STATUS_OK);
		if (i % 100 == 0)
			fake_save_and_load(&env);
	}
	fake_destroy(&env);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(status_and_command_byte),
		cmocka_unit_test(self_and_interface_tests),
		cmocka_unit_test(finds_no_devices),
		cmocka_unit_test(resets_the_machine),
		cmocka_unit_test(has_an_output_port),
		cmocka_unit_test(checks_state),
		cmocka_unit_test(withstands_random_accesses),
	};

	return cmocka_run_group_tests_name("i8042", tests, NULL, NULL);
}

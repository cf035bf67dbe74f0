// SPDX-License-Identifier: BSD-2-Clause
// For tests of the keyboard controller and of what is plugged into it.
#ifndef TESTS_UNIT_PS2_BENCH_H
#define TESTS_UNIT_PS2_BENCH_H

#include "tests/unit/fake_env.h"

#include "emul/i8042.h"

enum {
	FULL = 0x01,
	SYSTEM = 0x04,
	COMMAND = 0x08,
	OPEN = 0x10, // not inhibited: constant
	AUXILIARY = 0x20,

	ACK = 0xfa,
	RESEND = 0xfe,
};

static inline void command(struct fake_env *env, uint8_t value)
{
	fake_write(env, I8042_REGION_COMMAND, 0, 1, value);
}

static inline void data(struct fake_env *env, uint8_t value)
{
	fake_write(env, I8042_REGION_DATA, 0, 1, value);
}

static inline uint64_t status(struct fake_env *env)
{
	return fake_read(env, I8042_REGION_COMMAND, 0, 1);
}

static inline uint64_t read_data(struct fake_env *env)
{
	return fake_read(env, I8042_REGION_DATA, 0, 1);
}

static inline void write_command_byte(struct fake_env *env, uint8_t value)
{
	command(env, 0x60);
	fake_save_and_load(env);
	data(env, value);
}

// The next byte is that one, of the keyboard or of the mouse, and its interrupt is there.
static inline void expect_from(struct fake_env *env, uint8_t byte, bool mouse)
{
	assert_int_equal(status(env) & (FULL | AUXILIARY), FULL | (mouse ? AUXILIARY : 0));
	assert_int_equal(env->line[I8042_OUTPUT_KEYBOARD], !mouse);
	assert_int_equal(env->line[I8042_OUTPUT_AUXILIARY], mouse);
	fake_save_and_load(env);
	assert_int_equal(read_data(env), byte);
}

static inline void expect_nothing(struct fake_env *env)
{
	assert_int_equal(status(env) & FULL, 0);
	assert_false(env->line[I8042_OUTPUT_KEYBOARD]);
	assert_false(env->line[I8042_OUTPUT_AUXILIARY]);
}

#define EXPECT_BYTES(env, mouse, ...)                                                              \
	do {                                                                                       \
		const uint8_t bytes_[] = {__VA_ARGS__};                                            \
		for (unsigned i_ = 0; i_ < sizeof(bytes_); i_++)                                   \
			expect_from(env, bytes_[i_], mouse);                                       \
		expect_nothing(env);                                                               \
	} while (0)
#define KEYBOARD_SENDS(env, ...) EXPECT_BYTES(env, false, __VA_ARGS__)
#define MOUSE_SENDS(env, ...)    EXPECT_BYTES(env, true, __VA_ARGS__)

static inline void to_mouse(struct fake_env *env, uint8_t value)
{
	command(env, 0xd4);
	data(env, value);
}

// Both interfaces enabled, with their interrupts; `translated`: to set 1.
static inline void plugged_in(struct fake_env *env, bool translated)
{
	fake_create(env, &i8042_model);
	write_command_byte(env, translated ? 0x43 : 0x03);
}

static inline void key(struct fake_env *env, uint8_t usage, bool down)
{
	fake_input(env, &(struct device_input){.kind = DEVICE_INPUT_KEY, .code = usage,
		.down = down});
}

static inline void move(struct fake_env *env, int x, int y, int wheel)
{
	fake_input(env, &(struct device_input){.kind = DEVICE_INPUT_MOVE, .x = (int16_t)x,
		.y = (int16_t)y, .wheel = (int16_t)wheel});
}

static inline void button(struct fake_env *env, enum device_button which, bool down)
{
	fake_input(env, &(struct device_input){.kind = DEVICE_INPUT_BUTTON,
		.code = (uint8_t)which, .down = down});
}

// Refused, and by the check of fields against each other where `value` is within its range.
static inline void refuse(struct fake_env *env, const char *name, uint64_t value)
{
	const struct state_table *table = i8042_model.state;
	struct state_error error;

	for (uint32_t i = 0; i < table->field_count; i++) {
		const struct state_field *field = &table->fields[i];
		uint64_t before;

		if (strcmp(field->name, name) != 0)
			continue;
		before = state_field_get(field, env->device, 0);
		state_field_set(field, env->device, 0, value);
		assert_int_equal(state_check(table, env->device, &error), STATUS_INVALID);
		assert_null(error.field);
		state_field_set(field, env->device, 0, before);
		assert_int_equal(state_check(table, env->device, &error), STATUS_OK);
		return;
	}
	fail_msg("no field %s", name);
}

#endif

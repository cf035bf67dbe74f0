// SPDX-License-Identifier: BSD-2-Clause
#include <string.h>

#include "tests/unit/ps2_bench.h"

// A command's answer, which is there at once and is not the auxiliary port's.
static uint64_t answer(struct fake_env *env, uint8_t value)
{
	command(env, value);
	assert_int_equal(status(env) & (FULL | AUXILIARY), FULL);
	fake_save_and_load(env);
	return read_data(env);
}

// PS/2 HITR, "Keyboard and Auxiliary Device Controller", status register and commands 20 and 60.
static void status_and_command_byte(void **state)
{
	struct fake_env env;

	(void)state;
	fake_create(&env, &i8042_model);
	assert_int_equal(status(&env), OPEN);
	assert_int_equal(answer(&env, 0x20), 0x70);
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
	assert_int_equal(answer(&env, 0xab), 0x00);
	assert_int_equal(answer(&env, 0xa9), 0x00);
	assert_int_equal(answer(&env, 0xc0), 0x80);
	assert_int_equal(answer(&env, 0xe0), 0x00); // both clocks are held low
	command(&env, 0xae);
	assert_int_equal(answer(&env, 0xe0), 0x01);
	command(&env, 0xa8);
	assert_int_equal(answer(&env, 0xe0), 0x03);
	command(&env, 0xff); // pulses nothing
	command(&env, 0x00);
	assert_int_equal(status(&env) & FULL, 0);
	assert_int_equal(env.requests, 0);
	fake_destroy(&env);
}

// "Keyboard and Auxiliary Device Controller", commands D2 to D4, and the status register's bits 0
// and 5. Writing to a device enables its interface.
static void talks_to_two_devices(void **state)
{
	struct fake_env env;

	(void)state;
	fake_create(&env, &i8042_model);
	write_command_byte(&env, 0x33);
	expect_nothing(&env);
	data(&env, 0xee); // echo
	assert_int_equal(status(&env), OPEN | FULL);
	expect_from(&env, 0xee, false);
	expect_nothing(&env);
	assert_int_equal(read_data(&env), 0xee);    // the buffer keeps its byte
	assert_int_equal(answer(&env, 0x20), 0x23); // the interface was enabled
	command(&env, 0xd4);
	fake_save_and_load(&env);
	data(&env, 0xf2); // identify
	assert_int_equal(status(&env), OPEN | FULL | AUXILIARY);
	expect_from(&env, ACK, true);
	expect_from(&env, 0x00, true);
	expect_nothing(&env);
	assert_int_equal(answer(&env, 0x20), 0x03);
	// Loop-back: as if a device had sent it.
	command(&env, 0xd2);
	data(&env, 0x5a);
	expect_from(&env, 0x5a, false);
	command(&env, 0xd3);
	data(&env, 0xa5);
	expect_from(&env, 0xa5, true);
	expect_nothing(&env);
	// Interrupts follow the command byte while a byte waits.
	data(&env, 0xee);
	assert_true(env.line[I8042_OUTPUT_KEYBOARD]);
	write_command_byte(&env, 0x00);
	assert_false(env.line[I8042_OUTPUT_KEYBOARD]);
	fake_destroy(&env);
}

// Bytes wait for their interface, the keyboard's come first, and each is an edge.
static void gives_out_bytes_in_order(void **state)
{
	struct fake_env env;

	(void)state;
	fake_create(&env, &i8042_model);
	write_command_byte(&env, 0x73);
	to_mouse(&env, 0xf4);
	expect_from(&env, ACK, true);
	command(&env, 0xa7);
	move(&env, 1, 0, 0);
	key(&env, 0x04, true);
	key(&env, 0x04, false);
	expect_nothing(&env);
	fake_save_and_load(&env);
	command(&env, 0xa8);
	assert_int_equal(status(&env) & AUXILIARY, AUXILIARY);
	command(&env, 0xae); // one that is in the buffer stays there
	expect_from(&env, 0x08, true);
	fake_clear(&env);
	expect_from(&env, 0x1e, false);
	assert_int_equal(env.line_rises[I8042_OUTPUT_KEYBOARD], 1);
	expect_from(&env, 0x9e, false);
	assert_int_equal(env.line_rises[I8042_OUTPUT_AUXILIARY], 1);
	expect_from(&env, 0x01, true);
	command(&env, 0xa7);
	expect_from(&env, 0x00, true); // it has been there before
	expect_nothing(&env);
	fake_destroy(&env);
}

// A driver asks for the command byte while a key waits: it gets its answer, and then the key.
static void loses_no_byte_to_a_reply(void **state)
{
	struct fake_env env;

	(void)state;
	plugged_in(&env, true);
	key(&env, 0x05, true);
	command(&env, 0x20);
	fake_save_and_load(&env);
	command(&env, 0xaa); // a reply in the place of a reply
	fake_save_and_load(&env);
	assert_int_equal(read_data(&env), 0x55);
	expect_from(&env, 0x30, false);
	to_mouse(&env, 0xf2);
	command(&env, 0x20);
	command(&env, 0xad);
	key(&env, 0x05, false);
	expect_from(&env, 0x47, false);
	expect_from(&env, ACK, true);
	expect_from(&env, 0x00, true);
	expect_nothing(&env);
	command(&env, 0xae);
	expect_from(&env, 0xb0, false);
	fake_destroy(&env);
}

static void resets_with_bytes_under_way(void **state)
{
	struct fake_env env;

	(void)state;
	plugged_in(&env, true);
	key(&env, 0x05, true);
	command(&env, 0x20);
	to_mouse(&env, 0xff);
	assert_int_not_equal(env.deadline[0].ns, GUEST_TIME_NEVER.ns);
	fake_reset(&env, DEVICE_RESET_LINE);
	expect_nothing(&env);
	assert_int_equal(answer(&env, 0x20), 0x70);
	write_command_byte(&env, 0x43);
	expect_nothing(&env);
	fake_advance(&env, 2 * NS_PER_SECOND);
	expect_nothing(&env);
	assert_true(i8042_model.takes_input(env.device, DEVICE_INPUT_KEY));
	assert_true(i8042_model.takes_input(env.device, DEVICE_INPUT_MOVE));
	assert_true(i8042_model.takes_input(env.device, DEVICE_INPUT_BUTTON));
	assert_false(i8042_model.takes_input(env.device, DEVICE_INPUT_PLACE));
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
	data(&env, 0xee);
	assert_int_equal(answer(&env, 0xd0), 0xdd);
	assert_int_equal(read_data(&env), 0xee);
	to_mouse(&env, 0xea);
	assert_int_equal(answer(&env, 0xd0), 0xed);
	assert_int_equal(env.requests, 0);
	fake_destroy(&env);
}

static void checks_state(void **state)
{
	struct fake_env env;

	(void)state;
	fake_check_coverage(&i8042_model);
	fake_create(&env, &i8042_model);
	fake_check_ranges(&env);
	refuse(&env, "status", SYSTEM);    // derived
	refuse(&env, "status", AUXILIARY); // of no byte
	refuse(&env, "command", 0x60);     // the last write was none
	refuse(&env, "output_port", 0x10); // derived
	refuse(&env, "replied", 1);        // with no byte
	refuse(&env, "aside_status", 1);   // for no reply
	refuse(&env, "keyboard.command", 0xf4);
	refuse(&env, "keyboard.repeating", 0x04);
	refuse(&env, "keyboard.repeat_at.ns", 5);
	refuse(&env, "mouse.command", 0xf4);
	refuse(&env, "mouse.rate", 0);
	refuse(&env, "mouse.id", 2);
	command(&env, 0xd1);
	refuse(&env, "command", 0xd0);
	refuse(&env, "command", 0x5f);
	data(&env, 0xee);
	write_command_byte(&env, 0x03);
	data(&env, 0xee);
	command(&env, 0x20);
	refuse(&env, "aside_status", 0x20);
	refuse(&env, "replied", 0);
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
		if (seed % 7 == 0)
			key(&env, (uint8_t)(seed >> 20), seed >> 28 & 1);
		else if (seed % 7 == 1)
			move(&env, (int16_t)(seed >> 8), (int16_t)(seed >> 12), (int)(seed >> 28));
		else if (seed % 7 == 2)
			button(&env, seed >> 20 & 1, seed >> 28 & 1);
		else if (seed % 7 == 3)
			fake_advance(&env, seed);
		else if (seed >> 31)
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
		cmocka_unit_test(talks_to_two_devices),
		cmocka_unit_test(gives_out_bytes_in_order),
		cmocka_unit_test(loses_no_byte_to_a_reply),
		cmocka_unit_test(resets_with_bytes_under_way),
		cmocka_unit_test(resets_the_machine),
		cmocka_unit_test(has_an_output_port),
		cmocka_unit_test(checks_state),
		cmocka_unit_test(withstands_random_accesses),
	};

	return cmocka_run_group_tests_name("i8042", tests, NULL, NULL);
}

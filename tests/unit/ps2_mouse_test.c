// SPDX-License-Identifier: BSD-2-Clause
// The mouse behind its controller. IBM PS/2 Hardware Interface Technical Reference, "Mouse"; names
// of sections are its.
#include <string.h>

#include "tests/unit/ps2_bench.h"

#include "emul/ps2.h"

enum { ERROR = 0xfc };

static void told(struct fake_env *env, uint8_t byte)
{
	to_mouse(env, byte);
	fake_save_and_load(env);
	expect_from(env, ACK, true);
}

static void reporting(struct fake_env *env)
{
	plugged_in(env, true);
	told(env, 0xf4);
	expect_nothing(env);
}

static void expect_status(struct fake_env *env, uint8_t first, uint8_t resolution, uint8_t rate)
{
	to_mouse(env, 0xe9);
	MOUSE_SENDS(env, ACK, first, resolution, rate);
}

// "Mouse commands".
static void answers_commands(void **state)
{
	static const uint8_t rates[] = {10, 20, 40, 60, 80, 100, 200};
	struct fake_env env;

	(void)state;
	plugged_in(&env, true);
	to_mouse(&env, 0xff);
	MOUSE_SENDS(&env, ACK, 0xaa, 0x00);
	to_mouse(&env, 0xf2);
	MOUSE_SENDS(&env, ACK, 0x00);
	expect_status(&env, 0x00, 2, 100);
	for (uint8_t resolution = 0; resolution < 4; resolution++) {
		told(&env, 0xe8);
		told(&env, resolution);
		expect_status(&env, 0x00, resolution, 100);
	}
	for (unsigned i = 0; i < sizeof(rates); i++) {
		told(&env, 0xf3);
		told(&env, rates[i]);
		expect_status(&env, 0x00, 3, rates[i]);
	}
	told(&env, 0xe7);
	told(&env, 0xf4);
	told(&env, 0xf0);
	button(&env, DEVICE_BUTTON_LEFT, true);
	button(&env, DEVICE_BUTTON_MIDDLE, true);
	expect_status(&env, 0x76, 3, 200);
	button(&env, DEVICE_BUTTON_RIGHT, true);
	button(&env, DEVICE_BUTTON_LEFT, false);
	told(&env, 0xe6);
	told(&env, 0xea);
	told(&env, 0xf5);
	expect_status(&env, 0x03, 3, 200);
	told(&env, 0xe7);
	told(&env, 0xf0);
	told(&env, 0xf6);
	expect_status(&env, 0x03, 2, 100);
	fake_destroy(&env);
}

// "Error handling": an unknown byte is asked for again, and is an error when it comes again.
static void refuses_what_it_does_not_know(void **state)
{
	struct fake_env env;

	(void)state;
	plugged_in(&env, true);
	to_mouse(&env, 0xe1);
	MOUSE_SENDS(&env, RESEND);
	to_mouse(&env, 0xe1);
	MOUSE_SENDS(&env, ERROR);
	to_mouse(&env, 0x00);
	MOUSE_SENDS(&env, RESEND);
	told(&env, 0xe6);
	to_mouse(&env, 0xf1);
	MOUSE_SENDS(&env, RESEND);
	told(&env, 0xf3);
	to_mouse(&env, 50);
	MOUSE_SENDS(&env, RESEND);
	fake_save_and_load(&env);
	told(&env, 40);
	expect_status(&env, 0, 2, 40);
	told(&env, 0xe8);
	to_mouse(&env, 4);
	MOUSE_SENDS(&env, RESEND);
	to_mouse(&env, 4);
	MOUSE_SENDS(&env, ERROR);
	to_mouse(&env, 3); // no argument any more
	MOUSE_SENDS(&env, RESEND);
	expect_status(&env, 0, 2, 40);
	fake_destroy(&env);
}

// "Data report": byte 1 has buttons, signs and overflows; y is upwards.
static void reports_movement(void **state)
{
	struct fake_env env;

	(void)state;
	plugged_in(&env, true);
	move(&env, 1, 1, 1); // it is not to report
	button(&env, DEVICE_BUTTON_RIGHT, true);
	button(&env, DEVICE_BUTTON_RIGHT, false);
	expect_nothing(&env);
	told(&env, 0xf4);
	expect_nothing(&env);
	move(&env, 0, 0, 0);
	expect_nothing(&env);
	move(&env, 3, -4, 0);
	MOUSE_SENDS(&env, 0x08, 3, 4);
	move(&env, -3, 4, 1); // nobody has asked for the wheel
	MOUSE_SENDS(&env, 0x38, 0xfd, 0xfc);
	move(&env, 0, 0, 5);
	expect_nothing(&env);
	// What comes while bytes are on their way is added up.
	move(&env, 1, 0, 0);
	for (unsigned i = 0; i < 50; i++)
		move(&env, 10, -10, 0);
	fake_save_and_load(&env);
	MOUSE_SENDS(&env, 0x08, 1, 0, 0x08, 255, 255, 0x08, 245, 245);
	move(&env, -300, 0, 0);
	MOUSE_SENDS(&env, 0x18, 0x01, 0, 0x18, 0xd3, 0);
	fake_destroy(&env);
}

// Each change of a button has a packet of its own, as long as there is room.
static void reports_buttons(void **state)
{
	struct fake_env env;

	(void)state;
	reporting(&env);
	button(&env, DEVICE_BUTTON_LEFT, true);
	button(&env, DEVICE_BUTTON_LEFT, true); // no change
	button(&env, DEVICE_BUTTON_RIGHT, true);
	move(&env, 2, 0, 0);
	button(&env, DEVICE_BUTTON_MIDDLE, true);
	MOUSE_SENDS(&env, 0x09, 0, 0, 0x0b, 0, 0, 0x0f, 2, 0);
	for (unsigned i = 0; i < 9; i++)
		button(&env, DEVICE_BUTTON_LEFT, i & 1);
	fake_save_and_load(&env);
	for (unsigned i = 0; i < 5; i++) { // five fit
		expect_from(&env, i & 1 ? 0x0f : 0x0e, true);
		expect_from(&env, 0, true);
		expect_from(&env, 0, true);
	}
	expect_nothing(&env); // the last is as the fifth
	button(&env, DEVICE_BUTTON_RIGHT, false);
	MOUSE_SENDS(&env, 0x0c, 0, 0);
	fake_destroy(&env);
}

static void expect_packet(struct fake_env *env, uint8_t first, uint8_t x, uint8_t y)
{
	expect_from(env, first, true);
	expect_from(env, x, true);
	expect_from(env, y, true);
}

static void tells_of_an_overflow(void **state)
{
	struct fake_env env;

	(void)state;
	reporting(&env);
	move(&env, 1, 1, 0);
	move(&env, INT16_MAX, INT16_MIN, 0);
	move(&env, 1, -1, 0);
	expect_packet(&env, 0x28, 1, 0xff);
	expect_packet(&env, 0xc8, 255, 255);
	expect_packet(&env, 0x08, 255, 255);
	to_mouse(&env, 0xf5); // but for a byte that is in the buffer, the rest is forgotten
	MOUSE_SENDS(&env, 0x08, ACK);
	fake_destroy(&env);
}

static void expect_scaled(struct fake_env *env, int moved, uint8_t first, uint8_t count)
{
	move(env, moved, 0, 0);
	MOUSE_SENDS(env, first, count, 0);
}

// "Set scaling 2:1": 1, 1, 3, 6, 9, 2N.
static void scales(void **state)
{
	struct fake_env env;

	(void)state;
	reporting(&env);
	told(&env, 0xe7);
	expect_scaled(&env, 1, 0x08, 1);
	expect_scaled(&env, 2, 0x08, 1);
	expect_scaled(&env, 3, 0x08, 3);
	expect_scaled(&env, 4, 0x08, 6);
	expect_scaled(&env, 5, 0x08, 9);
	expect_scaled(&env, 6, 0x08, 12);
	expect_scaled(&env, 127, 0x08, 254);
	expect_scaled(&env, -4, 0x18, 0xfa);
	move(&env, 130, 0, 0);
	MOUSE_SENDS(&env, 0x08, 254, 0, 0x08, 3, 0);
	told(&env, 0xf0); // in stream mode alone
	move(&env, 4, 0, 0);
	to_mouse(&env, 0xeb);
	MOUSE_SENDS(&env, ACK, 0x08, 4, 0);
	fake_destroy(&env);
}

// "Remote mode" and "wrap mode".
static void has_other_modes(void **state)
{
	struct fake_env env;

	(void)state;
	plugged_in(&env, true);
	told(&env, 0xf0);
	move(&env, 5, 6, 0);
	button(&env, DEVICE_BUTTON_LEFT, true);
	expect_nothing(&env);
	fake_save_and_load(&env);
	to_mouse(&env, 0xeb);
	MOUSE_SENDS(&env, ACK, 0x29, 5, 0xfa);
	to_mouse(&env, 0xeb);
	MOUSE_SENDS(&env, ACK, 0x09, 0, 0);
	to_mouse(&env, 0xfe); // the last packet again
	MOUSE_SENDS(&env, 0x09, 0, 0);
	told(&env, 0xea);
	told(&env, 0xf4);
	told(&env, 0xee);
	for (unsigned byte = 0; byte < 0x100; byte += 0x2d) {
		to_mouse(&env, (uint8_t)byte);
		if (byte != 0xff)
			MOUSE_SENDS(&env, (uint8_t)byte);
	}
	to_mouse(&env, 0xf4);
	MOUSE_SENDS(&env, 0xf4);
	move(&env, 1, 1, 0);
	expect_nothing(&env);
	told(&env, 0xec);
	move(&env, 1, 0, 0);
	MOUSE_SENDS(&env, 0x09, 1, 0);
	told(&env, 0xee);
	to_mouse(&env, 0xff);
	MOUSE_SENDS(&env, ACK, 0xaa, 0x00);
	to_mouse(&env, 0xf2);
	MOUSE_SENDS(&env, ACK, 0x00);
	fake_destroy(&env);
}

static void rates_set(struct fake_env *env, uint8_t first, uint8_t second, uint8_t third)
{
	const uint8_t rates[] = {first, second, third};

	for (unsigned i = 0; i < sizeof(rates); i++) {
		told(env, 0xf3);
		told(env, rates[i]);
	}
}

// IntelliMouse: rates of 200, 100 and 80 in a row, and a fourth byte from then on.
static void has_a_wheel_for_who_asks(void **state)
{
	struct fake_env env;

	(void)state;
	plugged_in(&env, true);
	rates_set(&env, 200, 200, 80); // another kind of mouse
	rates_set(&env, 100, 100, 80);
	rates_set(&env, 200, 80, 100);
	to_mouse(&env, 0xf2);
	MOUSE_SENDS(&env, ACK, 0);
	rates_set(&env, 200, 200, 100);
	told(&env, 0xf3);
	told(&env, 80);
	to_mouse(&env, 0xf2);
	MOUSE_SENDS(&env, ACK, 3);
	told(&env, 0xf6); // stays
	told(&env, 0xf4);
	move(&env, 0, 0, 1);
	MOUSE_SENDS(&env, 0x08, 0, 0, 1);
	move(&env, 1, 0, -20);
	MOUSE_SENDS(&env, 0x08, 1, 0, 0xf8, 0x08, 0, 0, 0xf8, 0x08, 0, 0, 0xfc);
	move(&env, 0, 0, 9);
	MOUSE_SENDS(&env, 0x08, 0, 0, 7, 0x08, 0, 0, 2);
	to_mouse(&env, 0xfe);
	MOUSE_SENDS(&env, 0x08, 0, 0, 2);
	to_mouse(&env, 0xff);
	MOUSE_SENDS(&env, ACK, 0xaa, 0x00);
	to_mouse(&env, 0xf2);
	MOUSE_SENDS(&env, ACK, 0);
	fake_destroy(&env);
}

// A byte from the system ends a packet; while an argument is awaited there is none.
static void a_command_comes_before_packets(void **state)
{
	struct fake_env env;

	(void)state;
	reporting(&env);
	move(&env, 7, 0, 0);
	expect_from(&env, 0x08, true);
	to_mouse(&env, 0xe8); // a byte of the packet is in the buffer
	expect_from(&env, 7, true);
	MOUSE_SENDS(&env, ACK);
	move(&env, 8, 0, 0);
	button(&env, DEVICE_BUTTON_LEFT, true);
	expect_nothing(&env);
	fake_save_and_load(&env);
	to_mouse(&env, 1);
	MOUSE_SENDS(&env, ACK, 0x09, 8, 0);
	fake_destroy(&env);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_commands),
		cmocka_unit_test(refuses_what_it_does_not_know),
		cmocka_unit_test(reports_movement),
		cmocka_unit_test(reports_buttons),
		cmocka_unit_test(tells_of_an_overflow),
		cmocka_unit_test(scales),
		cmocka_unit_test(has_other_modes),
		cmocka_unit_test(has_a_wheel_for_who_asks),
		cmocka_unit_test(a_command_comes_before_packets),
	};

	return cmocka_run_group_tests_name("ps2_mouse", tests, NULL, NULL);
}

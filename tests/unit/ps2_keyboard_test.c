// SPDX-License-Identifier: BSD-2-Clause
// The keyboard behind its controller. IBM PS/2 Hardware Interface Technical Reference, "Keyboards
// (101- and 102-Key)"; names of sections are its.
#include <string.h>

#include "tests/unit/ps2_bench.h"

#include "emul/ps2.h"

enum {
	KEY_A = 0x04, KEY_ENTER = 0x28, KEY_ESCAPE = 0x29, KEY_F7 = 0x40, KEY_PRINT = 0x46,
	KEY_PAUSE = 0x48, KEY_INSERT = 0x49, KEY_UP = 0x52, KEY_KEYPAD_ENTER = 0x58,
	KEY_CONTROL = 0xe0, KEY_SHIFT = 0xe1, KEY_ALT = 0xe2, KEY_RIGHT_ALT = 0xe6,
};

#define MS UINT64_C(1000000)

static void stroke(struct fake_env *env, uint8_t usage)
{
	key(env, usage, true);
	fake_save_and_load(env);
	key(env, usage, false);
}

static void asked(struct fake_env *env, uint8_t byte, uint8_t answer)
{
	data(env, byte);
	expect_from(env, answer, false);
	expect_nothing(env);
}

// Microsoft's Keyboard Scan Code Specification 1.3a, appendix C: make codes of sets 1 and 2, with
// 0xe0 before them where `extended`.
static const struct {
	uint8_t usage, set1, set2;
	bool extended;
} known[] = {
	{0x04, 0x1e, 0x1c, false}, {0x05, 0x30, 0x32, false}, {0x06, 0x2e, 0x21, false},
	{0x07, 0x20, 0x23, false}, {0x08, 0x12, 0x24, false}, {0x09, 0x21, 0x2b, false},
	{0x0a, 0x22, 0x34, false}, {0x0b, 0x23, 0x33, false}, {0x0c, 0x17, 0x43, false},
	{0x0d, 0x24, 0x3b, false}, {0x0e, 0x25, 0x42, false}, {0x0f, 0x26, 0x4b, false},
	{0x10, 0x32, 0x3a, false}, {0x11, 0x31, 0x31, false}, {0x12, 0x18, 0x44, false},
	{0x13, 0x19, 0x4d, false}, {0x14, 0x10, 0x15, false}, {0x15, 0x13, 0x2d, false},
	{0x16, 0x1f, 0x1b, false}, {0x17, 0x14, 0x2c, false}, {0x18, 0x16, 0x3c, false},
	{0x19, 0x2f, 0x2a, false}, {0x1a, 0x11, 0x1d, false}, {0x1b, 0x2d, 0x22, false},
	{0x1c, 0x15, 0x35, false}, {0x1d, 0x2c, 0x1a, false}, {0x1e, 0x02, 0x16, false},
	{0x1f, 0x03, 0x1e, false}, {0x20, 0x04, 0x26, false}, {0x21, 0x05, 0x25, false},
	{0x22, 0x06, 0x2e, false}, {0x23, 0x07, 0x36, false}, {0x24, 0x08, 0x3d, false},
	{0x25, 0x09, 0x3e, false}, {0x26, 0x0a, 0x46, false}, {0x27, 0x0b, 0x45, false},
	{0x28, 0x1c, 0x5a, false}, {0x29, 0x01, 0x76, false}, {0x2a, 0x0e, 0x66, false},
	{0x2b, 0x0f, 0x0d, false}, {0x2c, 0x39, 0x29, false}, {0x2d, 0x0c, 0x4e, false},
	{0x2e, 0x0d, 0x55, false}, {0x2f, 0x1a, 0x54, false}, {0x30, 0x1b, 0x5b, false},
	{0x31, 0x2b, 0x5d, false}, {0x33, 0x27, 0x4c, false}, {0x34, 0x28, 0x52, false},
	{0x35, 0x29, 0x0e, false}, {0x36, 0x33, 0x41, false}, {0x37, 0x34, 0x49, false},
	{0x38, 0x35, 0x4a, false}, {0x39, 0x3a, 0x58, false}, {0x3a, 0x3b, 0x05, false},
	{0x3b, 0x3c, 0x06, false}, {0x3c, 0x3d, 0x04, false}, {0x3d, 0x3e, 0x0c, false},
	{0x3e, 0x3f, 0x03, false}, {0x3f, 0x40, 0x0b, false}, {0x40, 0x41, 0x83, false},
	{0x41, 0x42, 0x0a, false}, {0x42, 0x43, 0x01, false}, {0x43, 0x44, 0x09, false},
	{0x44, 0x57, 0x78, false}, {0x45, 0x58, 0x07, false}, {0x47, 0x46, 0x7e, false},
	{0x49, 0x52, 0x70, true}, {0x4a, 0x47, 0x6c, true}, {0x4b, 0x49, 0x7d, true},
	{0x4c, 0x53, 0x71, true}, {0x4d, 0x4f, 0x69, true}, {0x4e, 0x51, 0x7a, true},
	{0x4f, 0x4d, 0x74, true}, {0x50, 0x4b, 0x6b, true}, {0x51, 0x50, 0x72, true},
	{0x52, 0x48, 0x75, true}, {0x53, 0x45, 0x77, false}, {0x54, 0x35, 0x4a, true},
	{0x55, 0x37, 0x7c, false}, {0x56, 0x4a, 0x7b, false}, {0x57, 0x4e, 0x79, false},
	{0x58, 0x1c, 0x5a, true}, {0x59, 0x4f, 0x69, false}, {0x5a, 0x50, 0x72, false},
	{0x5b, 0x51, 0x7a, false}, {0x5c, 0x4b, 0x6b, false}, {0x5d, 0x4c, 0x73, false},
	{0x5e, 0x4d, 0x74, false}, {0x5f, 0x47, 0x6c, false}, {0x60, 0x48, 0x75, false},
	{0x61, 0x49, 0x7d, false}, {0x62, 0x52, 0x70, false}, {0x63, 0x53, 0x71, false},
	{0x64, 0x56, 0x61, false}, {0x65, 0x5d, 0x2f, true}, {0x66, 0x5e, 0x37, true},
	{0x67, 0x59, 0x0f, false}, {0x68, 0x64, 0x08, false}, {0x69, 0x65, 0x10, false},
	{0x6a, 0x66, 0x18, false}, {0x6b, 0x67, 0x20, false}, {0x6c, 0x68, 0x28, false},
	{0x6d, 0x69, 0x30, false}, {0x6e, 0x6a, 0x38, false}, {0x6f, 0x6b, 0x40, false},
	{0x70, 0x6c, 0x48, false}, {0x71, 0x6d, 0x50, false}, {0x72, 0x6e, 0x57, false},
	{0x73, 0x76, 0x5f, false}, {0x85, 0x7e, 0x6d, false}, {0x87, 0x73, 0x51, false},
	{0x88, 0x70, 0x13, false}, {0x89, 0x7d, 0x6a, false}, {0x8a, 0x79, 0x64, false},
	{0x8b, 0x7b, 0x67, false}, {0xe0, 0x1d, 0x14, false}, {0xe1, 0x2a, 0x12, false},
	{0xe2, 0x38, 0x11, false}, {0xe3, 0x5b, 0x1f, true}, {0xe4, 0x1d, 0x14, true},
	{0xe5, 0x36, 0x59, false}, {0xe6, 0x38, 0x11, true}, {0xe7, 0x5c, 0x27, true},
};

static void expect_make_and_break(struct fake_env *env, unsigned at, unsigned set)
{
	if (known[at].extended)
		expect_from(env, 0xe0, false);
	expect_from(env, set == 1 ? known[at].set1 : known[at].set2, false);
	if (known[at].extended)
		expect_from(env, 0xe0, false);
	if (set == 2)
		expect_from(env, 0xf0, false);
	expect_from(env, set == 1 ? known[at].set1 | 0x80 : known[at].set2, false);
	expect_nothing(env);
}

// Set 2 as it is, set 2 that the controller translates, and the keyboard's own set 1.
static void sends_the_codes_of_keys(void **state)
{
	struct fake_env env;

	(void)state;
	for (unsigned way = 0; way < 3; way++) {
		plugged_in(&env, way == 1);
		if (way == 2) {
			data(&env, 0xf0);
			KEYBOARD_SENDS(&env, ACK);
			data(&env, 1);
			KEYBOARD_SENDS(&env, ACK);
		}
		for (unsigned i = 0; i < ARRAY_COUNT(known); i++) {
			stroke(&env, known[i].usage);
			expect_make_and_break(&env, i, way == 0 ? 2 : 1);
			assert_int_equal(ps2_usage(known[i].set1 | (known[i].extended ? 0x80 : 0)),
				known[i].usage);
		}
		stroke(&env, 0x03); // no keys
		stroke(&env, 0xe8);
		stroke(&env, 0xff);
		expect_nothing(&env);
		fake_destroy(&env);
	}
	assert_int_equal(ps2_usage(0x00), 0);
	assert_int_equal(ps2_usage(0x7f), 0);
	assert_int_equal(ps2_usage(0xff), 0);
	assert_int_equal(ps2_usage(0xb7), KEY_PRINT);
	assert_int_equal(ps2_usage(0x54), KEY_PRINT);
	assert_int_equal(ps2_usage(0xc6), KEY_PAUSE);
}

// "Scan code set 2", Print Screen and Pause, which depend on what is held.
static void sends_longer_codes(void **state)
{
	struct fake_env env;

	(void)state;
	plugged_in(&env, false);
	stroke(&env, KEY_PRINT);
	KEYBOARD_SENDS(&env, 0xe0, 0x12, 0xe0, 0x7c, 0xe0, 0xf0, 0x7c, 0xe0, 0xf0, 0x12);
	stroke(&env, KEY_PAUSE);
	KEYBOARD_SENDS(&env, 0xe1, 0x14, 0x77, 0xe1, 0xf0, 0x14, 0xf0, 0x77);
	key(&env, KEY_CONTROL, true);
	stroke(&env, KEY_PAUSE);
	stroke(&env, KEY_PRINT);
	KEYBOARD_SENDS(&env, 0x14, 0xe0, 0x7e, 0xe0, 0xf0, 0x7e, 0xe0, 0x7c, 0xe0, 0xf0, 0x7c);
	key(&env, KEY_CONTROL, false);
	key(&env, KEY_RIGHT_ALT, true);
	stroke(&env, KEY_PRINT);
	KEYBOARD_SENDS(&env, 0xf0, 0x14, 0xe0, 0x11, 0x84, 0xf0, 0x84);
	key(&env, KEY_RIGHT_ALT, false);
	KEYBOARD_SENDS(&env, 0xe0, 0xf0, 0x11);
	write_command_byte(&env, 0x43);
	stroke(&env, KEY_PRINT);
	KEYBOARD_SENDS(&env, 0xe0, 0x2a, 0xe0, 0x37, 0xe0, 0xb7, 0xe0, 0xaa);
	stroke(&env, KEY_PAUSE);
	KEYBOARD_SENDS(&env, 0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5);
	key(&env, KEY_ALT, true);
	stroke(&env, KEY_PRINT);
	KEYBOARD_SENDS(&env, 0x38, 0x54, 0xd4);
	fake_destroy(&env);
}

// "Keyboard commands": what each answers.
static void answers_commands(void **state)
{
	struct fake_env env;

	(void)state;
	plugged_in(&env, false);
	data(&env, 0xee);
	KEYBOARD_SENDS(&env, 0xee);
	data(&env, 0xf2);
	KEYBOARD_SENDS(&env, ACK, 0xab, 0x83);
	data(&env, 0xff);
	KEYBOARD_SENDS(&env, ACK, 0xaa);
	data(&env, 0xfe); // the last byte again
	KEYBOARD_SENDS(&env, 0xaa);
	asked(&env, 0xed, ACK);
	asked(&env, 0x08, RESEND); // there is no such LED; it may be said again
	asked(&env, 0x07, ACK);
	asked(&env, 0x07, RESEND); // no command
	asked(&env, 0xef, RESEND);
	asked(&env, 0xf1, RESEND);
	asked(&env, 0xed, ACK);
	asked(&env, 0xf3, ACK); // a command instead of an option
	asked(&env, 0x80, RESEND);
	asked(&env, 0x00, ACK);
	asked(&env, 0xf0, ACK);
	asked(&env, 4, RESEND);
	data(&env, 0);
	KEYBOARD_SENDS(&env, ACK, 2);
	write_command_byte(&env, 0x43); // answers are translated too
	data(&env, 0xf2);
	KEYBOARD_SENDS(&env, ACK, 0xab, 0x41);
	data(&env, 0xf0);
	data(&env, 0);
	KEYBOARD_SENDS(&env, ACK, ACK, 0x41);
	fake_destroy(&env);
}

// Commands F4 to F6 and FF: whether keys are scanned, and what waits is dropped.
static void starts_and_stops_scanning(void **state)
{
	struct fake_env env;

	(void)state;
	plugged_in(&env, false);
	command(&env, 0xad);
	stroke(&env, KEY_A);
	asked(&env, 0xf5, ACK);
	stroke(&env, KEY_A);
	expect_nothing(&env);
	asked(&env, 0xf4, ACK);
	stroke(&env, KEY_A);
	data(&env, 0xee); // an answer comes before keys that wait, one of them in the buffer
	KEYBOARD_SENDS(&env, 0x1c, 0xee, 0xf0, 0x1c);
	data(&env, 0xf5);
	data(&env, 0xf6);
	KEYBOARD_SENDS(&env, ACK, ACK);
	stroke(&env, KEY_A);
	KEYBOARD_SENDS(&env, 0x1c, 0xf0, 0x1c);
	asked(&env, 0xf5, ACK);
	data(&env, 0xff);
	KEYBOARD_SENDS(&env, ACK, 0xaa);
	stroke(&env, KEY_ENTER);
	KEYBOARD_SENDS(&env, 0x5a, 0xf0, 0x5a);
	fake_destroy(&env);
}

// "Keyboard buffer": 16 bytes, and a code for what did not fit; never a part of a key's codes.
static void tells_of_an_overrun(void **state)
{
	struct fake_env env;

	(void)state;
	for (unsigned set = 1; set <= 2; set++) {
		plugged_in(&env, false);
		data(&env, 0xf0);
		data(&env, (uint8_t)set);
		KEYBOARD_SENDS(&env, ACK, ACK);
		command(&env, 0xad);
		for (unsigned i = 0; i < 5; i++)
			stroke(&env, KEY_A);
		for (unsigned i = 0; i < 3; i++) // the second does not fit, with neither set
			stroke(&env, KEY_PAUSE);
		fake_save_and_load(&env);
		command(&env, 0xae);
		for (unsigned i = 0; i < 5; i++) {
			expect_from(&env, set == 1 ? 0x1e : 0x1c, false);
			if (set == 2)
				expect_from(&env, 0xf0, false);
			expect_from(&env, set == 1 ? 0x9e : 0x1c, false);
		}
		if (set == 1) {
			static const uint8_t pause[] = {0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5};

			for (unsigned i = 0; i < sizeof(pause); i++)
				expect_from(&env, pause[i], false);
		}
		KEYBOARD_SENDS(&env, set == 1 ? 0xff : 0x00); // once
		stroke(&env, KEY_A);
		expect_from(&env, set == 1 ? 0x1e : 0x1c, false);
		fake_destroy(&env);
	}
}

// "Set typematic rate/delay": 500 ms and 10.9 a second at first.
static void repeats_what_is_held(void **state)
{
	struct fake_env env;

	(void)state;
	plugged_in(&env, true);
	key(&env, KEY_SHIFT, true);
	key(&env, KEY_A, true);
	KEYBOARD_SENDS(&env, 0x2a, 0x1e);
	fake_advance(&env, 499 * MS);
	expect_nothing(&env);
	fake_advance(&env, 1 * MS);
	fake_save_and_load(&env);
	KEYBOARD_SENDS(&env, 0x1e);
	fake_advance(&env, 91 * MS);
	expect_nothing(&env);
	fake_advance(&env, 1 * MS);
	KEYBOARD_SENDS(&env, 0x1e);
	key(&env, KEY_SHIFT, false); // another one
	fake_advance(&env, 92 * MS);
	KEYBOARD_SENDS(&env, 0xaa, 0x1e);
	key(&env, KEY_A, false);
	fake_advance(&env, 1000 * MS);
	KEYBOARD_SENDS(&env, 0x9e);
	// The fastest: 250 ms, 30 a second.
	data(&env, 0xf3);
	data(&env, 0x00);
	KEYBOARD_SENDS(&env, ACK, ACK);
	key(&env, KEY_UP, true);
	fake_advance(&env, 250 * MS + 34 * MS);
	key(&env, KEY_ESCAPE, true); // the last one alone
	KEYBOARD_SENDS(&env, 0xe0, 0x48, 0xe0, 0x48, 0xe0, 0x48, 0x01);
	fake_advance(&env, 250 * MS);
	KEYBOARD_SENDS(&env, 0x01);
	key(&env, KEY_PAUSE, true); // is released already
	fake_advance(&env, 2000 * MS);
	KEYBOARD_SENDS(&env, 0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5);
	key(&env, KEY_PRINT, true);
	fake_advance(&env, 250 * MS);
	KEYBOARD_SENDS(&env, 0xe0, 0x2a, 0xe0, 0x37, 0xe0, 0x37);
	asked(&env, 0xf4, ACK);
	fake_advance(&env, 2000 * MS);
	expect_nothing(&env);
	// The slowest: a second, 2 a second.
	data(&env, 0xf3);
	data(&env, 0x7f);
	KEYBOARD_SENDS(&env, ACK, ACK);
	key(&env, KEY_A, true);
	fake_advance(&env, 1499 * MS);
	KEYBOARD_SENDS(&env, 0x1e, 0x1e);
	fake_advance(&env, 1 * MS);
	KEYBOARD_SENDS(&env, 0x1e);
	fake_destroy(&env);
}

// "Scan code set 3" with its default types, and commands F7 to FD.
static void has_set_3(void **state)
{
	struct fake_env env;

	(void)state;
	plugged_in(&env, false);
	data(&env, 0xf0);
	data(&env, 3);
	KEYBOARD_SENDS(&env, ACK, ACK);
	stroke(&env, KEY_A); // typematic
	stroke(&env, KEY_ESCAPE);
	stroke(&env, KEY_SHIFT); // make/break
	stroke(&env, KEY_RIGHT_ALT);
	stroke(&env, KEY_PRINT);
	stroke(&env, KEY_PAUSE);
	stroke(&env, KEY_INSERT);
	KEYBOARD_SENDS(&env, 0x1c, 0x08, 0x12, 0xf0, 0x12, 0x39, 0x57, 0x62, 0x67);
	stroke(&env, 0x68); // F13 is not there
	key(&env, KEY_A, true);
	fake_advance(&env, 500 * MS);
	key(&env, KEY_ESCAPE, true);
	fake_advance(&env, 2000 * MS);
	KEYBOARD_SENDS(&env, 0x1c, 0x1c, 0x08);
	asked(&env, 0xf8, ACK); // all make/break
	stroke(&env, KEY_F7);
	key(&env, KEY_KEYPAD_ENTER, true);
	fake_advance(&env, 2000 * MS);
	KEYBOARD_SENDS(&env, 0x37, 0xf0, 0x37, 0x79);
	asked(&env, 0xfb, ACK); // those that follow: typematic
	asked(&env, 0x37, ACK);
	asked(&env, 0x90, RESEND);
	asked(&env, 0x79, ACK);
	stroke(&env, KEY_F7);
	stroke(&env, KEY_A);
	KEYBOARD_SENDS(&env, 0x37, 0x1c, 0xf0, 0x1c);
	asked(&env, 0xfd, ACK); // make
	asked(&env, 0x1c, ACK);
	asked(&env, 0xfc, ACK); // make/break
	asked(&env, 0x37, ACK);
	stroke(&env, KEY_F7);
	stroke(&env, KEY_A);
	KEYBOARD_SENDS(&env, 0x37, 0xf0, 0x37, 0x1c);
	asked(&env, 0xf9, ACK);
	stroke(&env, KEY_SHIFT);
	KEYBOARD_SENDS(&env, 0x12);
	asked(&env, 0xf7, ACK);
	key(&env, KEY_SHIFT, true);
	fake_advance(&env, 500 * MS);
	key(&env, KEY_SHIFT, false);
	KEYBOARD_SENDS(&env, 0x12, 0x12);
	asked(&env, 0xfa, ACK);
	stroke(&env, KEY_ESCAPE);
	KEYBOARD_SENDS(&env, 0x08, 0xf0, 0x08);
	asked(&env, 0xf6, ACK); // set 2 again
	stroke(&env, KEY_ESCAPE);
	KEYBOARD_SENDS(&env, 0x76, 0xf0, 0x76);
	fake_destroy(&env);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sends_the_codes_of_keys),
		cmocka_unit_test(sends_longer_codes),
		cmocka_unit_test(answers_commands),
		cmocka_unit_test(starts_and_stops_scanning),
		cmocka_unit_test(tells_of_an_overrun),
		cmocka_unit_test(repeats_what_is_held),
		cmocka_unit_test(has_set_3),
	};

	return cmocka_run_group_tests_name("ps2_keyboard", tests, NULL, NULL);
}

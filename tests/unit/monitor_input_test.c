// SPDX-License-Identifier: BSD-2-Clause
// The monitor's keyboard and mouse.
#include "tests/unit/monitor_fake.h"

static int input_setup(void **state)
{
	int answer = setup(state);

	if (first == NULL)
		machines_add();
	first->vm = &machine;
	monitor_machine_select(first);
	machine.state = VM_RUNNING;
	input_answer = STATUS_OK;
	input_calls[0] = '\0';
	guest_ns_of_pause = 10000000;
	return answer;
}

static void expect_calls(const char *wanted)
{
	assert_string_equal(input_calls, wanted);
	input_calls[0] = '\0';
}

// In the monitor's fiber, which waits.
static unsigned pauses_of(const char *line)
{
	unsigned before = pauses;

	typed(line);
	loop();
	return pauses - before;
}

static void keys_are_pressed_and_released(void **state)
{
	(void)state;
	assert_int_equal(pauses_of("sendkey a\r"), 10); // 100 ms
	expect_calls("4+ 4- ");
	assert_int_equal(pauses_of("sendkey ctrl-alt-delete 250\r"), 25);
	expect_calls("e0+ e2+ 4c+ 4c- e2- e0- ");
	assert_int_equal(pauses_of("sendkey shift-9 0\r"), 0);
	expect_calls("e1+ 26+ 26- e1- ");
	check("sendkey z-0-1-kp_0-kp_9-f1-f12-f13-f24-ret-spc-less-sysrq-print-menu-meta_r 0", "");
	expect_calls("1d+ 27+ 1e+ 62+ 61+ 3a+ 45+ 68+ 73+ 28+ 2c+ 64+ 46+ 46+ 65+ e7+ "
		"e7- 65- 46- 46- 64- 2c- 28- 73- 68- 45- 3a- 61- 62- 1e- 27- 1d- ");
	check("sendkey 0x1e-0xcb-0x01 0", ""); // AT scan codes: a, left, escape
	expect_calls("4+ 50+ 29+ 29- 50- 4- ");
}

static void keys_that_are_none_are_refused(void **state)
{
	static const char *const names[] = {"A", "", "f0", "f25", "f1x", "kp_x", "f100000000000",
		"ctrl+a", "0x", "0x7f", "0x100", "0x1g", "retx", "backslas"};
	char line[64], text[96];

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(names); i++) {
		snprintf(line, sizeof(line), "sendkey ret-%s", names[i]);
		snprintf(text, sizeof(text), "Error: invalid parameter: %s\r\n", names[i]);
		check(line, text);
	}
	check("sendkey a-b-c-d-e-f-g-h-i-j-k-l-m-n-o-p-q", "Error: too many keys: q\r\n");
	check("sendkey a -1", "Error: '-1' is not a time of 0 to 60000 ms\r\n");
	check("sendkey a 1x", "Error: '1x' is not a time of 0 to 60000 ms\r\n");
	check("sendkey a 60001", "Error: '60001' is not a time of 0 to 60000 ms\r\n");
	check_contains("sendkey", "sendkey: argument expected: keys [hold_ms]");
	expect_calls("");
}

static void the_machine_may_refuse(void **state)
{
	(void)state;
	input_answer = STATUS_BUSY;
	check("sendkey a", "Error: too much input waits for the machine\r\n");
	input_answer = STATUS_REFUSED;
	check("mouse_move 1 1", "Error: the machine is being replayed\r\n");
	machine.state = VM_PAUSED;
	check("mouse_button 1", "Error: the machine is not running (paused)\r\n");
	input_answer = STATUS_IO;
	check_contains("sendkey a", "Error: ");
	first->vm = NULL;
	check_contains("sendkey a", "Error: machine 'one' is not created");
	check_contains("mouse_move 1 1", "Error: machine 'one' is not created");
	check_contains("mouse_button 1", "Error: machine 'one' is not created");
	check_contains("info mice", "Error: machine 'one' is not created");
	expect_calls("");
}

// The release does not wait for a time that does not come.
static void a_hold_ends_early(void **state)
{
	(void)state;
	interrupt_at_pause = pauses + 3;
	assert_int_equal(pauses_of("sendkey a 60000\r"), 3);
	expect_calls("4+ 4- ");
	interrupt_at_pause = 0;
}

static void the_mouse_moves(void **state)
{
	(void)state;
	check("mouse_move 5 -7", "");
	check("mouse_move -32767 32767 2", "");
	expect_calls("5,-7,0 -32767,32767,-2 ");
	check("mouse_move 32768 0", "Error: '32768' is not a number of -32767 to 32767\r\n");
	check("mouse_move 1 x", "Error: 'x' is not a number of -32767 to 32767\r\n");
	check("mouse_move 1 2 -", "Error: '-' is not a number of -32767 to 32767\r\n");
	check("mouse_button 5", "");
	expect_calls("b0+ b2- b1+ ");
	check("mouse_button 2", "");
	expect_calls("b0- b2+ b1- ");
	check("mouse_button 8", "Error: buttons are 1 (left), 2 (middle) and 4 (right)\r\n");
	check("mouse_button -1", "Error: buttons are 1 (left), 2 (middle) and 4 (right)\r\n");
	check("mouse_button left", "Error: 'left' is not a number of -32767 to 32767\r\n");
	expect_calls("");
	check("info mice", "* Mouse #9: tablet\r\n  Mouse #5: mouse\r\n"
		"* Mouse #9: tablet (absolute)\r\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(keys_are_pressed_and_released, input_setup),
		cmocka_unit_test_setup(keys_that_are_none_are_refused, input_setup),
		cmocka_unit_test_setup(the_machine_may_refuse, input_setup),
		cmocka_unit_test_setup(a_hold_ends_early, input_setup),
		cmocka_unit_test_setup(the_mouse_moves, input_setup),
	};

	return cmocka_run_group_tests_name("monitor_input", tests, NULL, NULL);
}

// SPDX-License-Identifier: BSD-2-Clause
// The 8254 against its data sheet (231164): modes by their figures, and all of them against a
// counter that is clocked tick by tick.
#include "tests/unit/fake_env.h"

#include "tests/unit/i8254_bench.h"

static int setup(void **state)
{
	(void)state;
	fake_create(&env, &i8254_model);
	advance_ticks(1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_destroy(&env);
	return 0;
}

static void test_mode_0(void **state)
{
	(void)state;
	load_both(0, 0, 4);
	assert_false(env.line[0]);
	assert_int_equal(status_of(0), STATUS_NULL | 0x30);
	advance_ticks(1);
	assert_int_equal(status_of(0), 0x30);
	assert_int_equal(count_of(0), 4);
	advance_ticks(3);
	assert_int_equal(count_of(0), 1);
	fake_save_and_load(&env);
	assert_false(env.line[0]);
	advance_ticks(1); // N + 1 pulses after the write
	assert_true(env.line[0]);
	assert_int_equal(status_of(0), STATUS_OUT | 0x30);
	advance_ticks(1);
	assert_int_equal(count_of(0), 0xffff);
	assert_int_equal(env.line_rises[0], 1);
	// "Writing the first byte disables counting. OUT is set low immediately."
	out_port(0, 2);
	assert_false(env.line[0]);
	fake_save_and_load(&env);
	advance_ticks(10);
	assert_int_equal(count_of(0), 0xffff);
	out_port(0, 0);
	advance_ticks(2);
	assert_false(env.line[0]);
	advance_ticks(1);
	assert_true(env.line[0]);
	fake_save_and_load(&env);
	assert_int_equal(env.deadline[0].ns, GUEST_TIME_NEVER.ns);
}

static void test_mode_2(void **state)
{
	(void)state;
	load_both(0, 4, 5);
	assert_true(env.line[0]);
	assert_int_equal(env.line_rises[0], 1); // the control word made OUT high
	advance_ticks(1);
	fake_clear(&env);
	for (unsigned i = 5; i > 0; i--) {
		assert_int_equal(count_of(0), i);
		assert_int_equal(status_of(0) & STATUS_OUT, i == 1 ? 0 : STATUS_OUT);
		fake_save_and_load(&env);
		advance_ticks(1);
	}
	assert_int_equal(count_of(0), 5);
	assert_int_equal(env.line_rises[0], 1);
	advance_ticks(5 * 999);
	assert_int_equal(env.line_rises[0], 1000);
	// A new count takes effect at the end of the period (3.4, mode 2).
	advance_ticks(1);
	load_both(1, 4, 9);
	out_port(0, 3);
	out_port(0, 0);
	assert_int_equal(status_of(0) & STATUS_NULL, STATUS_NULL);
	fake_save_and_load(&env);
	advance_ticks(3);
	assert_int_equal(count_of(0), 1);
	assert_int_equal(status_of(0) & STATUS_NULL, STATUS_NULL);
	advance_ticks(1);
	assert_int_equal(count_of(0), 3);
	assert_int_equal(status_of(0) & STATUS_NULL, 0);
	assert_int_equal(env.line_rises[0], 1001);
	fake_clear(&env);
	advance_ticks(300);
	assert_int_equal(env.line_rises[0], 100);
}

static void test_mode_3(void **state)
{
	static const unsigned odd[] = {4, 2, 0, 4, 2}, even[] = {4, 2, 4, 2};

	(void)state;
	load_both(0, 6, 5);
	advance_ticks(1);
	fake_clear(&env);
	for (unsigned i = 0; i < 10; i++) {
		assert_int_equal(count_of(0), odd[i % 5]);
		assert_int_equal(env.line[0], i % 5 < 3);
		assert_int_equal(status_of(0) >> 7, i % 5 < 3);
		fake_save_and_load(&env);
		advance_ticks(1);
	}
	assert_int_equal(env.line_rises[0], 2);
	// A new count enters at the end of the half period.
	out_port(0, 4);
	out_port(0, 0);
	fake_save_and_load(&env);
	advance_ticks(2);
	assert_true(env.line[0]);
	advance_ticks(1);
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(count_of(0), even[i % 4]);
		assert_int_equal(env.line[0], i % 4 >= 2);
		fake_save_and_load(&env);
		advance_ticks(1);
	}
}

// Modes 6 and 7 are 2 and 3; the status shows what was written.
static void test_mode_aliases(void **state)
{
	(void)state;
	load_both(2, 0xe, 8);
	assert_int_equal(status_of(2), STATUS_OUT | STATUS_NULL | 0x3e);
	fake_line(&env, I8254_INPUT_GATE2, true);
	advance_ticks(1);
	assert_int_equal(count_of(2), 8);
	advance_ticks(2);
	assert_int_equal(count_of(2), 4);
}

static void test_mode_4(void **state)
{
	(void)state;
	load_both(0, 8, 3);
	fake_clear(&env);
	advance_ticks(3);
	assert_int_equal(status_of(0) & STATUS_OUT, STATUS_OUT);
	advance_ticks(1); // N + 1 pulses after the write: low for one
	assert_int_equal(status_of(0) & STATUS_OUT, 0);
	assert_int_equal(count_of(0), 0);
	assert_int_equal(env.line_rises[0], 0);
	fake_save_and_load(&env);
	advance_ticks(1);
	assert_int_equal(status_of(0) & STATUS_OUT, STATUS_OUT);
	assert_int_equal(env.line_rises[0], 1);
	assert_int_equal(env.deadline[0].ns, GUEST_TIME_NEVER.ns);
	advance_ticks(70000);
	assert_int_equal(env.line_rises[0], 1);
}

static void test_modes_1_and_5_need_a_trigger(void **state)
{
	(void)state;
	load_both(0, 2, 3); // gate 0 never rises
	advance_ticks(100);
	assert_true(env.line[0]);
	assert_int_equal(status_of(0), STATUS_OUT | STATUS_NULL | 0x32);
	load_both(2, 2, 3);
	advance_ticks(10);
	assert_true(fake_level(&env, I8254_OUTPUT_OUT2));
	fake_line(&env, I8254_INPUT_GATE2, true);
	assert_true(fake_level(&env, I8254_OUTPUT_OUT2));
	advance_ticks(1);
	assert_false(fake_level(&env, I8254_OUTPUT_OUT2));
	fake_save_and_load(&env);
	fake_line(&env, I8254_INPUT_GATE2, false); // no effect
	advance_ticks(2);
	assert_false(fake_level(&env, I8254_OUTPUT_OUT2));
	fake_line(&env, I8254_INPUT_GATE2, true); // retrigger
	advance_ticks(3);
	assert_false(fake_level(&env, I8254_OUTPUT_OUT2));
	advance_ticks(1);
	assert_true(fake_level(&env, I8254_OUTPUT_OUT2));
}

static void test_gate_suspends(void **state)
{
	(void)state;
	load_both(2, 0, 1000);
	advance_ticks(50);
	assert_int_equal(count_of(2), 1000);
	fake_line(&env, I8254_INPUT_GATE2, true);
	advance_ticks(100);
	assert_int_equal(count_of(2), 900);
	fake_line(&env, I8254_INPUT_GATE2, false);
	advance_ticks(100);
	fake_save_and_load(&env);
	assert_int_equal(count_of(2), 900);
	fake_line(&env, I8254_INPUT_GATE2, true);
	advance_ticks(899);
	assert_false(fake_level(&env, I8254_OUTPUT_OUT2));
	advance_ticks(1);
	assert_true(fake_level(&env, I8254_OUTPUT_OUT2));
	// Mode 2: OUT is high with a low gate, and the trigger reloads.
	load_both(2, 4, 10);
	advance_ticks(10);
	assert_false(fake_level(&env, I8254_OUTPUT_OUT2));
	fake_line(&env, I8254_INPUT_GATE2, false);
	assert_true(fake_level(&env, I8254_OUTPUT_OUT2));
	advance_ticks(20);
	assert_int_equal(count_of(2), 1);
	fake_line(&env, I8254_INPUT_GATE2, true);
	advance_ticks(1);
	assert_int_equal(count_of(2), 10);
}

// "Counter Latch Command", "Read-Back Command".
static void test_latches(void **state)
{
	unsigned low;

	(void)state;
	load_both(0, 4, 0x1234);
	advance_ticks(1);
	out_port(CONTROL, 0x00);
	advance_ticks(0x100);
	out_port(CONTROL, 0x00); // ignored: already latched
	fake_save_and_load(&env);
	assert_int_equal(in_port(0), 0x34);
	fake_save_and_load(&env); // between the bytes
	assert_int_equal(in_port(0), 0x12);
	low = in_port(0); // not latched any more
	assert_int_equal(low | in_port(0) << 8, 0x1134);
	// Status before count, for two channels at once; bit 3 selects channel 2.
	load_both(2, 0, 7);
	advance_ticks(1);
	out_port(CONTROL, 0xca);
	advance_ticks(5);
	fake_save_and_load(&env);
	assert_int_equal(in_port(0), STATUS_OUT | 0x34);
	assert_int_equal(in_port(0), 0x33);
	assert_int_equal(in_port(0), 0x11);
	assert_int_equal(in_port(2), 0x30);
	assert_int_equal(in_port(2), 7);
	assert_int_equal(in_port(2), 0);
	// Programming releases the latches.
	out_port(CONTROL, 0xc2);
	out_port(CONTROL, 0x14);
	out_port(0, 9);
	advance_ticks(1);
	assert_int_equal(in_port(0), 9);
	assert_int_equal(in_port(CONTROL), 0xff);
}

static void test_access_modes(void **state)
{
	(void)state;
	out_port(CONTROL, 0x24); // high byte
	out_port(0, 0x12);
	advance_ticks(1);
	assert_int_equal(in_port(0), 0x12);
	advance_ticks(1);
	assert_int_equal(in_port(0), 0x11);
	out_port(CONTROL, 0x14); // low byte: the other one is zero
	out_port(0, 0x80);
	advance_ticks(1);
	out_port(CONTROL, 0xd2);
	assert_int_equal(in_port(0), 0x80);
	advance_ticks(0x80);
	assert_int_equal(in_port(0), 0x80);
}

static void test_bcd(void **state)
{
	(void)state;
	load_both(0, 1, 0); // 10000
	advance_ticks(1);
	assert_int_equal(count_of(0), 0);
	advance_ticks(1);
	assert_int_equal(count_of(0), 0x9999);
	advance_ticks(99);
	assert_int_equal(count_of(0), 0x9900);
	advance_ticks(9899);
	assert_false(env.line[0]);
	assert_int_equal(count_of(0), 1);
	advance_ticks(1);
	assert_true(env.line[0]);
	load_both(0, 7, 0x1000);
	advance_ticks(2);
	assert_int_equal(count_of(0), 0x0998);
	out_port(0, 0xff); // digits above 9 stay harmless
	out_port(0, 0xff);
	advance_ticks(5000);
	fake_save_and_load(&env);
}

// A day of 1000 Hz and of the shortest periods: the average is exact, and bounded work when late.
static void test_no_drift(void **state)
{
	uint64_t start;

	(void)state;
	load_both(0, 4, 1193);
	advance_ticks(1);
	fake_clear(&env);
	start = tick_now();
	fake_advance(&env, 60 * NS_PER_SECOND);
	assert_int_equal(env.line_rises[0], (tick_now() - start) / 1193);
	for (unsigned count = 1; count <= 5; count++)
		for (unsigned mode = 2; mode <= 3; mode++) {
			unsigned period = count < 2 ? 2 : count;

			load_both(0, mode << 1, count);
			advance_ticks(1);
			fake_clear(&env);
			advance_ticks(period * 1000);
			assert_int_equal(env.line_rises[0], 1000);
			assert_in_range(env.line_calls, 2000, 2000);
		}
	fake_clear(&env);
	env.now.ns += 3600 * NS_PER_SECOND; // the timer comes an hour late
	fake_advance(&env, 0);
	assert_int_equal(env.line_rises[0], 1);
	assert_true(env.line_calls <= 3);
	assert_true(env.deadline[0].ns > env.now.ns && env.deadline[0].ns < env.now.ns + 10000);
}

// A write after the deadline but before the timer's delivery loses no edge.
static void test_edge_before_a_late_timer(void **state)
{
	(void)state;
	load_both(0, 0, 10);
	env.now.ns += 20000;
	assert_false(env.line[0]);
	(void)in_port(0);
	assert_true(env.line[0]);
	load_both(0, 4, 10);
	fake_clear(&env);
	env.now.ns += 20000;
	load_both(0, 0, 10);
	assert_int_equal(env.line_rises[0], 1);
	assert_false(env.line[0]);
}

static void test_reset(void **state)
{
	(void)state;
	load_both(0, 4, 10);
	fake_line(&env, I8254_INPUT_GATE2, true);
	advance_ticks(100);
	fake_reset(&env, DEVICE_RESET_LINE);
	assert_int_equal(env.deadline[0].ns, GUEST_TIME_NEVER.ns);
	assert_false(fake_level(&env, I8254_OUTPUT_OUT0));
	fake_save_and_load(&env);
	advance_ticks(100000);
	assert_false(env.line[0]);
}

static void test_against_reference(void **state)
{
	struct reference ref = {0};

	(void)state;
	reference_program(&ref, 0); // as after a reset
	for (unsigned round = 0; round < 20000; round++) {
		unsigned count = random_bits() % 12 + 1, mode = random_bits() % 6;

		switch (random_bits() % 8) {
		case 0:
			out_port(CONTROL, 0xb0 | mode << 1);
			reference_program(&ref, mode);
			break;
		case 1:
			fake_save_and_load(&env);
			break;
		case 2:
		case 3:
		case 4:
			if (round % 512 == 0)
				count = 0;
			out_port(2, count);
			out_port(2, 0);
			reference_write(&ref, count);
			break;
		default:
			reference_gate(&ref, !ref.gate);
			fake_line(&env, I8254_INPUT_GATE2, ref.gate);
			break;
		}
		compare_for(&ref, random_bits() % 16);
	}
}

static void test_robustness(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 200000; i++) {
		unsigned port = random_bits() % 4, size = 1u << random_bits() % 3;

		switch (random_bits() % 8) {
		case 0:
			fake_advance(&env, random_bits() % 20000);
			break;
		case 1:
			env.now.ns += random_bits() % 200000;
			break;
		case 2:
			(void)fake_read(&env, 0, port, size);
			break;
		case 3:
			fake_line(&env, I8254_INPUT_GATE2, random_bits() & 1);
			break;
		default:
			fake_write(&env, 0, port, size, random_bits());
			break;
		}
		if (i % 16 == 0)
			fake_save_and_load(&env);
		assert_int_equal(state_check(i8254_model.state, env.device, NULL), STATUS_OK);
		assert_int_equal(fake_level(&env, I8254_OUTPUT_OUT0), env.line[0]);
	}
}

static void assert_refused(void)
{
	struct state_error error;

	assert_int_equal(state_check(i8254_model.state, env.device, &error), STATUS_INVALID);
	assert_null(error.field);
}

static void test_state(void **state)
{
	(void)state;
	fake_check_coverage(&i8254_model);
	fake_check_ranges(&env);
	load_both(0, 4, 2);
	advance_ticks(1);
	set_field("channel.count", 0, 1); // a period of one tick
	assert_refused();
	set_field("channel.count", 0, 2);
	set_field("channel.gate", 1, 0); // tied high
	assert_refused();
	set_field("channel.gate", 1, 1);
	set_field("channel.counting", 2, 1); // nothing loaded
	assert_refused();
	set_field("channel.counting", 2, 0);
	load_both(0, 1, 5);
	set_field("channel.count", 0, 10001); // BCD
	assert_refused();
}

// Times at the far end of the range are survived.
static void test_extreme_times(void **state)
{
	(void)state;
	load_both(0, 6, 0);
	advance_ticks(2);
	set_field("channel.start_ns", 0, (uint64_t)INT64_MAX);
	set_field("seen_ns", 0, (uint64_t)INT64_MAX);
	(void)in_port(0);
	fake_save_and_load(&env);
	env.now.ns = (uint64_t)INT64_MAX;
	(void)in_port(0);
	assert_int_equal(state_check(i8254_model.state, env.device, NULL), STATUS_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_mode_0, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mode_2, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mode_3, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mode_aliases, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mode_4, setup, teardown),
		cmocka_unit_test_setup_teardown(test_modes_1_and_5_need_a_trigger, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gate_suspends, setup, teardown),
		cmocka_unit_test_setup_teardown(test_latches, setup, teardown),
		cmocka_unit_test_setup_teardown(test_access_modes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bcd, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_drift, setup, teardown),
		cmocka_unit_test_setup_teardown(test_edge_before_a_late_timer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reset, setup, teardown),
		cmocka_unit_test_setup_teardown(test_against_reference, setup, teardown),
		cmocka_unit_test_setup_teardown(test_robustness, setup, teardown),
		cmocka_unit_test_setup_teardown(test_state, setup, teardown),
		cmocka_unit_test_setup_teardown(test_extreme_times, setup, teardown),
	};

	return cmocka_run_group_tests_name("i8254", tests, NULL, NULL);
}

// SPDX-License-Identifier: BSD-2-Clause
#include "tests/unit/fake_env.h"

#include "emul/mc146818.h"

enum {
	A = 0x0a, B = 0x0b, C = 0x0c, D = 0x0d,
	SET = 0x80,
	PIE = 0x40, AIE = 0x20, UIE = 0x10,
	BINARY = 0x04,
	HOURS_24 = 0x02,
	IRQF = 0x80,
	PF = 0x40, AF = 0x20, UF = 0x10,
	UIP = 0x80,
};

#define FEBRUARY_28_2024 ((uint64_t)1709164799) // 23:59:59, a Wednesday
#define MS               ((uint64_t)1000000)
#define SECOND           NS_PER_SECOND

static uint8_t get(struct fake_env *env, uint8_t index)
{
	fake_write(env, 0, 0, 1, index);
	return (uint8_t)fake_read(env, 0, 1, 1);
}

static void put(struct fake_env *env, uint8_t index, uint8_t value)
{
	fake_write(env, 0, 0, 1, index);
	fake_write(env, 0, 1, 1, value);
}

// Guest time is 1 ms after a new second, and register C is clear.
static void setup_at(struct fake_env *env, uint64_t epoch)
{
	mc146818_configure(fake_create(env, &mc146818_model), epoch);
	fake_reset(env, DEVICE_RESET_POWER);
}

static void assert_time(struct fake_env *env, uint64_t hour_minute_second)
{
	assert_int_equal(get(env, 4) << 16 | get(env, 2) << 8 | get(env, 0), hour_minute_second);
}

static void assert_date(struct fake_env *env, uint64_t year_month_day, uint8_t weekday)
{
	assert_int_equal((uint64_t)get(env, 0x32) << 24 | (uint64_t)get(env, 9) << 16 |
			(uint64_t)get(env, 8) << 8 | get(env, 7),
		year_month_day);
	assert_int_equal(get(env, 6), weekday);
}

static void assert_no_timers(const struct fake_env *env)
{
	for (unsigned i = 0; i < MC146818_TIMERS; i++)
		assert_int_equal(env->deadline[i].ns, UINT64_MAX);
}

// Data sheet, "Time, Calendar, and Alarm Locations".
static void counts_time_and_date(void **state)
{
	struct fake_env env;

	(void)state;
	setup_at(&env, FEBRUARY_28_2024);
	assert_time(&env, 0x235959);
	assert_date(&env, 0x20240228, 4);
	fake_advance(&env, 998 * MS);
	fake_save_and_load(&env);
	assert_time(&env, 0x235959);
	fake_advance(&env, 1 * MS);
	assert_time(&env, 0x000000);
	assert_date(&env, 0x20240229, 5);
	fake_save_and_load(&env);
	fake_advance(&env, 86400 * SECOND);
	assert_date(&env, 0x20240301, 6);
	assert_no_timers(&env);
	fake_destroy(&env);
}

// 2100 is no leap year, 2000 was one.
static void counts_long_sleeps(void **state)
{
	struct fake_env env;

	(void)state;
	setup_at(&env, FEBRUARY_28_2024 + 1); // February 29
	fake_advance(&env, (uint64_t)36524 * 86400 * SECOND);
	assert_date(&env, 0x21240229, 3);
	fake_destroy(&env);
	setup_at(&env, 946684799);
	assert_date(&env, 0x19991231, 6);
	fake_advance(&env, SECOND);
	assert_date(&env, 0x20000101, 7);
	fake_advance(&env, 59 * 86400 * SECOND);
	assert_date(&env, 0x20000229, 3);
	fake_destroy(&env);
}

// Data sheet, table 3: data modes; hours with bit 7 for PM.
static void has_all_data_modes(void **state)
{
	static const struct {
		uint8_t mode, hour, next, minute;
	} cases[] = {
		{HOURS_24, 0x23, 0x00, 0x59}, {HOURS_24 | BINARY, 23, 0, 59},
		{0, 0x91, 0x12, 0x59}, {BINARY, 0x8b, 12, 59}, // 11 pm, 12 am
		{0, 0x11, 0x92, 0x59}, {BINARY, 11, 0x8c, 59}, // 11 am, 12 pm
		{0, 0x12, 0x01, 0x59}, {0, 0x92, 0x81, 0x59},  // 12 to 1, am and pm
		{0, 0x09, 0x10, 0x59},
	};
	struct fake_env env;

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(cases); i++) {
		setup_at(&env, 0);
		put(&env, B, SET | cases[i].mode);
		put(&env, 4, cases[i].hour);
		put(&env, 2, cases[i].minute);
		put(&env, 0, cases[i].minute);
		fake_save_and_load(&env);
		put(&env, B, cases[i].mode);
		assert_int_equal(get(&env, 4), cases[i].hour);
		fake_advance(&env, SECOND);
		assert_int_equal(get(&env, 4), cases[i].next);
		assert_int_equal(get(&env, 2), 0);
		fake_destroy(&env);
	}
}

// Bytes written while the clock runs take part at once; impossible ones count as the nearest.
static void takes_writes_while_running(void **state)
{
	struct fake_env env;

	(void)state;
	setup_at(&env, FEBRUARY_28_2024);
	put(&env, 7, 0x31); // of February, until the month is written
	assert_int_equal(get(&env, 7), 0x31);
	put(&env, 8, 0x03);
	fake_advance(&env, SECOND);
	assert_date(&env, 0x20240401, 5);
	put(&env, 0, 0x7f);
	put(&env, 2, 0xff);
	put(&env, 4, 0x77);
	fake_save_and_load(&env);
	assert_int_equal(get(&env, 0), 0x7f);
	fake_advance(&env, SECOND);
	assert_time(&env, 0x000000);
	assert_date(&env, 0x20240402, 6);
	fake_destroy(&env);
}

// "Register B": SET stops the updates and clears UIE; the divider goes on.
static void stops_on_set(void **state)
{
	struct fake_env env;

	(void)state;
	setup_at(&env, FEBRUARY_28_2024);
	put(&env, B, SET | UIE | HOURS_24);
	assert_int_equal(get(&env, B), SET | HOURS_24);
	assert_no_timers(&env);
	fake_advance(&env, 10 * SECOND + 500 * MS);
	fake_save_and_load(&env);
	assert_time(&env, 0x235959);
	assert_int_equal(get(&env, C) & (UF | AF), 0);
	put(&env, B, HOURS_24);
	fake_advance(&env, 498 * MS);
	assert_time(&env, 0x235959);
	fake_advance(&env, 1 * MS);
	assert_time(&env, 0x000000);
	fake_destroy(&env);
}

// "Register A", "Update Cycle": UIP is set at least 244 us before an update.
static void shows_update_in_progress(void **state)
{
	struct fake_env env;

	(void)state;
	setup_at(&env, 0);
	assert_int_equal(get(&env, A), 0x26);
	fake_advance(&env, 999 * MS - 244001);
	assert_int_equal(get(&env, A) & UIP, 0);
	fake_advance(&env, 1);
	assert_int_equal(get(&env, A) & UIP, UIP);
	fake_save_and_load(&env);
	fake_advance(&env, 243999);
	assert_int_equal(get(&env, A) & UIP, UIP);
	assert_time(&env, 0x000000);
	fake_advance(&env, 1);
	assert_int_equal(get(&env, A) & UIP, 0);
	assert_time(&env, 0x000001);
	put(&env, B, SET | HOURS_24);
	fake_advance(&env, SECOND - 1);
	assert_int_equal(get(&env, A) & UIP, 0);
	fake_destroy(&env);
}

// "Register A": the first update comes half a second after the divider's release.
static void holds_in_divider_reset(void **state)
{
	struct fake_env env;

	(void)state;
	setup_at(&env, 0);
	put(&env, A, 0x76);
	fake_advance(&env, 7777 * MS);
	fake_save_and_load(&env);
	assert_time(&env, 0x000000);
	assert_int_equal(get(&env, C), 0);
	put(&env, A, 0x26);
	fake_save_and_load(&env);
	fake_advance(&env, 500 * MS - 1);
	assert_time(&env, 0x000000);
	fake_advance(&env, 1);
	assert_time(&env, 0x000001);
	fake_advance(&env, SECOND);
	assert_time(&env, 0x000002);
	fake_destroy(&env);
}

// "Register C": flags rise without their enables; reading clears all of them and IRQF.
static void interrupts_after_updates(void **state)
{
	struct fake_env env;

	(void)state;
	setup_at(&env, 0);
	fake_advance(&env, SECOND);
	assert_int_equal(get(&env, C) & ~PF, UF);
	assert_int_equal(get(&env, C), 0);
	put(&env, B, UIE | HOURS_24);
	assert_int_equal(env.deadline[MC146818_TIMER_UPDATE].ns, 2 * SECOND);
	fake_save_and_load(&env);
	fake_advance(&env, SECOND);
	assert_true(env.line[MC146818_OUTPUT_IRQ]);
	assert_no_timers(&env);
	fake_save_and_load(&env);
	fake_advance(&env, 100 * SECOND);
	assert_int_equal(env.line_rises[MC146818_OUTPUT_IRQ], 1);
	assert_int_equal(get(&env, C), IRQF | PF | UF);
	assert_false(env.line[MC146818_OUTPUT_IRQ]);
	assert_int_equal(env.deadline[MC146818_TIMER_UPDATE].ns, 103 * SECOND);
	assert_time(&env, 0x000142);
	// Enabling after the flag raises the line at once.
	put(&env, B, HOURS_24);
	fake_advance(&env, SECOND);
	put(&env, B, UIE | HOURS_24);
	assert_true(env.line[MC146818_OUTPUT_IRQ]);
	put(&env, B, HOURS_24);
	assert_false(env.line[MC146818_OUTPUT_IRQ]);
	fake_destroy(&env);
}

// Data sheet, table 5, column 32.768 kHz.
static void interrupts_periodically(void **state)
{
	struct fake_env env;

	(void)state;
	for (uint8_t rate = 1; rate < 16; rate++) {
		unsigned hz = rate < 3 ? 512U >> rate : 65536U >> rate;

		setup_at(&env, 0);
		put(&env, A, 0x20 | rate);
		put(&env, B, PIE | HOURS_24);
		(void)get(&env, C);
		fake_save_and_load(&env);
		for (unsigned i = 0; i < 3 * hz; i++) {
			uint64_t late = i % 3 * 1000;

			assert_in_range(env.deadline[MC146818_TIMER_PERIODIC].ns, env.now.ns + 1,
				env.now.ns + SECOND / hz + 1);
			fake_advance(&env,
				env.deadline[MC146818_TIMER_PERIODIC].ns - env.now.ns + late);
			assert_true(env.line[MC146818_OUTPUT_IRQ]);
			assert_int_equal(get(&env, C) & ~UF, IRQF | PF);
		}
		assert_in_range(env.now.ns, 3 * SECOND, 3 * SECOND + 1 * MS + SECOND / hz);
		fake_destroy(&env);
	}
	setup_at(&env, 0);
	put(&env, A, 0xa0); // UIP is read-only
	assert_int_equal(get(&env, A), 0x20);
	put(&env, B, PIE | HOURS_24);
	assert_no_timers(&env);
	fake_advance(&env, 500 * MS);
	assert_int_equal(get(&env, C), 0);
	fake_destroy(&env);
}

static void put_alarm(struct fake_env *env, uint8_t hour, uint8_t minute, uint8_t second)
{
	put(env, 5, hour);
	put(env, 3, minute);
	put(env, 1, second);
}

// "Time, Calendar, and Alarm Locations": alarm bytes from 0xc0 to 0xff match anything.
static void alarms(void **state)
{
	struct fake_env env;

	(void)state;
	setup_at(&env, FEBRUARY_28_2024);
	put(&env, B, AIE | HOURS_24);
	put_alarm(&env, 0x06, 0x30, 0x00);
	assert_int_equal(env.deadline[MC146818_TIMER_ALARM].ns, (6 * 3600 + 30 * 60 + 1) * SECOND);
	fake_save_and_load(&env);
	fake_advance(&env, 86400 * SECOND);
	assert_int_equal(env.line_rises[MC146818_OUTPUT_IRQ], 1);
	assert_int_equal(get(&env, C) & ~PF, IRQF | AF | UF);
	assert_int_equal(env.deadline[MC146818_TIMER_ALARM].ns,
		(86400 + 6 * 3600 + 30 * 60 + 1) * SECOND);
	put_alarm(&env, 0xc0, 0xff, 0x59); // it is 23:59:59: not now, but a minute later
	assert_int_equal(env.deadline[MC146818_TIMER_ALARM].ns, 86460 * SECOND);
	put_alarm(&env, 0x24, 0xff, 0xff);
	assert_no_timers(&env);
	put_alarm(&env, 0xff, 0x7a, 0xff);
	assert_no_timers(&env);
	put_alarm(&env, 0x23, 0x59, 0x58);
	fake_save_and_load(&env);
	put(&env, B, HOURS_24);
	assert_no_timers(&env);
	fake_advance(&env, 86398 * SECOND);
	assert_int_equal(get(&env, C) & AF, 0);
	fake_advance(&env, SECOND);
	assert_int_equal(get(&env, C) & AF, AF); // without a timer
	fake_destroy(&env);
}

static bool field_matches(uint32_t alarm, uint32_t value)
{
	return alarm >= 0xc0 || alarm == value;
}

// Against a search second by second.
static void alarm_deadlines_agree_with_search(void **state)
{
	struct fake_env env;
	uint32_t seed = 7;

	(void)state;
	setup_at(&env, 0);
	put(&env, B, AIE | BINARY | HOURS_24);
	for (unsigned i = 0; i < 300; i++) {
		uint8_t alarm[3];
		uint32_t now, distance;

		for (unsigned n = 0; n < 3; n++) {
			seed = seed * 1664525 + 1013904223;
			alarm[n] = (uint8_t)((seed >> 16) % (n == 0 ? 24 : 60));
			if (seed >> 30 == 0)
				alarm[n] = 0xc7;
		}
		fake_advance(&env, (seed >> 8) % 90000 * SECOND);
		(void)get(&env, C);
		put_alarm(&env, alarm[0], alarm[1], alarm[2]);
		now = (uint32_t)(env.now.ns / SECOND % 86400);
		for (distance = 1; !field_matches(alarm[0], (now + distance) / 3600 % 24) ||
			!field_matches(alarm[1], (now + distance) / 60 % 60) ||
			!field_matches(alarm[2], (now + distance) % 60);)
			distance++;
		assert_int_equal(env.deadline[MC146818_TIMER_ALARM].ns,
			(env.now.ns / SECOND + distance) * SECOND);
	}
	fake_destroy(&env);
}

// 82371AB, "Real-Time Clock Index Register".
static void has_ports_and_memory(void **state)
{
	struct fake_env env;

	(void)state;
	mc146818_set_cmos(fake_create(&env, &mc146818_model), 0x15, 0x80);
	mc146818_set_cmos(env.device, 0x16, 0x02);
	mc146818_configure(env.device, 0);
	fake_reset(&env, DEVICE_RESET_POWER);
	assert_int_equal(get(&env, 0x15), 0x80);
	assert_int_equal(get(&env, D), 0x80);
	put(&env, D, 0);
	assert_int_equal(get(&env, D), 0x80);
	put(&env, C, 0xff);
	assert_int_equal(get(&env, C), 0);
	put(&env, 0x7f, 0x5a);
	assert_false(env.line[MC146818_OUTPUT_NMI_MASK]);
	fake_write(&env, 0, 0, 1, 0xff);
	assert_true(env.line[MC146818_OUTPUT_NMI_MASK]);
	fake_save_and_load(&env);
	assert_int_equal(fake_read(&env, 0, 0, 2), 0x5aff);
	assert_int_equal(fake_read(&env, 0, 0, 1), 0xff);
	fake_write(&env, 0, 0, 2, 0xa516);
	assert_false(env.line[MC146818_OUTPUT_NMI_MASK]);
	assert_int_equal(get(&env, 0x16), 0xa5);
	fake_destroy(&env);
}

// "RESET": enables and flags are cleared; time, memory and data mode stay.
static void survives_reset(void **state)
{
	struct fake_env env;

	(void)state;
	setup_at(&env, FEBRUARY_28_2024);
	put(&env, B, 0x7f);
	put(&env, B, 0x7a);
	put(&env, 0x40, 0x77);
	fake_advance(&env, 5 * SECOND);
	assert_true(env.line[MC146818_OUTPUT_IRQ]);
	fake_reset(&env, DEVICE_RESET_LINE);
	assert_false(env.line[MC146818_OUTPUT_IRQ]);
	assert_no_timers(&env);
	assert_int_equal(get(&env, B), 0x02);
	assert_int_equal(get(&env, C), 0);
	assert_int_equal(get(&env, 0x40), 0x77);
	assert_time(&env, 0x000004);
	fake_destroy(&env);
}

static void refuse_cmos(struct fake_env *env, uint32_t index, uint64_t value)
{
	const struct state_field *cmos = &mc146818_model.state->fields[6];
	uint64_t before = state_field_get(cmos, env->device, index);
	struct state_error error;

	state_field_set(cmos, env->device, index, value);
	assert_int_equal(state_check(mc146818_model.state, env->device, &error), STATUS_INVALID);
	assert_null(error.field);
	state_field_set(cmos, env->device, index, before);
}

static void checks_state(void **state)
{
	struct fake_env env;

	(void)state;
	fake_check_coverage(&mc146818_model);
	setup_at(&env, 0);
	fake_check_ranges(&env);
	refuse_cmos(&env, A, 0xa6);
	refuse_cmos(&env, B, SET | UIE);
	refuse_cmos(&env, C, IRQF);
	refuse_cmos(&env, D, 0);
	fake_destroy(&env);
}

static void withstands_random_accesses(void **state)
{
	struct fake_env env;
	uint64_t seed = 1;

	(void)state;
	fake_create(&env, &mc146818_model);
	for (unsigned i = 0; i < 50000; i++) {
		unsigned offset, size;

		seed = seed * 6364136223846793005 + 1442695040888963407;
		offset = seed >> 40 & 1;
		size = offset == 0 && (seed >> 41 & 1) ? 2 : 1;
		if (seed >> 42 & 1) // mostly the registers
			fake_write(&env, 0, 0, 1, seed >> 60);
		if (seed >> 43 & 1)
			fake_write(&env, 0, offset, size, seed >> 44 & 0xffff);
		else
			(void)fake_read(&env, 0, offset, size);
		fake_advance(&env, (seed >> 20 & 0xfffff) << (seed >> 58 & 15));
		assert_int_equal(state_check(mc146818_model.state, env.device, NULL), STATUS_OK);
		if (i % 500 == 0)
			fake_save_and_load(&env);
	}
	fake_destroy(&env);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_time_and_date),
		cmocka_unit_test(counts_long_sleeps),
		cmocka_unit_test(has_all_data_modes),
		cmocka_unit_test(takes_writes_while_running),
		cmocka_unit_test(stops_on_set),
		cmocka_unit_test(shows_update_in_progress),
		cmocka_unit_test(holds_in_divider_reset),
		cmocka_unit_test(interrupts_after_updates),
		cmocka_unit_test(interrupts_periodically),
		cmocka_unit_test(alarms),
		cmocka_unit_test(alarm_deadlines_agree_with_search),
		cmocka_unit_test(has_ports_and_memory),
		cmocka_unit_test(survives_reset),
		cmocka_unit_test(checks_state),
		cmocka_unit_test(withstands_random_accesses),
	};

	return cmocka_run_group_tests_name("mc146818", tests, NULL, NULL);
}

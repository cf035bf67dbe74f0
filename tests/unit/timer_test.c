// SPDX-License-Identifier: BSD-2-Clause
// The nearest deadline has the CPU's one timer, and what is due is held back for a moment.
#include "kernel/timer.h"

// cmocka.h wants these first.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernel/apic.h"
#include "kernel/clock.h"
#include "kernel/desc.h"

enum { HZ = 1000000000, AHEAD = 4000 }; // TIMER_AHEAD_TICKS

struct cpu fake_cpu;
uint64_t fake_cpu_tsc;
bool fake_cpu_interrupts;

static uint32_t started;
static interrupt_handler *handler;

const struct clock_calibration *clock_calibration(void)
{
	static const struct clock_calibration calibration = {.tsc_hz = HZ, .apic_hz = HZ};

	return &calibration;
}

void interrupt_handler_set(uint8_t vector, interrupt_handler *of)
{
	assert_int_equal(vector, APIC_VECTOR_TIMER);
	handler = of;
}

bool apic_timer_deadline_enable(void)
{
	return false;
}

void apic_timer_start(uint32_t ticks)
{
	started = ticks;
}

void apic_eoi(void)
{
}

static int begin(void **state)
{
	(void)state;
	fake_cpu = (struct cpu){.timer_nearest = TIMER_NEVER, .timer_programmed = TIMER_NEVER};
	fake_cpu_tsc = 1000000;
	timer_init();
	return 0;
}

static void the_nearest_has_it(void **state)
{
	struct timer one, other;

	(void)state;
	timer_add(&one);
	timer_add(&other);
	timer_set(&one, fake_cpu_tsc + 50000);
	timer_set(&other, fake_cpu_tsc + 20000);
	timer_program();
	assert_int_equal(started, 20000);
	timer_set(&other, TIMER_NEVER);
	fake_cpu_tsc += 10000;
	timer_program();
	assert_int_equal(started, 40000);
	timer_remove(&one);
	timer_program();
	assert_int_equal(started, 0);
}

static void what_is_due_is_held_back(void **state)
{
	struct timer timer;

	(void)state;
	timer_add(&timer);
	timer_set(&timer, fake_cpu_tsc - 5);
	timer_program();
	assert_int_equal(started, AHEAD);
	timer_set(&timer, fake_cpu_tsc + 7);
	timer_program_exactly();
	assert_int_equal(started, 7);
}

// A guest's run that is to end sooner may not rely on a timer that comes before: it is held back.
static void left_is_what_it_would_be_programmed_with(void **state)
{
	static const int64_t distances[] = {-1000000, -1, 0, 1, 1391, AHEAD, AHEAD + 1, 77777};
	struct timer timer;

	(void)state;
	assert_true(timer_left() > INT64_MAX);
	timer_add(&timer);
	for (unsigned i = 0; i < ARRAY_COUNT(distances); i++) {
		timer_set(&timer, fake_cpu_tsc + (uint64_t)distances[i]);
		fake_cpu.timer_programmed = 1; // another
		timer_program();
		assert_int_equal(timer_left(), started);
		assert_true(started >= AHEAD);
	}
}

static void its_interrupt_asks_for_attention(void **state)
{
	struct timer timer;

	(void)state;
	timer_add(&timer);
	timer_set(&timer, fake_cpu_tsc + 10000);
	timer_program();
	handler(NULL);
	assert_true(fake_cpu.attention && fake_cpu.timer_programmed == TIMER_NEVER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_nearest_has_it, begin),
		cmocka_unit_test_setup(what_is_due_is_held_back, begin),
		cmocka_unit_test_setup(left_is_what_it_would_be_programmed_with, begin),
		cmocka_unit_test_setup(its_interrupt_asks_for_attention, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

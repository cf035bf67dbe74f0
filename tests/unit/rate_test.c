// SPDX-License-Identifier: BSD-2-Clause
// What a live machine's time does where it drifts away from the host's: vm/rate.c on a machine and
// a host of the test's own.
#include "tests/unit/fake_env.h"

#include <asm/prctl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel/cpu.h"
#include "vm/landing_internal.h"
#include "vmx/vcpu.h"

enum { LOOKS = 100, BOUNDARY = 50000 };
#define SECOND INT64_C(1000000000)

static struct cpu this_cpu;
static struct tick_source source = {.scale = 1};
const struct tick_source *position_source = &source;
struct vcpu_engine vcpu_engine;
static struct vm *vm;
static struct landing landing;
static struct vm_vcpu vcpu;
static uint64_t real; // the host's time
static bool event_pending;

static struct {
	unsigned asked;
	enum status answer;
	uint64_t rate;
	struct outside_place place;
} told;

uint64_t clock_ns_to_tsc(uint64_t ns)
{
	return ns;
}

uint64_t landing_now(const struct vm *of)
{
	return landing_time_of(of);
}

uint64_t landing_real_now(struct vm *of)
{
	assert_ptr_equal(of, vm);
	return real;
}

struct landing_time landing_time(const struct vm *of)
{
	struct landing_time time = {.ticks = of->landing->ticks, .skipped = of->landing->skipped,
		.rate = (uint32_t)of->landing->rate, .rate_ticks = of->landing->rate_ticks};

	landing_time_carry(&time);
	return time;
}

void landing_disturb(const struct vm *of)
{
	of->landing->calm_until = 0;
}

struct position landing_position(const struct vm_vcpu *of)
{
	return (struct position){of->vm->landing->ticks, 0x1000, 7};
}

void bus_enter_wait(struct bus *bus)
{
	(void)bus;
	fail_msg("the device lock is taken already");
}

static bool model_event_pending(const struct vcpu *of)
{
	(void)of;
	return event_pending;
}

static enum status note(struct outside_recorder *recorder, struct vm *of,
	const struct outside_place *place, uint64_t rate)
{
	assert_non_null(recorder);
	assert_ptr_equal(of, vm);
	told.asked++;
	told.place = *place;
	told.rate = rate;
	return told.answer;
}

static int setup(void **state)
{
	static struct outside_recorder recorder = {.rate = note};

	(void)state;
	this_cpu = (struct cpu){.self = &this_cpu};
	syscall(SYS_arch_prctl, ARCH_SET_GS, &this_cpu);
	memset(&told, 0, sizeof(told));
	vcpu_engine.event_pending = model_event_pending;
	event_pending = false;
	source.scale = 1;
	landing = (struct landing){.live = true, .rdtsc_ticks = 500,
		.rate = landing_source_rate()};
	vm = test_calloc(1, sizeof(*vm));
	vm->tsc_base = LANDING_TSC_BASE;
	vm->landing = &landing;
	vm->outside.recorder = &recorder;
	vcpu = (struct vm_vcpu){.vm = vm, .index = 2};
	real = landing_now(vm);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	test_free(vm);
	return 0;
}

static void look(void)
{
	if (landing.ticks >= landing.rate_due)
		landing_rate_look(&vcpu);
}

// A guest that works, so many thousandths of the host's time to a tick; until so many ticks.
static void work(int64_t ticks, uint64_t thousandths)
{
	for (uint64_t end = landing.ticks + (uint64_t)ticks; landing.ticks < end;
		landing.ticks += BOUNDARY, real += BOUNDARY * thousandths / 1000)
		look();
}

static int64_t behind(void)
{
	return (int64_t)(real - landing_now(vm));
}

static void who_keeps_up_stays_as_it_is(void **state)
{
	(void)state;
	work(3 * SECOND, 1000);
	assert_int_equal(told.asked, 0);
	real += SECOND / 200; // less than would matter
	work(SECOND, 1000);
	assert_int_equal(told.asked, 0);
	assert_int_equal(landing.rate, landing_source_rate());
}

static void who_falls_behind_catches_up(void **state)
{
	unsigned asked;

	(void)state;
	work(4 * SECOND, 2000);
	assert_true(told.asked > 0 && told.asked < 40);
	assert_true(behind() < SECOND / 20 && behind() > -SECOND / 20);
	assert_true(landing.rate > 1900 && landing.rate < 2200); // twice 1,024
	assert_int_equal(landing.rate, told.rate);
	asked = told.asked;
	work(4 * SECOND, 2000); // steady
	assert_true(told.asked <= asked + 4);
	work(4 * SECOND, 500); // and now it is ahead
	assert_true(landing.rate > 480 && landing.rate < 550);
	assert_true(behind() < SECOND / 20 && behind() > -SECOND / 20);
}

static void rates_have_limits(void **state)
{
	(void)state;
	work(2 * SECOND, 50000);
	assert_int_equal(landing.rate, 4 * 1024);
	assert_true(told.asked < 3);
	work(4 * SECOND, 10);
	work(20 * SECOND, 10);
	assert_int_equal(landing.rate, 1024 / 4);
	assert_null(landing_rate_problem(vm, 256));
	assert_null(landing_rate_problem(vm, 4096));
	assert_non_null(landing_rate_problem(vm, 255));
	assert_non_null(landing_rate_problem(vm, 4097));
	assert_non_null(landing_rate_problem(vm, 0));
	assert_non_null(landing_rate_problem(vm, UINT64_MAX));
	source.scale = 8;
	assert_null(landing_rate_problem(vm, 32768));
	assert_non_null(landing_rate_problem(vm, 1024));
}

// The guest's time-stamp counter could not follow.
static void where_rdtsc_passes_there_is_one_rate(void **state)
{
	(void)state;
	landing.rdtsc_ticks = 0;
	work(3 * SECOND, 3000);
	assert_int_equal(told.asked, 0);
	assert_non_null(landing_rate_problem(vm, 2048));
	assert_null(landing_rate_problem(vm, 1024));
}

// A replay's rates are the recording's.
static void only_a_live_machine_follows(void **state)
{
	(void)state;
	landing.live = false;
	work(3 * SECOND, 3000);
	assert_int_equal(told.asked, 0);
	assert_int_equal(landing.rate, 1024);
	assert_true(landing.ticks - landing.rate_ticks <= BIT(31));
}

static void the_recorder_comes_first(void **state)
{
	(void)state;
	told.answer = STATUS_BUSY;
	work(SECOND / 2, 3000);
	assert_true(told.asked > LOOKS); // at each boundary
	assert_int_equal(landing.rate, 1024);
	told.answer = STATUS_REFUSED;
	told.asked = 0;
	work(SECOND, 3000);
	assert_in_range(told.asked, 5, 10);
	assert_int_equal(landing.rate, 1024);
	told.answer = STATUS_OK;
	told.asked = 0;
	while (told.asked == 0)
		work(BOUNDARY, 3000);
	assert_int_equal(landing.rate, told.rate);
	assert_int_equal(told.place.at.ticks, landing.rate_ticks);
	assert_int_equal(told.place.at.rip, 0x1000);
	assert_int_equal(told.place.vcpu, 2);
	assert_false(told.place.waiting);
	assert_true(told.rate > 1900);
	vm->outside.recorder = NULL;
	work(2 * SECOND, 500);
	assert_int_equal(told.asked, 1);
	assert_true(landing.rate < 1024);
}

static void no_place_that_cannot_be_found_again(void **state)
{
	(void)state;
	event_pending = true;
	work(SECOND / 2, 3000);
	event_pending = false;
	vcpu.halted = true;
	work(SECOND / 2, 3000);
	assert_int_equal(told.asked, 0);
	vcpu.halted = false;
	work(SECOND, 3000);
	assert_true(told.asked > 0);
}

// idle.c forgets the pace where the machine waits: it is even then.
static void who_often_waits_needs_no_rate(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		work(SECOND / 100, 3000);
		landing.skipped += real - landing_now(vm) + SECOND / 100; // and waited
		real = landing_now(vm);
		landing.pace.begun = false;
		landing.rate_due = landing.ticks;
	}
	assert_int_equal(told.asked, 0);
}

static void what_is_skipped_is_not_the_ticks(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 400; i++) { // an even pace, half of it by accesses to devices
		work(SECOND / 100, 1000);
		landing.skipped += SECOND / 100;
		real += SECOND / 100;
	}
	assert_int_equal(told.asked, 0);
	for (unsigned i = 0; i < 400; i++) { // accesses that take twice as long
		work(SECOND / 100, 1000);
		landing.skipped += SECOND / 100;
		real += 2 * SECOND / 100;
	}
	assert_true(landing.rate > 1900 && landing.rate < 2250);
	assert_true(behind() < SECOND / 10 && behind() > -SECOND / 10);
}

// Where the ticks are counted from makes no difference.
static void time_is_saved_whole(void **state)
{
	uint64_t random = 5;

	(void)state;
	landing.live = false;
	for (unsigned i = 0; i < 1000; i++) {
		struct landing_time time = landing_time(vm);
		uint64_t now = landing_now(vm), step;

		random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
		step = random >> (40 + i % 20);
		assert_int_equal(LANDING_TSC_BASE + landing_time_value(&time), now);
		assert_true(time.ticks - time.rate_ticks < BIT(LANDING_RATE_BITS));
		time.ticks += step;
		landing.ticks += step;
		assert_int_equal(LANDING_TSC_BASE + landing_time_value(&time), landing_now(vm));
		assert_true(landing_now(vm) >= now);
		now = landing_now(vm);
		if (i % 3 == 0)
			landing_set_rate(vm, 256 + (random >> 33) % (4096 - 256 + 1));
		look();
		assert_int_equal(landing_now(vm), now);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(who_keeps_up_stays_as_it_is),
		TEST(who_falls_behind_catches_up),
		TEST(rates_have_limits),
		TEST(where_rdtsc_passes_there_is_one_rate),
		TEST(only_a_live_machine_follows),
		TEST(the_recorder_comes_first),
		TEST(no_place_that_cannot_be_found_again),
		TEST(who_often_waits_needs_no_rate),
		TEST(what_is_skipped_is_not_the_ticks),
		TEST(time_is_saved_whole),
	};

	return cmocka_run_group_tests_name("rate", tests, NULL, NULL);
}

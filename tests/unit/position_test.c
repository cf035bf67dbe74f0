// SPDX-License-Identifier: BSD-2-Clause
// The self-test of positions against a model of an engine: what it must accept, with which
// corrections, and what it must refuse.
#include "tests/unit/position_model.h"

static void self_test(struct model how)
{
	model = how;
	memset(&guest, 0, sizeof(guest));
	guest.deadline = TIMER_NEVER;
	position_source = NULL;
	fake_cpu_interrupts = false;
	position_self_test();
	assert_false(fake_cpu_interrupts);
}

static void expect_exact(struct model how, int exiting, const char *rep)
{
	self_test(how);
	assert_non_null(position_source);
	assert_string_equal(position_source->name, "tsc");
	assert_int_equal(vcpu_counting_overhead, how.overhead);
	assert_int_equal(position_source->correction[VMEXIT_CPUID], exiting);
	assert_int_equal(position_source->correction[VMEXIT_HLT], exiting);
	assert_int_equal(position_source->correction[VMEXIT_MEMORY], exiting);
	assert_int_equal(position_source->correction[VMEXIT_INTERRUPT], 0);
	assert_int_equal(position_source->correction[VMEXIT_SOFTWARE_INTERRUPT],
		how.steps_software ? 0 : exiting);
	assert_non_null(strstr(verdict, "exactly"));
	assert_non_null(strstr(verdict, rep));
}

static void expect_refused(struct model how, const char *why)
{
	self_test(how);
	assert_null(position_source);
	assert_non_null(strstr(verdict, "no exact source"));
	assert_non_null(strstr(position_sources[0].verdict, why));
}

static void exact_ones_are_accepted(void **state)
{
	(void)state;
	expect_exact((struct model){.overhead = 59, .rep_extra = 1}, 0, "rep n+1");
	expect_exact((struct model){.overhead = 1, .exiting = 1, .steps_software = true}, 1,
		"rep n+0");
	expect_exact((struct model){.overhead = 0}, 0, "rep n+0");
	assert_int_equal(vcpu_tsc_lead, MODEL_LEAD);
	assert_true(position_source->tsc_passes);
	assert_non_null(strstr(verdict, "rdtsc passes"));
	assert_int_equal(vcpu_limit_lag, MODEL_LIMIT_LAG - 1);
}

// Landing takes steps then.
static void a_limit_that_varies_is_not_used(void **state)
{
	(void)state;
	expect_exact((struct model){.overhead = 59, .limit_varies = true}, 0, "rep n+0");
	assert_int_equal(vcpu_limit_lag, VCPU_LIMIT_NONE);
}

// The source is as good as any other: RDTSC is asked for.
static void a_tsc_that_leaps_is_not_passed(void **state)
{
	(void)state;
	expect_exact((struct model){.overhead = 59, .tsc_leaps = true}, 0, "rep n+0");
	assert_false(position_source->tsc_passes);
	assert_non_null(strstr(verdict, "rdtsc exits"));
	assert_int_equal(guest.counting, VCPU_COUNTING);
}

// A time-stamp counter that tells the time.
static void clocks_are_refused(void **state)
{
	(void)state;
	expect_refused((struct model){.overhead = 2000, .jitter = 3}, "once per instruction");
	expect_refused((struct model){.overhead = 2000, .per_two = 1}, "once per instruction");
	expect_refused((struct model){.overhead = 10, .jitter = 1}, "once per instruction");
}

static void overcounts_are_refused(void **state)
{
	(void)state;
	expect_refused((struct model){.overhead = 5, .per_interrupt = 1}, "host interrupt");
	expect_refused((struct model){.overhead = 5, .per_step = 1}, "single steps");
	expect_refused((struct model){.overhead = 5, .exiting = 2}, "");
}

// One tick for a REP, however often it is entered: steps are not ticks then.
static void a_rep_that_counts_one_is_refused(void **state)
{
	(void)state;
	expect_refused((struct model){.overhead = 5, .rep_is_one = true}, "");
}

// A TSC that tells the time, and a counter.
static void expect_counter(struct model how, const char *name)
{
	how.overhead = 5;
	how.per_two = 1;
	self_test(how);
	assert_non_null(position_source);
	assert_string_equal(position_source->name, name);
	assert_non_null(strstr(verdict, name));
	assert_non_null(strstr(verdict, "exactly"));
	assert_non_null(strstr(position_sources[0].verdict, "no exact source: tsc"));
}

static void the_next_source_is_tried(void **state)
{
	(void)state;
	expect_counter((struct model){.has_branches = true, .has_instructions = true},
		"branch counter");
	assert_string_equal(position_source->unit, "branches");
	expect_counter((struct model){.has_branches = true, .skid = 200}, "branch counter");
	expect_counter((struct model){.has_instructions = true, .skid = 200, .rep_extra = 1},
		"instruction counter");
	assert_non_null(strstr(position_sources[1].verdict, "branch counter: the model has none"));
}

static void a_wrong_counter_is_refused(void **state)
{
	static const struct model base = {.overhead = 5, .per_two = 1, .has_branches = true};
	struct model how = base;

	(void)state;
	how.overcount = 1;
	self_test(how);
	assert_null(position_source);
	assert_non_null(strstr(position_sources[1].verdict, "host interrupt"));
	how = base;
	how.counts_nothing = true;
	self_test(how);
	assert_null(position_source);
	assert_non_null(strstr(position_sources[1].verdict, "once per conditional branch"));
	how = base;
	how.skid = 400;
	self_test(how);
	assert_null(position_source);
	assert_non_null(strstr(position_sources[1].verdict, "too late"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exact_ones_are_accepted),
		cmocka_unit_test(a_tsc_that_leaps_is_not_passed),
		cmocka_unit_test(a_limit_that_varies_is_not_used),
		cmocka_unit_test(clocks_are_refused),
		cmocka_unit_test(overcounts_are_refused),
		cmocka_unit_test(a_rep_that_counts_one_is_refused),
		cmocka_unit_test(the_next_source_is_tried),
		cmocka_unit_test(a_wrong_counter_is_refused),
	};

	vcpu_engine = (struct vcpu_engine){.name = "model", .enter = model_enter,
		.rip = model_rip, .get_state = model_get_state, .set_state = model_set_state,
		.event_pending = model_event_pending, .inject_interrupt = model_inject_interrupt,
		.inject_exception = model_inject_exception, .request_step = model_request_step,
		.set_counting = model_set_counting,
		.intercept_pause = model_intercept_pause, .limit = model_limit,
		.limit_is_measured = true};
	return cmocka_run_group_tests_name("position", tests, NULL, NULL);
}

// SPDX-License-Identifier: BSD-2-Clause
// The rate of a machine's time, which is a function of its position: vm/landing.h.
//
// The rate is the source's scale until it is changed. Where the guest's RDTSC does not exit it
// cannot be: the CPU's time-stamp counter has one speed. Else a live machine's follows the host's
// time: one that is busy falls behind it where its exits take long, or a tick takes another time
// than the source's scale says. So every 100 ms of its time it is compared with the host's, and
// where they drift apart its rate becomes what would have kept them together, and would make up for
// the difference within a second. A machine that waits is even with the host then, and begins anew.
//
//   begin <--- a wait, another rate, live from now on
//     | INTERVAL_NS
//     v
//   compare ---> near enough: begin
//     |  ^ STATUS_BUSY
//     v  |
//   the recorder is told ---> landing_set_rate ---> begin
#include "kernel/base/assert.h"
#include "kernel/clock.h"
#include "vm/landing_internal.h"

enum {
	INTERVAL_NS = 100000000, // of the machine's time, from one look to the next
	// Who is no farther from the host's time, or whose rate would differ by no more than this
	// part of the present one, stays as it is: logs stay small.
	NEAR_NS = 10000000,
	DEAD_PART = 32,
	SECOND_PARTS = 1024,
	CARRY_TICKS = 1 << 30, // how often rate_ticks comes after: products stay within 64 bits
};

// What RDTSC says must be the machine's time at each position.
static bool rate_is_free(const struct landing *landing)
{
	return landing->rdtsc_ticks != 0;
}

const char *landing_rate_problem(const struct vm *vm, uint64_t rate)
{
	uint64_t source = landing_source_rate();

	if (rate < source / LANDING_RATE_SPAN || rate > source * LANDING_RATE_SPAN)
		return "a rate of time that no machine here has";
	if (rate != source && !rate_is_free(vm->landing))
		return "another rate of time, where RDTSC does not exit";
	return NULL;
}

static void carry(struct vm *vm)
{
	struct landing *landing = vm->landing;
	const struct landing_time time = landing_time(vm);

	landing->skipped = time.skipped;
	landing->rate_ticks = time.rate_ticks;
	landing->rate_due = landing->ticks + CARRY_TICKS;
}

void landing_set_rate(struct vm *vm, uint64_t rate)
{
	struct landing *landing = vm->landing;

	ASSERT(landing_rate_problem(vm, rate) == NULL);
	landing->skipped = landing_now(vm) - vm->tsc_base;
	landing->rate_ticks = landing->ticks;
	landing->rate = rate;
	landing_disturb(vm);
}

// How far the host's time is beyond the machine's, a second at most.
static int64_t behind_now(struct vm *vm, int64_t second)
{
	int64_t behind = (int64_t)(landing_real_now(vm) - landing_now(vm));

	return behind > second ? second : behind < -second ? -second : behind;
}

static void pace_begin(struct vm *vm, int64_t second)
{
	struct landing *landing = vm->landing;

	landing->pace = (struct landing_pace){.begun = true, .ticks = landing->ticks,
		.time = landing_now(vm), .behind = behind_now(vm, second)};
	landing->rate_due = landing->ticks +
		landing_ticks_until(landing, clock_ns_to_tsc(INTERVAL_NS));
}

// The rate that is right, by what has been since pace_begin().
static uint64_t rate_wanted(struct vm *vm, int64_t second)
{
	const struct landing *landing = vm->landing;
	const struct landing_pace *pace = &landing->pace;
	int64_t behind = behind_now(vm, second), lost = behind - pace->behind;
	int64_t ticks = (int64_t)(landing->ticks - pace->ticks);
	int64_t real = (int64_t)(landing_now(vm) - pace->time) + lost, rate;
	int64_t low = landing_source_rate() / LANDING_RATE_SPAN;
	int64_t high = (int64_t)landing_source_rate() * LANDING_RATE_SPAN;

	if (real > LANDING_RATE_SPAN * second)
		real = LANDING_RATE_SPAN * second;
	lost += behind / SECOND_PARTS * (real * SECOND_PARTS / second);
	rate = (int64_t)landing->rate + lost * (1 << LANDING_RATE_BITS) / ticks;
	return (uint64_t)(rate < low ? low : rate > high ? high : rate);
}

static bool is_near(struct vm *vm, uint64_t rate, int64_t second)
{
	uint64_t present = vm->landing->rate;
	uint64_t difference = rate > present ? rate - present : present - rate;
	int64_t behind = behind_now(vm, second), near = (int64_t)clock_ns_to_tsc(NEAR_NS);

	return difference <= present / DEAD_PART || (behind <= near && behind >= -near);
}

static enum status recorder_tell(struct vm_vcpu *vcpu, uint64_t rate)
{
	struct vm *vm = vcpu->vm;
	struct outside_recorder *recorder = vm->outside.recorder;
	const struct outside_place place = {.at = landing_position(vcpu),
		.time = landing_now(vm) - LANDING_TSC_BASE, .vcpu = vcpu->index};
	enum status status = STATUS_OK;

	bus_enter(&vm->bus);
	if (recorder != NULL)
		status = recorder->rate(recorder, vm, &place, rate);
	bus_unlock(&vm->bus);
	return status;
}

// False: not now.
static bool rate_follow(struct vm_vcpu *vcpu, int64_t second)
{
	struct vm *vm = vcpu->vm;
	uint64_t rate = rate_wanted(vm, second);
	enum status status;

	if (is_near(vm, rate, second))
		return true;
	status = recorder_tell(vcpu, rate);
	if (status == STATUS_OK)
		landing_set_rate(vm, rate);
	return status != STATUS_BUSY;
}

// Between an event's injection and its delivery, and while the vcpu is halted, the place could not
// be found again by its position alone.
void landing_rate_look(struct vm_vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	struct landing *landing = vm->landing;
	int64_t second = (int64_t)clock_ns_to_tsc(NS_PER_SECOND);

	if (!landing->live || !rate_is_free(landing)) {
		carry(vm);
		return;
	}
	if (vcpu->halted || vcpu_event_pending(vcpu->vcpu))
		return;
	if (landing->pace.begun && !rate_follow(vcpu, second))
		return;
	carry(vm);
	pace_begin(vm, second);
}

// SPDX-License-Identifier: BSD-2-Clause
#include "vm/landing.h"

#include <stdlib.h>

#include "kernel/base/assert.h"
#include "kernel/smp.h"
#include "kernel/timer.h"
#include "kernel/x86.h"
#include "vm/landing_internal.h"
#include "vmx/counting.h"

enum {
	SHAPE_SKID_MAX = 200,
	ACCESS_NS = 1500, // of the machine's time
	RDTSC_NS = 500,
};

struct position landing_position(const struct vm_vcpu *vcpu)
{
	return (struct position){vcpu->vm->landing->ticks, vcpu_rip(vcpu->vcpu),
		vcpu_gpr(vcpu->vcpu)[GPR_RCX]};
}

struct landing_time landing_time(const struct vm *vm)
{
	const struct landing *landing = vm->landing;
	struct landing_time time = {.ticks = landing->ticks, .skipped = landing->skipped,
		.turn = landing->turn, .turn_end = landing->turn_end,
		.rate = (uint32_t)landing->rate, .rate_ticks = landing->rate_ticks};

	landing_time_carry(&time);
	return time;
}

void landing_set_time(struct vm *vm, const struct landing_time *time)
{
	struct landing *landing = vm->landing;

	landing->ticks = time->ticks;
	landing->skipped = time->skipped;
	landing->turn = time->turn;
	landing->turn_end = time->turn_end;
	landing->rate = time->rate;
	landing->rate_ticks = time->rate_ticks;
	landing->rate_due = time->ticks;
	landing_disturb(vm);
}

void landing_take_over(struct vm *vm, const struct vm *twin)
{
	struct landing *landing = vm->landing;
	const struct landing *from = twin->landing;

	landing->target = from->target;
	landing->callback = from->callback;
	landing->owner = from->owner;
	landing->live = from->live;
	landing->random_test = from->random_test;
	landing->random_shape = from->random_shape;
	landing->test_done = from->test_done;
	landing->test_hash = from->test_hash;
	landing->test_late = from->test_late;
}

void landing_set(struct vm *vm, const struct landing_target *target, landing_callback *callback,
	void *owner)
{
	struct landing *landing = vm->landing;

	ASSERT(callback != NULL && target->at.ticks >= landing->ticks);
	landing->target = *target;
	landing->callback = callback;
	landing->owner = owner;
	landing_disturb(vm);
}

void landing_clear(struct vm *vm)
{
	vm->landing->callback = NULL;
}

uint64_t landing_now(const struct vm *vm)
{
	return landing_time_of(vm);
}

void landing_disturb(const struct vm *vm)
{
	vm->landing->calm_until = 0;
}

static bool target_is_here(const struct vm_vcpu *vcpu)
{
	const struct landing *landing = vcpu->vm->landing;
	const struct landing_target *target = &landing->target;
	struct position here;

	if (likely(landing->ticks < target->at.ticks))
		return false;
	here = landing_position(vcpu);
	return here.ticks > target->at.ticks || target->at.rip == POSITION_ANY_RIP ||
		(position_equal(&here, &target->at) && landing_target_fits(target, vcpu) &&
			!vcpu->vm->outside.given &&
			vcpu->vm->queue.sequence >= target->sequence &&
			(!vcpu->halted || landing_now(vcpu->vm) >= target->time));
}

void landing_at_boundary(struct vm_vcpu *vcpu)
{
	struct landing *landing = vcpu->vm->landing;

	// Between an event's injection and its delivery there is no boundary. The next target may
	// be here too.
	while (landing->callback != NULL && target_is_here(vcpu) &&
		!vcpu_event_pending(vcpu->vcpu)) {
		const struct position here = landing_position(vcpu);
		landing_callback *callback = landing->callback;

		landing->callback = NULL;
		callback(vcpu, &here, landing->owner);
	}
	if (unlikely(landing->ticks >= landing->rate_due))
		landing_rate_look(vcpu);
}

static bool in_step_span(const struct landing *landing)
{
	return landing->config.step_all ||
		landing->ticks - landing->config.step_from < landing->config.step_count;
}

// Ticks that the guest may run before something must happen at an exact position.
static uint64_t distance(const struct vm_vcpu *vcpu, uint64_t tsc)
{
	const struct landing *landing = vcpu->vm->landing;
	uint64_t deadline = vcpu->timer.deadline, left = deadline - tsc, nearest = 0;

	if (deadline > tsc)
		nearest = landing_ticks_until(landing,
			left < LANDING_HORIZON ? left : LANDING_HORIZON);
	if (landing->callback != NULL && landing->target.at.ticks - landing->ticks < nearest)
		nearest = landing->target.at.ticks - landing->ticks;
	if (landing->turn_end - landing->ticks < nearest)
		nearest = landing->turn_end - landing->ticks;
	return nearest;
}

static bool may_be_calm(const struct landing_config *config)
{
	return !config->step_all && config->step_count == 0;
}

// Far from what is next the host's timer serves for many entries: the guest's ticks are among the
// host's, so that it comes too early at worst, but for what accesses to devices add. Of `left`, the
// time is at most LANDING_HORIZON.
static void stay_calm(struct vm_vcpu *vcpu, uint64_t tsc, uint64_t left)
{
	struct landing *landing = vcpu->vm->landing;
	uint64_t margin = left / LANDING_CALM_PART, now = rdtsc();

	if (margin < LANDING_CALM_MIN)
		margin = LANDING_CALM_MIN;
	left -= margin;
	if (landing->timer.deadline - now > left) // too late, or over
		timer_set(&landing->timer, now + left);
	landing->calm_until = (int64_t)(tsc + (left * landing->rate >> LANDING_RATE_BITS));
}

// So that the guest leaves when it has run `left` ticks or somewhat less. False: that is too near.
static bool arm(struct vm_vcpu *vcpu, uint64_t tsc, uint64_t left)
{
	struct landing *landing = vcpu->vm->landing;

	if (position_source->arm != NULL) {
		// The counter may count the world switch too, and must not overflow in it.
		if (left <= position_source->lead_max + vcpu_counting_overhead)
			return false;
		position_source->arm(cpu_self()->index, left - position_source->lead_max);
		landing->counted = true;
		return true;
	}
	if (left > LANDING_CALM_MIN * 2 && may_be_calm(&landing->config)) {
		stay_calm(vcpu, tsc, left);
		return true;
	}
	if (landing->timer.deadline != TIMER_NEVER)
		timer_set(&landing->timer, TIMER_NEVER);
	if (vcpu_limit(vcpu->vcpu, left))
		return true;
	if (left <= position_source->lead_max)
		return false;
	timer_set(&landing->timer, rdtsc() + left);
	timer_program_exactly();
	landing->timed = true;
	return true;
}

void landing_step_next(struct vm *vm)
{
	vm->landing->step_next = true;
	landing_disturb(vm);
}

bool landing_prepare_entry(struct vm_vcpu *vcpu, uint64_t tsc)
{
	struct landing *landing = vcpu->vm->landing;
	uint64_t left = distance(vcpu, tsc), early = 0;

	if (left == 0 && landing->callback != NULL && target_is_here(vcpu) &&
		!vcpu_event_pending(vcpu->vcpu))
		return false; // what was delivered has made it the target

	// As a counter's overflow: set for earlier by the bound of the skid, and then late by some.
	if (landing->config.shape_seed != 0)
		early = left > SHAPE_SKID_MAX
			? splitmix_next(&landing->random_shape) % (SHAPE_SKID_MAX + 1) : left;
	vcpu_set_tsc_at_entry(vcpu->vcpu, tsc - vcpu->vm->tsc_base + vcpu->tsc_shift);
	landing->stepping = landing->step_next || in_step_span(landing) ||
		!arm(vcpu, tsc, left - early);
	landing->step_next = false;
	if (!landing->stepping)
		return true;
	landing->steps++;
	landing->began = rdtsc();
	if (vm_step_request(vcpu, tsc))
		return true;
	if (!vcpu_event_pending(vcpu->vcpu)) // it did not fault
		landing->ticks += position_source->counts_instructions;
	return false;
}

_Static_assert((int)VMEXIT_KIND_COUNT <= (int)TICK_KIND_RDTSCP, "corrections");

void landing_correct_rdtscp(struct vm_vcpu *vcpu)
{
	const int8_t *correction = position_source->correction;

	vcpu->vm->landing->ticks -= (uint64_t)(int64_t)(correction[TICK_KIND_RDTSCP] -
		correction[VMEXIT_RDTSC]);
}

void landing_rdtsc_done(struct vm *vm)
{
	landing_skip(vm->landing, vm->landing->rdtsc_ticks);
}

uint64_t landing_rdtsc_ns(const struct vm *vm)
{
	return vm->landing->rdtsc_ticks != 0 ? RDTSC_NS : 0;
}

static bool tsc_passes(const struct vm *vm)
{
	return position_source->tsc_passes && vm->landing->config.shape_seed == 0 &&
		vm->landing->rdtsc_ticks == 0;
}

// Machines that are only compared with others, and not recorded, must be alike with either source.
static bool rdtsc_takes_time(const struct vm_config *config)
{
	if (config->rdtsc != VM_RDTSC_AS_IT_EXITS)
		return config->rdtsc == VM_RDTSC_TAKES_TIME;
	return !position_source->tsc_passes ||
		(config->landing.shape_seed != 0 && config->rr.mode == VM_RR_RECORD);
}

void landing_disarm(struct landing *landing)
{
	// Left armed, it would call the next entry off: that one's comes only after this one.
	if (landing->counted)
		position_source->arm(cpu_self()->index, 0);
	landing->counted = false;
	if (landing->timed) {
		landing->timed = false;
		timer_set(&landing->timer, TIMER_NEVER);
		if (timer_needs_program())
			timer_program();
	}
}

static void attach_here(void *argument)
{
	struct vm *vm = argument;

	timer_add(&vm->landing->timer);
	for (uint32_t i = 0; i < vm->vcpu_count; i++) {
		struct vcpu *vcpu = vm->vcpus[i]->vcpu;

		vcpu_load(vcpu);
		vcpu_set_counting(vcpu, tsc_passes(vm) ? VCPU_COUNTING_TSC_PASSES : VCPU_COUNTING);
		if (vm->vcpu_count > 1) // another may be what it waits for
			vcpu_intercept_pause(vcpu, VCPU_PAUSE_EACH);
		vcpu_unload(vcpu);
	}
}

static void detach_here(void *argument)
{
	struct vm *vm = argument;

	timer_remove(&vm->landing->timer);
}

enum status landing_create(struct vm *vm)
{
	struct landing *landing;

	if (position_source == NULL || vm->tsc_ratio != VCPU_TSC_RATIO_ONE)
		return STATUS_FAIL(STATUS_UNSUPPORTED);
	landing = calloc(1, sizeof(*landing));
	if (landing == NULL)
		return STATUS_FAIL(STATUS_NO_MEMORY);
	landing->config = vm->config.landing;
	landing->random_shape = landing->config.shape_seed;
	landing->turn_end = LANDING_TURN_OPEN;
	landing->rate = landing_source_rate();
	landing->access_ticks = vm->tsc_hz / (NS_PER_SECOND / ACCESS_NS);
	if (rdtsc_takes_time(&vm->config))
		landing->rdtsc_ticks = vm->tsc_hz / (NS_PER_SECOND / RDTSC_NS);
	vm->landing = landing;
	for (uint32_t i = 0; i < vm->vcpu_count; i++)
		vm->vcpus[i]->task.run = vm_vcpu_run_precisely;
	landing_test_begin(vm);
	return STATUS_OK;
}

void landing_attach(struct vm *vm)
{
	if (vm->landing != NULL)
		smp_call(vm_home(vm), attach_here, vm);
}

void landing_detach(struct vm *vm)
{
	if (vm->landing != NULL)
		smp_call(vm_home(vm), detach_here, vm);
}

void landing_destroy(struct vm *vm)
{
	free(vm->landing);
	vm->landing = NULL;
}

// SPDX-License-Identifier: BSD-2-Clause
// No vcpu of a machine whose position is kept has anything to do: vm/landing.h.
//
// A live machine's time follows the host's as far as it can: it is behind where exits and single
// steps have cost the host time that the guest does not see, and makes up for that here, where it
// does not wait until it is even again. One that is never idle stays behind, but for what rate.c
// can do; what is more than SLIP_MAX_NS is given up, so that time does not run wild for long
// afterwards.
#include "kernel/base/assert.h"
#include "kernel/timer.h"
#include "kernel/x86.h"
#include "vm/landing_internal.h"

enum { SLIP_MAX_NS = 1000000000 };

void landing_set_live(struct vm *vm, bool live)
{
	struct landing *landing = vm->landing;

	landing->live = live;
	landing->pace.begun = false;
	landing->rate_due = landing->ticks;
	landing->behind = 0;
	landing_resume(vm);
}

void landing_pause(struct vm *vm)
{
	if (vm->landing->live)
		vm->landing->behind = landing_real_now(vm) - landing_now(vm);
}

void landing_resume(struct vm *vm)
{
	struct landing *landing = vm->landing;

	landing->waiting = false;
	landing->live_offset = rdtsc() - landing_now(vm) - landing->behind;
}

uint64_t landing_real_now(struct vm *vm)
{
	struct landing *landing = vm->landing;
	uint64_t real = rdtsc() - landing->live_offset, now = landing_now(vm);
	uint64_t slip_max = clock_ns_to_tsc(SLIP_MAX_NS);

	// Signed: the machine may be ahead too.
	if ((int64_t)(real - now) > (int64_t)slip_max) {
		landing->live_offset += real - now - slip_max;
		real = now + slip_max;
	}
	return real;
}

static uint64_t target_time(const struct vm_vcpu *vcpu)
{
	const struct landing *landing = vcpu->vm->landing;
	struct position here = landing_position(vcpu);

	return landing->callback != NULL && landing_target_fits(&landing->target, vcpu) &&
		position_equal(&here, &landing->target.at) ? landing->target.time : TIMER_NEVER;
}

static void skip_to(struct vm *vm, uint64_t time)
{
	uint64_t now = landing_now(vm);

	if ((int64_t)(time - now) <= 0)
		return;
	vm->landing->skipped += time - now;
	landing_disturb(vm);
}

// The target cannot be reached: who waits for it is told where the machine stands.
static void give_up(struct vm_vcpu *vcpu)
{
	struct landing *landing = vcpu->vm->landing;
	landing_callback *callback = landing->callback;
	const struct position here = landing_position(vcpu);

	landing->callback = NULL;
	callback(vcpu, &here, landing->owner);
}

bool landing_idle(struct vm_vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	struct landing *landing = vm->landing;
	uint64_t next = vcpu->timer.deadline, target = target_time(vcpu);

	if (target < next)
		next = target;
	landing->waiting = next == TIMER_NEVER ||
		(landing->live && (int64_t)(landing_real_now(vm) - next) < 0);
	if (!landing->waiting) {
		skip_to(vm, next);
		return true;
	}
	if (!landing->live && landing->callback != NULL)
		give_up(vcpu); // it will never be there
	if (landing->pace.begun) { // what follows is even with the host
		landing->pace.begun = false;
		landing->rate_due = landing->ticks;
	}
	if (landing->live && next != TIMER_NEVER)
		timer_set(&landing->timer, next + landing->live_offset);
	return false;
}

bool landing_end_wait(struct vm *vm)
{
	struct landing *landing = vm->landing;
	uint64_t deadline = vm->vcpus[landing->turn]->timer.deadline, real;

	if (!landing->waiting)
		return false;
	landing->waiting = false;
	if (!landing->live)
		return true;
	timer_set(&landing->timer, TIMER_NEVER);
	real = landing_real_now(vm);
	skip_to(vm, real < deadline ? real : deadline);
	return true;
}

// SPDX-License-Identifier: BSD-2-Clause
// The vcpus of a machine whose position is kept take turns on its core: vm/landing.h. All that
// decides who is next is the guest's own state, at exact positions.
#include "kernel/base/assert.h"
#include "vm/landing_internal.h"
#include "vm/local_apic.h"

// A third of a millisecond at 3 GHz: what a spinning vcpu costs the others, and the price of a stop
// at an exact position shared by many.
enum { TURN_TICKS = 1000000 };

// The machine's time goes on by this at a PAUSE, as the host's does, which hands the core on: else
// vcpus that wait for a time, with PAUSE, would take that many turns.
enum { PAUSE_TICKS = 4096 };

// Not those that the host sets, which tell nothing about the guest.
#define SIGNALS_OF_GUEST ((uint32_t)(VM_SIGNAL_NMI | VM_SIGNAL_INIT | VM_SIGNAL_STARTUP))

// One that waits and has found nothing that could wake it has nothing to do until its local APIC's
// word changes.
static bool has_work(const struct vm_vcpu *vcpu)
{
	return (!vcpu->halted && !vcpu->waits_for_startup) ||
		(vcpu->signals & SIGNALS_OF_GUEST) != 0 || vcpu->idle != lapic_word(vcpu->lapic);
}

static bool others_have_work(const struct vm *vm)
{
	for (uint32_t i = 0; i < vm->vcpu_count; i++)
		if (i != vm->landing->turn && has_work(vm->vcpus[i]))
			return true;
	return false;
}

struct vm_vcpu *landing_turn(const struct vm *vm)
{
	return vm->vcpus[vm->landing->turn];
}

// It keeps the turn if nobody else has anything to do.
bool landing_pass_turn(struct vm_vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	struct landing *landing = vm->landing;
	uint32_t next = vcpu->index;

	ASSERT(landing->turn == vcpu->index);
	do
		next = (next + 1) % vm->vcpu_count;
	while (next != vcpu->index && !has_work(vm->vcpus[next]));
	landing->turn = next;
	landing->turn_end = others_have_work(vm) ? landing->ticks + TURN_TICKS
						 : LANDING_TURN_OPEN;
	landing_disturb(vm);
	if (next == vcpu->index)
		return false;
	timer_set(&vcpu->timer, TIMER_NEVER);
	vm_vcpu_timer_update(vm->vcpus[next]);
	return true;
}

bool landing_turn_is_over(const struct vm *vm)
{
	return vm->landing->ticks >= vm->landing->turn_end;
}

void landing_yield(struct vm *vm)
{
	if (vm->vcpu_count == 1) // it may be a step's
		return;
	vm->landing->turn_end = vm->landing->ticks;
	vm->landing->skipped += PAUSE_TICKS;
	landing_disturb(vm);
}

void landing_wake(const struct vm_vcpu *vcpu)
{
	struct landing *landing = vcpu->vm->landing;

	if (landing->turn != vcpu->index && landing->turn_end == LANDING_TURN_OPEN) {
		landing->turn_end = landing->ticks + TURN_TICKS;
		landing_disturb(vcpu->vm);
	}
}

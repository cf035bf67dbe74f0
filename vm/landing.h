// SPDX-License-Identifier: BSD-2-Clause
// A vcpu whose position is kept, and which can be stopped at an exact one.
//
// Time of such a machine is a function of its position: TSC ticks since creation are the position's
// ticks, plus what was skipped while it was halted. So its timers come at exact positions, and two
// runs without input are the same whatever the host does meanwhile. The run loop takes this path
// for machines that were created so (vm_vcpu_run_precisely); others do not pay for it.
//
// Landing: the host's timer is armed for a little before the nearest of target and guest deadline,
// and single steps do the rest. Nothing is delivered between: at a boundary the order is target,
// events, injection, entry.
#ifndef VM_LANDING_H
#define VM_LANDING_H

#include "kernel/position.h"
#include "vm/vm.h"

// Called at the boundary, before any event is delivered there. It may set the next target.
typedef void landing_callback(struct vm_vcpu *vcpu, const struct position *position, void *owner);

static inline bool landing_config_is_on(const struct landing_config *config)
{
	return config->step_all || config->step_count != 0 || config->test_count != 0 ||
		config->shape_seed != 0;
}

// Before the vcpu has a core. STATUS_NO_MEMORY. STATUS_UNSUPPORTED: no exact source of positions
// here, or several vcpus, or a TSC of another frequency than the host's.
must_check enum status landing_create(struct vm_vcpu *vcpu, const struct landing_config *config);
void landing_destroy(struct vm_vcpu *vcpu);
// The vcpu has its core now, where it rests; and before it loses it.
void landing_attach(struct vm_vcpu *vcpu);
void landing_detach(struct vm_vcpu *vcpu);

// For saving and loading: ticks since creation, and those that were skipped while halted.
struct landing_time {
	uint64_t ticks, skipped;
};
struct landing_time landing_time(const struct vm_vcpu *vcpu);
void landing_set_time(struct vm_vcpu *vcpu, const struct landing_time *time);
// `vcpu` takes the place of `before`: what is the host's goes along, as a target and the test
// facilities' state.
void landing_take_over(struct vm_vcpu *vcpu, const struct vm_vcpu *before);

struct position landing_position(const struct vm_vcpu *vcpu);

// Where `position` is ahead of the vcpu; one target at a time. With POSITION_ANY_RIP the first
// boundary at or after its ticks. A boundary with these ticks and another RIP or RCX is passed; one
// with more ticks ends the search, and the callback gets that one.
void landing_set(struct vm_vcpu *vcpu, const struct position *position, landing_callback *callback,
	void *owner);

// For the run loop.
// Added to the machine's time: no host timer that is set for one of its deadlines ever comes.
#define LANDING_TSC_BASE BIT(62)
// The machine's time, as a TSC value that vm_time() understands.
uint64_t landing_now(const struct vm *vm);
// Called at every boundary, before events are delivered.
void landing_at_boundary(struct vm_vcpu *vcpu);
// False: an instruction was executed, there is nothing to enter for.
must_check bool landing_before_entry(struct vm_vcpu *vcpu, uint64_t tsc);
// What the exit has counted; and, after it was handled, what that completed.
// The exit was of RDTSCP.
void landing_correct_rdtscp(struct vm_vcpu *vcpu);
void landing_at_exit(struct vm_vcpu *vcpu, const struct vmexit *exit);
void landing_after_exit(struct vm_vcpu *vcpu, const struct vmexit *exit);
// The vcpu is halted and nothing is due: time jumps to the next deadline. False: there is none.
must_check bool landing_skip_halt(struct vm_vcpu *vcpu);

#endif

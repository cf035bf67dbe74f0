// SPDX-License-Identifier: BSD-2-Clause
// A machine whose position is kept, and which can be stopped at an exact one.
//
// Time of such a machine is a function of its position: TSC ticks since creation are the position's
// ticks, each at the rate of its time, plus what was skipped while it was halted, plus 1.5
// microseconds for each access to a device, as on an ISA bus (who polls a device would go round
// very often else), and half of one for an RDTSC where that exits. So its timers come at exact
// positions, and two runs without input are the same whatever the host does meanwhile. The run loop
// takes this path for machines that were created so (vm_vcpu_run_precisely); others do not pay.
//
// Landing: the host's timer is armed for a little before the nearest of target and guest deadline,
// and single steps do the rest. Nothing is delivered between: at a boundary the order is target,
// events, injection, entry.
//
// Turns (turns.c): all vcpus are on one core, and one of them runs; ticks are those of all. A turn
// ends at an exact position: after a number of ticks, at PAUSE, or where the vcpu has nothing to
// do. Who is next is a function of the machine's state.
//
// Rate (rate.c): machine ticks a tick. Where RDTSC exits it may change, at exact positions: a live
// machine's does where its time drifts away from the host's, and who records it is told.
//
// Idle (idle.c): where no vcpu has anything to do, time jumps to the next deadline. A live machine
// waits there until the host's time has come as far; input ends the wait early.
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

// Its CPU is frozen then, and its vcpus take turns on one core.
static inline bool vm_config_keeps_position(const struct vm_config *config)
{
	return config->recordable || config->rr.mode != VM_RR_NONE ||
		landing_config_is_on(&config->landing);
}

// Before the vcpus have a core. STATUS_NO_MEMORY. STATUS_UNSUPPORTED: no exact source of positions
// here, or a TSC of another frequency than the host's.
must_check enum status landing_create(struct vm *vm);
void landing_destroy(struct vm *vm);
// The vcpus have their core now, where they rest; and before they lose it.
void landing_attach(struct vm *vm);
void landing_detach(struct vm *vm);

// A rate has so many bits behind the point, and is at least a quarter of the source's scale, at
// most four times that.
enum { LANDING_RATE_BITS = 10, LANDING_RATE_SPAN = 4 };

static inline uint32_t landing_source_rate(void)
{
	return position_source->scale << LANDING_RATE_BITS;
}

// For saving and loading: ticks since creation, whose turn it is, and until when; and how the time
// follows: that of the ticks since rate_ticks, fewer than 2^LANDING_RATE_BITS, at the rate, beside
// all else that has passed.
struct landing_time {
	uint64_t ticks, skipped, turn_end;
	uint32_t turn;
	uint32_t rate;
	uint64_t rate_ticks;
};
struct landing_time landing_time(const struct vm *vm);
void landing_set_time(struct vm *vm, const struct landing_time *time);

// The same function of the ticks, from a later rate_ticks on: what comes before is whole.
static inline void landing_time_carry(struct landing_time *time)
{
	uint64_t whole = (time->ticks - time->rate_ticks) >> LANDING_RATE_BITS;

	time->skipped += whole * time->rate;
	time->rate_ticks += whole << LANDING_RATE_BITS;
}

// Machine ticks since creation, of one that has been carried.
static inline uint64_t landing_time_value(const struct landing_time *time)
{
	return time->skipped +
		((time->ticks - time->rate_ticks) * time->rate >> LANDING_RATE_BITS);
}

// `vm` has what `twin` had, and the other way round: what is the host's stays where it was, as a
// target and the test facilities' state.
void landing_take_over(struct vm *vm, const struct vm *twin);

struct position landing_position(const struct vm_vcpu *vcpu);

// A place to stop at: the vcpu whose turn it is, at its position; while it is halted there, the
// machine's time, as landing_now() has it, or later; and so many events posted so far, or more, and
// what outside_give gave delivered: at one position there may be several boundaries.
struct landing_target {
	struct position at;
	uint64_t time;
	uint64_t sequence;
	uint32_t vcpu;
	uint32_t reserved;
};

#define LANDING_ANY_VCPU UINT32_MAX // for `vcpu` of a target

// Where `target` is ahead of the machine; one at a time. With POSITION_ANY_RIP the first boundary
// at or after its ticks, of any vcpu. A boundary with these ticks and another RIP or RCX is passed;
// one with more ticks ends the search, and the callback gets that one.
void landing_set(struct vm *vm, const struct landing_target *target, landing_callback *callback,
	void *owner);
void landing_clear(struct vm *vm);

// Whether the machine's time follows the host's from now on, and is even with it now. While it
// rests, or on its core.
void landing_set_live(struct vm *vm, bool live);
// The machine begins to run, as far behind the host's time as it was when it was paused.
void landing_resume(struct vm *vm);
void landing_pause(struct vm *vm);

// NULL, or why this machine's time cannot have the rate: of a log or a snapshot.
const char *landing_rate_problem(const struct vm *vm, uint64_t rate);
// One without a problem, from the ticks on that the machine has; time does not jump. At a boundary,
// or while it rests.
void landing_set_rate(struct vm *vm, uint64_t rate);

// For the run loop.
// Added to the machine's time: no host timer that is set for one of its deadlines ever comes.
#define LANDING_TSC_BASE BIT(62)
// The machine's time, as a TSC value that vm_time() understands.
uint64_t landing_now(const struct vm *vm);
// Called at every boundary, before events are delivered.
void landing_at_boundary(struct vm_vcpu *vcpu);
// The entry that comes next is a step.
void landing_step_next(struct vm *vm);
// The exit was of RDTSCP.
void landing_correct_rdtscp(struct vm_vcpu *vcpu);
// RDTSC or RDTSCP has read the time.
void landing_rdtsc_done(struct vm *vm);
// What one takes, in nanoseconds of the machine's time, for a log's header.
uint64_t landing_rdtsc_ns(const struct vm *vm);
// What is next at an exact position is another now.
void landing_disturb(const struct vm *vm);

// turns.c.
struct vm_vcpu *landing_turn(const struct vm *vm); // whose turn it is
// `vcpu` has nothing to do, or its turn is over. True: it is another's now.
must_check bool landing_pass_turn(struct vm_vcpu *vcpu);
bool landing_turn_is_over(const struct vm *vm);
// The vcpu whose turn it is lets others go before.
void landing_yield(struct vm *vm);
// It may have something to do now.
void landing_wake(const struct vm_vcpu *vcpu);

// idle.c. No vcpu has anything to do. True: time has gone on to the next deadline; false: there is
// none, or it is not due yet by the host's time. Then the core may sleep.
must_check bool landing_idle(struct vm_vcpu *vcpu);
// Input from outside is there: if the machine waits, its time is what the host's says. Whether it
// did.
bool landing_end_wait(struct vm *vm);

#endif

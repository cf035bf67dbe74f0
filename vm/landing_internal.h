// SPDX-License-Identifier: BSD-2-Clause
// What the files share that keep a machine's position: landing.c, rate.c, turns.c, idle.c,
// landing_test.c, and the run loop's path for such machines.
#ifndef VM_LANDING_INTERNAL_H
#define VM_LANDING_INTERNAL_H

#include "kernel/timer.h"
#include "vm/landing.h"
#include "vm/splitmix.h"
#include "vmx/counting.h"

// Since when a live machine's time is compared with the host's: rate.c.
struct landing_pace {
	bool begun; // else from the next look on
	uint64_t ticks, time; // of the machine, there
	int64_t behind; // how far the host's time was beyond it
};

struct landing {
	struct landing_config config;
	struct timer timer; // of the host, for landing or for waiting
	uint64_t ticks;     // of all vcpus together
	uint64_t rate;      // of the time: struct landing_time
	uint64_t rate_ticks;
	uint64_t skipped;   // while all were halted, by accesses to devices, and up to rate_ticks
	uint64_t rate_due;  // in ticks: rate.c looks at it
	struct landing_pace pace;
	uint64_t access_ticks; // what one of those takes, of the machine's time
	uint64_t rdtsc_ticks;  // and an RDTSC; 0: nothing
	// Before this time, by landing_now(), nothing happens at an exact position, and the host's
	// timer is armed for that. Each access to a device takes some off: the guest comes so much
	// earlier to its deadlines than the host's timer knows. Not above 0: not known.
	int64_t calm_until;
	struct landing_target target;
	landing_callback *callback; // NULL: no target
	void *owner;
	bool stepping;       // the present entry is a step
	bool timed, counted; // the present entry has the host's timer, or the counter's interrupt
	bool step_next; // somebody waits for a boundary
	uint32_t turn;     // index of the vcpu that runs
	uint64_t turn_end; // in ticks; LANDING_TURN_OPEN: nobody else has work
	bool live;         // time follows the host's: idle.c
	bool waiting;      // for real time, or for input
	uint64_t live_offset; // what the host's TSC is beyond the machine's time, if they are even
	uint64_t behind;      // paused: how far the host's time was beyond the machine's
	uint64_t random_test, random_shape;
	uint64_t test_done, test_hash, test_late;
	uint64_t steps, began; // all so far; the host's TSC when the present one began
	uint64_t step_tsc;     // what they took
};

#define LANDING_TURN_OPEN UINT64_MAX

enum {
	// Of the way to what is next, this part, and so many ticks, are left to exact means.
	LANDING_CALM_PART = 16,
	LANDING_CALM_MIN = 1 << 14,
	// In machine ticks: nothing beyond is looked at, and so long a guest runs at most.
	LANDING_HORIZON = 1 << 26,
};

// The exit has ended what the entry was armed with.
void landing_disarm(struct landing *landing);
must_check bool landing_prepare_entry(struct vm_vcpu *vcpu, uint64_t tsc);

static always_inline uint64_t landing_time_of(const struct vm *vm)
{
	const struct landing *landing = vm->landing;

	return vm->tsc_base + landing->skipped +
		((landing->ticks - landing->rate_ticks) * landing->rate >> LANDING_RATE_BITS);
}

// Ticks to the first position whose time is later by `time` or more. That is from 1 to 2^50.
static always_inline uint64_t landing_ticks_until(const struct landing *landing, uint64_t time)
{
	uint64_t rate = landing->rate, begun = (landing->ticks - landing->rate_ticks) * rate &
		(BIT(LANDING_RATE_BITS) - 1);

	return ((time << LANDING_RATE_BITS) - begun + rate - 1) / rate;
}

static always_inline bool landing_is_calm(const struct vm *vm, uint64_t tsc)
{
	return likely((int64_t)tsc < vm->landing->calm_until);
}

// What the exit has counted.
static always_inline void landing_at_exit(struct vm_vcpu *vcpu, const struct vmexit *exit)
{
	struct landing *landing = vcpu->vm->landing;
	uint64_t ran = exit->ticks - (uint64_t)(int64_t)position_source->correction[exit->kind];

	if (likely((int64_t)ran > 0)) // else left without an entry
		landing->ticks += ran;
	if (unlikely(landing->timed || landing->counted))
		landing_disarm(landing);
}

// Kinds whose handler completes the instruction, and moves RIP when it has.
#define LANDING_COMPLETED ((uint32_t)(BIT(VMEXIT_IO) | BIT(VMEXIT_MEMORY) | BIT(VMEXIT_CPUID) | \
	BIT(VMEXIT_MSR_READ) | BIT(VMEXIT_MSR_WRITE) | BIT(VMEXIT_HLT) | BIT(VMEXIT_CR_WRITE) | \
	BIT(VMEXIT_CR8_WRITE) | BIT(VMEXIT_XSETBV) | BIT(VMEXIT_CACHE) | BIT(VMEXIT_DR_WRITE) | \
	BIT(VMEXIT_RDTSC) | BIT(VMEXIT_PAUSE)))

static always_inline void landing_skip(struct landing *landing, uint64_t ticks)
{
	landing->skipped += ticks;
	landing->calm_until -= (int64_t)(ticks * LANDING_CALM_PART);
}

// What its handler has completed.
static always_inline void landing_after_exit(struct vm_vcpu *vcpu, const struct vmexit *exit)
{
	struct landing *landing = vcpu->vm->landing;

	if ((LANDING_COMPLETED >> exit->kind & 1) != 0 && vcpu_rip(vcpu->vcpu) != exit->rip)
		landing->ticks += position_source->counts_instructions;
	if (exit->kind == VMEXIT_IO || exit->kind == VMEXIT_MEMORY) {
		landing_skip(landing, landing->access_ticks);
	}
	if (unlikely(exit->kind == VMEXIT_STEP))
		landing->step_tsc += rdtsc() - landing->began;
}

// False: an instruction was executed, there is nothing to enter for.
must_check static always_inline bool landing_before_entry(struct vm_vcpu *vcpu, uint64_t tsc)
{
	if (!landing_is_calm(vcpu->vm, tsc))
		return landing_prepare_entry(vcpu, tsc);
	vcpu_set_tsc_at_entry(vcpu->vcpu, tsc - vcpu->vm->tsc_base + vcpu->tsc_shift);
	return true;
}

static inline bool landing_target_fits(const struct landing_target *target,
	const struct vm_vcpu *vcpu)
{
	return target->vcpu == vcpu->index || target->vcpu == LANDING_ANY_VCPU;
}

// rate.c. At a boundary, where rate_due has come.
void landing_rate_look(struct vm_vcpu *vcpu);

// idle.c. The host's time, on the machine's scale.
uint64_t landing_real_now(struct vm *vm);

// The test facility: a machine that is stopped at random positions. landing_test.c.
void landing_test_begin(struct vm *vm);

#endif

// SPDX-License-Identifier: BSD-2-Clause
// What the files share that keep a machine's position: landing.c, turns.c, idle.c, landing_test.c.
#ifndef VM_LANDING_INTERNAL_H
#define VM_LANDING_INTERNAL_H

#include "kernel/timer.h"
#include "vm/landing.h"

struct landing {
	struct landing_config config;
	struct timer timer; // of the host, for landing or for waiting
	uint64_t ticks;     // of all vcpus together
	uint64_t skipped;   // while all were halted, and by accesses to devices
	uint64_t access_ticks; // what one of those takes, of the machine's time
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
	uint64_t random_test, random_shape;
	uint64_t test_done, test_hash, test_late;
	uint64_t steps, began; // all so far; the host's TSC when the present one began
	uint64_t step_tsc;     // what they took
};

#define LANDING_TURN_OPEN UINT64_MAX

// SplitMix64's step: a good mix of 64 bits.
static inline uint64_t landing_random(uint64_t *state)
{
	uint64_t value = *state += UINT64_C(0x9e3779b97f4a7c15);

	value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
	return value ^ value >> 31;
}

static inline bool landing_target_fits(const struct landing_target *target,
	const struct vm_vcpu *vcpu)
{
	return target->vcpu == vcpu->index || target->vcpu == LANDING_ANY_VCPU;
}

// The test facility: a machine that is stopped at random positions. landing_test.c.
void landing_test_begin(struct vm *vm);

#endif

// SPDX-License-Identifier: BSD-2-Clause
// Where a virtual CPU is since its creation, and what counts it: docs/positions.md.
//
// A tick is what the source counts. Corrections per kind of exit make exits invisible: an
// instruction that is completed in software counts one, one that has not been completed counts
// none, however the CPU counts the attempt. A REP counts as the source counts it. So positions of
// one source on one kind of machine can be compared, and of different ones cannot.
#ifndef KERNEL_POSITION_H
#define KERNEL_POSITION_H

#include "kernel/base/status.h"
#include "kernel/base/types.h"

struct position {
	uint64_t ticks, rip, rcx;
};

// For `rip` of a position to be reached: the first instruction boundary at or after `ticks`.
#define POSITION_ANY_RIP UINT64_C(0x800000000000dead) // canonical nowhere

static inline bool position_equal(const struct position *a, const struct position *b)
{
	return a->ticks == b->ticks && a->rip == b->rip && a->rcx == b->rcx;
}

// Kinds of exits, and RDTSCP where its exit is of the same kind as RDTSC's.
enum { TICK_KINDS_MAX = 32, TICK_KIND_RDTSCP = TICK_KINDS_MAX - 1 };

struct tick_source {
	const char *name; // "tsc"
	const char *unit; // "instructions", "branches"
	// Around each guest entry; NULL where the entry itself reads the source.
	void (*start)(void);
	uint64_t (*stop)(void); // ticks since start
	// Makes the host interrupt the guest when it has run about `ticks` from the next entry on:
	// never earlier than `lead_max` before, never later. 0 disarms.
	void (*arm)(uint64_t ticks);
	uint64_t lead_max;
	// Set by the self-test.
	bool is_exact;
	int8_t correction[TICK_KINDS_MAX]; // ticks of an exit of this kind beyond what has retired
	char verdict[160]; // one line for people
};

// What counts on this machine; NULL: no source is exact. Set once at boot, by the self-test.
extern const struct tick_source *position_source;

#endif

// SPDX-License-Identifier: BSD-2-Clause
// Where a virtual CPU is since its creation, and what counts it: docs/positions.md.
//
// A tick is what the source counts. Corrections per kind of exit make exits invisible: an
// instruction that is completed in software counts one where instructions are counted, one that has
// not been completed counts none, however the CPU counts the attempt. A REP counts as the source
// counts it. So positions of one source on one kind of machine can be compared, and of different
// ones cannot. Where branches are counted, many boundaries have the same ticks: RIP and RCX tell
// them apart.
#ifndef KERNEL_POSITION_H
#define KERNEL_POSITION_H

#include "kernel/base/status.h"
#include "kernel/base/types.h"
#include "kernel/cpu.h"
#include "kernel/x86.h"

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
	const char *name, *unit;  // "tsc", "instructions"
	bool counts_instructions; // else conditional branches
	// TSC ticks by which the machine's time advances with a tick: about what one takes.
	uint32_t scale;
	// A counter of the CPU; all four NULL: the TSC itself. `cpu` is the calling CPU's index.
	// STATUS_UNSUPPORTED: `reason` says what is missing.
	enum status (*find)(const char **reason);
	// Around each guest entry, with interrupts held back; ticks since the start.
	void (*start)(unsigned cpu);
	uint64_t (*stop)(unsigned cpu);
	// The runs from the next start on are interrupted when one has counted `ticks`, or later by
	// up to lead_max. 0: they are not.
	void (*arm)(unsigned cpu, uint64_t ticks);
	// Of the TSC: below this the host's timer is too near to be armed.
	uint64_t lead_max;
	// Set by the self-test.
	bool is_exact;
	bool tsc_passes; // a guest's RDTSC need not exit: vmx/counting.h, vcpu_set_tsc_at_entry
	int8_t correction[TICK_KINDS_MAX]; // ticks of an exit of this kind beyond what has retired
	char verdict[200]; // one line for people
};

// In the order in which they are tried.
enum { POSITION_SOURCES = 3 };
extern struct tick_source position_sources[POSITION_SOURCES];

// What counts on this machine; NULL: no source is exact. Set once at boot, by the self-test, and
// while that runs the source that it tests.
extern const struct tick_source *position_source;

// Around a guest's run.
static always_inline uint64_t position_start(void)
{
	const struct tick_source *source = position_source;

	if (source == NULL || source->start == NULL)
		return rdtsc();
	source->start(cpu_self()->index);
	return 0;
}

// Ticks since then.
static always_inline uint64_t position_stop(uint64_t started)
{
	const struct tick_source *source = position_source;

	if (source == NULL || source->stop == NULL)
		return rdtsc() - started;
	return source->stop(cpu_self()->index);
}

#endif

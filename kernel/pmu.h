// SPDX-License-Identifier: BSD-2-Clause
// One performance counter of the CPU, for what a guest retires: conditional branches or
// instructions. SDM vol. 3, chapter 20 (architectural performance monitoring); APM vol. 2, 13.2,
// and AMD's processor programming references (PMCx0C0, PMCx0D1).
//
// Counting is for the guest alone: on AMD by the counter's guest-only bit, which VMRUN and #VMEXIT
// switch; on Intel by the enable bit between pmu_start and pmu_stop, so that what those two retire
// themselves is a constant, for a self-test to measure.
//
// Not used, though Intel has it: loading IA32_PERF_GLOBAL_CTRL by the entry and exit controls of
// VT-x. What the world switch counts is constant without it.
//
// Interrupts that tell of an overflow come late, by a skid of some instructions: whoever arms one
// sets it for earlier. A counter that cannot be trusted is not told apart here: measure it.
#ifndef KERNEL_PMU_H
#define KERNEL_PMU_H

#include "kernel/base/status.h"
#include "kernel/base/types.h"

enum pmu_event { PMU_BRANCHES, PMU_INSTRUCTIONS };

struct pmu {
	const char *name; // of the counter: "BR_INST_RETIRED.CONDITIONAL"
	uint32_t select_msr, counter_msr;
	uint64_t select;      // value that counts and interrupts on overflow
	uint64_t global;      // bit of IA32_PERF_GLOBAL_CTRL; 0: none (AMD)
	uint64_t arm_max;     // ticks that can be waited for at most
	uint8_t bits;         // width of the counter
	uint64_t start_value; // at pmu_start
	uint64_t armed;       // ticks to the overflow from the next pmu_start on; 0: not armed
};

// Finds the counter on this CPU; nothing is switched on. STATUS_UNSUPPORTED: `reason` says what is
// missing.
must_check enum status pmu_find(enum pmu_event event, struct pmu *pmu, const char **reason);
// The interrupt comes when `ticks` more are counted, or later by the skid; earlier if they are more
// than arm_max. 0: none comes. Holds from the next pmu_start on.
void pmu_arm(struct pmu *pmu, uint64_t ticks);
// Around a guest's run, on one CPU, with interrupts held back.
void pmu_start(struct pmu *pmu);
// Ticks since pmu_start, below 2^(bits - 1).
uint64_t pmu_stop(struct pmu *pmu);
// In the handler of the interrupt, or after a run that it ended: clears the overflow.
void pmu_acknowledge(const struct pmu *pmu);

#endif

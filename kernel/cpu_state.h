// SPDX-License-Identifier: BSD-2-Clause
// What all CPUs must have alike: control registers, EFER, PAT and MTRRs.
#ifndef KERNEL_CPU_STATE_H
#define KERNEL_CPU_STATE_H

#include "kernel/base/types.h"

enum { MTRR_FIXED_COUNT = 11, MTRR_VARIABLE_MAX = 32 };

struct cpu_state {
	uint64_t cr0, cr4, efer, pat;
	bool has_pat, has_mtrrs, has_fixed_mtrrs;
	uint32_t variable_count;
	uint64_t mtrr_default;
	uint64_t mtrr_fixed[MTRR_FIXED_COUNT];
	uint64_t mtrr_variable[MTRR_VARIABLE_MAX][2]; // base, mask
};

// The calling CPU's.
void cpu_state_read(struct cpu_state *state);
// Gives it to the calling CPU, which has the kernel's page tables loaded and interrupts disabled.
// True: its memory types had to be changed, because firmware had set them otherwise.
bool cpu_state_apply(const struct cpu_state *state);

#endif

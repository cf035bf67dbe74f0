// SPDX-License-Identifier: BSD-2-Clause
// SDM vol. 3, 10.4 (processors in a multiple-processor system), 12.11 (MTRRs), 12.12 (PAT). INIT
// leaves MTRRs and PAT alone, so firmware's settings are still there; they are written only where
// they differ, since that takes the caches.
#include "kernel/cpu_state.h"

#include <string.h>

#include "kernel/base/assert.h"
#include "kernel/x86.h"

#define MTRR_CAP_COUNT   0xffu
#define MTRR_CAP_FIXED   BIT(8)
#define MTRR_ENABLE      BIT(11)
#define EFER_COMMON      (EFER_SCE | EFER_LME | EFER_NXE)

static const uint32_t mtrr_fixed_msrs[MTRR_FIXED_COUNT] = {
	0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f};

void cpu_state_read(struct cpu_state *state)
{
	uint32_t features = cpuid(1, 0).edx;
	uint64_t capabilities;

	memset(state, 0, sizeof(*state));
	state->cr0 = cr0_read();
	state->cr4 = cr4_read() & ~CR4_VMXE; // the engine turns it on for each CPU
	state->efer = rdmsr(MSR_EFER) & EFER_COMMON;
	state->has_pat = (features & BIT(16)) != 0;
	if (state->has_pat)
		state->pat = rdmsr(MSR_PAT);
	state->has_mtrrs = (features & BIT(12)) != 0;
	if (!state->has_mtrrs)
		return;
	capabilities = rdmsr(MSR_MTRR_CAP);
	state->mtrr_default = rdmsr(MSR_MTRR_DEF_TYPE);
	state->has_fixed_mtrrs = (capabilities & MTRR_CAP_FIXED) != 0;
	for (unsigned i = 0; state->has_fixed_mtrrs && i < MTRR_FIXED_COUNT; i++)
		state->mtrr_fixed[i] = rdmsr(mtrr_fixed_msrs[i]);
	state->variable_count = (uint32_t)(capabilities & MTRR_CAP_COUNT);
	if (state->variable_count > MTRR_VARIABLE_MAX)
		state->variable_count = MTRR_VARIABLE_MAX;
	for (uint32_t i = 0; i < state->variable_count; i++)
		for (uint32_t half = 0; half < 2; half++)
			state->mtrr_variable[i][half] = rdmsr(MSR_MTRR_BASE_0 + 2 * i + half);
}

static bool memory_types_differ(const struct cpu_state *a, const struct cpu_state *b)
{
	return a->pat != b->pat || a->mtrr_default != b->mtrr_default ||
		memcmp(a->mtrr_fixed, b->mtrr_fixed, sizeof(a->mtrr_fixed)) != 0 ||
		memcmp(a->mtrr_variable, b->mtrr_variable, sizeof(a->mtrr_variable)) != 0;
}

// The order is that of SDM vol. 3, 12.11.8. CR4.PGE is clear, so loading CR3 flushes all of the
// TLB.
static void memory_types_write(const struct cpu_state *state)
{
	uint64_t cr0 = cr0_read();

	ASSERT((cr4_read() & CR4_PGE) == 0);
	cr0_write((cr0 | CR0_CD) & ~CR0_NW);
	__asm__ volatile("wbinvd" : : : "memory");
	cr3_write(cr3_read());
	if (state->has_mtrrs) {
		wrmsr(MSR_MTRR_DEF_TYPE, state->mtrr_default & ~MTRR_ENABLE);
		for (unsigned i = 0; state->has_fixed_mtrrs && i < MTRR_FIXED_COUNT; i++)
			wrmsr(mtrr_fixed_msrs[i], state->mtrr_fixed[i]);
		for (uint32_t i = 0; i < state->variable_count; i++)
			for (uint32_t half = 0; half < 2; half++)
				wrmsr(MSR_MTRR_BASE_0 + 2 * i + half,
					state->mtrr_variable[i][half]);
		wrmsr(MSR_MTRR_DEF_TYPE, state->mtrr_default);
	}
	if (state->has_pat)
		wrmsr(MSR_PAT, state->pat);
	__asm__ volatile("wbinvd" : : : "memory");
	cr3_write(cr3_read());
	cr0_write(cr0);
}

bool cpu_state_apply(const struct cpu_state *state)
{
	struct cpu_state own;
	bool differ;

	cpu_state_read(&own);
	differ = memory_types_differ(&own, state);
	cr0_write(state->cr0);
	wrmsr(MSR_EFER, (rdmsr(MSR_EFER) & ~EFER_COMMON) | state->efer);
	if (differ) {
		cr4_write(state->cr4 & ~CR4_PGE);
		memory_types_write(state);
	}
	cr4_write(state->cr4);
	return differ;
}

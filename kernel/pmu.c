// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/pmu.h"

#include "kernel/base/assert.h"
#include "kernel/x86.h"

#define SELECT_USER       BIT(16)
#define SELECT_SUPERVISOR BIT(17)
#define SELECT_INTERRUPT  BIT(20)
#define SELECT_ENABLE     BIT(22)
#define SELECT_GUEST_ONLY BIT(40) // AMD
#define SELECT_COMMON     (SELECT_USER | SELECT_SUPERVISOR | SELECT_INTERRUPT | SELECT_ENABLE)

// Intel: SDM vol. 3, 20.2; vol. 4, table 2-2.
#define MSR_PMC0              0x0c1u
#define MSR_PERFEVTSEL0       0x186u
#define MSR_PERF_CAPABILITIES 0x345u
#define MSR_PERF_GLOBAL_CTRL  0x38fu
#define MSR_PERF_GLOBAL_RESET 0x390u
#define MSR_A_PMC0            0x4c1u
#define CAPABILITY_FULL_WRITE BIT(13)
#define EVENTS_INSTRUCTIONS   BIT(1) // of CPUID 0A EBX: not available

// AMD: APM vol. 2, 13.2.1; CPUID 80000001 ECX bit 23: extended core counters.
#define MSR_AMD_EXT_SELECT0  0xc0010200u
#define MSR_AMD_EXT_COUNTER0 0xc0010201u

enum {
	AMD_COUNTER_BITS = 48,
	AMD_INSTRUCTIONS = 0xc0,
	AMD_BRANCHES = 0xd1,
	AMD_FAMILY_ZEN = 0x17,
	INTEL_INSTRUCTIONS = 0xc0,
	INTEL_BRANCHES = 0xc4,
};

// BR_INST_RETIRED.CONDITIONAL (COND) of the models that are known to have it: SDM vol. 3, chapter
// 20, and the event lists that it refers to. Any other model is not guessed at.
static const struct intel_model {
	uint8_t model, umask;
} intel_models[] = {
	{0x3c, 0x01}, {0x3f, 0x01}, {0x45, 0x01}, {0x46, 0x01},               // Haswell
	{0x3d, 0x01}, {0x47, 0x01}, {0x4f, 0x01}, {0x56, 0x01},               // Broadwell
	{0x4e, 0x01}, {0x5e, 0x01}, {0x55, 0x01}, {0x8e, 0x01}, {0x9e, 0x01}, // Skylake
	{0xa5, 0x01}, {0xa6, 0x01},                                           // Comet Lake
	{0x7d, 0x11}, {0x7e, 0x11}, {0x6a, 0x11}, {0x6c, 0x11},               // Ice Lake
	{0x8c, 0x11}, {0x8d, 0x11}, {0xa7, 0x11},               // Tiger Lake, Rocket Lake
	{0x8f, 0x11}, {0xcf, 0x11},                             // Sapphire Rapids, Emerald Rapids
};

struct cpu_model {
	uint32_t family, model;
};

// SDM vol. 2, CPUID, figure 3-6.
static struct cpu_model cpu_model(void)
{
	uint32_t eax = cpuid(1, 0).eax;
	struct cpu_model result = {eax >> 8 & 15, eax >> 4 & 15};

	if (result.family == 15)
		result.family += eax >> 20 & 0xff;
	if (result.family == 6 || result.family >= 15)
		result.model |= (eax >> 16 & 15) << 4;
	return result;
}

static enum status intel_event(enum pmu_event event, uint64_t *select, const char **reason)
{
	struct cpu_model cpu = cpu_model();

	if (event == PMU_INSTRUCTIONS) {
		*select = INTEL_INSTRUCTIONS;
		if ((cpuid(0x0a, 0).ebx & EVENTS_INSTRUCTIONS) == 0)
			return STATUS_OK;
		*reason = "CPUID 0A EBX bit 1: retired instructions are not counted";
		return STATUS_FAIL(STATUS_UNSUPPORTED);
	}
	for (unsigned i = 0; i < ARRAY_COUNT(intel_models); i++)
		if (cpu.family == 6 && cpu.model == intel_models[i].model) {
			*select = INTEL_BRANCHES | (uint64_t)intel_models[i].umask << 8;
			return STATUS_OK;
		}
	*reason = "not a model whose event for retired conditional branches is known";
	return STATUS_FAIL(STATUS_UNSUPPORTED);
}

static enum status intel_find(enum pmu_event event, struct pmu *pmu, const char **reason)
{
	struct cpuid leaf = cpuid(0, 0).eax >= 0x0a ? cpuid(0x0a, 0) : (struct cpuid){0, 0, 0, 0};
	bool full = (cpuid(1, 0).ecx & BIT(15)) != 0 && // PDCM
		(rdmsr(MSR_PERF_CAPABILITIES) & CAPABILITY_FULL_WRITE) != 0;
	uint64_t select = 0;

	pmu->bits = leaf.eax >> 16 & 0xff;
	if ((leaf.eax & 0xff) < 2 || (leaf.eax >> 8 & 0xff) == 0 || pmu->bits < 32 ||
		pmu->bits > 62) {
		*reason = "no architectural performance monitoring of version 2: CPUID 0A EAX";
		return STATUS_FAIL(STATUS_UNSUPPORTED);
	}
	if (intel_event(event, &select, reason) != STATUS_OK)
		return STATUS_FAIL(STATUS_UNSUPPORTED);
	pmu->name = event == PMU_BRANCHES ? "BR_INST_RETIRED.CONDITIONAL" : "INST_RETIRED";
	pmu->select_msr = MSR_PERFEVTSEL0;
	pmu->counter_msr = full ? MSR_A_PMC0 : MSR_PMC0;
	pmu->select = select | SELECT_COMMON;
	pmu->global = BIT(0);
	// A write of IA32_PMC0 is sign-extended from bit 31: SDM vol. 3, 20.2.8.
	pmu->arm_max = full ? BIT(pmu->bits - 1) - 1 : BIT(31) - 1;
	return STATUS_OK;
}

static enum status amd_find(enum pmu_event event, struct pmu *pmu, const char **reason)
{
	bool extended = (cpuid(0x80000001, 0).ecx & BIT(23)) != 0;

	if (cpu_model().family < AMD_FAMILY_ZEN) {
		*reason = "not a family whose counters are known: 17h and later";
		return STATUS_FAIL(STATUS_UNSUPPORTED);
	}
	if (!extended) {
		*reason = "no core performance counters: CPUID 80000001 ECX bit 23 is clear";
		return STATUS_FAIL(STATUS_UNSUPPORTED);
	}
	pmu->name = event == PMU_BRANCHES ? "PMCx0D1" : "PMCx0C0";
	pmu->select_msr = MSR_AMD_EXT_SELECT0;
	pmu->counter_msr = MSR_AMD_EXT_COUNTER0;
	pmu->select = (event == PMU_BRANCHES ? AMD_BRANCHES : AMD_INSTRUCTIONS) | SELECT_COMMON |
		SELECT_GUEST_ONLY;
	pmu->global = 0;
	pmu->bits = AMD_COUNTER_BITS;
	pmu->arm_max = BIT(AMD_COUNTER_BITS - 1) - 1;
	return STATUS_OK;
}

enum status pmu_find(enum pmu_event event, struct pmu *pmu, const char **reason)
{
	struct cpuid vendor = cpuid(0, 0);

	*pmu = (struct pmu){.name = NULL};
	if (vendor.ebx == 0x756e6547) // "Genu"
		return intel_find(event, pmu, reason);
	if (vendor.ebx == 0x68747541) // "Auth"
		return amd_find(event, pmu, reason);
	*reason = "neither Intel's nor AMD's counters";
	return STATUS_FAIL(STATUS_UNSUPPORTED);
}

void pmu_arm(struct pmu *pmu, uint64_t ticks)
{
	pmu->armed = ticks <= pmu->arm_max ? ticks : pmu->arm_max;
}

static uint64_t counter_mask(const struct pmu *pmu)
{
	return BIT(pmu->bits) - 1;
}

// A counter that is not armed starts at 0, and would need 2^(bits - 1) ticks to overflow by
// accident.
void pmu_start(struct pmu *pmu)
{
	ASSERT(pmu->bits != 0);
	pmu->start_value = (0 - pmu->armed) & counter_mask(pmu);
	wrmsr(pmu->select_msr, 0); // no overflow while the counter is written
	wrmsr(pmu->counter_msr, pmu->counter_msr == MSR_PMC0 ? (uint32_t)pmu->start_value
							     : pmu->start_value);
	wrmsr(pmu->select_msr, pmu->select);
	if (pmu->global != 0)
		wrmsr(MSR_PERF_GLOBAL_CTRL, pmu->global);
}

uint64_t pmu_stop(struct pmu *pmu)
{
	if (pmu->global != 0)
		wrmsr(MSR_PERF_GLOBAL_CTRL, 0);
	else
		wrmsr(pmu->select_msr, pmu->select & ~SELECT_ENABLE);
	return (rdmsr(pmu->counter_msr) - pmu->start_value) & counter_mask(pmu);
}

void pmu_acknowledge(const struct pmu *pmu)
{
	if (pmu->global != 0)
		wrmsr(MSR_PERF_GLOBAL_RESET, pmu->global);
}

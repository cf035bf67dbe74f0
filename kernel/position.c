// SPDX-License-Identifier: BSD-2-Clause
// The sources of positions: the time-stamp counter, and a performance counter for either of two
// events. Owner of a counter: the CPU that has it.
#include "kernel/position.h"

#include "kernel/apic.h"
#include "kernel/desc.h"
#include "kernel/pmu.h"

enum {
	TSC_LEAD = 320,     // what arming the host's timer and an entry take, and more
	COUNTER_SKID = 256, // in either unit; the self-test refuses what is later
	BRANCH_SCALE = 8,
};

const struct tick_source *position_source;

static struct pmu pmus[CPU_MAX];

static void counter_interrupt(struct interrupt_frame *frame)
{
	(void)frame;
	pmu_acknowledge(&pmus[cpu_self()->index]);
	apic_eoi();
}

// All CPUs are of one kind.
static enum status counter_find(enum pmu_event event, const char **reason)
{
	enum status status = pmu_find(event, &pmus[0], reason);

	for (unsigned i = 1; i < CPU_MAX; i++)
		pmus[i] = pmus[0];
	if (status == STATUS_OK)
		interrupt_handler_set(APIC_VECTOR_COUNTER, counter_interrupt);
	return status;
}

static enum status branches_find(const char **reason)
{
	return counter_find(PMU_BRANCHES, reason);
}

static enum status instructions_find(const char **reason)
{
	return counter_find(PMU_INSTRUCTIONS, reason);
}

static void counter_start(unsigned cpu)
{
	if (pmus[cpu].armed != 0)
		apic_counter_enable(); // each interrupt masks it
	pmu_start(&pmus[cpu]);
}

static uint64_t counter_stop(unsigned cpu)
{
	return pmu_stop(&pmus[cpu]);
}

static void counter_arm(unsigned cpu, uint64_t ticks)
{
	pmu_arm(&pmus[cpu], ticks);
}

struct tick_source position_sources[POSITION_SOURCES] = {
	{.name = "tsc", .unit = "instructions", .counts_instructions = true, .scale = 1,
		.lead_max = TSC_LEAD},
	{.name = "branch counter", .unit = "branches", .scale = BRANCH_SCALE,
		.find = branches_find, .start = counter_start, .stop = counter_stop,
		.arm = counter_arm, .lead_max = COUNTER_SKID},
	{.name = "instruction counter", .unit = "instructions", .counts_instructions = true,
		.scale = 1, .find = instructions_find, .start = counter_start,
		.stop = counter_stop, .arm = counter_arm, .lead_max = COUNTER_SKID},
};

// SPDX-License-Identifier: BSD-2-Clause
// For the self-test of positions: an engine whose CPU runs the self-test's code and counts it in
// this way or that. Only for position_test.c.
#ifndef TESTS_UNIT_POSITION_MODEL_H
#define TESTS_UNIT_POSITION_MODEL_H

#include "kernel/cpu.h"

#include <stdio.h>
#include <string.h>

#include "kernel/apic.h"
#include "kernel/console.h"
#include "kernel/desc.h"
#include "kernel/mem.h"
#include "kernel/pmu.h"
#include "kernel/position.h"
#include "kernel/timer.h"
#include "tests/unit/fake_env.h"
#include "vm/position_test.h"
#include "vmx/counting.h"
#include "vmx/cpuid_frozen.h"

struct cpu fake_cpu;
uint64_t fake_cpu_tsc;
bool fake_cpu_interrupts;
struct vcpu_engine vcpu_engine;
uint64_t vcpu_counting_overhead, vcpu_tsc_lead, vcpu_limit_lag;

// How this CPU counts.
static struct model {
	unsigned overhead;      // of an entry
	unsigned exiting;       // of the instruction that exits
	unsigned rep_extra;     // of a REP beyond its iterations
	bool rep_is_one;        // a REP counts one in all, and its steps none but the last
	unsigned per_interrupt; // too much, for each host interrupt
	unsigned per_step;      // too much, for each step
	unsigned jitter;        // now and then too much
	unsigned per_two;       // every second instruction counts this much more
	bool steps_software;    // INT n is stepped by the engine itself
	bool tsc_leaps;         // a guest's TSC is another one in a step
	bool limit_varies;      // what is before the guest's first instruction
	// Its performance counter, which counts what retires in the guest, and branches.
	bool has_branches, has_instructions;
	unsigned skid;          // instructions from the overflow to the interrupt
	unsigned overcount;     // too much, for each of those interrupts
	bool counts_nothing;
} model;

static struct {
	struct vcpu_state state;
	uint8_t page[PAGE_BYTES];
	bool step, has_event;
	uint8_t event;
	uint64_t ticks, executed;
	uint64_t tsc; // at the entry
	uint64_t limit; // ticks from the timer's start; 0: none
	unsigned counting, pause;
	uint64_t deadline;
	uint64_t entries;
	enum pmu_event counter;
	uint64_t counted, armed, late; // by the performance counter, in this entry
} guest;

static char verdict[256];

void log_write(enum log_level level, const char *format, ...)
{
	va_list arguments;

	if (level == LOG_DEBUG)
		return;
	va_start(arguments, format);
	vsnprintf(verdict, sizeof(verdict), format, arguments);
	va_end(arguments);
}

void *mem_pages_alloc(unsigned count)
{
	assert_int_equal(count, 1);
	return guest.page;
}

void mem_pages_free(void *pages, unsigned count)
{
	(void)pages;
	(void)count;
}

enum status nested_map_create(struct nested_map **map)
{
	*map = (struct nested_map *)(void *)&guest;
	return STATUS_OK;
}

void nested_map_destroy(struct nested_map *map)
{
	(void)map;
}

enum status nested_map_add(struct nested_map *map, struct gpa gpa, struct hpa hpa, uint64_t bytes,
	enum nested_access access)
{
	(void)map;
	(void)hpa;
	(void)access;
	assert_true(gpa.v == 0 && bytes == PAGE_BYTES);
	return STATUS_OK;
}

struct cpuid_offer cpuid_host_offer(void)
{
	return (struct cpuid_offer){.xcr0 = 1};
}

enum status vcpu_create(struct nested_map *map, const struct cpuid_offer *offer,
	struct vcpu **vcpu)
{
	(void)map;
	(void)offer;
	*vcpu = (struct vcpu *)(void *)&guest.state; // gpr comes first
	return STATUS_OK;
}

void vcpu_destroy(struct vcpu *vcpu)
{
	(void)vcpu;
}

void vcpu_load_slow(struct vcpu *vcpu)
{
	fake_cpu.guest = vcpu;
}

void vcpu_reset(struct vcpu *vcpu, enum vcpu_reset_kind kind)
{
	(void)vcpu;
	(void)kind;
}

void timer_add(struct timer *timer)
{
	(void)timer;
}

void timer_remove(struct timer *timer)
{
	(void)timer;
}

void timer_set(struct timer *timer, uint64_t deadline)
{
	timer->deadline = deadline;
	guest.deadline = deadline;
}

void timer_program_exactly(void)
{
}

void interrupt_handler_set(uint8_t vector, interrupt_handler *handler)
{
	assert_int_equal(vector, APIC_VECTOR_COUNTER);
	assert_non_null(handler);
}

void apic_eoi(void)
{
}

void apic_counter_enable(void)
{
}

enum status pmu_find(enum pmu_event event, struct pmu *pmu, const char **reason)
{
	*pmu = (struct pmu){.name = "model"};
	guest.counter = event;
	if (event == PMU_BRANCHES ? model.has_branches : model.has_instructions)
		return STATUS_OK;
	*reason = "the model has none";
	return STATUS_UNSUPPORTED;
}

void pmu_arm(struct pmu *pmu, uint64_t ticks)
{
	pmu->armed = guest.armed = ticks;
}

// The model's engine does not call them.
void pmu_start(struct pmu *pmu)
{
	(void)pmu;
	fail();
}

uint64_t pmu_stop(struct pmu *pmu)
{
	(void)pmu;
	fail();
	return 0;
}

void pmu_acknowledge(const struct pmu *pmu)
{
	(void)pmu;
}

static void counter_count(enum pmu_event event, unsigned ticks)
{
	if (event == guest.counter && !model.counts_nothing)
		guest.counted += ticks;
}

// Whether the counter's interrupt comes at this boundary.
static bool counter_interrupts(void)
{
	if (guest.armed == 0 || guest.counted < guest.armed || guest.late++ < model.skid)
		return false;
	guest.counted += model.overcount;
	return true;
}

static void retire(unsigned count)
{
	counter_count(PMU_INSTRUCTIONS, count);
	guest.ticks += count;
	guest.executed += count;
	fake_cpu_tsc += count;
	if (model.per_two != 0 && guest.executed % 2 == 0)
		guest.ticks += model.per_two;
}

static void go(unsigned length)
{
	guest.state.rip += length;
	retire(1);
}

static void deliver(uint8_t vector)
{
	guest.state.rip = guest.page[4 * vector] | (uint64_t)guest.page[4 * vector + 1] << 8;
	guest.state.gpr[GPR_RSP] -= 6;
}

static unsigned exits(struct vmexit *exit, enum vmexit_kind kind)
{
	guest.ticks += model.exiting;
	exit->kind = (uint8_t)kind;
	return 0;
}

// One iteration of a REP, or its end.
static void repeat(void)
{
	uint64_t *count = &guest.state.gpr[GPR_RCX];

	if (*count == 0) {
		guest.state.rip += 2;
		retire(1); // without iterations it is an instruction as any other
		return;
	}
	--*count;
	if (!model.rep_is_one)
		retire(1);
	if (*count == 0 && (model.rep_extra == 0 || model.rep_is_one)) {
		guest.state.rip += 2;
		if (model.rep_is_one)
			retire(1);
	}
}

// An entry's overhead has this before the guest's first instruction.
enum { MODEL_LEAD = 33, MODEL_LIMIT_LAG = 41 };

static uint64_t guest_tsc(void)
{
	return guest.tsc + guest.ticks - model.overhead + MODEL_LEAD - vcpu_tsc_lead +
		(model.tsc_leaps && guest.step);
}

// Returns false where the instruction exits.
static bool execute(struct vmexit *exit)
{
	const uint8_t *code = &guest.page[guest.state.rip];

	switch (code[0]) {
	case 0x90: case 0x9c: case 0x9d:
		go(1);
		return true;
	case 0x31:
		go(2);
		return true;
	case 0xe2:
		retire(1);
		counter_count(PMU_BRANCHES, 1);
		if (--guest.state.gpr[GPR_RCX] == 0)
			guest.state.rip += 2;
		return true;
	case 0xf3:
		if (code[1] == 0x90 && guest.pause == VCPU_PAUSE_EACH)
			return exits(exit, VMEXIT_PAUSE);
		if (code[1] == 0x90)
			go(2);
		else
			repeat();
		return true;
	case 0xcd:
		if (guest.step && !model.steps_software)
			return exits(exit, VMEXIT_SOFTWARE_INTERRUPT);
		go(2);
		deliver(code[1]);
		return true;
	case 0xf7: // by zero
		if (guest.step) {
			exit->kind = VMEXIT_EXCEPTION;
			exit->exception.vector = 0;
			return false;
		}
		deliver(0);
		return true;
	case 0xe6:
		return exits(exit, VMEXIT_IO);
	case 0xf4:
		return exits(exit, VMEXIT_HLT);
	case 0xa0:
		return exits(exit, VMEXIT_MEMORY);
	}
	assert_int_equal(code[0], 0x0f);
	switch (code[1]) {
	case 0xa2:
		return exits(exit, VMEXIT_CPUID);
	case 0x32:
		return exits(exit, VMEXIT_MSR_READ);
	case 0x30:
		return exits(exit, VMEXIT_MSR_WRITE);
	case 0x22:
		return exits(exit, VMEXIT_CR_WRITE);
	case 0x31:
		if (guest.counting == VCPU_COUNTING_TSC_PASSES) {
			guest.state.gpr[GPR_RAX] = (uint32_t)guest_tsc();
			guest.state.gpr[GPR_RDX] = guest_tsc() >> 32;
			go(2);
			return true;
		}
		__attribute__((fallthrough));
	case 0x01:
		return exits(exit, VMEXIT_RDTSC);
	case 0x09:
		return exits(exit, VMEXIT_CACHE);
	}
	assert_int_equal(code[1], 0x0b);
	if (guest.step) {
		exit->kind = VMEXIT_EXCEPTION;
		exit->exception.vector = 6;
		return false;
	}
	deliver(6);
	return true;
}

static void model_enter(struct vcpu *vcpu, struct vmexit *exit)
{
	(void)vcpu;
	assert_true(fake_cpu_interrupts);
	guest.ticks = model.overhead;
	guest.counted = model.overhead;
	guest.late = 0;
	memset(exit, 0, sizeof(*exit));
	exit->kind = VMEXIT_INTERRUPT;
	if (guest.has_event)
		deliver(guest.event);
	if (!(guest.has_event && guest.step)) {
		guest.has_event = false;
		for (;;) {
			if (fake_cpu_tsc >= guest.deadline) {
				guest.ticks += model.per_interrupt;
				break;
			}
			if (counter_interrupts())
				break;
			if (guest.limit != 0 && guest.ticks - model.overhead + MODEL_LIMIT_LAG +
				(model.limit_varies && guest.limit % 2 != 0) >= guest.limit)
				break;
			if (!execute(exit))
				break;
			if (guest.step) {
				guest.ticks += model.per_step;
				exit->kind = VMEXIT_STEP;
				break;
			}
		}
	}
	guest.has_event = guest.step = false;
	guest.limit = 0;
	if (model.jitter != 0 && ++guest.entries % 5 == 0)
		guest.ticks += model.jitter;
	exit->ticks = (position_source->find != NULL ? guest.counted : guest.ticks) -
		vcpu_counting_overhead;
	fake_cpu_tsc += 50;
}

static void model_get_state(const struct vcpu *vcpu, struct vcpu_state *state)
{
	(void)vcpu;
	*state = guest.state;
}

static enum status model_set_state(struct vcpu *vcpu, const struct vcpu_state *state)
{
	(void)vcpu;
	guest.state = *state;
	return STATUS_OK;
}

static uint64_t model_rip(const struct vcpu *vcpu)
{
	(void)vcpu;
	return guest.state.rip;
}

static void model_inject_interrupt(struct vcpu *vcpu, uint8_t vector)
{
	(void)vcpu;
	guest.has_event = true;
	guest.event = vector;
}

static void model_inject_exception(struct vcpu *vcpu, uint8_t vector, bool has_error_code,
	uint32_t error_code)
{
	(void)has_error_code;
	(void)error_code;
	model_inject_interrupt(vcpu, vector);
}

static bool model_event_pending(const struct vcpu *vcpu)
{
	(void)vcpu;
	return guest.has_event;
}

static void model_request_step(struct vcpu *vcpu)
{
	(void)vcpu;
	guest.step = true;
}

static bool model_limit(struct vcpu *vcpu, uint64_t ticks)
{
	(void)vcpu;
	guest.limit = vcpu_limit_lag != VCPU_LIMIT_NONE ? ticks + vcpu_limit_lag : 0;
	return guest.limit != 0;
}

static void model_intercept_pause(struct vcpu *vcpu, enum vcpu_pause which)
{
	(void)vcpu;
	guest.pause = which;
}

static void model_set_counting(struct vcpu *vcpu, unsigned how)
{
	(void)vcpu;
	guest.counting = how;
}

void vcpu_set_tsc_at_entry(struct vcpu *vcpu, uint64_t tsc)
{
	(void)vcpu;
	guest.tsc = tsc;
}

#endif

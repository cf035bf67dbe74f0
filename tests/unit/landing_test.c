// SPDX-License-Identifier: BSD-2-Clause
// Landing by a performance counter: the real landing, source and counter code on a model of a CPU
// whose counter counts conditional branches or instructions and interrupts late.
#include "vm/landing_internal.h"

#include <asm/prctl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel/apic.h"
#include "kernel/console.h"
#include "kernel/desc.h"
#include "kernel/smp.h"
#include "kernel/timer.h"
#include "kernel/x86.h"
#include "tests/unit/fake_env.h"
#include "vmx/counting.h"

enum {
	BRANCHES_OF_HOST = 3, // between the counter's start and stop
	PATH = 60000,         // instructions
	MSR_SELECT = 0x186,
	MSR_CAPABILITIES = 0x345,
	MSR_GLOBAL = 0x38f,
	MSR_GLOBAL_RESET = 0x390,
	MSR_COUNTER = 0x4c1,
	COUNTER_BITS = 48,
	// The guest's code: one instruction an address.
	AT_LOOP = 7, // to itself while RCX counts down
	AT_PORT = 10,
	AT_END = 15,
};
#define COUNTER_MASK (BIT(COUNTER_BITS) - 1)

struct fake_x86 fake_x86;
struct vcpu_engine vcpu_engine;
uint64_t vcpu_counting_overhead;

void vcpu_set_tsc_at_entry(struct vcpu *vcpu, uint64_t tsc)
{
	(void)vcpu;
	(void)tsc;
}
static struct cpu this_cpu;

static struct {
	uint64_t gpr[GPR_COUNT]; // first: vcpu_gpr()
	uint64_t rip, executed, rounds;
	bool step;
	uint64_t select, counter, global;
	bool counts_branches, overflowed, interrupts_enabled;
	unsigned skid, late, overcount;
	uint64_t skidded;
	interrupt_handler *handler;
} model;

static struct vm vm;
static struct vm_vcpu vcpu;
static struct position path[PATH];

const struct cpuid *fake_leaf(uint32_t leaf, uint32_t subleaf)
{
	static const struct cpuid first = {0x16, 0x756e6547, 0x6c65746e, 0x49656e69};
	static const struct cpuid skylake = {0x000506e3, 0, (uint32_t)BIT(15), 0};
	static const struct cpuid monitoring = {0x07300404, 0, 0, 0x603};

	(void)subleaf;
	return leaf == 0 ? &first : leaf == 1 ? &skylake : leaf == 0x0a ? &monitoring : NULL;
}

static void msr_write(uint32_t msr, uint64_t value)
{
	switch (msr) {
	case MSR_SELECT:
		model.select = value;
		return;
	case MSR_COUNTER:
		model.counter = value;
		return;
	case MSR_GLOBAL:
		model.global = value;
		return;
	case MSR_GLOBAL_RESET:
		model.overflowed = false;
		return;
	}
	fail_msg("MSR %x", msr);
}

static uint64_t msr_read(uint32_t msr)
{
	if (msr == MSR_CAPABILITIES)
		return BIT(13);
	assert_int_equal(msr, MSR_COUNTER);
	return model.counter;
}

void interrupt_handler_set(uint8_t vector, interrupt_handler *handler)
{
	assert_int_equal(vector, APIC_VECTOR_COUNTER);
	model.handler = handler;
}

void apic_eoi(void)
{
}

void apic_counter_enable(void)
{
	model.interrupts_enabled = true;
}

static void count(void)
{
	if (model.global == 0 || (model.select & BIT(22)) == 0)
		return;
	model.counter = (model.counter + 1) & COUNTER_MASK;
	if (model.counter == 0 && model.interrupts_enabled) {
		model.overflowed = true;
		model.late = model.skid != 0 ? (unsigned)(++model.skidded * 7919 % model.skid) : 0;
	}
}

static bool is_branch(uint64_t rip)
{
	return rip % 4 == 3;
}

// One instruction; false: it exits.
static bool execute(void)
{
	uint64_t *rcx = &model.gpr[GPR_RCX];

	if (model.rip == AT_PORT)
		return false;
	model.executed++;
	if (!model.counts_branches || is_branch(model.rip))
		count();
	if (model.rip == AT_LOOP && --*rcx != 0)
		return true;
	if (model.rip == AT_END) {
		*rcx = 1 + ++model.rounds * 31 % 40;
		model.rip = 0;
	} else {
		model.rip++;
	}
	return true;
}

// The counter's interrupt at this boundary.
static bool interrupted(void)
{
	if (!model.overflowed || model.late-- != 0)
		return false;
	model.counter += model.overcount;
	model.interrupts_enabled = false;
	return true;
}

static void model_enter(struct vcpu *unused, struct vmexit *exit)
{
	uint64_t started = position_start();
	bool by_counter = false;

	(void)unused;
	*exit = (struct vmexit){.kind = VMEXIT_INTERRUPT};
	for (unsigned i = 0; model.counts_branches && i < BRANCHES_OF_HOST; i++)
		count();
	for (;;) {
		by_counter = interrupted();
		if (by_counter)
			break;
		exit->rip = model.rip;
		if (!execute()) {
			exit->kind = VMEXIT_IO;
			break;
		}
		if (model.step) {
			exit->kind = VMEXIT_STEP;
			break;
		}
	}
	exit->ticks = position_stop(started) - vcpu_counting_overhead;
	model.step = false;
	if (by_counter)
		model.handler(NULL);
}

static uint64_t model_rip(const struct vcpu *unused)
{
	(void)unused;
	return model.rip;
}

static bool model_event_pending(const struct vcpu *unused)
{
	(void)unused;
	return false;
}

bool vm_step_request(struct vm_vcpu *of, uint64_t tsc)
{
	(void)of;
	(void)tsc;
	model.step = true;
	return true;
}

// Not reached in these tests.
uint64_t clock_ns_to_tsc(uint64_t ns)
{
	return ns;
}

uint64_t landing_real_now(struct vm *of)
{
	(void)of;
	fail();
	return 0;
}

void bus_enter_wait(struct bus *bus)
{
	(void)bus;
	fail();
}

void vm_request(struct vm *of, enum device_request request, uint32_t argument)
{
	(void)of;
	(void)request;
	(void)argument;
	fail();
}

bool vm_vcpu_run_precisely(struct loop_task *task)
{
	(void)task;
	fail();
	return false;
}

void smp_call(struct cpu *cpu, void (*function)(void *argument), void *argument)
{
	(void)cpu;
	(void)function;
	(void)argument;
	fail();
}

void vcpu_load_slow(struct vcpu *unused)
{
	(void)unused;
}

void vcpu_unload(struct vcpu *unused)
{
	(void)unused;
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
	(void)timer;
	(void)deadline;
	fail(); // the counter interrupts, not a timer
}

void timer_program(void)
{
}

void timer_program_exactly(void)
{
}

void log_write(enum log_level level, const char *format, ...)
{
	(void)level;
	(void)format;
}

static void machine_create(unsigned which)
{
	const char *reason = NULL;

	memset(&model, 0, sizeof(model));
	memset(&vm, 0, sizeof(vm));
	memset(&vcpu, 0, sizeof(vcpu));
	model.gpr[GPR_RCX] = 9;
	model.counts_branches = which == 1;
	vm.vcpus[0] = &vcpu;
	vm.vcpu_count = 1;
	vm.tsc_ratio = VCPU_TSC_RATIO_ONE;
	vcpu.vm = &vm;
	vcpu.vcpu = (struct vcpu *)(void *)&model; // gpr comes first
	vcpu.timer.deadline = TIMER_NEVER;
	assert_int_equal(position_sources[which].find(&reason), STATUS_OK);
	position_source = &position_sources[which];
	vcpu_counting_overhead = which == 1 ? BRANCHES_OF_HOST : 0;
	assert_int_equal(landing_create(&vm), STATUS_OK);
	vm.landing->rdtsc_ticks = 1; // RDTSC exits
}

// One turn of the run loop; the port's handler completes the instruction.
static void turn(void)
{
	struct vmexit exit;

	if (!landing_before_entry(&vcpu, landing_now(&vm)))
		return;
	vcpu_enter(vcpu.vcpu, &exit);
	landing_at_exit(&vcpu, &exit);
	if (exit.kind == VMEXIT_IO) {
		model.rip++;
		model.executed++;
	}
	landing_after_exit(&vcpu, &exit);
}

// Every boundary, by single steps: a target that is always near makes each entry one.
static void ignore(struct vm_vcpu *of, const struct position *here, void *owner)
{
	(void)of;
	(void)here;
	(void)owner;
}

static void path_record(unsigned which)
{
	struct landing_target near = {.time = 0};

	machine_create(which);
	while (model.executed < PATH) {
		path[model.executed] = near.at = landing_position(&vcpu);
		near.at.rip = 0xdead;
		landing_set(&vm, &near, ignore, NULL);
		turn();
	}
	landing_destroy(&vm);
}

static struct {
	uint64_t hits, misses, target;
} landed;

static void note(struct vm_vcpu *of, const struct position *here, void *owner)
{
	assert_ptr_equal(of, &vcpu);
	assert_ptr_equal(owner, path);
	if (position_equal(here, &path[landed.target]) && model.executed == landed.target)
		landed.hits++;
	else
		landed.misses++;
}

static void land(unsigned which, unsigned skid, unsigned overcount)
{
	uint64_t random = 12345, hits;

	machine_create(which);
	model.skid = skid;
	model.overcount = overcount;
	memset(&landed, 0, sizeof(landed));
	for (;;) {
		random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
		landed.target = model.executed + 1 + (random >> 40) % 6000;
		if (landed.target >= PATH)
			break;
		hits = landed.hits + landed.misses;
		landing_set(&vm, &(struct landing_target){.at = path[landed.target]}, note, path);
		while (landed.hits + landed.misses == hits) {
			landing_at_boundary(&vcpu);
			if (landed.hits + landed.misses == hits)
				turn();
			assert_true(model.executed < 2 * PATH);
		}
	}
	assert_true(landed.hits + landed.misses > 5);
	landing_destroy(&vm);
}

// Positions of branches have RIP and RCX to tell them apart.
static void every_position_is_reached(void **state)
{
	static const unsigned skids[] = {0, 1, 40, 200};

	(void)state;
	for (unsigned which = 1; which < POSITION_SOURCES; which++) {
		path_record(which);
		assert_true(path[PATH - 1].ticks > PATH / (which == 1 ? 8 : 2));
		for (unsigned i = 0; i < ARRAY_COUNT(skids); i++) {
			land(which, skids[i], 0);
			assert_int_equal(landed.misses, 0);
		}
	}
}

// What the self-test is there to refuse: position_test.c.
static void an_overcount_misses(void **state)
{
	(void)state;
	for (unsigned which = 1; which < POSITION_SOURCES; which++) {
		path_record(which);
		land(which, 40, 1);
		assert_true(landed.misses != 0);
	}
}

static uint64_t random_next(void)
{
	static uint64_t random = 99;

	random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return random >> 33;
}

// Time at the boundary behind so many instructions, at the present rate.
static uint64_t time_behind(uint64_t executed)
{
	const struct landing *landing = vm.landing;

	return landing->skipped + ((path[executed].ticks - landing->rate_ticks) * landing->rate >>
		LANDING_RATE_BITS);
}

// A deadline ends a run at the first boundary whose time has come as far, at whatever rate; no
// change of it makes time jump.
static void deadlines(unsigned which, unsigned skid)
{
	uint64_t source, last = 0, now;

	machine_create(which);
	model.skid = skid;
	source = landing_source_rate();
	while (model.executed < PATH - 20000) {
		vcpu.timer.deadline = landing_now(&vm) + 1 + random_next() % 9000;
		landing_disturb(&vm);
		do {
			turn();
			now = landing_now(&vm);
			assert_true(now >= last);
			last = now;
		} while (now < vcpu.timer.deadline);
		assert_int_equal(now, time_behind(model.executed));
		assert_true(time_behind(model.executed - 1) < vcpu.timer.deadline);
		landing_set_rate(&vm, source / 4 + random_next() % (source * 4 - source / 4 + 1));
		assert_int_equal(landing_now(&vm), now);
		landing_at_boundary(&vcpu);
		assert_int_equal(landing_now(&vm), now);
	}
	landing_destroy(&vm);
}

static void deadlines_are_exact_at_any_rate(void **state)
{
	(void)state;
	for (unsigned which = 1; which < POSITION_SOURCES; which++) {
		path_record(which);
		deadlines(which, 0);
		deadlines(which, 200);
	}
}

static int setup(void **state)
{
	(void)state;
	fake_x86 = (struct fake_x86){.msr_write = msr_write, .msr_read = msr_read};
	this_cpu = (struct cpu){.self = &this_cpu};
	syscall(SYS_arch_prctl, ARCH_SET_GS, &this_cpu);
	vcpu_engine = (struct vcpu_engine){.name = "model", .enter = model_enter, .rip = model_rip,
		.event_pending = model_event_pending};
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_position_is_reached),
		cmocka_unit_test(an_overcount_misses),
		cmocka_unit_test(deadlines_are_exact_at_any_rate),
	};

	return cmocka_run_group_tests_name("landing", tests, setup, NULL);
}

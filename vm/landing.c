// SPDX-License-Identifier: BSD-2-Clause
#include "vm/landing.h"

#include <stdlib.h>

#include "kernel/base/assert.h"
#include "kernel/console.h"
#include "kernel/smp.h"
#include "kernel/timer.h"
#include "kernel/x86.h"
#include "vmx/counting.h"

enum {
	SHAPE_SKID_MAX = 200,
	TEST_DISTANCE_MAX = 8192, // between two targets of a landing test, in ticks
	TEST_REPORT = 1000,       // targets that one line sums up
	TEST_LATE_REPORTS = 10,   // of missed targets
	// Before the lag is believed; and more than these without a smaller one.
	LAG_SAMPLES = 16,
	LAG_SLACK = 24,
	LAG_SAMPLES_STEADY = 128,
	LAG_SLACK_STEADY = 8,
	LAG_SPREAD = 48, // above the lag; no nearer the timer is armed
};

struct landing {
	struct landing_config config;
	struct timer timer;
	uint64_t ticks;
	uint64_t skipped; // while halted
	struct position target;
	landing_callback *callback; // NULL: no target
	void *owner;
	bool stepping;        // the present entry is a step
	bool timed, counted;  // the present entry has the host's timer, or the counter's interrupt
	// What the host runs between arming its timer and the guest's first instruction is time
	// that the guest does not have: at least `lag`, after some samples.
	uint64_t armed; // ticks for the present entry, the lag's allowance included
	uint64_t lag;
	uint64_t lag_samples, lag_since; // since the smallest
	bool stuck;           // the timer came before the guest ran at all: a step is next
	uint64_t random_test, random_shape;
	uint64_t test_done, test_hash, test_late;
	uint64_t steps, began; // all so far; the host's TSC when the present one began
	uint64_t step_tsc;     // what they took
};

// SplitMix64's step: a good mix of 64 bits.
static uint64_t random_next(uint64_t *state)
{
	uint64_t value = *state += UINT64_C(0x9e3779b97f4a7c15);

	value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
	return value ^ value >> 31;
}

struct position landing_position(const struct vm_vcpu *vcpu)
{
	return (struct position){vcpu->landing->ticks, vcpu_rip(vcpu->vcpu),
		vcpu_gpr(vcpu->vcpu)[GPR_RCX]};
}

struct landing_time landing_time(const struct vm_vcpu *vcpu)
{
	return (struct landing_time){vcpu->landing->ticks, vcpu->landing->skipped};
}

void landing_set_time(struct vm_vcpu *vcpu, const struct landing_time *time)
{
	vcpu->landing->ticks = time->ticks;
	vcpu->landing->skipped = time->skipped;
}

void landing_take_over(struct vm_vcpu *vcpu, const struct vm_vcpu *before)
{
	struct landing *landing = vcpu->landing;
	const struct landing *from = before->landing;

	landing->target = from->target;
	landing->callback = from->callback;
	landing->owner = from->owner;
	landing->lag = from->lag;
	landing->lag_samples = from->lag_samples;
	landing->random_test = from->random_test;
	landing->random_shape = from->random_shape;
	landing->test_done = from->test_done;
	landing->test_hash = from->test_hash;
	landing->test_late = from->test_late;
}

void landing_set(struct vm_vcpu *vcpu, const struct position *position, landing_callback *callback,
	void *owner)
{
	struct landing *landing = vcpu->landing;

	ASSERT(callback != NULL && position->ticks >= landing->ticks);
	landing->target = *position;
	landing->callback = callback;
	landing->owner = owner;
}

uint64_t landing_now(const struct vm *vm)
{
	const struct landing *landing = vm->vcpus[0]->landing;

	return vm->tsc_base + landing->ticks * position_source->scale + landing->skipped;
}

static bool target_is_here(const struct vm_vcpu *vcpu)
{
	const struct landing *landing = vcpu->landing;
	struct position here;

	if (likely(landing->ticks < landing->target.ticks))
		return false;
	here = landing_position(vcpu);
	return here.ticks > landing->target.ticks || landing->target.rip == POSITION_ANY_RIP ||
		position_equal(&here, &landing->target);
}

void landing_at_boundary(struct vm_vcpu *vcpu)
{
	struct landing *landing = vcpu->landing;
	landing_callback *callback = landing->callback;
	struct position here;

	// Between an event's injection and its delivery there is no boundary.
	if (callback == NULL || !target_is_here(vcpu) || vcpu_event_pending(vcpu->vcpu))
		return;
	landing->callback = NULL;
	here = landing_position(vcpu);
	callback(vcpu, &here, landing->owner);
}

static bool in_step_span(const struct landing *landing)
{
	return landing->config.step_all ||
		landing->ticks - landing->config.step_from < landing->config.step_count;
}

// Ticks that the guest may run before something must happen at an exact position.
static uint64_t distance(const struct vm_vcpu *vcpu, uint64_t tsc)
{
	const struct landing *landing = vcpu->landing;
	uint64_t deadline = vcpu->timer.deadline;
	uint64_t scale = position_source->scale;
	uint64_t nearest = deadline > tsc ? (deadline - tsc) / scale : 0;

	if (landing->callback != NULL && landing->target.ticks - landing->ticks < nearest)
		nearest = landing->target.ticks - landing->ticks;
	return nearest;
}

// So that the guest leaves when it has run `left` ticks or somewhat less. False: that is too near.
static bool arm(struct vm_vcpu *vcpu, uint64_t left)
{
	struct landing *landing = vcpu->landing;
	uint64_t tsc, slack;

	if (position_source->arm != NULL) {
		// The counter may count the world switch too, and must not overflow in it.
		if (left <= position_source->lead_max + vcpu_counting_overhead)
			return false;
		position_source->arm(cpu_self()->index, left - position_source->lead_max);
		landing->counted = true;
		return true;
	}
	if (vcpu_limit(vcpu->vcpu, left))
		return true;
	if (landing->lag_samples < LAG_SAMPLES) {
		if (left <= position_source->lead_max)
			return false;
	} else {
		slack = landing->lag_since > LAG_SAMPLES_STEADY ? LAG_SLACK_STEADY : LAG_SLACK;
		if (left <= slack + LAG_SPREAD || landing->stuck)
			return false;
		left += landing->lag > slack ? landing->lag - slack : 0;
	}
	landing->armed = left;
	tsc = rdtsc();
	timer_set(&landing->timer, left < TIMER_NEVER - tsc ? tsc + left : TIMER_NEVER);
	timer_program_exactly();
	landing->timed = true;
	return true;
}

bool landing_before_entry(struct vm_vcpu *vcpu, uint64_t tsc)
{
	struct landing *landing = vcpu->landing;
	uint64_t left = distance(vcpu, tsc), early = 0;

	// As a counter's overflow: set for earlier by the bound of the skid, and then late by some.
	if (landing->config.shape_seed != 0)
		early = left > SHAPE_SKID_MAX
			? random_next(&landing->random_shape) % (SHAPE_SKID_MAX + 1) : left;
	vcpu_set_tsc_at_entry(vcpu->vcpu, tsc - vcpu->vm->tsc_base + vcpu->tsc_shift);
	landing->stepping = in_step_span(landing) || !arm(vcpu, left - early);
	if (!landing->stepping)
		return true;
	landing->steps++;
	landing->began = rdtsc();
	if (vm_step_request(vcpu, tsc))
		return true;
	if (!vcpu_event_pending(vcpu->vcpu)) // it did not fault
		landing->ticks += position_source->counts_instructions;
	return false;
}

// Kinds whose handler completes the instruction, and moves RIP when it has.
static bool is_completed_in_software(unsigned kind)
{
	static const uint32_t kinds = (uint32_t)(BIT(VMEXIT_IO) | BIT(VMEXIT_MEMORY) |
		BIT(VMEXIT_CPUID) | BIT(VMEXIT_MSR_READ) | BIT(VMEXIT_MSR_WRITE) |
		BIT(VMEXIT_HLT) | BIT(VMEXIT_CR_WRITE) | BIT(VMEXIT_CR8_WRITE) |
		BIT(VMEXIT_XSETBV) | BIT(VMEXIT_CACHE) | BIT(VMEXIT_DR_WRITE) |
		BIT(VMEXIT_RDTSC) | BIT(VMEXIT_PAUSE));

	return (kinds >> kind & 1) != 0;
}

_Static_assert((int)VMEXIT_KIND_COUNT <= (int)TICK_KIND_RDTSCP, "corrections");

void landing_correct_rdtscp(struct vm_vcpu *vcpu)
{
	const int8_t *correction = position_source->correction;

	vcpu->landing->ticks -= (uint64_t)(int64_t)(correction[TICK_KIND_RDTSCP] -
		correction[VMEXIT_RDTSC]);
}

static void lag_note(struct landing *landing, uint64_t ran)
{
	uint64_t lag = landing->armed - ran;

	if (ran == 0 || lag > landing->armed)
		return;
	landing->lag_since++;
	if (landing->lag_samples++ == 0 || lag < landing->lag) {
		landing->lag = lag;
		landing->lag_since = 0;
	}
}

void landing_at_exit(struct vm_vcpu *vcpu, const struct vmexit *exit)
{
	struct landing *landing = vcpu->landing;
	uint64_t ran = exit->ticks - (uint64_t)(int64_t)position_source->correction[exit->kind];

	if (unlikely((int64_t)ran < 0)) // left without an entry
		ran = 0;
	landing->ticks += ran;
	// Left armed, it would call the next entry off: that one's comes only after this one.
	if (landing->counted)
		position_source->arm(cpu_self()->index, 0);
	landing->counted = false;
	landing->stuck = landing->timed && ran == 0;
	if (landing->timed) {
		landing->timed = false;
		if (exit->kind == VMEXIT_INTERRUPT && rdtsc() >= landing->timer.deadline)
			lag_note(landing, ran);
		timer_set(&landing->timer, TIMER_NEVER);
		if (timer_needs_program())
			timer_program();
	}
}

void landing_after_exit(struct vm_vcpu *vcpu, const struct vmexit *exit)
{
	struct landing *landing = vcpu->landing;

	if (is_completed_in_software(exit->kind) && vcpu_rip(vcpu->vcpu) != exit->rip)
		landing->ticks += position_source->counts_instructions;
	if (exit->kind == VMEXIT_STEP)
		landing->step_tsc += rdtsc() - landing->began;
}

bool landing_skip_halt(struct vm_vcpu *vcpu)
{
	uint64_t now = landing_now(vcpu->vm), deadline = vcpu->timer.deadline;

	if (deadline == TIMER_NEVER)
		return false;
	if (deadline > now)
		vcpu->landing->skipped += deadline - now;
	return true;
}

static uint64_t hash_add(uint64_t hash, uint64_t value)
{
	return (hash ^ value) * UINT64_C(0x100000001b3); // FNV-1a, by words
}

static uint64_t registers_hash(const struct vm_vcpu *vcpu, uint64_t hash)
{
	struct vcpu_state state;

	vcpu_get_state(vcpu->vcpu, &state);
	for (unsigned i = 0; i < GPR_COUNT; i++)
		hash = hash_add(hash, state.gpr[i]);
	hash = hash_add(hash, state.rip);
	hash = hash_add(hash, state.rflags);
	hash = hash_add(hash, state.cr0);
	hash = hash_add(hash, state.cr2);
	hash = hash_add(hash, state.cr3);
	hash = hash_add(hash, state.cr4);
	hash = hash_add(hash, state.efer);
	hash = hash_add(hash, state.dr6);
	hash = hash_add(hash, state.dr7);
	hash = hash_add(hash, state.interrupt_shadow);
	for (unsigned i = 0; i < SEGMENT_COUNT; i++)
		hash = hash_add(hash, state.segment[i].selector ^ state.segment[i].base << 16);
	return hash;
}

static void test_next(struct vm_vcpu *vcpu);

static void test_landed(struct vm_vcpu *vcpu, const struct position *here, void *owner)
{
	struct landing *landing = vcpu->landing;
	bool late = here->ticks != landing->target.ticks;

	(void)owner;
	landing->test_hash = hash_add(landing->test_hash, here->ticks);
	landing->test_hash = registers_hash(vcpu, landing->test_hash);
	landing->test_late += late;
	landing->test_done++;
	if (landing->config.trace || (late && landing->test_late <= TEST_LATE_REPORTS) ||
		landing->test_done % TEST_REPORT == 0 ||
		landing->test_done == landing->config.test_count)
		log_info("landing %llu: ticks %llu rip %llx rcx %llx, %llu off, hash %016llx",
			(unsigned long long)landing->test_done, (unsigned long long)here->ticks,
			(unsigned long long)here->rip, (unsigned long long)here->rcx,
			(unsigned long long)landing->test_late,
			(unsigned long long)landing->test_hash);
	if (landing->test_done < landing->config.test_count) {
		test_next(vcpu);
		return;
	}
	log_info("landing: %llu single steps of %llu TSC ticks",
		(unsigned long long)landing->steps,
		(unsigned long long)(landing->step_tsc / (landing->steps + 1)));
	vm_request(vcpu->vm, DEVICE_REQUEST_POWER_OFF, 0);
}

static void test_next(struct vm_vcpu *vcpu)
{
	struct landing *landing = vcpu->landing;
	struct position target = {.rip = POSITION_ANY_RIP, .ticks = landing->ticks + 1 +
		random_next(&landing->random_test) % TEST_DISTANCE_MAX};

	landing_set(vcpu, &target, test_landed, NULL);
}

static void attach_here(void *argument)
{
	struct vm_vcpu *vcpu = argument;

	timer_add(&vcpu->landing->timer);
	vcpu_load(vcpu->vcpu);
	vcpu_set_counting(vcpu->vcpu,
		position_source->tsc_passes && vcpu->landing->config.shape_seed == 0
			? VCPU_COUNTING_TSC_PASSES : VCPU_COUNTING);
	vcpu_unload(vcpu->vcpu);
}

static void detach_here(void *argument)
{
	struct vm_vcpu *vcpu = argument;

	timer_remove(&vcpu->landing->timer);
}

enum status landing_create(struct vm_vcpu *vcpu, const struct landing_config *config)
{
	struct landing *landing;

	if (position_source == NULL || vcpu->vm->vcpu_count != 1 ||
		vcpu->vm->tsc_ratio != VCPU_TSC_RATIO_ONE)
		return STATUS_FAIL(STATUS_UNSUPPORTED);
	landing = calloc(1, sizeof(*landing));
	if (landing == NULL)
		return STATUS_FAIL(STATUS_NO_MEMORY);
	landing->config = *config;
	landing->random_test = config->test_seed;
	landing->random_shape = config->shape_seed;
	vcpu->landing = landing;
	vcpu->task.run = vm_vcpu_run_precisely;
	if (config->test_count != 0)
		test_next(vcpu);
	return STATUS_OK;
}

void landing_attach(struct vm_vcpu *vcpu)
{
	if (vcpu->landing != NULL)
		smp_call(vcpu->core, attach_here, vcpu);
}

void landing_detach(struct vm_vcpu *vcpu)
{
	if (vcpu->landing != NULL)
		smp_call(vcpu->core, detach_here, vcpu);
}

void landing_destroy(struct vm_vcpu *vcpu)
{
	free(vcpu->landing);
	vcpu->landing = NULL;
}

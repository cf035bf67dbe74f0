// SPDX-License-Identifier: BSD-2-Clause
// A machine that is stopped at random positions, where its registers are hashed: `landing_test` of
// docs/configuration.md.
#include "kernel/console.h"
#include "kernel/x86.h"
#include "vm/landing_internal.h"

enum {
	TEST_DISTANCE_MAX = 8192, // between two targets, in ticks
	TEST_REPORT = 1000,       // targets that one line sums up
	TEST_LATE_REPORTS = 10,   // of missed targets
};

static uint64_t hash_add(uint64_t hash, uint64_t value)
{
	return (hash ^ value) * UINT64_C(0x100000001b3); // FNV-1a, by words
}

// Behind BT and its like AF and OF are undefined (SDM vol. 2), and QEMU makes them depend on how
// much it has translated at a time.
#define FLAGS_HASHED (~(uint64_t)(RFLAGS_AF | RFLAGS_OF))

static uint64_t registers_hash(const struct vm_vcpu *vcpu, uint64_t hash)
{
	struct vcpu_state state;

	vcpu_get_state(vcpu->vcpu, &state);
	for (unsigned i = 0; i < GPR_COUNT; i++)
		hash = hash_add(hash, state.gpr[i]);
	hash = hash_add(hash, state.rip);
	hash = hash_add(hash, state.rflags & FLAGS_HASHED);
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

static void test_next(struct vm *vm);

static void test_landed(struct vm_vcpu *vcpu, const struct position *here, void *owner)
{
	struct landing *landing = vcpu->vm->landing;
	bool late = here->ticks != landing->target.at.ticks;

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
		test_next(vcpu->vm);
		return;
	}
	log_info("landing: %llu single steps of %llu TSC ticks",
		(unsigned long long)landing->steps,
		(unsigned long long)(landing->step_tsc / (landing->steps + 1)));
	vm_request(vcpu->vm, DEVICE_REQUEST_POWER_OFF, 0);
}

static void test_next(struct vm *vm)
{
	struct landing *landing = vm->landing;
	struct landing_target target = {.at = {.rip = POSITION_ANY_RIP, .ticks = landing->ticks +
		1 + splitmix_next(&landing->random_test) % TEST_DISTANCE_MAX}};

	landing_set(vm, &target, test_landed, NULL);
}

void landing_test_begin(struct vm *vm)
{
	vm->landing->random_test = vm->config.landing.test_seed;
	if (vm->config.landing.test_count != 0)
		test_next(vm);
}

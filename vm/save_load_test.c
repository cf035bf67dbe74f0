// SPDX-License-Identifier: BSD-2-Clause
#include "vm/save_load_test.h"

#include <stdlib.h>
#include <string.h>

#include "kernel/base/assert.h"
#include "kernel/console.h"
#include "kernel/fiber.h"
#include "kernel/timer.h"
#include "kernel/x86.h"
#include "vm/snapshot.h"
#include "vm/twin.h"

struct save_load_test {
	struct fiber *fiber; // (c) of the boot CPU
	struct vm *vm;       // (c)
	bool due;  // (a) a vcpu waits for it
	bool held; // (a) by the home for the fiber
	bool ends; // (a) for the fiber
	uint64_t count; // of the fiber; the home looks
	uint64_t random; // (a) what decides which exits are next
};

// A vcpu's next distance: the number that the configuration names, on average.
static uint64_t distance(struct save_load_test *test)
{
	uint64_t number = test->vm->config.save_load_exits;
	uint64_t random = __atomic_add_fetch(&test->random, UINT64_C(0x9e3779b97f4a7c15),
		__ATOMIC_RELAXED);

	return 1 + ((random ^ random >> 29) * UINT64_C(0xbf58476d1ce4e5b9) >> 32) %
		(2 * number - 1);
}

static void hold(struct vm *vm, uint64_t tsc)
{
	struct save_load_test *test = vm->save_load_test;

	if (vm->vcpu_count == 1) // nobody else is still on the way
		vm_time_stop_at(vm, tsc);
	vm->holds++;
	vm_run_update(vm);
	__atomic_store_n(&test->due, false, __ATOMIC_RELAXED);
	__atomic_store_n(&test->held, true, __ATOMIC_RELEASE);
}

static bool has_moved(const struct vm_vcpu *vcpu)
{
	const struct vm_last_exit *last =
		&vcpu->last_exits[(vcpu->exit_total - 1) % VM_LAST_EXITS];

	return last->kind != VMEXIT_INTERRUPT || last->rip != vcpu->tested_rip;
}

bool save_load_is_due(struct vm_vcpu *vcpu, uint64_t tsc)
{
	struct vm *vm = vcpu->vm;
	struct save_load_test *test = vm->save_load_test;

	if (!__atomic_load_n(&test->due, __ATOMIC_ACQUIRE)) {
		uint64_t exits = vcpu->exit_total - vcpu->tested_total;

		// The first exit counts in any case: its line in the log comes before output.
		if (exits == 0 || (exits < vcpu->test_distance && test->count != 0) ||
			!has_moved(vcpu))
			return false;
		vcpu->test_distance = distance(test);
		vcpu->tested_total = vcpu->exit_total;
		vcpu->tested_rip = vcpu->last_exits[(vcpu->exit_total - 1) % VM_LAST_EXITS].rip;
		__atomic_store_n(&test->due, true, __ATOMIC_RELEASE);
		if (vcpu->index != 0)
			vm_vcpu_signal(vm->vcpus[0], VM_SIGNAL_TEST);
	}
	if (vcpu->index == 0)
		hold(vm, tsc);
	return true;
}

void save_load_wake(struct vm *vm)
{
	if (__atomic_load_n(&vm->save_load_test->held, __ATOMIC_ACQUIRE))
		fiber_wake(vm->save_load_test->fiber);
}

// The first difference of two streams of the same machine, for the log.
static void difference_report(const struct vm *vm, struct snapshot_stream *a,
	struct snapshot_stream *b)
{
	snapshot_rewind(a);
	snapshot_rewind(b);
	for (;;) {
		const struct state_table *table = snapshot_table(vm, &a->section);
		uint32_t field = 0, element = 0;
		uint64_t at = 0;
		uint8_t left, right;

		if (memcmp(&a->section, &b->section, sizeof(a->section)) != 0) {
			log_error("%s: save_load: section %s %u, then %s %u", vm->name,
				a->section.name, a->section.instance, b->section.name,
				b->section.instance);
			return;
		}
		for (; a->left > 0; at++) {
			enum status status = snapshot_get(a, &left, 1);

			ASSERT(status == STATUS_OK);
			status = snapshot_get(b, &right, 1);
			ASSERT(status == STATUS_OK);
			if (left == right)
				continue;
			if (table != NULL)
				field = state_field_at(table, at, &element);
			log_error("%s: save_load: %s %u: %s[%u]: byte %llu is 0x%x after loading, "
				"was 0x%x", vm->name, a->section.name, a->section.instance,
				table != NULL ? table->fields[field].name : "contents", element,
				(unsigned long long)at, right, left);
			return;
		}
		snapshot_section_next(a);
		snapshot_section_next(b);
	}
}

// False: what was loaded is not what was saved, or could not be loaded.
static bool go_through(struct save_load_test *test, bool memory)
{
	struct vm *vm = test->vm, *twin;
	struct snapshot_stream saved, again;
	struct snapshot_cost save = {0, 0}, load = {0, 0}, unused;
	bool same;

	snapshot_stream_init(&saved);
	snapshot_stream_init(&again);
	if (twin_create(vm, memory, &twin) != STATUS_OK) {
		log_error("%s: save_load: no memory for a twin", vm->name);
		return false;
	}
	same = snapshot_write(vm, memory, &saved, &save) == STATUS_OK &&
		snapshot_stream_verify(&saved) == STATUS_OK &&
		snapshot_read(twin, memory, &saved, &load) == STATUS_OK &&
		snapshot_write(twin, memory, &again, &unused) == STATUS_OK;
	if (!same) {
		log_error("%s: save_load: %s", vm->name,
			saved.error[0] != '\0' ? saved.error : "no memory");
	} else if (!snapshot_stream_equals(&saved, &again)) {
		difference_report(vm, &saved, &again);
		same = false;
	}
	if (same)
		twin_swap(vm, twin);
	twin_destroy(twin, memory);
	snapshot_stream_free(&saved);
	snapshot_stream_free(&again);
	if (test->count == 0)
		log_info("%s: save_load: saved in %llu TSC ticks, loaded in %llu, beside memory",
			vm->name, (unsigned long long)save.ticks, (unsigned long long)load.ticks);
	return same;
}

static void test_main(void *argument)
{
	struct save_load_test *test = argument;
	struct vm *vm = test->vm;

	for (;;) {
		uint32_t memory = vm->config.save_load_memory;

		(void)fiber_wait(TIMER_NEVER);
		if (__atomic_load_n(&test->ends, __ATOMIC_ACQUIRE))
			break;
		if (!__atomic_exchange_n(&test->held, false, __ATOMIC_ACQUIRE))
			continue;
		if (vm->vcpu_count != 1 || !backend_all_done(&vm->requests_out) ||
			vm->has_planes) {
			vm_hold(vm); // stops time
			vm_release(vm);
		}
		if (!go_through(test, memory != 0 && test->count % memory == 0))
			vm_request(vm, VM_REQUEST_FAILED, 0);
		test->count++;
		vm_release(vm);
	}
	free(test);
}

enum status save_load_create(struct vm *vm)
{
	struct save_load_test *test = calloc(1, sizeof(*test));

	if (test == NULL)
		return STATUS_FAIL(STATUS_NO_MEMORY);
	test->vm = vm;
	test->fiber = fiber_create("save_load", test_main, test);
	if (test->fiber == NULL) {
		free(test);
		return STATUS_FAIL(STATUS_NO_MEMORY);
	}
	vm->save_load_test = test;
	for (uint32_t i = 0; i < vm->vcpu_count; i++)
		vm->vcpus[i]->signals |= VM_SIGNAL_TEST; // no core has it yet
	return STATUS_OK;
}

void save_load_destroy(struct vm *vm)
{
	struct save_load_test *test = vm->save_load_test;

	if (test == NULL)
		return;
	vm->save_load_test = NULL;
	__atomic_store_n(&test->ends, true, __ATOMIC_RELEASE);
	fiber_wake(test->fiber);
}

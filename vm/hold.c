// SPDX-License-Identifier: BSD-2-Clause
// Whether a machine's vcpus run, and its time with them.
#include "kernel/base/assert.h"
#include "kernel/fiber.h"
#include "kernel/smp.h"
#include "kernel/x86.h"
#include "vm/dataplane.h"
#include "vm/disk_backend.h"
#include "vm/landing.h"

// How long a fiber waits between two looks at whether the vcpus rest.
enum { WAIT_NS = 20000 };

// Others of this core get on meanwhile.
void vm_wait_a_moment(void)
{
	if (fiber_self() != NULL)
		(void)fiber_wait(rdtsc() + clock_ns_to_tsc(WAIT_NS));
}

void vm_time_start(struct vm *vm)
{
	ASSERT(vm->time_stands && (vm->vcpu_count == 1 || vcpus_rest(vm)));
	vm->tsc_base = vm->landing != NULL ? LANDING_TSC_BASE : rdtsc() - vm->paused_tsc;
	vm->time_stands = false;
	if (vm->landing != NULL)
		landing_resume(vm);
}

void vm_time_stop_at(struct vm *vm, uint64_t tsc)
{
	if (vm->time_stands)
		return;
	vm->paused_tsc = tsc - vm->tsc_base;
	vm->time_stands = true;
	if (vm->landing != NULL)
		landing_pause(vm);
}

void vm_time_stop(struct vm *vm)
{
	vm_time_stop_at(vm, vm->landing != NULL ? landing_now(vm) : rdtsc());
}

void vm_run_update(struct vm *vm)
{
	bool run = vm->state == VM_RUNNING && vm->holds == 0 &&
		__atomic_load_n(&vm->requests, __ATOMIC_ACQUIRE) == 0;

	// A single vcpu starts it itself, when it is about to enter the guest.
	if (run && vm->time_stands && vm->vcpu_count > 1)
		vm_time_start(vm);
	__atomic_store_n(&vm->run, run, __ATOMIC_SEQ_CST);
	for (uint32_t i = 0; i < vm->vcpu_count; i++)
		if (__atomic_load_n(&vm->vcpus[i]->resting, __ATOMIC_SEQ_CST) == run)
			vm_vcpu_signal(vm->vcpus[i], run ? 0 : VM_SIGNAL_REST);
	if (run)
		dataplanes_wake(vm);
}

static void hold(void *argument)
{
	struct vm *vm = argument;

	vm->holds++;
	vm_run_update(vm);
}

static void release(void *argument)
{
	struct vm *vm = argument;

	ASSERT(vm->holds > 0);
	vm->holds--;
	vm_run_update(vm);
}

static void held(void *argument)
{
	struct vm *vm = argument;

	vm_time_stop(vm);
	dataplanes_recall(vm);
}

void vm_hold(struct vm *vm)
{
	smp_call(vm_home(vm), hold, vm);
	while (!vm_rests(vm))
		vm_wait_a_moment();
	smp_call(vm_home(vm), held, vm);
	for (uint32_t i = 0; i < vm->config.disk_count; i++)
		disk_backend_hurry(vm->disks[i]);
	while (!backend_all_done(&vm->requests_out))
		vm_wait_a_moment();
}

void vm_release(struct vm *vm)
{
	smp_call(vm_home(vm), release, vm);
}

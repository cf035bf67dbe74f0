// SPDX-License-Identifier: BSD-2-Clause
// Virtual CPUs of a machine: which core has them, resting and running, INIT and STARTUP.
#include <stdlib.h>

#include "emul/lapic.h"
#include "kernel/base/assert.h"
#include "kernel/clock.h"
#include "kernel/console.h"
#include "kernel/cpu.h"
#include "kernel/mem.h"
#include "kernel/smp.h"
#include "kernel/x86.h"
#include "vm/core.h"
#include "vm/dataplane.h"
#include "vm/disk_backend.h"
#include "vm/landing.h"
#include "vm/local_apic.h"
#include "vm/save_load_test.h"

void vm_vcpu_signal(struct vm_vcpu *vcpu, uint32_t signals)
{
	const struct cpu *cpu = cpu_self();

	__atomic_fetch_or(&vcpu->signals, signals, __ATOMIC_SEQ_CST);
	// In its own run loop it looks before the next entry anyway.
	if (vcpu->core != cpu || !vcpu->in_run)
		cpu_kick(vcpu->core);
}

static always_inline uint64_t deadline_ticks(const struct vm *vm, struct guest_time deadline)
{
	uint64_t ticks;

	if (deadline.ns == GUEST_TIME_NEVER.ns)
		return TIMER_NEVER;
	ticks = clock_ns_to_tsc(deadline.ns); // as good as never: saturates
	return ticks < TIMER_NEVER - vm->tsc_base ? ticks + vm->tsc_base : TIMER_NEVER;
}

// Where time is the position, a look at the queue that comes for another reason must not find an
// event due before its deadline.
static uint64_t deadline_ticks_exactly(const struct vm *vm, struct guest_time deadline)
{
	uint64_t ticks = deadline_ticks(vm, deadline);

	return ticks - vm->tsc_base < LANDING_TSC_BASE ? clock_ns_first_tsc(deadline.ns) +
		vm->tsc_base : ticks;
}

// Where the vcpus take turns, whoever has it is called for all of them.
static __attribute__((noinline)) void turn_timer_update(const struct vm *vm)
{
	struct guest_time deadline = vm->queue.next_deadline;

	for (uint32_t i = 0; i < vm->vcpu_count; i++)
		if (vm->vcpus[i]->lapic_deadline.ns < deadline.ns)
			deadline = vm->vcpus[i]->lapic_deadline;
	timer_set(&landing_turn(vm)->timer, deadline_ticks_exactly(vm, deadline));
	landing_disturb(vm);
}

void vm_vcpu_timer_update(struct vm_vcpu *vcpu)
{
	const struct vm *vm = vcpu->vm;
	struct guest_time deadline = vcpu->lapic_deadline;

	if (unlikely(vm->landing != NULL)) {
		turn_timer_update(vm);
		return;
	}
	if (vcpu->index == 0 && vm->queue.next_deadline.ns < deadline.ns)
		deadline = vm->queue.next_deadline;
	timer_set(&vcpu->timer, deadline_ticks(vm, deadline));
}

bool vcpus_rest(const struct vm *vm)
{
	for (uint32_t i = 0; i < vm->vcpu_count; i++)
		if (!__atomic_load_n(&vm->vcpus[i]->resting, __ATOMIC_SEQ_CST))
			return false;
	return true;
}

bool vm_rests(const struct vm *vm)
{
	return vcpus_rest(vm) && dataplanes_rest(vm);
}

static void settle(struct vm *vm)
{
	if (vm->state != VM_RUNNING)
		vm_time_stop(vm);
	if (__atomic_load_n(&vm->requests, __ATOMIC_ACQUIRE) == 0 || vm->holds != 0)
		return;
	if (backend_all_done(&vm->requests_out)) { // else the last one that is comes here
		vm_carry_out_requests(vm);
		return;
	}
	for (uint32_t i = 0; i < vm->config.disk_count; i++)
		disk_backend_hurry(vm->disks[i]);
}

bool vm_vcpu_rest(struct vm_vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;

	if (!vcpu->resting) {
		vcpu_unload(vcpu->vcpu);
		timer_set(&vcpu->timer, TIMER_NEVER);
		__atomic_fetch_and(&vcpu->signals, ~(uint32_t)VM_SIGNAL_REST, __ATOMIC_RELAXED);
		__atomic_store_n(&vcpu->resting, true, __ATOMIC_SEQ_CST);
		if (vcpu->index != 0)
			cpu_kick(vm->vcpus[0]->core);
	}
	if (vcpu->index != 0 || !vm_rests(vm))
		return false;
	settle(vm);
	vm_run_update(vm);
	if (unlikely(vm->save_load_test != NULL))
		save_load_wake(vm);
	return vm->run;
}

// See "Resting" in vm/vm.h.
bool vm_vcpu_wake(struct vm_vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;

	__atomic_store_n(&vcpu->resting, false, __ATOMIC_SEQ_CST);
	if (!__atomic_load_n(&vm->run, __ATOMIC_SEQ_CST)) {
		__atomic_store_n(&vcpu->resting, true, __ATOMIC_SEQ_CST);
		if (vcpu->index != 0)
			cpu_kick(vm->vcpus[0]->core);
		return false;
	}
	vcpu_load(vcpu->vcpu);
	if (vm->time_stands)
		vm_time_start(vm);
	vcpu_set_tsc_offset(vcpu->vcpu, vcpu->tsc_shift + vm_guest_tsc(vm, 0));
	vm_vcpu_timer_update(vcpu);
	return true;
}

// SDM vol. 3, 9.4.4: INIT of the bootstrap processor begins at the reset vector, where no firmware
// waits: the whole machine begins again. Others wait for a STARTUP.
void vm_vcpu_init(struct vm_vcpu *vcpu, struct guest_time now)
{
	if (vcpu->index == 0) {
		vm_request(vcpu->vm, DEVICE_REQUEST_INIT, 0);
		return;
	}
	vcpu_reset(vcpu->vcpu, VCPU_RESET_INIT);
	local_apic_enter(vcpu);
	lapic_init(vcpu->lapic, now);
	local_apic_leave(vcpu, now);
	paging_forget(&vcpu->paging);
	vcpu->code_memo = NULL;
	vcpu->halted = vcpu->nmi_pending = false;
	vcpu->tpr = 0;
	vcpu->waits_for_startup = true;
	vcpu->quiet = VM_QUIET_NEVER;
}

// SDM vol. 3, 9.4.4.1: execution begins at the page that the vector names.
void vm_vcpu_startup(struct vm_vcpu *vcpu)
{
	struct vcpu_state state;
	enum status status;
	uint8_t vector;

	if (!lapic_take_startup(vcpu->lapic, &vector) || !vcpu->waits_for_startup)
		return;
	vcpu_get_state(vcpu->vcpu, &state);
	state.rip = 0;
	state.segment[SEGMENT_CS].selector = (uint16_t)(vector << 8);
	state.segment[SEGMENT_CS].base = (uint64_t)vector << 12;
	status = vcpu_set_state(vcpu->vcpu, &state);
	ASSERT(status == STATUS_OK);
	vcpu->waits_for_startup = false;
}

void vm_vcpu_reset(struct vm_vcpu *vcpu)
{
	ASSERT(vcpu->resting);
	vcpu_load(vcpu->vcpu);
	vcpu_reset(vcpu->vcpu, VCPU_RESET_POWER);
	vcpu_unload(vcpu->vcpu);
	vcpu->halted = vcpu->nmi_pending = false;
	vcpu->waits_for_startup = vcpu->index != 0;
	vcpu->tpr = 0;
	vcpu->quiet = VM_QUIET_NEVER;
	// The event queue outlives a reset, and others may add to it at any time.
	__atomic_fetch_and(&vcpu->signals, (uint32_t)(VM_SIGNAL_EVENTS | VM_SIGNAL_TEST),
		__ATOMIC_RELAXED);
	vcpu->mailbox = (struct vm_mailbox){.others = 0};
	mtrr_reset(&vcpu->mtrr, vcpu->physical_bits);
	paging_forget(&vcpu->paging);
	vcpu->code_memo = NULL;
}

void vm_vcpu_forget_memory(struct vm_vcpu *vcpu)
{
	ASSERT(vcpu->resting);
	vcpu_forget_nested(vcpu->vcpu);
	paging_forget(&vcpu->paging);
	vcpu->code_memo = NULL;
}

struct state_call {
	struct vm_vcpu *vcpu;
	struct vcpu_state *state;
};

static void state_get(void *argument)
{
	const struct state_call *call = argument;
	struct vm_vcpu *vcpu = call->vcpu;

	vcpu_load(vcpu->vcpu);
	vcpu_get_state(vcpu->vcpu, call->state);
	if (vcpu->resting)
		vcpu_unload(vcpu->vcpu);
}

void vm_vcpu_state(struct vm_vcpu *vcpu, struct vcpu_state *state)
{
	struct state_call call = {vcpu, state};

	// No reset, which the home carries out, may come between.
	vm_hold(vcpu->vm);
	smp_call(vcpu->core, state_get, &call);
	vm_release(vcpu->vm);
}

static void spoil(void *argument)
{
	struct vm_vcpu *vcpu = argument;

	vcpu_load(vcpu->vcpu);
	vcpu_spoil(vcpu->vcpu);
	vcpu_unload(vcpu->vcpu);
}

void vm_vcpu_spoil(struct vm_vcpu *vcpu)
{
	vm_hold(vcpu->vm);
	smp_call(vcpu->core, spoil, vcpu);
	vm_release(vcpu->vm);
}

static enum status lapic_create(struct vm_vcpu *vcpu)
{
	struct device *device = calloc(1, lapic_model.instance_bytes);

	if (device == NULL)
		return STATUS_FAIL(STATUS_NO_MEMORY);
	*device = (struct device){.model = &lapic_model, .env = &local_apic_env, .owner = vcpu,
		.id = (uint16_t)(VM_DEVICES_MAX + vcpu->index)};
	vcpu->lapic = device;
	vcpu->lapic_page = LAPIC_PAGE_NONE;
	vcpu->lapic_deadline = GUEST_TIME_NEVER;
	lapic_configure(device, vcpu->index, vcpu->vm->tsc_hz);
	return STATUS_OK;
}

static enum status vcpu_part_create(struct vm *vm, uint32_t index)
{
	struct vm_vcpu *vcpu = mem_pages_alloc(PAGES_OF(*vcpu));
	const struct cpuid_config config = {.apic_id = index, .vcpus = vm->vcpu_count,
		.x2apic = vm->config.x2apic,
		.tsc_khz = (uint32_t)(vm->tsc_hz / 1000), .apic_khz = 1000000};
	struct cpuid_offer offer;
	enum status status;

	if (vcpu == NULL)
		return STATUS_FAIL(STATUS_NO_MEMORY);
	vm->vcpus[index] = vcpu;
	vcpu->vm = vm;
	vcpu->index = index;
	vcpu->resting = true;
	vcpu->quiet = vcpu->idle = VM_QUIET_NEVER;
	vcpu->task.run = vm_vcpu_run;
	vcpu->task.runs_long = true;
	cpuid_profile_build(&config, &vm->cpu, &vcpu->cpuid);
	offer = cpuid_profile_offer(&vcpu->cpuid);
	vcpu->physical_bits = (uint8_t)cpuid_profile_physical_bits(&vcpu->cpuid);
	vcpu->cr4_allowed = offer.cr4;
	vcpu->gigabyte_pages = cpuid_profile_has_gigabyte_pages(&vcpu->cpuid);
	status = lapic_create(vcpu);
	if (status == STATUS_OK)
		status = vcpu_create(vm->nested, &offer, &vcpu->vcpu);
	if (status == STATUS_OK)
		vcpu_set_tsc_ratio(vcpu->vcpu, vm->tsc_ratio);
	return status;
}

uint64_t vcpus_tsc_ratio(uint64_t tsc_hz)
{
	uint64_t host_hz = clock_calibration()->tsc_hz;

	if (tsc_hz == 0 || tsc_hz == host_hz)
		return VCPU_TSC_RATIO_ONE;
	return vcpu_tsc_ratio(tsc_hz / host_hz * VCPU_TSC_RATIO_ONE +
		mul_div_u64(tsc_hz % host_hz, VCPU_TSC_RATIO_ONE, host_hz));
}

enum status vcpus_create(struct vm *vm)
{
	enum status status = STATUS_OK;

	vm->vcpu_count = vm->config.vcpus;
	vm->tsc_hz = vm->config.tsc_hz != 0 ? vm->config.tsc_hz : clock_calibration()->tsc_hz;
	vm->tsc_ratio = vcpus_tsc_ratio(vm->config.tsc_hz);
	ASSERT(vm->tsc_ratio != 0);
	if (vm->config.cpu != NULL)
		vm->cpu = *vm->config.cpu;
	else
		cpuid_frozen_take(vm_config_keeps_position(&vm->config), &vm->cpu);
	for (uint32_t i = 0; i < vm->vcpu_count && status == STATUS_OK; i++)
		status = vcpu_part_create(vm, i);
	return status;
}

void vcpus_attach(struct vm *vm)
{
	for (uint32_t i = 0; i < vm->vcpu_count; i++)
		core_attach(vm->vcpus[i], vm->landing != NULL && i > 0
			? (uint8_t)vm->vcpus[0]->core->index : vm->config.pin[i]);
}

// A core that still has one may be about to kick the home: vcpu->core stays.
void vcpus_detach(struct vm *vm)
{
	ASSERT(vcpus_rest(vm));
	for (uint32_t i = 0; i < vm->vcpu_count; i++)
		core_detach(vm->vcpus[i]);
}

void vcpus_destroy(struct vm *vm)
{
	for (uint32_t i = 0; i < vm->vcpu_count; i++) {
		struct vm_vcpu *vcpu = vm->vcpus[i];

		if (vcpu == NULL)
			continue;
		if (vcpu->vcpu != NULL)
			vcpu_destroy(vcpu->vcpu);
		free(vcpu->lapic);
		mem_pages_free(vcpu, PAGES_OF(*vcpu));
		vm->vcpus[i] = NULL;
	}
}

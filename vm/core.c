// SPDX-License-Identifier: BSD-2-Clause
#include "vm/core.h"

#include "kernel/base/assert.h"
#include "kernel/clock.h"
#include "kernel/console.h"
#include "kernel/cpu.h"
#include "kernel/smp.h"

struct core cores[CPU_MAX];

struct start_call {
	enum status status;
	const char *reason;
};

static void core_start(struct core *core)
{
	core->usable = true;
	timer_add(&core->slice);
}

static void start(void *argument)
{
	struct start_call *call = argument;

	call->status = vcpu_engine_cpu_init(&call->reason);
	if (call->status == STATUS_OK)
		core_start(&cores[cpu_self()->index]);
}

enum status cores_init(const char **reason)
{
	enum status status = vcpu_engine_init(reason);

	if (status != STATUS_OK)
		return status;
	core_start(&cores[0]);
	for (uint32_t i = 1; i < cpu_count(); i++) {
		struct start_call call = {STATUS_OK, NULL};

		smp_call(cpu_get(i), start, &call);
		if (call.status != STATUS_OK)
			log_warn("CPU %u runs no guests: %s", i, call.reason);
	}
	return STATUS_OK;
}

static uint32_t core_choose(uint8_t pin)
{
	uint32_t chosen = CPU_MAX;

	if (pin != VM_PIN_ANY)
		return pin;
	for (uint32_t i = 0; i < cpu_count(); i++)
		if (cores[i].usable && !cores[i].reserved &&
			(chosen == CPU_MAX || cores[i].vcpus < cores[chosen].vcpus))
			chosen = i;
	return chosen;
}

static void attach(void *argument)
{
	struct vm_vcpu *vcpu = argument;

	timer_add(&vcpu->timer);
	loop_task_add(&vcpu->task);
}

static void detach(void *argument)
{
	struct vm_vcpu *vcpu = argument;

	vcpu_unload(vcpu->vcpu);
	loop_task_remove(&vcpu->task);
	timer_remove(&vcpu->timer);
}

void core_attach(struct vm_vcpu *vcpu, uint8_t pin)
{
	uint32_t index = core_choose(pin);

	ASSERT(index < cpu_count() && cores[index].usable);
	cores[index].vcpus++;
	vcpu->core = cpu_get(index);
	smp_call(vcpu->core, attach, vcpu);
}

void core_detach(struct vm_vcpu *vcpu)
{
	smp_call(vcpu->core, detach, vcpu);
	cores[vcpu->core->index].vcpus--;
}

bool core_slice_begin(struct core *core, uint64_t tsc)
{
	timer_set(&core->slice, tsc + clock_ns_to_tsc(CORE_SLICE_NS));
	return __atomic_exchange_n(&cpu_self()->attention, false, __ATOMIC_SEQ_CST);
}

void core_slice_end(struct core *core)
{
	timer_set(&core->slice, TIMER_NEVER);
}

// SPDX-License-Identifier: BSD-2-Clause
// Task switches that exit.
#include <string.h>

#include "kernel/console.h"
#include "kernel/x86.h"
#include "vm/task_switch.h"
#include "vm/vm.h"

#define DR6_BT BIT(15)

static void fault_inject(struct vm_vcpu *vcpu, const struct task_switch *task)
{
	const struct vmexit *exit = task->exit;

	// Without a new task yet, it is a fault during the delivery of the exception.
	if (!task->committed && exit->task.event == VCPU_EVENT_EXCEPTION)
		vcpu_inject_exception(vcpu->vcpu, exit->task.vector, exit->task.has_error_code,
			exit->task.error_code);
	if (task->vector == VECTOR_PF)
		vcpu_set_cr2(vcpu->vcpu, task->cr2);
	vcpu_inject_exception(vcpu->vcpu, task->vector, task->has_error_code, task->error_code);
}

void vm_exit_task_switch(struct vm_vcpu *vcpu, const struct vmexit *exit, uint64_t tsc)
{
	struct task_switch task = {
		.ram = &vcpu->vm->ram,
		.paging = &vcpu->paging,
		.exit = exit,
		.physical_bits = vcpu->physical_bits,
		.gigabyte_pages = vcpu->gigabyte_pages,
	};
	enum status status;

	(void)tsc;
	vcpu->code_memo = NULL;
	vm_paging_update(vcpu);
	vcpu_get_state(vcpu->vcpu, &task.state);
	task.state.has_pdptes = false; // they are those of the new task's CR3
	memset(task.state.pdpte, 0, sizeof(task.state.pdpte));
	task.state.event = (struct vcpu_event){.kind = VCPU_EVENT_NONE};
	status = task_switch_execute(&task);
	if (status == STATUS_OK || status == STATUS_FAULT) {
		if (status == STATUS_OK && task.trap)
			task.state.dr6 |= DR6_BT;
		if (task.committed && vcpu_set_state(vcpu->vcpu, &task.state) != STATUS_OK)
			status = STATUS_INVALID;
	}
	if (status == STATUS_FAULT) {
		fault_inject(vcpu, &task);
	} else if (status != STATUS_OK) {
		log_warn("%s: a task switch to %x leads where no memory is: reset", vcpu->vm->name,
			exit->task.selector);
		vm_request(vcpu->vm, DEVICE_REQUEST_RESET, 0);
	} else if (task.trap) {
		vcpu_inject_exception(vcpu->vcpu, VECTOR_DB, false, 0);
	}
}

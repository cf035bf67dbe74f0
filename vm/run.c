// SPDX-License-Identifier: BSD-2-Clause
// The run loop. One order in every mode:
//   1. deliver the events due at this position
//   2. choose the interrupt or exception to inject
//   3. enter the guest
//   4. handle the exit: device accesses go through the bus to the contract
//
// It runs as a task of the core's event loop and goes back there when a host interrupt asks for
// attention, when the guest waits in HLT with nothing to do, and when the machine stops.
#include "emul/i8259.h"
#include "emul/lapic.h"
#include "kernel/cpu.h"
#include "kernel/libc.h"
#include "kernel/x86.h"
#include "vm/vm.h"

// A pending NMI goes before interrupts: SDM vol. 3, table 6-2.
static bool nmi_choose(struct vm_vcpu *vcpu)
{
	if (vcpu_can_inject(vcpu->vcpu, VCPU_EVENT_NMI)) {
		vcpu->nmi_pending = false;
		vcpu->halted = false;
		vcpu_inject_nmi(vcpu->vcpu);
		return true;
	}
	vcpu_request_nmi_window(vcpu->vcpu);
	return false;
}

static uint8_t interrupt_acknowledge(struct vm_vcpu *vcpu, struct guest_time now)
{
	struct vm *vm = vcpu->vm;
	uint8_t vector;

	bus_enter(&vm->bus);
	if (lapic_pending_vector(vcpu->lapic) >= 0) {
		vector = lapic_acknowledge(vcpu->lapic);
	} else {
		vector = i8259_acknowledge(vm->pic, now);
		lapic_acknowledge_extint(vcpu->lapic);
	}
	bus_leave(vm, now);
	return vector;
}

static bool interrupt_is_pending(const struct vm_vcpu *vcpu)
{
	return lapic_pending_vector(vcpu->lapic) >= 0 || lapic_extint_pending(vcpu->lapic);
}

static void inject_choose(struct vm_vcpu *vcpu, struct guest_time now)
{
	if (unlikely(vcpu->nmi_pending) && nmi_choose(vcpu)) {
		if (interrupt_is_pending(vcpu))
			vcpu_request_interrupt_window(vcpu->vcpu);
		return;
	}
	if (!interrupt_is_pending(vcpu))
		return;
	if (vcpu_can_inject(vcpu->vcpu, VCPU_EVENT_INTERRUPT)) {
		vcpu->halted = false;
		vcpu_inject_interrupt(vcpu->vcpu, interrupt_acknowledge(vcpu, now));
		// An ExtINT has no priority that would hold the next one back until EOI.
		if (unlikely(interrupt_is_pending(vcpu)))
			vcpu_request_interrupt_window(vcpu->vcpu);
		return;
	}
	if (!vcpu->halted)
		vcpu_request_interrupt_window(vcpu->vcpu);
}

// CR8 moves without an exit; only when an interrupt waits for it to fall does a write exit.
static void tpr_give(struct vm_vcpu *vcpu)
{
	uint8_t tpr = lapic_get_tpr(vcpu->lapic) >> 4;

	if (unlikely(tpr != vcpu->tpr)) {
		vcpu->tpr = tpr;
		vcpu_set_tpr(vcpu->vcpu, tpr);
	}
	vcpu_intercept_tpr(vcpu->vcpu, lapic_is_blocked(vcpu->lapic));
}

static void tpr_take(struct vm_vcpu *vcpu)
{
	uint8_t tpr = vcpu_tpr(vcpu->vcpu);

	if (unlikely(tpr != vcpu->tpr)) {
		vcpu->tpr = tpr;
		lapic_set_tpr(vcpu->lapic, (uint8_t)(tpr << 4));
	}
}

static always_inline void host_timer_set(struct vm *vm)
{
	struct guest_time deadline = vm->queue.next_deadline;

	if (likely(deadline.ns == vm->timer_for.ns))
		return;
	vm->timer_for = deadline;
	if (deadline.ns == GUEST_TIME_NEVER.ns)
		timer_set(&vm->timer, TIMER_NEVER);
	else
		timer_set(&vm->timer, clock_ns_to_tsc(deadline.ns) + vm->tsc_base);
}

static void exit_note(struct vm_vcpu *vcpu, const struct vmexit *exit)
{
	struct vm_last_exit *last = &vcpu->last_exits[vcpu->exit_total++ % VM_LAST_EXITS];

	last->kind = exit->kind;
	last->rip = vcpu_rip(vcpu->vcpu);
	last->detail = exit->memory.gpa.v;
}

bool vm_run(struct loop_task *task)
{
	struct vm *vm = CONTAINER_OF(task, struct vm, task);
	struct vm_vcpu *vcpu = vm->vcpu;
	const struct cpu *cpu = cpu_self();
	bool heap_was_frozen, busy = true;

	if (vm->state != VM_RUNNING)
		return false;
	heap_was_frozen = libc_heap_freeze(true);
	while (!cpu->attention) {
		uint64_t entered = rdtsc(), left;
		struct guest_time now = vm_time(vm, entered);
		struct vmexit exit;
		struct vm_exit_count *count;

		if (event_queue_is_due(&vm->queue, now))
			event_queue_deliver(&vm->queue, now);
		if (unlikely(vm->requests != 0)) {
			libc_heap_freeze(false);
			vm_carry_out_requests(vm);
			libc_heap_freeze(true);
		}
		if (unlikely(vm->state != VM_RUNNING)) {
			busy = false;
			break;
		}
		inject_choose(vcpu, now);
		host_timer_set(vm);
		if (vcpu->halted) {
			busy = vm->queue.fifo_count != 0;
			if (!busy)
				break;
			continue;
		}
		tpr_give(vcpu);
		timer_program();
		vcpu_enter(vcpu->vcpu, &exit);
		left = rdtsc();
		tpr_take(vcpu);
		exit_note(vcpu, &exit);
		vm_exit_handle(vcpu, &exit, vm_time(vm, left));
		count = &vcpu->exit_counts[exit.kind];
		count->count++;
		count->ticks += rdtsc() - left;
	}
	libc_heap_freeze(heap_was_frozen);
	return busy;
}

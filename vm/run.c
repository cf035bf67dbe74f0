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
static void nmi_choose(struct vm_vcpu *vcpu)
{
	if (!vcpu_can_inject(vcpu->vcpu, VCPU_EVENT_NMI)) {
		vcpu_request_nmi_window(vcpu->vcpu);
		return;
	}
	vcpu->nmi_pending = false;
	vcpu->halted = false;
	vcpu_inject_nmi(vcpu->vcpu);
}

static uint8_t interrupt_acknowledge(struct vm_vcpu *vcpu, uint64_t tsc)
{
	struct vm *vm = vcpu->vm;
	struct guest_time now = vm_time(vm, tsc);
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

static __attribute__((noinline)) void interrupt_choose(struct vm_vcpu *vcpu, uint64_t tsc)
{
	if (vcpu_can_inject(vcpu->vcpu, VCPU_EVENT_INTERRUPT)) {
		vcpu->halted = false;
		vcpu_inject_interrupt(vcpu->vcpu, interrupt_acknowledge(vcpu, tsc));
		// An ExtINT has no priority that would hold the next one back until EOI.
		if (likely(!interrupt_is_pending(vcpu)))
			return;
	}
	if (!vcpu->halted)
		vcpu_request_interrupt_window(vcpu->vcpu);
}

static always_inline void inject_choose(struct vm_vcpu *vcpu, uint64_t tsc)
{
	if (unlikely(vcpu->nmi_pending))
		nmi_choose(vcpu);
	if (unlikely(interrupt_is_pending(vcpu)))
		interrupt_choose(vcpu, tsc);
}

// CR8 moves without an exit; only when an interrupt waits for it to fall does a write exit.
static always_inline void tpr_give(struct vm_vcpu *vcpu)
{
	uint8_t tpr = lapic_get_tpr(vcpu->lapic) >> 4;
	bool blocked = lapic_is_blocked(vcpu->lapic);

	if (unlikely(tpr != vcpu->tpr)) {
		vcpu->tpr = tpr;
		vcpu_set_tpr(vcpu->vcpu, tpr);
	}
	if (unlikely(blocked != vcpu->tpr_intercepted)) {
		vcpu->tpr_intercepted = blocked;
		vcpu_intercept_tpr(vcpu->vcpu, blocked);
	}
}

static always_inline void tpr_take(struct vm_vcpu *vcpu, uint8_t tpr)
{
	if (unlikely(tpr != vcpu->tpr)) {
		vcpu->tpr = tpr;
		lapic_set_tpr(vcpu->lapic, (uint8_t)(tpr << 4));
	}
}

static void host_timer_move(struct vm *vm)
{
	struct guest_time deadline = vm->queue.next_deadline;
	uint64_t ticks = TIMER_NEVER;

	vm->timer_for = deadline;
	if (deadline.ns != GUEST_TIME_NEVER.ns)
		ticks = clock_ns_to_tsc(deadline.ns); // as good as never: saturates
	timer_set(&vm->timer,
		ticks < TIMER_NEVER - vm->tsc_base ? ticks + vm->tsc_base : TIMER_NEVER);
}

// The deadline in host time, for the timer and for the run loop's own look.
static always_inline void host_timer_set(struct vm *vm)
{
	if (unlikely(vm->queue.next_deadline.ns != vm->timer_for.ns))
		host_timer_move(vm);
}

static always_inline bool delivery_is_due(const struct vm *vm, uint64_t tsc)
{
	return vm->queue.fifo_count != 0 || tsc >= vm->timer.deadline || vm->requests != 0;
}

static always_inline void exit_note(struct vm_vcpu *vcpu, const struct vmexit *exit)
{
	struct vm_last_exit *last = &vcpu->last_exits[vcpu->exit_total++ % VM_LAST_EXITS];

	last->rip = exit->rip;
	last->kind = exit->kind;
}

// Steps 1 and 2, and whatever was asked of the machine meanwhile. False: it does not go on.
static __attribute__((noinline)) bool deliver(struct vm *vm, uint64_t tsc)
{
	struct guest_time now = vm_time(vm, tsc);

	if (event_queue_is_due(&vm->queue, now))
		event_queue_deliver(&vm->queue, now);
	if (unlikely(vm->requests != 0)) {
		libc_heap_freeze(false);
		vm_carry_out_requests(vm);
		libc_heap_freeze(true);
	}
	host_timer_set(vm);
	return vm->state == VM_RUNNING;
}

// Enters the guest until something other than its own exits wants the core. True: there is more
// to do at once.
static bool run_until_attention(struct vm *vm, struct vm_vcpu *vcpu, const struct cpu *cpu)
{
	struct vm_exit_count *count = NULL;
	uint64_t left = 0;

	for (;;) {
		uint64_t tsc = rdtsc();
		struct vmexit exit;

		if (likely(count != NULL))
			count->ticks += tsc - left;
		count = NULL;
		host_timer_set(vm);
		if (unlikely(delivery_is_due(vm, tsc)) && !deliver(vm, tsc))
			return false;
		inject_choose(vcpu, tsc);
		if (unlikely(vcpu->halted)) {
			if (cpu->attention || vm->queue.fifo_count == 0)
				return cpu->attention;
			continue;
		}
		tpr_give(vcpu);
		if (unlikely(timer_needs_program()))
			timer_program();
		vcpu_enter(vcpu->vcpu, &exit);
		left = rdtsc();
		tpr_take(vcpu, exit.tpr);
		exit_note(vcpu, &exit);
		vm_exit_handlers[exit.kind](vcpu, &exit, left);
		count = &vcpu->exit_counts[exit.kind];
		count->count++;
		if (unlikely(vm->state != VM_RUNNING))
			return false;
		// Only a host interrupt can have raised it, and the entry looks once more.
		if (exit.kind == VMEXIT_INTERRUPT && cpu->attention)
			return true;
	}
}

bool vm_run(struct loop_task *task)
{
	struct vm *vm = CONTAINER_OF(task, struct vm, task);
	bool heap_was_frozen, busy;

	if (vm->state != VM_RUNNING)
		return false;
	vcpu_load(vm->vcpu->vcpu);
	heap_was_frozen = libc_heap_freeze(true);
	busy = run_until_attention(vm, vm->vcpu, cpu_self());
	libc_heap_freeze(heap_was_frozen);
	return busy;
}

// SPDX-License-Identifier: BSD-2-Clause
// The run loop of a vcpu. One order in every mode:
//   1. attend: deliver the events due at this position, take what other cores have signalled
//   2. choose the interrupt or exception to inject
//   3. enter the guest
//   4. handle the exit: device accesses go through the bus to the contract
//
// It runs as a task of its core's event loop and goes back there when a host interrupt asks for
// attention, when the guest waits in HLT with nothing to do, and when the vcpu shall rest.
#include "emul/i8259.h"
#include "kernel/cpu.h"
#include "kernel/libc.h"
#include "kernel/x86.h"
#include "vm/core.h"
#include "vm/landing_internal.h"
#include "vm/local_apic.h"
#include "vm/save_load_test.h"

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

	if (likely(lapic_pending_vector(vcpu->lapic) >= 0)) {
		local_apic_enter(vcpu);
		vector = lapic_acknowledge(vcpu->lapic);
		local_apic_leave(vcpu, now);
		return vector;
	}
	bus_enter(&vm->bus);
	vector = i8259_acknowledge(vm->pic, now);
	local_apic_enter(vcpu);
	lapic_acknowledge_extint(vcpu->lapic);
	local_apic_leave(vcpu, now);
	bus_leave(vm, now);
	return vector;
}

static bool interrupt_is_pending(const struct vm_vcpu *vcpu)
{
	return lapic_pending_vector(vcpu->lapic) >= 0 || lapic_extint_pending(vcpu->lapic);
}

static void interrupt_choose(struct vm_vcpu *vcpu, uint64_t tsc)
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

// CR8 moves without an exit; only when an interrupt waits for it to fall does a write exit.
static void tpr_give(struct vm_vcpu *vcpu)
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

// False: the vcpu has nothing to do.
static __attribute__((noinline)) bool inject_choose(struct vm_vcpu *vcpu, uint64_t tsc)
{
	bool busy;

	if (unlikely(vcpu->nmi_pending))
		nmi_choose(vcpu);
	if (interrupt_is_pending(vcpu))
		interrupt_choose(vcpu, tsc);
	tpr_give(vcpu);
	busy = !vcpu->halted && !vcpu->waits_for_startup;
	vcpu->quiet = busy && !vcpu->nmi_pending && !interrupt_is_pending(vcpu)
		? lapic_word(vcpu->lapic) : VM_QUIET_NEVER;
	if (!busy)
		vcpu->idle = lapic_word(vcpu->lapic);
	return busy;
}

static always_inline void exit_note(struct vm_vcpu *vcpu, const struct vmexit *exit)
{
	struct vm_last_exit *last = &vcpu->last_exits[vcpu->exit_total++ % VM_LAST_EXITS];

	last->rip = exit->rip;
	last->kind = exit->kind;
}

static __attribute__((noinline)) bool queue_deliver(struct vm *vm, struct guest_time now)
{
	uint64_t start = rdtsc();
	bool done;

	event_queue_deliver(&vm->queue, now);
	done = vm->queue.fifo_count == 0;
	bus_leave(vm, now);
	vm->delivered += rdtsc() - start;
	return done;
}

// Of the home: what the machine's event queue has for this moment. False: handlers have queued
// more, which comes before the guest goes on, and after whatever else this core has to do.
static always_inline bool events_deliver(struct vm *vm, struct guest_time now)
{
	bus_enter(&vm->bus);
	if (event_queue_is_due(&vm->queue, now))
		return queue_deliver(vm, now);
	bus_leave(vm, now);
	return true;
}

static bool anything_arrived(const struct vm *vm)
{
	return backend_any_done(&vm->requests_out) || packet_any(vm);
}

static __attribute__((noinline)) void arrived_take(struct vm_vcpu *vcpu)
{
	uint64_t start = rdtsc();

	outside_take_arrived(vcpu->vm);
	vcpu->vm->delivered += rdtsc() - start;
	if (anything_arrived(vcpu->vm)) // the event queue is full
		vm_vcpu_signal(vcpu, VM_SIGNAL_EVENTS);
}

static void signals_take(struct vm_vcpu *vcpu, struct guest_time now)
{
	uint32_t signals = local_apic_take_signals(vcpu, now);

	if (unlikely((signals & VM_SIGNAL_TEST) != 0))
		__atomic_fetch_or(&vcpu->signals, VM_SIGNAL_TEST, __ATOMIC_RELAXED);
	if (vcpu->index == 0 && vcpu->vm->landing == NULL &&
		unlikely(anything_arrived(vcpu->vm)))
		arrived_take(vcpu);
	if ((signals & VM_SIGNAL_INIT) != 0)
		vm_vcpu_init(vcpu, now);
	if ((signals & VM_SIGNAL_STARTUP) != 0)
		vm_vcpu_startup(vcpu);
	// A vcpu that waits for STARTUP takes nothing else: SDM vol. 3, 9.4.2.
	if ((signals & VM_SIGNAL_NMI) != 0 && !vcpu->waits_for_startup) {
		vcpu->nmi_pending = true;
		vcpu->quiet = VM_QUIET_NEVER;
	}
}

static void lapic_timer_expire(struct vm_vcpu *vcpu, struct guest_time now)
{
	if (vcpu->lapic_deadline.ns > now.ns)
		return;
	vcpu->lapic_deadline = GUEST_TIME_NEVER;
	local_apic_enter(vcpu);
	vcpu->lapic->model->timer(vcpu->lapic, now, LAPIC_TIMER);
	local_apic_leave(vcpu, now);
}

// Of a machine whose position is kept: whoever has the turn sees to all that is due.
static __attribute__((noinline)) bool attend_turn(struct vm_vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	enum outside_taken taken = outside_take(vcpu);
	struct guest_time now = vm_time(vm, landing_now(vm));
	bool done = events_deliver(vm, now);

	if (taken == OUTSIDE_LATER)
		landing_step_next(vm); // the next boundary comes soon
	if (taken != OUTSIDE_NONE)
		vm_vcpu_signal(vcpu, VM_SIGNAL_EVENTS); // look again
	done = done && taken != OUTSIDE_TAKEN && !vm->outside.given;
	vm->outside.given = false;
	for (uint32_t i = 0; i < vm->vcpu_count; i++) {
		if (vm->vcpus[i]->lapic_deadline.ns <= now.ns)
			landing_wake(vm->vcpus[i]);
		lapic_timer_expire(vm->vcpus[i], now);
	}
	if ((vcpu->signals & (VM_SIGNAL_MAIL | VM_SIGNAL_NMI | VM_SIGNAL_INIT |
		VM_SIGNAL_STARTUP)) != 0) // an event's, and for this boundary
		signals_take(vcpu, now);
	vm_vcpu_timer_update(vcpu);
	// Where an event, or an INIT, asked for a reset: nobody enters before that any more.
	if (unlikely(__atomic_load_n(&vm->requests, __ATOMIC_ACQUIRE) != 0)) {
		vm_run_update(vm);
		return false;
	}
	if (!done)
		return false;
	return !landing_turn_is_over(vm) || !landing_pass_turn(vcpu);
}

// Step 1. False: the vcpu shall rest, or its turn is over.
static __attribute__((noinline)) bool attend(struct vm_vcpu *vcpu, uint64_t tsc)
{
	struct vm *vm = vcpu->vm;
	struct guest_time now = vm_time(vm, tsc);

	// Whoever asked for a reset or the like does not go on until the home has seen to it.
	if (unlikely(__atomic_load_n(&vm->requests, __ATOMIC_ACQUIRE) != 0)) {
		if (vcpu->index == 0 || vm->landing != NULL)
			vm_run_update(vm);
		return false;
	}
	if (unlikely(!__atomic_load_n(&vm->run, __ATOMIC_ACQUIRE)))
		return false;
	if (unlikely((vcpu->signals & VM_SIGNAL_TEST) != 0) && save_load_is_due(vcpu, tsc))
		return false;
	if (vcpu->signals != 0)
		signals_take(vcpu, now);
	if (unlikely(vm->landing != NULL))
		return attend_turn(vcpu);
	if (vcpu->index == 0 && !events_deliver(vm, now))
		return false;
	lapic_timer_expire(vcpu, now);
	vm_vcpu_timer_update(vcpu);
	return true;
}

// Enters the guest until something other than its own exits wants the core. True: there is more
// to do at once. `precise`: the vcpu's position is kept (vm/landing.h).
static always_inline bool run_until_attention(struct vm_vcpu *vcpu, const struct cpu *cpu,
	const bool precise)
{
	struct vm_exit_count *count = NULL;
	uint64_t left = 0;

	for (;;) {
		uint64_t tsc = precise ? landing_time_of(vcpu->vm) : rdtsc();
		bool calm = precise && landing_is_calm(vcpu->vm, tsc);
		struct vmexit exit;

		if (likely(count != NULL))
			count->ticks += tsc - left;
		count = NULL;
		if (precise && !calm)
			landing_at_boundary(vcpu);
		if (unlikely(vcpu->signals != 0 || tsc >= vcpu->timer.deadline ||
			    (precise && !calm && landing_turn_is_over(vcpu->vm)))) {
			if (!attend(vcpu, tsc))
				return true;
			if (precise) // a wait may have come to its end
				tsc = landing_time_of(vcpu->vm);
		}
		if (unlikely(lapic_word(vcpu->lapic) != vcpu->quiet) && !inject_choose(vcpu, tsc)) {
			if ((vcpu->signals & ~(uint32_t)VM_SIGNAL_TEST) != 0)
				continue;
			if (!precise)
				return cpu->attention;
			if (landing_pass_turn(vcpu))
				return true;
			if (!landing_idle(vcpu))
				return cpu->attention;
			continue;
		}
		if (precise && !landing_before_entry(vcpu, tsc))
			continue;
		if (unlikely(timer_needs_program()))
			timer_program();
		vcpu_enter(vcpu->vcpu, &exit);
		if (precise)
			landing_at_exit(vcpu, &exit);
		left = precise ? landing_time_of(vcpu->vm) : rdtsc();
		tpr_take(vcpu, exit.tpr);
		exit_note(vcpu, &exit);
		vm_exit_handlers[exit.kind](vcpu, &exit, left);
		if (precise)
			landing_after_exit(vcpu, &exit);
		count = &vcpu->exit_counts[exit.kind];
		count->count++;
		// Only a host interrupt can have raised it, and the entry looks once more.
		if (exit.kind == VMEXIT_INTERRUPT && cpu->attention)
			return true;
	}
}

static always_inline bool run_here(struct vm_vcpu *vcpu, struct cpu *cpu,
	const bool precise)
{
	bool heap_was_frozen, busy;

	vcpu_load(vcpu->vcpu);
	heap_was_frozen = libc_heap_freeze(cpu, true);
	vcpu->in_run = true;
	if (precise) // the host's timer may have come, for this
		landing_disturb(vcpu->vm);
	busy = run_until_attention(vcpu, cpu, precise);
	vcpu->in_run = false;
	libc_heap_freeze(cpu, heap_was_frozen);
	return busy;
}

// Nothing that a look at it could change: it waits for an interrupt, and none has come.
static bool is_idle(const struct vm_vcpu *vcpu, uint64_t tsc)
{
	return (vcpu->halted || vcpu->waits_for_startup) && vcpu->signals == 0 &&
		!vcpu->nmi_pending && tsc < vcpu->timer.deadline &&
		(vcpu->waits_for_startup || !interrupt_is_pending(vcpu));
}

// On a core that has several: while one waits for another with PAUSE, the other shall run.
static bool run_slice(struct vm_vcpu *vcpu, struct cpu *cpu, struct core *core)
{
	uint64_t tsc = rdtsc();
	bool again, busy;

	if (is_idle(vcpu, tsc))
		return false;
	if (unlikely(!vcpu->pause_intercepted)) {
		vcpu->pause_intercepted = true;
		vcpu_load(vcpu->vcpu);
		vcpu_intercept_pause(vcpu->vcpu, VCPU_PAUSE_LOOPS);
	}
	again = core_slice_begin(core, tsc);
	busy = run_here(vcpu, cpu, false);
	core_slice_end(core);
	return busy || again;
}

bool vm_vcpu_run(struct loop_task *task)
{
	struct vm_vcpu *vcpu = CONTAINER_OF(task, struct vm_vcpu, task);
	struct cpu *cpu = cpu_self();
	struct core *core = &cores[cpu->index];

	if (unlikely(!__atomic_load_n(&vcpu->vm->run, __ATOMIC_ACQUIRE)))
		return vm_vcpu_rest(vcpu);
	if (unlikely(vcpu->resting) && !vm_vcpu_wake(vcpu))
		return true;
	if (unlikely(core->vcpus > 1))
		return run_slice(vcpu, cpu, core);
	if (unlikely(vcpu->pause_intercepted)) {
		vcpu->pause_intercepted = false;
		vcpu_load(vcpu->vcpu);
		vcpu_intercept_pause(vcpu->vcpu, VCPU_PAUSE_NEVER);
	}
	return run_here(vcpu, cpu, false);
}

// It has no slices, and leaves the core to others at a host interrupt alone.
bool vm_vcpu_run_precisely(struct loop_task *task)
{
	struct vm_vcpu *vcpu = CONTAINER_OF(task, struct vm_vcpu, task);

	if (!__atomic_load_n(&vcpu->vm->run, __ATOMIC_ACQUIRE))
		return vm_vcpu_rest(vcpu);
	if (vcpu->resting && !vm_vcpu_wake(vcpu))
		return true;
	return landing_turn(vcpu->vm) == vcpu && run_here(vcpu, cpu_self(), true);
}

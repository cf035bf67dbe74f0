// SPDX-License-Identifier: BSD-2-Clause
// Events into the guest, and the moments at which they may come. SDM vol. 3, 25.8.3 (injection),
// 26.2 (windows), 27.6 (delivery), 28.2.4 (events that an exit interrupted).
//
// An event waits in the vcpu until the entry itself, with interrupts off: what the control
// structure holds is always delivered, or came back at the exit.
//
// A step (vcpu_request_step) is the monitor trap flag's. Without it the preemption timer does it,
// on implementations whose timer counts instructions: with the value n it leaves the guest after
// n - 1. After an event both exit before the first instruction of its handler.
#include "vmx/vmx.h"

#include "kernel/base/assert.h"

enum { TIMER_NO_INSTRUCTION = 1, TIMER_ONE_INSTRUCTION = 2 };

bool vmx_event_pending(const struct vcpu *vcpu)
{
	return vmx_of(vcpu)->has_event;
}

bool vmx_can_inject(const struct vcpu *vcpu, enum vcpu_event_kind kind)
{
	uint64_t blocked;

	if (unlikely(vmx_of(vcpu)->has_event))
		return false;
	if (kind == VCPU_EVENT_EXCEPTION)
		return true;
	blocked = vmx_cached(vcpu, VMX_INTERRUPTIBILITY);
	if ((blocked & VMX_BLOCKED_SHADOW) != 0)
		return false;
	return kind == VCPU_EVENT_NMI ? (blocked & VMX_BLOCKED_NMI) == 0
				      : (vmx_cached(vcpu, VMX_RFLAGS) & RFLAGS_IF) != 0;
}

static void event_set(struct vmx_vcpu *vmx, uint32_t event, uint32_t error)
{
	vmx->event = event | (uint32_t)VMX_EVENT_VALID;
	vmx->event_error = error;
	vmx->event_length = 0;
	vmx->has_event = true;
}

void vmx_inject_interrupt(struct vcpu *vcpu, uint8_t vector)
{
	ASSERT(!vmx_event_pending(vcpu));
	event_set(vmx_of(vcpu), VMX_EVENT_INTERRUPT | vector, 0);
}

void vmx_inject_nmi(struct vcpu *vcpu)
{
	ASSERT(vmx_can_inject(vcpu, VCPU_EVENT_NMI));
	event_set(vmx_of(vcpu), VMX_EVENT_NMI | VECTOR_NMI, 0);
}

// RFLAGS.RF in what a fault pushes keeps an instruction breakpoint from coming twice: SDM vol. 3,
// 18.3.1.1. #DB's is as the exit left it.
static bool is_fault(uint8_t vector)
{
	return (BIT(vector) & (BIT(VECTOR_DB) | BIT(VECTOR_NMI) | BIT(VECTOR_BP) | BIT(VECTOR_OF) |
		BIT(VECTOR_DF) | BIT(VECTOR_MC))) == 0;
}

void vmx_inject_exception(struct vcpu *vcpu, uint8_t vector, bool has_error_code,
	uint32_t error_code)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);
	uint8_t length = vmx->icebp_length;

	ASSERT(vector < 32);
	vcpu->breakpoint_hits = 0; // a fault: the instruction is not finished
	if (vmx->has_event && (vmx->event & VMX_EVENT_TYPE) == VMX_EVENT_EXCEPTION) {
		enum fault_pair pair =
			vcpu_fault_pair(vmx->event & VMX_EVENT_VECTOR, vector);

		if (pair == FAULTS_TRIPLE) {
			vmx->has_event = false;
			vmx->triple_fault = true;
			return;
		}
		if (pair == FAULTS_DOUBLE) {
			vector = VECTOR_DF;
			has_error_code = true;
			error_code = 0;
		}
	}
	if (is_fault(vector) && (vmx_cached(vcpu, VMX_RFLAGS) & RFLAGS_RF) == 0)
		vmx_cached_set(vcpu, VMX_RFLAGS, vmx_cached(vcpu, VMX_RFLAGS) | RFLAGS_RF);
	vmx->icebp_length = 0;
	if (vector == VECTOR_DB && length != 0) {
		event_set(vmx, VMX_EVENT_PRIVILEGED | VECTOR_DB, 0);
		vmx->event_length = length;
		return;
	}
	event_set(vmx, VMX_EVENT_EXCEPTION | vector | (has_error_code ? VMX_EVENT_HAS_ERROR : 0),
		error_code);
}

void vmx_request_interrupt_window(struct vcpu *vcpu)
{
	vmx_of(vcpu)->interrupt_window = true;
}

void vmx_request_nmi_window(struct vcpu *vcpu)
{
	vmx_of(vcpu)->nmi_window = true;
}

void vmx_request_step(struct vcpu *vcpu)
{
	vmx_of(vcpu)->step = true;
}

// The timer leaves the guest a tick before its value: see above.
bool vmx_limit(struct vcpu *vcpu, uint64_t ticks)
{
	uint64_t value = ticks >> vmx_features.timer_shift;

	ASSERT(vmx_of(vcpu)->counting);
	if (!vmx_features.timer || value < TIMER_ONE_INSTRUCTION)
		return false;
	vmx_of(vcpu)->limit = value < UINT32_MAX ? (uint32_t)value : UINT32_MAX;
	return true;
}

// Exceptions have no error code in real mode, and an entry refuses one: 27.2.1.3.
static void event_write(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);
	uint32_t event = vmx->event;

	if ((event & VMX_EVENT_HAS_ERROR) != 0 && (vmx->cr0 & CR0_PE) == 0)
		event &= ~VMX_EVENT_HAS_ERROR;
	if ((event & VMX_EVENT_HAS_ERROR) != 0)
		vmx_write(VMCS_ENTRY_EVENT_ERROR, vmx->event_error);
	if (vmx->event_length != 0)
		vmx_write(VMCS_ENTRY_EVENT_LENGTH, vmx->event_length);
	vmx_write(VMCS_ENTRY_EVENT, event);
}

static void windows_write(struct vmx_vcpu *vmx)
{
	uint32_t proc = vmx->proc_always, timer = vmx->stay;

	if (vmx->step) // a write of DR7 is a step too
		vmx->vcpu.breakpoints_possible = true;
	if (vmx->vcpu.breakpoints_possible)
		proc &= ~(uint32_t)VMX_PROC_MOV_DR;
	if (vmx->interrupt_window)
		proc |= (uint32_t)VMX_PROC_INTERRUPT_WINDOW;
	if (vmx->nmi_window)
		proc |= (uint32_t)VMX_PROC_NMI_WINDOW;
	if (unlikely(vmx->limit != 0)) {
		timer = vmx->limit < timer ? vmx->limit : timer;
		vmx->limit = 0;
	}
	if (vmx->step && vmx_features.mtf) {
		proc |= (uint32_t)VMX_PROC_MTF;
	} else if (vmx->step) {
		ASSERT(vmx_features.timer);
		timer = vmx->has_event ? TIMER_NO_INSTRUCTION : TIMER_ONE_INSTRUCTION;
	}
	if (proc != vmx->proc)
		vmx_write(VMCS_PROC_CONTROLS, proc);
	if (timer != vmx->timer)
		vmx_write(VMCS_PREEMPTION_TIMER, timer);
	vmx->proc = proc;
	vmx->timer = timer;
	vmx->armed = vmx->interrupt_window || vmx->nmi_window || vmx->step;
}

// The exit comes when the guest's priority falls below the threshold: any fall may let through what
// waits. It cannot be above the present priority: 27.2.1.1.
static void threshold_write(struct vmx_vcpu *vmx)
{
	uint32_t threshold = vmx_tpr(vmx);

	if (threshold != vmx->tpr_threshold)
		vmx_write(VMCS_TPR_THRESHOLD, threshold);
	vmx->tpr_threshold = threshold;
}

bool vmx_event_prepare(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);

	if (vmx->triple_fault)
		return false;
	if (vmx->has_event)
		event_write(vcpu);
	windows_write(vmx);
	if (vmx->tpr_intercepted)
		threshold_write(vmx);
	if (vmx->flush) {
		bool done = invvpid(vmx_features.invvpid, vmx->vpid);

		ASSERT(done);
		vmx->flush = false;
	}
	vmx->stepped = vmx->step; // the entry after a step comes by here: it is armed
	vmx->step_event = vmx->has_event;
	vmx->step_rip = vmx->rip;
	return true;
}

void vmx_event_done(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);

	vmx->interrupt_window = vmx->nmi_window = vmx->step = vmx->has_event = false;
}

// Software interrupts, INT1, INT3 and INTO are not kept: RIP still points to their instruction,
// which will run again.
void vmx_event_collect(struct vcpu *vcpu, bool unblocked)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);
	uint32_t vectoring = (uint32_t)vmx_read(VMCS_VECTORING), type = vectoring & VMX_EVENT_TYPE;
	uint64_t blocked;

	if (likely((vectoring & VMX_EVENT_VALID) == 0 && !unblocked))
		return;
	blocked = vmx_cached(vcpu, VMX_INTERRUPTIBILITY);
	if ((vectoring & VMX_EVENT_VALID) == 0) { // IRET did not complete: still blocked. 28.2.3
		vmx_cached_set(vcpu, VMX_INTERRUPTIBILITY, blocked | VMX_BLOCKED_NMI);
		return;
	}
	if (type == VMX_EVENT_NMI) { // delivered again, which blocks again: 27.3.1.5
		vmx_cached_set(vcpu, VMX_INTERRUPTIBILITY, blocked & ~(uint64_t)VMX_BLOCKED_NMI);
	} else if (type != VMX_EVENT_INTERRUPT && type != VMX_EVENT_EXCEPTION) {
		return;
	}
	event_set(vmx, vectoring & (VMX_EVENT_VECTOR | VMX_EVENT_TYPE | VMX_EVENT_HAS_ERROR),
		(vectoring & VMX_EVENT_HAS_ERROR) != 0 ? (uint32_t)vmx_read(VMCS_VECTORING_ERROR)
						       : 0);
}

// By enum vcpu_event_kind; 0 has no meaning but for interrupts.
static const uint16_t event_types[] = {[VCPU_EVENT_INTERRUPT] = VMX_EVENT_INTERRUPT,
	[VCPU_EVENT_NMI] = VMX_EVENT_NMI, [VCPU_EVENT_EXCEPTION] = VMX_EVENT_EXCEPTION,
	[VCPU_EVENT_SOFTWARE] = VMX_EVENT_SOFTWARE_INTERRUPT,
	[VCPU_EVENT_ICEBP] = VMX_EVENT_PRIVILEGED};

void vmx_event_get(const struct vcpu *vcpu, struct vcpu_event *event)
{
	const struct vmx_vcpu *vmx = vmx_of(vcpu);
	unsigned kind = VCPU_EVENT_INTERRUPT;

	if (!vmx->has_event)
		return;
	while (kind < ARRAY_COUNT(event_types) - 1 &&
		event_types[kind] != (vmx->event & VMX_EVENT_TYPE))
		kind++;
	ASSERT(event_types[kind] == (vmx->event & VMX_EVENT_TYPE));
	event->kind = (uint8_t)kind;
	event->vector = vmx->event & VMX_EVENT_VECTOR;
	event->has_error_code = (vmx->event & VMX_EVENT_HAS_ERROR) != 0 &&
		(vmx->cr0 & CR0_PE) != 0; // as event_write has it
	event->length = vmx->event_length;
	event->error_code = event->has_error_code ? vmx->event_error : 0;
}

void vmx_event_restore(struct vcpu *vcpu, const struct vcpu_state *state)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);
	const struct vcpu_event *event = &state->event;

	vmx->has_event = false;
	vmx->icebp_length = 0;
	vmx_write(VMCS_ENTRY_EVENT, 0);
	if (event->kind != VCPU_EVENT_NONE) {
		ASSERT(event->kind < ARRAY_COUNT(event_types));
		event_set(vmx, event_types[event->kind] | event->vector |
				(event->has_error_code ? VMX_EVENT_HAS_ERROR : 0),
			event->error_code);
		vmx->event_length = event->length;
	} else if (state->offered != 0) {
		event_set(vmx, VMX_EVENT_INTERRUPT | (state->offered & VMX_EVENT_VECTOR), 0);
	}
	if (vmx->has_event)
		event_write(vcpu);
}

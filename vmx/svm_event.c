// SPDX-License-Identifier: BSD-2-Clause
// Events into the guest, and the moments at which they may come.
//
// Exceptions and NMIs are injected through EVENTINJ. Hardware interrupts are offered through V_IRQ
// when the guest can take them at once: one known implementation delivers an interrupt of EVENTINJ
// a second time when it is disturbed before the next exit. V_IRQ with its intercept serves as the
// window as well: it exits before it is delivered. Where both are wanted, EVENTINJ has the
// interrupt and V_IRQ the window.
//
// Interrupt shadow: the control block tells it at an exit, but not every implementation honours it
// at the next entry. So while an event waits and the shadow is on, the guest runs one instruction
// under TF; its #DB is intercepted and is the end of the shadow. The same step passes the IRET that
// ends an NMI when another NMI waits. What PUSHF saw of TF is put right
// afterwards (exit_step in vm/exit.c). Not handled: POPF and IRET in a shadow that set TF, and what
// INT n and SYSCALL store there.
#include "vmx/svm.h"

#include "kernel/base/assert.h"
#include "kernel/x86.h"

// A virtual interrupt above every priority; the mask holds the vector too.
#define V_OFFER      (SVM_V_IRQ | SVM_V_IGN_TPR | 0xfull << SVM_V_PRIO_SHIFT)
#define V_OFFER_MASK (V_OFFER | 0xffull << SVM_V_VECTOR_SHIFT)

#define DR6_BREAKPOINTS 15ull // B0 to B3
#define DR6_BS          BIT(14)

bool vcpu_event_pending(const struct vcpu *vcpu)
{
	return (vcpu->event | vcpu->offered) != 0;
}

bool vcpu_can_inject(const struct vcpu *vcpu, enum vcpu_event_kind kind)
{
	const struct svm_vmcb *vmcb = vcpu->vmcb;

	if (unlikely((vcpu->event | vcpu->offered) != 0))
		return false;
	if (kind == VCPU_EVENT_EXCEPTION)
		return true;
	if ((vmcb->interrupt_shadow & 1) != 0)
		return false;
	return kind == VCPU_EVENT_NMI ? !vcpu->nmi_blocked : (vmcb->rflags & RFLAGS_IF) != 0;
}

void vcpu_inject_interrupt(struct vcpu *vcpu, uint8_t vector)
{
	struct svm_vmcb *vmcb = vcpu->vmcb;

	ASSERT(!vcpu_event_pending(vcpu));
	vcpu->offered = SVM_EVENT_VALID | vector;
	vmcb->virtual_interrupt = (vmcb->virtual_interrupt & ~V_OFFER_MASK) | V_OFFER |
		(uint64_t)vector << SVM_V_VECTOR_SHIFT;
	svm_dirty(vcpu, SVM_CLEAN_TPR);
}

void vcpu_inject_nmi(struct vcpu *vcpu)
{
	ASSERT(!vcpu_event_pending(vcpu) && !vcpu->nmi_blocked);
	svm_event_set(vcpu, SVM_EVENT_VALID | SVM_EVENT_TYPE_NMI | VECTOR_NMI);
	vcpu->nmi_blocked = true;
}

// SDM vol. 3, table 6-4: contributory exceptions.
static bool is_contributory(uint64_t vector)
{
	return vector == VECTOR_DE || (vector >= VECTOR_TS && vector <= VECTOR_GP);
}

void vcpu_inject_exception(struct vcpu *vcpu, uint8_t vector, bool has_error_code,
	uint32_t error_code)
{
	uint64_t before = vcpu->event | vcpu->offered, first = before & SVM_EVENT_VECTOR_MASK;

	if ((before & SVM_EVENT_TYPE_MASK) == SVM_EVENT_TYPE_EXCEPTION && before != 0) {
		bool serious = is_contributory(vector) || vector == VECTOR_PF;

		if (first == VECTOR_DF && serious) { // SDM vol. 3, 6.15 (#DF): shutdown
			svm_event_set(vcpu, 0);
			vcpu->triple_fault = true;
			return;
		}
		if ((is_contributory(first) && is_contributory(vector)) ||
			(first == VECTOR_PF && serious)) {
			vector = VECTOR_DF;
			has_error_code = true;
			error_code = 0;
		}
	}
	svm_event_set(vcpu, SVM_EVENT_VALID | SVM_EVENT_TYPE_EXCEPTION | vector |
			(has_error_code ? SVM_EVENT_ERROR_VALID : 0) |
			(uint64_t)error_code << SVM_EVENT_ERROR_SHIFT);
}

void vcpu_request_interrupt_window(struct vcpu *vcpu)
{
	vcpu->interrupt_window = true;
}

void vcpu_request_nmi_window(struct vcpu *vcpu)
{
	vcpu->nmi_window = true;
}

static void step_begin(struct vcpu *vcpu, bool over_iret)
{
	struct svm_vmcb *vmcb = vcpu->vmcb;

	vcpu->stepping = true;
	vcpu->step_over_iret = over_iret;
	vcpu->step_guest_tf = (vmcb->rflags & RFLAGS_TF) != 0;
	vcpu->step_rip = vmcb->rip;
	vcpu->step_dr6 = vmcb->dr6;
	vmcb->rflags |= RFLAGS_TF;
	// A fault of the stepped instruction would push our TF: it is injected without it.
	vmcb->intercept_exceptions = UINT32_MAX;
	svm_dirty(vcpu, SVM_CLEAN_INTERCEPTS);
}

void svm_step_cancel(struct vcpu *vcpu)
{
	vcpu->stepping = false;
	vcpu->vmcb->intercept_exceptions = SVM_EXCEPTIONS_INTERCEPTED;
	svm_dirty(vcpu, SVM_CLEAN_INTERCEPTS);
	if (!vcpu->step_guest_tf)
		vcpu->vmcb->rflags &= ~RFLAGS_TF;
	vcpu->nmi_blocked |= vcpu->step_over_iret;
}

static bool exit_is_exception(uint64_t code)
{
	return code >= SVM_EXIT_EXCEPTION_FIRST && code <= SVM_EXIT_EXCEPTION_LAST;
}

bool svm_step_finish(struct vcpu *vcpu)
{
	struct svm_vmcb *vmcb = vcpu->vmcb;
	bool done = vmcb->exit_code == SVM_EXIT_EXCEPTION_FIRST + VECTOR_DB;

	vcpu->stepping = false;
	vmcb->intercept_exceptions = SVM_EXCEPTIONS_INTERCEPTED;
	svm_dirty(vcpu, SVM_CLEAN_INTERCEPTS);
	// What IRET loaded is the guest's own.
	if (!vcpu->step_guest_tf && !(done && vcpu->step_over_iret))
		vmcb->rflags &= ~RFLAGS_TF;
	// An IRET that faults ends the blocking as well; one that has not run does not.
	if (vcpu->step_over_iret && vmcb->rip == vcpu->step_rip &&
		!exit_is_exception(vmcb->exit_code))
		vcpu->nmi_blocked = true;
	if (!done || vcpu->step_guest_tf)
		return false;
	svm_dirty(vcpu, SVM_CLEAN_DRX);
	if ((vmcb->dr6 & DR6_BREAKPOINTS & ~vcpu->step_dr6) != 0) { // the guest's own #DB too
		vmcb->dr6 = (vmcb->dr6 & ~DR6_BS) | (vcpu->step_dr6 & DR6_BS);
		return false;
	}
	vmcb->dr6 = vcpu->step_dr6;
	return true;
}

void svm_nmi_unblock(struct vcpu *vcpu)
{
	vcpu->nmi_blocked = false;
	// The IRET itself still has to run before the next NMI.
	step_begin(vcpu, true);
}

static bool in_shadow(const struct vcpu *vcpu)
{
	return (vcpu->vmcb->interrupt_shadow & 1) != 0;
}

void svm_event_prepare_slow(struct vcpu *vcpu)
{
	struct svm_vmcb *vmcb = vcpu->vmcb;
	// An NMI handler ends with IRET, whether or not another NMI waits.
	bool iret = vcpu->nmi_blocked && !vcpu->stepping;
	bool wanted = vcpu->interrupt_window || (vcpu->nmi_window && !vcpu->nmi_blocked);
	bool window = vcpu->interrupt_window && !in_shadow(vcpu);

	if (wanted && in_shadow(vcpu) && !vcpu_event_pending(vcpu) && !vcpu->stepping &&
		(vcpu->nmi_window || (vmcb->rflags & RFLAGS_IF) != 0))
		step_begin(vcpu, false);
	if (window && vcpu->offered != 0) { // V_IRQ is needed for the window
		svm_event_set(vcpu, SVM_EVENT_TYPE_INTERRUPT | vcpu->offered);
		vcpu->offered = 0;
	}
	if (vcpu->offered == 0)
		vmcb->virtual_interrupt &= ~V_OFFER_MASK;
	vmcb->intercept3 &= ~(uint32_t)(SVM_INTERCEPT_VINTR | SVM_INTERCEPT_IRET);
	if (window) {
		vmcb->virtual_interrupt |= V_OFFER;
		vmcb->intercept3 |= SVM_INTERCEPT_VINTR;
	}
	if (iret)
		vmcb->intercept3 |= SVM_INTERCEPT_IRET;
	vcpu->windows_armed = window || iret;
	vmcb->event_injection = vcpu->event;
	svm_dirty(vcpu, SVM_CLEAN_INTERCEPTS | SVM_CLEAN_TPR);
}

// Software interrupts and exceptions of INT3 and INTO are not kept: RIP still points to their
// instruction, which will run again.
void svm_event_collect_slow(struct vcpu *vcpu)
{
	struct svm_vmcb *vmcb = vcpu->vmcb;
	uint64_t info = vmcb->exit_interrupt_info, vector = info & SVM_EVENT_VECTOR_MASK;

	if ((vmcb->virtual_interrupt & SVM_V_IRQ) == 0)
		vcpu->offered = 0;
	vcpu->interrupt_window = vcpu->nmi_window = false;
	svm_event_set(vcpu, 0);
	vmcb->event_injection = 0;
	if ((info & SVM_EVENT_VALID) == 0)
		return;
	switch (info & SVM_EVENT_TYPE_MASK) {
	case SVM_EVENT_TYPE_SOFTWARE:
		return;
	case SVM_EVENT_TYPE_EXCEPTION:
		if (vector >= 32) // a virtual interrupt, as some implementations report it
			info &= ~SVM_EVENT_TYPE_MASK;
		if (vector == VECTOR_BP || vector == VECTOR_OF)
			return;
		break;
	case SVM_EVENT_TYPE_NMI:
		vcpu->nmi_blocked = true;
		break;
	}
	svm_event_set(vcpu, info);
}

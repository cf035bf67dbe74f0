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
// (svm_step.c), and its end is the end of the shadow. The same step passes the IRET that ends an
// NMI when another NMI waits.
//
// CR8: one known implementation ends itself when the guest writes it while V_IRQ is the window (as
// handlers of UEFI firmware do at their end). So these writes exit meanwhile.
#include "vmx/svm.h"

#include "kernel/base/assert.h"
#include "kernel/x86.h"

// A virtual interrupt above every priority; the mask holds the vector too.
#define V_OFFER      (SVM_V_IRQ | SVM_V_IGN_TPR | 0xfull << SVM_V_PRIO_SHIFT)
#define V_OFFER_MASK (V_OFFER | 0xffull << SVM_V_VECTOR_SHIFT)

bool svm_event_pending(const struct vcpu *vcpu)
{
	const struct svm_vcpu *svm = svm_of(vcpu);

	return (svm->event | svm->offered) != 0;
}

bool svm_can_inject(const struct vcpu *vcpu, enum vcpu_event_kind kind)
{
	const struct svm_vcpu *svm = svm_of(vcpu);
	const struct svm_vmcb *vmcb = svm->vmcb;

	if (unlikely((svm->event | svm->offered) != 0))
		return false;
	if (kind == VCPU_EVENT_EXCEPTION)
		return true;
	if ((vmcb->interrupt_shadow & 1) != 0)
		return false;
	return kind == VCPU_EVENT_NMI ? !svm->nmi_blocked : (vmcb->rflags & RFLAGS_IF) != 0;
}

static always_inline void offer(struct vcpu *vcpu, uint8_t vector)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	struct svm_vmcb *vmcb = svm->vmcb;

	svm->offered = SVM_EVENT_VALID | vector;
	vmcb->virtual_interrupt = (vmcb->virtual_interrupt & ~V_OFFER_MASK) | V_OFFER |
		(uint64_t)vector << SVM_V_VECTOR_SHIFT;
	svm_dirty(vcpu, SVM_CLEAN_TPR);
}

void svm_inject_interrupt(struct vcpu *vcpu, uint8_t vector)
{
	ASSERT(!svm_event_pending(vcpu));
	offer(vcpu, vector);
}

void svm_interrupt_offer(struct vcpu *vcpu, uint16_t offered)
{
	svm_of(vcpu)->offered = 0;
	svm_of(vcpu)->vmcb->virtual_interrupt &= ~V_OFFER_MASK;
	if (offered != 0)
		offer(vcpu, (uint8_t)offered);
}

void svm_inject_nmi(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);

	ASSERT(!svm_event_pending(vcpu) && !svm->nmi_blocked);
	svm_event_set(vcpu, SVM_EVENT_VALID | SVM_EVENT_TYPE_NMI | VECTOR_NMI);
	svm->nmi_blocked = true;
}

void svm_inject_exception(struct vcpu *vcpu, uint8_t vector, bool has_error_code,
	uint32_t error_code)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	uint64_t before = svm->event | svm->offered, first = before & SVM_EVENT_VECTOR_MASK;

	vcpu->breakpoint_hits = 0; // a fault: the instruction is not finished
	if ((before & SVM_EVENT_TYPE_MASK) == SVM_EVENT_TYPE_EXCEPTION && before != 0) {
		enum fault_pair pair = vcpu_fault_pair((uint8_t)first, vector);

		if (pair == FAULTS_TRIPLE) {
			svm_event_set(vcpu, 0);
			svm->triple_fault = true;
			return;
		}
		if (pair == FAULTS_DOUBLE) {
			vector = VECTOR_DF;
			has_error_code = true;
			error_code = 0;
		}
	}
	svm_event_set(vcpu, SVM_EVENT_VALID | SVM_EVENT_TYPE_EXCEPTION | vector |
			(has_error_code ? SVM_EVENT_ERROR_VALID : 0) |
			(uint64_t)error_code << SVM_EVENT_ERROR_SHIFT);
}

void svm_request_interrupt_window(struct vcpu *vcpu)
{
	svm_of(vcpu)->interrupt_window = true;
}

void svm_request_nmi_window(struct vcpu *vcpu)
{
	svm_of(vcpu)->nmi_window = true;
}

static bool in_shadow(const struct vcpu *vcpu)
{
	return (svm_of(vcpu)->vmcb->interrupt_shadow & 1) != 0;
}

// With a step there is no window: the caller looks again after one instruction.
static bool step_is_wanted(const struct vcpu *vcpu)
{
	const struct svm_vcpu *svm = svm_of(vcpu);
	bool wanted = svm->interrupt_window || (svm->nmi_window && !svm->nmi_blocked);

	if ((svm->precise & SVM_PRECISE_STEP) != 0)
		return true;
	return wanted && in_shadow(vcpu) && !svm_event_pending(vcpu) &&
		(svm->nmi_window || (svm->vmcb->rflags & RFLAGS_IF) != 0);
}

void svm_event_prepare_slow(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	struct svm_vmcb *vmcb = svm->vmcb;
	bool deliver = svm_delivery_wanted(vcpu);
	bool window = svm->interrupt_window && !in_shadow(vcpu) &&
		(svm->precise & SVM_PRECISE_STEP) == 0;
	bool iret;

	if (deliver)
		svm_delivery_begin(vcpu);
	else if (!svm->stepping && step_is_wanted(vcpu))
		svm_step_begin(vcpu);
	// An NMI handler ends with IRET, whether or not another NMI waits. A step has its own look.
	iret = svm->nmi_blocked && !svm->stepping;
	if ((window || deliver) && svm->offered != 0) { // V_IRQ is needed for the window, or late
		svm_event_set(vcpu, SVM_EVENT_TYPE_INTERRUPT | svm->offered);
		svm->offered = 0;
	}
	if (svm->offered == 0)
		vmcb->virtual_interrupt &= ~V_OFFER_MASK;
	vmcb->intercept3 &= ~(uint32_t)SVM_INTERCEPT_VINTR;
	if (!svm->stepping)
		vmcb->intercept3 &= ~(uint32_t)SVM_INTERCEPT_IRET;
	if (window) {
		vmcb->virtual_interrupt |= V_OFFER;
		vmcb->intercept3 |= SVM_INTERCEPT_VINTR;
	}
	svm_update_tpr_intercept(svm);
	if (iret)
		vmcb->intercept3 |= SVM_INTERCEPT_IRET;
	svm->windows_armed = window || iret;
	vmcb->event_injection = svm->event;
	svm_dirty(vcpu, SVM_CLEAN_INTERCEPTS | SVM_CLEAN_TPR);
}

// V_IRQ is taken before the guest's first instruction, and clears IF. If it still stands where IF
// is clear and no delivery was interrupted, then the delivery raised an exception, which the guest
// has taken, and the CPU has kept V_IRQ, as one known implementation does. The interrupt is gone,
// as on hardware: it was acknowledged.
static __attribute__((noinline)) void offer_drop(struct svm_vcpu *svm)
{
	svm->offered = 0;
	svm->vmcb->virtual_interrupt &= ~SVM_V_IRQ;
	svm_dirty(&svm->vcpu, SVM_CLEAN_TPR);
}

// Software interrupts and exceptions of INT3 and INTO are not kept: RIP still points to their
// instruction, which will run again.
void svm_event_collect_slow(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	struct svm_vmcb *vmcb = svm->vmcb;
	uint64_t info = vmcb->exit_interrupt_info, vector = info & SVM_EVENT_VECTOR_MASK;

	if (likely((vmcb->virtual_interrupt & SVM_V_IRQ) == 0))
		svm->offered = 0;
	else if (svm->offered != 0 && (vmcb->rflags & RFLAGS_IF) == 0 &&
		(info & SVM_EVENT_VALID) == 0)
		offer_drop(svm);
	svm->interrupt_window = svm->nmi_window = false;
	// One known implementation forgets a shadow that it was entered with.
	if ((svm->precise & SVM_PRECISE_SHADOWED) != 0 && vmcb->exit_code == SVM_EXIT_INTR &&
		vmcb->rip == svm->shadow_rip)
		vmcb->interrupt_shadow |= 1;
	svm->precise &= (uint8_t)~(SVM_PRECISE_STEP | SVM_PRECISE_SHADOWED);
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
		svm->nmi_blocked = true;
		break;
	}
	svm_event_set(vcpu, info);
}

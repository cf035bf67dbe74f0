// SPDX-License-Identifier: BSD-2-Clause
// Registers and MSRs of a vcpu.
#include "vmx/svm.h"

#include <string.h>

#include "kernel/base/assert.h"
#include "kernel/x86.h"
#include "vmx/breakpoint.h"

#define DR6_BS    BIT(14)

uint64_t svm_rip(const struct vcpu *vcpu)
{
	return svm_of(vcpu)->vmcb->rip;
}

uint64_t svm_rflags(const struct vcpu *vcpu)
{
	return svm_of(vcpu)->vmcb->rflags;
}

void svm_set_rip(struct vcpu *vcpu, uint64_t rip)
{
	svm_of(vcpu)->vmcb->rip = rip;
}

void svm_set_rflags(struct vcpu *vcpu, uint64_t rflags)
{
	svm_of(vcpu)->vmcb->rflags = rflags | RFLAGS_FIXED;
}

uint64_t svm_dr7(const struct vcpu *vcpu)
{
	return svm_of(vcpu)->vmcb->dr7;
}

void svm_watch_dr7(struct vcpu *vcpu, bool watch)
{
	const uint32_t writes = (uint32_t)(SVM_INTERCEPT_DR5_WRITE | SVM_INTERCEPT_DR7_WRITE);
	struct svm_vmcb *vmcb = svm_of(vcpu)->vmcb;

	vcpu->breakpoints_possible = !watch;
	vmcb->intercept_dr = (vmcb->intercept_dr & ~writes) | (watch ? writes : 0);
	svm_dirty(vcpu, SVM_CLEAN_INTERCEPTS);
}

// An event that waits goes before it.
static __attribute__((noinline)) void debug_trap(struct vcpu *vcpu, bool stepping)
{
	uint64_t bits = vcpu->breakpoint_hits | (stepping ? DR6_BS : 0);

	vcpu->breakpoint_hits = 0;
	if (svm_event_pending(vcpu))
		return;
	svm_of(vcpu)->vmcb->dr6 |= bits;
	svm_dirty(vcpu, SVM_CLEAN_DRX);
	svm_inject_exception(vcpu, VECTOR_DB, false, 0);
}

void svm_finish(struct vcpu *vcpu, uint64_t rip, uint64_t rflags)
{
	struct svm_vmcb *vmcb = svm_of(vcpu)->vmcb;

	vmcb->rip = rip;
	vmcb->rflags = rflags;
	vmcb->interrupt_shadow &= ~1ull;
	if (unlikely(((rflags & RFLAGS_TF) | vcpu->breakpoint_hits) != 0))
		debug_trap(vcpu, (rflags & RFLAGS_TF) != 0);
}

void svm_advance(struct vcpu *vcpu, unsigned length)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	uint64_t rip = svm->vmcb->rip + length;

	if (unlikely(rip - length <= UINT32_MAX && rip > UINT32_MAX) && svm_code_bits(vcpu) != 64)
		rip = (uint32_t)rip;
	svm_finish(vcpu, rip, svm->vmcb->rflags & ~RFLAGS_RF);
}

struct vcpu_paging svm_paging(const struct vcpu *vcpu)
{
	const struct svm_vmcb *vmcb = svm_of(vcpu)->vmcb;

	return (struct vcpu_paging){vmcb->cr0, vmcb->cr3, vmcb->cr4, vmcb->efer};
}

// In the order of enum vcpu_segment, which is that of the control block but for LDTR and TR.
static struct svm_segment *segment_of(struct svm_vmcb *vmcb, enum vcpu_segment segment)
{
	ASSERT(segment < SEGMENT_COUNT);
	if (segment == SEGMENT_LDTR)
		return &vmcb->ldtr;
	return segment == SEGMENT_TR ? &vmcb->tr : &vmcb->es + segment;
}

// SVM squeezes the attributes into 12 bits, without the gap that a descriptor has.
static struct vcpu_segment_state segment_get(const struct svm_segment *segment)
{
	return (struct vcpu_segment_state){
		segment->selector, segment->attributes, segment->limit, segment->base};
}

struct vcpu_segment_state svm_segment(const struct vcpu *vcpu, enum vcpu_segment segment)
{
	return segment_get(segment_of(svm_of(vcpu)->vmcb, segment));
}

unsigned svm_cpl(const struct vcpu *vcpu)
{
	return svm_of(vcpu)->vmcb->cpl;
}

unsigned svm_code_bits(const struct vcpu *vcpu)
{
	const struct svm_vmcb *vmcb = svm_of(vcpu)->vmcb;

	if ((vmcb->efer & EFER_LMA) != 0 && (vmcb->cs.attributes & SEGMENT_ATTRIBUTE_L) != 0)
		return 64;
	return (vmcb->cs.attributes & SEGMENT_ATTRIBUTE_DB) != 0 ? 32 : 16;
}

void svm_get_code(const struct vcpu *vcpu, struct vcpu_code *code)
{
	const struct svm_vmcb *vmcb = svm_of(vcpu)->vmcb;

	code->rip = code->linear_rip = vmcb->rip;
	code->rflags = vmcb->rflags;
	code->cr0 = vmcb->cr0;
	code->cr3 = vmcb->cr3;
	code->cr4 = vmcb->cr4;
	code->efer = vmcb->efer;
	code->cpl = vmcb->cpl;
	code->bits = 64;
	if (unlikely((vmcb->efer & EFER_LMA) == 0 ||
		    (vmcb->cs.attributes & SEGMENT_ATTRIBUTE_L) == 0)) {
		code->bits = (uint8_t)svm_code_bits(vcpu);
		code->linear_rip = (uint32_t)(vmcb->rip + vmcb->cs.base);
	}
}

static void event_get(const struct svm_vcpu *svm, struct vcpu_state *state)
{
	static const uint8_t kinds[] = {[0] = VCPU_EVENT_INTERRUPT, [2] = VCPU_EVENT_NMI,
		[3] = VCPU_EVENT_EXCEPTION, [4] = VCPU_EVENT_SOFTWARE};
	uint64_t event = svm->event;
	uint64_t type = (event & SVM_EVENT_TYPE_MASK) >> SVM_EVENT_TYPE_SHIFT;

	if ((event & SVM_EVENT_VALID) != 0) {
		ASSERT(type < ARRAY_COUNT(kinds) && kinds[type] != VCPU_EVENT_NONE);
		state->event.kind = kinds[type];
		state->event.vector = event & SVM_EVENT_VECTOR_MASK;
		// Real mode has none.
		state->event.has_error_code = (event & SVM_EVENT_ERROR_VALID) != 0 &&
			(svm->vmcb->cr0 & CR0_PE) != 0;
		if (state->event.has_error_code)
			state->event.error_code = (uint32_t)(event >> SVM_EVENT_ERROR_SHIFT);
		if (state->event.kind == VCPU_EVENT_SOFTWARE)
			state->event.length = svm->software_length;
	}
	if (svm->offered != 0)
		state->offered = (uint16_t)(VCPU_OFFERED | (svm->offered & SVM_EVENT_VECTOR_MASK));
}

// As the CPU keeps them: APM vol. 2, 15.5.1. Emulators let guests write others.
static uint64_t canonical(uint64_t address)
{
	return (uint64_t)((int64_t)(address << 16) >> 16);
}

static void syscall_registers_get(const struct svm_vmcb *vmcb, struct vcpu_state *state)
{
	state->star = vmcb->star;
	state->lstar = canonical(vmcb->lstar);
	state->cstar = canonical(vmcb->cstar);
	state->sfmask = vmcb->sfmask;
	state->kernel_gs_base = canonical(vmcb->kernel_gs_base);
	state->sysenter_cs = vmcb->sysenter_cs;
	state->sysenter_esp = canonical(vmcb->sysenter_esp);
	state->sysenter_eip = canonical(vmcb->sysenter_eip);
}

void svm_get_state(const struct vcpu *vcpu, struct vcpu_state *state)
{
	const struct svm_vcpu *svm = svm_of(vcpu);
	const struct svm_vmcb *vmcb = svm->vmcb;

	memset(state, 0, sizeof(*state));
	vcpu_common_get_state(vcpu, state);
	state->rip = vmcb->rip;
	state->rflags = vmcb->rflags;
	state->cr0 = vmcb->cr0;
	state->cr2 = vmcb->cr2;
	state->cr3 = vmcb->cr3;
	state->cr4 = vmcb->cr4;
	state->cr8 = vmcb->virtual_interrupt & SVM_V_TPR_MASK;
	state->efer = vmcb->efer & ~EFER_SVME;
	state->dr6 = vmcb->dr6;
	state->dr7 = vmcb->dr7;
	for (unsigned i = 0; i < SEGMENT_COUNT; i++)
		state->segment[i] = svm_segment(vcpu, i);
	state->segment[SEGMENT_FS].base = canonical(state->segment[SEGMENT_FS].base);
	state->segment[SEGMENT_GS].base = canonical(state->segment[SEGMENT_GS].base);
	state->gdtr_base = vmcb->gdtr.base;
	state->gdtr_limit = vmcb->gdtr.limit;
	state->idtr_base = vmcb->idtr.base;
	state->idtr_limit = vmcb->idtr.limit;
	syscall_registers_get(vmcb, state);
	state->pat = vmcb->pat;
	state->debugctl = vmcb->debugctl;
	state->interrupt_shadow = (vmcb->interrupt_shadow & 1) != 0;
	state->nmi_blocked = svm->nmi_blocked;
	state->triple_fault = svm->triple_fault;
	event_get(svm, state);
}

// APM vol. 2, 15.20: what VMRUN takes in EVENTINJ.
static bool event_is_consistent(const struct vcpu_event *event)
{
	switch (event->kind) {
	case VCPU_EVENT_NONE:
	case VCPU_EVENT_INTERRUPT:
	case VCPU_EVENT_SOFTWARE:
		return true;
	case VCPU_EVENT_NMI:
		return event->vector == VECTOR_NMI;
	case VCPU_EVENT_EXCEPTION:
		return event->vector < 32 && event->vector != VECTOR_NMI;
	}
	return false;
}

// APM vol. 2, 15.5.1: canonicalization and consistency checks of VMRUN.
static bool state_is_consistent(const struct vcpu_state *state)
{
	bool paging = (state->cr0 & CR0_PG) != 0;
	uint16_t code = state->segment[SEGMENT_CS].attributes;

	if (!event_is_consistent(&state->event) || state->pending_debug != 0)
		return false;
	if ((state->efer & EFER_LMA) != 0 && (code & SEGMENT_ATTRIBUTE_L) != 0 &&
		(code & SEGMENT_ATTRIBUTE_DB) != 0)
		return false;
	if ((state->cr0 & CR0_NW) != 0 && (state->cr0 & CR0_CD) == 0)
		return false;
	if (paging && (state->cr0 & CR0_PE) == 0)
		return false;
	if ((state->efer & EFER_LME) != 0 && paging && (state->cr4 & CR4_PAE) == 0)
		return false;
	return state->cr0 <= UINT32_MAX && state->dr6 <= UINT32_MAX && state->dr7 <= UINT32_MAX;
}

static void segments_set(struct svm_vmcb *vmcb, const struct vcpu_state *state)
{
	for (unsigned i = 0; i < SEGMENT_COUNT; i++)
		*segment_of(vmcb, i) = (struct svm_segment){state->segment[i].selector,
			state->segment[i].attributes, state->segment[i].limit,
			state->segment[i].base};
	vmcb->gdtr.base = state->gdtr_base;
	vmcb->gdtr.limit = state->gdtr_limit;
	vmcb->idtr.base = state->idtr_base;
	vmcb->idtr.limit = state->idtr_limit;
	vmcb->cpl = state->segment[SEGMENT_SS].attributes >> 5 & 3;
}

static void syscall_registers_set(struct svm_vmcb *vmcb, const struct vcpu_state *state)
{
	vmcb->star = state->star;
	vmcb->lstar = state->lstar;
	vmcb->cstar = state->cstar;
	vmcb->sfmask = state->sfmask;
	vmcb->kernel_gs_base = state->kernel_gs_base;
	vmcb->sysenter_cs = state->sysenter_cs;
	vmcb->sysenter_esp = state->sysenter_esp;
	vmcb->sysenter_eip = state->sysenter_eip;
}

static void event_set(struct vcpu *vcpu, const struct vcpu_state *state)
{
	static const uint64_t types[] = {[VCPU_EVENT_INTERRUPT] = SVM_EVENT_TYPE_INTERRUPT,
		[VCPU_EVENT_NMI] = SVM_EVENT_TYPE_NMI,
		[VCPU_EVENT_EXCEPTION] = SVM_EVENT_TYPE_EXCEPTION,
		[VCPU_EVENT_SOFTWARE] = SVM_EVENT_TYPE_SOFTWARE};
	const struct vcpu_event *event = &state->event;
	struct svm_vcpu *svm = svm_of(vcpu);

	svm_event_set(vcpu, 0);
	svm->vmcb->event_injection = 0; // an entry that attention called off may have left one
	if (event->kind != VCPU_EVENT_NONE)
		svm_event_set(vcpu, SVM_EVENT_VALID | types[event->kind] | event->vector |
				(event->has_error_code ? SVM_EVENT_ERROR_VALID : 0) |
				(uint64_t)event->error_code << SVM_EVENT_ERROR_SHIFT);
	svm->software_length = event->length;
	svm_interrupt_offer(vcpu, state->offered);
	svm->nmi_blocked = state->nmi_blocked;
	svm->triple_fault = state->triple_fault;
}

enum status svm_set_state(struct vcpu *vcpu, const struct vcpu_state *state)
{
	struct svm_vmcb *vmcb = svm_of(vcpu)->vmcb;

	if (!state_is_consistent(state))
		return STATUS_FAIL(STATUS_INVALID);
	vcpu_common_set_state(vcpu, state);
	vmcb->rip = state->rip;
	vmcb->rflags = state->rflags | RFLAGS_FIXED;
	vmcb->cr0 = state->cr0;
	vmcb->cr2 = state->cr2;
	vmcb->cr3 = state->cr3;
	vmcb->cr4 = state->cr4;
	svm_set_tpr(vcpu, (uint8_t)state->cr8);
	vmcb->efer = state->efer | EFER_SVME;
	vmcb->dr6 = state->dr6;
	vmcb->dr7 = state->dr7;
	segments_set(vmcb, state);
	syscall_registers_set(vmcb, state);
	vmcb->pat = state->pat;
	vmcb->debugctl = state->debugctl;
	vmcb->interrupt_shadow = state->interrupt_shadow;
	svm_watch_dr7(vcpu, (state->dr7 & DR7_ENABLED) == 0);
	event_set(vcpu, state);
	vmcb->clean = 0;
	vmcb->tlb_control = SVM_TLB_FLUSH_ALL;
	return STATUS_OK;
}

void svm_reset(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);

	svm->stepping = svm->windows_armed = false;
	svm->precise &= SVM_PRECISE_COUNT;
	svm->interrupt_window = svm->nmi_window = false;
	svm->vmcb->intercept3 &= ~(uint32_t)(SVM_INTERCEPT_VINTR | SVM_INTERCEPT_IRET);
	svm_update_tpr_intercept(svm);
	svm->vmcb->intercept_exceptions = SVM_EXCEPTIONS_INTERCEPTED;
}

void svm_set_cr2(struct vcpu *vcpu, uint64_t cr2)
{
	svm_of(vcpu)->vmcb->cr2 = cr2;
	svm_dirty(vcpu, SVM_CLEAN_CR2);
}

void svm_set_tpr(struct vcpu *vcpu, uint8_t cr8)
{
	uint64_t *control = &svm_of(vcpu)->vmcb->virtual_interrupt;

	*control = (*control & ~SVM_V_TPR_MASK) | (cr8 & SVM_V_TPR_MASK);
	svm_dirty(vcpu, SVM_CLEAN_TPR);
}

void svm_update_tpr_intercept(struct svm_vcpu *svm)
{
	bool window = (svm->vmcb->intercept3 & SVM_INTERCEPT_VINTR) != 0;
	uint32_t before = svm->vmcb->intercept_cr;
	uint32_t after = (before & ~(uint32_t)SVM_INTERCEPT_CR8_WRITE) |
		(svm->tpr_wanted || window ? (uint32_t)SVM_INTERCEPT_CR8_WRITE : 0);

	if (likely(after == before))
		return;
	svm->vmcb->intercept_cr = after;
	svm_dirty(&svm->vcpu, SVM_CLEAN_INTERCEPTS);
}

void svm_intercept_tpr(struct vcpu *vcpu, bool intercept)
{
	svm_of(vcpu)->tpr_wanted = intercept;
	svm_update_tpr_intercept(svm_of(vcpu));
}

// A PAUSE that comes more than the threshold's ticks after the one before begins a new count: APM
// vol. 2, 15.14.4. Without the filter each PAUSE exits.
void svm_intercept_pause(struct vcpu *vcpu, enum vcpu_pause which)
{
	const bool loops = which == VCPU_PAUSE_LOOPS;
	struct svm_vmcb *vmcb = svm_of(vcpu)->vmcb;

	vmcb->intercept3 = (vmcb->intercept3 & ~(uint32_t)SVM_INTERCEPT_PAUSE) |
		(which != VCPU_PAUSE_NEVER ? (uint32_t)SVM_INTERCEPT_PAUSE : 0);
	vmcb->pause_count = loops && svm_features.pause_filter ? SVM_PAUSE_COUNT : 0;
	vmcb->pause_threshold = loops && svm_features.pause_threshold ? SVM_PAUSE_THRESHOLD : 0;
	svm_dirty(vcpu, SVM_CLEAN_INTERCEPTS);
}

// MSRs of the VMCB that a guest reads and writes without an exit. PAT is not among them: QEMU's
// emulation lets a guest at the CPU's own, which all guests would then share.
static const uint32_t msrs_passed[] = {
	MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_SFMASK, MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE,
	MSR_SYSENTER_CS, MSR_SYSENTER_ESP, MSR_SYSENTER_EIP,
};

// Two bits an MSR, read and write, in three ranges of 8192. APM vol. 2, 15.11.
static void msrpm_pass(uint8_t *msrpm, uint32_t msr)
{
	uint32_t index = msr < 0xc0000000u ? msr : (msr & 0x1fff) + 0x2000;

	msrpm[index / 4] = (uint8_t)(msrpm[index / 4] & ~(3u << index % 4 * 2));
}

void svm_msrpm_init(uint8_t *msrpm)
{
	memset(msrpm, 0xff, 2 * PAGE_BYTES);
	for (unsigned i = 0; i < ARRAY_COUNT(msrs_passed); i++)
		msrpm_pass(msrpm, msrs_passed[i]);
}

// RDRAND, RDSEED and RDPID have no intercept: hidden in CPUID, they run all the same.
void svm_instructions_hide(struct svm_vmcb *vmcb, const struct cpuid_offer *offer)
{
	if (!offer->rdtscp)
		vmcb->intercept4 |= SVM_INTERCEPT_RDTSCP;
	if (!offer->invpcid && (cpuid(7, 0).ebx & BIT(10)) != 0)
		vmcb->intercept5 |= SVM_INTERCEPT_INVPCID;
}

enum status svm_read_msr(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	const struct svm_vmcb *vmcb = svm_of(vcpu)->vmcb;

	switch (msr) {
	case MSR_EFER:
		*value = vmcb->efer & ~EFER_SVME;
		return STATUS_OK;
	case MSR_TSC_AUX:
		return vcpu_read_tsc_aux(vcpu, value);
	case MSR_DEBUGCTL:
		*value = vmcb->debugctl;
		return STATUS_OK;
	case MSR_PAT:
		*value = vmcb->pat;
		return STATUS_OK;
	}
	return STATUS_NOT_FOUND;
}

static enum status efer_write(struct vcpu *vcpu, uint64_t value)
{
	struct svm_vmcb *vmcb = svm_of(vcpu)->vmcb;
	struct vcpu_paging now = svm_paging(vcpu);

	if (!vcpu_efer_is_allowed(&now, vcpu->offer.efer, value))
		return STATUS_FAIL(STATUS_FAULT);
	vmcb->efer = (value & ~EFER_LMA) | (vmcb->efer & EFER_LMA) | EFER_SVME;
	svm_dirty(vcpu, SVM_CLEAN_CRX);
	return STATUS_OK;
}

// Eight memory types, of which 2 and 3 are reserved. APM vol. 2, 7.8.1.
static enum status pat_write(struct vcpu *vcpu, uint64_t value)
{
	for (unsigned i = 0; i < 64; i += 8) {
		unsigned type = value >> i & 0xff;

		if (type > 7 || type == 2 || type == 3)
			return STATUS_FAIL(STATUS_FAULT);
	}
	svm_of(vcpu)->vmcb->pat = value;
	svm_dirty(vcpu, SVM_CLEAN_NP);
	return STATUS_OK;
}

enum status svm_write_msr(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	switch (msr) {
	case MSR_EFER:
		return efer_write(vcpu, value);
	case MSR_TSC_AUX:
		return vcpu_write_tsc_aux(vcpu, value);
	case MSR_DEBUGCTL:
		if ((value & ~3ull) != 0) // LBR and BTF alone: APM vol. 2, 13.1.1
			return STATUS_FAIL(STATUS_FAULT);
		svm_of(vcpu)->vmcb->debugctl = value & 2; // no last-branch records
		return STATUS_OK;
	case MSR_PAT:
		return pat_write(vcpu, value);
	}
	return STATUS_NOT_FOUND;
}

// SPDX-License-Identifier: BSD-2-Clause
// Registers and MSRs of a vcpu.
#include "vmx/svm.h"

#include <string.h>

#include "kernel/base/assert.h"
#include "kernel/x86.h"
#include "vmx/cpuid.h"

#define DR6_RESET 0xffff0ff0u
#define DR6_BS    BIT(14)
#define DR7_RESET 0x400u
#define PAT_RESET 0x0007040600070406u
#define CR0_RESET (CR0_CD | CR0_NW | CR0_ET)

// RDTSCP or RDPID: CPUID 80000001 EDX bit 27, leaf 7 ECX bit 22.
static bool tsc_aux_exists(void)
{
	return (cpuid(0x80000001, 0).edx & BIT(27)) != 0 || (cpuid(7, 0).ecx & BIT(22)) != 0;
}

static bool xcr0_exists(void)
{
	return (cr4_read() & CR4_OSXSAVE) != 0;
}

// The register itself is asked: not every implementation exits on XSETBV.
uint64_t vcpu_xcr0(const struct vcpu *vcpu)
{
	(void)vcpu;
	return xcr0_exists() ? xgetbv(0) : 1;
}

static void xcr0_set(uint64_t value)
{
	if (xcr0_exists())
		xsetbv(0, value);
}

uint64_t vcpu_rip(const struct vcpu *vcpu)
{
	return vcpu->vmcb->rip;
}

uint64_t vcpu_rflags(const struct vcpu *vcpu)
{
	return vcpu->vmcb->rflags;
}

void vcpu_set_rip(struct vcpu *vcpu, uint64_t rip)
{
	vcpu->vmcb->rip = rip;
}

void vcpu_set_rflags(struct vcpu *vcpu, uint64_t rflags)
{
	vcpu->vmcb->rflags = rflags | RFLAGS_FIXED;
}

void vcpu_finish(struct vcpu *vcpu, uint64_t rip, uint64_t rflags)
{
	struct svm_vmcb *vmcb = vcpu->vmcb;

	vmcb->rip = rip;
	vmcb->rflags = rflags;
	vmcb->interrupt_shadow &= ~1ull;
	if (unlikely((rflags & RFLAGS_TF) != 0) && !vcpu_event_pending(vcpu)) {
		vmcb->dr6 |= DR6_BS;
		svm_dirty(vcpu, SVM_CLEAN_DRX);
		vcpu_inject_exception(vcpu, VECTOR_DB, false, 0);
	}
}

void vcpu_advance(struct vcpu *vcpu, unsigned length)
{
	uint64_t rip = vcpu->vmcb->rip + length;

	if (unlikely(rip - length <= UINT32_MAX && rip > UINT32_MAX) && vcpu_code_bits(vcpu) != 64)
		rip = (uint32_t)rip;
	vcpu_finish(vcpu, rip, vcpu->vmcb->rflags & ~RFLAGS_RF);
}

struct vcpu_paging vcpu_paging(const struct vcpu *vcpu)
{
	const struct svm_vmcb *vmcb = vcpu->vmcb;

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

struct vcpu_segment_state vcpu_segment(const struct vcpu *vcpu, enum vcpu_segment segment)
{
	return segment_get(segment_of(vcpu->vmcb, segment));
}

unsigned vcpu_cpl(const struct vcpu *vcpu)
{
	return vcpu->vmcb->cpl;
}

unsigned vcpu_code_bits(const struct vcpu *vcpu)
{
	const struct svm_vmcb *vmcb = vcpu->vmcb;

	if ((vmcb->efer & EFER_LMA) != 0 && (vmcb->cs.attributes & SEGMENT_ATTRIBUTE_L) != 0)
		return 64;
	return (vmcb->cs.attributes & SEGMENT_ATTRIBUTE_DB) != 0 ? 32 : 16;
}

void vcpu_get_code(const struct vcpu *vcpu, struct vcpu_code *code)
{
	const struct svm_vmcb *vmcb = vcpu->vmcb;

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
		code->bits = (uint8_t)vcpu_code_bits(vcpu);
		code->linear_rip = (uint32_t)(vmcb->rip + vmcb->cs.base);
	}
}

void vcpu_get_state(const struct vcpu *vcpu, struct vcpu_state *state)
{
	const struct svm_vmcb *vmcb = vcpu->vmcb;

	memset(state, 0, sizeof(*state));
	memcpy(state->gpr, vcpu->gpr, sizeof(state->gpr));
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
	state->dr[0] = dr0_read();
	state->dr[1] = dr1_read();
	state->dr[2] = dr2_read();
	state->dr[3] = dr3_read();
	for (unsigned i = 0; i < SEGMENT_COUNT; i++)
		state->segment[i] = vcpu_segment(vcpu, i);
	state->gdtr_base = vmcb->gdtr.base;
	state->gdtr_limit = vmcb->gdtr.limit;
	state->idtr_base = vmcb->idtr.base;
	state->idtr_limit = vmcb->idtr.limit;
	state->star = vmcb->star;
	state->lstar = vmcb->lstar;
	state->cstar = vmcb->cstar;
	state->sfmask = vmcb->sfmask;
	state->kernel_gs_base = vmcb->kernel_gs_base;
	state->sysenter_cs = vmcb->sysenter_cs;
	state->sysenter_esp = vmcb->sysenter_esp;
	state->sysenter_eip = vmcb->sysenter_eip;
	state->pat = vmcb->pat;
	state->debugctl = vmcb->debugctl;
	state->tsc_aux = vcpu->tsc_aux;
	state->xcr0 = vcpu_xcr0(vcpu);
	state->interrupt_shadow = (vmcb->interrupt_shadow & 1) != 0;
	state->nmi_blocked = vcpu->nmi_blocked;
}

// APM vol. 2, 15.5.1: canonicalization and consistency checks of VMRUN.
static bool state_is_consistent(const struct vcpu_state *state)
{
	bool paging = (state->cr0 & CR0_PG) != 0;

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

enum status vcpu_set_state(struct vcpu *vcpu, const struct vcpu_state *state)
{
	struct svm_vmcb *vmcb = vcpu->vmcb;

	if (!state_is_consistent(state))
		return STATUS_FAIL(STATUS_INVALID);
	memcpy(vcpu->gpr, state->gpr, sizeof(state->gpr));
	vmcb->rip = state->rip;
	vmcb->rflags = state->rflags | RFLAGS_FIXED;
	vmcb->cr0 = state->cr0;
	vmcb->cr2 = state->cr2;
	vmcb->cr3 = state->cr3;
	vmcb->cr4 = state->cr4;
	vcpu_set_tpr(vcpu, (uint8_t)state->cr8);
	vmcb->efer = state->efer | EFER_SVME;
	vmcb->dr6 = state->dr6;
	vmcb->dr7 = state->dr7;
	dr0_write(state->dr[0]);
	dr1_write(state->dr[1]);
	dr2_write(state->dr[2]);
	dr3_write(state->dr[3]);
	segments_set(vmcb, state);
	syscall_registers_set(vmcb, state);
	vmcb->pat = state->pat;
	vmcb->debugctl = state->debugctl;
	vcpu->tsc_aux = state->tsc_aux;
	if (tsc_aux_exists())
		wrmsr(MSR_TSC_AUX, state->tsc_aux); // the kernel does not use it
	xcr0_set(state->xcr0);
	vmcb->interrupt_shadow = state->interrupt_shadow;
	vcpu->nmi_blocked = state->nmi_blocked;
	svm_event_set(vcpu, 0);
	vmcb->event_injection = 0; // an entry that attention called off may have left one
	vcpu->offered = 0;
	vmcb->virtual_interrupt &= ~SVM_V_IRQ;
	vcpu->triple_fault = false;
	vmcb->clean = 0;
	vmcb->tlb_control = SVM_TLB_FLUSH_ALL;
	return STATUS_OK;
}

void vcpu_reset(struct vcpu *vcpu)
{
	struct vcpu_state state = {
		.rip = 0xfff0,
		.rflags = RFLAGS_FIXED,
		.cr0 = CR0_RESET,
		.dr6 = DR6_RESET,
		.dr7 = DR7_RESET,
		.gdtr_limit = 0xffff,
		.idtr_limit = 0xffff,
		.pat = PAT_RESET,
		.xcr0 = 1,
	};
	enum status status;

	for (unsigned i = 0; i < SEGMENT_COUNT; i++)
		state.segment[i] = (struct vcpu_segment_state){.limit = 0xffff, .attributes = 0x93};
	state.segment[SEGMENT_CS] = (struct vcpu_segment_state){0xf000, 0x9b, 0xffff, 0xffff0000};
	state.segment[SEGMENT_LDTR].attributes = 0x82;
	state.segment[SEGMENT_TR].attributes = 0x8b;
	state.gpr[GPR_RDX] = cpuid(1, 0).eax;
	status = vcpu_set_state(vcpu, &state);
	ASSERT(status == STATUS_OK);
	vcpu->stepping = vcpu->windows_armed = false;
	vcpu->interrupt_window = vcpu->nmi_window = false;
	vcpu->vmcb->intercept3 &= ~(uint32_t)(SVM_INTERCEPT_VINTR | SVM_INTERCEPT_IRET);
	vcpu->vmcb->intercept_exceptions = SVM_EXCEPTIONS_INTERCEPTED;
}

void vcpu_set_cr2(struct vcpu *vcpu, uint64_t cr2)
{
	vcpu->vmcb->cr2 = cr2;
	svm_dirty(vcpu, SVM_CLEAN_CR2);
}

void vcpu_set_tpr(struct vcpu *vcpu, uint8_t cr8)
{
	uint64_t *control = &vcpu->vmcb->virtual_interrupt;

	*control = (*control & ~SVM_V_TPR_MASK) | (cr8 & SVM_V_TPR_MASK);
	svm_dirty(vcpu, SVM_CLEAN_TPR);
}

void vcpu_intercept_tpr(struct vcpu *vcpu, bool intercept)
{
	uint32_t before = vcpu->vmcb->intercept_cr;

	uint32_t after = (before & ~(uint32_t)SVM_INTERCEPT_CR8_WRITE) |
		(intercept ? (uint32_t)SVM_INTERCEPT_CR8_WRITE : 0);

	if (likely(after == before))
		return;
	vcpu->vmcb->intercept_cr = after;
	svm_dirty(vcpu, SVM_CLEAN_INTERCEPTS);
}

void vcpu_set_tsc_offset(struct vcpu *vcpu, uint64_t offset)
{
	vcpu->vmcb->tsc_offset = offset;
	svm_dirty(vcpu, SVM_CLEAN_INTERCEPTS);
}

uint64_t vcpu_tsc_offset(const struct vcpu *vcpu)
{
	return vcpu->vmcb->tsc_offset;
}

// MSRs of the VMCB that a guest reads and writes without an exit.
static const uint32_t msrs_passed[] = {
	MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_SFMASK, MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE,
	MSR_SYSENTER_CS, MSR_SYSENTER_ESP, MSR_SYSENTER_EIP, MSR_PAT,
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

enum status vcpu_read_msr(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	const struct svm_vmcb *vmcb = vcpu->vmcb;

	switch (msr) {
	case MSR_EFER:
		*value = vmcb->efer & ~EFER_SVME;
		return STATUS_OK;
	case MSR_TSC_AUX:
		if (!tsc_aux_exists())
			return STATUS_FAIL(STATUS_FAULT);
		*value = vcpu->tsc_aux;
		return STATUS_OK;
	case MSR_DEBUGCTL:
		*value = vmcb->debugctl;
		return STATUS_OK;
	}
	return STATUS_NOT_FOUND;
}

static enum status efer_write(struct vcpu *vcpu, uint64_t value)
{
	struct svm_vmcb *vmcb = vcpu->vmcb;
	uint64_t changed = value ^ vmcb->efer;

	if ((value & ~cpuid_efer_mask()) != 0)
		return STATUS_FAIL(STATUS_FAULT);
	// LME cannot change while paging is on; LMA is the CPU's. APM vol. 2, 3.1.7 and 14.6.
	if ((changed & EFER_LME) != 0 && (vmcb->cr0 & CR0_PG) != 0)
		return STATUS_FAIL(STATUS_FAULT);
	vmcb->efer = (value & ~EFER_LMA) | (vmcb->efer & EFER_LMA) | EFER_SVME;
	svm_dirty(vcpu, SVM_CLEAN_CRX);
	return STATUS_OK;
}

enum status vcpu_write_msr(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	switch (msr) {
	case MSR_EFER:
		return efer_write(vcpu, value);
	case MSR_TSC_AUX:
		if (value > UINT32_MAX || !tsc_aux_exists())
			return STATUS_FAIL(STATUS_FAULT);
		vcpu->tsc_aux = value;
		wrmsr(MSR_TSC_AUX, value);
		return STATUS_OK;
	case MSR_DEBUGCTL:
		if ((value & ~3ull) != 0) // LBR and BTF alone: APM vol. 2, 13.1.1
			return STATUS_FAIL(STATUS_FAULT);
		vcpu->vmcb->debugctl = value & 2; // no last-branch records
		return STATUS_OK;
	}
	return STATUS_NOT_FOUND;
}

enum status vcpu_xsetbv(struct vcpu *vcpu)
{
	uint64_t value = (vcpu->gpr[GPR_RDX] << 32) | (uint32_t)vcpu->gpr[GPR_RAX];

	// SDM vol. 1, 13.3: x87 always, AVX not without SSE.
	if ((uint32_t)vcpu->gpr[GPR_RCX] != 0 || vcpu->vmcb->cpl != 0 || (value & 1) == 0 ||
		(value & ~cpuid_xcr0_mask()) != 0 || ((value & 4) != 0 && (value & 2) == 0))
		return STATUS_FAIL(STATUS_FAULT);
	xcr0_set(value);
	return STATUS_OK;
}

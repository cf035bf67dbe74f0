// SPDX-License-Identifier: BSD-2-Clause
// Exactly one instruction: TF, which is the engine's while a step runs, and which the guest never
// sees. Also the one instruction that ends an interrupt shadow, and the IRET that ends an NMI.
//
// The step's #DB is intercepted and is the end of the step. What would show TF, or lose it, is
// intercepted too, and runs a second time with what it takes:
//
//   any fault        injected by the caller, so what it pushes has the guest's own flags
//   PUSHF            runs; its image on the stack is the caller's to repair: VMEXIT_STEP_REPAIR
//   POPF, IRET       run; TF afterwards is what they loaded
//   INT n, INT3, INTO  clear TF in the handler, which would run on: VMEXIT_SOFTWARE_INTERRUPT
//   SYSCALL, SYSRET  would go on without TF where SFMASK masks it, or R11 has none. EFER.SCE is
//                    off in the step, so they raise #UD; the second time they find SCE on, a
//                    SFMASK that spares TF, and TF in R11
//   PAUSE            loses the trap on some CPUs: it exits
//   MOV to DR6       DR6.BS afterwards would be the trap's or the value's: VMEXIT_DR_WRITE
//   a task switch    seen by TR: TF is what the new task has; the old task's image is repaired
//   an event         is delivered by an entry of its own, without TF, which an interrupt that
//                    this CPU sends itself ends before the handler's first instruction
//   MOV SS, POP SS, STI  hold the trap back for one instruction (STI not everywhere): the caller
//                    executes these itself (vcpu_engine.step_misses_shadow)
//
// SYSENTER, SYSEXIT and far branches neither store nor change TF. DEBUGCTL.BTF has no effect in a
// guest: without LBR virtualization the CPU does not load DEBUGCTL (APM vol. 2, 15.23), so a guest
// with TF is trapped at every instruction. ICEBP is not told apart from its own #DB.
//
// A guest whose own TF is set, or whose data breakpoint was hit, takes its #DB too: it is queued
// when the step is reported.
//
// APM vol. 2, 13.1 (debugging), 15.9 (instruction intercepts), 15.20 (event injection).
#include "vmx/svm.h"

#include "kernel/base/assert.h"
#include "kernel/x86.h"

#define DR6_BREAKPOINTS 15ull // B0 to B3
#define DR6_BD          BIT(13)
#define DR6_BS          BIT(14)

#define STEP_INTERCEPTS3 ((uint32_t)(SVM_INTERCEPT_PUSHF | SVM_INTERCEPT_POPF | \
	SVM_INTERCEPT_IRET | SVM_INTERCEPT_INTN))
#define STEP_INTERCEPTS_DR ((uint32_t)(SVM_INTERCEPT_DR4_WRITE | SVM_INTERCEPT_DR6_WRITE))

enum { SEGMENT_TYPE_TSS32 = 8 }; // APM vol. 2, 4.8.3: bit 3 of a TSS's type

void svm_step_begin(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	struct svm_vmcb *vmcb = svm->vmcb;

	ASSERT(!svm->stepping);
	svm->stepping = true;
	svm->step = (struct svm_step){
		.rip = vmcb->rip,
		.dr6 = vmcb->dr6,
		.tr_base = vmcb->tr.base,
		.sfmask = vmcb->sfmask,
		.r11 = vcpu->gpr[GPR_R11],
		.tss_type = vmcb->tr.attributes & 15,
		.run = SVM_STEP_FIRST,
		.guest_tf = (vmcb->rflags & RFLAGS_TF) != 0,
		.guest_sce = (vmcb->efer & EFER_SCE) != 0,
		.shadow = (vmcb->interrupt_shadow & 1) != 0,
		.guest_pause = (vmcb->intercept3 & SVM_INTERCEPT_PAUSE) == 0,
	};
	vmcb->rflags |= RFLAGS_TF;
	vmcb->efer &= ~EFER_SCE;
	vmcb->intercept_exceptions = UINT32_MAX;
	vmcb->intercept3 |= STEP_INTERCEPTS3 | (uint32_t)SVM_INTERCEPT_PAUSE;
	vmcb->intercept_dr |= STEP_INTERCEPTS_DR;
	svm_watch_dr7(vcpu, false); // a write of it is a step too
	svm_dirty(vcpu, SVM_CLEAN_INTERCEPTS | SVM_CLEAN_CRX);
}

// Once more, for an instruction that an intercept has told about.
static void step_again(struct vcpu *vcpu, enum svm_step_run run)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	struct svm_vmcb *vmcb = svm->vmcb;

	svm->step.run = (uint8_t)run;
	vmcb->intercept3 &= ~STEP_INTERCEPTS3;
	svm_dirty(vcpu, SVM_CLEAN_INTERCEPTS | SVM_CLEAN_CRX);
	if (run != SVM_STEP_SYSCALL)
		return;
	vmcb->efer |= EFER_SCE;
	vmcb->sfmask &= ~RFLAGS_TF;
	vcpu->gpr[GPR_R11] |= RFLAGS_TF;
}

void svm_step_begin_iret(struct vcpu *vcpu)
{
	svm_step_begin(vcpu);
	step_again(vcpu, SVM_STEP_IRET);
}

static void step_restore(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	struct svm_vmcb *vmcb = svm->vmcb;

	svm->stepping = false;
	if (svm->step.guest_sce)
		vmcb->efer |= EFER_SCE;
	vmcb->intercept_exceptions = SVM_EXCEPTIONS_INTERCEPTED;
	vmcb->intercept3 &= ~STEP_INTERCEPTS3;
	vmcb->intercept_dr &= ~STEP_INTERCEPTS_DR;
	if (svm->step.guest_pause)
		vmcb->intercept3 &= ~(uint32_t)SVM_INTERCEPT_PAUSE;
	svm_dirty(vcpu, SVM_CLEAN_INTERCEPTS | SVM_CLEAN_CRX);
	if (svm->step.run == SVM_STEP_SYSCALL)
		vmcb->sfmask = svm->step.sfmask;
}

static void guest_tf_restore(struct vcpu *vcpu)
{
	if (!svm_of(vcpu)->step.guest_tf)
		svm_of(vcpu)->vmcb->rflags &= ~RFLAGS_TF;
}

void svm_step_cancel(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);

	step_restore(vcpu);
	guest_tf_restore(vcpu);
	if (svm->step.run == SVM_STEP_SYSCALL)
		vcpu->gpr[GPR_R11] = svm->step.r11;
}

static bool task_switched(const struct vcpu *vcpu)
{
	const struct svm_vcpu *svm = svm_of(vcpu);

	return svm->vmcb->tr.base != svm->step.tr_base && (svm->vmcb->cr0 & CR0_PE) != 0 &&
		(svm->vmcb->efer & EFER_LMA) == 0;
}

// Is breakpoint `n` of DR7 enabled, for data or for instructions? APM vol. 2, 13.1.1.4.
static bool breakpoint_is(const struct svm_vmcb *vmcb, unsigned n, bool data)
{
	return (vmcb->dr7 >> 2 * n & 3) != 0 && ((vmcb->dr7 >> (16 + 4 * n) & 3) != 0) == data;
}

static uint64_t breakpoint_address(unsigned n)
{
	switch (n) {
	case 0:
		return dr0_read();
	case 1:
		return dr1_read();
	case 2:
		return dr2_read();
	default:
		return dr3_read();
	}
}

// A #DB that is a fault: a breakpoint on the instruction, or DR7.GD. The instruction did not run.
static bool debug_fault(const struct svm_vcpu *svm)
{
	const struct svm_vmcb *vmcb = svm->vmcb;
	uint64_t risen = vmcb->dr6 & ~svm->step.dr6, linear = vmcb->rip;

	if ((vmcb->dr6 & DR6_BS) == 0 || (risen & DR6_BD) != 0)
		return true;
	if ((svm->step.dr6 & DR6_BS) == 0 || vmcb->rip != svm->step.rip)
		return false;
	if ((vmcb->efer & EFER_LMA) == 0 || (vmcb->cs.attributes & SEGMENT_ATTRIBUTE_L) == 0)
		linear = (uint32_t)(vmcb->cs.base + vmcb->rip);
	for (unsigned n = 0; n < 4; n++)
		if ((risen & BIT(n)) != 0 && breakpoint_is(vmcb, n, false) &&
			breakpoint_address(n) == linear)
			return true;
	return false;
}

// What SYSCALL and SYSRET left, as they leave it without our TF. Returns whether the guest's own
// trap is due: both look at TF once they are done.
static bool syscall_repair(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	struct svm_vmcb *vmcb = svm->vmcb;
	bool is_syscall = vmcb->cpl == 0, is_long = (vmcb->efer & EFER_LMA) != 0;
	bool tf = svm->step.guest_tf;

	if (is_syscall && is_long) { // R11 has the flags
		if (!tf)
			vcpu->gpr[GPR_R11] &= ~RFLAGS_TF;
		tf = tf && (svm->step.sfmask & RFLAGS_TF) == 0;
	} else {
		vcpu->gpr[GPR_R11] = svm->step.r11;
		if (!is_syscall && is_long)
			tf = (svm->step.r11 & RFLAGS_TF) != 0;
	}
	vmcb->rflags = (vmcb->rflags & ~RFLAGS_TF) | (tf ? RFLAGS_TF : 0);
	return tf;
}

// The guest's own #DB, if the instruction makes one due; DR6 as the guest may see it.
static void guest_trap(struct vcpu *vcpu, bool single_step)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	struct svm_vmcb *vmcb = svm->vmcb;
	uint64_t risen = vmcb->dr6 & ~svm->step.dr6 & DR6_BREAKPOINTS;
	bool due = single_step;

	for (unsigned n = 0; n < 4; n++)
		due = due || ((risen & BIT(n)) != 0 && breakpoint_is(vmcb, n, true));
	if (!due)
		vmcb->dr6 = svm->step.dr6;
	else if (!single_step)
		vmcb->dr6 = (vmcb->dr6 & ~DR6_BS) | (svm->step.dr6 & DR6_BS);
	svm_dirty(vcpu, SVM_CLEAN_DRX);
	if (due)
		svm_inject_exception(vcpu, VECTOR_DB, false, 0);
}

// The instruction has run.
static void step_done(struct vcpu *vcpu, struct vmexit *exit)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	struct svm_vmcb *vmcb = svm->vmcb;
	bool single_step = svm->step.guest_tf;

	exit->kind = VMEXIT_STEP;
	if (svm->step.run == SVM_STEP_SYSCALL)
		single_step = syscall_repair(vcpu);
	else if (svm->step.run != SVM_STEP_POPF && svm->step.run != SVM_STEP_IRET &&
		!task_switched(vcpu))
		guest_tf_restore(vcpu);
	if (!svm->step.guest_tf && (svm->step.run == SVM_STEP_PUSHF || task_switched(vcpu))) {
		exit->kind = VMEXIT_STEP_REPAIR;
		exit->repair.pushed = svm->step.run == SVM_STEP_PUSHF;
		exit->repair.tss = svm->step.tr_base;
		exit->repair.tss_is_32bit = (svm->step.tss_type & SEGMENT_TYPE_TSS32) != 0;
	}
	// The second of two instructions that cast a shadow casts none: APM vol. 2, 15.21.5.
	if (svm->step.shadow)
		vmcb->interrupt_shadow &= ~1ull;
	guest_trap(vcpu, single_step);
}

// #UD: perhaps because SCE is off for the step.
static bool undefined_again(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);

	if (svm->step.run != SVM_STEP_FIRST || !svm->step.guest_sce)
		return false;
	step_again(vcpu, SVM_STEP_SYSCALL);
	svm->run_ticks = 0; // only the second attempt counts
	return true;
}

static bool exit_is_exception(uint64_t code)
{
	return code >= SVM_EXIT_EXCEPTION_FIRST && code <= SVM_EXIT_EXCEPTION_LAST;
}

// Something else came first. An IRET that faults ends the blocking of NMIs as well; one that has
// not run does not.
static enum svm_step_result step_interrupted(struct vcpu *vcpu, uint64_t code,
	struct vmexit *exit)
{
	struct svm_vcpu *svm = svm_of(vcpu);

	step_restore(vcpu);
	if (!task_switched(vcpu))
		guest_tf_restore(vcpu);
	if (svm->step.run == SVM_STEP_SYSCALL)
		vcpu->gpr[GPR_R11] = svm->step.r11;
	if (svm->step.run == SVM_STEP_IRET && svm->nmi_blocked && exit_is_exception(code))
		svm->nmi_blocked = false;
	switch (code) {
	case SVM_EXIT_INTN:
	case SVM_EXIT_EXCEPTION_FIRST + VECTOR_BP:
	case SVM_EXIT_EXCEPTION_FIRST + VECTOR_OF:
		exit->kind = VMEXIT_SOFTWARE_INTERRUPT;
		return SVM_STEP_REPORT;
	case SVM_EXIT_DR4_WRITE:
	case SVM_EXIT_DR6_WRITE:
		exit->kind = VMEXIT_DR_WRITE;
		return SVM_STEP_REPORT;
	}
	return SVM_STEP_OTHER;
}

enum svm_step_result svm_step_exit(struct vcpu *vcpu, struct vmexit *exit)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	struct svm_vmcb *vmcb = svm->vmcb;

	exit->length = 0;
	switch (vmcb->exit_code) {
	case SVM_EXIT_PUSHF:
		step_again(vcpu, SVM_STEP_PUSHF);
		return SVM_STEP_AGAIN;
	case SVM_EXIT_POPF:
		step_again(vcpu, SVM_STEP_POPF);
		return SVM_STEP_AGAIN;
	case SVM_EXIT_IRET:
		step_again(vcpu, SVM_STEP_IRET);
		return SVM_STEP_AGAIN;
	case SVM_EXIT_EXCEPTION_FIRST + VECTOR_UD:
		if (undefined_again(vcpu))
			return SVM_STEP_AGAIN;
		break;
	case SVM_EXIT_EXCEPTION_FIRST + VECTOR_DB:
		if (debug_fault(svm)) {
			vmcb->dr6 = (vmcb->dr6 & ~DR6_BS) | (svm->step.dr6 & DR6_BS);
			svm_dirty(vcpu, SVM_CLEAN_DRX);
			break;
		}
		step_restore(vcpu);
		if (svm->step.run == SVM_STEP_IRET)
			svm->nmi_blocked = false;
		step_done(vcpu, exit);
		return SVM_STEP_REPORT;
	}
	return step_interrupted(vcpu, vmcb->exit_code, exit);
}

static bool event_is_software(const struct svm_vcpu *svm)
{
	return svm->has_event &&
		(svm->event & SVM_EVENT_TYPE_MASK) == SVM_EVENT_TYPE_SOFTWARE;
}

bool svm_delivery_wanted(const struct vcpu *vcpu)
{
	const struct svm_vcpu *svm = svm_of(vcpu);

	return ((svm->precise & SVM_PRECISE_STEP) != 0 && svm_event_pending(vcpu)) ||
		event_is_software(svm);
}

// Of INT n the return address is that of the next instruction: in NEXT_RIP where the CPU has it,
// else in RIP (APM vol. 2, 15.20). A fault on the way is the caller's to inject: with INT n it is
// the instruction's, and RIP is put back; with an exception it may make a double fault, which not
// every implementation recognizes.
void svm_delivery_begin(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	struct svm_vmcb *vmcb = svm->vmcb;

	ASSERT(!svm->stepping);
	svm->precise |= SVM_PRECISE_DELIVER;
	svm->step.rip = vmcb->rip;
	svm->step.software = event_is_software(svm);
	vmcb->intercept_exceptions = UINT32_MAX;
	svm_dirty(vcpu, SVM_CLEAN_INTERCEPTS);
	if (!svm->step.software)
		return;
	vmcb->next_rip = vmcb->rip + svm->software_length;
	if (svm_code_bits(vcpu) != 64)
		vmcb->next_rip = (uint32_t)vmcb->next_rip;
	if (!svm_features.next_rip)
		vmcb->rip = vmcb->next_rip;
}

void svm_delivery_cancel(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);

	svm->precise &= (uint8_t)~SVM_PRECISE_DELIVER;
	svm->vmcb->intercept_exceptions = SVM_EXCEPTIONS_INTERCEPTED;
	svm_dirty(vcpu, SVM_CLEAN_INTERCEPTS);
	if (svm->step.software)
		svm->vmcb->rip = svm->step.rip;
}

// True: the event is delivered, and `exit` says so. Otherwise the exit is about its delivery.
bool svm_delivery_exit(struct vcpu *vcpu, struct vmexit *exit)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	struct svm_vmcb *vmcb = svm->vmcb;
	uint64_t rip = vmcb->rip;
	bool delivered = vmcb->exit_code == SVM_EXIT_INTR &&
		(vmcb->exit_interrupt_info & SVM_EVENT_VALID) == 0;

	svm_delivery_cancel(vcpu);
	if (!delivered) {
		exit->rip = vmcb->rip;
		return false;
	}
	vmcb->rip = rip;
	exit->length = 0;
	exit->kind = svm->step.software ? VMEXIT_STEP : VMEXIT_INTERRUPT;
	svm->run_ticks += svm->step.software; // INT n has retired
	return true;
}

void svm_request_step(struct vcpu *vcpu)
{
	svm_of(vcpu)->precise |= SVM_PRECISE_STEP;
}

void svm_inject_software_interrupt(struct vcpu *vcpu, uint8_t vector, unsigned length)
{
	ASSERT(!svm_event_pending(vcpu) && length <= 15);
	svm_of(vcpu)->software_length = (uint8_t)length;
	svm_event_set(vcpu, SVM_EVENT_VALID | SVM_EVENT_TYPE_SOFTWARE | vector);
}

// SPDX-License-Identifier: BSD-2-Clause
// From AMD's exit codes to struct vmexit. APM vol. 2, appendix C.
#include "vmx/svm.h"

#include <string.h>

#include "kernel/base/assert.h"
#include "kernel/console.h"
#include "kernel/x86.h"

// Exits that carry nothing beyond their kind.
#define PLAIN(code) ((code)-0x60) // from SVM_EXIT_INTR on

const uint8_t svm_plain_kinds[SVM_PLAIN_KINDS] = {
	[PLAIN(SVM_EXIT_INTR)] = VMEXIT_INTERRUPT,
	[PLAIN(SVM_EXIT_NMI)] = VMEXIT_INTERRUPT,
	[PLAIN(SVM_EXIT_SMI)] = VMEXIT_INTERRUPT,
	[PLAIN(SVM_EXIT_INIT)] = VMEXIT_INTERRUPT,
	[PLAIN(SVM_EXIT_VINTR)] = VMEXIT_INTERRUPT_WINDOW,
	[PLAIN(SVM_EXIT_RDTSC)] = VMEXIT_RDTSC,
	[PLAIN(SVM_EXIT_RDPMC)] = VMEXIT_RDPMC,
	[PLAIN(SVM_EXIT_CPUID)] = VMEXIT_CPUID,
	[PLAIN(SVM_EXIT_INVD)] = VMEXIT_CACHE,
	[PLAIN(SVM_EXIT_PAUSE)] = VMEXIT_PAUSE,
	[PLAIN(SVM_EXIT_HLT)] = VMEXIT_HLT,
	[PLAIN(SVM_EXIT_INVLPGA)] = VMEXIT_UNDEFINED,
	[PLAIN(SVM_EXIT_FERR_FREEZE)] = VMEXIT_INTERRUPT,
	[PLAIN(SVM_EXIT_SHUTDOWN)] = VMEXIT_SHUTDOWN,
	[PLAIN(SVM_EXIT_VMRUN) ... PLAIN(SVM_EXIT_SKINIT)] = VMEXIT_UNDEFINED,
	[PLAIN(SVM_EXIT_RDTSCP)] = VMEXIT_RDTSC,
	[PLAIN(SVM_EXIT_WBINVD)] = VMEXIT_CACHE,
	[PLAIN(SVM_EXIT_MONITOR)] = VMEXIT_MONITOR,
	[PLAIN(SVM_EXIT_MWAIT)] = VMEXIT_MONITOR,
	[PLAIN(SVM_EXIT_XSETBV)] = VMEXIT_XSETBV,
	[PLAIN(SVM_EXIT_RDPRU)] = VMEXIT_UNDEFINED,
	[PLAIN(SVM_EXIT_INVPCID)] = VMEXIT_UNDEFINED,
};

static void decode_io(const struct svm_vmcb *vmcb, struct vmexit *exit)
{
	uint64_t info = vmcb->exit_info1;

	exit->kind = VMEXIT_IO;
	exit->length = (uint8_t)(vmcb->exit_info2 - vmcb->rip);
	exit->io.port = (uint16_t)(info >> SVM_IO_PORT_SHIFT);
	exit->io.size = (info >> SVM_IO_SIZE_SHIFT) & 7;
	exit->io.in = (info & SVM_IO_IN) != 0;
	exit->io.string = (info & SVM_IO_STRING) != 0;
}

static void decode_memory(const struct svm_vmcb *vmcb, struct vmexit *exit)
{
	exit->kind = VMEXIT_MEMORY;
	exit->length = 0;
	exit->memory.gpa.v = vmcb->exit_info2;
	exit->memory.write = (vmcb->exit_info1 & SVM_NPF_WRITE) != 0;
	exit->memory.fetch = (vmcb->exit_info1 & SVM_NPF_FETCH) != 0;
	exit->memory.table = (vmcb->exit_info1 & SVM_NPF_TABLE) != 0;
}

// True: enter again at once.
static bool decode_exception(struct vcpu *vcpu, struct vmexit *exit)
{
	struct svm_vmcb *vmcb = svm_of(vcpu)->vmcb;
	uint8_t vector = (uint8_t)(vmcb->exit_code - SVM_EXIT_EXCEPTION_FIRST);

	if (vector == VECTOR_MC) { // the host's handler takes it: it does not return
		__asm__ volatile("int $18");
		return true;
	}
	exit->kind = VMEXIT_EXCEPTION;
	exit->length = 0;
	exit->exception.vector = vector;
	exit->exception.has_error_code = (BIT(vector) &
		(BIT(VECTOR_DF) | BIT(VECTOR_TS) | BIT(VECTOR_NP) | BIT(VECTOR_SS) |
			BIT(VECTOR_GP) | BIT(VECTOR_PF) | BIT(VECTOR_AC))) != 0;
	exit->exception.error_code = (uint32_t)vmcb->exit_info1;
	if (vector == VECTOR_PF)
		svm_set_cr2(vcpu, vmcb->exit_info2);
	return false;
}

static bool exit_is_host_interrupt(uint64_t code)
{
	return (code >= SVM_EXIT_INTR && code <= SVM_EXIT_INIT) || code == SVM_EXIT_FERR_FREEZE;
}

bool svm_exit_decode(struct vcpu *vcpu, struct vmexit *exit)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	const struct svm_vmcb *vmcb = svm->vmcb;
	uint64_t code = vmcb->exit_code;

	if (likely(code == SVM_EXIT_IOIO && !svm->stepping)) {
		decode_io(vmcb, exit);
		return false;
	}
	if (unlikely(svm->stepping)) {
		enum svm_step_result result = svm_step_exit(vcpu, exit);

		if (result != SVM_STEP_OTHER)
			return result == SVM_STEP_AGAIN;
	}
	switch (code) {
	case SVM_EXIT_NPF:
		decode_memory(vmcb, exit);
		return false;
	case SVM_EXIT_IOIO:
		decode_io(vmcb, exit);
		return false;
	case SVM_EXIT_MSR:
		exit->kind = vmcb->exit_info1 != 0 ? VMEXIT_MSR_WRITE : VMEXIT_MSR_READ;
		exit->length = svm_next_rip_length(vmcb);
		return false;
	case SVM_EXIT_IRET:
		svm_step_begin_iret(vcpu); // its end is that of the blocking of NMIs
		return true;
	case SVM_EXIT_CR0_WRITE:
	case SVM_EXIT_CR4_WRITE:
		exit->kind = VMEXIT_CR_WRITE;
		exit->length = 0;
		return false;
	case SVM_EXIT_CR8_WRITE:
		exit->kind = VMEXIT_CR8_WRITE;
		exit->length = svm_next_rip_length(vmcb);
		// Decode assists: APM vol. 2, 15.33.1.
		exit->cr8_gpr = (vmcb->exit_info1 & BIT(63)) != 0 ? vmcb->exit_info1 & 15 : 0xff;
		return false;
	case SVM_EXIT_DR5_WRITE:
	case SVM_EXIT_DR7_WRITE: // runs now
		svm_watch_dr7(vcpu, false);
		exit->kind = VMEXIT_INTERRUPT;
		exit->length = 0;
		return false;
	case SVM_EXIT_EXCEPTION_FIRST ... SVM_EXIT_EXCEPTION_LAST:
		return decode_exception(vcpu, exit);
	}
	exit->length = svm_next_rip_length(vmcb);
	if (exit_is_host_interrupt(code))
		exit->kind = VMEXIT_INTERRUPT;
	else if (code - SVM_EXIT_INTR < SVM_PLAIN_KINDS &&
		svm_plain_kinds[code - SVM_EXIT_INTR] != 0)
		exit->kind = svm_plain_kinds[code - SVM_EXIT_INTR];
	else
		exit->kind = VMEXIT_INVALID; // VMEXIT_INVALID, or one that nobody asked for
	return false;
}

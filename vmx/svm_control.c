// SPDX-License-Identifier: BSD-2-Clause
// Writes to CR0 and CR4, which exit so that the guest's own CPUID decides which bits exist, and not
// the CPU that is underneath. The checks are in vcpu_control.c.
#include "vmx/svm.h"

#include "kernel/base/assert.h"

static void translations_flush(struct vcpu *vcpu)
{
	svm_of(vcpu)->vmcb->tlb_control =
		svm_features.flush_by_asid ? SVM_TLB_FLUSH_ASID : SVM_TLB_FLUSH_ALL;
}

void svm_forget_nested(struct vcpu *vcpu)
{
	ASSERT(!vcpu_is_loaded(vcpu));
	translations_flush(vcpu);
}

enum status svm_write_cr0(struct vcpu *vcpu, uint64_t value)
{
	struct svm_vmcb *vmcb = svm_of(vcpu)->vmcb;
	struct vcpu_paging now = svm_paging(vcpu);
	uint64_t changed = value ^ vmcb->cr0;

	if (!vcpu_cr0_is_allowed(&now, (vmcb->cs.attributes & SEGMENT_ATTRIBUTE_L) != 0, value))
		return STATUS_FAIL(STATUS_FAULT);
	if ((changed & CR0_PG) != 0 && (vmcb->efer & EFER_LME) != 0)
		vmcb->efer ^= EFER_LMA;
	vmcb->cr0 = (value & VCPU_CR0_WRITABLE) | CR0_ET;
	if ((changed & VCPU_CR0_FLUSHING) != 0)
		translations_flush(vcpu);
	svm_dirty(vcpu, SVM_CLEAN_CRX);
	return STATUS_OK;
}

enum status svm_write_cr4(struct vcpu *vcpu, uint64_t value, uint64_t allowed)
{
	struct svm_vmcb *vmcb = svm_of(vcpu)->vmcb;
	struct vcpu_paging now = svm_paging(vcpu);
	uint64_t changed = value ^ vmcb->cr4;

	if (!vcpu_cr4_is_allowed(&now, value, allowed))
		return STATUS_FAIL(STATUS_FAULT);
	vmcb->cr4 = value;
	if ((changed & VCPU_CR4_FLUSHING) != 0)
		translations_flush(vcpu);
	svm_dirty(vcpu, SVM_CLEAN_CRX);
	return STATUS_OK;
}

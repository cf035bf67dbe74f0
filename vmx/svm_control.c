// SPDX-License-Identifier: BSD-2-Clause
// Writes to CR0 and CR4, which exit so that the guest's own CPUID decides which bits exist, and not
// the CPU that is underneath. Checks: SDM vol. 3, 2.5 and 4.1.2; APM vol. 2, 3.1.
#include "vmx/cpuid.h"
#include "vmx/svm.h"

#include "kernel/x86.h"

#define CR0_WRITABLE (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_NE | CR0_WP | CR0_AM | CR0_NW | \
	CR0_CD | CR0_PG)
// Bits whose change ends the validity of cached translations.
#define CR4_FLUSHING (CR4_PSE | CR4_PAE | CR4_PGE | CR4_SMEP | CR4_SMAP)

static void translations_flush(struct vcpu *vcpu)
{
	svm_of(vcpu)->vmcb->tlb_control =
		svm_features.flush_by_asid ? SVM_TLB_FLUSH_ASID : SVM_TLB_FLUSH_ALL;
}

static bool in_long_mode(const struct svm_vmcb *vmcb)
{
	return (vmcb->efer & EFER_LMA) != 0;
}

// Turning paging on or off: what LME and PAE make of it.
static bool paging_change_allowed(const struct svm_vmcb *vmcb, uint64_t value)
{
	if ((value & CR0_PG) == 0)
		return !(in_long_mode(vmcb) && (vmcb->cs.attributes & SEGMENT_ATTRIBUTE_L) != 0);
	return (vmcb->efer & EFER_LME) == 0 ||
		((vmcb->cr4 & CR4_PAE) != 0 && (vmcb->cs.attributes & SEGMENT_ATTRIBUTE_L) == 0);
}

enum status svm_write_cr0(struct vcpu *vcpu, uint64_t value)
{
	struct svm_vmcb *vmcb = svm_of(vcpu)->vmcb;
	uint64_t changed = value ^ vmcb->cr0;

	if (value > UINT32_MAX || ((value & CR0_NW) != 0 && (value & CR0_CD) == 0) ||
		((value & CR0_PG) != 0 && (value & CR0_PE) == 0) ||
		((changed & CR0_PG) != 0 && !paging_change_allowed(vmcb, value)))
		return STATUS_FAIL(STATUS_FAULT);
	if ((changed & CR0_PG) != 0 && (vmcb->efer & EFER_LME) != 0)
		vmcb->efer ^= EFER_LMA;
	vmcb->cr0 = (value & CR0_WRITABLE) | CR0_ET;
	if ((changed & (CR0_PG | CR0_WP | CR0_PE)) != 0)
		translations_flush(vcpu);
	svm_dirty(vcpu, SVM_CLEAN_CRX);
	return STATUS_OK;
}

enum status svm_write_cr4(struct vcpu *vcpu, uint64_t value, uint64_t allowed)
{
	struct svm_vmcb *vmcb = svm_of(vcpu)->vmcb;
	uint64_t changed = value ^ vmcb->cr4;

	if ((value & ~allowed) != 0 || (in_long_mode(vmcb) && (value & CR4_PAE) == 0))
		return STATUS_FAIL(STATUS_FAULT);
	vmcb->cr4 = value;
	if ((changed & CR4_FLUSHING) != 0)
		translations_flush(vcpu);
	svm_dirty(vcpu, SVM_CLEAN_CRX);
	return STATUS_OK;
}

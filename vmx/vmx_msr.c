// SPDX-License-Identifier: BSD-2-Clause
// MSRs that are CPU state.
#include "vmx/vmx.h"

#include <string.h>

// MSRs that a guest reads and writes without an exit: of the control structure, or its own while
// it is loaded (vmx_registers_load).
static const uint32_t msrs_passed[] = {
	MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_SFMASK, MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE,
	MSR_SYSENTER_CS, MSR_SYSENTER_ESP, MSR_SYSENTER_EIP, MSR_PAT,
};

// One bit an MSR: reads of 0 to 1fff and c0000000 to c0001fff, then writes. SDM vol. 3, 25.6.9.
void vmx_msr_bitmap_init(uint8_t *bitmap)
{
	enum { HIGH = 0x400, WRITE = 0x800 };

	memset(bitmap, 0xff, PAGE_BYTES);
	for (unsigned i = 0; i < ARRAY_COUNT(msrs_passed); i++) {
		uint32_t msr = msrs_passed[i], at = (msr & 0x1fff) / 8;
		uint8_t bit = (uint8_t)(1u << msr % 8);

		at += msr >= 0xc0000000u ? HIGH : 0;
		bitmap[at] = (uint8_t)(bitmap[at] & ~bit);
		bitmap[at + WRITE] = (uint8_t)(bitmap[at + WRITE] & ~bit);
	}
}

enum status vmx_read_msr(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	switch (msr) {
	case MSR_EFER:
		*value = vmx_of(vcpu)->efer;
		return STATUS_OK;
	case MSR_TSC_AUX:
		return vcpu_read_tsc_aux(vcpu, value);
	case MSR_DEBUGCTL:
		*value = vmx_read(VMCS_GUEST_DEBUGCTL);
		return STATUS_OK;
	}
	return STATUS_NOT_FOUND;
}

static enum status efer_write(struct vcpu *vcpu, uint64_t value)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);
	struct vcpu_paging now = vmx_paging(vcpu);

	if (!vcpu_efer_is_allowed(&now, vcpu->offer.efer, value))
		return STATUS_FAIL(STATUS_FAULT);
	if (((value ^ vmx->efer) & EFER_NXE) != 0)
		vmx_translations_flush(vcpu);
	vmx->efer = (value & ~EFER_LMA) | (vmx->efer & EFER_LMA);
	vmx_write(VMCS_GUEST_EFER, vmx->efer);
	return STATUS_OK;
}

enum status vmx_write_msr(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	switch (msr) {
	case MSR_EFER:
		return efer_write(vcpu, value);
	case MSR_TSC_AUX:
		return vcpu_write_tsc_aux(vcpu, value);
	case MSR_DEBUGCTL:
		if ((value & ~3ull) != 0) // LBR and BTF alone
			return STATUS_FAIL(STATUS_FAULT);
		vmx_write(VMCS_GUEST_DEBUGCTL, value & 2); // no last-branch records
		return STATUS_OK;
	}
	return STATUS_NOT_FOUND;
}

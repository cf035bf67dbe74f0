// SPDX-License-Identifier: BSD-2-Clause
// CR0 and CR4. Which of their bits exist is the guest's own CPUID's to say, and not the CPU's that
// is underneath: so a guest changes by itself only bits that have no further meaning
// (VMX_CR0_GUEST) and that its CPUID offers (VMX_CR4_GUEST, as soon as a write has told what that
// is). A change of any other bit exits. SDM vol. 3, 26.3 and 27.3.2.1.
//
// The CPU has some bits otherwise than the guest sees them: CR0.NE and CR4.VMXE are fixed, and
// CR4.MCE is the host's, for a machine check must not shut the guest down. CR0.CD and CR0.NW are
// never loaded. The shadows have what the guest reads.
#include "vmx/vmx.h"

#include <string.h>

static uint64_t cr0_guest(void)
{
	return VMX_CR0_GUEST & vmx_features.cr0_fixed1 & ~vmx_features.cr0_fixed0;
}

void vmx_controls_write(struct vmx_vcpu *vmx, uint64_t cr0, uint64_t cr4, uint64_t efer)
{
	bool long_mode = (efer & EFER_LMA) != 0;
	uint32_t entry = (vmx->entry & ~(uint32_t)VMX_ENTRY_IA32E) |
		(long_mode ? (uint32_t)VMX_ENTRY_IA32E : 0);

	vmx->cr0 = cr0;
	vmx->cr4 = cr4;
	vmx->efer = efer;
	vmx_write(VMCS_GUEST_CR0,
		((cr0 & ~(CR0_CD | CR0_NW)) | vmx_features.cr0_fixed0) & vmx_features.cr0_fixed1);
	vmx_write(VMCS_GUEST_CR4,
		(cr4 | CR4_MCE | vmx_features.cr4_fixed0) & vmx_features.cr4_fixed1);
	vmx_write(VMCS_CR0_SHADOW, cr0);
	vmx_write(VMCS_CR4_SHADOW, cr4);
	vmx_write(VMCS_CR0_MASK, ~cr0_guest());
	vmx_write(VMCS_CR4_MASK, ~vmx->cr4_guest);
	vmx_write(VMCS_GUEST_EFER, efer);
	if (entry != vmx->entry)
		vmx_write(VMCS_ENTRY_CONTROLS, entry);
	vmx->entry = entry;
	vmx->have &= ~(uint32_t)(BIT(VMX_CR0) | BIT(VMX_CR4));
}

struct vcpu_paging vmx_paging(const struct vcpu *vcpu)
{
	const struct vmx_vcpu *vmx = vmx_of(vcpu);
	uint64_t cr0_own = cr0_guest(), cr4_own = vmx->cr4_guest;

	return (struct vcpu_paging){
		.cr0 = (vmx->cr0 & ~cr0_own) | (vmx_cached(vcpu, VMX_CR0) & cr0_own),
		.cr3 = vmx_cached(vcpu, VMX_CR3),
		.cr4 = (vmx->cr4 & ~cr4_own) | (vmx_cached(vcpu, VMX_CR4) & cr4_own),
		.efer = vmx->efer,
	};
}

// SDM vol. 3, table 4-8. Entries outside of memory read as ones, as on a bus without a device.
enum status vmx_pdptes_load(struct vcpu *vcpu, uint64_t cr3)
{
	enum { PDPTES = 4, PDPT_BYTES = 32 };
	uint64_t entries[PDPTES], present = BIT(0), reserved = 0x1e6;
	struct gpa at = {cr3 & 0xffffffe0};
	const void *table = nested_map_pointer(vcpu->map, at);

	_Static_assert(PDPT_BYTES == sizeof(entries), "four entries");
	reserved |= ~(BIT(vmx_features.physical_bits) - 1);
	memset(entries, 0xff, sizeof(entries));
	if (table != NULL) // aligned: it does not cross a page
		memcpy(entries, table, sizeof(entries));
	for (unsigned i = 0; i < PDPTES; i++)
		if ((entries[i] & present) != 0 && (entries[i] & reserved) != 0)
			return STATUS_FAIL(STATUS_FAULT);
	for (unsigned i = 0; i < PDPTES; i++)
		vmx_write(vmx_pdpte_field(i), entries[i]);
	return STATUS_OK;
}

static bool is_pae(uint64_t cr0, uint64_t cr4, uint64_t efer)
{
	return (cr0 & CR0_PG) != 0 && (cr4 & CR4_PAE) != 0 && (efer & EFER_LMA) == 0;
}

enum status vmx_write_cr0(struct vcpu *vcpu, uint64_t value)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);
	struct vcpu_paging now = vmx_paging(vcpu);
	uint64_t changed = value ^ now.cr0, efer = now.efer;
	bool code_64 = (vmx_cached(vcpu, VMX_CS_ACCESS) & VMX_ACCESS_L) != 0;

	if (!vcpu_cr0_is_allowed(&now, code_64, value))
		return STATUS_FAIL(STATUS_FAULT);
	if ((changed & CR0_PG) != 0 && (efer & EFER_LME) != 0)
		efer ^= EFER_LMA;
	// Long mode has no 16-bit TSS: SDM vol. 2, MOV to control registers.
	if ((efer & ~now.efer & EFER_LMA) != 0 && (vmx_read(VMCS_GUEST_TR_ACCESS) & 8) == 0)
		return STATUS_FAIL(STATUS_FAULT);
	if (is_pae(value, now.cr4, efer) && (changed & (CR0_PG | CR0_CD | CR0_NW)) != 0 &&
		vmx_pdptes_load(vcpu, now.cr3) != STATUS_OK)
		return STATUS_FAIL(STATUS_FAULT);
	vmx_controls_write(vmx, (value & VCPU_CR0_WRITABLE) | CR0_ET, now.cr4, efer);
	if ((changed & VCPU_CR0_FLUSHING) != 0)
		vmx_translations_flush(vcpu);
	return STATUS_OK;
}

enum status vmx_write_cr4(struct vcpu *vcpu, uint64_t value, uint64_t allowed)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);
	struct vcpu_paging now = vmx_paging(vcpu);
	uint64_t changed = value ^ now.cr4;

	if (!vcpu_cr4_is_allowed(&now, value, allowed))
		return STATUS_FAIL(STATUS_FAULT);
	if (is_pae(now.cr0, value, now.efer) && (changed & VCPU_CR4_FLUSHING) != 0 &&
		vmx_pdptes_load(vcpu, now.cr3) != STATUS_OK)
		return STATUS_FAIL(STATUS_FAULT);
	vmx->cr4_guest = allowed & VMX_CR4_GUEST & vmx_features.cr4_fixed1;
	vmx_controls_write(vmx, now.cr0, value, now.efer);
	if ((changed & VCPU_CR4_FLUSHING) != 0)
		vmx_translations_flush(vcpu);
	return STATUS_OK;
}

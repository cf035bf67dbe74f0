// SPDX-License-Identifier: BSD-2-Clause
// Rules of the architecture that both engines apply when they do something in the CPU's place.
// Control registers: SDM vol. 3, 2.5 and 4.1.2; APM vol. 2, 3.1.
#include "vmx/cpuid.h"
#include "vmx/engine.h"

// SDM vol. 3, table 6-4: contributory exceptions.
static bool is_contributory(uint8_t vector)
{
	return vector == VECTOR_DE || (vector >= VECTOR_TS && vector <= VECTOR_GP);
}

// SDM vol. 3, 6.15 (#DF): a third one is the shutdown.
enum fault_pair vcpu_fault_pair(uint8_t first, uint8_t second)
{
	bool serious = is_contributory(second) || second == VECTOR_PF;

	if (first == VECTOR_DF && serious)
		return FAULTS_TRIPLE;
	return (is_contributory(first) && is_contributory(second)) ||
		(first == VECTOR_PF && serious) ? FAULTS_DOUBLE : FAULTS_SERIAL;
}

// Turning paging on or off: what LME, PAE and PCIDE make of it.
static bool paging_change_is_allowed(const struct vcpu_paging *now, bool code_64, uint64_t value)
{
	if ((value & CR0_PG) == 0)
		return !((now->efer & EFER_LMA) != 0 && code_64) && (now->cr4 & CR4_PCIDE) == 0;
	return (now->efer & EFER_LME) == 0 || ((now->cr4 & CR4_PAE) != 0 && !code_64);
}

bool vcpu_cr0_is_allowed(const struct vcpu_paging *now, bool code_64, uint64_t value)
{
	uint64_t changed = value ^ now->cr0;

	return value <= UINT32_MAX && ((value & CR0_NW) == 0 || (value & CR0_CD) != 0) &&
		((value & CR0_PG) == 0 || (value & CR0_PE) != 0) &&
		((changed & CR0_PG) == 0 || paging_change_is_allowed(now, code_64, value));
}

// In long mode PAE and LA57 stay as they are. PCIDs begin there, with PCID 0: SDM vol. 3, 4.10.1.
bool vcpu_cr4_is_allowed(const struct vcpu_paging *now, uint64_t value, uint64_t allowed)
{
	uint64_t changed = value ^ now->cr4;
	bool long_mode = (now->efer & EFER_LMA) != 0;

	return (value & ~allowed) == 0 && (!long_mode || (value & CR4_PAE) != 0) &&
		(!long_mode || (changed & CR4_LA57) == 0) &&
		((changed & value & CR4_PCIDE) == 0 ||
			(long_mode && (now->cr3 & CR3_PCID) == 0));
}

// LME cannot change while paging is on; LMA is the CPU's. APM vol. 2, 3.1.7 and 14.6.
bool vcpu_efer_is_allowed(const struct vcpu_paging *now, uint64_t value)
{
	return (value & ~cpuid_efer_mask()) == 0 &&
		(((value ^ now->efer) & EFER_LME) == 0 || (now->cr0 & CR0_PG) == 0);
}

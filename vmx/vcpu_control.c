// SPDX-License-Identifier: BSD-2-Clause
// Rules of the architecture that both engines apply when they do something in the CPU's place.
// Control registers: SDM vol. 3, 2.5 and 4.1.2; APM vol. 2, 3.1.
#include "kernel/base/assert.h"
#include "vmx/breakpoint.h"
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
bool vcpu_efer_is_allowed(const struct vcpu_paging *now, uint64_t offered, uint64_t value)
{
	return (value & ~offered) == 0 &&
		(((value ^ now->efer) & EFER_LME) == 0 || (now->cr0 & CR0_PG) == 0);
}

// The bits B0 to B3 of DR6 that an access sets. SDM vol. 3, 17.2.4 (R/Wn, LENn) and 17.2.5.
static unsigned breakpoint_hits(const uint64_t dr[4], uint64_t dr7, bool io_breakpoints,
	enum vcpu_access access, uint64_t address, unsigned bytes)
{
	static const uint8_t lengths[] = {1, 2, 8, 4}; // by LENn
	unsigned hits = 0;

	for (unsigned i = 0; i < 4; i++) {
		unsigned kind = dr7 >> (16 + 4 * i) & 3, length = lengths[dr7 >> (18 + 4 * i) & 3];
		uint64_t begin = dr[i] & ~(uint64_t)(length - 1);
		bool matches = kind == VCPU_ACCESS_WRITE || kind == VCPU_ACCESS_READ
			? access == VCPU_ACCESS_WRITE || access == kind
			: kind == VCPU_ACCESS_PORT && access == kind && io_breakpoints;

		if ((dr7 >> 2 * i & 3) != 0 && matches && address < begin + length &&
			begin < address + bytes)
			hits |= 1u << i;
	}
	return hits;
}

bool vcpu_find_breakpoints(struct vcpu *vcpu)
{
	if ((vcpu_engine.dr7(vcpu) & DR7_ENABLED) != 0)
		return true;
	vcpu_engine.watch_dr7(vcpu, true);
	return false;
}

void vcpu_compare_access(struct vcpu *vcpu, enum vcpu_access access, uint64_t address,
	unsigned bytes)
{
	const uint64_t dr[4] = {dr0_read(), dr1_read(), dr2_read(), dr3_read()};

	ASSERT(vcpu_is_loaded(vcpu) && bytes != 0);
	vcpu->breakpoint_hits |= breakpoint_hits(dr, vcpu_engine.dr7(vcpu),
		(vcpu_engine.paging(vcpu).cr4 & CR4_DE) != 0, access, address, bytes);
}

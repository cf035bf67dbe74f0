// SPDX-License-Identifier: BSD-2-Clause
// What CPUID tells a guest: the host's answers through a table of masks, virtualization hidden, and
// a hypervisor leaf. Computed once when a machine is created, so an exit is one look-up.
#ifndef VMX_CPUID_H
#define VMX_CPUID_H

#include "kernel/base/types.h"
#include "kernel/x86.h"

enum { CPUID_ENTRIES_MAX = 64, CPUID_RANGE_LEAVES = 32 };

#define CPUID_HYPERVISOR_FIRST 0x40000000u
#define CPUID_HYPERVISOR_LAST  0x40000010u

struct cpuid_config {
	uint32_t apic_id; // of this vcpu
	uint32_t vcpus;
	bool x2apic;
	bool deterministic; // without instructions whose result nobody else can repeat
	uint32_t tsc_khz;  // leaf 0x40000010 EAX
	uint32_t apic_khz; // leaf 0x40000010 EBX: LAPIC timer at divide 1
};

struct cpuid_entry {
	uint32_t leaf, subleaf;
	struct cpuid value;
};

struct cpuid_profile {
	uint32_t count;
	// First entry of a leaf plus one; 0: the leaf answers zeros.
	uint8_t basic[CPUID_RANGE_LEAVES], hypervisor[CPUID_RANGE_LEAVES],
		extended[CPUID_RANGE_LEAVES];
	// The same for leaves whose answer depends on nothing else.
	uint8_t simple_basic[CPUID_RANGE_LEAVES], simple_extended[CPUID_RANGE_LEAVES];
	struct cpuid_entry entries[CPUID_ENTRIES_MAX];
};

void cpuid_profile_build(const struct cpuid_config *config, struct cpuid_profile *profile);

// Bits of leaf 1 that mirror the CPU's state: the caller sets OSXSAVE and clears APIC.
#define CPUID_1_ECX_OSXSAVE BIT(27)
#define CPUID_1_EDX_APIC    BIT(9)

// The answer of a leaf that depends on nothing but its number; NULL: ask cpuid_profile_query.
static always_inline const struct cpuid *cpuid_profile_simple(
	const struct cpuid_profile *profile, uint32_t leaf)
{
	unsigned index = 0;

	if (likely(leaf < CPUID_RANGE_LEAVES))
		index = profile->simple_basic[leaf];
	else if (leaf - 0x80000000u < CPUID_RANGE_LEAVES)
		index = profile->simple_extended[leaf - 0x80000000u];
	return likely(index != 0) ? &profile->entries[index - 1].value : NULL;
}

// Never NULL.
const struct cpuid *cpuid_profile_query(const struct cpuid_profile *profile, uint32_t leaf,
	uint32_t subleaf);

// Size of the standard-format XSAVE area for a set of components (leaf 0xD, subleaf 0, EBX). SDM
// vol. 1, 13.4.
uint32_t cpuid_xsave_bytes(uint64_t xcr0);

unsigned cpuid_profile_physical_bits(const struct cpuid_profile *profile);
bool cpuid_profile_has_gigabyte_pages(const struct cpuid_profile *profile);

// Bits of CR4 that exist for this guest.
uint64_t cpuid_profile_cr4_mask(const struct cpuid_profile *profile);

// Bits that a guest may set in EFER and XCR0.
uint64_t cpuid_efer_mask(void);
uint64_t cpuid_xcr0_mask(void);

#endif

// SPDX-License-Identifier: BSD-2-Clause
// What CPUID tells a guest: what its machine's CPU is (vmx/cpuid_frozen.h), what the configuration
// decides, and a hypervisor leaf. Computed once when a vcpu is created, so an exit is one look-up.
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
	uint32_t tsc_khz;  // leaf 0x40000010 EAX
	uint32_t apic_khz; // leaf 0x40000010 EBX: LAPIC timer at divide 1
};

struct cpuid_entry {
	uint32_t leaf, subleaf;
	struct cpuid value;
};

struct cpuid_frozen;

struct cpuid_profile {
	uint32_t count;
	// First entry of a leaf plus one; 0: the leaf answers zeros.
	uint8_t basic[CPUID_RANGE_LEAVES], hypervisor[CPUID_RANGE_LEAVES],
		extended[CPUID_RANGE_LEAVES];
	// The same for leaves whose answer depends on nothing else.
	uint8_t simple_basic[CPUID_RANGE_LEAVES], simple_extended[CPUID_RANGE_LEAVES];
	struct cpuid_entry entries[CPUID_ENTRIES_MAX];
};

void cpuid_profile_build(const struct cpuid_config *config, const struct cpuid_frozen *frozen,
	struct cpuid_profile *profile);

// What a profile makes of the CPU, for whoever carries out what the guest does. What it does not
// offer is refused, or undefined where the CPU can be told so.
struct cpuid_offer {
	uint64_t cr4, efer, xcr0; // bits that the guest may set
	uint32_t signature;       // CPUID 1 EAX: what EDX is after a reset
	bool rdtscp, rdpid, invpcid, rdrand, rdseed;
};
struct cpuid_offer cpuid_profile_offer(const struct cpuid_profile *profile);

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

// The components of XSAVE that this CPU has and a guest may be offered; 1: it has no XSAVE.
uint64_t cpuid_host_xcr0(void);

#endif

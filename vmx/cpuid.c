// SPDX-License-Identifier: BSD-2-Clause
#include "vmx/cpuid.h"

#include <string.h>

#include "kernel/base/assert.h"

// What passes of the host's answer. Leaves that are not listed answer zeros. `subleaves`: how many
// are looked at; the answer of leaves with 1 does not depend on ECX.
struct cpuid_rule {
	uint32_t leaf;
	uint32_t subleaves;
	struct cpuid mask;
};

#define ALL       UINT32_MAX
#define BITS(...) BITS_(__VA_ARGS__, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64)
#define B_(n)     ((n) < 32 ? 1u << ((n)&31) : 0u)
#define BITS_(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, ...)                                 \
	(B_(a) | B_(b) | B_(c) | B_(d) | B_(e) | B_(f) | B_(g) | B_(h) | B_(i) | B_(j) | B_(k) |   \
		B_(l) | B_(m) | B_(n) | B_(o) | B_(p))

// Leaf 1 ECX: SSE3, PCLMULQDQ, SSSE3, FMA, CMPXCHG16B, PCID, SSE4.1, SSE4.2, MOVBE, POPCNT, AES,
// XSAVE, AVX, F16C, RDRAND. Not MONITOR, VMX, DCA, performance and debug features.
#define LEAF1_ECX BITS(0, 1, 9, 12, 13, 17, 19, 20, 22, 23, 25, 26, 28, 29, 30)
// Leaf 1 EDX: all of a PC's but DS, ACPI thermal control, HTT, TM and PBE.
#define LEAF1_EDX 0x078bfbffu
// Leaf 7 EBX: FSGSBASE, BMI1, AVX2, SMEP, BMI2, ERMS, INVPCID, RDSEED, ADX, SMAP, CLFLUSHOPT, CLWB,
// SHA.
#define LEAF7_EBX BITS(0, 3, 5, 7, 8, 9, 10, 18, 19, 20, 23, 24, 29)
// Leaf 7 ECX: UMIP, 5-level paging, RDPID.
#define LEAF7_ECX BITS(2, 16, 22)
// XCR0: x87, SSE, AVX.
#define XCR0_MASK 7u
// 80000001 ECX: LAHF in long mode, CR8 by LOCK MOV CR0, LZCNT, SSE4A, misaligned SSE, PREFETCHW.
// Not SVM, IBS, SKINIT, OSVW, topology and performance extensions.
#define EXT1_ECX  BITS(0, 4, 5, 6, 7, 8)
// 80000001 EDX: SYSCALL, NX, MMX extensions, FXSR optimisation, 1 GiB pages, RDTSCP, long mode, and
// the copies of leaf 1.
#define EXT1_EDX  (0x0183f3ffu | BITS(11, 20, 22, 25, 26, 27, 29))

static const struct cpuid_rule rules[] = {
	{0x00000000, 1, {ALL, ALL, ALL, ALL}},
	{0x00000001, 1, {ALL, 0x0000ff00, LEAF1_ECX, LEAF1_EDX}},
	{0x00000002, 1, {ALL, ALL, ALL, ALL}},
	{0x00000006, 1, {0, 0, 0, 0}},
	{0x00000007, 1, {0, LEAF7_EBX, LEAF7_ECX, 0}},
	{0x0000000b, 2, {0, 0, 0, 0}},
	// XSAVE: of its instructions XSAVEOPT alone, whose result does not depend on the host.
	{0x0000000d, 3, {ALL, ALL, ALL, 0}},
	{0x80000000, 1, {ALL, ALL, ALL, ALL}},
	{0x80000001, 1, {ALL, ALL, EXT1_ECX, EXT1_EDX}},
	{0x80000002, 1, {ALL, ALL, ALL, ALL}},
	{0x80000003, 1, {ALL, ALL, ALL, ALL}},
	{0x80000004, 1, {ALL, ALL, ALL, ALL}},
	{0x80000005, 1, {ALL, ALL, ALL, ALL}},
	{0x80000006, 1, {ALL, ALL, ALL, ALL}},
	{0x80000007, 1, {0, 0, 0, BITS(8)}}, // invariant TSC
	{0x80000008, 1, {0x0000ffff, 0, 0, 0}},
};

enum {
	LAST_BASIC = 0x0d,
	LEAF1_X2APIC = 1u << 21,
	LEAF1_TSC_DEADLINE = 1u << 24,
	LEAF1_RDRAND = 1u << 30,
	LEAF1_HYPERVISOR = 1u << 31,
	LEAF6_ARAT = 1u << 2,
	LEAF7_RDSEED = 1u << 18,
};
static const struct cpuid zeros;

#define LAST_EXTENDED 0x80000008u

uint64_t cpuid_efer_mask(void)
{
	uint32_t edx = cpuid(0x80000001, 0).edx & EXT1_EDX;

	return EFER_SCE | EFER_LME | EFER_LMA | ((edx & 1u << 20) != 0 ? EFER_NXE : 0) |
		((edx & 1u << 25) != 0 ? EFER_FFXSR : 0);
}

uint64_t cpuid_xcr0_mask(void)
{
	return (cpuid(1, 0).ecx & 1u << 26) != 0 ? cpuid(0x0d, 0).eax & XCR0_MASK : 1;
}

static uint8_t *leaf_index(struct cpuid_profile *profile, uint32_t leaf)
{
	if (leaf < CPUID_RANGE_LEAVES)
		return &profile->basic[leaf];
	if (leaf - CPUID_HYPERVISOR_FIRST < CPUID_RANGE_LEAVES)
		return &profile->hypervisor[leaf - CPUID_HYPERVISOR_FIRST];
	if (leaf - 0x80000000u < CPUID_RANGE_LEAVES)
		return &profile->extended[leaf - 0x80000000u];
	return NULL;
}

static void profile_add(struct cpuid_profile *profile, uint32_t leaf, uint32_t subleaf,
	struct cpuid value)
{
	uint8_t *index = leaf_index(profile, leaf);

	ASSERT(index != NULL && profile->count < CPUID_ENTRIES_MAX);
	if (*index == 0)
		*index = (uint8_t)(profile->count + 1);
	profile->entries[profile->count++] = (struct cpuid_entry){leaf, subleaf, value};
}

static uint32_t bits_for(uint32_t count)
{
	uint32_t bits = 0;

	while ((1u << bits) < count)
		bits++;
	return bits;
}

uint32_t cpuid_xsave_bytes(uint64_t xcr0)
{
	return (xcr0 & 4) != 0 ? 576 + 256 : 576;
}

static struct cpuid adjust(const struct cpuid_config *config, uint32_t leaf, uint32_t subleaf,
	struct cpuid value)
{
	switch (leaf) {
	case 0x00000000:
		value.eax = value.eax < LAST_BASIC ? value.eax : LAST_BASIC;
		break;
	case 0x00000001:
		value.ebx |= config->apic_id << 24 | config->vcpus << 16;
		value.ecx |= LEAF1_HYPERVISOR | LEAF1_TSC_DEADLINE |
			(config->x2apic ? LEAF1_X2APIC : 0);
		if (config->deterministic)
			value.ecx &= ~(uint32_t)LEAF1_RDRAND;
		if (config->vcpus > 1)
			value.edx |= 1u << 28; // HTT: more than one logical processor
		break;
	case 0x00000006:
		value.eax = LEAF6_ARAT;
		break;
	case 0x00000007:
		if (config->deterministic)
			value.ebx &= ~(uint32_t)LEAF7_RDSEED;
		break;
	case 0x0000000b: // SDM vol. 3, 9.9.1: one thread a core, all cores in one package
		value.ecx = subleaf | (subleaf + 1) << 8;
		value.eax = subleaf == 0 ? 0 : bits_for(config->vcpus);
		value.ebx = subleaf == 0 ? 1 : config->vcpus;
		value.edx = config->apic_id;
		break;
	case 0x0000000d:
		if (subleaf == 0) {
			value.eax &= XCR0_MASK;
			value.ecx = cpuid_xsave_bytes(value.eax);
			value.ebx = cpuid_xsave_bytes(1);
		} else if (subleaf == 1) {
			value = (struct cpuid){.eax = value.eax & 1};
		} else {
			value.ecx = 0;
		}
		break;
	case 0x80000000:
		value.eax = value.eax < LAST_EXTENDED ? value.eax : LAST_EXTENDED;
		break;
	}
	return value;
}

static void add_hypervisor_leaves(const struct cpuid_config *config, struct cpuid_profile *profile)
{
	struct cpuid signature = {.eax = CPUID_HYPERVISOR_LAST};

	memcpy(&signature.ebx, "Repr", 4);
	memcpy(&signature.ecx, "iseH", 4);
	memcpy(&signature.edx, "V\0\0\0", 4);
	profile_add(profile, CPUID_HYPERVISOR_FIRST, 0, signature);
	profile_add(profile, CPUID_HYPERVISOR_LAST, 0,
		(struct cpuid){.eax = config->tsc_khz, .ebx = config->apic_khz});
}

void cpuid_profile_build(const struct cpuid_config *config, struct cpuid_profile *profile)
{
	uint32_t last_basic = cpuid(0, 0).eax, last_extended = cpuid(0x80000000, 0).eax;

	memset(profile, 0, sizeof(*profile));
	for (unsigned i = 0; i < ARRAY_COUNT(rules); i++) {
		const struct cpuid_rule *rule = &rules[i];
		bool there = rule->leaf <= last_basic ||
			(rule->leaf >= 0x80000000u && rule->leaf <= last_extended);

		// ARAT and the topology are ours: they do not need the host's leaf.
		if (!there && rule->leaf != 0x06 && rule->leaf != 0x0b)
			continue;
		for (uint32_t subleaf = 0; subleaf < rule->subleaves; subleaf++) {
			struct cpuid value = cpuid(rule->leaf, subleaf);

			value.eax &= rule->mask.eax;
			value.ebx &= rule->mask.ebx;
			value.ecx &= rule->mask.ecx;
			value.edx &= rule->mask.edx;
			profile_add(profile, rule->leaf, subleaf,
				adjust(config, rule->leaf, subleaf, value));
		}
	}
	// Every leaf that we answer must lie below the limits that we tell.
	profile->entries[profile->basic[0] - 1].value.eax = LAST_BASIC;
	add_hypervisor_leaves(config, profile);
	memcpy(profile->simple_basic, profile->basic, sizeof(profile->basic));
	memcpy(profile->simple_extended, profile->extended, sizeof(profile->extended));
	profile->simple_basic[0x01] = profile->simple_basic[0x07] = 0;
	profile->simple_basic[0x0b] = profile->simple_basic[0x0d] = 0;
}

// Leaves whose answer depends on ECX: zeros past the last subleaf.
static const struct cpuid *query_subleaf(const struct cpuid_profile *profile,
	const struct cpuid_entry *entry, uint32_t subleaf)
{
	const struct cpuid_entry *end = &profile->entries[profile->count];
	uint32_t leaf = entry->leaf;

	for (; entry < end && entry->leaf == leaf; entry++)
		if (entry->subleaf == subleaf)
			return &entry->value;
	return &zeros;
}

const struct cpuid *cpuid_profile_query(const struct cpuid_profile *profile, uint32_t leaf,
	uint32_t subleaf)
{
	const struct cpuid_entry *entry;
	unsigned index = 0;

	if (leaf < CPUID_RANGE_LEAVES)
		index = profile->basic[leaf];
	else if (leaf - 0x80000000u < CPUID_RANGE_LEAVES)
		index = profile->extended[leaf - 0x80000000u];
	else if (leaf - CPUID_HYPERVISOR_FIRST < CPUID_RANGE_LEAVES)
		index = profile->hypervisor[leaf - CPUID_HYPERVISOR_FIRST];
	if (index == 0)
		return &zeros;
	entry = &profile->entries[index - 1];
	if (unlikely(leaf == 0x0b || leaf == 0x0d || leaf == 0x07))
		return query_subleaf(profile, entry, subleaf);
	return &entry->value;
}

unsigned cpuid_profile_physical_bits(const struct cpuid_profile *profile)
{
	unsigned bits = cpuid_profile_query(profile, 0x80000008, 0)->eax & 0xff;

	return bits != 0 ? bits : 36;
}

bool cpuid_profile_has_gigabyte_pages(const struct cpuid_profile *profile)
{
	return (cpuid_profile_query(profile, 0x80000001, 0)->edx & 1u << 26) != 0;
}

uint64_t cpuid_profile_cr4_mask(const struct cpuid_profile *profile)
{
	struct cpuid features = *cpuid_profile_query(profile, 1, 0);
	struct cpuid more = *cpuid_profile_query(profile, 7, 0);
	uint64_t mask = CR4_PCE;

	// SDM vol. 3, 2.5, and vol. 2, CPUID.
	mask |= (features.edx & 1u << 1) != 0 ? CR4_VME | CR4_PVI : 0;
	mask |= (features.edx & 1u << 2) != 0 ? CR4_DE : 0;
	mask |= (features.edx & 1u << 3) != 0 ? CR4_PSE : 0;
	mask |= (features.edx & 1u << 4) != 0 ? CR4_TSD : 0;
	mask |= (features.edx & 1u << 6) != 0 ? CR4_PAE : 0;
	mask |= (features.edx & 1u << 7) != 0 ? CR4_MCE : 0;
	mask |= (features.edx & 1u << 13) != 0 ? CR4_PGE : 0;
	mask |= (features.edx & 1u << 24) != 0 ? CR4_OSFXSR : 0;
	mask |= (features.edx & 1u << 25) != 0 ? CR4_OSXMMEXCPT : 0;
	mask |= (features.ecx & 1u << 17) != 0 ? CR4_PCIDE : 0;
	mask |= (features.ecx & 1u << 26) != 0 ? CR4_OSXSAVE : 0;
	mask |= (more.ebx & 1u << 0) != 0 ? CR4_FSGSBASE : 0;
	mask |= (more.ebx & 1u << 7) != 0 ? CR4_SMEP : 0;
	mask |= (more.ebx & 1u << 20) != 0 ? CR4_SMAP : 0;
	mask |= (more.ecx & 1u << 2) != 0 ? CR4_UMIP : 0;
	mask |= (more.ecx & 1u << 16) != 0 ? CR4_LA57 : 0;
	return mask;
}

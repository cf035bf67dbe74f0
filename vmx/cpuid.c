// SPDX-License-Identifier: BSD-2-Clause
#include "vmx/cpuid.h"

#include <string.h>

#include "kernel/base/assert.h"
#include "vmx/cpuid_frozen.h"

enum {
	LAST_BASIC = 0x0d,
	LEAF1_X2APIC = 1u << 21,
	LEAF1_TSC_DEADLINE = 1u << 24,
	LEAF1_HYPERVISOR = 1u << 31,
	LEAF6_ARAT = 1u << 2,
};
static const struct cpuid zeros;

uint64_t cpuid_host_xcr0(void)
{
	return (cpuid(1, 0).ecx & 1u << 26) != 0 ? cpuid(0x0d, 0).eax & CPUID_XCR0 : 1;
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

// What the configuration adds to what the CPU is.
static struct cpuid adjust(const struct cpuid_config *config, const struct cpuid_entry *entry)
{
	struct cpuid value = entry->value;

	switch (entry->leaf) {
	case 0x00000000: // every leaf that we answer must lie below the limits that we tell
		value.eax = LAST_BASIC;
		break;
	case 0x00000001:
		value.ebx |= config->apic_id << 24 | config->vcpus << 16;
		value.ecx |= LEAF1_HYPERVISOR | LEAF1_TSC_DEADLINE |
			(config->x2apic ? LEAF1_X2APIC : 0);
		if (config->vcpus > 1)
			value.edx |= 1u << 28; // HTT: more than one logical processor
		break;
	case 0x0000000d:
		if (entry->subleaf == 0) {
			value.ecx = cpuid_xsave_bytes(value.eax);
			value.ebx = cpuid_xsave_bytes(1);
		}
		break;
	}
	return value;
}

// ARAT, and the topology: SDM vol. 3, 9.9.1: one thread a core, all cores in one package. They need
// no leaf of the host's.
static void add_own_leaves(const struct cpuid_config *config, struct cpuid_profile *profile)
{
	const struct cpuid thread = {.ebx = 1, .ecx = 1 << 8, .edx = config->apic_id};
	const struct cpuid core = {.eax = bits_for(config->vcpus), .ebx = config->vcpus,
		.ecx = 2 << 8 | 1, .edx = config->apic_id};

	profile_add(profile, 0x06, 0, (struct cpuid){.eax = LEAF6_ARAT});
	profile_add(profile, 0x0b, 0, thread);
	profile_add(profile, 0x0b, 1, core);
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

void cpuid_profile_build(const struct cpuid_config *config, const struct cpuid_frozen *frozen,
	struct cpuid_profile *profile)
{
	memset(profile, 0, sizeof(*profile));
	for (uint32_t i = 0; i < frozen->count; i++) {
		const struct cpuid_entry *entry = &frozen->entries[i];

		if (entry->leaf != CPUID_FACTS)
			profile_add(profile, entry->leaf, entry->subleaf, adjust(config, entry));
	}
	add_own_leaves(config, profile);
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

static uint64_t cr4_mask(const struct cpuid_profile *profile)
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

static uint64_t efer_mask(const struct cpuid_profile *profile)
{
	uint32_t edx = cpuid_profile_query(profile, 0x80000001, 0)->edx;

	return EFER_SCE | EFER_LME | EFER_LMA | ((edx & 1u << 20) != 0 ? EFER_NXE : 0) |
		((edx & 1u << 25) != 0 ? EFER_FFXSR : 0);
}

struct cpuid_offer cpuid_profile_offer(const struct cpuid_profile *profile)
{
	struct cpuid features = *cpuid_profile_query(profile, 1, 0);
	struct cpuid more = *cpuid_profile_query(profile, 7, 0);
	bool xsave = (features.ecx & 1u << 26) != 0;

	return (struct cpuid_offer){
		.cr4 = cr4_mask(profile),
		.efer = efer_mask(profile),
		.xcr0 = xsave ? cpuid_profile_query(profile, 0x0d, 0)->eax | 1 : 1,
		.signature = features.eax,
		.rdtscp = (cpuid_profile_query(profile, 0x80000001, 0)->edx & 1u << 27) != 0,
		.rdpid = (more.ecx & 1u << 22) != 0,
		.invpcid = (more.ebx & 1u << 10) != 0,
		.rdrand = (features.ecx & 1u << 30) != 0,
		.rdseed = (more.ebx & 1u << 18) != 0,
	};
}

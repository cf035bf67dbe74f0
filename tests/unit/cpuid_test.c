// SPDX-License-Identifier: BSD-2-Clause
// What CPUID tells a guest, on a host that has everything and on one that has little.
#include "vmx/cpuid_frozen.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/fake_env.h"
#include "vmx/vcpu.h"

struct host_leaf {
	uint32_t leaf, subleaf;
	struct cpuid value;
};

struct fake_x86 fake_x86;

// Every bit of the feature leaves is set.
static const struct host_leaf rich[] = {
	{0x00000000, 0, {0x20, 0x68747541, 0x444d4163, 0x69746e65}},
	{0x00000001, 0, {0x00a20f10, UINT32_MAX, UINT32_MAX, UINT32_MAX}},
	{0x00000004, 0, {UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX}},
	{0x00000005, 0, {0x40, 0x40, 3, 0x11}},
	{0x00000006, 0, {UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX}},
	{0x00000007, 0, {2, UINT32_MAX, UINT32_MAX, UINT32_MAX}},
	{0x00000007, 1, {UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX}},
	{0x0000000a, 0, {UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX}},
	{0x0000000b, 0, {1, 2, 0x100, 0x77}},
	{0x0000000b, 1, {5, 24, 0x201, 0x77}},
	{0x0000000d, 0, {0x207, 0x988, 0x988, 0}},
	{0x0000000d, 1, {0xf, 0x368, 0x1800, 0}},
	{0x0000000d, 2, {0x100, 0x240, 0, 0}},
	{0x0000000d, 9, {8, 0x980, 0, 0}},
	{0x80000000, 0, {0x80000028, 0x68747541, 0x444d4163, 0x69746e65}},
	{0x80000001, 0, {0x00a20f10, 0x20000000, UINT32_MAX, UINT32_MAX}},
	{0x80000002, 0, {'R', 'i', 'c', 'h'}},
	{0x80000005, 0, {1, 2, 3, 4}},
	{0x80000007, 0, {UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX}},
	{0x80000008, 0, {0xaabb3028, UINT32_MAX, UINT32_MAX, UINT32_MAX}},
	{0x8000000a, 0, {1, 32768, 0, UINT32_MAX}},
	{0x8000001f, 0, {UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX}},
};

// No leaf 7, no XSAVE, no NX; a 2 MiB-page machine of 2004.
static const struct host_leaf poor[] = {
	{0x00000000, 0, {1, 0x68747541, 0x444d4163, 0x69746e65}},
	{0x00000001, 0, {0x00000f48, 0x00000800, 0x00002001, 0x078bfbff}},
	{0x80000000, 0, {0x80000001, 0x68747541, 0x444d4163, 0x69746e65}},
	{0x80000001, 0, {0x00000f48, 0, 4, 0x20000800}},
};

static const struct host_leaf *host;
static unsigned host_count;

const struct cpuid *fake_leaf(uint32_t leaf, uint32_t subleaf)
{
	for (unsigned i = 0; i < host_count; i++)
		if (host[i].leaf == leaf && host[i].subleaf == subleaf)
			return &host[i].value;
	return NULL;
}

uint32_t vcpu_mxcsr_mask(void)
{
	return 0xffff;
}

static struct cpuid_config config;
static bool recordable;
static struct cpuid_profile profile;
static struct cpuid_offer offer;

static void build(void)
{
	struct cpuid_frozen frozen;

	memset(&profile, 0xa5, sizeof(profile));
	memset(&frozen, 0xa5, sizeof(frozen));
	cpuid_frozen_take(recordable, &frozen);
	cpuid_profile_build(&config, &frozen, &profile);
	offer = cpuid_profile_offer(&profile);
}

static int setup(void **state)
{
	(void)state;
	host = rich;
	host_count = ARRAY_COUNT(rich);
	config = (struct cpuid_config){.apic_id = 0, .vcpus = 1, .x2apic = true,
		.tsc_khz = 3000000, .apic_khz = 100000};
	recordable = false;
	build();
	return 0;
}

static void use_poor_host(void)
{
	host = poor;
	host_count = ARRAY_COUNT(poor);
	build();
}

static struct cpuid query(uint32_t leaf, uint32_t subleaf)
{
	return *cpuid_profile_query(&profile, leaf, subleaf);
}

static void expect(uint32_t leaf, uint32_t subleaf, struct cpuid want)
{
	struct cpuid value = query(leaf, subleaf);

	assert_int_equal(value.eax, want.eax);
	assert_int_equal(value.ebx, want.ebx);
	assert_int_equal(value.ecx, want.ecx);
	assert_int_equal(value.edx, want.edx);
}

static void expect_zeros(uint32_t leaf, uint32_t subleaf)
{
	expect(leaf, subleaf, (struct cpuid){0, 0, 0, 0});
}

// Bits by number, a list each for those that must be there and those that must not.
static void expect_bits(uint32_t value, const char *there, const char *hidden)
{
	for (const char *lists[2] = {there, hidden}, **list = lists; list < lists + 2; list++)
		for (const char *at = *list; *at != 0;) {
			char *end;
			unsigned long bit = strtoul(at, &end, 10);

			if ((value >> bit & 1) != (list == lists))
				fail_msg("bit %lu of %08x", bit, value);
			at = end + (*end == ' ');
		}
}

static void features_that_need_the_host_are_hidden(void **state)
{
	(void)state;
	// SDM vol. 2, CPUID, table 3-10: DTES64, MONITOR, DS-CPL, VMX, SMX, EIST, TM2, CNXT-ID,
	// SDBG, xTPR, PDCM, DCA. There: what a guest's kernel counts on.
	expect_bits(query(1, 0).ecx, "0 1 9 12 13 17 19 20 22 23 25 26 28 29 30",
		"2 3 4 5 6 7 8 10 11 14 15 16 18 27");
	// Table 3-11: PSN, DS, ACPI, HTT (one processor), TM, PBE.
	expect_bits(query(1, 0).edx, "0 1 2 3 4 5 6 7 8 9 11 12 13 14 15 16 17 19 23 24 25 26",
		"10 18 20 21 22 28 29 30 31");
	// Leaf 7: TSX, MPX, PQM, AVX-512, PT; PKU, WAITPKG, CET.
	expect_bits(query(7, 0).ebx, "0 3 5 7 8 9 10 18 19 20", "2 4 11 12 14 15 16 17 25 26 30");
	expect_bits(query(7, 0).ecx, "2 16 22", "1 3 4 5 6 7");
	assert_int_equal(query(7, 0).edx, 0);
	assert_int_equal(query(7, 0).eax, 0); // no further subleaf
	expect_zeros(7, 1);
}

static void amd_v_is_hidden(void **state)
{
	(void)state;
	// APM vol. 3, E.4.2: SVM, ExtApicSpace, OSVW, IBS, SKINIT, WDT, topology, PMU, MONITORX.
	expect_bits(query(0x80000001, 0).ecx, "0 5 6 7 8", "2 3 9 10 11 12 13 15 22 23 24 28 29");
	expect_bits(query(0x80000001, 0).edx, "0 8 11 20 26 27 29", "19 28 30 31");
	expect_zeros(0x8000000a, 0); // SVM's own leaf
	expect_zeros(0x8000001f, 0); // SEV
	assert_int_equal(query(0x80000000, 0).eax, 0x80000008);
}

static void the_hypervisor_names_itself(void **state)
{
	struct cpuid leaf;
	char name[13] = {0};

	(void)state;
	expect_bits(query(1, 0).ecx, "31", "");
	leaf = query(CPUID_HYPERVISOR_FIRST, 0);
	assert_int_equal(leaf.eax, CPUID_HYPERVISOR_LAST);
	memcpy(name, &leaf.ebx, 4);
	memcpy(name + 4, &leaf.ecx, 4);
	memcpy(name + 8, &leaf.edx, 4);
	assert_string_equal(name, "RepriseHV");
	expect(CPUID_HYPERVISOR_LAST, 0, (struct cpuid){3000000, 100000, 0, 0});
	for (uint32_t leaf_number = 0x40000001; leaf_number < 0x40000010; leaf_number++)
		expect_zeros(leaf_number, 0);
	expect_zeros(0x40000011, 0);
	expect_zeros(0x40000100, 0);
}

static void x2apic_is_the_configurations(void **state)
{
	(void)state;
	expect_bits(query(1, 0).ecx, "21 24", "");
	config.x2apic = false;
	build();
	expect_bits(query(1, 0).ecx, "24", "21");
}

// RDRAND, RDSEED, XSAVEOPT.
static void what_cannot_be_repeated_is_hidden(void **state)
{
	(void)state;
	expect_bits(query(1, 0).ecx, "30", "");
	expect_bits(query(7, 0).ebx, "18", "");
	assert_true(offer.rdrand && offer.rdseed && offer.rdtscp && offer.rdpid && offer.invpcid);
	recordable = true;
	build();
	expect_bits(query(1, 0).ecx, "26 28", "30");
	expect_bits(query(7, 0).ebx, "5 10", "18");
	expect_zeros(0x0d, 1);
	assert_true(!offer.rdrand && !offer.rdseed);
	assert_true(offer.rdtscp && offer.rdpid && offer.invpcid);
}

// EDX after a reset is CPUID 1 EAX: SDM vol. 3, table 9-1.
static void the_signature_is_the_profiles(void **state)
{
	(void)state;
	assert_int_equal(offer.signature, 0x00a20f10);
}

static void processors_are_counted(void **state)
{
	(void)state;
	assert_int_equal(query(1, 0).ebx, 0x0001ff00); // id 0, one processor; CLFLUSH the host's
	config.vcpus = 6;
	config.apic_id = 5;
	build();
	assert_int_equal(query(1, 0).ebx, 0x0506ff00);
	expect_bits(query(1, 0).edx, "28", "");
}

// SDM vol. 2, CPUID leaf 0BH; vol. 3, 9.9.1.
static void topology_is_ours(void **state)
{
	(void)state;
	config.vcpus = 6;
	config.apic_id = 5;
	build();
	expect(0x0b, 0, (struct cpuid){0, 1, 0x100, 5}); // one thread a core
	expect(0x0b, 1, (struct cpuid){3, 6, 0x201, 5}); // 6 of them take 3 bits
	for (uint32_t level = 2; level < 0x200; level++) { // no processors, type 0: the end
		assert_int_equal(query(0x0b, level).eax, 0);
		assert_int_equal(query(0x0b, level).ebx, 0);
		assert_int_equal(query(0x0b, level).ecx & ~0xffu, 0);
	}
	config.vcpus = 1;
	config.apic_id = 0;
	build();
	expect(0x0b, 0, (struct cpuid){0, 1, 0x100, 0});
	expect(0x0b, 1, (struct cpuid){0, 1, 0x201, 0});
}

// SDM vol. 1, 13.2: x87 and SSE take 512 + 64 bytes, AVX 256 at 576.
static void xsave_sizes_follow_xcr0(void **state)
{
	(void)state;
	assert_int_equal(cpuid_xsave_bytes(1), 576);
	assert_int_equal(cpuid_xsave_bytes(3), 576);
	assert_int_equal(cpuid_xsave_bytes(7), 832);
	assert_int_equal(query(0x0d, 0).eax, 7); // no PKRU
	assert_int_equal(query(0x0d, 0).ecx, 832);
	assert_int_equal(query(0x0d, 0).edx, 0);
	expect(0x0d, 1, (struct cpuid){1, 0, 0, 0}); // XSAVEOPT, not XSAVEC, XGETBV 1, XSAVES
	expect(0x0d, 2, (struct cpuid){256, 576, 0, 0});
	expect_zeros(0x0d, 3);
	expect_zeros(0x0d, 9);
	expect_zeros(0x0d, UINT32_MAX);
	assert_true(offer.xcr0 == 7 && cpuid_host_xcr0() == 7);
}

static void leaves_out_of_range_answer_zeros(void **state)
{
	static const uint32_t leaves[] = {3, 4, 5, 8, 9, 0x0a, 0x0c, 0x0e, 0x14, 0x1f, 0x20, 0x21,
		0x1000, 0x3fffffff, 0x80000009, 0x8000001e, 0x80000020, 0x80000100, 0x8fffffff,
		0xc0000000, UINT32_MAX};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(leaves); i++) {
		expect_zeros(leaves[i], 0);
		expect_zeros(leaves[i], 1);
	}
	assert_int_equal(query(0, 0).eax, 0x0d);
}

// Most leaves do not look at ECX.
static void subleaves_do_not_matter_elsewhere(void **state)
{
	(void)state;
	expect(1, 5, query(1, 0));
	expect(0x80000001, UINT32_MAX, query(0x80000001, 0));
	expect(CPUID_HYPERVISOR_FIRST, 3, query(CPUID_HYPERVISOR_FIRST, 0));
}

static void leaves_of_no_feature_bits_pass(void **state)
{
	(void)state;
	expect(0, 0, (struct cpuid){0x0d, 0x68747541, 0x444d4163, 0x69746e65});
	expect(0x80000002, 0, (struct cpuid){'R', 'i', 'c', 'h'});
	expect(0x80000005, 0, (struct cpuid){1, 2, 3, 4});
	expect(6, 0, (struct cpuid){4, 0, 0, 0});                    // ARAT alone
	expect(0x80000007, 0, (struct cpuid){0, 0, 0, 0x100});       // invariant TSC alone
	expect(0x80000008, 0, (struct cpuid){0x3028, 0, 0, 0});
	assert_int_equal(cpuid_profile_physical_bits(&profile), 40);
	assert_true(cpuid_profile_has_gigabyte_pages(&profile));
}

// OSXSAVE and APIC mirror the CPU's state: whoever answers the guest sets and clears them.
static void bits_of_state_start_as_documented(void **state)
{
	(void)state;
	assert_true((query(1, 0).ecx & CPUID_1_ECX_OSXSAVE) == 0);
	assert_true((query(1, 0).edx & CPUID_1_EDX_APIC) != 0);
}

// SDM vol. 3, 2.5: no bit of CR4 without its feature, and the other way round.
static void cr4_agrees_with_the_features(void **state)
{
	const uint64_t all = CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE |
		CR4_PGE | CR4_PCE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_UMIP | CR4_FSGSBASE |
		CR4_OSXSAVE | CR4_SMEP | CR4_SMAP | CR4_PCIDE | CR4_LA57;

	(void)state;
	assert_true(offer.cr4 == all);
	use_poor_host();
	assert_true(offer.cr4 ==
		(all & ~(CR4_UMIP | CR4_FSGSBASE | CR4_OSXSAVE | CR4_SMEP | CR4_SMAP | CR4_PCIDE |
			CR4_LA57)));
}

static void efer_agrees_with_the_features(void **state)
{
	(void)state;
	assert_true(offer.efer ==
		(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE | EFER_FFXSR));
	use_poor_host();
	assert_true(offer.efer == (EFER_SCE | EFER_LME | EFER_LMA));
}

static void a_poor_host_is_not_embellished(void **state)
{
	(void)state;
	use_poor_host();
	assert_int_equal(query(0, 0).eax, 0x0d); // topology is ours, and lies below
	assert_int_equal(query(0x80000000, 0).eax, 0x80000001);
	expect_zeros(7, 0);
	expect_zeros(0x0d, 0);
	expect_zeros(0x80000008, 0);
	expect(6, 0, (struct cpuid){4, 0, 0, 0});
	expect(0x0b, 0, (struct cpuid){0, 1, 0x100, 0});
	expect_bits(query(1, 0).ecx, "0 13 21 24 31", "1 9 12 19 20 25 26 28 30");
	assert_true(offer.xcr0 == 1 && cpuid_host_xcr0() == 1);
	assert_false(offer.rdtscp || offer.rdpid || offer.invpcid);
	assert_int_equal(cpuid_profile_physical_bits(&profile), 36);
	assert_false(cpuid_profile_has_gigabyte_pages(&profile));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(features_that_need_the_host_are_hidden, setup),
		cmocka_unit_test_setup(amd_v_is_hidden, setup),
		cmocka_unit_test_setup(the_hypervisor_names_itself, setup),
		cmocka_unit_test_setup(x2apic_is_the_configurations, setup),
		cmocka_unit_test_setup(what_cannot_be_repeated_is_hidden, setup),
		cmocka_unit_test_setup(the_signature_is_the_profiles, setup),
		cmocka_unit_test_setup(processors_are_counted, setup),
		cmocka_unit_test_setup(topology_is_ours, setup),
		cmocka_unit_test_setup(xsave_sizes_follow_xcr0, setup),
		cmocka_unit_test_setup(leaves_out_of_range_answer_zeros, setup),
		cmocka_unit_test_setup(subleaves_do_not_matter_elsewhere, setup),
		cmocka_unit_test_setup(leaves_of_no_feature_bits_pass, setup),
		cmocka_unit_test_setup(bits_of_state_start_as_documented, setup),
		cmocka_unit_test_setup(cr4_agrees_with_the_features, setup),
		cmocka_unit_test_setup(efer_agrees_with_the_features, setup),
		cmocka_unit_test_setup(a_poor_host_is_not_embellished, setup),
	};

	return cmocka_run_group_tests_name("cpuid", tests, NULL, NULL);
}

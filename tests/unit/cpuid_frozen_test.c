// SPDX-License-Identifier: BSD-2-Clause
// A machine's CPU as a list: taken from a host, read back from a log, and looked for on another
// host. Names of features: SDM vol. 2, CPUID; APM vol. 3, appendix E.
#include "vmx/cpuid_frozen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/fake_env.h"
#include "vmx/vcpu.h"

struct fake_x86 fake_x86;

// Every bit of the feature leaves is set.
static const struct cpuid_entry rich[] = {
	{0x00000000, 0, {0x20, 0x68747541, 0x444d4163, 0x69746e65}},
	{0x00000001, 0, {0x00a20f10, UINT32_MAX, UINT32_MAX, UINT32_MAX}},
	{0x00000002, 0, {0, 0, 0, 0}},
	{0x00000007, 0, {2, UINT32_MAX, UINT32_MAX, UINT32_MAX}},
	{0x0000000b, 0, {1, 2, 0x100, 0x77}},
	{0x0000000d, 0, {0x207, 0x988, 0x988, 0}},
	{0x0000000d, 1, {0xf, 0x368, 0x1800, 0}},
	{0x0000000d, 2, {0x100, 0x240, 0, 0}},
	{0x80000000, 0, {0x80000028, 0x68747541, 0x444d4163, 0x69746e65}},
	{0x80000001, 0, {0x00a20f10, 0x20000000, UINT32_MAX, UINT32_MAX}},
	{0x80000002, 0, {'R', 'i', 'c', 'h'}},
	{0x80000007, 0, {0, 0, 0, UINT32_MAX}},
	{0x80000008, 0, {0xaabb3028, UINT32_MAX, UINT32_MAX, UINT32_MAX}},
	{0x80000021, 0, {UINT32_MAX, 0, 0, 0}},
};

static struct cpuid_entry host[ARRAY_COUNT(rich)];
static uint32_t mxcsr_mask;
static struct cpuid_frozen wanted;
static char reason[CPUID_REASON_MAX];

const struct cpuid *fake_leaf(uint32_t leaf, uint32_t subleaf)
{
	for (unsigned i = 0; i < ARRAY_COUNT(host); i++)
		if (host[i].leaf == leaf && host[i].subleaf == subleaf)
			return &host[i].value;
	return NULL;
}

uint32_t vcpu_mxcsr_mask(void)
{
	return mxcsr_mask;
}

static int setup(void **state)
{
	(void)state;
	memcpy(host, rich, sizeof(host));
	mxcsr_mask = 0x2ffff;
	memset(reason, 'x', sizeof(reason));
	cpuid_frozen_take(true, &wanted);
	return 0;
}

static struct cpuid *entry_of(struct cpuid_entry *entries, uint32_t leaf, uint32_t subleaf)
{
	while (entries->leaf != leaf || entries->subleaf != subleaf)
		entries++;
	return &entries->value;
}

static struct cpuid *host_leaf(uint32_t leaf, uint32_t subleaf)
{
	return entry_of(host, leaf, subleaf);
}

static struct cpuid *wanted_leaf(uint32_t leaf, uint32_t subleaf)
{
	return entry_of(wanted.entries, leaf, subleaf);
}

static uint32_t *reg_at(struct cpuid *value, unsigned reg)
{
	uint32_t *regs[] = {&value->eax, &value->ebx, &value->ecx, &value->edx};

	return regs[reg];
}

static void expect_refused(const char *words)
{
	struct cpuid_frozen into;

	assert_int_equal(cpuid_frozen_import(wanted.entries, wanted.count, &into, reason),
		STATUS_INVALID);
	if (strstr(reason, words) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", reason, words);
	setup(NULL);
}

static void expect_incompatible(const char *text)
{
	assert_false(cpuid_frozen_compatible(&wanted, reason));
	assert_string_equal(reason, text);
	setup(NULL);
}

static void what_was_taken_is_read_back(void **state)
{
	struct cpuid_frozen into;

	(void)state;
	assert_int_equal(cpuid_frozen_import(wanted.entries, wanted.count, &into, reason),
		STATUS_OK);
	assert_string_equal(reason, "");
	assert_memory_equal(&into, &wanted, sizeof(into));
	assert_true(cpuid_frozen_compatible(&into, reason));
	assert_string_equal(reason, "");
	for (uint32_t i = 1; i < wanted.count; i++)
		assert_true(wanted.entries[i].leaf > wanted.entries[i - 1].leaf ||
			(wanted.entries[i].leaf == wanted.entries[i - 1].leaf &&
				wanted.entries[i].subleaf > wanted.entries[i - 1].subleaf));
}

static void facts_are_no_leaf(void **state)
{
	const struct cpuid_config config = {.vcpus = 1};
	struct cpuid_profile profile;

	(void)state;
	assert_int_equal(wanted_leaf(CPUID_FACTS, 0)->eax, 0x3028); // 48 and 40 bits
	assert_int_equal(wanted_leaf(CPUID_FACTS, 0)->ebx, 0x2ffff);
	assert_int_equal(wanted_leaf(CPUID_FACTS, 0)->ecx, 15);
	cpuid_profile_build(&config, &wanted, &profile);
	assert_int_equal(cpuid_profile_query(&profile, CPUID_FACTS, 0)->eax, 0);
	assert_int_equal(cpuid_profile_query(&profile, 0, 0)->eax, 0x0d);
}

// Nothing of the host's that differs from one of its CPUs to the next.
static void topology_is_not_the_hosts(void **state)
{
	struct cpuid_frozen other;

	(void)state;
	host_leaf(1, 0)->ebx = 0x07100800; // APIC id 7, 16 of them; a line of 64 bytes
	wanted_leaf(1, 0)->ebx = 0x0800;
	host_leaf(0x0b, 0)->edx = 0x99;
	cpuid_frozen_take(true, &other);
	assert_memory_equal(&other, &wanted, sizeof(other));
}

static void each_missing_feature_is_named(void **state)
{
	static const struct {
		uint32_t leaf, subleaf, reg;
		const char *where;
	} words[] = {
		{1, 0, 2, "CPUID 1 ECX"}, {1, 0, 3, "CPUID 1 EDX"}, {7, 0, 1, "CPUID 7.0 EBX"},
		{7, 0, 2, "CPUID 7.0 ECX"}, {0x80000001, 0, 2, "CPUID 80000001 ECX"},
		{0x80000001, 0, 3, "CPUID 80000001 EDX"}, {0xd, 0, 0, "CPUID d.0 EAX"},
	};
	unsigned named = 0;

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(words); i++)
		for (unsigned bit = 0; bit < 32; bit++) {
			char expected[64], name[32] = "";
			bool has = *reg_at(wanted_leaf(words[i].leaf, words[i].subleaf),
				words[i].reg) >> bit & 1;

			*reg_at(host_leaf(words[i].leaf, words[i].subleaf), words[i].reg) &=
				~(1u << bit);
			// Without a behaviour of the x87 unit the difference is that one.
			if (words[i].leaf == 7 && words[i].reg == 1 && (bit == 6 || bit == 13))
				has = false;
			else
				assert_int_equal(cpuid_frozen_compatible(&wanted, reason), !has);
			if (has) {
				snprintf(expected, sizeof(expected), "%s bit %u (%%31[^)])",
					words[i].where, bit);
				assert_int_equal(sscanf(reason, expected, name), 1);
				assert_true(strlen(name) >= 2);
				named++;
			}
			setup(NULL);
		}
	assert_int_equal(named, 14 + 22 + 12 + 3 + 6 + 25 + 3);
}

static void missing(uint32_t leaf, uint32_t subleaf, unsigned reg, unsigned bit, const char *text)
{
	*reg_at(host_leaf(leaf, subleaf), reg) &= ~(1u << bit);
	expect_incompatible(text);
}

static void names_are_those_of_the_bits(void **state)
{
	(void)state;
	missing(7, 0, 1, 5, "CPUID 7.0 EBX bit 5 (avx2), and this CPU has it not");
	missing(7, 0, 1, 29, "CPUID 7.0 EBX bit 29 (sha_ni), and this CPU has it not");
	missing(7, 0, 2, 22, "CPUID 7.0 ECX bit 22 (rdpid), and this CPU has it not");
	missing(1, 0, 2, 0, "CPUID 1 ECX bit 0 (pni), and this CPU has it not");
	missing(1, 0, 2, 17, "CPUID 1 ECX bit 17 (pcid), and this CPU has it not");
	missing(1, 0, 2, 29, "CPUID 1 ECX bit 29 (f16c), and this CPU has it not");
	missing(1, 0, 3, 26, "CPUID 1 EDX bit 26 (sse2), and this CPU has it not");
	missing(1, 0, 3, 19, "CPUID 1 EDX bit 19 (clflush), and this CPU has it not");
	missing(0x80000001, 0, 2, 8,
		"CPUID 80000001 ECX bit 8 (3dnowprefetch), and this CPU has it not");
	missing(0x80000001, 0, 3, 20, "CPUID 80000001 EDX bit 20 (nx), and this CPU has it not");
	missing(0x80000001, 0, 3, 29, "CPUID 80000001 EDX bit 29 (lm), and this CPU has it not");
	missing(0xd, 0, 0, 2, "CPUID d.0 EAX bit 2 (xcr0-avx), and this CPU has it not");
}

static void other_cpus_are_told_apart(void **state)
{
	(void)state;
	host_leaf(0, 0)->ebx = 0x756e6547;
	host_leaf(0, 0)->edx = 0x49656e69;
	host_leaf(0, 0)->ecx = 0x6c65746e;
	expect_incompatible("vendor AuthenticAMD, and this CPU is GenuineIntel");
	host_leaf(0, 0)->ebx = 0x7f0a0001; // no letters
	expect_incompatible("vendor AuthenticAMD, and this CPU is ????enticAMD");
	host_leaf(0x80000008, 0)->eax = 0x3930;
	expect_incompatible("physical addresses of 40 and linear ones of 48 bits, and this CPU "
			    "has 48 and 57");
	mxcsr_mask = 0xffff;
	expect_incompatible("MXCSR with the bits 2ffff, and this CPU has ffff");
	host_leaf(7, 0)->ebx &= ~(1u << 13);
	expect_incompatible("CPUID 7 EBX bit 13 (zero_fcs_fds) set, and this CPU's is not");
	wanted_leaf(CPUID_FACTS, 0)->ecx &= ~8u;
	expect_incompatible(
		"CPUID 80000021 EAX bit 6 (null_sel_clr_base) clear, and this CPU's is not");
	host_leaf(0xd, 2)->ebx = 0x300;
	expect_incompatible("XSAVE with AVX in 256 bytes at 576, and this CPU has 256 at 768");
}

static void another_model_is_noted(void **state)
{
	(void)state;
	host_leaf(1, 0)->eax = 0x00a20f12;
	assert_true(cpuid_frozen_compatible(&wanted, reason));
	assert_string_equal(reason, "a CPU of another model (CPUID 1 EAX a20f10, and this CPU's "
				    "is a20f12): undefined flags and approximations may differ");
	host_leaf(0x80000002, 0)->eax = 0; // its name is no difference
	assert_true(cpuid_frozen_compatible(&wanted, reason));
}

// SDM vol. 1, 13.3 and vol. 3, 2.5: what is not offered cannot be turned on.
static void a_narrow_cpu_is_offered_less(void **state)
{
	const struct cpuid_config config = {.vcpus = 1};
	struct cpuid_profile profile;
	struct cpuid_offer offer;

	(void)state;
	wanted_leaf(0xd, 0)->eax = 3;
	wanted_leaf(7, 0)->ebx &= ~(1u << 0 | 1u << 10 | 1u << 20);
	wanted_leaf(7, 0)->ecx = 0;
	wanted_leaf(0x80000001, 0)->edx &= ~(1u << 20 | 1u << 25 | 1u << 27);
	wanted_leaf(1, 0)->eax = 0x1234;
	assert_true(cpuid_frozen_compatible(&wanted, reason));
	cpuid_profile_build(&config, &wanted, &profile);
	offer = cpuid_profile_offer(&profile);
	assert_true(offer.xcr0 == 3 && offer.signature == 0x1234);
	assert_true(offer.efer == (EFER_SCE | EFER_LME | EFER_LMA));
	assert_true((offer.cr4 & (CR4_FSGSBASE | CR4_SMAP | CR4_UMIP | CR4_LA57)) == 0);
	assert_true((offer.cr4 & (CR4_OSXSAVE | CR4_SMEP)) == (CR4_OSXSAVE | CR4_SMEP));
	assert_false(offer.rdtscp || offer.rdpid || offer.invpcid);
	assert_int_equal(cpuid_profile_query(&profile, 0xd, 0)->ecx, 576);
	wanted_leaf(1, 0)->ecx &= ~(1u << 26); // no XSAVE at all
	cpuid_profile_build(&config, &wanted, &profile);
	offer = cpuid_profile_offer(&profile);
	assert_true(offer.xcr0 == 1 && (offer.cr4 & CR4_OSXSAVE) == 0);
}

static void lists_of_another_kind_are_refused(void **state)
{
	static const uint32_t needed[] = {0, 1, CPUID_FACTS, 0x80000000, 0x80000001};
	char text[32];

	(void)state;
	wanted.entries[2].leaf = 5;
	expect_refused("CPUID 5.0 is not known");
	wanted.entries[1] = wanted.entries[0];
	expect_refused("CPUID 0.0 is not known, or not in its place");
	wanted.entries[3] = wanted.entries[5];
	expect_refused("CPUID d.0 is not known, or not in its place");
	wanted_leaf(1, 0)->ecx |= 1u << 30;
	expect_refused("CPUID 1 ECX bit 30 (rdrand) is none of a recordable machine's");
	wanted_leaf(7, 0)->ebx |= 1u << 18;
	expect_refused("CPUID 7.0 EBX bit 18 (rdseed)");
	wanted_leaf(0xd, 1)->eax = 1;
	expect_refused("CPUID d.1 EAX bit 0 (xsaveopt)");
	wanted_leaf(7, 0)->ebx |= 1u << 11; // RTM: no name, since no machine has it
	expect_refused("CPUID 7.0 EBX bit 11 is none");
	wanted_leaf(1, 0)->ebx |= 1u << 24;
	expect_refused("CPUID 1 EBX bit 24 is none");
	for (unsigned i = 0; i < ARRAY_COUNT(needed); i++) {
		uint32_t at = 0;

		while (wanted.entries[at].leaf != needed[i])
			at++;
		wanted.count--;
		memmove(&wanted.entries[at], &wanted.entries[at + 1],
			(wanted.count - at) * sizeof(wanted.entries[0]));
		snprintf(text, sizeof(text), "no CPUID %x", needed[i]);
		expect_refused(text);
	}
	wanted.count = 0;
	expect_refused("no CPUID 0");
}

static void values_that_no_cpu_has_are_refused(void **state)
{
	static const uint32_t widths[] = {0, 0x3023, 0x3035, 0x2f28, 0x3128, 0x393028};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(widths); i++) {
		wanted_leaf(CPUID_FACTS, 0)->eax = widths[i];
		expect_refused("widths of addresses that no CPU has");
	}
	wanted_leaf(CPUID_FACTS, 0)->eax = 0x3930;
	expect_refused("widths of addresses that are not those of CPUID 80000008");
	wanted_leaf(CPUID_FACTS, 0)->ebx = 0x1f80;
	expect_refused("MXCSR");
	wanted_leaf(CPUID_FACTS, 0)->ebx = 0x1ffff;
	expect_refused("MXCSR");
	wanted_leaf(CPUID_FACTS, 0)->ecx |= 16;
	expect_refused("does not know");
	wanted_leaf(CPUID_FACTS, 0)->edx = 1;
	expect_refused("does not know");
	wanted_leaf(0x80000000, 0)->eax = 0x80000009;
	expect_refused("80000000 EAX");
	wanted_leaf(0x80000000, 0)->eax = 0;
	expect_refused("80000000 EAX");
	wanted_leaf(0xd, 0)->eax = 1;
	expect_refused("XSAVE without x87 and SSE");
	wanted_leaf(0xd, 2)->eax = 0x10000;
	expect_refused("XSAVE with AVX elsewhere");
}

// Whatever is accepted can be built, and offers nothing that this version does not know.
static void check_accepted(const struct cpuid_entry *entries, size_t count)
{
	const struct cpuid_config config = {.apic_id = 63, .vcpus = 64, .x2apic = true};
	struct cpuid_profile profile;
	struct cpuid_offer offer;
	struct cpuid_frozen into;
	bool good;

	reason[0] = 'x';
	good = cpuid_frozen_import(entries, count, &into, reason) == STATUS_OK;
	assert_true(good == (reason[0] == '\0'));
	assert_non_null(memchr(reason, '\0', sizeof(reason)));
	if (!good)
		return;
	(void)!cpuid_frozen_compatible(&into, reason);
	assert_non_null(memchr(reason, '\0', sizeof(reason)));
	cpuid_profile_build(&config, &into, &profile);
	offer = cpuid_profile_offer(&profile);
	assert_true((offer.xcr0 & ~7ull) == 0 && (offer.xcr0 & 1) != 0);
	assert_false(offer.rdrand || offer.rdseed);
	assert_in_range(cpuid_profile_physical_bits(&profile), 36, 52);
}

static void damaged_lists_do_no_harm(void **state)
{
	struct cpuid_entry many[CPUID_FROZEN_MAX * 2];
	uint8_t *bytes = (uint8_t *)wanted.entries;

	(void)state;
	for (size_t bit = 0; bit < wanted.count * sizeof(wanted.entries[0]) * 8; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		check_accepted(wanted.entries, wanted.count);
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (uint32_t count = 0; count < wanted.count; count++)
		check_accepted(wanted.entries, count);
	srand(7);
	for (unsigned round = 0; round < 20000; round++) {
		for (unsigned i = 0; i < ARRAY_COUNT(many); i++) {
			many[i] = wanted.entries[(unsigned)rand() % wanted.count];
			if (rand() % 4 == 0)
				((uint8_t *)&many[i])[(unsigned)rand() % sizeof(many[i])] =
					(uint8_t)rand();
		}
		check_accepted(many, (unsigned)rand() % ARRAY_COUNT(many));
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
	const struct CMUnitTest tests[] = {
		TEST(what_was_taken_is_read_back),
		TEST(facts_are_no_leaf),
		TEST(topology_is_not_the_hosts),
		TEST(each_missing_feature_is_named),
		TEST(names_are_those_of_the_bits),
		TEST(other_cpus_are_told_apart),
		TEST(another_model_is_noted),
		TEST(a_narrow_cpu_is_offered_less),
		TEST(lists_of_another_kind_are_refused),
		TEST(values_that_no_cpu_has_are_refused),
		TEST(damaged_lists_do_no_harm),
	};

	return cmocka_run_group_tests_name("cpuid_frozen", tests, NULL, NULL);
}

// SPDX-License-Identifier: BSD-2-Clause
#include "vmx/cpuid_frozen.h"

#include <stdio.h>
#include <string.h>

#include "kernel/base/assert.h"
#include "vmx/vcpu.h"

#define ALL       UINT32_MAX
#define BITS(...) BITS_(__VA_ARGS__, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64)
#define B_(n)     ((n) < 32 ? 1u << ((n)&31) : 0u)
#define BITS_(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, ...)                                 \
	(B_(a) | B_(b) | B_(c) | B_(d) | B_(e) | B_(f) | B_(g) | B_(h) | B_(i) | B_(j) | B_(k) |   \
		B_(l) | B_(m) | B_(n) | B_(o) | B_(p))

// Leaf 1 ECX: not MONITOR, VMX, DCA, performance and debug features.
#define LEAF1_ECX BITS(0, 1, 9, 12, 13, 17, 19, 20, 22, 23, 25, 26, 28, 29, 30)
#define LEAF1_ECX_NAMES                                                                            \
	"pni pclmulqdq ssse3 fma cx16 pcid sse4_1 sse4_2 movbe popcnt aes xsave avx f16c rdrand"
// Leaf 1 EDX: all of a PC's but DS, ACPI thermal control, HTT, TM and PBE.
#define LEAF1_EDX 0x078bfbffu
#define LEAF1_EDX_NAMES                                                                            \
	"fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx "     \
	"fxsr sse sse2"
// Leaf 7: not TSX, MPX, AVX-512, PT; PKU, WAITPKG, CET, AMX.
#define LEAF7_EBX BITS(0, 3, 5, 7, 8, 9, 10, 18, 19, 20, 23, 24, 29)
#define LEAF7_EBX_NAMES                                                                            \
	"fsgsbase bmi1 avx2 smep bmi2 erms invpcid rdseed adx smap clflushopt clwb sha_ni"
#define LEAF7_ECX       BITS(2, 16, 22)
#define LEAF7_ECX_NAMES "umip la57 rdpid"
// 80000001: not SVM, IBS, SKINIT, OSVW, MONITORX, topology and performance extensions.
#define EXT1_ECX        BITS(0, 4, 5, 6, 7, 8)
#define EXT1_ECX_NAMES  "lahf_lm cr8_legacy abm sse4a misalignsse 3dnowprefetch"
#define EXT1_EDX        (0x0183f3ffu | BITS(11, 20, 22, 25, 26, 27, 29))
#define EXT1_EDX_NAMES                                                                             \
	"fpu vme de pse tsc msr pae mce cx8 apic syscall mtrr pge mca cmov pat pse36 nx mmxext "   \
	"mmx fxsr fxsr_opt pdpe1gb rdtscp lm"

#define LAST_EXTENDED 0x80000008u

enum { EAX, EBX, ECX, EDX, REGISTERS };

// What passes of the host's answer, by subleaf; leaves that are not listed answer zeros. XSAVE is
// not offered as more than its standard form, nor in a recordable machine with XSAVEOPT: what that
// leaves out depends on when the registers were last loaded. `names`: of a register whose bits are
// features, in the order of the mask's bits, as Linux has them.
static const struct rule {
	uint32_t leaf, subleaf;
	struct cpuid mask;
	struct cpuid hidden; // of that, from recordable machines
	const char *names[REGISTERS];
} rules[] = {
	{0x00000000, 0, {ALL, ALL, ALL, ALL}, {0}, {NULL}},
	{0x00000001, 0, {ALL, 0x0000ff00, LEAF1_ECX, LEAF1_EDX}, {.ecx = BITS(30)},
		{[ECX] = LEAF1_ECX_NAMES, [EDX] = LEAF1_EDX_NAMES}},
	{0x00000002, 0, {ALL, ALL, ALL, ALL}, {0}, {NULL}},
	{0x00000007, 0, {0, LEAF7_EBX, LEAF7_ECX, 0}, {.ebx = BITS(18)},
		{[EBX] = LEAF7_EBX_NAMES, [ECX] = LEAF7_ECX_NAMES}},
	{0x0000000d, 0, {CPUID_XCR0, 0, 0, 0}, {0}, {[EAX] = "xcr0-x87 xcr0-sse xcr0-avx"}},
	{0x0000000d, 1, {1, 0, 0, 0}, {.eax = 1}, {[EAX] = "xsaveopt"}},
	{0x0000000d, 2, {ALL, ALL, 0, 0}, {0}, {NULL}},
	{CPUID_FACTS, 0, {ALL, ALL, ALL, ALL}, {0}, {NULL}},
	{0x80000000, 0, {ALL, ALL, ALL, ALL}, {0}, {NULL}},
	{0x80000001, 0, {ALL, ALL, EXT1_ECX, EXT1_EDX}, {0},
		{[ECX] = EXT1_ECX_NAMES, [EDX] = EXT1_EDX_NAMES}},
	{0x80000002, 0, {ALL, ALL, ALL, ALL}, {0}, {NULL}},
	{0x80000003, 0, {ALL, ALL, ALL, ALL}, {0}, {NULL}},
	{0x80000004, 0, {ALL, ALL, ALL, ALL}, {0}, {NULL}},
	{0x80000005, 0, {ALL, ALL, ALL, ALL}, {0}, {NULL}},
	{0x80000006, 0, {ALL, ALL, ALL, ALL}, {0}, {NULL}},
	{0x80000007, 0, {0, 0, 0, BITS(8)}, {0}, {NULL}}, // invariant TSC
	{0x80000008, 0, {0x0000ffff, 0, 0, 0}, {0}, {NULL}},
};
_Static_assert(ARRAY_COUNT(rules) <= CPUID_FROZEN_MAX, "entries");

// Bits of the facts' ECX. Each changes what a guest finds that never asks CPUID: what FXSAVE, XSAVE
// and FNSTENV store of the last x87 instruction's pointers, and what a null selector leaves of a
// segment's base.
static const struct fact {
	uint32_t leaf;
	uint8_t reg, bit;
	const char *name;
} facts[] = {
	{0x00000007, EBX, 6, "fdp_excptn_only"},
	{0x00000007, EBX, 13, "zero_fcs_fds"},
	{0x80000008, EBX, 2, "xsaveerptr"},
	{0x80000021, EAX, 6, "null_sel_clr_base"},
};

// struct cpuid as an array.
static uint32_t reg_of(const struct cpuid *value, unsigned reg)
{
	const uint32_t regs[REGISTERS] = {value->eax, value->ebx, value->ecx, value->edx};

	ASSERT(reg < REGISTERS);
	return regs[reg];
}

static const char *reg_name(unsigned reg)
{
	static const char names[REGISTERS][4] = {"EAX", "EBX", "ECX", "EDX"};

	return names[reg];
}

static struct cpuid both(struct cpuid a, struct cpuid b)
{
	return (struct cpuid){a.eax & b.eax, a.ebx & b.ebx, a.ecx & b.ecx, a.edx & b.edx};
}

static struct cpuid inverse(struct cpuid a)
{
	return (struct cpuid){~a.eax, ~a.ebx, ~a.ecx, ~a.edx};
}

static struct cpuid rule_mask(const struct rule *rule, bool recordable)
{
	return recordable ? both(rule->mask, inverse(rule->hidden)) : rule->mask;
}

static const struct cpuid *find(const struct cpuid_frozen *frozen, uint32_t leaf, uint32_t subleaf)
{
	for (uint32_t i = 0; i < frozen->count; i++)
		if (frozen->entries[i].leaf == leaf && frozen->entries[i].subleaf == subleaf)
			return &frozen->entries[i].value;
	return NULL;
}

// Zeros where there is none.
static struct cpuid value_of(const struct cpuid_frozen *frozen, uint32_t leaf, uint32_t subleaf)
{
	const struct cpuid *found = find(frozen, leaf, subleaf);

	return found != NULL ? *found : (struct cpuid){0, 0, 0, 0};
}

static bool host_has(uint32_t leaf)
{
	return leaf <= cpuid(leaf & 0x80000000u, 0).eax;
}

static struct cpuid host_facts(void)
{
	struct cpuid found = {.eax = host_has(0x80000008) ? cpuid(0x80000008, 0).eax & 0xffff : 0,
		.ebx = vcpu_mxcsr_mask()};

	if (found.eax == 0)
		found.eax = 48 << 8 | 36; // SDM vol. 2, CPUID: without the leaf
	for (unsigned i = 0; i < ARRAY_COUNT(facts); i++) {
		struct cpuid value = {0, 0, 0, 0};

		if (host_has(facts[i].leaf))
			value = cpuid(facts[i].leaf, 0);
		found.ecx |= (reg_of(&value, facts[i].reg) >> facts[i].bit & 1) << i;
	}
	return found;
}

void cpuid_frozen_take(bool recordable, struct cpuid_frozen *frozen)
{
	memset(frozen, 0, sizeof(*frozen));
	for (unsigned i = 0; i < ARRAY_COUNT(rules); i++) {
		const struct rule *rule = &rules[i];
		struct cpuid value;

		if (rule->leaf != CPUID_FACTS && !host_has(rule->leaf))
			continue;
		value = rule->leaf == CPUID_FACTS ? host_facts() : cpuid(rule->leaf, rule->subleaf);
		value = both(value, rule_mask(rule, recordable));
		if (rule->leaf == 0x80000000 && value.eax > LAST_EXTENDED)
			value.eax = LAST_EXTENDED;
		frozen->entries[frozen->count++] =
			(struct cpuid_entry){rule->leaf, rule->subleaf, value};
	}
}

struct cpuid_offer cpuid_host_offer(void)
{
	const struct cpuid_config config = {.vcpus = 1};
	struct cpuid_profile profile;
	struct cpuid_frozen frozen;

	cpuid_frozen_take(false, &frozen);
	cpuid_profile_build(&config, &frozen, &profile);
	return cpuid_profile_offer(&profile);
}

static bool refuse(char reason[CPUID_REASON_MAX], const char *text)
{
	snprintf(reason, CPUID_REASON_MAX, "%s", text);
	return false;
}

// "CPUID 7.0 EBX bit 5 (avx2)WHAT"; without a name where it is no feature of a guest's.
static bool refuse_bit(char reason[CPUID_REASON_MAX], const struct rule *rule, unsigned reg,
	unsigned bit, const char *what)
{
	bool has_subleaf = rule->leaf == 0x07 || rule->leaf == 0x0d;
	uint32_t mask = reg_of(&rule->mask, reg);
	const char *name = rule->names[reg];
	int length = 0;

	if (name != NULL && (mask >> bit & 1) != 0) {
		for (unsigned before = 0; before < bit; before++)
			if ((mask >> before & 1) != 0)
				name = strchr(name, ' ') + 1;
		length = (int)strcspn(name, " ");
	}
	snprintf(reason, CPUID_REASON_MAX, "CPUID %x%s%.*x %s bit %u%s%.*s%s%s",
		(unsigned)rule->leaf, has_subleaf ? "." : "", has_subleaf ? 1 : 0,
		(unsigned)rule->subleaf, reg_name(reg), bit, length > 0 ? " (" : "", length,
		length > 0 ? name : "", length > 0 ? ")" : "", what);
	return false;
}

// The lowest bit that is set, as refuse_bit has it. True: none is.
static bool has_none(char reason[CPUID_REASON_MAX], const struct rule *rule, struct cpuid bits,
	const char *what)
{
	for (unsigned reg = 0; reg < REGISTERS; reg++)
		if (reg_of(&bits, reg) != 0)
			return refuse_bit(reason, rule, reg,
				(unsigned)__builtin_ctz(reg_of(&bits, reg)), what);
	return true;
}

static bool facts_are_sane(const struct cpuid_frozen *frozen, char reason[CPUID_REASON_MAX])
{
	struct cpuid found = value_of(frozen, CPUID_FACTS, 0);
	const struct cpuid *sizes = find(frozen, 0x80000008, 0);
	uint32_t physical = found.eax & 0xff, linear = found.eax >> 8;

	if (physical < 36 || physical > 52 || (linear != 48 && linear != 57))
		return refuse(reason, "widths of addresses that no CPU has");
	if (found.eax != (sizes != NULL ? sizes->eax : 48 << 8 | 36))
		return refuse(reason, "widths of addresses that are not those of CPUID 80000008");
	// SDM vol. 1, 11.6.6: all but the reserved bits, DAZ (6) and what AMD has at 17.
	if ((found.ebx & 0xffbf) != 0xffbf || (found.ebx & ~0x2ffffu) != 0)
		return refuse(reason, "bits of MXCSR that no CPU has");
	if (found.ecx >> ARRAY_COUNT(facts) != 0 || found.edx != 0)
		return refuse(reason, "facts of a CPU that this version does not know");
	return true;
}

static bool is_sane(const struct cpuid_frozen *frozen, char reason[CPUID_REASON_MAX])
{
	static const uint32_t needed[] = {0, 1, CPUID_FACTS, 0x80000000, 0x80000001};
	uint32_t last = value_of(frozen, 0x80000000, 0).eax;
	uint32_t xcr0 = value_of(frozen, 0x0d, 0).eax;
	struct cpuid avx = value_of(frozen, 0x0d, 2);

	for (unsigned i = 0; i < ARRAY_COUNT(needed); i++)
		if (find(frozen, needed[i], 0) == NULL) {
			snprintf(reason, CPUID_REASON_MAX, "no CPUID %x", (unsigned)needed[i]);
			return false;
		}
	if (last < 0x80000001 || last > LAST_EXTENDED)
		return refuse(reason, "CPUID 80000000 EAX: no such limit of leaves");
	if ((value_of(frozen, 1, 0).ecx & BITS(26)) != 0 && (xcr0 & 3) != 3)
		return refuse(reason, "XSAVE without x87 and SSE");
	if ((xcr0 & 4) != 0 && (avx.eax != 256 || avx.ebx != 576))
		return refuse(reason, "XSAVE with AVX elsewhere than in 256 bytes at 576");
	return facts_are_sane(frozen, reason);
}

enum status cpuid_frozen_import(const struct cpuid_entry *entries, size_t count,
	struct cpuid_frozen *frozen, char reason[CPUID_REASON_MAX])
{
	const struct rule *rule = rules, *end = rules + ARRAY_COUNT(rules);

	memset(frozen, 0, sizeof(*frozen));
	reason[0] = '\0';
	for (size_t i = 0; i < count; i++, rule++) {
		const struct cpuid_entry *entry = &entries[i];

		while (rule < end &&
			(rule->leaf != entry->leaf || rule->subleaf != entry->subleaf))
			rule++;
		if (rule == end) {
			snprintf(reason, CPUID_REASON_MAX,
				"CPUID %x.%x is not known, or not in its place",
				(unsigned)entry->leaf, (unsigned)entry->subleaf);
			return STATUS_FAIL(STATUS_INVALID);
		}
		if (!has_none(reason, rule,
			    both(entry->value, inverse(rule_mask(rule, true))),
			    " is none of a recordable machine's"))
			return STATUS_FAIL(STATUS_INVALID);
		ASSERT(frozen->count < CPUID_FROZEN_MAX); // each rule is used once
		frozen->entries[frozen->count++] = *entry;
	}
	return is_sane(frozen, reason) ? STATUS_OK : STATUS_FAIL(STATUS_INVALID);
}

// 12 letters.
static void vendor_text(struct cpuid value, char text[13])
{
	memcpy(text, &value.ebx, 4);
	memcpy(text + 4, &value.edx, 4);
	memcpy(text + 8, &value.ecx, 4);
	text[12] = '\0';
	for (unsigned i = 0; i < 12; i++)
		if (text[i] < 0x20 || text[i] > 0x7e)
			text[i] = '?';
}

static bool vendor_is(const struct cpuid_frozen *wanted, const struct cpuid_frozen *here,
	char reason[CPUID_REASON_MAX])
{
	struct cpuid a = value_of(wanted, 0, 0), b = value_of(here, 0, 0);
	char want[13], have[13];

	if (a.ebx == b.ebx && a.ecx == b.ecx && a.edx == b.edx)
		return true;
	vendor_text(a, want);
	vendor_text(b, have);
	snprintf(reason, CPUID_REASON_MAX, "vendor %s, and this CPU is %s", want, have);
	return false;
}

static bool facts_are(const struct cpuid_frozen *wanted, const struct cpuid_frozen *here,
	char reason[CPUID_REASON_MAX])
{
	struct cpuid a = value_of(wanted, CPUID_FACTS, 0), b = value_of(here, CPUID_FACTS, 0);
	uint32_t different = a.ecx ^ b.ecx;

	if (a.eax != b.eax) {
		snprintf(reason, CPUID_REASON_MAX,
			"physical addresses of %u and linear ones of %u bits, and this CPU has "
			"%u and %u", (unsigned)(a.eax & 0xff), (unsigned)(a.eax >> 8),
			(unsigned)(b.eax & 0xff), (unsigned)(b.eax >> 8));
		return false;
	}
	if (a.ebx != b.ebx) {
		snprintf(reason, CPUID_REASON_MAX, "MXCSR with the bits %x, and this CPU has %x",
			(unsigned)a.ebx, (unsigned)b.ebx);
		return false;
	}
	if (different != 0) {
		unsigned i = (unsigned)__builtin_ctz(different);

		snprintf(reason, CPUID_REASON_MAX, "CPUID %x %s bit %u (%s) %s, and this CPU's is "
			"not", (unsigned)facts[i].leaf, reg_name(facts[i].reg), facts[i].bit,
			facts[i].name, (a.ecx >> i & 1) != 0 ? "set" : "clear");
		return false;
	}
	return true;
}

// What a guest is offered must be there. Values that are not features answer from the list.
static bool features_are(const struct cpuid_frozen *wanted, const struct cpuid_frozen *here,
	char reason[CPUID_REASON_MAX])
{
	for (unsigned i = 0; i < ARRAY_COUNT(rules); i++) {
		struct cpuid want = value_of(wanted, rules[i].leaf, rules[i].subleaf);
		struct cpuid have = value_of(here, rules[i].leaf, rules[i].subleaf);
		struct cpuid missing = both(want, inverse(have));

		if (rules[i].names[EAX] == NULL)
			missing.eax = 0;
		if (rules[i].names[EBX] == NULL)
			missing.ebx = 0;
		if (rules[i].names[ECX] == NULL)
			missing.ecx = 0;
		if (rules[i].names[EDX] == NULL)
			missing.edx = 0;
		if (!has_none(reason, &rules[i], missing, ", and this CPU has it not"))
			return false;
	}
	return true;
}

static bool layout_is(const struct cpuid_frozen *wanted, const struct cpuid_frozen *here,
	char reason[CPUID_REASON_MAX])
{
	struct cpuid a = value_of(wanted, 0x0d, 2), b = value_of(here, 0x0d, 2);

	if ((value_of(wanted, 0x0d, 0).eax & 4) == 0 || (a.eax == b.eax && a.ebx == b.ebx))
		return true;
	snprintf(reason, CPUID_REASON_MAX,
		"XSAVE with AVX in %u bytes at %u, and this CPU has %u at %u", (unsigned)a.eax,
		(unsigned)a.ebx, (unsigned)b.eax, (unsigned)b.ebx);
	return false;
}

bool cpuid_frozen_compatible(const struct cpuid_frozen *wanted, char reason[CPUID_REASON_MAX])
{
	uint32_t signature = value_of(wanted, 1, 0).eax, own;
	struct cpuid_frozen here;

	cpuid_frozen_take(false, &here);
	reason[0] = '\0';
	if (!vendor_is(wanted, &here, reason) || !facts_are(wanted, &here, reason) ||
		!features_are(wanted, &here, reason) || !layout_is(wanted, &here, reason))
		return false;
	own = value_of(&here, 1, 0).eax;
	if (own != signature)
		snprintf(reason, CPUID_REASON_MAX,
			"a CPU of another model (CPUID 1 EAX %x, and this CPU's is %x): undefined "
			"flags and approximations may differ", (unsigned)signature, (unsigned)own);
	return true;
}

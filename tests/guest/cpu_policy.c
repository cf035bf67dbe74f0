// SPDX-License-Identifier: BSD-2-Clause
// What control registers, EFER, XCR0 and debug registers take: every bit by itself, forbidden
// combinations, and the instructions around them. SDM vol. 3, 2.5, 2.6 and 17.2; vol. 2, MOV to
// control and debug registers, LMSW, SMSW, XSETBV. MSRs: cpu_msrs.c.
#include "lib/snippet.h"

PAYLOAD("cpu_policy");

enum { CR4_TSD = 4, CR4_DE = 8, CR4_PCE = 0x100, CR4_UMIP = 1 << 11, CR4_OSXSAVE = 1 << 18 };

struct place {
	const char *name;
	void (*write)(void *value);
	uint64_t (*read)(void);
};

static void cr0_write(void *value)
{
	write_cr0((uintptr_t)value);
}

static void cr4_write(void *value)
{
	write_cr4((uintptr_t)value);
}

static void cr8_write(void *value)
{
	write_cr8((uintptr_t)value);
}

static void dr6_write(void *value)
{
	write_dr6((uintptr_t)value);
}

static void dr7_write(void *value)
{
	write_dr7((uintptr_t)value);
}

static void efer_write(void *value)
{
	wrmsr(MSR_EFER, (uintptr_t)value);
}

static uint64_t efer_read(void)
{
	return rdmsr(MSR_EFER);
}

static void xcr0_write(void *value)
{
	xsetbv(0, (uintptr_t)value);
}

static uint64_t xcr0_read(void)
{
	return xgetbv(0);
}


static const struct place cr0 = {"cr0", cr0_write, read_cr0};
static const struct place cr4 = {"cr4", cr4_write, read_cr4};
static const struct place cr8 = {"cr8", cr8_write, read_cr8};
static const struct place dr6 = {"dr6", dr6_write, read_dr6};
static const struct place dr7 = {"dr7", dr7_write, read_dr7};
static const struct place efer = {"efer", efer_write, efer_read};
static const struct place xcr0 = {"xcr0", xcr0_write, xcr0_read};

struct verdict {
	uint64_t faults, sticks;
};

// Flips each of the bits alone, and takes the old value back.
static struct verdict bits_try(const struct place *place, uint64_t bits)
{
	uint64_t base = place->read();
	struct verdict v = {0, 0};

	for (unsigned i = 0; i < 64; i++) {
		uint64_t bit = 1ull << i, value = base ^ bit;

		if ((bits & bit) == 0)
			continue;
		if (trap_catch(place->write, (void *)(uintptr_t)value)) {
			if (trap_last.vector == 13 && trap_last.error == 0)
				v.faults |= bit;
			else
				report("%s.bit %u = #%lu error 0x%lx", place->name, i,
					trap_last.vector, trap_last.error);
		} else if (place->read() == value) {
			v.sticks |= bit;
		}
		place->write((void *)(uintptr_t)base);
	}
	return v;
}

static struct verdict bits_report(const struct place *place, uint64_t bits)
{
	struct verdict v = bits_try(place, bits);

	report("%s.faults = 0x%lx", place->name, v.faults);
	report("%s.sticks = 0x%lx", place->name, v.sticks);
	return v;
}

static void refused(const char *what, const struct place *place, uint64_t value)
{
	uint64_t before = place->read();

	if (cpu_is_bare_emulator())
		report("%s = skipped", what);
	else
		report_trap(what, place->write, (void *)(uintptr_t)value);
	place->write((void *)(uintptr_t)before);
	if (place->read() != before)
		report("%s = WRONG afterwards", what);
}

// Reserved bits of the lower half are ignored, those of the upper half are not.
static void policy_cr0(void)
{
	uint64_t now = read_cr0();

	if (!cpu_is_bare_emulator())
		bits_report(&cr0, ~0ull);
	refused("cr0.cd_nw", &cr0, now | 3u << 29);
	refused("cr0.nw_alone", &cr0, now | 1u << 29);
	refused("cr0.pg_without_pe", &cr0, now & ~1ull);
	refused("cr0.nothing", &cr0, 0);
	refused("cr0.all", &cr0, ~0ull);
}

// CPUID says which bits exist: SDM vol. 3, 2.5. SMEP and SMAP would forbid this payload its pages:
// cpu_paging.c.
static uint64_t cr4_features(void)
{
	struct cpuid f = cpuid(1, 0), s = cpuid(7, 0);
	struct {
		uint32_t value;
		unsigned bit, cr4;
	} t[] = {
		{f.edx, 1, 0}, {f.edx, 1, 1}, {f.edx, 4, 2}, {f.edx, 2, 3}, {f.edx, 3, 4},
		{f.edx, 7, 6}, {f.edx, 13, 7}, {1, 0, 8}, {f.edx, 24, 9}, {f.edx, 25, 10},
		{s.ecx, 2, 11}, {f.ecx, 5, 13}, {f.ecx, 6, 14}, {s.ebx, 0, 16}, {f.ecx, 17, 17},
		{f.ecx, 26, 18}, {s.ecx, 23, 19}, {s.ecx, 3, 22}, {s.ecx, 7, 23}, {s.ecx, 31, 24},
	};
	uint64_t bits = 0;

	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		bits |= (t[i].value >> t[i].bit & 1ull) << t[i].cr4;
	return bits;
}

static void policy_cr4(void)
{
	uint64_t skip = 3ull << 20, has = cr4_features(), now = read_cr4();
	struct verdict v;

	if (cpu_is_bare_emulator()) // never finishes a MOV with a reserved bit
		skip |= ~has;
	v = bits_try(&cr4, ~skip);
	report_check("cr4.sticks as CPUID says", v.sticks == (has & ~skip));
	report_check("cr4.rest faults", v.faults == ~(has | skip));
	refused("cr4.pae_off", &cr4, now & ~0x20ull);
	refused("cr4.la57_in_64_bit", &cr4, now | 1 << 12);
	refused("cr4.all", &cr4, ~0ull);
	report_check("cr4.unchanged", read_cr4() == now);
}

static void policy_cr8(void)
{
	bits_report(&cr8, ~0ull);
	write_cr8(15);
	report("cr8.15 = 0x%lx tpr 0x%x", read_cr8(), lapic_read(LAPIC_TPR));
	lapic_write(LAPIC_TPR, 0x3a);
	report("cr8.of_tpr_3a = 0x%lx", read_cr8());
	write_cr8(0);
	report("cr8.clears_tpr = 0x%x", lapic_read(LAPIC_TPR));
}

static void policy_efer(void)
{
	struct cpuid x = cpuid(0x80000001, 0);
	uint64_t vendor = 0x3f << 12, now = rdmsr(MSR_EFER);
	struct verdict v = bits_try(&efer, ~(vendor | 1 << 10));

	report("efer.faults = 0x%lx", v.faults);
	report("efer.sticks = 0x%lx", v.sticks);
	v = bits_try(&efer, 1 << 10);
	report("vendor: efer.lma = %s",
		v.faults != 0 ? "faults" : v.sticks != 0 ? "sticks" : "ignored");
	v = bits_try(&efer, 1 << 12);
	report_check("efer.svme as CPUID says", (v.sticks != 0) == ((x.ecx >> 2 & 1) != 0));
	v = bits_try(&efer, 1 << 14);
	report_check("efer.ffxsr as CPUID says", (v.sticks != 0) == ((x.edx >> 25 & 1) != 0));
	report_check("efer.unchanged", rdmsr(MSR_EFER) == now);
}

#define XSETBVS(X)                                                                                 \
	X(xsetbv, "xorl %ecx, %ecx; movl $1, %eax; xorl %edx, %edx", "xsetbv", "")                 \
	X(xsetbv_1, "movl $1, %ecx; movl $1, %eax; xorl %edx, %edx", "xsetbv", "")                 \
	X(xsetbv_high, "xorl %ecx, %ecx; movl $1, %eax; movl $1, %edx", "xsetbv", "")              \
	X(xgetbv, "xorl %ecx, %ecx", "xgetbv", "")                                                 \
	X(xgetbv_2, "movl $2, %ecx", "xgetbv", "")                                                 \
	X(xsave, "", "xsave (%rdi)", "")

SNIPPETS(xsetbvs, XSETBVS)

static uint8_t area[4096] __attribute__((aligned(4096)));

static void policy_xcr0(void)
{
	static const uint8_t values[] = {0, 1, 2, 3, 4, 5, 6, 7, 9, 11, 0x10, 0x18, 0x20, 0xe0,
		0xe7};
	uint64_t has;

	SNIPPETS_REPORT("without_osxsave0", xsetbvs, false, 0, area);
	SNIPPETS_REPORT("without_osxsave3", xsetbvs, true, 0, area);
	write_cr4(read_cr4() | CR4_OSXSAVE);
	has = (uint64_t)cpuid(0xd, 0).edx << 32 | cpuid(0xd, 0).eax;
	SNIPPETS_REPORT("osxsave0", xsetbvs, false, 0, area);
	SNIPPETS_REPORT("osxsave3", xsetbvs, true, 0, area);
	for (unsigned i = 0; i < sizeof(values); i++) {
		uint64_t v = values[i];
		bool pairs = ((v >> 3 ^ v >> 4) & 1) == 0 && ((v & 4) == 0 || (v & 2) != 0) &&
			((v & 0xe0) == 0 || ((v & 0xe0) == 0xe0 && (v & 4) != 0));
		bool right = (v & 1) != 0 && pairs && (v & ~has) == 0;
		bool traps = trap_catch(xcr0_write, (void *)(uintptr_t)v);

		report("xcr0.0x%lx = %s", v,
			traps == !right && (traps ? trap_last.vector == 13 : xgetbv(0) == v) ?
				"ok" : "WRONG");
	}
	xsetbv(0, 1);
	report_check("xcr0.unknown bits fault", bits_try(&xcr0, ~(has | 0xff)).faults ==
		~(has | 0xff));
	write_cr4(read_cr4() & ~(uint64_t)CR4_OSXSAVE);
}

#define DEBUGS(X)                                                                                  \
	X(mov_from_dr4, "", "movq %db4, %rax", "")                                                 \
	X(mov_from_dr5, "", "movq %db5, %rax", "")                                                 \
	X(mov_to_dr4, "movl $0xffff0ff0, %eax", "movq %rax, %db4", "")                             \
	X(mov_to_dr5, "movl $0x400, %eax", "movq %rax, %db5", "")                                  \
	X(mov_to_dr8, "", ".byte 0x44, 0x0f, 0x23, 0xc0", "")                                      \
	X(mov_from_cr1, "", ".byte 0x0f, 0x20, 0xc8", "")                                          \
	X(mov_from_cr5, "", ".byte 0x0f, 0x20, 0xe8", "")                                          \
	X(mov_from_cr9, "", ".byte 0x44, 0x0f, 0x20, 0xc8", "")

SNIPPETS(debugs, DEBUGS)

static void policy_debug(void)
{
	uint64_t value;

	// Not the bits of bus locks and transactions (11, 16; 11), which a CPU may have or not, and
	// not general detect.
	bits_report(&dr6, ~(1ull << 11 | 1ull << 16));
	write_dr7(0x400);
	bits_report(&dr7, ~(1ull << 11 | 1ull << 13));
	write_dr7(0x400);
	__asm__ volatile("movq %0, %%dr0; movq %%dr0, %0" : "=r"(value) : "0"(~0ull));
	report("dr0.all ones = 0x%lx", value);
	__asm__ volatile("movq %0, %%dr3; movq %%dr3, %0" : "=r"(value) : "0"(0x8000000000000000));
	report("dr3.bit 63 = 0x%lx", value);
	SNIPPETS_REPORT("de_off", debugs, false, 0, NULL);
	__asm__ volatile("movq %0, %%dr6; movq %%db4, %0" : "=r"(value) : "0"(0xffff0ff5ull));
	report("de_off.dr4 is dr6 = 0x%lx", value);
	__asm__ volatile("movq %0, %%db5; movq %%dr7, %0" : "=r"(value) : "0"(0x30400ull));
	report("de_off.dr5 is dr7 = 0x%lx", value);
	write_dr7(0x400);
	write_dr6(0xffff0ff0);
	write_cr4(read_cr4() | CR4_DE);
	SNIPPETS_REPORT("de_on", debugs, false, 0, NULL);
	write_cr4(read_cr4() & ~(uint64_t)CR4_DE);
}

// LMSW sets and clears MP, EM and TS, and sets PE; SMSW in its three widths.
static void policy_machine_status(void)
{
	uint64_t now = read_cr0(), wide = ~0ull, word = ~0ull;
	uint16_t memory[2] = {0x1111, 0x2222};
	uint32_t dword;

	for (unsigned v = 0; v < 16; v++) {
		__asm__ volatile("lmsw %w0" : : "r"(v | 0xfff0));
		if ((read_cr0() & ~0xfull) != (now & ~0xfull) || (read_cr0() & 0xf) != (v | 1))
			report("lmsw.%u = 0x%lx WRONG", v, read_cr0());
	}
	memory[0] = 0xa;
	__asm__ volatile("lmsw %0" : : "m"(memory[0]));
	report("lmsw.memory = 0x%lx", read_cr0() & 0xf);
	__asm__ volatile("clts");
	report("clts = 0x%lx", read_cr0() & 0xf);
	write_cr0(now);
	__asm__ volatile("smsw %w0" : "+r"(word));
	__asm__ volatile("smsw %k0" : "=r"(dword));
	__asm__ volatile("smsw %q0" : "+r"(wide));
	__asm__ volatile("smsw %0" : "=m"(memory[0]) : : "memory");
	report("smsw = 0x%lx", word);
	report_check("smsw.64 is CR0", wide == now && dword == (uint32_t)now);
	report("smsw.memory = 0x%x 0x%x", memory[0], memory[1]);
}

#define USERS(X)                                                                                   \
	X(rdtsc, "", "rdtsc", "")                                                                  \
	X(rdtscp, "", "rdtscp", "")                                                                \
	X(rdpmc_bad_index, "movl $0x1234, %ecx", "rdpmc", "")                                      \
	X(smsw, "", "smsw %eax", "")                                                               \
	X(sgdt, "", "sgdt -16(%rsp)", "")                                                          \
	X(sidt, "", "sidt -16(%rsp)", "")                                                          \
	X(sldt, "", "sldt %eax", "")                                                               \
	X(str, "", "str %eax", "")                                                                 \
	X(cpuid, "pushq %rbx; xorl %eax, %eax", "cpuid", "popq %rbx")

SNIPPETS(users, USERS)

// What ring 3 may do, by CR4.
static void policy_user(void)
{
	static const struct {
		const char *name;
		uint64_t bits;
	} modes[] = {
		{"user", 0}, {"user_tsd", CR4_TSD}, {"user_pce", CR4_PCE}, {"user_umip", CR4_UMIP},
	};
	uint64_t now = read_cr4();

	for (unsigned i = 0; i < 4; i++) {
		if (modes[i].bits == CR4_UMIP && (cpuid(7, 0).ecx & 4) == 0) {
			report("%s = not present", modes[i].name);
			continue;
		}
		write_cr4(now | modes[i].bits);
		SNIPPETS_REPORT(modes[i].name, users, true, 0, NULL);
		if (i != 0)
			SNIPPETS_REPORT(snippet_prefix(modes[i].name, "ring0"), users, false, 0,
				NULL);
	}
	write_cr4(now);
}

void payload_main(void)
{
	policy_cr0();
	policy_cr4();
	policy_cr8();
	policy_efer();
	policy_xcr0();
	policy_debug();
	policy_machine_status();
	policy_user();
}

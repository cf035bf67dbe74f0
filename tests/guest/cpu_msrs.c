// SPDX-License-Identifier: BSD-2-Clause
// What MSRs take: every bit by itself, memory types, canonical addresses, what must not be written,
// what does not exist, and the registers of RDMSR and WRMSR themselves. SDM vol. 2, RDMSR, WRMSR;
// vol. 3, 11.4.4, 12.11, 12.12; vol. 4.
#include "lib/payload.h"

PAYLOAD("cpu_msrs");

struct write {
	uint32_t msr;
	uint64_t value;
};

static void write_do(void *argument)
{
	const struct write *w = (const struct write *)argument;

	wrmsr(w->msr, w->value);
}

static void read_do(void *argument)
{
	rdmsr((uint32_t)(uintptr_t)argument);
}

static bool write_faults(uint32_t msr, uint64_t value)
{
	struct write w = {msr, value};

	return trap_catch(write_do, &w) && trap_last.vector == 13 && trap_last.error == 0;
}

static uint64_t physical_mask(void)
{
	return (1ull << (cpuid(0x80000008, 0).eax & 0xff)) - 1;
}

// Flips each of `bits` in `base`.
static void bits_report(const char *name, uint32_t msr, uint64_t base, uint64_t bits)
{
	uint64_t before = rdmsr(msr), faults = 0, sticks = 0;

	for (unsigned i = 0; i < 64; i++) {
		uint64_t bit = 1ull << i;

		if ((bits & bit) == 0)
			continue;
		if (write_faults(msr, base ^ bit))
			faults |= bit;
		else if (rdmsr(msr) == (base ^ bit))
			sticks |= bit;
	}
	wrmsr(msr, before);
	report("%s.faults = 0x%lx", name, faults);
	report("%s.sticks = 0x%lx", name, sticks);
}

static void msrs_addresses(void)
{
	static const struct {
		const char *name;
		uint32_t msr;
	} t[] = {
		{"lstar", MSR_LSTAR}, {"cstar", MSR_CSTAR}, {"fs_base", MSR_FS_BASE},
		{"gs_base", MSR_GS_BASE}, {"kernel_gs_base", MSR_KERNEL_GS_BASE},
	};

	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		bits_report(t[i].name, t[i].msr, 0, ~0ull);
		report("%s.highest and lowest fault = %u %u", t[i].name,
			write_faults(t[i].msr, 0x00007fffffffffff),
			write_faults(t[i].msr, 0xffff800000000000));
		wrmsr(t[i].msr, 0);
	}
	bits_report("star", MSR_STAR, 0, ~0ull);
	bits_report("sfmask", MSR_SFMASK, 0, 0xffffffff);
	bits_report("sysenter_cs", 0x174, 0, 0xffff);
	bits_report("sysenter_esp", 0x175, 0, 0xffffffff);
	bits_report("sysenter_eip", 0x176, 0, 0xffffffff);
	if ((cpuid(0x80000001, 0).edx >> 27 & 1) != 0)
		bits_report("tsc_aux", MSR_TSC_AUX, 0, 0xffffffff);
	report("vendor: tsc_aux.upper half faults = %u", write_faults(MSR_TSC_AUX, 1ull << 32));
}

// Bit n: type n is taken in byte 0 and in byte 7.
static unsigned types_taken(uint32_t msr, unsigned shift, uint64_t rest)
{
	unsigned taken = 0;

	for (unsigned type = 0; type < 16; type++)
		if (!write_faults(msr, rest | (uint64_t)type << shift) &&
			rdmsr(msr) == (rest | (uint64_t)type << shift))
			taken |= 1u << type;
	return taken;
}

static void msrs_memory_types(void)
{
	uint64_t pat = rdmsr(MSR_PAT), physical = physical_mask();

	report("pat.types = 0x%x 0x%x 0x%x", types_taken(MSR_PAT, 0, 0),
		types_taken(MSR_PAT, 24, 0), types_taken(MSR_PAT, 56, 0));
	bits_report("pat", MSR_PAT, 0, 0xf8f8f8f8f8f8f8f8);
	wrmsr(MSR_PAT, pat);
	report("mtrr.def.types = 0x%x", types_taken(0x2ff, 0, 0));
	bits_report("mtrr.def", 0x2ff, 6, ~0xffull);
	report("mtrr.base.types = 0x%x", types_taken(0x200, 0, 0));
	bits_report("mtrr.base", 0x200, 6, physical & ~0xffull & 0xffffffff);
	report("mtrr.base above = %u", write_faults(0x200, (physical + 1) | 6));
	bits_report("mtrr.mask", 0x201, 0, physical & 0xffffffff);
	report("mtrr.mask above = %u", write_faults(0x201, (physical + 1) | 0x800));
	report("mtrr.fixed.types = 0x%x 0x%x", types_taken(0x250, 0, 0), types_taken(0x26f, 56, 0));
	wrmsr(0x2ff, 0xc06);
	wrmsr(0x200, 0);
	wrmsr(0x201, 0);
	wrmsr(0x250, 0x0606060606060606);
	wrmsr(0x26f, 0x0606060606060606);
	report("mtrrcap.write faults = %u", write_faults(MSR_MTRRCAP, rdmsr(MSR_MTRRCAP)));
	report("mtrr beyond count faults = %u",
		trap_catch(read_do, (void *)(uintptr_t)(0x200 + 2 * (rdmsr(MSR_MTRRCAP) & 0xff))));
}

static void msrs_apic(void)
{
	uint64_t base = rdmsr(MSR_APIC_BASE), bits = 0xff | 1 << 9;

	report("apic_base = 0x%lx", base);
	bits_report("apic_base", MSR_APIC_BASE, base, bits | 1ull << 63);
	report("apic_base above = %u", write_faults(MSR_APIC_BASE, base | (physical_mask() + 1)));
	report("apic_base.x2apic alone faults = %u",
		write_faults(MSR_APIC_BASE, (base & ~0x800ull) | 0x400));
	report("apic_base.after = 0x%lx", rdmsr(MSR_APIC_BASE));
	report("x2apic msr in xapic mode faults = %u %u",
		trap_catch(read_do, (void *)0x802), write_faults(0x80b, 0));
}

static void msrs_unknown(void)
{
	static const uint32_t list[] = {0x3fff, 0x4000, 0x12345678, 0x40000000, 0x80000000,
		0xbfffffff,
		0xc0001fff, 0xc0002000, 0xfffffffe, 0xffffffff};

	for (unsigned i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		report("unknown.0x%x faults = %u %u", list[i],
			trap_catch(read_do, (void *)(uintptr_t)list[i]), write_faults(list[i], 0));
}

// ECX, EDX:EAX: the upper halves do not count, and RDMSR clears them.
static void msrs_registers(void)
{
	uint64_t a = 0xffffffff00000010, c = 0xffffffff00000000 | MSR_STAR, d = 0xffffffff00230008;

	__asm__ volatile("wrmsr" : : "a"(a), "c"(c), "d"(d));
	report("wrmsr.upper halves = 0x%lx", rdmsr(MSR_STAR));
	a = d = ~0ull;
	__asm__ volatile("rdmsr" : "+a"(a), "+d"(d), "+c"(c));
	report("rdmsr = 0x%lx 0x%lx", a, d);
	a = d = ~0ull;
	c = 0xffffffff00000000 | MSR_APIC_BASE;
	__asm__ volatile("rdmsr" : "+a"(a), "+d"(d), "+c"(c));
	report("rdmsr.apic_base = 0x%lx 0x%lx 0x%lx", a, d, c);
	a = d = ~0ull;
	__asm__ volatile("rdtsc" : "+a"(a), "+d"(d));
	report("rdtsc.upper halves = 0x%lx", a >> 32 | d >> 32);
}

static void msrs_tsc(void)
{
	uint64_t value;
	bool adjust = (cpuid(7, 0).ebx >> 1 & 1) != 0;

	wrmsr(MSR_TSC, 0x7fffffff00000000);
	value = rdtsc();
	report_check("tsc.written", value >= 0x7fffffff00000000 && value < 0x7fffffff10000000);
	value = rdmsr(MSR_TSC);
	report_check("tsc.msr", value >= 0x7fffffff00000000 && value < 0x7fffffff10000000);
	wrmsr(MSR_TSC, 0);
	report_check("tsc.back to 0", rdtsc() < 0x10000000);
	report_check("tsc_adjust as CPUID says",
		trap_catch(read_do, (void *)MSR_TSC_ADJUST) == !adjust);
}

// Every MSR of the ranges is read; what can be read may be written back. Only the end counts.
static void msrs_scan(void)
{
	static const uint32_t starts[] = {0, 0xc0000000, 0xc0010000};

	for (unsigned r = 0; r < 3; r++)
		for (uint32_t i = 0; i < 0x2000; i++)
			trap_catch(read_do, (void *)(uintptr_t)(starts[r] + i));
	report("scan.reads = survived");
	for (unsigned r = 0; r < 3; r++) {
		for (uint32_t i = 0; i < 0x2000; i++) {
			uint32_t msr = starts[r] + i;

			if (trap_catch(read_do, (void *)(uintptr_t)msr) || msr == MSR_TSC)
				continue;
			write_faults(msr, rdmsr(msr));
		}
	}
	report("scan.writes = survived");
}

void payload_main(void)
{
	msrs_addresses();
	msrs_memory_types();
	msrs_apic();
	msrs_unknown();
	msrs_registers();
	msrs_tsc();
	msrs_scan();
}

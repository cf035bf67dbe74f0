// SPDX-License-Identifier: BSD-2-Clause
// CPUID: leaves are sane, the hypervisor's leaves are there, and what is advertised works.
#include "lib/payload.h"

PAYLOAD("cpuid");

static void cpuid_text(char *to, uint32_t value)
{
	for (unsigned i = 0; i < 4; i++, value >>= 8)
		to[i] = (char)value;
}

static void cpuid_hypervisor(void)
{
	struct cpuid r = cpuid(0x40000000, 0);
	char signature[13] = {0};

	cpuid_text(signature, r.ebx);
	cpuid_text(signature + 4, r.ecx);
	cpuid_text(signature + 8, r.edx);
	report("hypervisor.present = %u", cpuid(1, 0).ecx >> 31);
	report("hypervisor.signature = \"%s\"", signature);
	report_check("hypervisor.max_leaf >= 0x40000010",
		r.eax >= 0x40000010 && r.eax < 0x40010000);
}

// VMware's convention: EAX TSC kHz, EBX LAPIC timer kHz.
static void cpuid_timing(void)
{
	struct cpuid r = cpuid(0x40000010, 0);
	uint64_t tsc, ticks;

	report_check("timing.tsc_khz", near_percent(pit_measure_tsc(11932), r.eax * 10ull));
	lapic_write(LAPIC_TMICT, 0xffffffff);
	tsc = rdtsc();
	while (rdtsc() - tsc < r.eax * 10ull && rdtsc() - tsc < 10000000)
		pause();
	ticks = 0xffffffff - lapic_read(LAPIC_TMCCT);
	tsc = rdtsc() - tsc;
	lapic_write(LAPIC_TMICT, 0);
	report_check("timing.lapic_khz", near_percent(ticks * r.eax, tsc * r.ebx));
}

static void cpuid_basic(void)
{
	struct cpuid r = cpuid(0, 0);
	uint32_t version = cpuid(1, 0).eax;

	report_check("max_leaf", r.eax >= 0xd && r.eax < 0x100);
	report_check("max_extended_leaf", cpuid(0x80000000, 0).eax >= 0x80000008 &&
		cpuid(0x80000000, 0).eax < 0x80000100);
	report_check("version", version != 0 && (version & 0xf0000000) == 0);
	report("initial_apic_id = %u", cpuid(1, 0).ebx >> 24);
	report_check("physical_bits", (cpuid(0x80000008, 0).eax & 0xff) >= 36 &&
		(cpuid(0x80000008, 0).eax & 0xff) <= 52);
	report("linear_bits = %u", cpuid(0x80000008, 0).eax >> 8 & 0xff);
	r = cpuid(1, 0);
	report("fpu tsc msr pae cx8 apic = %u%u%u%u%u%u", r.edx & 1, r.edx >> 4 & 1,
		r.edx >> 5 & 1, r.edx >> 6 & 1, r.edx >> 8 & 1, r.edx >> 9 & 1);
	report("vmx = %u", r.ecx >> 5 & 1);
	report("x2apic = %u", r.ecx >> 21 & 1);
	r = cpuid(0x80000001, 0);
	report("svm = %u", r.ecx >> 2 & 1);
	report("long_mode nx syscall = %u%u%u", r.edx >> 29 & 1, r.edx >> 20 & 1,
		r.edx >> 11 & 1);
	r = cpuid(0x8000000a, 0);
	report("leaf.8000000a = 0x%x 0x%x 0x%x 0x%x", r.eax, r.ebx, r.ecx, r.edx);
}

static void cr4_set(void *bits)
{
	write_cr4(read_cr4() | (uintptr_t)bits);
}

static void cr4_agrees(const char *what, bool advertised, uint64_t bit)
{
	uint64_t cr4 = read_cr4();
	bool faulted;

	if (!advertised && cpu_is_bare_emulator()) {
		report("%s = skipped", what);
		return;
	}
	faulted = trap_catch(cr4_set, (void *)(uintptr_t)bit);

	report_check(what, faulted ? !advertised && trap_last.vector == 13 : advertised);
	write_cr4(cr4);
}

// A CR4 bit can be set exactly when CPUID has its feature. SDM vol. 3, 2.5. (Not SMEP and SMAP:
// the payload's own pages are user pages.)
static void cpuid_cr4(void)
{
	struct cpuid f = cpuid(1, 0), s = cpuid(7, 0);

	cr4_agrees("cr4.vme", (f.edx >> 1 & 1) != 0, 1 << 0);
	cr4_agrees("cr4.de", (f.edx >> 2 & 1) != 0, 1 << 3);
	cr4_agrees("cr4.pge", (f.edx >> 13 & 1) != 0, 1 << 7);
	cr4_agrees("cr4.umip", (s.ecx >> 2 & 1) != 0, 1 << 11);
	cr4_agrees("cr4.vmxe", (f.ecx >> 5 & 1) != 0, 1 << 13);
	cr4_agrees("cr4.fsgsbase", (s.ebx & 1) != 0, 1 << 16);
	cr4_agrees("cr4.pcide", (f.ecx >> 17 & 1) != 0, 1 << 17);
	cr4_agrees("cr4.osxsave", (f.ecx >> 26 & 1) != 0, 1 << 18);
	cr4_agrees("cr4.pke", (s.ecx >> 3 & 1) != 0, 1 << 22);
}

static void xcr0_set(void *value)
{
	xsetbv(0, (uintptr_t)value);
}

// OSXSAVE mirrors CR4; XCR0 takes what leaf 0xd lists and nothing else. SDM vol. 1, 13.2.
static void cpuid_xsave(void)
{
	struct cpuid d = cpuid(0xd, 0);
	uint64_t supported = (uint64_t)d.edx << 32 | d.eax;

	report("osxsave.before = %u", cpuid(1, 0).ecx >> 27 & 1);
	write_cr4(read_cr4() | 1 << 18);
	report("osxsave.after = %u", cpuid(1, 0).ecx >> 27 & 1);
	report("xcr0.initial = 0x%lx", xgetbv(0));
	report_check("xcr0.sse listed", (supported & 3) == 3);
	report_trap("xcr0.all_supported", xcr0_set, (void *)(uintptr_t)supported);
	report_check("xcr0.readback", xgetbv(0) == supported);
	report_check("xcr0.size", cpuid(0xd, 0).ebx == cpuid(0xd, 0).ecx);
	report_trap("xcr0.unsupported", xcr0_set, (void *)(uintptr_t)(supported | 1ull << 62));
	report_trap("xcr0.without_x87", xcr0_set, (void *)2);
	report_trap("xcr0.avx_without_sse", xcr0_set, (void *)5);
	xsetbv(0, 1);
	report_check("xcr0.size_x87", cpuid(0xd, 0).ebx == 576);
	write_cr4(read_cr4() & ~(1ull << 18));
	report("osxsave.off = %u", cpuid(1, 0).ecx >> 27 & 1);
}

// The APIC bit follows IA32_APIC_BASE's enable bit. SDM vol. 3, 11.4.3.
static void cpuid_apic(void)
{
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) & ~0x800ull);
	report("apic.disabled = %u", cpuid(1, 0).edx >> 9 & 1);
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | 0x800);
	report("apic.enabled = %u", cpuid(1, 0).edx >> 9 & 1);
}

void payload_main(void)
{
	cpuid_basic();
	cpuid_hypervisor();
	cpuid_timing();
	cpuid_cr4();
	cpuid_xsave();
	cpuid_apic();
}

// SPDX-License-Identifier: BSD-2-Clause
// x87, SSE and AVX registers, XCR0, and MSRs that the CPU keeps for a program: each CPU has its
// own, different in every byte, while all of them leave for the hypervisor and take turns. SDM vol.
// 1, 13.3 and 13.4.
#include "lib/smp.h"

PAYLOAD("smp_xsave");

enum { CPUS = 4, ROUNDS = 80, AREA = 832, LEGACY = 416, HEADER = 512, YMM = 576 };
enum { CR4_OSFXSR = 1 << 9, CR4_OSXMMEXCPT = 1 << 10, CR4_OSXSAVE = 1 << 18 };

static struct xsave_cpu {
	uint8_t start[AREA] __attribute__((aligned(64)));
	uint8_t end[AREA] __attribute__((aligned(64)));
	unsigned wrong, xcr0_wrong, msrs_wrong;
} cpus[CPUS];

static struct smp_barrier barrier;
static bool has_avx;

// What the CPU's XCR0 enables: not the same everywhere.
static uint32_t components(unsigned index)
{
	return index == 3 ? 1 : index == 2 || !has_avx ? 3 : 7;
}

// FCW 0x37f, all tags valid, MXCSR masked; numbers with the integer bit set.
static void pattern(struct xsave_cpu *cpu, unsigned index)
{
	uint32_t has = components(index);

	for (unsigned i = 0; i < AREA; i++) {
		bool used = (i >= 32 && i < 160) || (i >= 160 && i < LEGACY && (has & 2) != 0) ||
			(i >= YMM && (has & 4) != 0);

		cpu->start[i] = used ? (uint8_t)(i * 5 + index * 61 + (i >> 4) * 37 + 1) : 0;
	}
	cpu->start[0] = 0x7f;
	cpu->start[1] = 0x03;
	cpu->start[4] = 0xff;
	cpu->start[24] = 0x80;
	cpu->start[25] = (has & 2) != 0 ? (uint8_t)(0x1f | index << 5) : 0x1f;
	for (unsigned r = 0; r < 8; r++) {
		uint8_t *st = &cpu->start[32 + 16 * r];

		st[7] |= 0x80;
		st[8] = (uint8_t)(0x20 + 8 * index + r);
		st[9] = 0x40;
		for (unsigned i = 10; i < 16; i++)
			st[i] = 0;
	}
	cpu->start[HEADER] = (uint8_t)has;
}

// MXCSR is SSE's; MXCSR_MASK (28 to 31) is the CPU's. What is not enabled is not written.
static bool is_kept(const struct xsave_cpu *cpu)
{
	for (unsigned i = 0; i < AREA; i++) {
		bool counts = i < 24 || (i < 28 && (cpu->start[HEADER] & 2) != 0) ||
			(i > 31 && i < LEGACY) || i == HEADER || i >= YMM;

		if (counts && cpu->start[i] != cpu->end[i])
			return false;
	}
	return true;
}

static uint64_t msr_value(unsigned index, unsigned which)
{
	return 0x1111111100ull * (index + 1) + which;
}

// Ways out of the CPU; the barrier makes the CPUs take turns.
static void leave(unsigned round)
{
	switch (round % 4) {
	case 0:
		cpuid(0, 0);
		break;
	case 1:
		(void)lapic_read(LAPIC_ID);
		break;
	case 2:
		outb(0x80, 0);
		break;
	}
	smp_barrier(&barrier, CPUS);
}

static void keep(void *argument)
{
	unsigned index = smp_self()->index;
	struct xsave_cpu *cpu = &cpus[index];
	uint32_t has = components(index);

	(void)argument;
	write_cr4(read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE);
	write_cr0(read_cr0() & ~0xcull); // EM, TS
	xsetbv(0, has);
	pattern(cpu, index);
	wrmsr(MSR_STAR, msr_value(index, 1));
	wrmsr(MSR_LSTAR, msr_value(index, 2));
	wrmsr(MSR_KERNEL_GS_BASE, msr_value(index, 3));
	smp_barrier(&barrier, CPUS);
	__asm__ volatile("xrstor (%0)" : : "r"(cpu->start), "a"(7), "d"(0) : "memory");
	for (unsigned i = 0; i < ROUNDS; i++) {
		leave(i);
		__asm__ volatile("xsave (%0)" : : "r"(cpu->end), "a"(7), "d"(0) : "memory");
		cpu->wrong += !is_kept(cpu);
		cpu->xcr0_wrong += xgetbv(0) != has;
		cpu->msrs_wrong += rdmsr(MSR_STAR) != msr_value(index, 1) ||
			rdmsr(MSR_LSTAR) != msr_value(index, 2) ||
			rdmsr(MSR_KERNEL_GS_BASE) != msr_value(index, 3);
	}
	wrmsr(MSR_KERNEL_GS_BASE, 0);
}

void payload_main(void)
{
	smp_init();
	smp_start_all();
	if ((cpuid(1, 0).ecx >> 26 & 1) == 0) {
		report("xsave = not present");
		return;
	}
	has_avx = (cpuid(0xd, 0).eax & 4) != 0;
	report("avx = %u", has_avx);
	report_check("done", smp_run_all(CPUS, keep, NULL));
	for (unsigned i = 0; i < CPUS; i++)
		report("%u: wrong %u, xcr0 %u, msrs %u", i, cpus[i].wrong, cpus[i].xcr0_wrong,
			cpus[i].msrs_wrong);
}

// SPDX-License-Identifier: BSD-2-Clause
// What an exit costs: `bench NAME VALUE` lines, time-stamp counter ticks for one round, averaged,
// with the empty loop's share taken off. Where the counter counts instructions, so do these.
#include "lib/payload.h"

PAYLOAD("bench");

enum {
	BENCH_ROUNDS = 1000,
	BENCH_TIMER_TICKS = 20000,
	BENCH_VECTOR = 0x50,
	BENCH_FRESH_START = 32 << 20,
	BENCH_FRESH_STEP = 2 << 20,
};

typedef void bench_step(unsigned round);

static volatile unsigned bench_interrupts;

static void bench_hook(struct trap_frame *frame)
{
	(void)frame;
	bench_interrupts = bench_interrupts + 1;
	lapic_write(LAPIC_EOI, 0);
}

static uint64_t bench_loop(bench_step *step, unsigned rounds)
{
	uint64_t start = rdtsc();

	for (unsigned i = 0; i < rounds; i++)
		step(i);
	return rdtsc() - start;
}

// The APIC timer's count for BENCH_TIMER_TICKS of the TSC. A guest of Reprise is told both
// frequencies; else they are taken for the same.
static uint32_t bench_timer_count = BENCH_TIMER_TICKS;

static void bench_timer_calibrate(void)
{
	struct cpuid r = cpuid(0x40000000, 0);

	if ((cpuid(1, 0).ecx >> 31) == 0 || r.eax < 0x40000010)
		return;
	r = cpuid(0x40000010, 0);
	bench_timer_count = (uint32_t)((uint64_t)BENCH_TIMER_TICKS * r.ebx / r.eax);
}

static void step_empty(unsigned round)
{
	(void)round;
	__asm__ volatile("" : : : "memory");
}

static void bench(const char *name, bench_step *step, unsigned rounds, uint64_t subtract)
{
	uint64_t empty, total;

	step(0); // what happens once only is not what is measured
	empty = bench_loop(step_empty, rounds);
	total = bench_loop(step, rounds);
	print("bench %s %ld\n", name,
		(int64_t)(total > empty ? (total - empty) / rounds : 0) - (int64_t)subtract);
}

static void step_cpuid(unsigned round)
{
	cpuid(0, round & 0);
}

static void step_rdmsr(unsigned round)
{
	(void)round;
	rdmsr(MSR_APIC_BASE);
}

static void step_pio(unsigned round)
{
	(void)round;
	inb(PIC_MASTER + 1);
}

static void step_lapic_version(unsigned round)
{
	(void)round;
	read32(LAPIC_BASE + LAPIC_VERSION);
}

static void step_lapic_tpr(unsigned round)
{
	(void)round;
	read32(LAPIC_BASE + LAPIC_TPR);
}

static void step_ioapic(unsigned round)
{
	(void)round;
	read32(IOAPIC_BASE);
}

static void step_hlt_timer(unsigned round)
{
	(void)round;
	lapic_write(LAPIC_TMICT, bench_timer_count);
	sti_hlt_cli();
}

static void step_self_ipi(unsigned round)
{
	unsigned before = bench_interrupts;

	(void)round;
	sti();
	if (lapic_x2apic)
		wrmsr(0x83f, BENCH_VECTOR);
	else
		write32(LAPIC_BASE + LAPIC_ICR, 0x40000 | BENCH_VECTOR);
	while (bench_interrupts == before)
		pause();
	cli();
}

static void step_fresh_page(unsigned round)
{
	*(volatile uint8_t *)(uintptr_t)(BENCH_FRESH_START + 0x3000 +
		(uint64_t)round * BENCH_FRESH_STEP) = 1;
}

// First touches cannot be repeated: as many rounds as there are untouched 2 MiB blocks.
static void bench_npf(void)
{
	uint64_t top = payload_memory_top();
	uint64_t blocks = top > BENCH_FRESH_START ?
		(top - BENCH_FRESH_START) / BENCH_FRESH_STEP : 0;
	unsigned rounds = blocks < BENCH_ROUNDS ? (unsigned)blocks : BENCH_ROUNDS;
	uint64_t empty, total;

	if (rounds == 0)
		return;
	empty = bench_loop(step_empty, rounds);
	total = bench_loop(step_fresh_page, rounds);
	print("bench exit.npf %lu\n", total > empty ? (total - empty) / rounds : 0);
}

void payload_main(void)
{
	bench_timer_calibrate();
	bench_npf();
	bench("exit.cpuid", step_cpuid, BENCH_ROUNDS, 0);
	bench("exit.rdmsr", step_rdmsr, BENCH_ROUNDS, 0);
	bench("exit.pio", step_pio, BENCH_ROUNDS, 0);
	bench("exit.mmio", step_lapic_version, BENCH_ROUNDS, 0);
	bench("exit.mmio.tpr", step_lapic_tpr, BENCH_ROUNDS, 0);
	bench("exit.mmio.ioapic", step_ioapic, BENCH_ROUNDS, 0);
	trap_set_hook(BENCH_VECTOR, bench_hook);
	lapic_write(LAPIC_TIMER, BENCH_VECTOR);
	bench("exit.hlt_timer.xapic", step_hlt_timer, BENCH_ROUNDS, BENCH_TIMER_TICKS);
	bench("exit.self_ipi.xapic", step_self_ipi, BENCH_ROUNDS, 0);
	if (!lapic_has_x2apic())
		return;
	lapic_enable_x2apic();
	lapic_write(LAPIC_TIMER, BENCH_VECTOR);
	bench("exit.hlt_timer.x2apic", step_hlt_timer, BENCH_ROUNDS, BENCH_TIMER_TICKS);
	bench("exit.self_ipi.x2apic", step_self_ipi, BENCH_ROUNDS, 0);
}

// SPDX-License-Identifier: BSD-2-Clause
// What CPUs share and what each has of its own: locked instructions, timers, the time-stamp
// counter, vector and debug registers; with many exits in between.
#include "lib/smp.h"

PAYLOAD("smp_atomic");

enum { CPUS = 4, ROUNDS = 800, TIMER_VECTOR = 0x58, TICKS = 50, PERIOD = 200000 };

static struct smp_barrier barrier;
static uint64_t added, exchanged, plain;
static unsigned spin_word;

static void locked(void *argument)
{
	(void)argument;
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t seen = __atomic_load_n(&exchanged, __ATOMIC_SEQ_CST);

		__atomic_fetch_add(&added, 1, __ATOMIC_SEQ_CST);
		while (!__atomic_compare_exchange_n(&exchanged, &seen, seen + 3, false,
			__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			pause();
		while (__atomic_exchange_n(&spin_word, 1, __ATOMIC_SEQ_CST) != 0)
			pause();
		plain++;
		if (i % 16 == 0)
			cpuid(0, 0);
		__atomic_store_n(&spin_word, 0, __ATOMIC_SEQ_CST);
	}
}

static void timer_start(void *argument)
{
	(void)argument;
	lapic_write(LAPIC_TDCR, 0xb); // divide by 1
	lapic_write(LAPIC_TIMER, LAPIC_PERIODIC | TIMER_VECTOR);
	lapic_write(LAPIC_TMICT, PERIOD);
	sti();
	while (smp_self()->irqs[TIMER_VECTOR] < TICKS)
		__asm__ volatile("hlt");
	cli();
	lapic_write(LAPIC_TIMER, LAPIC_MASKED);
	lapic_write(LAPIC_TMICT, 0);
}

static void timers(void)
{
	trap_set_hook(TIMER_VECTOR, smp_irq_hook);
	report_check("timers.done", smp_run_all(CPUS, timer_start, NULL));
	for (unsigned i = 0; i < CPUS; i++)
		report("timers.%u = %u", i, smp_cpus[i].irqs[TIMER_VECTOR] >= TICKS);
	smp_irqs_clear();
}

// CPUs hand the counter round: a CPU must not read less than what another has read before.
static volatile uint64_t last_tsc;
static volatile unsigned turn;

static void tsc_round(void *argument)
{
	unsigned *backwards = argument, self = smp_self()->index;

	for (unsigned i = 0; i < ROUNDS / 8; i++) {
		uint64_t tsc;

		while (turn % CPUS != self)
			pause();
		tsc = rdtsc();
		if (tsc < last_tsc)
			*backwards = *backwards + 1;
		last_tsc = tsc;
		turn = turn + 1;
	}
}

static void xmm_set(uint64_t seed)
{
	__asm__ volatile("movq %0, %%xmm0; movq %0, %%xmm7; movq %0, %%xmm15; "
			 "paddq %%xmm7, %%xmm15; pushq %0; fildq (%%rsp); popq %%rax"
			 : : "r"(seed) : "rax", "memory");
}

static bool xmm_is(uint64_t seed)
{
	uint64_t x0, x7, x15, st;

	__asm__ volatile("movq %%xmm0, %0; movq %%xmm7, %1; movq %%xmm15, %2; "
			 "pushq $0; fld %%st(0); fistpq (%%rsp); popq %3"
			 : "=r"(x0), "=r"(x7), "=r"(x15), "=r"(st) : : "memory");
	return x0 == seed && x7 == seed && x15 == 2 * seed && st == seed;
}

static void debug_set(uint64_t seed)
{
	__asm__ volatile("mov %0, %%dr0; mov %1, %%dr1; mov %2, %%dr2; mov %3, %%dr3"
			 : : "r"(seed), "r"(seed + 1), "r"(seed + 2), "r"(seed + 3));
}

static bool debug_is(uint64_t seed)
{
	uint64_t d0, d1, d2, d3;

	__asm__ volatile("mov %%dr0, %0; mov %%dr1, %1; mov %%dr2, %2; mov %%dr3, %3"
			 : "=r"(d0), "=r"(d1), "=r"(d2), "=r"(d3));
	return d0 == seed && d1 == seed + 1 && d2 == seed + 2 && d3 == seed + 3;
}

// Registers that the CPU keeps across exits must be each vcpu's own where several share a core.
static void registers_own(void *argument)
{
	uint64_t seed = 0x1000 * (smp_self()->index + 1);
	unsigned *wrong = argument;

	write_cr4(read_cr4() | 0x600); // OSFXSR, OSXMMEXCPT
	write_cr0(read_cr0() & ~0xcull); // EM, TS
	__asm__ volatile("fninit");
	wrmsr(MSR_TSC_AUX, seed);
	wrmsr(MSR_KERNEL_GS_BASE, seed);
	write_cr2(seed);
	xmm_set(seed);
	debug_set(seed);
	smp_barrier(&barrier, CPUS);
	for (unsigned i = 0; i < ROUNDS / 4; i++) {
		cpuid(0, 0);
		pause();
		if (!xmm_is(seed) || !debug_is(seed) || rdmsr(MSR_KERNEL_GS_BASE) != seed ||
			rdmsr(MSR_TSC_AUX) != seed || read_cr2() != seed)
			__atomic_fetch_add(wrong, 1, __ATOMIC_SEQ_CST);
	}
	smp_barrier(&barrier, CPUS);
	debug_set(0);
	write_dr7(0x400);
}

void payload_main(void)
{
	static unsigned backwards, wrong;

	smp_init();
	smp_start_all();
	report_check("locked.done", smp_run_all(CPUS, locked, NULL));
	report("locked.added = %lu", added);
	report("locked.exchanged = %lu", exchanged);
	report("locked.under_lock = %lu", plain);
	timers();
	report_check("tsc.done", smp_run_all(CPUS, tsc_round, &backwards));
	report("tsc.backwards = %u", backwards);
	report_check("registers.done", smp_run_all(CPUS, registers_own, &wrong));
	report("registers.wrong = %u", wrong);
}

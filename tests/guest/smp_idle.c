// SPDX-License-Identifier: BSD-2-Clause
// CPUs that halt are woken by whatever may wake them; one that spins, in whatever way, does not
// keep another from running.
#include "lib/smp.h"

PAYLOAD("smp_idle");

enum { CPUS = 4, VECTOR = 0x50, TIMER_VECTOR = 0x58, ROUNDS = 100 };

static volatile unsigned halted, woken, release, progress;

// Both ways out: an interrupt with IF set, an NMI in any case.
static void halt(void *argument)
{
	(void)argument;
	__atomic_fetch_add(&halted, 1, __ATOMIC_SEQ_CST);
	sti_hlt_cli();
	__atomic_fetch_add(&woken, 1, __ATOMIC_SEQ_CST);
}

static void halt_masked(void *argument)
{
	(void)argument;
	__atomic_fetch_add(&halted, 1, __ATOMIC_SEQ_CST);
	__asm__ volatile("cli; hlt" : : : "memory");
	__atomic_fetch_add(&woken, 1, __ATOMIC_SEQ_CST);
}

static void all_halt(smp_function *function)
{
	halted = woken = 0;
	for (unsigned i = 1; i < CPUS; i++)
		smp_run(i, function, NULL);
	(void)smp_wait(&halted, CPUS - 1);
	spin(200000);
}

static void wakes(void)
{
	bool done = true;

	all_halt(halt);
	report("halted.sleep_on = %u", woken == 0);
	lapic_send(2, ICR_ASSERT | VECTOR);
	report_check("ipi.wakes", smp_wait(&woken, 1));
	spin(200000);
	report("ipi.wakes_one = %u", woken);
	lapic_send(0, ICR_OTHERS | ICR_NMI | ICR_ASSERT);
	report_check("nmi.wakes", smp_wait(&woken, CPUS - 1));
	for (unsigned i = 1; i < CPUS; i++)
		(void)smp_wait(&smp_cpus[i].irqs[2], 1);
	for (unsigned i = 1; i < CPUS; i++)
		(void)smp_wait_done(i);
	report("nmi.count = %u %u %u", smp_cpus[1].irqs[2], smp_cpus[2].irqs[2],
		smp_cpus[3].irqs[2]);
	smp_irqs_clear();
	all_halt(halt_masked);
	lapic_send(0, ICR_OTHERS | ICR_ASSERT | VECTOR);
	spin(400000);
	report("masked.interrupt_wakes = %u", woken);
	lapic_send(0, ICR_OTHERS | ICR_NMI | ICR_ASSERT);
	report_check("masked.nmi_wakes", smp_wait(&woken, CPUS - 1));
	for (unsigned i = 1; i < CPUS; i++)
		done = smp_wait_done(i) && done;
	report_check("masked.done", done);
	smp_irqs_clear();
}

// Again and again, each wake for one halt: none may be lost.
static void ping(void *argument)
{
	(void)argument;
	for (unsigned i = 0; i < ROUNDS; i++) {
		cli();
		while (smp_self()->irqs[VECTOR + 1] == i)
			sti_hlt_cli();
		lapic_send(0, ICR_ASSERT | (VECTOR + 2 + smp_self()->index));
	}
}

static void ping_pong(void)
{
	trap_set_hook(VECTOR + 1, smp_irq_hook);
	for (unsigned i = 1; i < CPUS; i++) {
		trap_set_hook(VECTOR + 2 + i, smp_irq_hook);
		smp_run(i, ping, NULL);
	}
	for (unsigned n = 0; n < ROUNDS; n++) {
		lapic_send(0, ICR_OTHERS | ICR_ASSERT | (VECTOR + 1));
		for (unsigned i = 1; i < CPUS; i++) {
			cli();
			while (smp_self()->irqs[VECTOR + 2 + i] == n)
				sti_hlt_cli();
		}
	}
	for (unsigned i = 1; i < CPUS; i++)
		report("ping_pong.%u = %u %u", i, smp_wait_done(i), smp_cpus[i].irqs[VECTOR + 1]);
	smp_irqs_clear();
}

static void timer_sleep(void *argument)
{
	(void)argument;
	lapic_write(LAPIC_TIMER, TIMER_VECTOR);
	for (unsigned i = 0; i < ROUNDS / 4; i++) {
		cli();
		lapic_write(LAPIC_TMICT, 50000 * (smp_self()->index + 1));
		while (smp_self()->irqs[TIMER_VECTOR] == i)
			sti_hlt_cli();
	}
	lapic_write(LAPIC_TIMER, LAPIC_MASKED);
}

static void spin_plain(void *argument)
{
	(void)argument;
	while (release == 0)
		;
}

static void spin_pause(void *argument)
{
	(void)argument;
	while (release == 0)
		pause();
}

static void spin_open(void *argument)
{
	(void)argument;
	sti();
	while (release == 0)
		;
	cli();
}

static void work(void *argument)
{
	(void)argument;
	for (unsigned i = 0; i < ROUNDS; i++) {
		cpuid(0, 0);
		progress = progress + 1;
	}
	release = 1;
}

// Two CPUs spin until the third has done its work.
static void spinners(const char *name, smp_function *function)
{
	bool done = true;

	release = progress = 0;
	smp_run(1, function, NULL);
	smp_run(3, function, NULL);
	smp_run(2, work, NULL);
	for (unsigned i = 1; i < CPUS; i++)
		done = smp_wait_done(i) && done;
	report("%s = %u progress %u", name, done, progress);
}

void payload_main(void)
{
	smp_init();
	smp_start_all();
	trap_set_hook(VECTOR, smp_irq_hook);
	trap_set_hook(2, smp_nmi_hook);
	trap_set_hook(TIMER_VECTOR, smp_irq_hook);
	wakes();
	ping_pong();
	report_check("timers", smp_run_all(CPUS, timer_sleep, NULL));
	smp_irqs_clear();
	spinners("spin.plain", spin_plain);
	spinners("spin.pause", spin_pause);
	spinners("spin.interrupts_on", spin_open);
}

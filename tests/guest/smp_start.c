// SPDX-License-Identifier: BSD-2-Clause
// INIT and STARTUP. SDM vol. 3, 9.1.1 (table 9-1, INIT), 9.4.2 and 9.4.4, 11.4.7.3 and 11.6.1.
#include "lib/smp.h"

PAYLOAD("smp_start");

enum { OTHER = 0x5, STUBS = 3, LAST_VECTOR = 0x9e };

static volatile unsigned counter, halts;

static void registers_report(const char *when)
{
	const volatile struct smp_registers *r = smp_registers(LOW_SMP >> 12);

	report("%s.cs = 0x%x", when, r->cs);
	report("%s.data = 0x%x 0x%x 0x%x 0x%x 0x%x", when, r->ds, r->es, r->ss, r->fs, r->gs);
	report("%s.general = 0x%x 0x%x 0x%x 0x%x 0x%x 0x%x 0x%x", when, r->eax, r->ebx, r->ecx,
		r->esi, r->edi, r->ebp, r->esp);
	report("%s.edx_is_version = %u", when, r->edx == cpuid(1, 0).eax);
	report("%s.cr0 = 0x%x", when, r->cr0);
	report("%s.cr2 = 0x%x cr3 = 0x%x cr4 = 0x%x efer = 0x%x", when, r->cr2, r->cr3, r->cr4,
		r->efer);
	report("%s.dr6 = 0x%x dr7 = 0x%x flags = 0x%x", when, r->dr6, r->dr7, r->flags);
	report("%s.gdt = 0x%x 0x%x%x", when, r->gdt_limit, r->gdt_base[1], r->gdt_base[0]);
	report("%s.idt = 0x%x 0x%x%x", when, r->idt_limit, r->idt_base[1], r->idt_base[0]);
}

static uint32_t lapic_values[8];

static void lapic_look(void *argument)
{
	(void)argument;
	lapic_values[0] = lapic_read(LAPIC_ID);
	lapic_values[1] = (uint32_t)rdmsr(MSR_APIC_BASE);
	lapic_values[2] = (uint32_t)rdmsr(MSR_LSTAR);
	lapic_values[3] = lapic_read(LAPIC_LDR);
}

static void first_start(void)
{
	report("cpus = %u", smp_count());
	report_check("start", smp_start_cpu(1));
	registers_report("power_on");
	smp_run(1, lapic_look, NULL);
	report_check("runs", smp_wait_done(1));
	report("apic_id = 0x%x", lapic_values[0]);
	report("apic_base = 0x%x", lapic_values[1]);
}

// A STARTUP that names another page must not move a CPU that runs.
static void ignored(void)
{
	unsigned starts = smp_cpus[1].starts;

	smp_trampoline_copy(OTHER);
	lapic_send(1, ICR_STARTUP | ICR_ASSERT | OTHER);
	spin(200000);
	lapic_send(1, ICR_STARTUP | ICR_ASSERT | OTHER);
	spin(200000);
	smp_run(1, lapic_look, NULL);
	report_check("startup_without_init.runs_on", smp_wait_done(1));
	report("startup_without_init.starts = %u", smp_cpus[1].starts - starts);
	// Level-triggered and deasserted: synchronizes arbitration ids, nothing else. 11.6.1.
	lapic_send(1, ICR_INIT | ICR_LEVEL);
	spin(200000);
	smp_run(1, lapic_look, NULL);
	report_check("init_deassert.runs_on", smp_wait_done(1));
	report("init_deassert.starts = %u", smp_cpus[1].starts - starts);
}

static void halt_for_ever(void *argument)
{
	(void)argument;
	halts = halts + 1;
	for (;;)
		__asm__ volatile("cli; hlt");
}

static void count_for_ever(void *argument)
{
	(void)argument;
	for (;;)
		counter = counter + 1;
}

static void state_change(void *argument)
{
	(void)argument;
	wrmsr(MSR_LSTAR, 0x12345678);
	write_dr7(0x402);
	__asm__ volatile("mov %0, %%cr2" : : "r"(0x1234ul));
	lapic_write(LAPIC_LDR, 0xff000000);
	lapic_write(LAPIC_SVR, 0x1ff);
}

// An INIT takes a while to arrive where CPUs run at once.
static bool stops(const volatile unsigned *runs)
{
	for (unsigned i = 0; i < 100; i++) {
		unsigned before = *runs;

		spin(10000000);
		if (*runs == before)
			return true;
	}
	return false;
}

static void init_of(const char *what, smp_function *function, volatile unsigned *runs)
{
	unsigned before = *runs;

	smp_run(1, function, NULL);
	report_check(what, smp_wait(runs, before + 1));
	lapic_send(1, ICR_INIT | ICR_ASSERT);
	report("%s.stopped = %u", what, stops(runs));
	// While it waits for STARTUP it takes no NMI. SDM vol. 3, 9.4.2.
	lapic_send(1, ICR_NMI | ICR_ASSERT);
	report_check(what, smp_start_cpu(1));
	smp_run(1, lapic_look, NULL);
	(void)smp_wait_done(1);
	report("%s.nmis = %u", what, smp_cpus[1].irqs[2]);
}

static void restarts(void)
{
	smp_run(1, state_change, NULL);
	(void)smp_wait_done(1);
	init_of("init_of_running", count_for_ever, &counter);
	registers_report("init");
	init_of("init_of_halted", halt_for_ever, &halts);
	smp_run(1, lapic_look, NULL);
	report_check("runs_again", smp_wait_done(1));
	report("lstar_kept = 0x%x", lapic_values[2]);
	report("ldr = 0x%x", lapic_values[3]);
}

// Pages at both ends of what a vector can name in RAM.
static void vectors(void)
{
	static const uint8_t pages[STUBS] = {0x01, 0x80, LAST_VECTOR};

	for (unsigned i = 0; i < STUBS; i++) {
		unsigned before = smp_cpus[1].starts;

		smp_trampoline_copy(pages[i]);
		lapic_send(1, ICR_INIT | ICR_ASSERT);
		spin(20000);
		lapic_send(1, ICR_STARTUP | ICR_ASSERT | pages[i]);
		spin(20000);
		report_check("vector.starts", smp_wait(&smp_cpus[1].starts, before + 1));
		report("vector_0x%x.cs = 0x%x", pages[i], smp_registers(pages[i])->cs);
	}
}

// The first STARTUP after an INIT counts; INIT without STARTUP leaves it waiting.
static void broadcast(void)
{
	unsigned count = smp_count();

	lapic_send(0, ICR_INIT | ICR_ASSERT | ICR_OTHERS);
	spin(20000);
	lapic_send(0, ICR_STARTUP | ICR_ASSERT | ICR_OTHERS | LOW_SMP >> 12);
	spin(20000);
	lapic_send(0, ICR_STARTUP | ICR_ASSERT | ICR_OTHERS | OTHER);
	for (unsigned i = 1; i < count; i++)
		report("broadcast.cpu %u = %u", i, smp_wait(&smp_cpus[i].starts, i == 1 ? 7 : 1));
	for (unsigned i = 1; i < count; i++) {
		smp_run(i, lapic_look, NULL);
		report_check("broadcast.runs", smp_wait_done(i));
		report("broadcast.id = 0x%x", lapic_values[0]);
	}
}

void payload_main(void)
{
	smp_init();
	trap_set_hook(2, smp_nmi_hook);
	first_start();
	ignored();
	restarts();
	vectors();
	broadcast();
}

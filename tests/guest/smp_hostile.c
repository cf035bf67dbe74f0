// SPDX-License-Identifier: BSD-2-Clause
// CPUs that misbehave. The others go on, and what hardware would do is all that may happen.
#include "lib/smp.h"

PAYLOAD("smp_hostile");

enum { CPUS = 4, VECTOR = 0x50, STORM = 5000, WRITES = 2000, ROM_PAGE = 0xe0, NOTHING_PAGE = 0xb0 };
#define ELSEWHERE 0xd0000000ul

static volatile unsigned traps, illegal_vectors;
static struct smp_barrier between;

static void restart(const char *what)
{
	report_check(what, smp_start_cpu(1));
}

static void lapic_off(void *argument)
{
	uint64_t base = rdmsr(MSR_APIC_BASE);

	(void)argument;
	wrmsr(MSR_APIC_BASE, base & ~(uint64_t)0x800);
	spin(400000);
	wrmsr(MSR_APIC_BASE, base);
	lapic_prepare();
}

// What is sent to a disabled local APIC is lost. SDM vol. 3, 11.4.3.
static void disabled(void)
{
	smp_run(1, lapic_off, NULL);
	spin(100000);
	lapic_send(0, ICR_OTHERS | ICR_ASSERT | VECTOR);
	report_check("disabled.done", smp_wait_done(1));
}

// The registers of two CPUs at the same address, where nobody else is: each sees its own. SDM
// vol. 3, 11.4.5.
static void base_elsewhere(void *argument)
{
	uint64_t base = rdmsr(MSR_APIC_BASE);
	uint32_t *id = argument;

	wrmsr(MSR_APIC_BASE, (base & 0xfff) | ELSEWHERE);
	id[smp_self()->index] = read32(ELSEWHERE + LAPIC_ID);
	write32(ELSEWHERE + LAPIC_TPR, 0x20);
	spin(100000);
	wrmsr(MSR_APIC_BASE, base);
	lapic_prepare();
}

static void overlaps(void)
{
	static uint32_t ids[CPUS];

	smp_run(1, base_elsewhere, ids);
	smp_run(2, base_elsewhere, ids);
	report_check("moved.1", smp_wait_done(1));
	report_check("moved.2", smp_wait_done(2));
	report("moved.ids = 0x%x 0x%x", ids[1], ids[2]);
}

// Over RAM that others use. Whatever is read there, RAM is as it was or as it was written.
static void base_over_ram(void *argument)
{
	static uint8_t ram[4096] __attribute__((aligned(4096)));
	uint64_t base = rdmsr(MSR_APIC_BASE);

	(void)argument;
	wrmsr(MSR_APIC_BASE, (base & 0xfff) | (uintptr_t)ram);
	write_cr3(read_cr3());
	for (unsigned i = 0; i < sizeof(ram); i += 16) {
		(void)read32((uintptr_t)ram + i);
		write32((uintptr_t)ram + i, 0);
	}
	wrmsr(MSR_APIC_BASE, base);
	write_cr3(read_cr3());
	lapic_prepare();
}

static void over_ram(void)
{
	smp_run(3, base_over_ram, NULL);
	report_check("over_ram.done", smp_wait_done(3));
	smp_run(3, base_over_ram, NULL);
	report_check("over_ram.again", smp_wait_done(3));
}

static void undefined_hook(struct trap_frame *frame)
{
	__atomic_fetch_add(&traps, 1, __ATOMIC_SEQ_CST);
	frame->rip += 2;
}

static void exceptions(void *argument)
{
	(void)argument;
	for (unsigned i = 0; i < STORM; i++)
		__asm__ volatile("ud2");
}

// Sent without waiting: many are merged, none may be left over.
static void ipi_storm(void *argument)
{
	unsigned self = smp_self()->index;

	(void)argument;
	sti();
	for (unsigned i = 0; i < STORM; i++)
		lapic_send((self + 1 + i % (CPUS - 1)) % CPUS, ICR_ASSERT | (0x60 + i % 0x80));
	cli();
}

static void drain(void *argument)
{
	(void)argument;
	sti();
	spin(100000);
	cli();
}

static void storms(void)
{
	unsigned left = 0;

	for (unsigned v = 0x60; v < 0xe0; v++)
		trap_set_hook(v, smp_irq_hook);
	report_check("storm.ipis", smp_run_all(CPUS, ipi_storm, NULL));
	report_check("storm.drained", smp_run_all(CPUS, drain, NULL));
	for (unsigned v = 0x60; v < 0xe0; v++)
		left += lapic_irr(v) + lapic_isr(v);
	report("storm.left = %u", left);
	trap_set_hook(6, undefined_hook);
	report_check("storm.exceptions", smp_run_all(CPUS, exceptions, NULL));
	report("storm.count = %u", traps);
	smp_irqs_clear();
}

// All vectors of real mode lead to a loop.
static void real_mode_prepare(void)
{
	static const uint8_t hlt_loop[] = {0xf4, 0xeb, 0xfd};

	for (unsigned i = 0; i < sizeof(hlt_loop); i++)
		((volatile uint8_t *)LOW_DATA)[i] = hlt_loop[i];
	for (uintptr_t i = 0; i < 256; i++)
		write32(4 * i, LOW_DATA);
}

// Vectors below 16 that malformed() sends.
#define ILLEGAL (1u << 0 | 1u << 1 | 1u << 3 | 1u << 5 | 1u << 7 | 1u << 15)

static void illegal_hook(struct trap_frame *frame)
{
	(void)frame;
	__atomic_fetch_add(&illegal_vectors, 1, __ATOMIC_SEQ_CST);
	lapic_write(LAPIC_EOI, 0);
}

// What is sent with a reserved delivery mode, an illegal vector or reserved bits goes nowhere, or
// where it would go without those bits. SDM vol. 3, 11.6.1.
static void malformed(void)
{
	static const uint32_t commands[] = {
		3 << 8 | VECTOR, 3 << 8 | ICR_OTHERS | VECTOR, 0, 5, 15, ICR_OTHERS | 1,
		ICR_ALL | 0xf, ICR_LOWEST | 7, ICR_LOGICAL | ICR_LOWEST | 3,
	};

	for (unsigned vector = 0; vector < 16; vector++)
		if ((ILLEGAL & 1u << vector) != 0)
			trap_set_hook(vector, illegal_hook);
	for (unsigned i = 0; i < WRITES; i++)
		lapic_send(i % (CPUS + 1),
			ICR_ASSERT | commands[i % (sizeof(commands) / sizeof(commands[0]))]);
	for (unsigned bit = 20; bit < 32; bit++)
		lapic_send(1, ICR_ASSERT | 1u << bit | VECTOR);
	report_check("malformed.others", smp_run_all(CPUS, drain, NULL));
	report("malformed.illegal vectors = %s", illegal_vectors == 0 ? "none" : "delivered");
	for (unsigned vector = 0; vector < 16; vector++)
		if ((ILLEGAL & 1u << vector) != 0)
			trap_set_hook(vector, NULL);
	lapic_write(LAPIC_ESR, 0);
	smp_irqs_clear();
}

// Code that is no RAM: ROM, and addresses where nobody answers. INIT ends whatever becomes of it.
static void strange_pages(void)
{
	static const uint8_t pages[] = {ROM_PAGE, NOTHING_PAGE};

	for (unsigned i = 0; i < sizeof(pages); i++) {
		lapic_send(1, ICR_INIT | ICR_ASSERT);
		spin(20000);
		lapic_send(1, ICR_STARTUP | ICR_ASSERT | pages[i]);
		spin(200000);
		report("page_0x%x", pages[i]);
		restart("page.restart");
	}
}

static void devices(void *argument)
{
	(void)argument;
	for (unsigned i = 0; i < WRITES; i++) {
		outb(PIC_MASTER + 1, 0xff);
		outb(0x80, (uint8_t)i);
		outb(0x70, (uint8_t)(0x40 + smp_self()->index));
		(void)inb(0x71);
		(void)ioapic_read(0);
		(void)inw(0x1001);
	}
}

// INIT and STARTUP from several CPUs to one, which is left in some state; then it starts again. An
// NMI on the way to long mode, without a table of interrupts, would be a triple fault: those come
// where the CPU stays in real mode.
static void init_storm(void *argument)
{
	(void)argument;
	for (unsigned i = 0; i < WRITES / 10; i++) {
		lapic_send(1, ICR_INIT | ICR_ASSERT);
		lapic_send(1, ICR_STARTUP | ICR_ASSERT | LOW_SMP >> 12);
	}
	smp_barrier(&between, CPUS - 1);
	lapic_send(1, ICR_INIT | ICR_ASSERT);
	smp_barrier(&between, CPUS - 1);
	for (unsigned i = 0; i < WRITES / 10; i++) {
		lapic_send(1, ICR_INIT | ICR_ASSERT);
		lapic_send(1, ICR_STARTUP | ICR_ASSERT | LOW_DATA >> 12);
		lapic_send(1, ICR_NMI | ICR_ASSERT);
	}
}

static void init_storms(void)
{
	smp_run(2, init_storm, NULL);
	smp_run(3, init_storm, NULL);
	init_storm(NULL);
	(void)smp_wait_done(2);
	report_check("init_storm.senders", smp_wait_done(3));
	lapic_send(1, ICR_INIT | ICR_ASSERT);
	spin(20000);
	restart("init_storm.restart");
}

void payload_main(void)
{
	smp_init();
	smp_start_all();
	trap_set_hook(VECTOR, smp_irq_hook);
	trap_set_hook(2, smp_nmi_hook);
	disabled();
	overlaps();
	over_ram();
	storms();
	malformed();
	report_check("devices", smp_run_all(CPUS, devices, NULL));
	real_mode_prepare();
	init_storms();
	strange_pages();
}

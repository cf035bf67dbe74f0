// SPDX-License-Identifier: BSD-2-Clause
// Interrupts from CPU to CPU: kinds, destinations, counts. SDM vol. 3, 11.6. Each line lists how
// often CPU 0, 1, 2 and 3 took the vector.
#include "lib/smp.h"

PAYLOAD("smp_ipi");

enum { VECTOR = 0x50, ROUNDS = 40, CPUS = 4 };

static void open_window(void *argument)
{
	volatile unsigned *stop = argument;

	sti();
	while (*stop == 0)
		pause();
	cli();
}

static volatile unsigned window_stop;

static void windows_open(void)
{
	window_stop = 0;
	for (unsigned i = 1; i < CPUS; i++)
		smp_run(i, open_window, (void *)(uintptr_t)&window_stop);
	sti();
}

static void windows_close(void)
{
	cli();
	window_stop = 1;
	for (unsigned i = 1; i < CPUS; i++)
		(void)smp_wait_done(i);
}

static void send(const char *what, uint32_t destination, uint32_t command, unsigned expected)
{
	lapic_send(destination, command | ICR_ASSERT);
	report_smp_irqs(what, (command & 0x700) == ICR_NMI ? 2 : command & 0xff, expected);
}

static void physical(void)
{
	send("physical.1", 1, VECTOR, 1);
	send("physical.3", 3, VECTOR, 1);
	send("physical.0_is_self", 0, VECTOR, 1);
	send("physical.nobody", 9, VECTOR, 0);
	send("physical.nmi", 2, ICR_NMI, 1);
	send("physical.lowest", 2, ICR_LOWEST | VECTOR, 1);
	send("all", 0, ICR_ALL | VECTOR, CPUS);
	send("others", 0, ICR_OTHERS | VECTOR, CPUS - 1);
	send("others.nmi", 0, ICR_OTHERS | ICR_NMI, CPUS - 1);
	send("self", 0, ICR_SELF | VECTOR, 1);
}

static void ldr_set(void *argument)
{
	const uint32_t *ldr = argument;

	lapic_write(LAPIC_DFR, ldr[CPUS]);
	lapic_write(LAPIC_LDR, ldr[smp_self()->index] << 24);
}

static void logical_flat(void)
{
	static uint32_t ldr[CPUS + 1] = {0x01, 0x02, 0x04, 0x80, 0xffffffff};

	(void)smp_run_all(CPUS, ldr_set, ldr);
	windows_open();
	send("broadcast", 0xff, VECTOR, CPUS);
	send("flat.1", 0x02, ICR_LOGICAL | VECTOR, 1);
	send("flat.0_and_3", 0x81, ICR_LOGICAL | VECTOR, 2);
	send("flat.nobody", 0x40, ICR_LOGICAL | VECTOR, 0);
	send("flat.all", 0xff, ICR_LOGICAL | VECTOR, CPUS);
	send("flat.nmi", 0x0e, ICR_LOGICAL | ICR_NMI, 2);
	windows_close();
}

// SDM vol. 3, 11.6.2.2: the cluster above, its members below.
static void logical_cluster(void)
{
	static uint32_t ldr[CPUS + 1] = {0x11, 0x12, 0x21, 0x28, 0x0fffffff};
	static uint32_t flat[CPUS + 1] = {0x01, 0x02, 0x04, 0x08, 0xffffffff};

	(void)smp_run_all(CPUS, ldr_set, ldr);
	windows_open();
	send("cluster.1_both", 0x13, ICR_LOGICAL | VECTOR, 2);
	send("cluster.2_last", 0x28, ICR_LOGICAL | VECTOR, 1);
	send("cluster.3_nobody", 0x31, ICR_LOGICAL | VECTOR, 0);
	send("cluster.broadcast", 0xff, ICR_LOGICAL | VECTOR, CPUS);
	windows_close();
	(void)smp_run_all(CPUS, ldr_set, flat);
}

static void tpr_set(void *argument)
{
	const uint8_t *tpr = argument;

	lapic_write(LAPIC_TPR, tpr[smp_self()->index]);
}

// Arbitration by priority: SDM vol. 3, 11.6.2.4.
static void lowest(void)
{
	static uint8_t busy[CPUS] = {0x40, 0x30, 0x10, 0x20}, idle[CPUS];

	(void)smp_run_all(CPUS, tpr_set, busy);
	windows_open();
	send("lowest.of_four", 0x0f, ICR_LOGICAL | ICR_LOWEST | VECTOR, 1);
	send("lowest.of_0_1_3", 0x0b, ICR_LOGICAL | ICR_LOWEST | VECTOR, 1);
	windows_close();
	(void)smp_run_all(CPUS, tpr_set, idle);
}

static void esr_clear(void)
{
	lapic_write(LAPIC_ESR, 0);
	lapic_write(LAPIC_ESR, 0);
}

static void illegal(void)
{
	esr_clear();
	lapic_send(1, ICR_ASSERT | 5);
	spin(200000);
	lapic_write(LAPIC_ESR, 0);
	report("illegal.esr = 0x%x", lapic_read(LAPIC_ESR));
	lapic_write(LAPIC_ESR, 0);
	smp_run(1, open_window, (void *)(uintptr_t)&window_stop);
	(void)smp_wait_done(1);
	report_smp_irqs("illegal.taken", 5, 0);
}

// Every CPU sends to the next one, waits until it has been taken, and sends again; all at once. The
// vector tells the sender, so nothing can be merged.
static void storm(void *argument)
{
	static struct smp_barrier barrier;
	unsigned self = smp_self()->index, next = (self + 1) % CPUS, vector = 0x60 + 16 * self;

	(void)argument;
	sti();
	smp_barrier(&barrier, CPUS);
	for (unsigned i = 0; i < ROUNDS; i++) {
		lapic_send(next, ICR_ASSERT | vector);
		if (!smp_wait(&smp_cpus[next].irqs[vector], i + 1))
			break;
	}
	smp_barrier(&barrier, CPUS);
	cli();
}

static void storms(const char *name)
{
	for (unsigned i = 0; i < CPUS; i++)
		trap_set_hook(0x60 + 16 * i, smp_irq_hook);
	report("%s.done = %u", name, smp_run_all(CPUS, storm, NULL));
	for (unsigned i = 0; i < CPUS; i++)
		report("%s.from_%u = %u", name, i, smp_cpus[(i + 1) % CPUS].irqs[0x60 + 16 * i]);
	smp_irqs_clear();
}

static void to_x2apic(void *argument)
{
	(void)argument;
	lapic_enable_x2apic();
}

// SDM vol. 3, 11.12.9 and 11.12.10.
static void x2apic(void)
{
	if (!lapic_has_x2apic()) {
		report("x2apic = absent");
		return;
	}
	report("x2apic = present");
	(void)smp_run_all(CPUS, to_x2apic, NULL);
	windows_open();
	send("x2apic.physical.2", 2, VECTOR, 1);
	send("x2apic.broadcast", 0xffffffff, VECTOR, CPUS);
	send("x2apic.nobody", 0x101, VECTOR, 0);
	send("x2apic.cluster_1_and_3", 0x0000000a, ICR_LOGICAL | VECTOR, 2);
	send("x2apic.cluster_other", 0x00010001, ICR_LOGICAL | VECTOR, 0);
	send("x2apic.cluster_lowest", 0x0000000c, ICR_LOGICAL | ICR_LOWEST | VECTOR, 1);
	send("x2apic.nmi", 1, ICR_NMI, 1);
	send("x2apic.others", 0, ICR_OTHERS | VECTOR, CPUS - 1);
	windows_close();
	storms("x2apic.storm");
}

void payload_main(void)
{
	smp_init();
	smp_start_all();
	trap_set_hook(VECTOR, smp_irq_hook);
	trap_set_hook(2, smp_nmi_hook);
	trap_set_hook(5, smp_irq_hook); // must not come
	windows_open();
	physical();
	windows_close();
	logical_flat();
	logical_cluster();
	lowest();
	illegal();
	storms("storm");
	x2apic();
}

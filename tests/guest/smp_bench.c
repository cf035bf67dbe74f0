// SPDX-License-Identifier: BSD-2-Clause
// What CPUs cost each other: `bench NAME VALUE` lines, time-stamp counter ticks for one round.
#include "lib/smp.h"

PAYLOAD("smp_bench");

enum { ROUNDS = 50, VECTOR = 0x50 };

static volatile unsigned answers, stop;

static void answer_hook(struct trap_frame *frame)
{
	(void)frame;
	lapic_write(LAPIC_EOI, 0);
	answers = answers + 1;
}

static void take_spinning(void *argument)
{
	(void)argument;
	sti();
	while (stop == 0)
		pause();
	cli();
}

static void take_halted(void *argument)
{
	(void)argument;
	while (stop == 0)
		sti_hlt_cli();
}

// From the sender's ICR until it sees what the handler wrote.
static void bench(const char *name, smp_function *function)
{
	uint64_t start;

	answers = stop = 0;
	smp_run(1, function, NULL);
	lapic_send(1, ICR_ASSERT | VECTOR); // the first one may come before it is ready
	(void)smp_wait(&answers, 1);
	spin(1000000);
	start = rdtsc();
	for (unsigned i = 1; i <= ROUNDS; i++) {
		lapic_send(1, ICR_ASSERT | VECTOR);
		while (answers <= i)
			pause();
	}
	print("bench %s %lu\n", name, (rdtsc() - start) / ROUNDS);
	stop = 1;
	lapic_send(1, ICR_ASSERT | VECTOR);
	(void)smp_wait_done(1);
}

static void to_x2apic(void *argument)
{
	(void)argument;
	lapic_enable_x2apic();
}

void payload_main(void)
{
	smp_init();
	smp_start_all();
	trap_set_hook(VECTOR, answer_hook);
	if (lapic_has_x2apic())
		(void)smp_run_all(2, to_x2apic, NULL);
	bench("smp.ipi", take_spinning);
	bench("smp.wake", take_halted);
}

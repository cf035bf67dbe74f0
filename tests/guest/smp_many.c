// SPDX-License-Identifier: BSD-2-Clause
// As many CPUs as a machine can have: all start, count, meet, and interrupt each other.
#include "lib/smp.h"

PAYLOAD("smp_many");

enum { VECTOR = 0x50, ROUNDS = 20 };

static struct smp_barrier barrier;
static uint64_t added;

static void work(void *argument)
{
	unsigned count = smp_count();

	(void)argument;
	for (unsigned i = 0; i < ROUNDS; i++) {
		__atomic_fetch_add(&added, smp_self()->index, __ATOMIC_SEQ_CST);
		smp_barrier(&barrier, count);
	}
}

static void take(void *argument)
{
	(void)argument;
	sti();
	while (smp_self()->irqs[VECTOR] == 0)
		pause();
	cli();
}

void payload_main(void)
{
	unsigned count = smp_count(), taken = 0;

	report("cpus = %u", count);
	smp_init();
	smp_start_all();
	report_check("work", smp_run_all(count, work, NULL));
	report("added = %lu", added);
	trap_set_hook(VECTOR, smp_irq_hook);
	for (unsigned i = 1; i < count; i++)
		smp_run(i, take, NULL);
	lapic_send(0, ICR_ALL | ICR_ASSERT | VECTOR);
	take(NULL);
	for (unsigned i = 1; i < count; i++)
		(void)smp_wait_done(i);
	for (unsigned i = 0; i < count; i++)
		taken += smp_cpus[i].irqs[VECTOR];
	report("all.taken = %u", taken);
	// The highest id that xAPIC mode's physical destination reaches here.
	smp_irqs_clear();
	smp_run(count - 1, take, NULL);
	lapic_send(count - 1, ICR_ASSERT | VECTOR);
	report_check("last", smp_wait_done(count - 1));
}

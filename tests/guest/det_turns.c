// SPDX-License-Identifier: BSD-2-Clause
// Several CPUs without any order among them: who sees what of whom, and when an interrupt from
// another comes, is as their turns are, and those are the machine's own.
#include "lib/det.h"
#include "lib/smp.h"

PAYLOAD("det_turns");

enum { CPUS = 4, ROUNDS = 400000, LOCKS = 3000, VECTOR = 0x58, IPIS = 20, HALTS = 6 };

static struct {
	uint64_t hash, tsc;
} found[CPUS];
static volatile uint64_t shared, lock_hash;
static volatile unsigned lock_word;

static void found_report(const char *what, smp_function *function)
{
	bool done = smp_run_all(CPUS, function, NULL);

	for (unsigned i = 0; i < CPUS; i++) {
		report("%s.%u = 0x%lx at %lu", what, i, found[i].hash, found[i].tsc);
		found[i].hash = 0;
	}
	report_check(what, done);
}

static void note(uint64_t value)
{
	unsigned self = smp_self()->index;

	found[self].tsc = rdtsc();
	found[self].hash = det_hash(det_hash(found[self].hash, value), found[self].tsc);
}

// Reads and writes with nothing between them that would keep the others out. Longer than a turn.
static void race(void *argument)
{
	unsigned self = smp_self()->index;

	(void)argument;
	for (unsigned i = 0; i < ROUNDS; i++)
		shared = det_hash(shared, self);
	note(shared);
}

static void locks(void *argument)
{
	unsigned self = smp_self()->index;

	(void)argument;
	for (unsigned i = 0; i < LOCKS; i++) {
		while (__atomic_exchange_n(&lock_word, 1, __ATOMIC_SEQ_CST) != 0)
			pause();
		lock_hash = det_hash(lock_hash, self);
		if (i % 64 == self)
			(void)cpuid(0, 0);
		__atomic_store_n(&lock_word, 0, __ATOMIC_SEQ_CST);
	}
	note(lock_hash);
}

static void hook(struct trap_frame *frame)
{
	note(frame->rip);
	smp_self()->irqs[frame->vector]++;
	lapic_write(LAPIC_EOI, 0);
}

// None is sent before the one before has come: two would be one.
static void interrupts(void *argument)
{
	unsigned self = smp_self()->index, next = (self + 1) % CPUS;

	(void)argument;
	sti();
	for (unsigned i = 0; i < IPIS; i++) {
		while (smp_cpus[next].irqs[VECTOR] < i)
			pause();
		lapic_send(next, VECTOR | ICR_ASSERT);
		while (smp_self()->irqs[VECTOR] <= i)
			if (i % 2 == 0)
				pause();
	}
	cli();
}

static void halts(void *argument)
{
	(void)argument;
	lapic_write(LAPIC_TDCR, 0xb); // divide by 1
	lapic_write(LAPIC_TIMER, VECTOR + 1);
	for (unsigned i = 1; i <= HALTS; i++) {
		lapic_write(LAPIC_TMICT, 10007 * i * (smp_self()->index + 1));
		sti_hlt_cli();
	}
}

void payload_main(void)
{
	smp_init();
	smp_start_all();
	trap_set_hook(VECTOR, hook);
	trap_set_hook(VECTOR + 1, hook);
	found_report("race", race);
	found_report("locks", locks);
	found_report("interrupts", interrupts);
	found_report("halts", halts);
	report("shared = 0x%lx, locked 0x%lx", shared, lock_hash);
}

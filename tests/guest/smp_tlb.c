// SPDX-License-Identifier: BSD-2-Clause
// TLB shootdown: a page is mapped elsewhere, the others are told by interrupt, each invalidates and
// answers; nobody may see the old page afterwards. SDM vol. 3, 4.10.5.
#include "lib/smp.h"

PAYLOAD("smp_tlb");

enum { VECTOR = 0x52, CPUS = 4, ROUNDS = 30, SLOT = 7, PAGES = 4, PRESENT_WRITABLE = 0x3 };
#define WINDOW ((volatile uint64_t *)(PAGING_WINDOW + 4096ull * SLOT))

static uint64_t pages[PAGES][512] __attribute__((aligned(4096)));
static volatile unsigned answers, stale, stop, generation;
static bool by_cr3;

static void invalidate_hook(struct trap_frame *frame)
{
	(void)frame;
	if (by_cr3)
		write_cr3(read_cr3());
	else
		__asm__ volatile("invlpg (%0)" : : "r"(WINDOW) : "memory");
	lapic_write(LAPIC_EOI, 0);
	if (*WINDOW != generation % PAGES)
		__atomic_fetch_add(&stale, 1, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&answers, 1, __ATOMIC_SEQ_CST);
}

// Keeps the translation in use: it is in the TLB when the page moves.
static void use(void *argument)
{
	uint64_t *sum = argument;

	sti();
	while (stop == 0) {
		__atomic_fetch_add(sum, *WINDOW, __ATOMIC_SEQ_CST);
		pause();
	}
	cli();
}

static void shootdown(const char *name, bool cr3)
{
	static uint64_t sum;
	bool answered = true;

	by_cr3 = cr3;
	stop = stale = generation = 0;
	paging_map(SLOT, (uintptr_t)pages[0], PRESENT_WRITABLE);
	for (unsigned i = 1; i < CPUS; i++)
		smp_run(i, use, &sum);
	for (unsigned i = 1; i <= ROUNDS && answered; i++) {
		answers = 0;
		generation = i;
		paging_map(SLOT, (uintptr_t)pages[i % PAGES], PRESENT_WRITABLE);
		lapic_send(0, ICR_OTHERS | ICR_ASSERT | VECTOR);
		answered = smp_wait(&answers, CPUS - 1);
		if (*WINDOW != i % PAGES)
			stale = stale + 1;
	}
	stop = 1;
	for (unsigned i = 1; i < CPUS; i++)
		answered = smp_wait_done(i) && answered;
	report_check(name, answered);
	report("%s.stale = %u", name, stale);
}

// A page that is taken away faults on the CPU that uses it, once it has invalidated.
static volatile unsigned faults;

static void fault_hook(struct trap_frame *frame)
{
	if (read_cr2() != (uintptr_t)WINDOW) {
		report("FATAL fault at 0x%lx rip 0x%lx", read_cr2(), frame->rip);
		payload_exit(0x7d);
	}
	__atomic_fetch_add(&faults, 1, __ATOMIC_SEQ_CST);
	while (faults != 0) // until the page is back
		pause();
}

static void taken_away(void)
{
	static uint64_t sum;

	stop = 0;
	by_cr3 = false;
	generation = 2;
	paging_map(SLOT, (uintptr_t)pages[2], PRESENT_WRITABLE);
	trap_set_hook(14, fault_hook);
	smp_run(1, use, &sum);
	spin(100000);
	paging_map(SLOT, 0, 0);
	lapic_send(1, ICR_ASSERT | VECTOR);
	report_check("taken_away.fault", smp_wait(&faults, 1));
	paging_map(SLOT, (uintptr_t)pages[2], PRESENT_WRITABLE);
	faults = 0;
	stop = 1;
	report_check("taken_away.goes_on", smp_wait_done(1));
	trap_set_hook(14, NULL);
}

// Writes of one CPU are seen by the others in order: SDM vol. 3, 8.2.2.
static volatile uint64_t data, flag;

static void reader(void *argument)
{
	unsigned *wrong = argument;

	for (uint64_t i = 1; i <= ROUNDS * 10; i++) {
		while (flag < i)
			pause();
		if (data < i)
			__atomic_fetch_add(wrong, 1, __ATOMIC_SEQ_CST);
	}
}

static void order(void)
{
	static unsigned wrong;

	for (unsigned i = 1; i < CPUS; i++)
		smp_run(i, reader, &wrong);
	for (uint64_t i = 1; i <= ROUNDS * 10; i++) {
		data = i;
		flag = i;
	}
	for (unsigned i = 1; i < CPUS; i++)
		report("order.%u = %u", i, smp_wait_done(i));
	report("order.wrong = %u", wrong);
}

void payload_main(void)
{
	smp_init();
	smp_start_all();
	for (unsigned i = 0; i < PAGES; i++)
		pages[i][0] = i;
	trap_set_hook(VECTOR, invalidate_hook);
	shootdown("invlpg", false);
	shootdown("cr3", true);
	taken_away();
	order();
}

// SPDX-License-Identifier: BSD-2-Clause
#include "smp.h"
#include "internal.h"

enum { PATIENCE = 20000 }; // rounds of PATIENCE_TICKS
#define PATIENCE_TICKS 200000

struct smp_cpu smp_cpus[SMP_MAX];
uint8_t smp_stacks[SMP_MAX * SMP_STACK_BYTES] __attribute__((aligned(16)));

extern const uint8_t smp_low_begin[], smp_low_end[], smp_low_registers[];
_Noreturn void smp_main(unsigned index); // from smp.S

static void self_set(unsigned index)
{
	struct smp_cpu *cpu = &smp_cpus[index];

	cpu->self = cpu;
	cpu->index = index;
	wrmsr(MSR_GS_BASE, (uintptr_t)cpu);
}

unsigned smp_count(void)
{
	struct cpuid features = cpuid(1, 0);

	return (features.edx >> 28 & 1) != 0 ? features.ebx >> 16 & 0xff : 1;
}

void smp_trampoline_copy(unsigned vector)
{
	memcpy((void *)((uintptr_t)vector << 12), smp_low_begin,
		(size_t)(smp_low_end - smp_low_begin));
}

const volatile struct smp_registers *smp_registers(unsigned vector)
{
	return (const volatile struct smp_registers *)(((uintptr_t)vector << 12) +
		(size_t)(smp_low_registers - smp_low_begin));
}

void smp_init(void)
{
	self_set(0);
	smp_trampoline_copy(LOW_SMP >> 12);
}

void smp_main(unsigned index)
{
	struct smp_cpu *cpu = &smp_cpus[index];

	self_set(index);
	__asm__ volatile("lidt (%0)" : : "r"(trap_idtr) : "memory");
	if (lapic_x2apic)
		lapic_enable_x2apic();
	else
		lapic_prepare();
	cpu->function = NULL;
	__atomic_fetch_add(&cpu->starts, 1, __ATOMIC_SEQ_CST);
	for (;;) {
		smp_function *function = cpu->function;

		if (function != NULL) {
			function(cpu->argument);
			__atomic_store_n(&cpu->function, NULL, __ATOMIC_SEQ_CST);
		}
		pause();
	}
}

bool smp_wait(const volatile unsigned *word, unsigned value)
{
	uint64_t start = rdtsc();

	while (*word < value) {
		if (rdtsc() - start > (uint64_t)PATIENCE * PATIENCE_TICKS)
			return false;
		pause();
	}
	return true;
}

bool smp_start_cpu(unsigned index)
{
	unsigned before = smp_cpus[index].starts;

	lapic_send(index, ICR_INIT | ICR_ASSERT);
	spin(20000);
	lapic_send(index, ICR_STARTUP | ICR_ASSERT | LOW_SMP >> 12);
	spin(20000);
	lapic_send(index, ICR_STARTUP | ICR_ASSERT | LOW_SMP >> 12);
	return smp_wait(&smp_cpus[index].starts, before + 1);
}

void smp_start_all(void)
{
	for (unsigned i = 1; i < smp_count(); i++)
		if (!smp_start_cpu(i)) {
			report("FATAL CPU %u does not start", i);
			payload_exit(0x7e);
		}
}

void smp_run(unsigned index, smp_function *function, void *argument)
{
	smp_cpus[index].argument = argument;
	__atomic_store_n(&smp_cpus[index].function, function, __ATOMIC_SEQ_CST);
}

bool smp_wait_done(unsigned index)
{
	uint64_t start = rdtsc();

	while (smp_cpus[index].function != NULL) {
		if (rdtsc() - start > (uint64_t)PATIENCE * PATIENCE_TICKS)
			return false;
		pause();
	}
	return true;
}

bool smp_run_all(unsigned count, smp_function *function, void *argument)
{
	bool done = true;

	for (unsigned i = 1; i < count; i++)
		smp_run(i, function, argument);
	function(argument);
	for (unsigned i = 1; i < count; i++)
		done = smp_wait_done(i) && done;
	return done;
}

void smp_barrier(struct smp_barrier *barrier, unsigned count)
{
	unsigned round = barrier->round;

	if (__atomic_add_fetch(&barrier->arrived, 1, __ATOMIC_SEQ_CST) == count) {
		barrier->arrived = 0;
		__atomic_store_n(&barrier->round, round + 1, __ATOMIC_SEQ_CST);
		return;
	}
	while (barrier->round == round)
		pause();
}

void smp_irq_hook(struct trap_frame *frame)
{
	volatile unsigned *count = &smp_self()->irqs[frame->vector];

	*count = *count + 1;
	lapic_write(LAPIC_EOI, 0);
}

void smp_nmi_hook(struct trap_frame *frame)
{
	volatile unsigned *count = &smp_self()->irqs[2];

	(void)frame;
	*count = *count + 1;
}

void smp_irqs_clear(void)
{
	for (unsigned i = 0; i < SMP_MAX; i++)
		for (unsigned v = 0; v < 256; v++)
			smp_cpus[i].irqs[v] = 0;
}

static unsigned irqs_sum(unsigned vector)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < smp_count(); i++)
		sum += smp_cpus[i].irqs[vector];
	return sum;
}

void report_smp_irqs(const char *what, unsigned vector, unsigned expected)
{
	for (unsigned i = 0; i < PATIENCE / 10 && irqs_sum(vector) < expected; i++)
		spin(PATIENCE_TICKS);
	spin(PATIENCE_TICKS);
	print("%s: %s =", payload_name, what);
	for (unsigned i = 0; i < smp_count(); i++)
		print(" %u", smp_cpus[i].irqs[vector]);
	print("\n");
	smp_irqs_clear();
}

// SPDX-License-Identifier: BSD-2-Clause
// Several CPUs. The boot CPU (index 0) starts the others; each then waits in a loop for a function
// to run. Indices are APIC ids.
#ifndef TESTS_GUEST_SMP_H
#define TESTS_GUEST_SMP_H

#include "payload.h"

enum { SMP_MAX = 64, SMP_STACK_BYTES = 4096 };

// The ICR. SDM vol. 3, 11.6.1.
enum {
	ICR_FIXED = 0 << 8,
	ICR_LOWEST = 1 << 8,
	ICR_NMI = 4 << 8,
	ICR_INIT = 5 << 8,
	ICR_STARTUP = 6 << 8,
	ICR_LOGICAL = 1 << 11,
	ICR_ASSERT = 1 << 14,
	ICR_LEVEL = 1 << 15,
	ICR_SELF = 1 << 18,
	ICR_ALL = 2 << 18,
	ICR_OTHERS = 3 << 18,
};

typedef void smp_function(void *argument);

struct smp_cpu {
	struct smp_cpu *self; // GS base points here
	unsigned index;
	volatile unsigned starts;       // how often it came out of the trampoline
	smp_function *volatile function; // NULL: it has nothing to do
	void *volatile argument;
	volatile unsigned irqs[256]; // by smp_irq_hook
};

extern struct smp_cpu smp_cpus[SMP_MAX];

// What a CPU held at its first instruction after STARTUP (smp.S).
struct smp_registers {
	uint32_t eax, ebx, ecx, edx, esi, edi, ebp, esp;
	uint32_t cr0, cr2, cr3, cr4, dr6, dr7, efer, flags;
	uint16_t cs, ds, es, ss, fs, gs;
	uint16_t gdt_limit, gdt_base[2], idt_limit, idt_base[2];
};
// Of the last one that started in page `vector`.
const volatile struct smp_registers *smp_registers(unsigned vector);

// By the boot CPU, first of all.
void smp_init(void);
// How many CPUs the machine says it has.
unsigned smp_count(void);
static inline struct smp_cpu *smp_self(void)
{
	struct smp_cpu *cpu;

	__asm__ volatile("mov %%gs:0, %0" : "=r"(cpu));
	return cpu;
}

// INIT, STARTUP, STARTUP (SDM vol. 3, 9.4.4.1). False: it did not come.
bool smp_start_cpu(unsigned index);
// All of them; FATAL unless all came.
void smp_start_all(void);
// Puts the trampoline into page `vector`, so that a STARTUP may name it.
void smp_trampoline_copy(unsigned vector);

// Runs the function on another CPU. smp_wait_done: until it has returned; false after a long time.
void smp_run(unsigned index, smp_function *function, void *argument);
bool smp_wait_done(unsigned index);
// On the CPUs 0 to count - 1, this one (0) too, at the same time; waits for all.
bool smp_run_all(unsigned count, smp_function *function, void *argument);

// Waits for *word to be at least `value`; false after a long time.
bool smp_wait(const volatile unsigned *word, unsigned value);
// All of `count` CPUs wait for each other. Zeroed memory is ready.
struct smp_barrier {
	unsigned arrived;
	volatile unsigned round;
};
void smp_barrier(struct smp_barrier *barrier, unsigned count);

// Counts the vector on the CPU that takes it, and ends the interrupt.
void smp_irq_hook(struct trap_frame *frame);
void smp_nmi_hook(struct trap_frame *frame); // counts it as vector 2
void smp_irqs_clear(void);
// "WHAT = 0 1 0 1": how often each CPU took the vector since the last time; waits for `expected` in
// all, and a little for more.
void report_smp_irqs(const char *what, unsigned vector, unsigned expected);

#endif

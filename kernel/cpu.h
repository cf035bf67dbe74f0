// SPDX-License-Identifier: BSD-2-Clause
// The per-CPU area, reached through GS, and the table of all CPUs. Fields belong to their CPU;
// those marked (a) are also set by other contexts, atomically; (c) is constant once the CPU runs.
#ifndef KERNEL_CPU_H
#define KERNEL_CPU_H

#include "kernel/base/types.h"
#include "kernel/desc.h"
#include "kernel/error.h"
#include "kernel/message.h"

struct fiber;
struct loop_task;
struct timer;
struct _reent;

// CPUs that are used at most; others stay as firmware left them.
enum { CPU_MAX = 64 };

// Fibers of a CPU, kept by kernel/fiber.c.
struct cpu_fibers {
	struct fiber *running; // NULL: the event loop itself
	struct fiber *ready_first, **ready_last;
	struct fiber *all;
	uint32_t timed; // fibers that wait with a deadline
	void *loop_stack_pointer;
};

struct cpu {
	struct cpu *self; // offset 0: cpu_self() loads it
	void *stack_top;  // (c) offset 8: kernel/smp_entry.S loads it; NULL for the boot CPU
	// Of kernel/timer.c: the nearest of all deadlines, and the one that the hardware will fire
	// at (a: the interrupt handler sets it to TIMER_NEVER).
	uint64_t timer_nearest;
	volatile uint64_t timer_programmed;
	struct message_queue inbox; // (a) see smp_post
	// (a) The event loop's attention is asked for: the guest is left. Set by interrupt handlers
	// and other CPUs (cpu_kick), cleared by the loop before it looks for work.
	volatile bool attention;
	bool heap_frozen; // see libc_heap_freeze
	bool in_loop; // loop_run has begun
	bool in_crash;
	volatile bool stopped; // (a) halted for good because of another CPU's crash
	volatile bool online;  // (a) its event loop runs, or is about to
	uint32_t index;        // (c) 0: the boot CPU
	uint32_t apic_id;      // (c)
	bool memory_types_changed; // (c) firmware had set them otherwise than on the boot CPU
	uint64_t start_tsc; // (c) when it had started
	uint64_t slept;     // TSC ticks of its event loop's sleeps
	struct timer *timers;
	struct loop_task *tasks;
	struct loop_task *long_tasks; // those that run long; the next one to run is the first
	struct cpu_fibers fibers;
	struct _reent *reent; // (c) the C library's
	void *guest; // whose registers the CPU holds beside its own: vmx/'s, NULL: nobody's
	struct error_origin last_error;
	struct desc_tables desc;
};
_Static_assert(offsetof(struct cpu, stack_top) == 8, "kernel/smp_entry.S");

static always_inline struct cpu *cpu_self(void)
{
	struct cpu *cpu;

	__asm__("mov %%gs:0, %0" : "=r"(cpu));
	return cpu;
}

// The boot CPU's area; sets GS. First thing of all.
void cpu_init_boot(void);
// Fills a zeroed area for another CPU.
void cpu_init(struct cpu *cpu, uint32_t index, uint32_t apic_id);
// Makes a CPU that runs known to cpu_count and cpu_get: the boot CPU alone calls it, with indices
// in order.
void cpu_add(struct cpu *cpu);

// CPUs that run. Constant after smp_start.
uint32_t cpu_count(void);
// `index` below cpu_count().
struct cpu *cpu_get(uint32_t index);

// Makes a CPU leave its guest or its sleep soon: its event loop comes round to all its fibers and
// tasks. No interrupt is sent to the calling CPU, nor where attention is set already: the loop has
// not looked for work since. From any context.
//
// What the caller wrote before is seen by the loop after: the exchange of `attention` here pairs
// with the exchange in loop_run, which clears it before it looks. Both are full barriers, so either
// the loop's look comes later and finds the work, or this exchange finds `attention` clear.
void cpu_kick(struct cpu *cpu);

#endif

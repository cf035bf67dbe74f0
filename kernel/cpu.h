// SPDX-License-Identifier: BSD-2-Clause
// The per-CPU area, reached through GS. Fields belong to their CPU; those marked (a) are also set
// by other contexts, atomically.
#ifndef KERNEL_CPU_H
#define KERNEL_CPU_H

#include "kernel/base/types.h"
#include "kernel/desc.h"
#include "kernel/error.h"

struct fiber;

struct cpu {
	struct cpu *self; // offset 0: cpu_self() loads it
	uint32_t index;
	uint32_t apic_id;
	// (a) An interrupt asks for the event loop's attention: the guest is left. Set by interrupt
	// handlers and other cores, cleared by the loop before it looks for work.
	volatile bool attention;
	bool in_crash;
	void *guest; // whose registers the CPU holds beside its own: vmx/'s, NULL: nobody's
	struct fiber *fiber; // running now; NULL: the event loop itself
	struct error_origin last_error;
	struct desc_tables desc;
};

static always_inline struct cpu *cpu_self(void)
{
	struct cpu *cpu;

	__asm__("mov %%gs:0, %0" : "=r"(cpu));
	return cpu;
}

// The boot CPU's area; sets GS. First thing of all.
void cpu_init_boot(void);

#endif

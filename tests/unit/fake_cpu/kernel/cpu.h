// SPDX-License-Identifier: BSD-2-Clause
// Found before the real header by -Itests/unit/fake_cpu: the CPU's area is the test's, and the TSC
// and the interrupt flag are not the machine's.
#ifndef FAKE_CPU_KERNEL_CPU_H
#define FAKE_CPU_KERNEL_CPU_H

#define rdtsc              native_rdtsc
#define interrupts_enable  native_interrupts_enable
#define interrupts_disable native_interrupts_disable
#include "kernel/x86.h"
#undef rdtsc
#undef interrupts_enable
#undef interrupts_disable

#define cpu_self native_cpu_self
// This very name, but by a path on which only the real one lies.
#include "tests/../kernel/cpu.h"
#undef cpu_self

extern struct cpu fake_cpu;    // the test's
extern uint64_t fake_cpu_tsc;  // the same
extern bool fake_cpu_interrupts;

static inline struct cpu *cpu_self(void)
{
	return &fake_cpu;
}

static inline uint64_t rdtsc(void)
{
	return fake_cpu_tsc;
}

static inline void interrupts_enable(void)
{
	fake_cpu_interrupts = true;
}

static inline void interrupts_disable(void)
{
	fake_cpu_interrupts = false;
}

#endif

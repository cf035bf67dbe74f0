// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/cpu.h"

#include "kernel/x86.h"

static struct cpu boot_cpu;

void cpu_init_boot(void)
{
	boot_cpu.self = &boot_cpu;
	boot_cpu.apic_id = cpuid(1, 0).ebx >> 24;
	wrmsr(MSR_GS_BASE, (uint64_t)(uintptr_t)&boot_cpu);
}

// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/cpu.h"

#include "kernel/apic.h"
#include "kernel/base/assert.h"
#include "kernel/timer.h"
#include "kernel/x86.h"

static struct cpu boot_cpu;
// (a) `count` is stored with release after the table's entry.
static struct cpu *cpus[CPU_MAX];
static uint32_t count;

void cpu_init(struct cpu *cpu, uint32_t index, uint32_t apic_id)
{
	cpu->self = cpu;
	cpu->index = index;
	cpu->apic_id = apic_id;
	cpu->timer_nearest = cpu->timer_programmed = TIMER_NEVER;
	cpu->fibers.ready_last = &cpu->fibers.ready_first;
}

void cpu_init_boot(void)
{
	cpu_init(&boot_cpu, 0, cpuid(1, 0).ebx >> 24);
	boot_cpu.online = true;
	wrmsr(MSR_GS_BASE, (uint64_t)(uintptr_t)&boot_cpu);
	cpu_add(&boot_cpu);
}

void cpu_add(struct cpu *cpu)
{
	ASSERT(count < CPU_MAX && cpu->index == count);
	cpus[count] = cpu;
	__atomic_store_n(&count, count + 1, __ATOMIC_RELEASE);
}

uint32_t cpu_count(void)
{
	return __atomic_load_n(&count, __ATOMIC_ACQUIRE);
}

struct cpu *cpu_get(uint32_t index)
{
	ASSERT(index < cpu_count());
	return cpus[index];
}

void cpu_kick(struct cpu *cpu)
{
	if (!__atomic_exchange_n(&cpu->attention, true, __ATOMIC_SEQ_CST) && cpu != cpu_self())
		apic_command(cpu->apic_id, APIC_VECTOR_KICK);
}

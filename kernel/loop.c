// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/loop.h"

#include "kernel/cpu.h"
#include "kernel/fiber.h"
#include "kernel/x86.h"

static struct loop_task *tasks;

void loop_task_add(struct loop_task *task)
{
	task->next = tasks;
	tasks = task;
}

void loop_task_remove(struct loop_task *task)
{
	for (struct loop_task **at = &tasks; *at != NULL; at = &(*at)->next)
		if (*at == task) {
			*at = task->next;
			return;
		}
}

// Sleeps until an interrupt. STI takes effect after HLT has begun, so none is lost.
static void loop_sleep(struct cpu *cpu)
{
	timer_program();
	interrupts_disable();
	if (cpu->attention)
		interrupts_enable();
	else
		__asm__ volatile("sti; hlt" : : : "memory");
}

void loop_run(void)
{
	struct cpu *cpu = cpu_self();

	interrupts_enable();
	for (;;) {
		struct loop_task *next;
		bool busy;

		cpu->attention = false;
		busy = fiber_run_ready();
		for (struct loop_task *task = tasks; task != NULL; task = next) {
			next = task->next;
			busy |= task->run(task);
		}
		if (!busy)
			loop_sleep(cpu);
	}
}

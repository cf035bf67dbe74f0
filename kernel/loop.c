// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/loop.h"

#include "kernel/base/assert.h"
#include "kernel/fiber.h"
#include "kernel/smp.h"
#include "kernel/x86.h"

static struct loop_task **list_of(struct cpu *cpu, const struct loop_task *task)
{
	return task->runs_long ? &cpu->long_tasks : &cpu->tasks;
}

void loop_task_add(struct loop_task *task)
{
	struct loop_task **list = list_of(cpu_self(), task);

	task->next = *list;
	*list = task;
}

void loop_task_remove(struct loop_task *task)
{
	for (struct loop_task **at = list_of(cpu_self(), task); *at != NULL; at = &(*at)->next)
		if (*at == task) {
			*at = task->next;
			return;
		}
}

static void task_arrived(struct cpu_message *message)
{
	loop_task_add(CONTAINER_OF(message, struct loop_task, message));
}

void loop_task_add_on(struct cpu *cpu, struct loop_task *task)
{
	if (cpu == cpu_self()) {
		loop_task_add(task);
		return;
	}
	task->message.run = task_arrived;
	smp_post(cpu, &task->message);
}

static __attribute__((noinline)) void messages_run(struct cpu *cpu)
{
	struct cpu_message *message = message_take_all(&cpu->inbox), *next;

	for (; message != NULL; message = next) {
		next = message->next;
		ASSERT(message->run != NULL);
		message->run(message);
	}
}

// Interrupts' handlers are counted too.
static always_inline void sleep_count(struct cpu *cpu)
{
	cpu->slept -= rdtsc();
	__asm__ volatile("sti; hlt" : : : "memory");
	cpu->slept += rdtsc();
}

// Sleeps until an interrupt. STI takes effect after HLT has begun, so none is lost.
static void loop_sleep(struct cpu *cpu)
{
	timer_program();
	interrupts_disable();
	if (cpu->attention)
		interrupts_enable();
	else
		sleep_count(cpu);
}

static void turn_end(struct cpu *cpu, struct loop_task *task)
{
	struct loop_task **last = &cpu->long_tasks;

	ASSERT(*last == task);
	*last = task->next;
	while (*last != NULL)
		last = &(*last)->next;
	task->next = NULL;
	*last = task;
}

// Each has a turn until there is attention: whom that is for comes first. True: look again.
static bool long_tasks_run(struct cpu *cpu)
{
	struct loop_task *first = cpu->long_tasks, *task = first;
	bool busy = false;

	if (first == NULL)
		return false;
	do {
		busy |= task->run(task);
		if (likely(first->next == NULL && task == first))
			return busy; // the only one
		turn_end(cpu, task);
		if (cpu->attention)
			return true;
		task = cpu->long_tasks;
	} while (task != first);
	return busy;
}

bool loop_is_running(void)
{
	return cpu_self()->in_loop;
}

void loop_run(void)
{
	struct cpu *cpu = cpu_self();

	cpu->in_loop = true;
	interrupts_enable();
	for (;;) {
		struct loop_task *next;
		bool busy;

		// Pairs with cpu_kick.
		(void)__atomic_exchange_n(&cpu->attention, false, __ATOMIC_SEQ_CST);
		if (unlikely(message_newest(&cpu->inbox) != NULL))
			messages_run(cpu);
		busy = fiber_any(cpu) && fiber_run_ready(cpu);
		for (struct loop_task *task = cpu->tasks; task != NULL; task = next) {
			next = task->next;
			busy |= task->run(task);
		}
		busy |= long_tasks_run(cpu);
		if (!busy)
			loop_sleep(cpu);
	}
}

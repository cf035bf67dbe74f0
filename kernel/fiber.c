// SPDX-License-Identifier: BSD-2-Clause
// States: READY (in the queue) -> RUNNING -> READY (fiber_yield), WAITING (fiber_wait), BLOCKED
// (fiber_block) or DONE (entry returned: the stack is freed by the event loop). WAITING -> READY by
// fiber_wake or by the deadline, BLOCKED -> READY by fiber_unblock. All of it happens on the CPU
// that created the fiber; fiber_wake on another one is a message.
#include "kernel/fiber.h"

#include <stdlib.h>

#include "kernel/base/assert.h"
#include "kernel/cpu.h"
#include "kernel/mem.h"
#include "kernel/pagetable.h"
#include "kernel/smp.h"
#include "kernel/x86.h"

enum { STACK_PAGES = 8, GUARD_PAGES = 1 };

enum fiber_state { FIBER_READY, FIBER_RUNNING, FIBER_WAITING, FIBER_BLOCKED, FIBER_DONE };

struct fiber {
	void *stack_pointer; // while not running
	uint8_t *pages;
	const char *name;
	void (*entry)(void *argument);
	void *argument;
	enum fiber_state state;
	bool woken; // fiber_wake came while not waiting
	bool wake_posted; // (a) another CPU's wake is under way: `wake` is in use
	struct cpu *cpu;  // (c) whose fiber it is
	struct cpu_message wake;
	struct timer timer;
	struct fiber *next; // ready queue
	struct fiber *all_next;
};

void fiber_switch(void **save_stack, void *to_stack);
void fiber_start(void);

static void ready_add(struct fiber *fiber)
{
	struct cpu_fibers *fibers = &fiber->cpu->fibers;

	fiber->state = FIBER_READY;
	fiber->next = NULL;
	*fibers->ready_last = fiber;
	fibers->ready_last = &fiber->next;
}

static struct fiber *ready_take(struct cpu_fibers *fibers)
{
	struct fiber *fiber = fibers->ready_first;

	fibers->ready_first = fiber->next;
	if (fibers->ready_first == NULL)
		fibers->ready_last = &fibers->ready_first;
	return fiber;
}

struct fiber *fiber_self(void)
{
	return cpu_self()->fibers.running;
}

static void leave(struct fiber *fiber)
{
	struct cpu_fibers *fibers = &fiber->cpu->fibers;

	fibers->running = NULL;
	fiber_switch(&fiber->stack_pointer, fibers->loop_stack_pointer);
}

static void fiber_main(void *argument)
{
	struct fiber *fiber = argument;

	fiber->entry(fiber->argument);
	fiber->state = FIBER_DONE;
	leave(fiber);
}

struct fiber *fiber_create(const char *name, void (*entry)(void *argument), void *argument)
{
	struct fiber *fiber = calloc(1, sizeof(*fiber));
	struct cpu *cpu = cpu_self();
	uint64_t *top;

	if (fiber == NULL)
		return NULL;
	fiber->pages = mem_pages_alloc(GUARD_PAGES + STACK_PAGES);
	if (fiber->pages == NULL) {
		free(fiber);
		return NULL;
	}
	pagetable_set(hpa_of(fiber->pages), GUARD_PAGES * PAGE_BYTES, PAGETABLE_NONE);
	fiber->name = name;
	fiber->entry = entry;
	fiber->argument = argument;
	// What fiber_switch pops: r15 r14 r13 r12 rbx rbp, and the return address.
	top = (uint64_t *)(fiber->pages + (GUARD_PAGES + STACK_PAGES) * PAGE_BYTES) - 8;
	top[2] = (uint64_t)(uintptr_t)fiber;
	top[3] = (uint64_t)(uintptr_t)fiber_main;
	top[6] = (uint64_t)(uintptr_t)fiber_start;
	fiber->stack_pointer = top;
	fiber->cpu = cpu;
	fiber->all_next = cpu->fibers.all;
	cpu->fibers.all = fiber;
	timer_add(&fiber->timer);
	ready_add(fiber);
	return fiber;
}

void fiber_yield(void)
{
	struct fiber *fiber = fiber_self();

	ASSERT(fiber != NULL);
	ready_add(fiber);
	leave(fiber);
}

bool fiber_wait(uint64_t deadline)
{
	struct fiber *fiber = fiber_self();

	ASSERT(fiber != NULL);
	if (!fiber->woken) {
		fiber->state = FIBER_WAITING;
		timer_set(&fiber->timer, deadline);
		fiber->cpu->fibers.timed += deadline != TIMER_NEVER;
		leave(fiber);
		fiber->cpu->fibers.timed -= deadline != TIMER_NEVER;
		timer_set(&fiber->timer, TIMER_NEVER);
	}
	if (!fiber->woken)
		return false;
	fiber->woken = false;
	return true;
}

void fiber_block(void)
{
	struct fiber *fiber = fiber_self();

	ASSERT(fiber != NULL);
	fiber->state = FIBER_BLOCKED;
	leave(fiber);
}

void fiber_unblock(struct fiber *fiber)
{
	ASSERT(fiber->cpu == cpu_self() && fiber->state == FIBER_BLOCKED);
	fiber->cpu->attention = true;
	ready_add(fiber);
}

static void fiber_destroy(struct fiber *fiber)
{
	// The message under way refers to it: wake_arrived comes back here.
	if (__atomic_load_n(&fiber->wake_posted, __ATOMIC_ACQUIRE))
		return;
	for (struct fiber **at = &fiber->cpu->fibers.all; *at != NULL; at = &(*at)->all_next)
		if (*at == fiber) {
			*at = fiber->all_next;
			break;
		}
	timer_remove(&fiber->timer);
	pagetable_set(hpa_of(fiber->pages), GUARD_PAGES * PAGE_BYTES, PAGETABLE_DATA);
	mem_pages_free(fiber->pages, GUARD_PAGES + STACK_PAGES);
	free(fiber);
}

static void wake_arrived(struct cpu_message *message)
{
	struct fiber *fiber = CONTAINER_OF(message, struct fiber, wake);

	__atomic_store_n(&fiber->wake_posted, false, __ATOMIC_RELEASE);
	if (fiber->state == FIBER_DONE)
		fiber_destroy(fiber);
	else
		fiber_wake(fiber);
}

void fiber_wake(struct fiber *fiber)
{
	struct cpu *cpu = cpu_self();

	if (fiber->cpu != cpu) {
		if (__atomic_exchange_n(&fiber->wake_posted, true, __ATOMIC_ACQ_REL))
			return; // one wake is as good as two
		fiber->wake.run = wake_arrived;
		smp_post(fiber->cpu, &fiber->wake);
		return;
	}
	fiber->woken = true;
	cpu->attention = true; // the guest, if one runs, makes way for it
	if (fiber->state == FIBER_WAITING)
		ready_add(fiber);
}

static void expired_make_ready(struct cpu_fibers *fibers)
{
	uint64_t now;

	if (fibers->timed == 0)
		return;
	now = rdtsc();
	for (struct fiber *fiber = fibers->all; fiber != NULL; fiber = fiber->all_next)
		if (fiber->state == FIBER_WAITING && fiber->timer.deadline <= now)
			ready_add(fiber);
}

bool fiber_run_ready(struct cpu *cpu)
{
	struct cpu_fibers *fibers = &cpu->fibers;
	struct fiber *last;

	ASSERT(fibers->running == NULL);
	expired_make_ready(fibers);
	if (fibers->ready_first == NULL)
		return false;
	last = CONTAINER_OF(fibers->ready_last, struct fiber, next);
	for (;;) {
		struct fiber *fiber = ready_take(fibers);
		bool was_last = fiber == last;

		fiber->state = FIBER_RUNNING;
		fibers->running = fiber;
		fiber_switch(&fibers->loop_stack_pointer, fiber->stack_pointer);
		if (fiber->state == FIBER_DONE)
			fiber_destroy(fiber);
		if (was_last)
			return fibers->ready_first != NULL;
	}
}

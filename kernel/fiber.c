// SPDX-License-Identifier: BSD-2-Clause
// States: READY (in the queue) -> RUNNING -> READY (fiber_yield), WAITING (fiber_wait) or DONE
// (entry returned: the stack is freed by the event loop). WAITING -> READY by fiber_wake or by the
// deadline.
#include "kernel/fiber.h"

#include <stdlib.h>

#include "kernel/base/assert.h"
#include "kernel/cpu.h"
#include "kernel/mem.h"
#include "kernel/pagetable.h"
#include "kernel/x86.h"

enum { STACK_PAGES = 8, GUARD_PAGES = 1 };

enum fiber_state { FIBER_READY, FIBER_RUNNING, FIBER_WAITING, FIBER_DONE };

struct fiber {
	void *stack_pointer; // while not running
	uint8_t *pages;
	const char *name;
	void (*entry)(void *argument);
	void *argument;
	enum fiber_state state;
	bool woken; // fiber_wake came while not waiting
	struct timer timer;
	struct fiber *next; // ready queue
	struct fiber *all_next;
};

static struct fiber *ready_first, **ready_last = &ready_first;
static struct fiber *all;
static unsigned timed; // fibers that wait with a deadline
static void *loop_stack_pointer;

void fiber_switch(void **save_stack, void *to_stack);
void fiber_start(void);

static void ready_add(struct fiber *fiber)
{
	fiber->state = FIBER_READY;
	fiber->next = NULL;
	*ready_last = fiber;
	ready_last = &fiber->next;
}

static struct fiber *ready_take(void)
{
	struct fiber *fiber = ready_first;

	ready_first = fiber->next;
	if (ready_first == NULL)
		ready_last = &ready_first;
	return fiber;
}

struct fiber *fiber_self(void)
{
	return cpu_self()->fiber;
}

static void leave(struct fiber *fiber)
{
	cpu_self()->fiber = NULL;
	fiber_switch(&fiber->stack_pointer, loop_stack_pointer);
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
	fiber->all_next = all;
	all = fiber;
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
		timed += deadline != TIMER_NEVER;
		leave(fiber);
		timed -= deadline != TIMER_NEVER;
		timer_set(&fiber->timer, TIMER_NEVER);
	}
	if (!fiber->woken)
		return false;
	fiber->woken = false;
	return true;
}

void fiber_wake(struct fiber *fiber)
{
	fiber->woken = true;
	cpu_self()->attention = true; // the guest, if one runs, makes way for it
	if (fiber->state == FIBER_WAITING)
		ready_add(fiber);
}

static void fiber_destroy(struct fiber *fiber)
{
	for (struct fiber **at = &all; *at != NULL; at = &(*at)->all_next)
		if (*at == fiber) {
			*at = fiber->all_next;
			break;
		}
	timer_remove(&fiber->timer);
	pagetable_set(hpa_of(fiber->pages), GUARD_PAGES * PAGE_BYTES, PAGETABLE_DATA);
	mem_pages_free(fiber->pages, GUARD_PAGES + STACK_PAGES);
	free(fiber);
}

static void expired_make_ready(void)
{
	uint64_t now;

	if (timed == 0)
		return;
	now = rdtsc();
	for (struct fiber *fiber = all; fiber != NULL; fiber = fiber->all_next)
		if (fiber->state == FIBER_WAITING && fiber->timer.deadline <= now)
			ready_add(fiber);
}

bool fiber_run_ready(void)
{
	struct fiber *last;

	expired_make_ready();
	if (ready_first == NULL)
		return false;
	last = CONTAINER_OF(ready_last, struct fiber, next);
	for (;;) {
		struct fiber *fiber = ready_take();
		bool was_last = fiber == last;

		fiber->state = FIBER_RUNNING;
		cpu_self()->fiber = fiber;
		fiber_switch(&loop_stack_pointer, fiber->stack_pointer);
		if (fiber->state == FIBER_DONE)
			fiber_destroy(fiber);
		if (was_last)
			return ready_first != NULL;
	}
}

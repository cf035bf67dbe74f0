// SPDX-License-Identifier: BSD-2-Clause
// Fibers of one core that take turns in an order of a seed's, and messages to it. Time is
// fake_cpu_tsc (tests/unit/fake_cpu), in nanoseconds, and passes when nobody can go on. For one
// source of a test.
#ifndef TESTS_UNIT_FAKE_FIBERS_H
#define TESTS_UNIT_FAKE_FIBERS_H

#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "kernel/cpu.h"
#include "kernel/fiber.h"
#include "kernel/message.h"
#include "kernel/smp.h"
#include "vm/splitmix.h"

enum { FAKE_FIBERS = 16, FAKE_STACK_BYTES = 256 << 10 };

struct fiber {
	void (*entry)(void *argument);
	void *argument;
	uint64_t deadline; // of one that waits
	bool alive, waits, woken;
	ucontext_t context;
	uint8_t *stack;
};

static struct fiber fake_fibers[FAKE_FIBERS], *fake_running;
static ucontext_t fake_loop;
static struct message_queue fake_inbox;
static uint64_t fake_order; // the seed
struct cpu fake_cpu;
uint64_t fake_cpu_tsc;
bool fake_cpu_interrupts;

static void fake_fiber_main(void)
{
	struct fiber *self = fake_running;

	self->entry(self->argument);
	self->alive = false;
	swapcontext(&self->context, &fake_loop);
	abort();
}

static void fake_fiber_prepare(struct fiber *fiber)
{
	free(fiber->stack);
	memset(fiber, 0, sizeof(*fiber));
	assert_int_equal(getcontext(&fiber->context), 0);
	fiber->stack = malloc(FAKE_STACK_BYTES);
	fiber->context.uc_stack.ss_sp = fiber->stack;
	fiber->context.uc_stack.ss_size = FAKE_STACK_BYTES;
}

static struct fiber *fake_fiber_free(void)
{
	unsigned i = 0;

	while (fake_fibers[i].alive)
		i++;
	assert_true(i < FAKE_FIBERS);
	fake_fiber_prepare(&fake_fibers[i]);
	return &fake_fibers[i];
}

struct fiber *fiber_create(const char *name, void (*entry)(void *argument), void *argument)
{
	struct fiber *fiber = fake_fiber_free();

	(void)name;
	fiber->entry = entry;
	fiber->argument = argument;
	fiber->alive = true;
	makecontext(&fiber->context, fake_fiber_main, 0);
	return fiber;
}

struct fiber *fiber_self(void)
{
	return fake_running;
}

void fiber_yield(void)
{
	assert_non_null(fake_running);
	swapcontext(&fake_running->context, &fake_loop);
}

bool fiber_wait(uint64_t deadline)
{
	struct fiber *self = fake_running;
	bool woken = self->woken;

	if (!woken) {
		self->waits = true;
		self->deadline = deadline;
		swapcontext(&self->context, &fake_loop);
		woken = self->woken;
	}
	self->woken = false;
	return woken;
}

void fiber_wake(struct fiber *fiber)
{
	assert_true(fiber->alive);
	fiber->woken = true;
	fiber->waits = false;
}

void smp_post(struct cpu *cpu, struct cpu_message *message)
{
	assert_ptr_equal(cpu, &fake_cpu);
	message_put(&fake_inbox, message);
}

void smp_call(struct cpu *cpu, void (*run)(void *argument), void *argument)
{
	assert_ptr_equal(cpu, &fake_cpu);
	run(argument);
}

struct cpu *cpu_get(uint32_t index)
{
	(void)index;
	return &fake_cpu;
}

static inline void fake_messages_run(void)
{
	struct cpu_message *message = message_take_all(&fake_inbox), *next;

	for (; message != NULL; message = next) {
		next = message->next;
		message->run(message);
	}
}

static inline struct fiber *fake_ready(void)
{
	struct fiber *ready[FAKE_FIBERS];
	unsigned count = 0;

	for (unsigned i = 0; i < FAKE_FIBERS; i++)
		if (fake_fibers[i].alive && (!fake_fibers[i].waits ||
			fake_fibers[i].deadline <= fake_cpu_tsc))
			ready[count++] = &fake_fibers[i];
	return count == 0 ? NULL : ready[splitmix_next(&fake_order) % count];
}

// One fiber goes on as far as it likes; or time does, to where one can. False: none ever can.
static inline bool fake_step(void)
{
	struct fiber *fiber;
	uint64_t next = TIMER_NEVER;

	fake_messages_run();
	fiber = fake_ready();
	if (fiber != NULL) {
		fiber->waits = false;
		fake_running = fiber;
		swapcontext(&fake_loop, &fiber->context);
		fake_running = NULL;
		return true;
	}
	for (unsigned i = 0; i < FAKE_FIBERS; i++)
		if (fake_fibers[i].alive && fake_fibers[i].deadline < next)
			next = fake_fibers[i].deadline;
	if (next == TIMER_NEVER)
		return false;
	fake_cpu_tsc = next;
	return true;
}

static inline void fake_fibers_free(void)
{
	for (unsigned i = 0; i < FAKE_FIBERS; i++) {
		assert_false(fake_fibers[i].alive);
		free(fake_fibers[i].stack);
		fake_fibers[i].stack = NULL;
	}
}

#endif

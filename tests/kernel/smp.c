// SPDX-License-Identifier: BSD-2-Clause
// An image of its own: the kernel with all its CPUs, and this instead of boot/main.c and machines.
// It prints lines "smp_test: WHAT = VALUE", which tests/smp.py knows, and leaves through the debug
// exit. The command line may ask for a crash instead.
#include <stdlib.h>
#include <string.h>

#include "boot/enter.h"
#include "kernel/acpi.h"
#include "kernel/base/assert.h"
#include "kernel/clock.h"
#include "kernel/console.h"
#include "kernel/cpu_state.h"
#include "kernel/crash.h"
#include "kernel/debug_exit.h"
#include "kernel/fiber.h"
#include "kernel/loop.h"
#include "kernel/mem.h"
#include "kernel/pagetable.h"
#include "kernel/smp.h"
#include "kernel/x86.h"
#include "tests/kernel/start.h"

enum {
	CALLS = 100,
	MESSAGES = 64, // of each CPU to each
	TIMERS = 20,
	BLOCKS = 16,
	BLOCK_ROUNDS = 200,
	FIBERS = 30,
	LINES = 40,
	IDLE_MS = 50,
	IDLE_RUNS_MAX = 3,
	GHOST_APIC_ID = 77,
};

static struct config config;
static char command_line[BOOT_COMMAND_LINE_MAX];
static struct fiber *main_fiber;
static uint32_t pending;  // (a) jobs of run_everywhere
static uint32_t failures; // (a)

static void check(bool good)
{
	if (!good)
		__atomic_fetch_add(&failures, 1, __ATOMIC_SEQ_CST);
}

static void report(const char *name)
{
	uint32_t failed = __atomic_exchange_n(&failures, 0, __ATOMIC_SEQ_CST);

	if (failed == 0)
		log_info("smp_test: %s = ok", name);
	else
		log_info("smp_test: %s = %u failures", name, failed);
}

static void job_done(void)
{
	if (__atomic_sub_fetch(&pending, 1, __ATOMIC_SEQ_CST) == 0)
		fiber_wake(main_fiber);
}

static void jobs_wait(void)
{
	while (__atomic_load_n(&pending, __ATOMIC_SEQ_CST) != 0)
		(void)fiber_wait(TIMER_NEVER);
}

static void job_start(void *argument)
{
	void (*const *entry)(void *argument) = argument;

	check(fiber_create("job", *entry, NULL) != NULL);
}

static void nothing(void *argument)
{
	(void)argument;
}

// A fiber on each CPU; each ends with job_done.
static void run_everywhere(void (*entry)(void *argument))
{
	__atomic_store_n(&pending, cpu_count(), __ATOMIC_SEQ_CST);
	for (uint32_t i = 0; i < cpu_count(); i++)
		smp_call(cpu_get(i), job_start, &entry);
	jobs_wait();
	for (uint32_t i = 0; i < cpu_count(); i++)
		smp_call(cpu_get(i), nothing, NULL); // when it comes round, the fiber is gone
}

// The APIC id that the CPU itself gives must be that of the area it found.
static void call_body(void *argument)
{
	uint32_t *index = argument;

	*index = cpu_self()->index;
	check(cpuid(1, 0).ebx >> 24 == (cpu_self()->apic_id & 0xff));
}

static void test_calls(const char *name)
{
	for (uint32_t i = 0; i < cpu_count() * CALLS; i++) {
		uint32_t index = UINT32_MAX;

		smp_call(cpu_get(i % cpu_count()), call_body, &index);
		check(index == i % cpu_count());
	}
	report(name);
}

static void state_body(void *argument)
{
	struct cpu_state own;

	cpu_state_read(&own);
	check(memcmp(&own, argument, sizeof(own)) == 0);
	check(cr3_read() == pagetable_root().v);
}

static void test_state(void)
{
	struct cpu_state own;

	cpu_state_read(&own);
	for (uint32_t i = 0; i < cpu_count(); i++)
		smp_call(cpu_get(i), state_body, &own);
	report("state");
}

static void wake_body(void *argument)
{
	(void)argument;
	fiber_wake(main_fiber);
}

// A wake that comes while the fiber waits for a call's end belongs to its next wait.
static void test_wakes(void)
{
	for (uint32_t i = 0; i < cpu_count() * CALLS; i++) {
		smp_call(cpu_get(i % cpu_count()), wake_body, NULL);
		check(fiber_wait(TIMER_NEVER));
	}
	report("wakes");
}

struct mail {
	struct cpu_message message;
	uint32_t from, to, number;
};

static uint32_t mails_seen[CPU_MAX][CPU_MAX]; // [from][to], of the receiver
static uint32_t mails_left;                   // (a)

static void mail_arrived(struct cpu_message *message)
{
	struct mail *mail = CONTAINER_OF(message, struct mail, message);

	check(mail->to == cpu_self()->index);
	check(mails_seen[mail->from][mail->to]++ == mail->number);
	free(mail);
	if (__atomic_sub_fetch(&mails_left, 1, __ATOMIC_SEQ_CST) == 0)
		fiber_wake(main_fiber);
}

static void mail_main(void *argument)
{
	(void)argument;
	for (uint32_t number = 0; number < MESSAGES; number++) {
		for (uint32_t to = 0; to < cpu_count(); to++) {
			struct mail *mail = malloc(sizeof(*mail));

			ASSERT(mail != NULL);
			*mail = (struct mail){
				{mail_arrived, NULL}, cpu_self()->index, to, number};
			smp_post(cpu_get(to), &mail->message);
		}
		if (number % 8 == 7)
			fiber_yield();
	}
	job_done();
}

static void test_messages(void)
{
	mails_left = cpu_count() * cpu_count() * MESSAGES;
	run_everywhere(mail_main);
	while (__atomic_load_n(&mails_left, __ATOMIC_SEQ_CST) != 0)
		(void)fiber_wait(TIMER_NEVER);
	report("messages");
}

static void timer_main(void *argument)
{
	uint32_t index = cpu_self()->index;

	(void)argument;
	for (uint32_t i = 0; i < TIMERS; i++) {
		uint64_t deadline = rdtsc() + clock_ns_to_tsc(500000 + i * 1000);

		check(!fiber_wait(deadline));
		check(rdtsc() >= deadline);
		check(cpu_self()->index == index);
	}
	job_done();
}

static void fibers_main(void *argument)
{
	(void)argument;
	for (uint32_t i = 0; i < FIBERS; i++) {
		check(fiber_create("short", nothing, NULL) != NULL);
		fiber_yield();
	}
	job_done();
}

static void heap_main(void *argument)
{
	uint8_t *blocks[BLOCKS] = {NULL};
	uint32_t sizes[BLOCKS] = {0}, index = cpu_self()->index, random = index;

	(void)argument;
	for (uint32_t i = 0; i < BLOCK_ROUNDS; i++) {
		uint32_t at = i % BLOCKS;
		void *page = mem_pages_alloc(1 + i % 3);
		void *large = i % 64 == 0 ? mem_large_alloc() : NULL;

		for (uint32_t k = 0; k < sizes[at]; k++)
			check(blocks[at][k] == (uint8_t)(index + at));
		free(blocks[at]);
		random = random * 1664525 + 1013904223;
		sizes[at] = random >> 21;
		blocks[at] = malloc(sizes[at] + 1);
		ASSERT(blocks[at] != NULL && page != NULL);
		memset(blocks[at], (int)(index + at), sizes[at]);
		for (uint32_t k = 0; k < PAGE_BYTES / 8; k++)
			check(((uint64_t *)page)[k] == 0);
		memset(page, 0xa5, PAGE_BYTES);
		mem_pages_free(page, 1 + i % 3);
		if (large != NULL)
			mem_large_free(large);
		if (i % 64 == 63)
			fiber_yield();
	}
	for (uint32_t at = 0; at < BLOCKS; at++)
		free(blocks[at]);
	job_done();
}

static void test_memory(void)
{
	uint64_t before = mem_used_bytes();

	run_everywhere(heap_main);
	run_everywhere(fibers_main);
	check(mem_used_bytes() == before);
	report("memory");
}

static void lines_main(void *argument)
{
	(void)argument;
	for (uint32_t i = 0; i < LINES; i++) {
		log_info("smp_test: line %u of CPU %u, the quick brown fox jumps over the lazy dog",
			i, cpu_self()->index);
		if (i % 4 == 3)
			fiber_yield();
	}
	job_done();
}

struct counter {
	struct loop_task task;
	uint32_t runs; // (a) stored by the task's CPU
	uint32_t limit;
};

static struct counter counters[CPU_MAX];

// Answers true up to its limit, then goes away.
static bool limited_run(struct loop_task *task)
{
	struct counter *counter = CONTAINER_OF(task, struct counter, task);

	check(cpu_self()->index == (uint32_t)(counter - counters));
	if (++counter->runs < counter->limit)
		return true;
	loop_task_remove(task);
	job_done();
	return false;
}

static bool counted_run(struct loop_task *task)
{
	struct counter *counter = CONTAINER_OF(task, struct counter, task);

	__atomic_fetch_add(&counter->runs, 1, __ATOMIC_SEQ_CST);
	return false;
}

static void test_tasks(void)
{
	pending = cpu_count();
	for (uint32_t i = 0; i < cpu_count(); i++) {
		counters[i] = (struct counter){.task.run = limited_run, .limit = 100};
		loop_task_add_on(cpu_get(i), &counters[i].task);
	}
	jobs_wait();
	for (uint32_t i = 0; i < cpu_count(); i++)
		check(counters[i].runs == 100);
	report("tasks");
}

// An idle CPU sleeps: its loop comes round to a task once, and once more for each kick.
static void test_idle(void)
{
	for (uint32_t i = 1; i < cpu_count(); i++) {
		counters[i] = (struct counter){.task.run = counted_run};
		loop_task_add_on(cpu_get(i), &counters[i].task);
	}
	(void)fiber_wait(rdtsc() + clock_ns_to_tsc(IDLE_MS * 1000000ull));
	for (uint32_t i = 1; i < cpu_count(); i++) {
		uint32_t runs = __atomic_load_n(&counters[i].runs, __ATOMIC_SEQ_CST);

		check(runs >= 1 && runs <= IDLE_RUNS_MAX);
		cpu_kick(cpu_get(i));
		while (__atomic_load_n(&counters[i].runs, __ATOMIC_SEQ_CST) == runs)
			fiber_yield(); // for ever where a kick is lost
	}
	report("idle");
}

static _Noreturn void assert_main(void *argument)
{
	(void)argument;
	ASSERT_UNREACHABLE("a crash was asked for");
}

static void storm_main(void *argument)
{
	(void)argument;
	for (;;) {
		lines_main(NULL);
		free(malloc(100));
	}
}

// Sits on every lock there is, in the middle of a line.
static void locked_main(void *argument)
{
	(void)argument;
	console_lock();
	console_write("half a line", 11);
	job_done();
	for (;;)
		cpu_relax();
}

// Runs into the guard page below its stack: a double fault, on the CPU's own stack for that.
static __attribute__((noinline)) uint32_t recurse(volatile uint32_t *depth)
{
	volatile uint8_t use[512];

	use[0] = (uint8_t)++*depth;
	return *depth != 0 ? recurse(depth) + use[0] : 0;
}

static void stack_main(void *argument)
{
	volatile uint32_t depth = 0;

	(void)argument;
	(void)recurse(&depth);
}

static void start_on(uint32_t index, void (*entry)(void *argument))
{
	smp_call(cpu_get(index), job_start, &entry);
}

static bool asked(const char *what)
{
	return strcmp(command_line, what) == 0;
}

static void crash_if_asked(void)
{
	uint32_t last = cpu_count() - 1;

	pending = UINT32_MAX;
	if (asked("assert")) {
		for (uint32_t i = 1; i < last; i++)
			start_on(i, storm_main);
		start_on(last, assert_main);
	} else if (asked("locked")) {
		pending = 1;
		start_on(1, locked_main);
		jobs_wait();
		start_on(last, assert_main);
	} else if (asked("stack")) {
		start_on(last, stack_main);
	} else if (asked("all")) {
		for (uint32_t i = cpu_count(); i-- > 0;)
			start_on(i, assert_main);
	} else if (asked("wait")) {
		log_info("smp_test: waiting");
	} else {
		return;
	}
	(void)fiber_wait(TIMER_NEVER);
}

static void test_main(void *argument)
{
	(void)argument;
	main_fiber = fiber_self();
	crash_if_asked();
	test_calls("calls from a fiber");
	test_wakes();
	test_messages();
	run_everywhere(timer_main);
	report("timers");
	test_memory();
	test_tasks();
	test_idle();
	run_everywhere(lines_main);
	report("lines");
	log_info("smp_test: done");
	debug_exit_leave(0);
}

void boot_main(struct boot_info *info)
{
	struct smp_config smp;

	test_kernel_start(info, &config);
	memcpy(command_line, info->command_line, sizeof(command_line));
	if (asked("ghost")) { // firmware names a CPU that is not there
		struct acpi_madt *madt = (struct acpi_madt *)(uintptr_t)&acpi_host()->madt;

		memmove(madt->apic_ids + 1, madt->apic_ids,
			(ACPI_CPUS_MAX - 1) * sizeof(madt->apic_ids[0]));
		madt->apic_ids[0] = GHOST_APIC_ID;
		madt->cpu_count++;
	}
	smp = (struct smp_config){(enum smp_source)config.host.cpus_from, config.host.cpus};
	smp_start(info, &smp);
	test_calls("calls before the loop");
	test_state();
	if (fiber_create("test", test_main, NULL) == NULL)
		ASSERT_UNREACHABLE("no memory");
	loop_run();
}

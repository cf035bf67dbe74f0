// SPDX-License-Identifier: BSD-2-Clause
// What tests with real threads under the thread sanitizer share, where each thread is a CPU: the
// kernel's way of failing, who a thread is, and wait_seed between steps.
#ifndef TESTS_UNIT_THREADS_H
#define TESTS_UNIT_THREADS_H

// clang-format off: cmocka.h wants these first.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
// clang-format on

#include <asm/prctl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel/base/assert.h"
#include "kernel/base/status.h"
#include "kernel/clock.h"
#include "kernel/cpu.h"
#include "vm/splitmix.h"

uint64_t clock_tsc_to_ns = BIT(CLOCK_TSC_SHIFT);

_Noreturn void assert_fail(const char *condition, const char *file, int line)
{
	fprintf(stderr, "%s:%d: %s\n", file, line, condition);
	abort();
}

enum status status_origin_record(enum status status, const char *file, int line)
{
	(void)file;
	(void)line;
	return status;
}

// This thread is that CPU from here on.
static inline void thread_is(struct cpu *cpu)
{
	syscall(SYS_arch_prctl, ARCH_SET_GS, cpu);
}

// Of each thread: a seed says how long it wait_seed.
static __thread uint64_t wait_seed;

static inline void wait_somewhat(void)
{
	uint64_t times = splitmix_next(&wait_seed) % 64;

	if (times > 56)
		sched_yield();
	for (; times < 48 && times > 0; times--)
		__builtin_ia32_pause();
}

#endif

// SPDX-License-Identifier: BSD-2-Clause
// What the det_* payloads share. They print whatever the machine tells them, times included: two
// runs of a recordable machine must print the same.
#ifndef TESTS_GUEST_DET_H
#define TESTS_GUEST_DET_H

#include "payload.h"

#define DET_HASH_START 0xcbf29ce484222325ull

// FNV-1a, by words.
static inline uint64_t det_hash(uint64_t hash, uint64_t value)
{
	return (hash ^ value) * 0x100000001b3ull;
}

static inline bool det_is_intel(void)
{
	return cpuid(0, 0).ebx == 0x756e6547;
}

struct det_call {
	void (*function)(void *);
	void *argument;
};

static inline void det_enter_user(void *argument)
{
	const struct det_call *call = (const struct det_call *)argument;

	trap_call_user((uintptr_t)call->function, 2, (uintptr_t)call->argument);
}

// Calls the function in ring 3. True: it trapped.
static inline bool det_user(void (*function)(void *), void *argument)
{
	struct det_call call = {function, argument};

	return trap_catch(det_enter_user, &call) && trap_last.vector != TRAP_USER_END;
}

// A wait that the host may fill with interrupts, other machines and exits of its own.
static inline void det_long_while(void)
{
	uint64_t loops = 2000000;

	__asm__ volatile("1: decq %0; jnz 1b" : "+r"(loops));
}

#endif

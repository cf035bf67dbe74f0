// SPDX-License-Identifier: BSD-2-Clause
// The bench of hpet_test.c and hpet_random_test.c: the block and its registers.
#ifndef TESTS_UNIT_HPET_BENCH_H
#define TESTS_UNIT_HPET_BENCH_H

#include "tests/unit/fake_env.h"

#include "emul/hpet.h"

enum {
	EDGE = HPET_TIMER_INTERRUPT,
	LEVEL = HPET_TIMER_INTERRUPT | HPET_TIMER_LEVEL,
	ROUTE_16 = 16 << HPET_TIMER_ROUTE_SHIFT,
	ROUTE_17 = 17 << HPET_TIMER_ROUTE_SHIFT,
	WRITABLE = 0x3f4e,
};

static struct fake_env env;

static inline int setup(void **state)
{
	(void)state;
	fake_create(&env, &hpet_model);
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	fake_destroy(&env);
	return 0;
}

static inline uint64_t in(unsigned at)
{
	return fake_read(&env, HPET_REGION_REGISTERS, at, 8);
}

static inline void out(unsigned at, uint64_t value)
{
	fake_write(&env, HPET_REGION_REGISTERS, at, 8, value);
}

static inline uint32_t in32(unsigned at)
{
	return (uint32_t)fake_read(&env, HPET_REGION_REGISTERS, at, 4);
}

static inline void out32(unsigned at, uint32_t value)
{
	fake_write(&env, HPET_REGION_REGISTERS, at, 4, value);
}

static inline unsigned timer_at(unsigned number, unsigned reg)
{
	return HPET_TIMER + number * HPET_TIMER_BYTES + reg;
}

static inline void configure(unsigned number, uint64_t config)
{
	out(timer_at(number, HPET_TIMER_CONFIGURATION), config);
}

static inline uint64_t config_of(unsigned number)
{
	return in(timer_at(number, HPET_TIMER_CONFIGURATION)) & WRITABLE;
}

static inline void compare(unsigned number, uint64_t value)
{
	out(timer_at(number, HPET_TIMER_COMPARATOR), value);
}

static inline uint64_t comparator_of(unsigned number)
{
	return in(timer_at(number, HPET_TIMER_COMPARATOR));
}

static inline void pass(uint64_t ticks)
{
	fake_advance(&env, ticks * HPET_TICK_NS);
}

#endif

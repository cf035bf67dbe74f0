// SPDX-License-Identifier: BSD-2-Clause
// What the local APIC's three tests share: its operations as stimuli.
#ifndef TESTS_UNIT_LAPIC_TEST_H
#define TESTS_UNIT_LAPIC_TEST_H

#include "tests/unit/fake_env.h"

#include "emul/lapic.h"

#define TSC_HZ UINT64_C(3000000000)

static inline struct device *create(struct fake_env *env, uint32_t apic_id)
{
	struct device *device = fake_create(env, &lapic_model);

	lapic_configure(device, apic_id, TSC_HZ);
	fake_reset(env, DEVICE_RESET_POWER);
	fake_clear(env);
	return device;
}

static inline uint32_t get(struct fake_env *env, unsigned index)
{
	return (uint32_t)fake_read(env, LAPIC_REGION_PAGE, 16 * index, 4);
}

static inline void put(struct fake_env *env, unsigned index, uint32_t value)
{
	fake_write(env, LAPIC_REGION_PAGE, 16 * index, 4, value);
}

static inline void software_enable(struct fake_env *env)
{
	put(env, LAPIC_SVR, 0x1ff);
}

static inline enum status msr_read(struct fake_env *env, unsigned index, uint64_t *value)
{
	enum status status;

	env->in_stimulus = true;
	status = lapic_msr_read(env->device, env->now, LAPIC_MSR_FIRST + index, value);
	env->in_stimulus = false;
	return status;
}

static inline enum status msr_write(struct fake_env *env, unsigned index, uint64_t value)
{
	enum status status;

	env->in_stimulus = true;
	status = lapic_msr_write(env->device, env->now, LAPIC_MSR_FIRST + index, value);
	env->in_stimulus = false;
	return status;
}

static inline uint64_t msr(struct fake_env *env, unsigned index)
{
	uint64_t value = 0;

	assert_int_equal(msr_read(env, index, &value), STATUS_OK);
	return value;
}

static inline enum status base_write(struct fake_env *env, uint64_t value)
{
	enum status status;

	env->in_stimulus = true;
	status = lapic_base_write(env->device, env->now, value);
	env->in_stimulus = false;
	return status;
}

static inline void deadline_write(struct fake_env *env, uint64_t value)
{
	env->in_stimulus = true;
	lapic_tsc_deadline_write(env->device, env->now, value);
	env->in_stimulus = false;
}

static inline void enter_x2apic(struct fake_env *env)
{
	assert_int_equal(base_write(env, lapic_base_read(env->device) | LAPIC_BASE_X2APIC),
		STATUS_OK);
}

static inline uint8_t acknowledge(struct fake_env *env)
{
	uint8_t vector;

	env->in_stimulus = true;
	vector = lapic_acknowledge(env->device);
	env->in_stimulus = false;
	return vector;
}

static inline void deliver(struct fake_env *env, uint8_t delivery, uint8_t vector, bool level)
{
	const struct interrupt_message message = {
		.vector = vector, .delivery = delivery, .level = level, .assert = true};

	fake_message(env, &message);
}

static inline int pending(struct fake_env *env)
{
	return lapic_pending_vector(env->device);
}

#endif

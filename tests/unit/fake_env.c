// SPDX-License-Identifier: BSD-2-Clause
#include "tests/unit/fake_env.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/base/assert.h"

enum status status_origin_record(enum status status, const char *file, int line)
{
	(void)file;
	(void)line;
	return status;
}

_Noreturn void assert_fail(const char *condition, const char *file, int line)
{
	if (global_expecting_assert) // inside cmocka's expect_assert_failure()
		mock_assert(0, condition, file, line);
	fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, condition);
	abort();
}

static void stimulus_begin(struct fake_env *env)
{
	assert_false(env->in_stimulus);
	env->in_stimulus = true;
}

static void stimulus_end(struct fake_env *env)
{
	env->in_stimulus = false;
}

void (*fake_configure)(struct device *device);

static struct device *instance_create(struct fake_env *env, const struct device_model *model)
{
	struct device *device = malloc(model->instance_bytes);

	assert_non_null(device);
	assert_int_equal(model->instance_bytes, model->state->struct_bytes);
	memset(device, 0xa5, model->instance_bytes);
	*device = (struct device){.model = model, .env = &fake_effects, .owner = env};
	if (fake_configure != NULL)
		fake_configure(device);
	return device;
}

void fake_reset(struct fake_env *env, enum device_reset kind)
{
	for (unsigned i = 0; i < FAKE_TIMERS; i++)
		env->deadline[i] = GUEST_TIME_NEVER;
	memset(env->bottom_half, 0, sizeof(env->bottom_half));
	memset(env->line, 0, sizeof(env->line));
	memset(env->region, 0, sizeof(env->region));
	env->maps = 0;
	stimulus_begin(env);
	env->device->model->reset(env->device, env->now, kind);
	stimulus_end(env);
}

struct device *fake_create(struct fake_env *env, const struct device_model *model)
{
	*env = (struct fake_env){.now = {1000000}, .give_answer = STATUS_UNSUPPORTED};
	env->device = instance_create(env, model);
	if (model->memory_bytes != 0) {
		env->memory = calloc(1, model->memory_bytes);
		assert_non_null(env->memory);
	}
	fake_reset(env, DEVICE_RESET_POWER);
	assert_int_equal(state_check(model->state, env->device, NULL), STATUS_OK);
	return env->device;
}

void fake_destroy(struct fake_env *env)
{
	free(env->device);
	free(env->memory);
	env->device = NULL;
	env->memory = NULL;
}

uint64_t fake_read(struct fake_env *env, unsigned region, uint64_t offset, unsigned size)
{
	uint64_t value;

	stimulus_begin(env);
	value = env->device->model->read(env->device, env->now, region, offset, size);
	stimulus_end(env);
	return size == 8 ? value : value & (BIT(8 * size) - 1);
}

void fake_write(struct fake_env *env, unsigned region, uint64_t offset, unsigned size,
	uint64_t value)
{
	stimulus_begin(env);
	env->device->model->write(env->device, env->now, region, offset, size, value);
	stimulus_end(env);
}

void fake_line(struct fake_env *env, unsigned input, bool level)
{
	assert_true(input < env->device->model->inputs);
	env->input[input] = level;
	stimulus_begin(env);
	env->device->model->line(env->device, env->now, input, level);
	stimulus_end(env);
}

void fake_message(struct fake_env *env, const struct interrupt_message *message)
{
	stimulus_begin(env);
	env->device->model->message(env->device, env->now, message);
	stimulus_end(env);
}

void fake_receive(struct fake_env *env, unsigned port, const void *bytes, size_t count)
{
	stimulus_begin(env);
	env->device->model->receive(env->device, env->now, port, bytes, count);
	stimulus_end(env);
}

void fake_input(struct fake_env *env, const struct device_input *input)
{
	stimulus_begin(env);
	env->device->model->input(env->device, env->now, input);
	stimulus_end(env);
}

bool fake_serve(struct fake_env *env, bool last)
{
	unsigned served;

	assert_true(env->given);
	stimulus_begin(env);
	served = env->device->model->serve(env->device, last);
	if (served & DEVICE_SERVED_NOTE)
		env->device->model->served(env->device, env->now);
	stimulus_end(env);
	return (served & DEVICE_SERVED_WORK) != 0;
}

void fake_recall(struct fake_env *env)
{
	assert_true(env->given);
	env->given = false;
	stimulus_begin(env);
	env->device->model->recall(env->device, env->now);
	stimulus_end(env);
}

void fake_complete(struct fake_env *env, unsigned port, uint64_t request, enum status status)
{
	stimulus_begin(env);
	env->device->model->complete(env->device, env->now, port, request, status);
	stimulus_end(env);
}

void fake_set(struct fake_env *env, enum device_setting setting, uint64_t value)
{
	stimulus_begin(env);
	env->device->model->set(env->device, env->now, setting, value);
	stimulus_end(env);
}

void fake_packet(struct fake_env *env, unsigned port, const struct device_frame *frame)
{
	stimulus_begin(env);
	env->device->model->packet(env->device, env->now, port, frame);
	stimulus_end(env);
}

bool fake_level(struct fake_env *env, unsigned output)
{
	return env->device->model->level(env->device, env->now, output);
}

void fake_run_bottom_halves(struct fake_env *env)
{
	for (unsigned i = 0; i < env->device->model->bottom_halves; i++) {
		if (!env->bottom_half[i])
			continue;
		env->bottom_half[i] = false;
		stimulus_begin(env);
		env->device->model->bottom_half(env->device, env->now, i);
		stimulus_end(env);
	}
}

static unsigned earliest_timer(const struct fake_env *env)
{
	unsigned first = 0;

	for (unsigned i = 1; i < env->device->model->timers; i++)
		if (env->deadline[i].ns < env->deadline[first].ns)
			first = i;
	return first;
}

void fake_advance(struct fake_env *env, uint64_t ns)
{
	uint64_t end = env->now.ns + ns;

	fake_run_bottom_halves(env);
	while (env->device->model->timers > 0) {
		unsigned timer = earliest_timer(env);

		if (env->deadline[timer].ns > end)
			break;
		if (env->deadline[timer].ns > env->now.ns)
			env->now = env->deadline[timer];
		env->deadline[timer] = GUEST_TIME_NEVER;
		stimulus_begin(env);
		env->device->model->timer(env->device, env->now, timer);
		stimulus_end(env);
		fake_run_bottom_halves(env);
	}
	env->now.ns = end;
}

struct device *fake_save_and_load(struct fake_env *env)
{
	const struct device_model *model = env->device->model;
	size_t bytes = state_saved_bytes(model->state, model->state->version);
	uint8_t *buffer = malloc(bytes + 1);
	struct device *old = env->device;
	struct state_error error = {0};
	struct fake_env before;

	assert_non_null(buffer);
	assert_int_equal(state_save(model->state, old, buffer, bytes), STATUS_OK);
	before = *env;
	env->device = instance_create(env, model);
	fake_reset(env, DEVICE_RESET_POWER);
	if (state_load(model->state, model->state->version, buffer, bytes, env->device, &error) !=
		STATUS_OK)
		fail_msg("load refused: %s %s: %s", model->name,
			error.field != NULL ? error.field : "", error.reason);
	free(buffer);
	if (model->loaded != NULL)
		fake_loaded(env);
	assert_null(state_first_difference(model->state, old, env->device, NULL));
	assert_memory_equal(before.line, env->line, sizeof(env->line));
	assert_memory_equal(before.region, env->region, sizeof(env->region));
	for (unsigned i = 0; i < model->timers; i++)
		assert_int_equal(before.deadline[i].ns, env->deadline[i].ns);
	memcpy(env->line_rises, before.line_rises, sizeof(env->line_rises));
	memcpy(env->bottom_half, before.bottom_half, sizeof(env->bottom_half));
	env->line_calls = before.line_calls;
	env->messages = before.messages;
	env->requests = before.requests;
	free(old);
	return env->device;
}

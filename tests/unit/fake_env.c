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

static struct fake_env *env_of(struct device *device)
{
	return device->owner;
}

static struct fake_env *env_in_stimulus(struct device *device)
{
	struct fake_env *env = env_of(device);

	assert_true(env->in_stimulus);
	return env;
}

static void fake_set_line(struct device *device, unsigned output, bool level)
{
	struct fake_env *env = env_in_stimulus(device);

	assert_true(output < device->model->outputs);
	env->line_calls++;
	if (level && !env->line[output])
		env->line_rises[output]++;
	env->line[output] = level;
}

static bool fake_sample(struct device *device, unsigned input)
{
	assert_true(input < device->model->inputs);
	return env_of(device)->input[input];
}

static void fake_send_message(struct device *device, const struct interrupt_message *message)
{
	struct fake_env *env = env_in_stimulus(device);

	assert_true(env->messages < FAKE_MESSAGES);
	env->message[env->messages++] = *message;
}

static bool in_ram(struct gpa at, size_t bytes)
{
	return bytes <= FAKE_RAM_BYTES && at.v <= FAKE_RAM_BYTES - bytes;
}

static enum status fake_dma_read(struct device *device, struct gpa from, void *to, size_t bytes)
{
	if (!in_ram(from, bytes))
		return STATUS_FAIL(STATUS_RANGE);
	memcpy(to, env_in_stimulus(device)->ram + from.v, bytes);
	return STATUS_OK;
}

static enum status fake_dma_write(struct device *device, struct gpa to, const void *from,
	size_t bytes)
{
	if (!in_ram(to, bytes))
		return STATUS_FAIL(STATUS_RANGE);
	memcpy(env_in_stimulus(device)->ram + to.v, from, bytes);
	return STATUS_OK;
}

static enum status fake_dma_map(struct device *device, struct gpa at, size_t bytes, bool writable,
	struct device_dma_map *map)
{
	struct fake_env *env = env_in_stimulus(device);

	if (env->refuses_maps || !in_ram(at, bytes))
		return env->refuses_maps ? STATUS_AGAIN : STATUS_RANGE;
	env->maps++;
	*map = (struct device_dma_map){.address = env->ram + at.v, .gpa = at, .bytes = bytes,
		.writable = writable};
	return STATUS_OK;
}

static void fake_dma_unmap(struct device *device, struct device_dma_map *map, size_t written)
{
	assert_true(env_in_stimulus(device)->maps-- > 0 && map->address != NULL);
	assert_true(written <= map->bytes && (map->writable || written == 0));
	map->address = NULL;
}

static void fake_dma_written(struct device *device, const struct device_dma_map *map,
	uint64_t offset, size_t bytes)
{
	(void)device;
	assert_true(map->address != NULL && map->writable);
	assert_true(bytes <= map->bytes && offset <= map->bytes - bytes);
}

static void fake_arm_timer(struct device *device, unsigned timer, struct guest_time deadline)
{
	assert_true(timer < device->model->timers);
	env_in_stimulus(device)->deadline[timer] = deadline;
}

static void fake_schedule_bottom_half(struct device *device, unsigned bottom_half)
{
	assert_true(bottom_half < device->model->bottom_halves);
	env_in_stimulus(device)->bottom_half[bottom_half] = true;
}

static enum status fake_submit(struct device *device, unsigned port, const struct device_io *io)
{
	struct fake_env *env = env_in_stimulus(device);

	(void)port;
	env->submits++;
	env->io = *io;
	if (io->piece_count != 0)
		memcpy(env->io_pieces, io->pieces, io->piece_count * sizeof(*io->pieces));
	return env->submit_answer;
}

static void fake_drop(struct device *device, unsigned port, uint64_t request)
{
	struct fake_env *env = env_in_stimulus(device);

	(void)port;
	env->drops++;
	env->dropped = request;
}

static void fake_report(struct device *device, const char *what)
{
	struct fake_env *env = env_in_stimulus(device);

	env->reports++;
	env->report = what;
}

static void fake_output(struct device *device, unsigned port, const uint8_t *bytes, size_t count)
{
	struct fake_env *env = env_in_stimulus(device);

	(void)port;
	assert_true(count <= FAKE_OUTPUT_BYTES - env->output_bytes);
	memcpy(env->output + env->output_bytes, bytes, count);
	env->output_bytes += count;
}

static void fake_send(struct device *device, unsigned port, const struct device_frame *frame)
{
	struct fake_env *env = env_in_stimulus(device);

	(void)port;
	assert_true(device_frame_is_valid(frame));
	env->sends++;
	env->frame = *frame;
	env->frame.bytes = env->frame_bytes;
	memcpy(env->frame_bytes, frame->bytes, frame->count);
}

static void fake_map_region(struct device *device, unsigned region, enum device_space space,
	uint64_t base, uint64_t bytes)
{
	struct fake_env *env = env_in_stimulus(device);

	assert_true(region < FAKE_REGIONS && bytes > 0 && base + bytes - 1 >= base);
	assert_true(space != DEVICE_SPACE_PORT || base + bytes <= 0x10000);
	env->region[region] = (struct fake_region){base, bytes, space};
	env->region_calls++;
}

static void fake_unmap_region(struct device *device, unsigned region)
{
	struct fake_env *env = env_in_stimulus(device);

	assert_true(region < FAKE_REGIONS);
	env->region[region] = (struct fake_region){0, 0, 0};
	env->region_calls++;
}

static void fake_memory_read(const struct device *device, uint64_t offset, void *to, size_t bytes)
{
	const struct fake_env *env = device->owner;

	assert_true(offset <= device->model->memory_bytes &&
		bytes <= device->model->memory_bytes - offset);
	memcpy(to, env->memory + offset, bytes);
}

static void fake_memory_write(struct device *device, uint64_t offset, const void *from,
	size_t bytes)
{
	struct fake_env *env = env_in_stimulus(device);

	assert_true(offset <= device->model->memory_bytes &&
		bytes <= device->model->memory_bytes - offset);
	memcpy(env->memory + offset, from, bytes);
	env->memory_writes++;
}

static void fake_request(struct device *device, enum device_request request, uint32_t argument)
{
	struct fake_env *env = env_in_stimulus(device);

	env->requests++;
	env->request = request;
	env->request_argument = argument;
}

static enum status fake_give_queues(struct device *device)
{
	struct fake_env *env = env_in_stimulus(device);

	assert_false(env->given);
	env->given = env->give_answer == STATUS_OK;
	return env->give_answer;
}

static void fake_take_queues(struct device *device)
{
	struct fake_env *env = env_in_stimulus(device);

	env->given = false;
}

static void fake_kick_queues(struct device *device)
{
	struct fake_env *env = env_in_stimulus(device);

	assert_true(env->given);
	env->kicks++;
}

static const struct device_env fake_ops = {
	.set_line = fake_set_line,
	.sample = fake_sample,
	.send_message = fake_send_message,
	.dma_read = fake_dma_read,
	.dma_write = fake_dma_write,
	.dma_map = fake_dma_map,
	.dma_unmap = fake_dma_unmap,
	.dma_written = fake_dma_written,
	.arm_timer = fake_arm_timer,
	.schedule_bottom_half = fake_schedule_bottom_half,
	.submit = fake_submit,
	.drop = fake_drop,
	.output = fake_output,
	.send = fake_send,
	.map_region = fake_map_region,
	.unmap_region = fake_unmap_region,
	.memory_read = fake_memory_read,
	.memory_write = fake_memory_write,
	.request = fake_request,
	.report = fake_report,
	.give_queues = fake_give_queues,
	.take_queues = fake_take_queues,
	.kick_queues = fake_kick_queues,
};

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
	*device = (struct device){.model = model, .env = &fake_ops, .owner = env};
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

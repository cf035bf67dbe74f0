// SPDX-License-Identifier: BSD-2-Clause
// What a device under test has done, for its test to look at.
#include <string.h>

#include "tests/unit/fake_env.h"

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

	env->submits++;
	env->io = *io;
	env->io_port = port;
	if (io->kind == DEVICE_IO_WRITE && io->piece_count == 0) {
		assert_true(io->bytes <= sizeof(env->data));
		memcpy(env->data, io->data, io->bytes);
	}
	if (io->piece_count != 0)
		memcpy(env->io_pieces, io->pieces, io->piece_count * sizeof(*io->pieces));
	return env->submit_answer;
}

static void fake_take_data(struct device *device, unsigned port, void *to, size_t bytes)
{
	struct fake_env *env = env_in_stimulus(device);

	assert_int_equal(port, env->io_port);
	assert_true(bytes <= sizeof(env->data));
	memcpy(to, env->data, bytes);
}

static void fake_drop(struct device *device, unsigned port, uint64_t request)
{
	struct fake_env *env = env_in_stimulus(device);

	env->dropped_port = port;
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

const struct device_env fake_effects = {
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
	.take_data = fake_take_data,
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

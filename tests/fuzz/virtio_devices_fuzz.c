// SPDX-License-Identifier: BSD-2-Clause
// The virtio devices without a back end, between a driver and an operator that do anything. Input:
// which device, how it begins (a byte each), and steps as in virtio_fuzz.c.
#include "emul/virtio_balloon.h"
#include "emul/virtio_console.h"
#include "emul/virtio_rng.h"
#include "tests/fuzz/virtio_env.h"

#include <string.h>

enum { STEP = 0x100, OUTPUT_MAX = 4096 };

static const struct {
	const struct device_model *model;
	uint32_t features;
	unsigned queues;
} kinds[] = {
	{&virtio_rng_model, 0, 1},
	{&virtio_console_model, 5, 2},
	{&virtio_balloon_model, 6, 3},
};

static size_t output; // of one step

static void env_output(struct device *device, unsigned port, const uint8_t *bytes, size_t count)
{
	(void)device;
	demand(port == VIRTIO_CONSOLE_PORT_CHARACTERS && bytes != NULL);
	output += count;
	demand(output <= OUTPUT_MAX);
}

static const struct device_env ops = {ENV_COMMON, ENV_VIRTIO, .output = env_output};

static void configure(struct device *device)
{
	static const uint32_t seed[CHACHA20_KEY_WORDS] = {1};

	if (env.model == &virtio_rng_model)
		virtio_rng_configure(device, seed);
}

static void operate(struct input *input, unsigned what)
{
	uint8_t bytes[8];
	uint64_t value = take(input, 4);
	size_t count = take(input, 1) % sizeof(bytes), room, left;
	struct virtio_balloon_report report;

	(void)what;
	if (env.model == &virtio_balloon_model)
		virtio_balloon_report(env.device, &report);
	if (env.model->accepts != NULL &&
		env.model->accepts(env.device, DEVICE_SETTING_BALLOON_PAGES, value))
		env.model->set(env.device, env.now, DEVICE_SETTING_BALLOON_PAGES, value);
	if (env.model->receive == NULL)
		return;
	room = env.model->receive_room(env.device, VIRTIO_CONSOLE_PORT_CHARACTERS);
	memset(bytes, (int)(value & 0xff), sizeof(bytes)); // as many as there is room for, or more
	env.model->receive(env.device, env.now, VIRTIO_CONSOLE_PORT_CHARACTERS, bytes, count);
	left = env.model->receive_room(env.device, VIRTIO_CONSOLE_PORT_CHARACTERS);
	demand(left == 0 || left + count >= room); // they are in a buffer, or still here
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	unsigned kind = (unsigned)take(&input, 1) % ARRAY_COUNT(kinds);
	unsigned how = (unsigned)take(&input, 1);

	env_start(kinds[kind].model, &ops, configure);
	virtio_begin(how, kinds[kind].features, kinds[kind].queues, STEP);
	while (input.left > 0) {
		output = 0;
		virtio_step(&input, operate);
	}
	env_end();
	return 0;
}

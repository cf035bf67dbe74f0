// SPDX-License-Identifier: BSD-2-Clause
// The virtio devices without a back end, between a driver and an operator that do anything. Input:
// which device, how it begins (a byte each), and steps as in virtio_fuzz.c.
#include "emul/virtio_balloon.h"
#include "emul/virtio_console.h"
#include "emul/virtio_rng.h"
#include "tests/fuzz/virtio_env.h"

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

static const struct device_model *model;
static size_t output; // of one stimulus

static void env_output(struct device *device, unsigned port, const uint8_t *bytes, size_t count)
{
	(void)device;
	demand(port == VIRTIO_CONSOLE_PORT_CHARACTERS && bytes != NULL);
	output += count;
	demand(output <= OUTPUT_MAX);
}

// No core serves queues here.
static enum status env_give_queues(struct device *device)
{
	(void)device;
	return STATUS_UNSUPPORTED;
}

static void env_take_queues(struct device *device)
{
	(void)device;
}

static const struct device_env ops = {
	.set_line = env_set_line,
	.send_message = env_send_message,
	.dma_read = env_dma_read,
	.dma_write = env_dma_write,
	.arm_timer = env_arm_timer,
	.schedule_bottom_half = env_schedule_bottom_half,
	.output = env_output,
	.map_region = env_map_region,
	.unmap_region = env_unmap_region,
	.report = env_report,
	.give_queues = env_give_queues,
	.take_queues = env_take_queues,
};

static struct device *create(void)
{
	static const uint32_t seed[CHACHA20_KEY_WORDS] = {1};
	struct device *device = calloc(1, model->instance_bytes);

	demand(device != NULL);
	*device = (struct device){.model = model, .env = &ops};
	if (model == &virtio_rng_model)
		virtio_rng_configure(device, seed);
	model->reset(device, (struct guest_time){env.now}, DEVICE_RESET_POWER);
	return device;
}

static void time_pass(void)
{
	uint32_t halves = env.halves;

	env.now += 1000000;
	env.halves = 0;
	for (unsigned i = 0; i < model->bottom_halves; i++) {
		output = 0;
		if ((halves & 1u << i) != 0)
			model->bottom_half(env.device, (struct guest_time){env.now}, i);
	}
}

static void operate(struct input *input)
{
	uint8_t bytes[8];
	uint64_t value = take(input, 4);
	size_t count = take(input, 1) % sizeof(bytes);

	if (model->accepts != NULL &&
		model->accepts(env.device, DEVICE_SETTING_BALLOON_PAGES, value))
		model->set(env.device, (struct guest_time){env.now}, DEVICE_SETTING_BALLOON_PAGES,
			value);
	if (model->receive == NULL)
		return;
	memset(bytes, (int)(value & 0xff), sizeof(bytes)); // as many as there is room for, or more
	model->receive(env.device, (struct guest_time){env.now}, VIRTIO_CONSOLE_PORT_CHARACTERS,
		bytes, count);
}

static void step(struct input *input)
{
	uint32_t what = take(input, 1);

	output = 0;
	switch (what % 16) {
	case 0 ... 3:
		ram_write(input);
		break;
	case 4 ... 5:
		out(VIRTIO_BAR_MODERN, VIRTIO_NOTIFY_AT + what / 16 * VIRTIO_NOTIFY_MULTIPLIER, 2,
			0);
		break;
	case 6:
		operate(input);
		break;
	case 7:
		time_pass();
		break;
	case 8 ... 9:
		access(input, VIRTIO_BAR_MODERN, what < 128 ? VIRTIO_COMMON_BYTES
							    : VIRTIO_MODERN_BYTES, what % 2);
		break;
	case 10 ... 11:
		access(input, VIRTIO_BAR_LEGACY, VIRTIO_LEGACY_BYTES, what % 2);
		break;
	case 12 ... 13:
		access(input, what < 64 ? VIRTIO_BAR_MSIX : PCIDEV_REGION_CONFIG,
			what < 64 ? VIRTIO_MSIX_BYTES : PCIDEV_CONFIG_BYTES, what % 2);
		break;
	case 14:
		save_and_load();
		break;
	default:
		load_altered(input);
		break;
	}
	demand(state_check(model->state, env.device, NULL) == STATUS_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	uint32_t kind = take(&input, 1) % ARRAY_COUNT(kinds), how = take(&input, 1);

	memset(&env, 0, sizeof(env));
	model = kinds[kind].model;
	env.device = create();
	if (how & BEGIN_READY)
		ready(how, kinds[kind].features, kinds[kind].queues, STEP);
	while (input.left > 0)
		step(&input);
	model->reset(env.device, (struct guest_time){env.now}, DEVICE_RESET_LINE);
	free(env.device);
	return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
// A virtio disk between a driver and a back end that do anything. Input: how it begins (a byte),
// and steps, each of a byte that says what and the bytes that it needs.
//
// After each step the state must be one that can be loaded, and no effect may lie outside of what
// the contract allows.
#include "emul/virtio_blk.h"
#include "emul/virtio_blk_internal.h"
#include "tests/fuzz/virtio_env.h"

enum { REQUESTS = 2 * DEVICE_IO_MAX };

static struct {
	uint64_t requests[REQUESTS];
	unsigned count;
	bool readonly;
} medium;

static enum status env_submit(struct device *device, unsigned port, const struct device_io *io)
{
	uint64_t bytes = 0;

	(void)device;
	demand(port == VIRTIO_BLK_PORT_MEDIUM && io->kind < DEVICE_IO_KINDS);
	demand(io->piece_count <= DEVICE_IO_PIECES_MAX);
	demand(!medium.readonly || io->kind == DEVICE_IO_READ || io->kind == DEVICE_IO_FLUSH);
	for (unsigned i = 0; i < io->piece_count; i++) {
		bytes += io->pieces[i].bytes;
		if (!in_ram(io->pieces[i].at, io->pieces[i].bytes))
			return STATUS_RANGE;
	}
	demand(bytes <= DEVICE_IO_BYTES_MAX);
	for (unsigned i = 0; i < medium.count; i++)
		demand(medium.requests[i] != io->request);
	if (medium.count == DEVICE_IO_MAX)
		return STATUS_BUSY;
	medium.requests[medium.count++] = io->request;
	return STATUS_OK;
}

static void env_drop(struct device *device, unsigned port, uint64_t request)
{
	(void)device;
	(void)port;
	(void)request; // it stays under way, and its completion is not told: as if it were late
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
	.submit = env_submit,
	.drop = env_drop,
	.map_region = env_map_region,
	.unmap_region = env_unmap_region,
	.report = env_report,
	.give_queues = env_give_queues,
	.take_queues = env_take_queues,
};

static struct device *create(void)
{
	const struct virtio_blk_medium behind = {.sectors = 4096, .serial = "fuzz",
		.readonly = medium.readonly};
	struct device *device = calloc(1, virtio_blk_model.instance_bytes);

	demand(device != NULL);
	*device = (struct device){.model = &virtio_blk_model, .env = &ops};
	virtio_blk_configure(device, &behind);
	virtio_blk_model.reset(device, (struct guest_time){env.now}, DEVICE_RESET_POWER);
	return device;
}

static void complete(struct input *input)
{
	uint32_t which = take(input, 1);
	unsigned index;
	uint64_t name;

	if (medium.count == 0)
		return;
	index = which / 4 % medium.count;
	name = medium.requests[index];
	medium.requests[index] = medium.requests[--medium.count];
	virtio_blk_model.complete(env.device, (struct guest_time){env.now},
		VIRTIO_BLK_PORT_MEDIUM, name, which % 4 == 3 ? STATUS_IO : STATUS_OK);
}

static void time_pass(void)
{
	struct guest_time now = {env.now += 1000000};

	if (env.halves != 0) {
		env.halves = 0;
		virtio_blk_model.bottom_half(env.device, now, VIRTIO_BLK_HALF_CONTINUE);
	}
	if (env.armed) {
		env.armed = false;
		virtio_blk_model.timer(env.device, now, VIRTIO_BLK_TIMER_RETRY);
	}
}

static void step(struct input *input)
{
	uint32_t what = take(input, 1);

	switch (what % 16) {
	case 0 ... 3:
		ram_write(input);
		break;
	case 4 ... 5:
		out(VIRTIO_BAR_MODERN, VIRTIO_NOTIFY_AT + what / 16 * VIRTIO_NOTIFY_MULTIPLIER, 2,
			0);
		break;
	case 6:
		complete(input);
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
	demand(state_check(virtio_blk_model.state, env.device, NULL) == STATUS_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	uint32_t how = take(&input, 1);

	memset(&env, 0, sizeof(env));
	memset(&medium, 0, sizeof(medium));
	medium.readonly = (how & BEGIN_READONLY) != 0;
	env.device = create();
	if (how & BEGIN_READY)
		ready(how, 1u << VIRTIO_BLK_F_DISCARD | 1u << VIRTIO_BLK_F_WRITE_ZEROES |
			1u << VIRTIO_BLK_F_CONFIG_WCE, 2, 0);
	while (input.left > 0)
		step(&input);
	while (medium.count > 0) {
		input = (struct input){(const uint8_t *)"", 1};
		complete(&input);
	}
	virtio_blk_model.reset(env.device, (struct guest_time){env.now}, DEVICE_RESET_LINE);
	free(env.device);
	return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
// A virtio network device between a driver and a network that do anything. Input: how it begins (a
// byte), and steps, each of a byte that says what and the bytes that it needs.
//
// After each step the state must be one that can be loaded, and no effect may lie outside of what
// the contract allows.
#include <stdlib.h>
#include <string.h>

#include "emul/virtio_net.h"
#include "emul/virtio_net_internal.h"
#include "tests/fuzz/fuzz.h"

enum {
	RAM_BYTES = 1 << 16,
	RINGS = 0x1000, QUEUE_BYTES = 0x3000, QUEUE_SIZE = 8,
	BEGIN_READY = 1, BEGIN_PACKED = 2, BEGIN_EVENTS = 4, BEGIN_MERGE = 8, BEGIN_LEGACY = 16,
	BEGIN_MESSAGES = 32, BEGIN_OFFLOAD = 64,
};

static struct {
	struct device *device;
	uint8_t ram[RAM_BYTES];
	bool half;
} env;

struct input {
	const uint8_t *at;
	size_t left;
};

static const struct guest_time now = {1000000};

static void demand(bool what)
{
	if (!what)
		abort();
}

static uint32_t take(struct input *input, unsigned bytes)
{
	uint32_t value = 0;

	for (; bytes > 0 && input->left > 0; bytes--, input->left--)
		value = value << 8 | *input->at++;
	return value;
}

static bool in_ram(struct gpa at, size_t bytes)
{
	return bytes <= RAM_BYTES && at.v <= RAM_BYTES - bytes;
}

static void env_set_line(struct device *device, unsigned output, bool level)
{
	(void)level;
	demand(output < device->model->outputs);
}

static void env_send_message(struct device *device, const struct interrupt_message *message)
{
	(void)device;
	demand(message->assert);
}

static enum status env_dma_read(struct device *device, struct gpa from, void *to, size_t bytes)
{
	(void)device;
	if (!in_ram(from, bytes))
		return STATUS_RANGE;
	memcpy(to, env.ram + from.v, bytes);
	return STATUS_OK;
}

static enum status env_dma_write(struct device *device, struct gpa to, const void *from,
	size_t bytes)
{
	(void)device;
	if (!in_ram(to, bytes))
		return STATUS_RANGE;
	memcpy(env.ram + to.v, from, bytes);
	return STATUS_OK;
}

static void env_schedule_bottom_half(struct device *device, unsigned bottom_half)
{
	demand(bottom_half < device->model->bottom_halves);
	env.half = true;
}

static void env_send(struct device *device, unsigned port, const struct device_frame *frame)
{
	volatile uint8_t last;

	(void)device;
	demand(port == VIRTIO_NET_PORT && device_frame_is_valid(frame));
	last = frame->bytes[frame->count - 1];
	(void)last;
}

static void env_map_region(struct device *device, unsigned region, enum device_space space,
	uint64_t base, uint64_t bytes)
{
	(void)device;
	demand(region <= PCIDEV_REGION_ROM && bytes != 0 && base + bytes - 1 >= base);
	demand(space != DEVICE_SPACE_PORT || base + bytes <= 65536);
}

static void env_unmap_region(struct device *device, unsigned region)
{
	(void)device;
	demand(region <= PCIDEV_REGION_ROM);
}

static void env_report(struct device *device, const char *what)
{
	(void)device;
	demand(what != NULL);
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
	.schedule_bottom_half = env_schedule_bottom_half,
	.send = env_send,
	.map_region = env_map_region,
	.unmap_region = env_unmap_region,
	.report = env_report,
	.give_queues = env_give_queues,
	.take_queues = env_take_queues,
};

static struct device *create(void)
{
	static const uint8_t mac[VIRTIO_NET_MAC_BYTES] = {2, 0, 0, 0, 0, 1};
	struct device *device = calloc(1, virtio_net_model.instance_bytes);

	demand(device != NULL);
	*device = (struct device){.model = &virtio_net_model, .env = &ops};
	virtio_net_configure(device, mac);
	virtio_net_model.reset(device, now, DEVICE_RESET_POWER);
	return device;
}

static void out(unsigned region, uint64_t offset, unsigned size, uint64_t value)
{
	virtio_net_model.write(env.device, now, region, offset, size, value);
}

static void legacy_ready(void)
{
	out(VIRTIO_BAR_LEGACY, VIRTIO_LEGACY_STATUS, 1, 3);
	out(VIRTIO_BAR_LEGACY, VIRTIO_LEGACY_DRIVER_FEATURES, 4, UINT32_MAX);
	for (unsigned queue = 0; queue < VIRTIO_NET_QUEUES; queue++) {
		out(VIRTIO_BAR_LEGACY, VIRTIO_LEGACY_QUEUE_SELECT, 2, queue);
		out(VIRTIO_BAR_LEGACY, VIRTIO_LEGACY_QUEUE_PAGE, 4, 1 + 3 * queue);
	}
	out(VIRTIO_BAR_LEGACY, VIRTIO_LEGACY_STATUS, 1, 7);
}

// As a driver that knows how begins.
static void ready(unsigned how)
{
	uint32_t low = 1u << VIRTIO_F_INDIRECT_DESC | 1u << VIRTIO_NET_F_CTRL_VQ |
		1u << VIRTIO_NET_F_CTRL_RX | 1u << VIRTIO_NET_F_CTRL_VLAN |
		1u << VIRTIO_NET_F_CTRL_MAC_ADDR;

	if (how & BEGIN_EVENTS)
		low |= 1u << VIRTIO_F_EVENT_IDX;
	if (how & BEGIN_MERGE)
		low |= 1u << VIRTIO_NET_F_MRG_RXBUF;
	if (how & BEGIN_OFFLOAD)
		low |= 1u << VIRTIO_NET_F_CSUM | 1u << VIRTIO_NET_F_GUEST_CSUM;
	out(PCIDEV_REGION_CONFIG, PCIDEV_COMMAND, 2, 7);
	if (how & BEGIN_MESSAGES)
		out(PCIDEV_REGION_CONFIG, VIRTIO_CAPABILITY_MSIX + 2, 2, 0x8000);
	if (how & BEGIN_LEGACY) {
		legacy_ready();
		return;
	}
	out(VIRTIO_BAR_MODERN, VIRTIO_COMMON_STATUS, 1, 3);
	out(VIRTIO_BAR_MODERN, VIRTIO_COMMON_DRIVER_FEATURE, 4, low);
	out(VIRTIO_BAR_MODERN, VIRTIO_COMMON_DRIVER_FEATURE_SELECT, 4, 1);
	out(VIRTIO_BAR_MODERN, VIRTIO_COMMON_DRIVER_FEATURE, 4,
		1 | (how & BEGIN_PACKED ? 4u : 0) | 1u << (VIRTIO_F_RING_RESET - 32));
	out(VIRTIO_BAR_MODERN, VIRTIO_COMMON_STATUS, 1, 11);
	for (unsigned queue = 0; queue < VIRTIO_NET_QUEUES; queue++) {
		const uint64_t ring = RINGS + queue * (uint64_t)QUEUE_BYTES;

		out(VIRTIO_BAR_MODERN, VIRTIO_COMMON_QUEUE_SELECT, 2, queue);
		out(VIRTIO_BAR_MODERN, VIRTIO_COMMON_QUEUE_SIZE, 2, QUEUE_SIZE);
		out(VIRTIO_BAR_MODERN, VIRTIO_COMMON_QUEUE_DESCRIPTORS, 8, ring);
		out(VIRTIO_BAR_MODERN, VIRTIO_COMMON_QUEUE_DRIVER, 8, ring + 0x1000);
		out(VIRTIO_BAR_MODERN, VIRTIO_COMMON_QUEUE_DEVICE, 8, ring + 0x2000);
		out(VIRTIO_BAR_MODERN, VIRTIO_COMMON_QUEUE_VECTOR, 2, queue);
		out(VIRTIO_BAR_MODERN, VIRTIO_COMMON_QUEUE_ENABLE, 2, 1);
	}
	out(VIRTIO_BAR_MODERN, VIRTIO_COMMON_STATUS, 1, 15);
}

// What is saved is loaded and the same; with a byte altered it is refused, or does no harm.
static void save_and_load(struct input *input, bool alter)
{
	const struct state_table *table = virtio_net_model.state;
	size_t bytes = state_saved_bytes(table, table->version);
	uint8_t *saved = malloc(bytes);
	struct device *fresh = create();
	bool loaded;

	demand(saved != NULL && state_save(table, env.device, saved, bytes) == STATUS_OK);
	if (alter)
		saved[take(input, 2) % bytes] ^= (uint8_t)take(input, 1);
	loaded = state_load(table, table->version, saved, bytes, fresh, NULL) == STATUS_OK;
	demand(loaded || alter);
	free(saved);
	if (!loaded) {
		free(fresh);
		return;
	}
	virtio_net_model.loaded(fresh, now);
	demand(alter || state_first_difference(table, env.device, fresh, NULL) == NULL);
	free(env.device);
	env.device = fresh;
}

static void ram_write(struct input *input)
{
	uint32_t at = take(input, 2), count = take(input, 1) % 32;

	for (uint32_t i = 0; i < count && input->left > 0; i++)
		env.ram[(at + i) % RAM_BYTES] = (uint8_t)take(input, 1);
}

static void arrive(struct input *input)
{
	uint8_t bytes[DEVICE_FRAME_MAX];
	struct device_frame frame = {.bytes = bytes};
	uint32_t open;

	frame.count = (uint16_t)(DEVICE_FRAME_MIN +
		take(input, 2) % (DEVICE_FRAME_MAX - DEVICE_FRAME_MIN + 1));
	for (unsigned i = 0; i < frame.count; i++)
		bytes[i] = (uint8_t)(i < 18 ? take(input, 1) : i);
	open = take(input, 2);
	frame.checksum_start = (uint16_t)(open >> 8 < DEVICE_FRAME_MIN ? 0 : open >> 8);
	frame.checksum_offset = (uint16_t)(frame.checksum_start != 0 ? open & 0xff : 0);
	if (device_frame_is_valid(&frame))
		virtio_net_model.packet(env.device, now, VIRTIO_NET_PORT, &frame);
}

static void access(struct input *input, unsigned region, uint64_t bytes, bool write)
{
	unsigned size = 1u << take(input, 1) % (region == PCIDEV_REGION_CONFIG ||
		region == VIRTIO_BAR_LEGACY ? 3 : 4);
	uint64_t offset = take(input, 2) % (bytes - size + 1);

	if (write)
		out(region, offset, size, take(input, size < 4 ? size : 4));
	else
		(void)virtio_net_model.read(env.device, now, region, offset, size);
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
	case 6 ... 7:
		arrive(input);
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
	default:
		save_and_load(input, what % 2);
		break;
	}
	if (env.half) {
		env.half = false;
		virtio_net_model.bottom_half(env.device, now, VIRTIO_NET_HALF_CONTINUE);
	}
	demand(state_check(virtio_net_model.state, env.device, NULL) == STATUS_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	uint32_t how = take(&input, 1);

	memset(&env, 0, sizeof(env));
	env.device = create();
	if (how & BEGIN_READY)
		ready(how);
	while (input.left > 0)
		step(&input);
	virtio_net_model.reset(env.device, now, DEVICE_RESET_LINE);
	free(env.device);
	return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
// A virtio disk between a driver and a back end that do anything. Input: how it begins (a byte),
// and steps, each of a byte that says what and the bytes that it needs.
//
// After each step the state must be one that can be loaded, and no effect may lie outside of what
// the contract allows.
#include <stdlib.h>
#include <string.h>

#include "emul/virtio_blk.h"
#include "emul/virtio_blk_internal.h"
#include "tests/fuzz/fuzz.h"

enum {
	RAM_BYTES = 1 << 16,
	REQUESTS = 2 * DEVICE_IO_MAX,
	RING = 0x1000, DRIVER = 0x2000, DEVICE = 0x3000, QUEUE_SIZE = 8,
	BEGIN_READY = 1, BEGIN_PACKED = 2, BEGIN_EVENTS = 4, BEGIN_READONLY = 8, BEGIN_LEGACY = 16,
	BEGIN_MESSAGES = 32, BEGIN_ORDER = 64,
};

static struct {
	struct device *device;
	uint8_t ram[RAM_BYTES];
	uint64_t requests[REQUESTS];
	unsigned request_count;
	bool half, armed, readonly;
	unsigned reports;
	uint64_t now;
} env;

struct input {
	const uint8_t *at;
	size_t left;
};

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

static void env_arm_timer(struct device *device, unsigned timer, struct guest_time deadline)
{
	demand(timer < device->model->timers);
	env.armed = deadline.ns != GUEST_TIME_NEVER.ns;
}

static void env_schedule_bottom_half(struct device *device, unsigned bottom_half)
{
	demand(bottom_half < device->model->bottom_halves);
	env.half = true;
}

static enum status env_submit(struct device *device, unsigned port, const struct device_io *io)
{
	uint64_t bytes = 0;

	(void)device;
	demand(port == VIRTIO_BLK_PORT_MEDIUM && io->kind < DEVICE_IO_KINDS);
	demand(io->piece_count <= DEVICE_IO_PIECES_MAX);
	demand(!env.readonly || io->kind == DEVICE_IO_READ || io->kind == DEVICE_IO_FLUSH);
	for (unsigned i = 0; i < io->piece_count; i++) {
		bytes += io->pieces[i].bytes;
		if (!in_ram(io->pieces[i].at, io->pieces[i].bytes))
			return STATUS_RANGE;
	}
	demand(bytes <= DEVICE_IO_BYTES_MAX);
	for (unsigned i = 0; i < env.request_count; i++)
		demand(env.requests[i] != io->request);
	if (env.request_count == DEVICE_IO_MAX)
		return STATUS_BUSY;
	env.requests[env.request_count++] = io->request;
	return STATUS_OK;
}

static void env_drop(struct device *device, unsigned port, uint64_t request)
{
	(void)device;
	(void)port;
	(void)request; // it stays under way, and its completion is not told: as if it were late
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
	env.reports++;
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
};

static struct device *create(void)
{
	const struct virtio_blk_medium medium = {.sectors = 4096, .serial = "fuzz",
		.readonly = env.readonly};
	struct device *device = calloc(1, virtio_blk_model.instance_bytes);

	demand(device != NULL);
	*device = (struct device){.model = &virtio_blk_model, .env = &ops};
	virtio_blk_configure(device, &medium);
	virtio_blk_model.reset(device, (struct guest_time){env.now}, DEVICE_RESET_POWER);
	return device;
}

static void out(unsigned region, uint64_t offset, unsigned size, uint64_t value)
{
	virtio_blk_model.write(env.device, (struct guest_time){env.now}, region, offset, size,
		value);
}

// As a driver that knows how begins, with a request in the ring.
static void ready(unsigned how)
{
	uint32_t low = how & BEGIN_EVENTS ? 1u << VIRTIO_F_EVENT_IDX : 0;

	out(PCIDEV_REGION_CONFIG, PCIDEV_COMMAND, 2, 7);
	if (how & BEGIN_MESSAGES)
		out(PCIDEV_REGION_CONFIG, VIRTIO_CAPABILITY_MSIX + 2, 2, 0x8000);
	if (how & BEGIN_LEGACY) {
		out(VIRTIO_BAR_LEGACY, VIRTIO_LEGACY_STATUS, 1, 3);
		out(VIRTIO_BAR_LEGACY, VIRTIO_LEGACY_DRIVER_FEATURES, 4, UINT32_MAX);
		out(VIRTIO_BAR_LEGACY, VIRTIO_LEGACY_QUEUE_PAGE, 4, 1);
		out(VIRTIO_BAR_LEGACY, VIRTIO_LEGACY_STATUS, 1, 7);
		return;
	}
	out(VIRTIO_BAR_MODERN, VIRTIO_COMMON_STATUS, 1, 3);
	out(VIRTIO_BAR_MODERN, VIRTIO_COMMON_DRIVER_FEATURE, 4,
		low | 1u << VIRTIO_F_INDIRECT_DESC | 1u << VIRTIO_BLK_F_DISCARD |
			1u << VIRTIO_BLK_F_WRITE_ZEROES | 1u << VIRTIO_BLK_F_CONFIG_WCE);
	out(VIRTIO_BAR_MODERN, VIRTIO_COMMON_DRIVER_FEATURE_SELECT, 4, 1);
	out(VIRTIO_BAR_MODERN, VIRTIO_COMMON_DRIVER_FEATURE, 4,
		1 | (how & BEGIN_PACKED ? 4u : 0) | (how & BEGIN_ORDER ? 8u : 0) |
			1u << (VIRTIO_F_RING_RESET - 32));
	out(VIRTIO_BAR_MODERN, VIRTIO_COMMON_STATUS, 1, 11);
	for (unsigned queue = 0; queue < 2; queue++) {
		out(VIRTIO_BAR_MODERN, VIRTIO_COMMON_QUEUE_SELECT, 2, queue);
		out(VIRTIO_BAR_MODERN, VIRTIO_COMMON_QUEUE_SIZE, 2, QUEUE_SIZE);
		out(VIRTIO_BAR_MODERN, VIRTIO_COMMON_QUEUE_DESCRIPTORS, 8, RING);
		out(VIRTIO_BAR_MODERN, VIRTIO_COMMON_QUEUE_DRIVER, 8, DRIVER);
		out(VIRTIO_BAR_MODERN, VIRTIO_COMMON_QUEUE_DEVICE, 8, DEVICE);
		out(VIRTIO_BAR_MODERN, VIRTIO_COMMON_QUEUE_VECTOR, 2, queue);
		out(VIRTIO_BAR_MODERN, VIRTIO_COMMON_QUEUE_ENABLE, 2, 1);
	}
	out(VIRTIO_BAR_MODERN, VIRTIO_COMMON_STATUS, 1, 15);
}

static void save_and_load(void)
{
	const struct state_table *table = virtio_blk_model.state;
	size_t bytes = state_saved_bytes(table, table->version);
	uint8_t *saved = malloc(bytes);
	struct device *fresh = create();

	demand(saved != NULL && state_save(table, env.device, saved, bytes) == STATUS_OK);
	demand(state_load(table, table->version, saved, bytes, fresh, NULL) == STATUS_OK);
	virtio_blk_model.loaded(fresh, (struct guest_time){env.now});
	demand(state_first_difference(table, env.device, fresh, NULL) == NULL);
	free(saved);
	free(env.device);
	env.device = fresh;
}

// A state in which a byte is another is refused, or does no harm.
static void load_altered(struct input *input)
{
	const struct state_table *table = virtio_blk_model.state;
	size_t bytes = state_saved_bytes(table, table->version);
	uint8_t *saved = malloc(bytes);
	struct device *fresh = create();

	demand(saved != NULL && state_save(table, env.device, saved, bytes) == STATUS_OK);
	saved[take(input, 2) % bytes] ^= (uint8_t)take(input, 1);
	if (state_load(table, table->version, saved, bytes, fresh, NULL) == STATUS_OK) {
		virtio_blk_model.loaded(fresh, (struct guest_time){env.now});
		free(env.device);
		env.device = fresh;
	} else {
		free(fresh);
	}
	free(saved);
}

static void complete(struct input *input)
{
	uint32_t which = take(input, 1);
	unsigned index;
	uint64_t name;

	if (env.request_count == 0)
		return;
	index = which / 4 % env.request_count;
	name = env.requests[index];
	env.requests[index] = env.requests[--env.request_count];
	virtio_blk_model.complete(env.device, (struct guest_time){env.now},
		VIRTIO_BLK_PORT_MEDIUM, name, which % 4 == 3 ? STATUS_IO : STATUS_OK);
}

static void time_pass(void)
{
	struct guest_time now = {env.now += 1000000};

	if (env.half) {
		env.half = false;
		virtio_blk_model.bottom_half(env.device, now, VIRTIO_BLK_HALF_CONTINUE);
	}
	if (env.armed) {
		env.armed = false;
		virtio_blk_model.timer(env.device, now, VIRTIO_BLK_TIMER_RETRY);
	}
}

static void ram_write(struct input *input)
{
	uint32_t at = take(input, 2), count = take(input, 1) % 32;

	for (uint32_t i = 0; i < count && input->left > 0; i++)
		env.ram[(at + i) % RAM_BYTES] = (uint8_t)take(input, 1);
}

static void access(struct input *input, unsigned region, uint64_t bytes, bool write)
{
	unsigned size = 1u << take(input, 1) % (region == PCIDEV_REGION_CONFIG ||
		region == VIRTIO_BAR_LEGACY ? 3 : 4);
	uint64_t offset = take(input, 2) % (bytes - size + 1);

	if (write)
		out(region, offset, size, take(input, size < 4 ? size : 4));
	else
		(void)virtio_blk_model.read(env.device, (struct guest_time){env.now}, region,
			offset, size);
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
	env.readonly = (how & BEGIN_READONLY) != 0;
	env.device = create();
	if (how & BEGIN_READY)
		ready(how);
	while (input.left > 0)
		step(&input);
	while (env.request_count > 0) {
		input = (struct input){(const uint8_t *)"", 1};
		complete(&input);
	}
	virtio_blk_model.reset(env.device, (struct guest_time){env.now}, DEVICE_RESET_LINE);
	free(env.device);
	return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
// What fuzzers of virtio devices share: an environment of a device, which aborts where an effect
// lies outside of what the contract allows; and steps of an input.
#ifndef TESTS_FUZZ_VIRTIO_ENV_H
#define TESTS_FUZZ_VIRTIO_ENV_H

#include <stdlib.h>
#include <string.h>

#include "emul/virtio.h"
#include "tests/fuzz/fuzz.h"

enum {
	RAM_BYTES = 1 << 16,
	RING = 0x1000, DRIVER = 0x2000, DEVICE = 0x3000, QUEUE_SIZE = 8,
	BEGIN_READY = 1, BEGIN_PACKED = 2, BEGIN_EVENTS = 4, BEGIN_READONLY = 8, BEGIN_LEGACY = 16,
	BEGIN_MESSAGES = 32, BEGIN_ORDER = 64,
};

static struct {
	struct device *device;
	uint8_t ram[RAM_BYTES];
	uint32_t halves; // a bit each
	bool armed;
	unsigned reports;
	uint64_t now;
} env;

// A fresh instance, configured and reset.
static struct device *create(void);

struct input {
	const uint8_t *at;
	size_t left;
};

static inline void demand(bool what)
{
	if (!what)
		abort();
}

static inline uint32_t take(struct input *input, unsigned bytes)
{
	uint32_t value = 0;

	for (; bytes > 0 && input->left > 0; bytes--, input->left--)
		value = value << 8 | *input->at++;
	return value;
}

static inline bool in_ram(struct gpa at, size_t bytes)
{
	return bytes <= RAM_BYTES && at.v <= RAM_BYTES - bytes;
}

static inline void env_set_line(struct device *device, unsigned output, bool level)
{
	(void)level;
	demand(output < device->model->outputs);
}

static inline void env_send_message(struct device *device, const struct interrupt_message *message)
{
	(void)device;
	demand(message->assert);
}

static inline enum status env_dma_read(struct device *device, struct gpa from, void *to,
	size_t bytes)
{
	(void)device;
	if (!in_ram(from, bytes))
		return STATUS_RANGE;
	memcpy(to, env.ram + from.v, bytes);
	return STATUS_OK;
}

static inline enum status env_dma_write(struct device *device, struct gpa to, const void *from,
	size_t bytes)
{
	(void)device;
	if (!in_ram(to, bytes))
		return STATUS_RANGE;
	memcpy(env.ram + to.v, from, bytes);
	return STATUS_OK;
}

static inline void env_arm_timer(struct device *device, unsigned timer, struct guest_time deadline)
{
	demand(timer < device->model->timers);
	env.armed = deadline.ns != GUEST_TIME_NEVER.ns;
}

static inline void env_schedule_bottom_half(struct device *device, unsigned bottom_half)
{
	demand(bottom_half < device->model->bottom_halves);
	env.halves |= 1u << bottom_half;
}

static inline void env_map_region(struct device *device, unsigned region, enum device_space space,
	uint64_t base, uint64_t bytes)
{
	(void)device;
	demand(region <= PCIDEV_REGION_ROM && bytes != 0 && base + bytes - 1 >= base);
	demand(space != DEVICE_SPACE_PORT || base + bytes <= 65536);
}

static inline void env_unmap_region(struct device *device, unsigned region)
{
	(void)device;
	demand(region <= PCIDEV_REGION_ROM);
}

static inline void env_report(struct device *device, const char *what)
{
	(void)device;
	demand(what != NULL);
	env.reports++;
}

static inline void out(unsigned region, uint64_t offset, unsigned size, uint64_t value)
{
	env.device->model->write(env.device, (struct guest_time){env.now}, region, offset, size,
		value);
}

// As a driver that knows how begins. The parts of its queues lie `step` behind each other.
static inline void ready(unsigned how, uint32_t features, unsigned queues, uint64_t step)
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
		low | 1u << VIRTIO_F_INDIRECT_DESC | features);
	out(VIRTIO_BAR_MODERN, VIRTIO_COMMON_DRIVER_FEATURE_SELECT, 4, 1);
	out(VIRTIO_BAR_MODERN, VIRTIO_COMMON_DRIVER_FEATURE, 4,
		1 | (how & BEGIN_PACKED ? 4u : 0) | (how & BEGIN_ORDER ? 8u : 0) |
			1u << (VIRTIO_F_RING_RESET - 32));
	out(VIRTIO_BAR_MODERN, VIRTIO_COMMON_STATUS, 1, 11);
	for (unsigned queue = 0; queue < queues; queue++) {
		out(VIRTIO_BAR_MODERN, VIRTIO_COMMON_QUEUE_SELECT, 2, queue);
		out(VIRTIO_BAR_MODERN, VIRTIO_COMMON_QUEUE_SIZE, 2, QUEUE_SIZE);
		out(VIRTIO_BAR_MODERN, VIRTIO_COMMON_QUEUE_DESCRIPTORS, 8, RING + queue * step);
		out(VIRTIO_BAR_MODERN, VIRTIO_COMMON_QUEUE_DRIVER, 8, DRIVER + queue * step);
		out(VIRTIO_BAR_MODERN, VIRTIO_COMMON_QUEUE_DEVICE, 8, DEVICE + queue * step);
		out(VIRTIO_BAR_MODERN, VIRTIO_COMMON_QUEUE_VECTOR, 2, queue);
		out(VIRTIO_BAR_MODERN, VIRTIO_COMMON_QUEUE_ENABLE, 2, 1);
	}
	out(VIRTIO_BAR_MODERN, VIRTIO_COMMON_STATUS, 1, 15);
}

static inline void save_and_load(void)
{
	const struct state_table *table = env.device->model->state;
	size_t bytes = state_saved_bytes(table, table->version);
	uint8_t *saved = malloc(bytes);
	struct device *fresh = create();

	demand(saved != NULL && state_save(table, env.device, saved, bytes) == STATUS_OK);
	demand(state_load(table, table->version, saved, bytes, fresh, NULL) == STATUS_OK);
	fresh->model->loaded(fresh, (struct guest_time){env.now});
	demand(state_first_difference(table, env.device, fresh, NULL) == NULL);
	free(saved);
	free(env.device);
	env.device = fresh;
}

// A state in which a byte is another is refused, or does no harm.
static inline void load_altered(struct input *input)
{
	const struct state_table *table = env.device->model->state;
	size_t bytes = state_saved_bytes(table, table->version);
	uint8_t *saved = malloc(bytes);
	struct device *fresh = create();

	demand(saved != NULL && state_save(table, env.device, saved, bytes) == STATUS_OK);
	saved[take(input, 2) % bytes] ^= (uint8_t)take(input, 1);
	if (state_load(table, table->version, saved, bytes, fresh, NULL) == STATUS_OK) {
		fresh->model->loaded(fresh, (struct guest_time){env.now});
		free(env.device);
		env.device = fresh;
		fresh->model->verify(fresh, (struct guest_time){env.now});
	} else {
		free(fresh);
	}
	free(saved);
}

static inline void ram_write(struct input *input)
{
	uint32_t at = take(input, 2), count = take(input, 1) % 32;

	for (uint32_t i = 0; i < count && input->left > 0; i++)
		env.ram[(at + i) % RAM_BYTES] = (uint8_t)take(input, 1);
}

static inline void access(struct input *input, unsigned region, uint64_t bytes, bool write)
{
	unsigned size = 1u << take(input, 1) % (region == PCIDEV_REGION_CONFIG ||
		region == VIRTIO_BAR_LEGACY ? 3 : 4);
	uint64_t offset = take(input, 2) % (bytes - size + 1);

	if (write)
		out(region, offset, size, take(input, size < 4 ? size : 4));
	else
		(void)env.device->model->read(env.device, (struct guest_time){env.now}, region,
			offset, size);
}

#endif

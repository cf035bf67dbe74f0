// SPDX-License-Identifier: BSD-2-Clause
// What drivers of virtio devices begin with, for unit tests: registers, queues' places, and values
// in the memory of fake_env.h.
#ifndef TESTS_UNIT_VIRTIO_DRIVER_H
#define TESTS_UNIT_VIRTIO_DRIVER_H

#include "tests/unit/fake_env.h"

#include <string.h>

#include "emul/virtio.h"
#include "emul/virtio_ring.h"

enum {
	WRITE = VIRTIO_DESCRIPTOR_WRITE,
	NEXT = VIRTIO_DESCRIPTOR_NEXT,
	OK_STATUS = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK,
};
#define MODERN BIT(VIRTIO_F_VERSION_1)

static struct fake_env env;
static bool packed;

static inline uint64_t common_get(unsigned offset, unsigned size)
{
	return fake_read(&env, VIRTIO_BAR_MODERN, offset, size);
}

static inline void common_set(unsigned offset, unsigned size, uint64_t value)
{
	fake_write(&env, VIRTIO_BAR_MODERN, offset, size, value);
}

static inline uint8_t status_get(void)
{
	return (uint8_t)common_get(VIRTIO_COMMON_STATUS, 1);
}

static inline void status_set(uint8_t status)
{
	common_set(VIRTIO_COMMON_STATUS, 1, status);
}

static inline bool needs_reset(void)
{
	return (status_get() & VIRTIO_STATUS_NEEDS_RESET) != 0;
}

static inline void features_set(uint64_t features)
{
	for (unsigned i = 0; i < 2; i++) {
		common_set(VIRTIO_COMMON_DRIVER_FEATURE_SELECT, 4, i);
		common_set(VIRTIO_COMMON_DRIVER_FEATURE, 4, features >> 32 * i & UINT32_MAX);
	}
}

static inline uint64_t features_get(void)
{
	uint64_t features;

	common_set(VIRTIO_COMMON_DEVICE_FEATURE_SELECT, 4, 0);
	features = common_get(VIRTIO_COMMON_DEVICE_FEATURE, 4);
	common_set(VIRTIO_COMMON_DEVICE_FEATURE_SELECT, 4, 1);
	return features | common_get(VIRTIO_COMMON_DEVICE_FEATURE, 4) << 32;
}

static inline void put(uint64_t at, const void *from, size_t bytes)
{
	assert_true(at + bytes <= FAKE_RAM_BYTES);
	memcpy(env.ram + at, from, bytes);
}

static inline void put16(uint64_t at, uint16_t value)
{
	put(at, &value, sizeof(value));
}

static inline uint16_t get16(uint64_t at)
{
	uint16_t value;

	memcpy(&value, env.ram + at, sizeof(value));
	return value;
}

static inline uint32_t get32(uint64_t at)
{
	uint32_t value;

	memcpy(&value, env.ram + at, sizeof(value));
	return value;
}

static inline void queue_place(unsigned queue, uint16_t size, uint64_t ring, uint64_t driver,
	uint64_t device)
{
	common_set(VIRTIO_COMMON_QUEUE_SELECT, 2, queue);
	common_set(VIRTIO_COMMON_QUEUE_SIZE, 2, size);
	common_set(VIRTIO_COMMON_QUEUE_DESCRIPTORS, 8, ring);
	common_set(VIRTIO_COMMON_QUEUE_DRIVER, 4, driver & UINT32_MAX);
	common_set(VIRTIO_COMMON_QUEUE_DRIVER + 4, 4, driver >> 32);
	common_set(VIRTIO_COMMON_QUEUE_DEVICE, 8, device);
	common_set(VIRTIO_COMMON_QUEUE_VECTOR, 2, queue + 1);
	common_set(VIRTIO_COMMON_QUEUE_ENABLE, 2, 1);
}

static inline void bus_master(bool on)
{
	fake_write(&env, PCIDEV_REGION_CONFIG, PCIDEV_COMMAND, 2,
		PCIDEV_COMMAND_PORT | PCIDEV_COMMAND_MEMORY | (on ? PCIDEV_COMMAND_MASTER : 0));
}

// 3.1.1, up to FEATURES_OK, with MSI-X off.
static inline void negotiate(uint64_t features)
{
	packed = (features & BIT(VIRTIO_F_RING_PACKED)) != 0;
	memset(env.ram, 0, sizeof(env.ram));
	bus_master(true);
	status_set(0);
	status_set(VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
	features_set(features);
	status_set(OK_STATUS);
	assert_int_equal(status_get(), OK_STATUS);
}

static inline void driver_ok(void)
{
	status_set(OK_STATUS | VIRTIO_STATUS_DRIVER_OK);
	assert_false(needs_reset());
	fake_clear(&env);
}

static inline void notify(unsigned queue)
{
	fake_write(&env, VIRTIO_BAR_MODERN, VIRTIO_NOTIFY_AT + queue * VIRTIO_NOTIFY_MULTIPLIER, 2,
		queue);
}

struct part {
	uint64_t address;
	uint32_t bytes;
	uint16_t flags;
};

static inline int bench_teardown(void **state)
{
	(void)state;
	fake_destroy(&env);
	return 0;
}

#endif

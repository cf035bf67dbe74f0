// SPDX-License-Identifier: BSD-2-Clause
// A driver of a virtio device, for unit tests: it negotiates, and has queues of either kind in the
// memory of fake_env.h. The device is a disk where a test does not make another; begin() has queue
// 0 alone, and queue_use() others.
#ifndef TESTS_UNIT_VIRTIO_BENCH_H
#define TESTS_UNIT_VIRTIO_BENCH_H

#include "tests/unit/fake_env.h"

#include <string.h>

#include "emul/virtio_blk.h"
#include "emul/virtio_blk_internal.h"

enum {
	RING = 0x1000,   // descriptors
	DRIVER = 0x2000, // available ring, or the driver's event suppression
	DEVICE = 0x3000, // used ring, or the device's
	TABLE = 0x4000,  // an indirect table
	HEADER = 0x5000,
	STATUS = 0x5800,
	DATA = 0x6000,
	QUEUE_SIZE = 8,
	QUEUES = 8,
	QUEUE_STEP = 0x100, // from one queue's parts to the next one's
	SECTORS = 4096,
	WRITE = VIRTIO_DESCRIPTOR_WRITE,
	NEXT = VIRTIO_DESCRIPTOR_NEXT,
	INDIRECT = VIRTIO_DESCRIPTOR_INDIRECT,
	OK_STATUS = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK,
};
#define MODERN BIT(VIRTIO_F_VERSION_1)

static struct fake_env env;
static bool packed, readonly;
static uint16_t next;      // of the available ring, or descriptor of the packed one
static bool next_wrap;
static unsigned in_use; // the queue that these are of
static struct {
	uint16_t next;
	bool wrap;
} others[QUEUES];

// Where a part of the queue in use is.
static inline uint64_t part_at(uint64_t part)
{
	return part + in_use * (uint64_t)QUEUE_STEP;
}

static inline void queue_use(unsigned queue)
{
	others[in_use].next = next;
	others[in_use].wrap = next_wrap;
	next = others[queue].next;
	next_wrap = others[queue].wrap;
	in_use = queue;
}

static inline void bench_configure(struct device *device)
{
	struct virtio_blk_medium medium = {.sectors = SECTORS, .serial = "a serial",
		.readonly = readonly};

	virtio_blk_configure(device, &medium);
}

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

static inline void msix_on(bool masked)
{
	fake_write(&env, PCIDEV_REGION_CONFIG, VIRTIO_CAPABILITY_MSIX + 2, 2,
		masked ? 0xc000 : 0x8000);
}

// 3.1.1, up to DRIVER_OK, with MSI-X off.
static inline void negotiate(uint64_t features)
{
	packed = (features & BIT(VIRTIO_F_RING_PACKED)) != 0;
	next = 0;
	next_wrap = true;
	in_use = 0;
	for (unsigned i = 0; i < QUEUES; i++) {
		others[i].next = 0;
		others[i].wrap = true;
	}
	memset(env.ram, 0, sizeof(env.ram));
	bus_master(true);
	status_set(0);
	status_set(VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
	features_set(features);
	status_set(OK_STATUS);
	assert_int_equal(status_get(), OK_STATUS);
}

static inline void begin(uint64_t features)
{
	negotiate(features);
	queue_place(0, QUEUE_SIZE, RING, DRIVER, DEVICE);
	status_set(OK_STATUS | VIRTIO_STATUS_DRIVER_OK);
	assert_false(needs_reset());
	fake_clear(&env);
}

// With that many queues.
static inline void begin_queues(uint64_t features, unsigned count)
{
	negotiate(features);
	for (unsigned i = 0; i < count; i++)
		queue_place(i, QUEUE_SIZE, RING + i * QUEUE_STEP, DRIVER + i * QUEUE_STEP,
			DEVICE + i * QUEUE_STEP);
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

static inline void split_descriptor(uint64_t table, uint64_t index, const struct part *part,
	uint16_t following)
{
	const struct virtio_descriptor descriptor = {part->address, part->bytes, part->flags,
		following};

	put(table + index * sizeof(descriptor), &descriptor, sizeof(descriptor));
}

// Makes the chain available whose head is the descriptor `head`.
static inline void split_offer(uint16_t head)
{
	put16(part_at(DRIVER) + 4 + 2u * (next % QUEUE_SIZE), head);
	put16(part_at(DRIVER) + 2, ++next);
}

// The descriptors follow `head` in the table; the flags NEXT are added.
static inline void split_chain(uint16_t head, const struct part *parts, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct part part = parts[i];

		if (i + 1 < count)
			part.flags |= NEXT;
		split_descriptor(part_at(RING), head + (uint64_t)i, &part,
			(uint16_t)(head + i + 1));
	}
	split_offer(head);
}

static inline void packed_chain(uint16_t id, const struct part *parts, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct virtio_packed_descriptor descriptor = {parts[i].address, parts[i].bytes, id,
			parts[i].flags};
		uint64_t at = part_at(RING) + (uint64_t)next * sizeof(descriptor);

		if (i + 1 < count)
			descriptor.flags |= NEXT;
		descriptor.flags |= next_wrap ? VIRTIO_DESCRIPTOR_AVAILABLE
					      : VIRTIO_DESCRIPTOR_USED;
		put(at, &descriptor, sizeof(descriptor));
		if (++next == QUEUE_SIZE) {
			next = 0;
			next_wrap = !next_wrap;
		}
	}
}

static inline void chain(uint16_t id, const struct part *parts, unsigned count)
{
	if (packed)
		packed_chain(id, parts, count);
	else
		split_chain(id, parts, count);
}

static inline void header(uint32_t type, uint64_t sector)
{
	const uint64_t words[2] = {type, sector};

	put(HEADER, words, sizeof(words));
	env.ram[STATUS] = 0xee;
}

// Header, one piece of data, status.
static inline void request(uint16_t id, uint32_t type, uint64_t sector, uint64_t data,
	uint32_t bytes)
{
	const struct part parts[] = {{HEADER, 16, 0}, {data, bytes,
		type == VIRTIO_BLK_T_OUT || type >= VIRTIO_BLK_T_DISCARD ? 0 : WRITE},
		{STATUS, 1, WRITE}};

	header(type, sector);
	chain(id, parts, 3);
	notify(0);
}

// How many chains came back, and the last one's id and length.
static inline uint16_t used_count(void)
{
	return get16(part_at(DEVICE) + 2);
}

static inline void expect_used(unsigned at, uint32_t id, uint32_t bytes)
{
	if (packed) {
		assert_int_equal(get16(part_at(RING) + at * 16 + 12), id);
		assert_int_equal(get32(part_at(RING) + at * 16 + 8), bytes);
	} else {
		assert_int_equal(get32(part_at(DEVICE) + 4 + 8 * at), id);
		assert_int_equal(get32(part_at(DEVICE) + 8 + 8 * at), bytes);
	}
}

static inline int bench_setup(void **state)
{
	(void)state;
	fake_configure = bench_configure;
	readonly = false;
	(void)fake_create(&env, &virtio_blk_model);
	return 0;
}

static inline int bench_teardown(void **state)
{
	(void)state;
	fake_destroy(&env);
	return 0;
}

#endif

// SPDX-License-Identifier: BSD-2-Clause
// A driver of a virtio device, for unit tests: it negotiates, and has queues of either kind in the
// memory of fake_env.h. The device is a disk where a test does not make another; begin() has queue
// 0 alone, and queue_use() others.
#ifndef TESTS_UNIT_VIRTIO_BENCH_H
#define TESTS_UNIT_VIRTIO_BENCH_H

#include "emul/virtio_blk.h"
#include "emul/virtio_blk_internal.h"
#include "tests/unit/virtio_driver.h"

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
	INDIRECT = VIRTIO_DESCRIPTOR_INDIRECT,
};

static bool readonly;
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

static inline void msix_on(bool masked)
{
	fake_write(&env, PCIDEV_REGION_CONFIG, VIRTIO_CAPABILITY_MSIX + 2, 2,
		masked ? 0xc000 : 0x8000);
}

// Without queues.
static inline void begin_none(uint64_t features)
{
	next = 0;
	next_wrap = true;
	in_use = 0;
	for (unsigned i = 0; i < QUEUES; i++) {
		others[i].next = 0;
		others[i].wrap = true;
	}
	negotiate(features);
}

static inline void begin(uint64_t features)
{
	begin_none(features);
	queue_place(0, QUEUE_SIZE, RING, DRIVER, DEVICE);
	driver_ok();
}

// With that many queues.
static inline void begin_queues(uint64_t features, unsigned count)
{
	begin_none(features);
	for (unsigned i = 0; i < count; i++)
		queue_place(i, QUEUE_SIZE, RING + i * QUEUE_STEP, DRIVER + i * QUEUE_STEP,
			DEVICE + i * QUEUE_STEP);
	driver_ok();
}

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

#endif

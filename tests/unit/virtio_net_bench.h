// SPDX-License-Identifier: BSD-2-Clause
// A driver of a virtio network device, for unit tests: its three queues, of either kind, in the
// memory of fake_env.h.
#ifndef TESTS_UNIT_VIRTIO_NET_BENCH_H
#define TESTS_UNIT_VIRTIO_NET_BENCH_H

#include "emul/virtio_net.h"
#include "emul/virtio_net_internal.h"
#include "tests/unit/virtio_driver.h"

enum {
	QUEUE_SIZE = 8,
	QUEUE_BYTES = 0x3000, RINGS = 0x1000, // three parts a queue, of a page each
	HEADER = 0xa000, DATA = 0xa100, BUFFER = 0xc000, ANSWER = 0xf000,
	RECEIVE = VIRTIO_NET_RECEIVE, SEND = VIRTIO_NET_SEND, CONTROL = VIRTIO_NET_CONTROL,
	HEADER_BYTES = 12,
};
#define PACKED  (MODERN | BIT(VIRTIO_F_RING_PACKED))
#define MERGE   BIT(VIRTIO_NET_F_MRG_RXBUF)
#define CONTROLS                                                                                   \
	(BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_CTRL_RX) | BIT(VIRTIO_NET_F_CTRL_VLAN) |     \
		BIT(VIRTIO_NET_F_CTRL_MAC_ADDR))

static const uint8_t bench_mac[6] = {0x02, 0x11, 0x22, 0x33, 0x44, 0x55};
static struct {
	uint16_t next, seen; // of the available ring or descriptor; of the used
	bool wrap, seen_wrap;
} rings[VIRTIO_NET_QUEUES];

static inline uint64_t ring_at(unsigned queue, unsigned part)
{
	return RINGS + (uint64_t)queue * QUEUE_BYTES + part * 0x1000u;
}

// 3.1.1, with MSI-X off.
static inline void begin(uint64_t features)
{
	negotiate(features);
	for (unsigned queue = 0; queue < VIRTIO_NET_QUEUES; queue++) {
		rings[queue].next = rings[queue].seen = 0;
		rings[queue].wrap = rings[queue].seen_wrap = true;
		queue_place(queue, QUEUE_SIZE, ring_at(queue, 0), ring_at(queue, 1),
			ring_at(queue, 2));
	}
	driver_ok();
}

static inline void split_chain(unsigned queue, uint16_t head, const struct part *parts,
	unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		const struct virtio_descriptor descriptor = {parts[i].address, parts[i].bytes,
			(uint16_t)(parts[i].flags | (i + 1 < count ? NEXT : 0)),
			(uint16_t)((head + i + 1) % QUEUE_SIZE)};

		put(ring_at(queue, 0) + (head + i) % QUEUE_SIZE * 16, &descriptor, 16);
	}
	put16(ring_at(queue, 1) + 4 + 2u * (rings[queue].next % QUEUE_SIZE), head);
	put16(ring_at(queue, 1) + 2, ++rings[queue].next);
}

static inline void packed_chain(unsigned queue, uint16_t id, const struct part *parts,
	unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		const struct virtio_packed_descriptor descriptor = {parts[i].address,
			parts[i].bytes, id, (uint16_t)(parts[i].flags |
			(i + 1 < count ? NEXT : 0) | (rings[queue].wrap
				? VIRTIO_DESCRIPTOR_AVAILABLE : VIRTIO_DESCRIPTOR_USED))};

		put(ring_at(queue, 0) + rings[queue].next * 16u, &descriptor, 16);
		if (++rings[queue].next == QUEUE_SIZE) {
			rings[queue].next = 0;
			rings[queue].wrap = !rings[queue].wrap;
		}
	}
}

static inline void chain(unsigned queue, uint16_t id, const struct part *parts, unsigned count)
{
	if (packed)
		packed_chain(queue, id, parts, count);
	else
		split_chain(queue, id, parts, count);
}

static inline bool used_is_there(unsigned queue)
{
	uint16_t flags;

	if (!packed)
		return get16(ring_at(queue, 2) + 2) != rings[queue].seen;
	flags = get16(ring_at(queue, 0) + rings[queue].seen * 16u + 14);
	return ((flags & VIRTIO_DESCRIPTOR_AVAILABLE) != 0) == rings[queue].seen_wrap &&
		((flags & VIRTIO_DESCRIPTOR_USED) != 0) == rings[queue].seen_wrap;
}

// The next chain that came back, of so many descriptors.
static inline void expect_used(unsigned queue, uint32_t id, uint32_t bytes, unsigned descriptors)
{
	assert_true(used_is_there(queue));
	if (packed) {
		uint64_t at = ring_at(queue, 0) + rings[queue].seen * 16u;

		assert_int_equal(get16(at + 12), id);
		assert_int_equal(get32(at + 8), bytes);
		rings[queue].seen = (uint16_t)(rings[queue].seen + descriptors);
		if (rings[queue].seen >= QUEUE_SIZE) {
			rings[queue].seen = (uint16_t)(rings[queue].seen - QUEUE_SIZE);
			rings[queue].seen_wrap = !rings[queue].seen_wrap;
		}
	} else {
		uint64_t at = ring_at(queue, 2) + 4 + 8u * (rings[queue].seen++ % QUEUE_SIZE);

		assert_int_equal(get32(at), id);
		assert_int_equal(get32(at + 4), bytes);
	}
}

static inline struct virtio_net_counts counts(void)
{
	struct virtio_net_counts counted;

	virtio_net_count(env.device, &counted);
	return counted;
}

static uint8_t content[DEVICE_FRAME_MAX];

// Bytes that tell their places; the addresses as they are given.
static inline struct device_frame frame_make(const uint8_t *to, uint16_t count)
{
	for (unsigned i = 0; i < sizeof(content); i++)
		content[i] = (uint8_t)(i * 5 + i / 256);
	memcpy(content, to, 6);
	content[12] = 0x08;
	content[13] = 0x06;
	return (struct device_frame){.bytes = content, .count = count};
}

static inline void header_put(uint8_t flags, uint8_t gso, uint16_t start, uint16_t offset)
{
	const struct virtio_net_header header = {.flags = flags, .gso = gso,
		.checksum_start = start, .checksum_offset = offset};

	put(HEADER, &header, sizeof(header));
}

static inline void send(uint16_t id, uint32_t bytes)
{
	const struct part parts[] = {{HEADER, HEADER_BYTES, 0}, {DATA, bytes, 0}};

	put(DATA, content, sizeof(content));
	chain(SEND, id, parts, 2);
	notify(SEND);
}

static inline void buffer(uint16_t id, uint64_t at, uint32_t bytes)
{
	const struct part part = {at, bytes, WRITE};

	chain(RECEIVE, id, &part, 1);
}

static inline uint8_t command(uint8_t class, uint8_t code, const void *data, uint32_t bytes)
{
	const struct part parts[] = {{HEADER, 2, 0}, {DATA, bytes, 0}, {ANSWER, 1, WRITE}};
	uint16_t id = packed ? 0 : rings[CONTROL].next % 2 * 3;

	env.ram[HEADER] = class;
	env.ram[HEADER + 1] = code;
	put(DATA, data, bytes);
	env.ram[ANSWER] = 0xee;
	chain(CONTROL, id, parts, 3);
	notify(CONTROL);
	expect_used(CONTROL, id, 1, 3);
	return env.ram[ANSWER];
}

static inline void bench_configure(struct device *device)
{
	virtio_net_configure(device, bench_mac);
}

static inline int bench_setup(void **state)
{
	(void)state;
	fake_configure = bench_configure;
	(void)fake_create(&env, &virtio_net_model);
	return 0;
}

#endif

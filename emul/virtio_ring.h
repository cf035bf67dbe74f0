// SPDX-License-Identifier: BSD-2-Clause
// Between the sources of virtqueues: the two kinds of rings, and what they have in common.
#ifndef EMUL_VIRTIO_RING_H
#define EMUL_VIRTIO_RING_H

#include "emul/virtio_abi.h"
#include "emul/virtio_queue.h"

#define VIRTIO_RING_NOT_RAM "a ring is not in memory"
#define VIRTIO_RING_JUMPS   "the available index jumps beyond its ring"

struct virtio_ring_ops {
	// Bytes of the parts: descriptors, driver's, device's.
	uint64_t (*bytes)(uint16_t size, unsigned part);
	const char *(*pop)(struct device *device, struct virtio_queue *queue,
		struct virtio_ring ring, struct virtio_chain *chain, bool *got);
	void (*unpop)(struct virtio_queue *queue, uint16_t slots);
	const char *(*push)(struct device *device, struct virtio_queue *queue,
		const struct virtio_used *used, unsigned count);
	const char *(*listen)(struct device *device, struct virtio_queue *queue,
		struct virtio_ring ring);
	const char *(*hush)(struct device *device, struct virtio_queue *queue,
		struct virtio_ring ring);
	const char *(*take_signal)(struct device *device, struct virtio_queue *queue,
		struct virtio_ring ring, bool *wanted);
	// Descriptors, or chains, that the indexes say are in flight. False: they cannot be.
	bool (*distance)(const struct virtio_queue *queue, unsigned *distance);
	// `used`, as `signalled` has it.
	uint16_t (*signal)(const struct virtio_queue *queue);
	const char *(*verify)(struct device *device, const struct virtio_queue *queue);
};
extern const struct virtio_ring_ops virtio_split_ops, virtio_packed_ops;

// A piece behind those that the chain has. NULL, or why it cannot be.
const char *virtio_chain_add(struct virtio_chain *chain, uint64_t address, uint32_t bytes,
	bool writable);
// Entries of an indirect table; 0: it cannot be one.
uint32_t virtio_table_entries(uint32_t bytes);

static inline bool virtio_is_flying(const struct virtio_queue *queue, unsigned id)
{
	return (queue->flying[id / 64] & BIT(id % 64)) != 0;
}

static inline void virtio_set_flying(struct virtio_queue *queue, uint16_t id, bool flying)
{
	uint64_t bit = BIT(id % 64);

	queue->flying[id / 64] = flying ? queue->flying[id / 64] | bit
		: queue->flying[id / 64] & ~bit;
}

// 2.7.10.1: whether an index passed `event` on its way from `before` to `now`.
static inline bool virtio_passed(uint16_t event, uint16_t now, uint16_t before)
{
	return (uint16_t)(now - event - 1) < (uint16_t)(now - before);
}

must_check static inline bool virtio_get16(struct device *device, uint64_t at, uint16_t *value)
{
	return device_dma_read(device, (struct gpa){at}, value, sizeof(*value)) == STATUS_OK;
}

must_check static inline bool virtio_put16(struct device *device, uint64_t at, uint16_t value)
{
	return device_dma_write(device, (struct gpa){at}, &value, sizeof(value)) == STATUS_OK;
}

#endif

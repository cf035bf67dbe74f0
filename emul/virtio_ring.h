// SPDX-License-Identifier: BSD-2-Clause
// Between the sources of virtqueues: the two kinds of rings, and what they have in common.
#ifndef EMUL_VIRTIO_RING_H
#define EMUL_VIRTIO_RING_H

#include "emul/virtio_abi.h"
#include "emul/virtio_queue.h"

#define VIRTIO_RING_NOT_RAM "a ring is not in memory"
#define VIRTIO_TABLE_LENGTH "an indirect table of an impossible length"
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

static inline const struct virtio_ring_ops *virtio_ops_of(struct virtio_ring ring)
{
	return ring.packed ? &virtio_packed_ops : &virtio_split_ops;
}

// Without pieces.
static inline void virtio_chain_begin(struct virtio_chain *chain, uint16_t id, uint16_t slots)
{
	chain->id = id;
	chain->slots = slots;
	chain->readable = chain->writable = 0;
	chain->readable_bytes = chain->writable_bytes = 0;
}

// A piece behind those that the chain has. NULL, or why it cannot be. 2.7.4: what the device reads
// comes before what it writes.
static inline const char *virtio_chain_add(struct virtio_chain *chain, uint64_t address,
	uint32_t bytes, bool writable)
{
	unsigned count = (unsigned)(chain->readable + chain->writable);

	if (count == VIRTIO_CHAIN_MAX)
		return "a chain is longer than any may be, or a loop";
	if (bytes == 0)
		return "a descriptor has no bytes";
	if (address + bytes < address)
		return "a descriptor passes the end of all addresses";
	if (!writable && chain->writable != 0)
		return "memory to be read comes behind memory to be written";
	chain->pieces[count] = (struct device_io_piece){{address}, bytes};
	if (writable) {
		chain->writable++;
		chain->writable_bytes += bytes;
	} else {
		chain->readable++;
		chain->readable_bytes += bytes;
	}
	return NULL;
}

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

// A read-only mapping of a whole table of descriptors. False: there is none.
must_check bool virtio_map_table(struct device *device, uint64_t at, uint32_t count,
	struct device_dma_map *map);

// Of a part of the ring at `part`, at an offset that is within it; each is read once.
must_check static inline bool virtio_ring_get16(struct device *device,
	const struct device_dma_map *map, uint64_t part, uint64_t offset, uint16_t *value)
{
	const uint8_t *mapped = map->address;

	if (unlikely(mapped == NULL))
		return device_dma_read(device, (struct gpa){part + offset}, value,
			sizeof(*value)) == STATUS_OK;
	*value = __atomic_load_n((const uint16_t *)(const void *)(mapped + offset),
		__ATOMIC_ACQUIRE);
	return true;
}

must_check static inline bool virtio_driver_get16(struct device *device,
	const struct virtio_queue *queue, uint64_t offset, uint16_t *value)
{
	return virtio_ring_get16(device, &queue->maps[VIRTIO_QUEUE_DRIVER], queue->driver, offset,
		value);
}

// 2 bytes, which are aligned.
must_check static inline bool virtio_ring_put16(struct device *device,
	const struct device_dma_map *map, uint64_t part, uint64_t offset, uint16_t value)
{
	uint8_t *mapped = map->address;

	if (unlikely(mapped == NULL))
		return device_dma_write(device, (struct gpa){part + offset}, &value,
			sizeof(value)) == STATUS_OK;
	__atomic_store_n((uint16_t *)(void *)(mapped + offset), value, __ATOMIC_RELEASE);
	device_dma_written(device, map, offset, sizeof(value));
	return true;
}

// Any, which the driver does not look at before it sees another one change.
must_check static inline bool virtio_ring_put(struct device *device,
	const struct device_dma_map *map, uint64_t part, uint64_t offset, const void *from,
	size_t bytes)
{
	uint8_t *mapped = map->address;

	if (unlikely(mapped == NULL))
		return device_dma_write(device, (struct gpa){part + offset}, from, bytes) ==
			STATUS_OK;
	__builtin_memcpy(mapped + offset, from, bytes);
	device_dma_written(device, map, offset, bytes);
	return true;
}

must_check static inline bool virtio_device_put16(struct device *device,
	const struct virtio_queue *queue, uint64_t offset, uint16_t value)
{
	return virtio_ring_put16(device, &queue->maps[VIRTIO_QUEUE_DEVICE], queue->device, offset,
		value);
}

// A descriptor of either kind, read once, of a table that may be mapped.
must_check static inline bool virtio_descriptor_get(struct device *device, const void *mapped,
	uint64_t table, uint32_t index, uint64_t words[2])
{
	const uint64_t *from = mapped;

	if (unlikely(from == NULL)) {
		uint64_t copy[2];

		if (device_dma_read(device, (struct gpa){table + index * sizeof(copy)}, copy,
			sizeof(copy)) != STATUS_OK)
			return false;
		words[0] = copy[0];
		words[1] = copy[1];
		return true;
	}
	words[0] = __atomic_load_n(&from[2 * (uint64_t)index], __ATOMIC_RELAXED);
	words[1] = __atomic_load_n(&from[2 * (uint64_t)index + 1], __ATOMIC_RELAXED);
	return true;
}

#endif

// SPDX-License-Identifier: BSD-2-Clause
// Split virtqueues: VIRTIO 1.2, 2.7.
//
// With IN_ORDER (2.7.9) each chain is pushed all the same: the driver would take those between for
// written completely.
#include "emul/virtio_ring.h"

enum { AVAILABLE_BYTES = 2, USED_BYTES = 8, EVENT_BYTES = 2 };

struct used_element {
	uint32_t id, bytes;
};

static uint64_t split_bytes(uint16_t size, unsigned part)
{
	if (part == 0)
		return size * sizeof(struct virtio_descriptor);
	if (part == 1)
		return VIRTIO_AVAILABLE_RING + (uint64_t)size * AVAILABLE_BYTES + EVENT_BYTES;
	return VIRTIO_USED_RING + (uint64_t)size * USED_BYTES + EVENT_BYTES;
}

static struct virtio_descriptor descriptor_of(const uint64_t words[2])
{
	return (struct virtio_descriptor){words[0], (uint32_t)words[1],
		(uint16_t)(words[1] >> 32), (uint16_t)(words[1] >> 48)};
}

// Of a table of descriptors: the ring's, or an indirect one.
struct table {
	struct device_dma_map map; // address NULL: there is none
	uint64_t at;
	uint32_t count;
	uint32_t reserved;
};

// NULL, or what is wrong with the chain from descriptor `at` of a table on; *indirect receives the
// descriptor that leads to another table (its bytes are 0 else).
static always_inline const char *table_walk(struct device *device, struct virtio_ring ring,
	const struct table *table, bool is_indirect, uint16_t at, struct virtio_chain *chain,
	struct virtio_descriptor *indirect)
{
	const void *mapped = table->map.address;

	for (;;) {
		struct virtio_descriptor descriptor;
		const char *reason;
		uint64_t words[2];

		if (at >= table->count)
			return "a descriptor is beyond its table";
		if (!virtio_descriptor_get(device, mapped, table->at, at, words))
			return "a table of descriptors is not in memory";
		descriptor = descriptor_of(words);
		if (descriptor.flags & VIRTIO_DESCRIPTOR_INDIRECT) {
			if (!ring.indirect || is_indirect ||
				(descriptor.flags & VIRTIO_DESCRIPTOR_NEXT))
				return "an indirect descriptor where none may be";
			*indirect = descriptor;
			return descriptor.bytes != 0 ? NULL : VIRTIO_TABLE_LENGTH;
		}
		reason = virtio_chain_add(chain, descriptor.address, descriptor.bytes,
			(descriptor.flags & VIRTIO_DESCRIPTOR_WRITE) != 0);
		if (reason != NULL || !(descriptor.flags & VIRTIO_DESCRIPTOR_NEXT))
			return reason;
		if (ring.in_order && !is_indirect && descriptor.next != (at + 1) % table->count)
			return "a chain is not in the order of its table";
		at = descriptor.next;
	}
}

// 2.7.5.3
static __attribute__((noinline)) const char *indirect_walk(struct device *device,
	struct virtio_ring ring, const struct virtio_descriptor *descriptor,
	struct virtio_chain *chain)
{
	struct table table = {.at = descriptor->address,
		.count = virtio_table_entries(descriptor->bytes)};
	struct virtio_descriptor nested;
	const char *reason;

	if (table.count == 0)
		return VIRTIO_TABLE_LENGTH;
	if (!virtio_map_table(device, table.at, table.count, &table.map))
		table.map.address = NULL;
	reason = table_walk(device, ring, &table, true, 0, chain, &nested);
	if (table.map.address != NULL)
		device_dma_unmap(device, &table.map, 0);
	return reason;
}

// The next chain, which is there.
static __attribute__((noinline)) const char *split_take(struct device *device,
	struct virtio_queue *queue, struct virtio_ring ring, struct virtio_chain *chain,
	uint16_t index)
{
	const struct table table = {
		.map.address = queue->maps[VIRTIO_QUEUE_DESCRIPTORS].address,
		.at = queue->descriptors, .count = queue->size};
	struct virtio_descriptor indirect = {.bytes = 0};
	const char *reason;
	uint16_t head;

	if ((uint16_t)(index - queue->next) > queue->size)
		return VIRTIO_RING_JUMPS;
	__atomic_thread_fence(__ATOMIC_ACQUIRE); // 2.7.13.3: the driver's writes, in its order
	if (!virtio_driver_get16(device, queue, VIRTIO_AVAILABLE_RING +
		AVAILABLE_BYTES * (queue->next & (queue->size - 1u)), &head))
		return VIRTIO_RING_NOT_RAM;
	if (head >= queue->size)
		return "the head of a chain is beyond its table";
	if (virtio_is_flying(queue, head))
		return "a chain in flight is made available again";
	virtio_chain_begin(chain, head, 1);
	reason = table_walk(device, ring, &table, false, head, chain, &indirect);
	if (reason == NULL && indirect.bytes != 0)
		reason = indirect_walk(device, ring, &indirect, chain);
	if (reason != NULL)
		return reason;
	queue->next++;
	virtio_set_flying(queue, head, true);
	chain->last = index == queue->next;
	return NULL;
}

static const char *split_pop(struct device *device, struct virtio_queue *queue,
	struct virtio_ring ring, struct virtio_chain *chain, bool *got)
{
	const char *reason;
	uint16_t index;

	*got = false;
	if (!virtio_driver_get16(device, queue, VIRTIO_AVAILABLE_INDEX, &index))
		return VIRTIO_RING_NOT_RAM;
	if (index == queue->next)
		return NULL;
	reason = split_take(device, queue, ring, chain, index);
	*got = reason == NULL;
	return reason;
}

static void split_unpop(struct virtio_queue *queue, uint16_t slots)
{
	(void)slots;
	queue->next--;
}

// 2.7.8: the elements before the index.
static const char *split_push(struct device *device, struct virtio_queue *queue,
	const struct virtio_used *used, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		const struct used_element element = {used[i].id, used[i].written};
		uint64_t at = VIRTIO_USED_RING +
			USED_BYTES * (queue->used & (queue->size - 1u)); // 2.7: a power of two

		if (!virtio_ring_put(device, &queue->maps[VIRTIO_QUEUE_DEVICE], queue->device, at,
			&element, sizeof(element)))
			return VIRTIO_RING_NOT_RAM;
		queue->used++;
	}
	__atomic_thread_fence(__ATOMIC_RELEASE);
	return virtio_device_put16(device, queue, VIRTIO_USED_INDEX, queue->used)
		? NULL : VIRTIO_RING_NOT_RAM;
}

// 2.7.10: avail_event, or the flag that it replaces.
static const char *split_listen(struct device *device, struct virtio_queue *queue,
	struct virtio_ring ring)
{
	uint64_t event = VIRTIO_USED_RING + USED_BYTES * (uint64_t)queue->size;

	return virtio_device_put16(device, queue, ring.event_index ? event : 0,
		ring.event_index ? queue->next : 0) ? NULL : VIRTIO_RING_NOT_RAM;
}

// An avail_event that stays behind is not passed again for a round of 65536 chains.
static const char *split_hush(struct device *device, struct virtio_queue *queue,
	struct virtio_ring ring)
{
	if (ring.event_index)
		return NULL;
	return virtio_device_put16(device, queue, 0, VIRTIO_USED_NO_NOTIFY) ? NULL
									    : VIRTIO_RING_NOT_RAM;
}

// 2.7.7
static const char *split_take_signal(struct device *device, struct virtio_queue *queue,
	struct virtio_ring ring, bool *wanted)
{
	uint64_t at = ring.event_index
		? VIRTIO_AVAILABLE_RING + AVAILABLE_BYTES * (uint64_t)queue->size : 0;
	uint16_t before = queue->signalled, value;

	if (!virtio_driver_get16(device, queue, at, &value))
		return VIRTIO_RING_NOT_RAM;
	if (!ring.event_index)
		*wanted = !(value & VIRTIO_AVAILABLE_NO_INTERRUPT);
	else
		*wanted = !queue->was_signalled || virtio_passed(value, queue->used, before);
	queue->signalled = queue->used;
	queue->was_signalled = 1;
	return NULL;
}

static bool split_distance(const struct virtio_queue *queue, unsigned *distance)
{
	*distance = (uint16_t)(queue->next - queue->used);
	return *distance <= queue->size;
}

static uint16_t split_signal(const struct virtio_queue *queue)
{
	return queue->used;
}

// The driver may have left there anything before the device has used a chain.
static const char *split_verify(struct device *device, const struct virtio_queue *queue)
{
	uint16_t available, used;

	if (!virtio_driver_get16(device, queue, VIRTIO_AVAILABLE_INDEX, &available) ||
		!virtio_ring_get16(device, &queue->maps[VIRTIO_QUEUE_DEVICE], queue->device,
			VIRTIO_USED_INDEX, &used))
		return VIRTIO_RING_NOT_RAM;
	if ((uint16_t)(available - queue->next) > queue->size)
		return VIRTIO_RING_JUMPS;
	return used == queue->used || !queue->was_signalled
		? NULL : "the used index in memory is not the device's";
}

const struct virtio_ring_ops virtio_split_ops = {
	.distance = split_distance,
	.signal = split_signal,
	.verify = split_verify,
	.bytes = split_bytes,
	.pop = split_pop,
	.unpop = split_unpop,
	.push = split_push,
	.listen = split_listen,
	.hush = split_hush,
	.take_signal = split_take_signal,
};

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

// Descriptors from `first` on, of a table of `count`.
struct walk {
	uint64_t table;
	uint32_t count;
	uint16_t first;
	bool indirect; // it is an indirect table
	uint8_t reserved;
};

// NULL and all of the chain, or up to a descriptor of an indirect table, which *next receives (its
// count is 0 else).
static const char *walk_table(struct device *device, struct virtio_ring ring,
	const struct walk *walk, struct virtio_chain *chain, struct walk *next)
{
	uint16_t at = walk->first;
	const char *reason;

	next->count = 0;
	for (;;) {
		struct virtio_descriptor descriptor;

		if (at >= walk->count)
			return "a descriptor is beyond its table";
		if (device_dma_read(device,
			(struct gpa){walk->table + at * sizeof(descriptor)}, &descriptor,
			sizeof(descriptor)) != STATUS_OK)
			return "a table of descriptors is not in memory";
		if (descriptor.flags & VIRTIO_DESCRIPTOR_INDIRECT) {
			if (!ring.indirect || walk->indirect ||
				(descriptor.flags & VIRTIO_DESCRIPTOR_NEXT))
				return "an indirect descriptor where none may be";
			*next = (struct walk){descriptor.address,
				virtio_table_entries(descriptor.bytes), 0, true, 0};
			return next->count != 0 ? NULL
						: "an indirect table of an impossible length";
		}
		reason = virtio_chain_add(chain, descriptor.address, descriptor.bytes,
			(descriptor.flags & VIRTIO_DESCRIPTOR_WRITE) != 0);
		if (reason != NULL || !(descriptor.flags & VIRTIO_DESCRIPTOR_NEXT))
			return reason;
		if (ring.in_order && !walk->indirect && descriptor.next != (at + 1) % walk->count)
			return "a chain is not in the order of its table";
		at = descriptor.next;
	}
}

static const char *split_pop(struct device *device, struct virtio_queue *queue,
	struct virtio_ring ring, struct virtio_chain *chain, bool *got)
{
	struct walk walk = {queue->descriptors, queue->size, 0, false, 0}, indirect;
	uint16_t index, head;
	const char *reason;

	if (!virtio_get16(device, queue->driver + VIRTIO_AVAILABLE_INDEX, &index))
		return VIRTIO_RING_NOT_RAM;
	if (index == queue->next)
		return NULL;
	if ((uint16_t)(index - queue->next) > queue->size)
		return VIRTIO_RING_JUMPS;
	__atomic_thread_fence(__ATOMIC_ACQUIRE); // 2.7.13.3: the driver's writes, in its order
	if (!virtio_get16(device, queue->driver + VIRTIO_AVAILABLE_RING +
		AVAILABLE_BYTES * (uint64_t)(queue->next % queue->size), &head))
		return VIRTIO_RING_NOT_RAM;
	if (head >= queue->size)
		return "the head of a chain is beyond its table";
	if (virtio_is_flying(queue, head))
		return "a chain in flight is made available again";
	chain->id = head;
	chain->slots = 1;
	chain->readable = chain->writable = 0;
	walk.first = head;
	reason = walk_table(device, ring, &walk, chain, &indirect);
	if (reason == NULL && indirect.count != 0)
		reason = walk_table(device, ring, &indirect, chain, &walk);
	if (reason != NULL)
		return reason;
	queue->next++;
	virtio_set_flying(queue, head, true);
	chain->last = index == queue->next;
	*got = true;
	return NULL;
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
		uint64_t at = queue->device + VIRTIO_USED_RING +
			USED_BYTES * (uint64_t)(queue->used % queue->size);

		if (device_dma_write(device, (struct gpa){at}, &element, sizeof(element)) !=
			STATUS_OK)
			return VIRTIO_RING_NOT_RAM;
		queue->used++;
	}
	__atomic_thread_fence(__ATOMIC_RELEASE);
	return virtio_put16(device, queue->device + VIRTIO_USED_INDEX, queue->used)
		? NULL : VIRTIO_RING_NOT_RAM;
}

// 2.7.10: avail_event, or the flag that it replaces.
static const char *split_listen(struct device *device, struct virtio_queue *queue,
	struct virtio_ring ring)
{
	if (!ring.event_index)
		return virtio_put16(device, queue->device, 0) ? NULL : VIRTIO_RING_NOT_RAM;
	return virtio_put16(device, queue->device + VIRTIO_USED_RING +
		USED_BYTES * (uint64_t)queue->size, queue->next) ? NULL : VIRTIO_RING_NOT_RAM;
}

// An avail_event that stays behind is not passed again for a round of 65536 chains.
static const char *split_hush(struct device *device, struct virtio_queue *queue,
	struct virtio_ring ring)
{
	if (ring.event_index)
		return NULL;
	return virtio_put16(device, queue->device, VIRTIO_USED_NO_NOTIFY) ? NULL
									  : VIRTIO_RING_NOT_RAM;
}

// 2.7.7
static const char *split_take_signal(struct device *device, struct virtio_queue *queue,
	struct virtio_ring ring, bool *wanted)
{
	uint64_t at = ring.event_index ? queue->driver + VIRTIO_AVAILABLE_RING +
		AVAILABLE_BYTES * (uint64_t)queue->size : queue->driver;
	uint16_t before = queue->signalled, value;

	if (!virtio_get16(device, at, &value))
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

	if (!virtio_get16(device, queue->driver + VIRTIO_AVAILABLE_INDEX, &available) ||
		!virtio_get16(device, queue->device + VIRTIO_USED_INDEX, &used))
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

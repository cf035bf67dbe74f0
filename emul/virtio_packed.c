// SPDX-License-Identifier: BSD-2-Clause
// Packed virtqueues: VIRTIO 1.2, 2.8.
#include "emul/virtio_ring.h"

enum { EVENT_WRAP = 0x8000, EVENT_INDEX = 0x7fff };

static uint64_t packed_bytes(uint16_t size, unsigned part)
{
	return part == 0 ? size * sizeof(struct virtio_packed_descriptor) : VIRTIO_EVENT_BYTES;
}

static uint64_t descriptor_at(uint16_t index)
{
	return index * sizeof(struct virtio_packed_descriptor);
}

static struct virtio_packed_descriptor descriptor_of(const uint64_t words[2])
{
	return (struct virtio_packed_descriptor){words[0], (uint32_t)words[1],
		(uint16_t)(words[1] >> 32), (uint16_t)(words[1] >> 48)};
}

// A place in the ring, and the wrap counter there.
struct place {
	uint16_t index;
	bool wrap;
	uint8_t reserved;
};

static struct place place_behind(const struct virtio_queue *queue, struct place place,
	uint16_t count)
{
	unsigned index = (unsigned)place.index + count;

	if (index >= queue->size) {
		index -= queue->size;
		place.wrap = !place.wrap;
	}
	place.index = (uint16_t)index;
	return place;
}

// 2.8.1
static bool is_available(uint16_t flags, bool wrap)
{
	return ((flags & VIRTIO_DESCRIPTOR_AVAILABLE) != 0) == wrap &&
		((flags & VIRTIO_DESCRIPTOR_USED) != 0) != wrap;
}

static bool packed_distance(const struct virtio_queue *queue, unsigned *distance)
{
	unsigned round = queue->next_wrap != queue->used_wrap ? queue->size : 0;

	*distance = queue->next + round - queue->used;
	return queue->next < queue->size && queue->used < queue->size && *distance <= queue->size;
}

// 2.8.7: entries lie one behind the other.
static const char *walk_indirect(struct device *device,
	const struct virtio_packed_descriptor *table, struct virtio_chain *chain)
{
	uint32_t count = virtio_table_entries(table->bytes);
	const char *reason = count != 0 ? NULL : VIRTIO_TABLE_LENGTH;
	struct device_dma_map map;

	if (count == 0 || !virtio_map_table(device, table->address, count, &map))
		map.address = NULL;
	for (uint32_t i = 0; i < count && reason == NULL; i++) {
		struct virtio_packed_descriptor entry;
		uint64_t words[2];

		if (!virtio_descriptor_get(device, map.address, table->address, i, words)) {
			reason = "a table of descriptors is not in memory";
			break;
		}
		entry = descriptor_of(words);
		if (entry.flags & VIRTIO_DESCRIPTOR_INDIRECT)
			reason = "an indirect descriptor where none may be";
		else
			reason = virtio_chain_add(chain, entry.address, entry.bytes,
				(entry.flags & VIRTIO_DESCRIPTOR_WRITE) != 0);
	}
	if (map.address != NULL)
		device_dma_unmap(device, &map, 0);
	return reason;
}

static bool flags_get(struct device *device, const struct virtio_queue *queue, uint16_t index,
	uint16_t *flags)
{
	return virtio_ring_get16(device, &queue->maps[VIRTIO_QUEUE_DESCRIPTORS],
		queue->descriptors, descriptor_at(index) +
		offsetof(struct virtio_packed_descriptor, flags), flags);
}

// The flags of the first descriptor are written last: they are read before all else.
static const char *packed_pop(struct device *device, struct virtio_queue *queue,
	struct virtio_ring ring, struct virtio_chain *chain, bool *got)
{
	struct place place = {queue->next, queue->next_wrap, 0};
	struct virtio_packed_descriptor descriptor;
	const char *reason = NULL;
	unsigned distance;
	uint64_t words[2];
	uint16_t flags;

	*got = false;
	if (!packed_distance(queue, &distance))
		return "a ring whose indexes cannot be";
	if (!flags_get(device, queue, place.index, &flags))
		return VIRTIO_RING_NOT_RAM;
	if (!is_available(flags, place.wrap))
		return NULL;
	__atomic_thread_fence(__ATOMIC_ACQUIRE); // the driver's writes, in its order
	virtio_chain_begin(chain, 0, 0);
	do {
		if (distance + chain->slots == queue->size)
			return distance == 0 ? "a chain is longer than its ring"
					     : "more is in flight than the ring holds";
		if (!virtio_descriptor_get(device, queue->maps[VIRTIO_QUEUE_DESCRIPTORS].address,
			queue->descriptors, place.index, words))
			return VIRTIO_RING_NOT_RAM;
		descriptor = descriptor_of(words);
		if (!is_available(descriptor.flags, place.wrap))
			return "a chain goes on with a descriptor that is not available";
		if (descriptor.flags & VIRTIO_DESCRIPTOR_INDIRECT) {
			if (!ring.indirect || chain->slots != 0 ||
				(descriptor.flags & VIRTIO_DESCRIPTOR_NEXT))
				return "an indirect descriptor where none may be";
			reason = walk_indirect(device, &descriptor, chain);
		} else {
			reason = virtio_chain_add(chain, descriptor.address, descriptor.bytes,
				(descriptor.flags & VIRTIO_DESCRIPTOR_WRITE) != 0);
		}
		if (reason != NULL)
			return reason;
		chain->slots++;
		place = place_behind(queue, place, 1);
	} while (descriptor.flags & VIRTIO_DESCRIPTOR_NEXT);
	chain->id = descriptor.id; // 2.8.6: of the last
	if (chain->id >= queue->size)
		return "a buffer's id is beyond its ring";
	if (virtio_is_flying(queue, chain->id))
		return "a buffer in flight is made available again";
	queue->next = place.index;
	queue->next_wrap = place.wrap;
	virtio_set_flying(queue, chain->id, true);
	chain->last = false;
	*got = true;
	return NULL;
}

static void packed_unpop(struct virtio_queue *queue, uint16_t slots)
{
	if (queue->next < slots) {
		queue->next = (uint16_t)(queue->next + queue->size);
		queue->next_wrap = !queue->next_wrap;
	}
	queue->next = (uint16_t)(queue->next - slots);
}

// 2.8.8: one descriptor for a whole chain; the others are skipped. All but its flags.
static bool used_write(struct device *device, const struct virtio_queue *queue, uint16_t index,
	const struct virtio_used *used)
{
	struct virtio_packed_descriptor descriptor = {.bytes = used->written, .id = used->id};
	const size_t first = offsetof(struct virtio_packed_descriptor, bytes);

	return virtio_ring_put(device, &queue->maps[VIRTIO_QUEUE_DESCRIPTORS], queue->descriptors,
		descriptor_at(index) + first, &descriptor.bytes,
		offsetof(struct virtio_packed_descriptor, flags) - first);
}

static bool used_flags_write(struct device *device, const struct virtio_queue *queue,
	struct place place, const struct virtio_used *used)
{
	uint16_t flags = used->written != 0 ? VIRTIO_DESCRIPTOR_WRITE : 0;

	if (place.wrap)
		flags |= VIRTIO_DESCRIPTOR_AVAILABLE | VIRTIO_DESCRIPTOR_USED;
	return virtio_ring_put16(device, &queue->maps[VIRTIO_QUEUE_DESCRIPTORS],
		queue->descriptors, descriptor_at(place.index) +
		offsetof(struct virtio_packed_descriptor, flags), flags);
}

// The flags last, and the first one's behind all others': by these the driver knows.
static const char *packed_push(struct device *device, struct virtio_queue *queue,
	const struct virtio_used *used, unsigned count)
{
	const struct place first = {queue->used, queue->used_wrap, 0};
	struct place place = first;

	for (unsigned i = 0; i < count; i++) {
		if (!used_write(device, queue, place.index, &used[i]) ||
			(i > 0 && !used_flags_write(device, queue, place, &used[i])))
			return VIRTIO_RING_NOT_RAM;
		place = place_behind(queue, place, used[i].slots);
	}
	__atomic_thread_fence(__ATOMIC_RELEASE);
	queue->used = place.index;
	queue->used_wrap = place.wrap;
	return used_flags_write(device, queue, first, &used[0]) ? NULL : VIRTIO_RING_NOT_RAM;
}

// 2.8.10 and 2.8.14
static const char *packed_listen(struct device *device, struct virtio_queue *queue,
	struct virtio_ring ring)
{
	uint16_t at = (uint16_t)(queue->next | (queue->next_wrap ? EVENT_WRAP : 0));
	uint16_t flags = ring.event_index ? VIRTIO_EVENTS_AT : VIRTIO_EVENTS_ON;

	return virtio_device_put16(device, queue, VIRTIO_EVENT_DESCRIPTOR, at) &&
		virtio_device_put16(device, queue, VIRTIO_EVENT_FLAGS, flags)
		? NULL : VIRTIO_RING_NOT_RAM;
}

static const char *packed_hush(struct device *device, struct virtio_queue *queue,
	struct virtio_ring ring)
{
	(void)ring;
	return virtio_device_put16(device, queue, VIRTIO_EVENT_FLAGS, VIRTIO_EVENTS_OFF)
		? NULL : VIRTIO_RING_NOT_RAM;
}

// Descriptors since the wrap counter was last 1: indexes of both rounds on one scale.
static uint16_t scaled(const struct virtio_queue *queue, uint16_t index, bool wrap)
{
	return (uint16_t)(wrap == queue->used_wrap ? index : index - queue->size);
}

static uint16_t packed_signal(const struct virtio_queue *queue)
{
	return (uint16_t)(queue->used | (queue->used_wrap ? EVENT_WRAP : 0));
}

static const char *packed_take_signal(struct device *device, struct virtio_queue *queue,
	struct virtio_ring ring, bool *wanted)
{
	uint16_t before = queue->signalled, event[2];

	// The driver writes the flags last.
	if (!virtio_driver_get16(device, queue, VIRTIO_EVENT_FLAGS, &event[1]) ||
		!virtio_driver_get16(device, queue, VIRTIO_EVENT_DESCRIPTOR, &event[0]))
		return VIRTIO_RING_NOT_RAM;
	if (ring.event_index && event[1] == VIRTIO_EVENTS_AT)
		*wanted = !queue->was_signalled ||
			virtio_passed(scaled(queue, event[0] & EVENT_INDEX,
					      (event[0] & EVENT_WRAP) != 0),
				queue->used, scaled(queue, before & EVENT_INDEX,
						     (before & EVENT_WRAP) != 0));
	else
		*wanted = event[1] != VIRTIO_EVENTS_OFF;
	queue->signalled = packed_signal(queue);
	queue->was_signalled = 1;
	return NULL;
}

// A driver leaves what is in flight as it is: what will be overwritten next is available still.
static const char *packed_verify(struct device *device, const struct virtio_queue *queue)
{
	unsigned distance;
	uint16_t flags;

	if (!packed_distance(queue, &distance) || distance == 0)
		return NULL;
	if (!flags_get(device, queue, queue->used, &flags))
		return VIRTIO_RING_NOT_RAM;
	return is_available(flags, queue->used_wrap)
		? NULL : "a descriptor in flight is not available in memory";
}

const struct virtio_ring_ops virtio_packed_ops = {
	.distance = packed_distance,
	.signal = packed_signal,
	.verify = packed_verify,
	.bytes = packed_bytes,
	.pop = packed_pop,
	.unpop = packed_unpop,
	.push = packed_push,
	.listen = packed_listen,
	.hush = packed_hush,
	.take_signal = packed_take_signal,
};

// SPDX-License-Identifier: BSD-2-Clause
// Frames from one producer at a time to one consumer, on any two CPUs, without a lock. Both indices
// count for ever; each is written by its own side alone, with release behind the frame that it
// tells of, and read by the other with acquire.
#ifndef VM_FRAME_RING_H
#define VM_FRAME_RING_H

#include <string.h>

#include "emul/device.h"

enum { FRAME_RING_FRAMES = 64 }; // a power of two

struct frame_slot {
	uint16_t count, checksum_start, checksum_offset; // as of struct device_frame
	uint8_t bytes[DEVICE_FRAME_MAX];
};

struct frame_ring {
	uint32_t put;   // (a) the producer's
	uint32_t taken; // (a) the consumer's
	struct frame_slot slots[FRAME_RING_FRAMES];
};

static inline uint32_t frame_ring_count(const struct frame_ring *ring)
{
	uint32_t taken = __atomic_load_n(&ring->taken, __ATOMIC_ACQUIRE);

	return __atomic_load_n(&ring->put, __ATOMIC_ACQUIRE) - taken;
}

// Producer. False: there is no room.
must_check static inline bool frame_ring_put(struct frame_ring *ring,
	const struct device_frame *frame)
{
	struct frame_slot *slot = &ring->slots[ring->put % FRAME_RING_FRAMES];

	if (ring->put - __atomic_load_n(&ring->taken, __ATOMIC_ACQUIRE) == FRAME_RING_FRAMES)
		return false;
	slot->count = frame->count;
	slot->checksum_start = frame->checksum_start;
	slot->checksum_offset = frame->checksum_offset;
	memcpy(slot->bytes, frame->bytes, frame->count);
	__atomic_store_n(&ring->put, ring->put + 1, __ATOMIC_RELEASE);
	return true;
}

// Consumer: frame `place`, 0 the oldest, valid until it is taken. False: there are no more.
must_check static inline bool frame_ring_peek(const struct frame_ring *ring, uint32_t place,
	struct device_frame *frame)
{
	const struct frame_slot *slot =
		&ring->slots[(ring->taken + place) % FRAME_RING_FRAMES];

	if (place >= __atomic_load_n(&ring->put, __ATOMIC_ACQUIRE) - ring->taken)
		return false;
	*frame = (struct device_frame){.bytes = slot->bytes, .count = slot->count,
		.checksum_start = slot->checksum_start,
		.checksum_offset = slot->checksum_offset};
	return true;
}

// Consumer: the oldest, which is there.
static inline void frame_ring_take(struct frame_ring *ring)
{
	__atomic_store_n(&ring->taken, ring->taken + 1, __ATOMIC_RELEASE);
}

#endif

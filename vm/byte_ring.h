// SPDX-License-Identifier: BSD-2-Clause
// Bytes from one producer at a time to one consumer, on any two CPUs, without a lock. Both indices
// count for ever; each is written by its own side alone.
//
// Notice: the producer is told when the consumer may have seen the ring empty. It stores `put`
// and then loads `taken`, the consumer stores `taken` and then loads `put`, with a full barrier in
// each pair: either the consumer sees the new bytes, or the producer that it has to be woken.
#ifndef VM_BYTE_RING_H
#define VM_BYTE_RING_H

#include <string.h>

#include "kernel/base/types.h"

struct byte_ring {
	uint8_t *bytes;
	size_t capacity;
	uint64_t put;   // (a) the producer's
	uint64_t taken; // (a) the consumer's
};

// Producer: puts as much as fits and returns how much that is. *wake: the consumer must be woken.
static inline size_t byte_ring_put(struct byte_ring *ring, const uint8_t *bytes, size_t count,
	bool *wake)
{
	uint64_t put = ring->put;
	uint64_t taken = __atomic_load_n(&ring->taken, __ATOMIC_ACQUIRE);
	size_t room = ring->capacity - (size_t)(put - taken);

	if (count > room)
		count = room;
	for (size_t i = 0; i < count; i++)
		ring->bytes[(put + i) % ring->capacity] = bytes[i];
	__atomic_store_n(&ring->put, put + count, __ATOMIC_SEQ_CST);
	*wake = count > 0 && __atomic_load_n(&ring->taken, __ATOMIC_SEQ_CST) == put;
	return count;
}

// Consumer: the oldest bytes, as far as they are contiguous; 0: none.
static inline size_t byte_ring_peek(const struct byte_ring *ring, const uint8_t **bytes)
{
	uint64_t count = __atomic_load_n(&ring->put, __ATOMIC_SEQ_CST) - ring->taken;
	size_t at = (size_t)(ring->taken % ring->capacity);

	*bytes = ring->bytes + at;
	return count < ring->capacity - at ? (size_t)count : ring->capacity - at;
}

// Consumer: `count` of what byte_ring_peek showed may be overwritten.
static inline void byte_ring_take(struct byte_ring *ring, size_t count)
{
	__atomic_store_n(&ring->taken, ring->taken + count, __ATOMIC_SEQ_CST);
}

#endif

// SPDX-License-Identifier: BSD-2-Clause
// Split queues for payloads about small virtio devices: chains of one descriptor, as many as the
// ring has places. VIRTIO 1.2, 2.7.
#ifndef TESTS_GUEST_LIB_VIRTQ_H
#define TESTS_GUEST_LIB_VIRTQ_H

#include "virtio_pci.h"

enum { VIRTQ_SIZE = 16 };

struct virtq {
	struct descriptor ring[VIRTQ_SIZE] __attribute__((aligned(16)));
	volatile uint16_t driver[4 + VIRTQ_SIZE];
	volatile uint16_t device[4 + 4 * VIRTQ_SIZE] __attribute__((aligned(4)));
	uint16_t number, offered, seen;
};

static inline void virtq_begin(struct virtq *queue, unsigned number)
{
	for (unsigned i = 0; i < VIRTQ_SIZE; i++)
		queue->ring[i] = (struct descriptor){0, 0, 0, 0};
	for (unsigned i = 0; i < sizeof(queue->driver) / 2; i++)
		queue->driver[i] = 0;
	for (unsigned i = 0; i < sizeof(queue->device) / 2; i++)
		queue->device[i] = 0;
	queue->number = (uint16_t)number;
	queue->offered = queue->seen = 0;
	queue_enable(number, VIRTQ_SIZE, queue->ring, queue->driver, queue->device);
}

static inline void virtq_offer(struct virtq *queue, const volatile void *at, uint32_t bytes,
	uint16_t flags)
{
	unsigned place = queue->offered % VIRTQ_SIZE;

	queue->ring[place].address = (uintptr_t)at;
	queue->ring[place].bytes = bytes;
	queue->ring[place].a = flags;
	queue->driver[2 + place] = (uint16_t)place;
	queue->driver[1] = ++queue->offered;
}

static inline void virtq_notify(const struct virtq *queue)
{
	write16(NOTIFY + 4u * queue->number, queue->number);
}

// Until the next one comes back: how many bytes were written to it.
static inline uint32_t virtq_wait(struct virtq *queue)
{
	unsigned place = queue->seen % VIRTQ_SIZE;

	while (queue->device[1] == queue->seen)
		pause();
	queue->seen++;
	return queue->device[2 + 4 * place + 2] | (uint32_t)queue->device[2 + 4 * place + 3] << 16;
}

#endif

// SPDX-License-Identifier: BSD-2-Clause
// A driver of virtio network devices, for payloads: split rings, polled. VIRTIO 1.2, 2.7, 4.1, 5.1;
// PCI 3.0, 6.
#ifndef TESTS_GUEST_LIB_NET_H
#define TESTS_GUEST_LIB_NET_H

#include "payload.h"

enum {
	NET_DEVICES = 2,
	NET_SIZE = 32, // of each queue
	NET_BUFFER = 2048,
	NET_FRAME_MAX = 1514,
	NET_BASE = 0xfd200000, NET_STEP = 0x10000, // of the modern registers
	NET_ISR = 0x1000, NET_CONFIG = 0x2000, NET_NOTIFY = 0x3000,
	NET_STATUS = 0x14, NET_NEEDS_RESET = 0x40,
	NET_RECEIVE = 0, NET_SEND = 1, NET_CONTROL = 2, NET_QUEUES,
	NET_HEADER = 12,
	NET_F_CSUM = 1 << 0, NET_F_GUEST_CSUM = 1 << 1, NET_F_MERGE = 1 << 15,
	NET_F_CONTROL = 1 << 17, NET_F_CTRL_RX = 1 << 18,
	NET_WRITE = 2, NET_NEXT = 1,
};

struct net_descriptor {
	volatile uint64_t address;
	volatile uint32_t bytes;
	volatile uint16_t flags, next;
};

struct net_queue {
	struct net_descriptor ring[NET_SIZE] __attribute__((aligned(16)));
	volatile uint16_t driver[4 + NET_SIZE];
	uint8_t gap[4];
	volatile uint32_t device[2 + 2 * NET_SIZE]; // the index is in the first one's upper half
	uint16_t offered, seen;
};

struct net_header {
	uint8_t flags, gso;
	uint16_t header_bytes, gso_bytes, start, offset, buffers;
};

struct net {
	struct net_queue queues[NET_QUEUES] __attribute__((aligned(16)));
	uint8_t buffers[NET_SIZE][NET_BUFFER];
	uint8_t out[NET_SIZE][NET_BUFFER]; // with headers
	uint64_t at;       // of its registers
	uint32_t function; // of CONFIG_ADDRESS
	uint32_t buffer_bytes;
	uint8_t mac[6];
};

static inline uint32_t net_config_read(const struct net *net, unsigned offset)
{
	outl(0xcf8, net->function | (offset & 0xfc));
	return inl(0xcfc);
}

static inline void net_config_write(const struct net *net, unsigned offset, uint32_t value)
{
	outl(0xcf8, net->function | (offset & 0xfc));
	outl(0xcfc, value);
}

// Device `index` of these. False: there are not so many.
static inline bool net_find(struct net *net, unsigned index)
{
	unsigned met = 0;

	for (unsigned slot = 0; slot < 32; slot++) {
		net->function = 0x80000000 | slot << 11;
		if (net_config_read(net, 0) != 0x10001af4 || met++ != index)
			continue;
		net->at = NET_BASE + index * NET_STEP;
		net_config_write(net, 0x20, (uint32_t)net->at);
		net_config_write(net, 0x24, 0);
		net_config_write(net, 4, 6);
		for (unsigned i = 0; i < 6; i++)
			net->mac[i] = read8(net->at + NET_CONFIG + i);
		return true;
	}
	return false;
}

static inline void net_notify(const struct net *net, unsigned queue)
{
	write16(net->at + NET_NOTIFY + 4 * queue, (uint16_t)queue);
}

static inline void net_offer(struct net_queue *queue, uint16_t head)
{
	queue->driver[2 + queue->offered % NET_SIZE] = head;
	queue->driver[1] = ++queue->offered;
}

static inline void net_buffer_offer(struct net *net, uint16_t index)
{
	net->queues[NET_RECEIVE].ring[index] = (struct net_descriptor){
		(uintptr_t)net->buffers[index], net->buffer_bytes, NET_WRITE, 0};
	net_offer(&net->queues[NET_RECEIVE], index);
}

// All buffers, of so many bytes, are there to receive in.
static inline void net_begin(struct net *net, uint32_t features, uint32_t buffer_bytes)
{
	write8(net->at + NET_STATUS, 0);
	write8(net->at + NET_STATUS, 3);
	write32(net->at + 8, 0);
	write32(net->at + 0xc, features);
	write32(net->at + 8, 1);
	write32(net->at + 0xc, 1); // VERSION_1
	write8(net->at + NET_STATUS, 0xb);
	for (uint16_t i = 0; i < NET_QUEUES; i++) {
		struct net_queue *queue = &net->queues[i];

		*queue = (struct net_queue){.offered = 0};
		write16(net->at + 0x16, i);
		write16(net->at + 0x18, NET_SIZE);
		write64(net->at + 0x20, (uintptr_t)queue->ring);
		write64(net->at + 0x28, (uintptr_t)queue->driver);
		write64(net->at + 0x30, (uintptr_t)queue->device);
		write16(net->at + 0x1c, 1);
	}
	net->buffer_bytes = buffer_bytes;
	for (uint16_t i = 0; i < NET_SIZE; i++)
		net_buffer_offer(net, i);
	write8(net->at + NET_STATUS, 0xf);
}

static inline bool net_answered(const struct net_queue *queue)
{
	return (uint16_t)(queue->device[0] >> 16) != queue->seen;
}

// The id of the chain that comes back next.
static inline uint32_t net_used(struct net_queue *queue, uint32_t *bytes)
{
	const volatile uint32_t *element = &queue->device[1 + 2 * (queue->seen++ % NET_SIZE)];

	*bytes = element[1];
	return element[0];
}

static inline struct net_header *net_header_of(struct net *net, unsigned index)
{
	return (struct net_header *)net->out[index];
}

static inline uint8_t *net_frame_of(struct net *net, unsigned index)
{
	return net->out[index] + NET_HEADER;
}

// Frame `index` of the next ones to be sent, which net_frame_of has; net_notify is to follow.
static inline void net_send(struct net *net, uint16_t index, uint32_t bytes)
{
	net->queues[NET_SEND].ring[index] = (struct net_descriptor){(uintptr_t)net->out[index],
		NET_HEADER + bytes, 0, 0};
	net_offer(&net->queues[NET_SEND], index);
}

static inline void net_sent(struct net *net)
{
	struct net_queue *queue = &net->queues[NET_SEND];
	uint32_t bytes;

	while (queue->seen != queue->offered) {
		while (!net_answered(queue))
			pause();
		(void)net_used(queue, &bytes);
	}
}

// A frame, without its header, in one buffer; NULL: none has come. net_buffer_offer is to follow.
static inline const uint8_t *net_received(struct net *net, uint16_t *index, uint32_t *bytes)
{
	struct net_queue *queue = &net->queues[NET_RECEIVE];

	if (!net_answered(queue))
		return NULL;
	*index = (uint16_t)net_used(queue, bytes);
	*bytes -= NET_HEADER;
	return net->buffers[*index] + NET_HEADER;
}

static inline void net_header_clear(struct net *net, unsigned index)
{
	*net_header_of(net, index) = (struct net_header){.flags = 0};
}

// To whom, from where, and of a type for local experiments: IEEE 802, 9.2.3.
static inline void net_addresses(struct net *net, unsigned index, const uint8_t *to)
{
	uint8_t *frame = net_frame_of(net, index);

	for (unsigned i = 0; i < 6; i++) {
		frame[i] = to[i];
		frame[6 + i] = net->mac[i];
	}
	frame[12] = 0x88;
	frame[13] = 0xb5;
}

#endif

// SPDX-License-Identifier: BSD-2-Clause
// A driver of a virtio disk, for payloads: one queue, split or packed, with requests of three
// descriptors. VIRTIO 1.2, 2.7, 2.8, 4.1, 5.2; PCI 3.0, 6.
//
// VIRTIO_MANY is defined before: requests under way at once, at most.
#ifndef TESTS_GUEST_LIB_VIRTIO_H
#define TESTS_GUEST_LIB_VIRTIO_H

#include "virtio_pci.h"

enum {
	SIZE = 128,   // of the ring
	IN = 0, OUT = 1, FLUSH = 4, GET_ID = 8,
	AVAILABLE = 1 << 7, USED = 1 << 15,
};

static struct descriptor ring[SIZE] __attribute__((aligned(4096)));
static volatile uint16_t driver[4 + SIZE] __attribute__((aligned(4096)));
static volatile uint16_t device[4 + 4 * SIZE] __attribute__((aligned(4096)));
static struct {
	uint32_t type, reserved;
	uint64_t sector;
} headers[VIRTIO_MANY];
static volatile uint8_t status[VIRTIO_MANY];
static bool packed, wrap;
static uint16_t offered, seen; // chains
static unsigned packed_at;     // the descriptor that is looked at for an answer

static inline bool find(void)
{
	return find_device(0x1001);
}

static inline void begin(uint32_t low, uint32_t high, bool messages)
{
	write8(COMMON + STATUS, 0); // before the rings change under it
	packed = (high & PACKED) != 0;
	wrap = true;
	offered = seen = 0;
	packed_at = 0;
	for (unsigned i = 0; i < SIZE; i++)
		ring[i] = (struct descriptor){0, 0, 0, 0};
	for (unsigned i = 0; i < sizeof(driver) / 2; i++)
		driver[i] = 0;
	for (unsigned i = 0; i < sizeof(device) / 2; i++)
		device[i] = 0;
	negotiate(low, high);
	write16(COMMON + 0x16, 0);
	if (messages)
		write16(COMMON + 0x1a, 1);
	queue_enable(0, SIZE, ring, driver, device);
	write8(COMMON + STATUS, DRIVER_OK);
}

static inline void descriptor_set(unsigned at, uint64_t address, uint32_t bytes, uint16_t flags,
	uint16_t id)
{
	ring[at].address = address;
	ring[at].bytes = bytes;
	if (packed) {
		ring[at].a = id;
		ring[at].b = flags | (wrap ? AVAILABLE : USED);
	} else {
		ring[at].a = flags;
		ring[at].b = (uint16_t)(at + 1);
	}
}

// Request `n` of this round, the descriptors from `at` on.
static inline void offer(unsigned n, unsigned at, uint32_t type, uint64_t sector, uint8_t *data,
	uint32_t bytes)
{
	headers[n].type = type;
	headers[n].sector = sector;
	status[n] = 0xee;
	descriptor_set(at + 1, (uintptr_t)data, bytes, NEXT | (type == OUT ? 0 : WRITE),
		(uint16_t)n);
	descriptor_set(at + 2, (uintptr_t)&status[n], 1, WRITE, (uint16_t)n);
	descriptor_set(at, (uintptr_t)&headers[n], sizeof(headers[n]), NEXT, (uint16_t)n);
	if (!packed) {
		driver[2 + offered % SIZE] = (uint16_t)at;
		driver[1] = (uint16_t)(offered + 1);
	}
	offered++;
}

static inline bool answered(void)
{
	if (!packed)
		return device[1] != seen;
	return (ring[packed_at].b & (AVAILABLE | USED)) == (wrap ? AVAILABLE | USED : 0);
}

static inline void wait_all(void)
{
	while (seen != offered) {
		while (!answered())
			pause();
		seen++;
		packed_at += 3;
	}
}

#endif

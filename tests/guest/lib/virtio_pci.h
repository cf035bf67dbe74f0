// SPDX-License-Identifier: BSD-2-Clause
// A virtio device on the PCI bus, for payloads: found, and its registers placed. VIRTIO 1.2, 4.1.
#ifndef TESTS_GUEST_LIB_VIRTIO_PCI_H
#define TESTS_GUEST_LIB_VIRTIO_PCI_H

#include "payload.h"

enum {
	COMMON = 0xfd000000, NOTIFY = COMMON + 0x3000, ISR = COMMON + 0x1000,
	CONFIG = COMMON + 0x2000, MSIX = 0xfd100000, PORTS = 0xc000,
	STATUS = 0x14, FEATURES_OK = 0x0b, DRIVER_OK = 0x0f, NEEDS_RESET = 0x40,
	GENERATION = 0x15,
	WRITE = 2, NEXT = 1,
	EVENT_IDX = 1 << 29,
	PACKED = 1 << 2,   // of the features' second word
	IN_ORDER = 1 << 3, // the same
	VERSION_1 = 1,
};

struct descriptor {
	volatile uint64_t address;
	volatile uint32_t bytes;
	volatile uint16_t a, b; // split: flags, next; packed: id, flags
};

static uint32_t function; // of CONFIG_ADDRESS
static uint16_t doorbell; // port by which queues are notified, or 0

static inline uint32_t config_read(unsigned offset)
{
	outl(0xcf8, function | (offset & 0xfc));
	return inl(0xcfc);
}

static inline void config_write(unsigned offset, uint32_t value)
{
	outl(0xcf8, function | (offset & 0xfc));
	outl(0xcfc, value);
}

// The first of the structures by which queues are notified (4.1.4.4), where it is a port for all.
static inline void doorbell_find(void)
{
	for (unsigned at = config_read(0x34) & 0xfc; at != 0; at = config_read(at) >> 8 & 0xfc) {
		if ((config_read(at) & 0xff0000ff) != 0x02000009)
			continue;
		if ((config_read(at + 4) & 0xff) == 0 && config_read(at + 16) == 0)
			doorbell = (uint16_t)(PORTS + config_read(at + 8));
		return;
	}
}

// False: there is no such device. Its registers are at PORTS, COMMON and MSIX then.
static inline bool find_device(uint32_t id)
{
	for (unsigned slot = 0; slot < 32; slot++) {
		function = 0x80000000 | slot << 11;
		if (config_read(0) != (id << 16 | 0x1af4))
			continue;
		config_write(0x10, PORTS);
		config_write(0x14, MSIX);
		config_write(0x20, COMMON);
		config_write(0x24, 0);
		config_write(4, 7);
		doorbell_find();
		return true;
	}
	return false;
}

// 3.1.1, up to FEATURES_OK.
static inline void negotiate(uint32_t low, uint32_t high)
{
	write8(COMMON + STATUS, 0);
	write8(COMMON + STATUS, 3);
	write32(COMMON + 8, 0);
	write32(COMMON + 0xc, low);
	write32(COMMON + 8, 1);
	write32(COMMON + 0xc, VERSION_1 | high);
	write8(COMMON + STATUS, FEATURES_OK);
}

static inline uint32_t features(unsigned word)
{
	write32(COMMON, word);
	return read32(COMMON + 4);
}

static inline void queue_enable(unsigned number, unsigned size, const volatile void *descriptors,
	const volatile void *available, const volatile void *used)
{
	write16(COMMON + 0x16, (uint16_t)number);
	write16(COMMON + 0x18, (uint16_t)size);
	write64(COMMON + 0x20, (uintptr_t)descriptors);
	write64(COMMON + 0x28, (uintptr_t)available);
	write64(COMMON + 0x30, (uintptr_t)used);
	write16(COMMON + 0x1c, 1);
}

#endif

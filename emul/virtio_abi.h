// SPDX-License-Identifier: BSD-2-Clause
// What drivers see of virtio devices: "Virtual I/O Device (VIRTIO) Version 1.2". Little-endian.
#ifndef EMUL_VIRTIO_ABI_H
#define EMUL_VIRTIO_ABI_H

#include "kernel/base/types.h"

enum { VIRTIO_PCI_VENDOR = 0x1af4 };

// 2.1, device status.
enum {
	VIRTIO_STATUS_ACKNOWLEDGE = 1,
	VIRTIO_STATUS_DRIVER = 2,
	VIRTIO_STATUS_DRIVER_OK = 4,
	VIRTIO_STATUS_FEATURES_OK = 8,
	VIRTIO_STATUS_NEEDS_RESET = 64,
	VIRTIO_STATUS_FAILED = 128,
};

// 6, reserved feature bits.
enum {
	VIRTIO_F_ANY_LAYOUT = 27, // of the legacy interface: 6.3
	VIRTIO_F_INDIRECT_DESC = 28,
	VIRTIO_F_EVENT_IDX = 29,
	VIRTIO_F_VERSION_1 = 32,
	VIRTIO_F_RING_PACKED = 34,
	VIRTIO_F_IN_ORDER = 35,
	VIRTIO_F_RING_RESET = 40,
};

// 2.7.5 and 2.8.1, descriptor flags.
enum {
	VIRTIO_DESCRIPTOR_NEXT = 1,
	VIRTIO_DESCRIPTOR_WRITE = 2,
	VIRTIO_DESCRIPTOR_INDIRECT = 4,
	VIRTIO_DESCRIPTOR_AVAILABLE = 1 << 7, // packed
	VIRTIO_DESCRIPTOR_USED = 1 << 15,     // packed
};

// 2.7.5
struct virtio_descriptor {
	uint64_t address;
	uint32_t bytes;
	uint16_t flags;
	uint16_t next;
};

// 2.8.13
struct virtio_packed_descriptor {
	uint64_t address;
	uint32_t bytes;
	uint16_t id;
	uint16_t flags;
};

_Static_assert(sizeof(struct virtio_descriptor) == 16, "2.7.5");
_Static_assert(sizeof(struct virtio_packed_descriptor) == 16, "2.8.13");

// 2.7.6 and 2.7.8: a split ring's parts.
enum {
	VIRTIO_AVAILABLE_INDEX = 2,
	VIRTIO_AVAILABLE_RING = 4, // 2 bytes each; behind them used_event
	VIRTIO_AVAILABLE_NO_INTERRUPT = 1,
	VIRTIO_USED_NO_NOTIFY = 1,
	VIRTIO_USED_INDEX = 2,
	VIRTIO_USED_RING = 4, // 8 bytes each; behind them avail_event
};

// 2.8.14: of both event suppression structures.
enum {
	VIRTIO_EVENT_DESCRIPTOR = 0,
	VIRTIO_EVENT_FLAGS = 2,
	VIRTIO_EVENT_BYTES = 4,
	VIRTIO_EVENTS_ON = 0,
	VIRTIO_EVENTS_OFF = 1,
	VIRTIO_EVENTS_AT = 2, // at the descriptor
};

// 4.1.4: capabilities.
enum {
	VIRTIO_PCI_CAPABILITY = 9,
	VIRTIO_PCI_COMMON = 1,
	VIRTIO_PCI_NOTIFY = 2,
	VIRTIO_PCI_ISR = 3,
	VIRTIO_PCI_DEVICE = 4,
	VIRTIO_PCI_ACCESS = 5,
};

// 4.1.4.3, common configuration.
enum {
	VIRTIO_COMMON_DEVICE_FEATURE_SELECT = 0x00,
	VIRTIO_COMMON_DEVICE_FEATURE = 0x04,
	VIRTIO_COMMON_DRIVER_FEATURE_SELECT = 0x08,
	VIRTIO_COMMON_DRIVER_FEATURE = 0x0c,
	VIRTIO_COMMON_CONFIG_VECTOR = 0x10,
	VIRTIO_COMMON_QUEUE_COUNT = 0x12,
	VIRTIO_COMMON_STATUS = 0x14,
	VIRTIO_COMMON_GENERATION = 0x15,
	VIRTIO_COMMON_QUEUE_SELECT = 0x16,
	VIRTIO_COMMON_QUEUE_SIZE = 0x18,
	VIRTIO_COMMON_QUEUE_VECTOR = 0x1a,
	VIRTIO_COMMON_QUEUE_ENABLE = 0x1c,
	VIRTIO_COMMON_QUEUE_NOTIFY_OFF = 0x1e,
	VIRTIO_COMMON_QUEUE_DESCRIPTORS = 0x20,
	VIRTIO_COMMON_QUEUE_DRIVER = 0x28,
	VIRTIO_COMMON_QUEUE_DEVICE = 0x30,
	VIRTIO_COMMON_QUEUE_NOTIFY_DATA = 0x38,
	VIRTIO_COMMON_QUEUE_RESET = 0x3a,
	VIRTIO_COMMON_BYTES = 0x3c,
};
enum { VIRTIO_NO_VECTOR = 0xffff };

// 4.1.4.5
enum { VIRTIO_ISR_QUEUE = 1, VIRTIO_ISR_CONFIGURATION = 2 };

// 4.1.4.10, the legacy interface.
enum {
	VIRTIO_LEGACY_DEVICE_FEATURES = 0x00,
	VIRTIO_LEGACY_DRIVER_FEATURES = 0x04,
	VIRTIO_LEGACY_QUEUE_PAGE = 0x08,
	VIRTIO_LEGACY_QUEUE_SIZE = 0x0c,
	VIRTIO_LEGACY_QUEUE_SELECT = 0x0e,
	VIRTIO_LEGACY_NOTIFY = 0x10,
	VIRTIO_LEGACY_STATUS = 0x12,
	VIRTIO_LEGACY_ISR = 0x13,
	VIRTIO_LEGACY_CONFIG_VECTOR = 0x14, // with MSI-X on
	VIRTIO_LEGACY_QUEUE_VECTOR = 0x16,  // the same
	VIRTIO_LEGACY_DEVICE = 0x14,        // 0x18 with MSI-X on
	VIRTIO_LEGACY_ALIGNMENT = 4096,     // 2.7.2
};

#endif

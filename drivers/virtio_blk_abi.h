// SPDX-License-Identifier: BSD-2-Clause
// Virtual I/O Device (VIRTIO) Version 1.2: the transport over PCI (4.1), the split virtqueue (2.7)
// and the block device (5.2). All fields are little-endian.
#ifndef DRIVERS_VIRTIO_BLK_ABI_H
#define DRIVERS_VIRTIO_BLK_ABI_H

#include "kernel/base/types.h"

enum {
	VIRTIO_PCI_VENDOR = 0x1af4,
	VIRTIO_PCI_BLOCK = 0x1042,
	VIRTIO_PCI_BLOCK_TRANSITIONAL = 0x1001,
};

// 4.1.4: capabilities of PCI with this id say where the structures are.
enum {
	VIRTIO_CAPABILITY_ID = 0x09,
	VIRTIO_CAPABILITY_KIND = 3,
	VIRTIO_CAPABILITY_BAR = 4,
	VIRTIO_CAPABILITY_OFFSET = 8,
	VIRTIO_CAPABILITY_LENGTH = 12,
	VIRTIO_CAPABILITY_MULTIPLIER = 16, // of VIRTIO_KIND_NOTIFY

	VIRTIO_KIND_COMMON = 1,
	VIRTIO_KIND_NOTIFY = 2,
	VIRTIO_KIND_DEVICE = 4,
};

// 4.1.4.3: the common configuration structure.
enum {
	VIRTIO_DEVICE_FEATURE_SELECT = 0,
	VIRTIO_DEVICE_FEATURE = 4,
	VIRTIO_DRIVER_FEATURE_SELECT = 8,
	VIRTIO_DRIVER_FEATURE = 12,
	VIRTIO_DEVICE_STATUS = 20, // a byte
	VIRTIO_CONFIG_GENERATION = 21, // a byte
	VIRTIO_QUEUE_SELECT = 22, // from here on 16 bits
	VIRTIO_QUEUE_SIZE = 24,
	VIRTIO_QUEUE_ENABLE = 28,
	VIRTIO_QUEUE_NOTIFY_OFF = 30,
	VIRTIO_QUEUE_DESC = 32, // 64 bits
	VIRTIO_QUEUE_DRIVER = 40,
	VIRTIO_QUEUE_DEVICE = 48,
	VIRTIO_COMMON_BYTES = 56,
};

// 2.1
enum {
	VIRTIO_STATUS_ACKNOWLEDGE = 1,
	VIRTIO_STATUS_DRIVER = 2,
	VIRTIO_STATUS_DRIVER_OK = 4,
	VIRTIO_STATUS_FEATURES_OK = 8,
};

// 6, 5.2.3
#define VIRTIO_F_VERSION_1    BIT(32)
#define VIRTIO_BLK_F_SIZE_MAX BIT(1)
#define VIRTIO_BLK_F_RO       BIT(5)
#define VIRTIO_BLK_F_BLK_SIZE BIT(6)
#define VIRTIO_BLK_F_FLUSH    BIT(9)

// 5.2.4: the device's configuration.
enum {
	VIRTIO_BLK_CAPACITY = 0, // 64 bits: sectors of 512 bytes
	VIRTIO_BLK_SIZE_MAX = 8,
	VIRTIO_BLK_BLK_SIZE = 20,
	VIRTIO_BLK_CONFIG_BYTES = 24, // as far as it is read
	VIRTIO_BLK_SECTOR_BYTES = 512,
};

// 5.2.6
enum {
	VIRTIO_BLK_T_IN = 0,
	VIRTIO_BLK_T_OUT = 1,
	VIRTIO_BLK_T_FLUSH = 4,
	VIRTIO_BLK_S_OK = 0,
};

struct virtio_blk_header {
	uint32_t type;
	uint32_t reserved;
	uint64_t sector; // of 512 bytes
};

// 2.7.5 to 2.7.8, with the least size that holds a request: header, data, status.
enum {
	VIRTIO_QUEUE_ENTRIES = 4,
	VIRTQ_DESC_NEXT = 1,
	VIRTQ_DESC_WRITE = 2, // by the device
	VIRTQ_AVAIL_NO_INTERRUPT = 1,
};

struct virtq_desc {
	uint64_t address;
	uint32_t bytes;
	uint16_t flags;
	uint16_t next;
};

struct virtq_avail {
	uint16_t flags;
	uint16_t index;
	uint16_t ring[VIRTIO_QUEUE_ENTRIES];
	uint16_t used_event;
};

struct virtq_used_element {
	uint32_t id;
	uint32_t bytes; // that the device wrote
};

struct virtq_used {
	uint16_t flags;
	uint16_t index;
	struct virtq_used_element ring[VIRTIO_QUEUE_ENTRIES];
	uint16_t avail_event;
};

_Static_assert(sizeof(struct virtio_blk_header) == 16, "5.2.6");
_Static_assert(sizeof(struct virtq_desc) == 16, "2.7.5");
_Static_assert(sizeof(struct virtq_avail) == 6 + 2 * VIRTIO_QUEUE_ENTRIES, "2.7.6");
_Static_assert(offsetof(struct virtq_used, avail_event) == 4 + 8 * VIRTIO_QUEUE_ENTRIES, "2.7.8");

#endif

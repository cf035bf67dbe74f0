// SPDX-License-Identifier: BSD-2-Clause
// A virtio block device over PCI. See virtio_blk.c.
#ifndef EMUL_VIRTIO_BLK_H
#define EMUL_VIRTIO_BLK_H

#include "emul/device.h"

extern const struct device_model virtio_blk_model;

enum {
	VIRTIO_BLK_PORT_MEDIUM = 0, // its back end
	VIRTIO_BLK_SECTOR_BYTES = 512,
	VIRTIO_BLK_SERIAL_BYTES = 20,
};
#define VIRTIO_BLK_BYTES_MAX (UINT64_C(64) << 30) // that it can be resized to

struct virtio_blk_medium {
	uint64_t sectors;
	char serial[VIRTIO_BLK_SERIAL_BYTES]; // padded with zeros; not ended by one when it is full
	bool readonly;
	uint8_t reserved[3];
};

// Before the first reset: what is behind it. The same for an instance that a state is loaded into.
void virtio_blk_configure(struct device *device, const struct virtio_blk_medium *medium);

#endif

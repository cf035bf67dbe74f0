// SPDX-License-Identifier: BSD-2-Clause
// A virtio memory balloon over PCI. See virtio_balloon.c.
#ifndef EMUL_VIRTIO_BALLOON_H
#define EMUL_VIRTIO_BALLOON_H

#include "emul/device.h"

extern const struct device_model virtio_balloon_model;

// 5.5.6.3: what a driver tells of its memory.
enum virtio_balloon_stat {
	VIRTIO_BALLOON_SWAP_IN,
	VIRTIO_BALLOON_SWAP_OUT,
	VIRTIO_BALLOON_MAJOR_FAULTS,
	VIRTIO_BALLOON_MINOR_FAULTS,
	VIRTIO_BALLOON_FREE_MEMORY,
	VIRTIO_BALLOON_TOTAL_MEMORY,
	VIRTIO_BALLOON_AVAILABLE_MEMORY,
	VIRTIO_BALLOON_DISK_CACHES,
	VIRTIO_BALLOON_HUGE_PAGES,
	VIRTIO_BALLOON_HUGE_FAILURES,
	VIRTIO_BALLOON_STATS
};

struct virtio_balloon_report {
	uint32_t wanted, actual; // pages of 4 KiB in the balloon
	uint64_t stats[VIRTIO_BALLOON_STATS]; // as of the last time; UINT64_MAX: not told
};

// For who holds the device lock. Changes nothing.
void virtio_balloon_report(const struct device *device, struct virtio_balloon_report *report);

#endif

// SPDX-License-Identifier: BSD-2-Clause
// A virtio network device over PCI. See virtio_net.c.
#ifndef EMUL_VIRTIO_NET_H
#define EMUL_VIRTIO_NET_H

#include "emul/device.h"

extern const struct device_model virtio_net_model;

enum {
	VIRTIO_NET_PORT = 0, // its network
	VIRTIO_NET_MAC_BYTES = 6,
};

// Frames since the last reset of the machine.
struct virtio_net_counts {
	uint64_t sent, received;
	uint64_t send_dropped;    // that the driver made wrong
	uint64_t receive_dropped; // for which it had no room
};

// Before the first reset: the address that it has until its driver gives it another. The same for
// an instance that a state is loaded into.
void virtio_net_configure(struct device *device, const uint8_t mac[VIRTIO_NET_MAC_BYTES]);
void virtio_net_count(const struct device *device, struct virtio_net_counts *counts);

#endif

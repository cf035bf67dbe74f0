// SPDX-License-Identifier: BSD-2-Clause
// Between virtio_net.c, virtio_net_frame.c and virtio_net_control.c.
#ifndef EMUL_VIRTIO_NET_INTERNAL_H
#define EMUL_VIRTIO_NET_INTERNAL_H

#include "emul/virtio.h"
#include "emul/virtio_net.h"

enum {
	VIRTIO_NET_FILTERS = 32, // addresses beside its own
	VIRTIO_NET_VLANS = 4096,

	VIRTIO_NET_RECEIVE = 0, // queues: 5.1.2
	VIRTIO_NET_SEND = 1,
	VIRTIO_NET_CONTROL = 2,
	VIRTIO_NET_QUEUES,

	VIRTIO_NET_HALF_CONTINUE = 0,
	VIRTIO_NET_HALVES,
};

// 5.1.3
enum {
	VIRTIO_NET_F_CSUM = 0,
	VIRTIO_NET_F_GUEST_CSUM = 1,
	VIRTIO_NET_F_MTU = 3,
	VIRTIO_NET_F_MAC = 5,
	VIRTIO_NET_F_MRG_RXBUF = 15,
	VIRTIO_NET_F_STATUS = 16,
	VIRTIO_NET_F_CTRL_VQ = 17,
	VIRTIO_NET_F_CTRL_RX = 18,
	VIRTIO_NET_F_CTRL_VLAN = 19,
	VIRTIO_NET_F_CTRL_MAC_ADDR = 23,
};

// 5.1.6
enum { VIRTIO_NET_HDR_NEEDS_CSUM = 1, VIRTIO_NET_HDR_GSO_NONE = 0 };

struct virtio_net_header {
	uint8_t flags, gso;
	uint16_t header_bytes, gso_bytes;
	uint16_t checksum_start, checksum_offset;
	uint16_t buffers; // not of a legacy driver without MRG_RXBUF
};
_Static_assert(sizeof(struct virtio_net_header) == 12, "5.1.6");

// 5.1.6.5: class and command.
enum {
	VIRTIO_NET_CTRL_RX = 0,
	VIRTIO_NET_CTRL_RX_PROMISC = 0,
	VIRTIO_NET_CTRL_RX_ALLMULTI = 1,
	VIRTIO_NET_CTRL_MAC = 1,
	VIRTIO_NET_CTRL_MAC_TABLE_SET = 0,
	VIRTIO_NET_CTRL_MAC_ADDR_SET = 1,
	VIRTIO_NET_CTRL_VLAN = 2,
	VIRTIO_NET_CTRL_VLAN_ADD = 0,
	VIRTIO_NET_CTRL_VLAN_DEL = 1,
	VIRTIO_NET_OK = 0,
	VIRTIO_NET_ERR = 1,
};

struct virtio_net {
	struct virtio virtio;
	struct virtio_net_counts counts;
	uint64_t vlans[VIRTIO_NET_VLANS / 64]; // that are received, a bit each, with CTRL_VLAN
	uint32_t waiting; // queues that may have chains nobody has looked at, a bit each
	uint8_t address[VIRTIO_NET_MAC_BYTES]; // as it was configured
	uint8_t mac[VIRTIO_NET_MAC_BYTES];
	// What is received beside its own address and broadcasts.
	uint8_t filters[VIRTIO_NET_FILTERS * VIRTIO_NET_MAC_BYTES];
	uint8_t filter_count;
	bool promiscuous, all_multicast;
	bool many_unicast, many_multicast; // there were more than VIRTIO_NET_FILTERS
	uint8_t reserved[3];
};

static inline struct virtio_net *virtio_net_of(struct device *device)
{
	return CONTAINER_OF(device, struct virtio_net, virtio.pci.device);
}

extern const struct virtio_class virtio_net_class;

// Takes what the driver has made available to be sent, or commands: as many as one stimulus may,
// the rest in a bottom half.
void virtio_net_serve(struct virtio_net *net, unsigned queue);
void virtio_net_send(struct virtio_net *net, const struct virtio_chain *chain);
void virtio_net_receive(struct virtio_net *net, const struct device_frame *frame);
// virtio_net_control.c
void virtio_net_command(struct virtio_net *net, const struct virtio_chain *chain);
bool virtio_net_accepts(const struct virtio_net *net, const struct device_frame *frame);

#endif

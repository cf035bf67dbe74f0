// SPDX-License-Identifier: BSD-2-Clause
// A virtio network device over PCI: transitional, with one pair of queues and one for commands.
//
// Specification: VIRTIO 1.2, 5.1.
//
// Frames pass as they are: a checksum that the sender's driver left open is completed for a
// receiver whose driver does not do that itself, and stays open for another.
//
// Left out on purpose: segmentation offload, several pairs of queues, receive-side scaling,
// announcements, and commands that change offloads while the device runs.
//
// Entered by the VM's bus only.
#include "emul/virtio_net_internal.h"

#include <string.h>

enum {
	TYPE = 1, // 5
	TRANSITIONAL = 0x1000,
	CLASS_ETHERNET = 0x020000,
	CONFIG_BYTES = 12,
	QUEUE_SIZE = VIRTIO_QUEUE_SIZE_MAX,
	LINK_UP = 1, // 5.1.4
	MTU = 1500,
	CHAINS_AT_A_TIME = 64,
};

// 5.1.4
struct config {
	uint8_t mac[VIRTIO_NET_MAC_BYTES];
	uint16_t status, pairs, mtu;
};
_Static_assert(sizeof(struct config) == CONFIG_BYTES, "5.1.4");

static uint32_t net_config_read(const struct virtio *virtio, unsigned offset)
{
	const struct virtio_net *net = CONTAINER_OF(virtio, struct virtio_net, virtio);
	struct config config = {.status = LINK_UP, .pairs = 1, .mtu = MTU};

	memcpy(config.mac, net->mac, sizeof(config.mac));
	return ((const uint8_t *)&config)[offset];
}

// 5.1.4.3: legacy drivers alone write their address here.
static void net_config_write(struct virtio *virtio, unsigned offset, uint8_t value)
{
	struct virtio_net *net = CONTAINER_OF(virtio, struct virtio_net, virtio);

	if (offset < VIRTIO_NET_MAC_BYTES && !virtio_has(virtio, VIRTIO_F_VERSION_1))
		net->mac[offset] = value;
}

static void net_notified(struct virtio *virtio, struct guest_time now, unsigned queue)
{
	(void)now;
	// Buffers to receive in are looked at when there is something for them.
	if (queue != VIRTIO_NET_RECEIVE)
		virtio_net_serve(CONTAINER_OF(virtio, struct virtio_net, virtio), queue);
}

// Frames are never in flight: a chain is given back before anything else happens.
static void net_queue_stopped(struct virtio *virtio, unsigned queue)
{
	CONTAINER_OF(virtio, struct virtio_net, virtio)->waiting &= ~(uint32_t)BIT(queue);
}

// Who cannot set filters receives everything.
static void net_driver_reset(struct virtio *virtio)
{
	struct virtio_net *net = CONTAINER_OF(virtio, struct virtio_net, virtio);

	memcpy(net->mac, net->address, sizeof(net->mac));
	memset(net->vlans, 0, sizeof(net->vlans));
	memset(net->filters, 0, sizeof(net->filters));
	net->filter_count = 0;
	net->promiscuous = true;
	net->all_multicast = net->many_unicast = net->many_multicast = false;
}

static const struct pcidev_register net_registers[] = {VIRTIO_PCI_REGISTERS};

const struct virtio_class virtio_net_class = {
	.pci = VIRTIO_PCI_INFO(TRANSITIONAL, TYPE, CLASS_ETHERNET, net_registers),
	.features = BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_GUEST_CSUM) |
		BIT(VIRTIO_NET_F_MTU) | BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_MRG_RXBUF) |
		BIT(VIRTIO_NET_F_STATUS) | BIT(VIRTIO_NET_F_CTRL_VQ) |
		BIT(VIRTIO_NET_F_CTRL_RX) | BIT(VIRTIO_NET_F_CTRL_VLAN) |
		BIT(VIRTIO_NET_F_CTRL_MAC_ADDR) | BIT(VIRTIO_F_ANY_LAYOUT) |
		BIT(VIRTIO_F_INDIRECT_DESC) | BIT(VIRTIO_F_EVENT_IDX) |
		BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_RING_PACKED) | BIT(VIRTIO_F_RING_RESET),
	.queue_count = VIRTIO_NET_QUEUES,
	.queue_size = QUEUE_SIZE,
	.config_bytes = CONFIG_BYTES,
	.config_read = net_config_read,
	.config_write = net_config_write,
	.notified = net_notified,
	.queue_stopped = net_queue_stopped,
	.driver_reset = net_driver_reset,
};

void virtio_net_configure(struct device *device, const uint8_t mac[VIRTIO_NET_MAC_BYTES])
{
	memcpy(virtio_net_of(device)->address, mac, VIRTIO_NET_MAC_BYTES);
}

void virtio_net_count(const struct device *device, struct virtio_net_counts *counts)
{
	*counts = CONTAINER_OF(device, struct virtio_net, virtio.pci.device)->counts;
}

static void chain_serve(struct virtio_net *net, unsigned queue, const struct virtio_chain *chain)
{
	if (queue == VIRTIO_NET_SEND)
		virtio_net_send(net, chain);
	else
		virtio_net_command(net, chain);
}

void virtio_net_serve(struct virtio_net *net, unsigned queue)
{
	struct virtio_chain chain;
	bool any = false;

	net->waiting &= ~(uint32_t)BIT(queue);
	for (unsigned i = 0; virtio_queue_is_live(&net->virtio, queue); i++) {
		if (i == CHAINS_AT_A_TIME) {
			net->waiting |= (uint32_t)BIT(queue);
			device_schedule_bottom_half(&net->virtio.pci.device,
				VIRTIO_NET_HALF_CONTINUE);
			break;
		}
		if (!virtio_pop(&net->virtio, queue, &chain)) {
			virtio_listen(&net->virtio, queue);
			if (!virtio_queue_is_live(&net->virtio, queue) ||
				!virtio_pop(&net->virtio, queue, &chain))
				break;
		}
		chain_serve(net, queue, &chain);
		any = true;
	}
	if (any)
		virtio_signal(&net->virtio, queue);
}

static void virtio_net_reset(struct device *device, struct guest_time now, enum device_reset kind)
{
	struct virtio_net *net = virtio_net_of(device);

	(void)now;
	(void)kind;
	memset(&net->counts, 0, sizeof(net->counts));
	net->waiting = 0;
	virtio_reset(&net->virtio);
}

static void virtio_net_bottom_half(struct device *device, struct guest_time now,
	unsigned bottom_half)
{
	struct virtio_net *net = virtio_net_of(device);

	(void)now;
	(void)bottom_half;
	for (unsigned queue = 0; queue < VIRTIO_NET_QUEUES; queue++)
		if ((net->waiting & BIT(queue)) != 0)
			virtio_net_serve(net, queue);
}

static void virtio_net_packet(struct device *device, struct guest_time now, unsigned port,
	const struct device_frame *frame)
{
	(void)now;
	(void)port;
	virtio_net_receive(virtio_net_of(device), frame);
}

static bool virtio_net_level(const struct device *device, struct guest_time now, unsigned output)
{
	(void)now;
	(void)output;
	return pcidev_level(CONTAINER_OF(device, struct pcidev, device));
}

static void virtio_net_loaded(struct device *device, struct guest_time now)
{
	(void)now;
	virtio_loaded(&virtio_net_of(device)->virtio);
}

static const char *virtio_net_check(const void *instance)
{
	const struct virtio_net *net = instance;

	return virtio_check_idle(&net->virtio, &virtio_net_class, -1);
}

static const struct state_field virtio_net_fields[] = {
	VIRTIO_STATE(struct virtio_net),
	STATE_ANY(struct virtio_net, counts.sent),
	STATE_ANY(struct virtio_net, counts.received),
	STATE_ANY(struct virtio_net, counts.send_dropped),
	STATE_ANY(struct virtio_net, counts.receive_dropped),
	STATE_ARRAY_ANY(struct virtio_net, vlans),
	STATE_VALUE(struct virtio_net, waiting, 0, (uint64_t)BIT(VIRTIO_NET_QUEUES) - 1),
	STATE_DERIVED(struct virtio_net, address),
	STATE_ARRAY_ANY(struct virtio_net, mac),
	STATE_ARRAY_ANY(struct virtio_net, filters),
	STATE_VALUE(struct virtio_net, filter_count, 0, VIRTIO_NET_FILTERS),
	STATE_BOOL(struct virtio_net, promiscuous),
	STATE_BOOL(struct virtio_net, all_multicast),
	STATE_BOOL(struct virtio_net, many_unicast),
	STATE_BOOL(struct virtio_net, many_multicast),
	STATE_PAD(struct virtio_net, reserved),
};

static const struct state_table virtio_net_state =
	STATE_TABLE("virtio-net", 1, struct virtio_net, virtio_net_fields, virtio_net_check);

const struct device_model virtio_net_model = {
	.name = "virtio-net",
	.description = "virtio network device",
	.instance_bytes = sizeof(struct virtio_net),
	.bottom_halves = VIRTIO_NET_HALVES,
	.outputs = 1,
	.verify = virtio_verify,
	.state = &virtio_net_state,
	.pci = &virtio_net_class.pci,
	.reset = virtio_net_reset,
	.read = virtio_read,
	.write = virtio_write,
	.bottom_half = virtio_net_bottom_half,
	.packet = virtio_net_packet,
	.level = virtio_net_level,
	.loaded = virtio_net_loaded,
};

DEVICE_MODEL_REGISTER(260, virtio_net_model);

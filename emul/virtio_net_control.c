// SPDX-License-Identifier: BSD-2-Clause
// Commands of a driver to a virtio network device, and what they filter: VIRTIO 1.2, 5.1.6.5.
#include "emul/virtio_net_internal.h"

#include <string.h>

enum {
	ETHERTYPE_AT = 12, TAG_AT = 14, // of a frame: IEEE 802.1Q, 9
	VLAN_ID = 0xfff,
	MULTICAST = 1, // of an address' first byte
};

static const uint8_t vlan_type[2] = {0x81, 0x00};
static const uint8_t broadcast[VIRTIO_NET_MAC_BYTES] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

struct command {
	uint8_t class, code;
};

// What is behind the command.
struct data {
	struct device *device;
	const struct device_io_piece *pieces;
	unsigned count;
	uint32_t reserved;
	uint64_t at; // of all bytes that the chain has to read
};

static bool get(struct data *data, void *to, uint64_t bytes)
{
	bool got = virtio_gather(data->device, data->pieces, data->count, data->at, to, bytes);

	data->at += bytes;
	return got;
}

static bool same(const uint8_t *one, const uint8_t *other)
{
	return memcmp(one, other, VIRTIO_NET_MAC_BYTES) == 0;
}

static bool mode_set(struct virtio_net *net, uint8_t code, struct data *data)
{
	uint8_t on;

	if (!virtio_has(&net->virtio, VIRTIO_NET_F_CTRL_RX) || !get(data, &on, 1) || on > 1)
		return false;
	if (code == VIRTIO_NET_CTRL_RX_PROMISC)
		net->promiscuous = on != 0;
	else if (code == VIRTIO_NET_CTRL_RX_ALLMULTI)
		net->all_multicast = on != 0;
	else
		return false;
	return true;
}

// Two lists, each behind its count: unicast, then multicast. Those that it cannot keep are
// received as if all were asked for.
static bool table_set(struct virtio_net *net, struct data *data)
{
	uint8_t filters[sizeof(net->filters)] = {0};
	uint32_t counts[2], kept = 0;
	bool many[2] = {false, false};

	for (unsigned list = 0; list < 2; list++) {
		uint64_t bytes;

		if (!get(data, &counts[list], sizeof(counts[list])))
			return false;
		bytes = (uint64_t)counts[list] * VIRTIO_NET_MAC_BYTES;
		many[list] = counts[list] > VIRTIO_NET_FILTERS - kept;
		if (many[list]) {
			data->at += bytes;
			continue;
		}
		if (bytes != 0 && !get(data, filters + kept * VIRTIO_NET_MAC_BYTES, bytes))
			return false;
		kept += counts[list];
	}
	memcpy(net->filters, filters, sizeof(net->filters));
	net->filter_count = (uint8_t)kept;
	net->many_unicast = many[0];
	net->many_multicast = many[1];
	return true;
}

static bool mac_set(struct virtio_net *net, uint8_t code, struct data *data)
{
	uint8_t mac[VIRTIO_NET_MAC_BYTES];

	if (code == VIRTIO_NET_CTRL_MAC_TABLE_SET)
		return virtio_has(&net->virtio, VIRTIO_NET_F_CTRL_RX) && table_set(net, data);
	if (code != VIRTIO_NET_CTRL_MAC_ADDR_SET ||
		!virtio_has(&net->virtio, VIRTIO_NET_F_CTRL_MAC_ADDR) ||
		!get(data, mac, sizeof(mac)) || (mac[0] & MULTICAST))
		return false;
	memcpy(net->mac, mac, sizeof(mac));
	return true;
}

static bool vlan_set(struct virtio_net *net, uint8_t code, struct data *data)
{
	uint16_t vlan;

	if (!virtio_has(&net->virtio, VIRTIO_NET_F_CTRL_VLAN) ||
		!get(data, &vlan, sizeof(vlan)) || vlan >= VIRTIO_NET_VLANS)
		return false;
	if (code == VIRTIO_NET_CTRL_VLAN_ADD)
		net->vlans[vlan / 64] |= BIT(vlan % 64);
	else if (code == VIRTIO_NET_CTRL_VLAN_DEL)
		net->vlans[vlan / 64] &= ~BIT(vlan % 64);
	else
		return false;
	return true;
}

static bool carry_out(struct virtio_net *net, struct command command, struct data *data)
{
	switch (command.class) {
	case VIRTIO_NET_CTRL_RX:
		return mode_set(net, command.code, data);
	case VIRTIO_NET_CTRL_MAC:
		return mac_set(net, command.code, data);
	case VIRTIO_NET_CTRL_VLAN:
		return vlan_set(net, command.code, data);
	default:
		return false;
	}
}

// The answer is the first byte that can be written.
void virtio_net_command(struct virtio_net *net, const struct virtio_chain *chain)
{
	struct device *device = &net->virtio.pci.device;
	struct data data = {device, chain->pieces, chain->readable, 0, 0};
	uint8_t answer = VIRTIO_NET_ERR;
	const char *reason = NULL;
	struct command command;

	if (chain->writable == 0)
		reason = "a command has no room for an answer";
	else if (!get(&data, &command, sizeof(command)))
		reason = "a command is missing, or not in memory";
	else if (carry_out(net, command, &data))
		answer = VIRTIO_NET_OK;
	if (reason == NULL && !virtio_chain_put(device, chain, 0, &answer, sizeof(answer)))
		reason = "the answer to a command is not in memory";
	virtio_push(&net->virtio, VIRTIO_NET_CONTROL, chain->id, chain->slots,
		reason == NULL ? sizeof(answer) : 0);
	if (reason != NULL)
		virtio_break(&net->virtio, reason);
}

static bool vlan_is_accepted(const struct virtio_net *net, const struct device_frame *frame)
{
	unsigned vlan;

	if (!virtio_has(&net->virtio, VIRTIO_NET_F_CTRL_VLAN) || frame->count < TAG_AT + 2 ||
		memcmp(frame->bytes + ETHERTYPE_AT, vlan_type, sizeof(vlan_type)) != 0)
		return true;
	vlan = ((unsigned)frame->bytes[TAG_AT] << 8 | frame->bytes[TAG_AT + 1]) & VLAN_ID;
	return (net->vlans[vlan / 64] & BIT(vlan % 64)) != 0;
}

bool virtio_net_accepts(const struct virtio_net *net, const struct device_frame *frame)
{
	bool multicast = (frame->bytes[0] & MULTICAST) != 0;

	if (net->promiscuous)
		return true;
	if (!vlan_is_accepted(net, frame))
		return false;
	if (same(frame->bytes, multicast ? broadcast : net->mac) ||
		(multicast ? net->all_multicast || net->many_multicast : net->many_unicast))
		return true;
	for (unsigned i = 0; i < net->filter_count; i++)
		if (same(frame->bytes, net->filters + i * VIRTIO_NET_MAC_BYTES))
			return true;
	return false;
}

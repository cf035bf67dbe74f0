// SPDX-License-Identifier: BSD-2-Clause
// Frames of a virtio network device: VIRTIO 1.2, 5.1.6.
//
// A frame is copied from the guest's memory or to it within one stimulus; nothing is in flight
// between two. One for which the driver has too little room is lost, and the buffers stay where
// they are.
#include "emul/virtio_net_internal.h"

#include <string.h>

#include "kernel/base/assert.h"

enum {
	BUFFERS_MAX = 16, // of one frame: smaller ones than 96 bytes are too small
	LEGACY_HEADER_BYTES = 10,
	BUFFERS_AT = offsetof(struct virtio_net_header, buffers),
};

// 5.1.6.1: without `buffers` for a legacy driver that does not merge any.
static uint32_t header_bytes(const struct virtio_net *net)
{
	return virtio_has(&net->virtio, VIRTIO_F_VERSION_1) ||
			virtio_has(&net->virtio, VIRTIO_NET_F_MRG_RXBUF)
		? sizeof(struct virtio_net_header) : LEGACY_HEADER_BYTES;
}

// 5.1.6.2: what the header says of the frame. False: what was not negotiated, or cannot be.
static bool header_apply(const struct virtio_net *net, const struct virtio_net_header *header,
	struct device_frame *frame)
{
	if (header->gso != VIRTIO_NET_HDR_GSO_NONE)
		return false;
	if ((header->flags & VIRTIO_NET_HDR_NEEDS_CSUM) &&
		virtio_has(&net->virtio, VIRTIO_NET_F_CSUM)) {
		if (header->checksum_start == 0)
			return false;
		frame->checksum_start = header->checksum_start;
		frame->checksum_offset = header->checksum_offset;
	}
	return device_frame_is_valid(frame);
}

// NULL, or why the chain cannot be one to be sent.
static const char *send(struct virtio_net *net, const struct virtio_chain *chain)
{
	struct device *device = &net->virtio.pci.device;
	uint64_t bytes = chain->readable_bytes;
	uint32_t head = header_bytes(net);
	uint8_t content[DEVICE_FRAME_MAX];
	struct device_frame frame = {.bytes = content};
	struct virtio_net_header header;

	if (bytes < head)
		return "a frame to be sent has no header";
	if (!virtio_chain_get(device, chain, 0, &header, head))
		return "the header of a frame is not in memory";
	bytes -= head;
	if (bytes < DEVICE_FRAME_MIN || bytes > DEVICE_FRAME_MAX) {
		net->counts.send_dropped++;
		return NULL;
	}
	if (!virtio_chain_get(device, chain, head, content, bytes))
		return "a frame to be sent is not in memory";
	frame.count = (uint16_t)bytes;
	if (!header_apply(net, &header, &frame)) {
		net->counts.send_dropped++;
		return NULL;
	}
	net->counts.sent++;
	device_send(device, VIRTIO_NET_PORT, &frame);
	return NULL;
}

void virtio_net_send(struct virtio_net *net, const struct virtio_chain *chain)
{
	const char *reason = send(net, chain);

	virtio_push(&net->virtio, VIRTIO_NET_SEND, chain->id, chain->slots, 0);
	if (reason != NULL)
		virtio_break(&net->virtio, reason);
}

// RFC 1071. The field's own content, the sum of a pseudo header, is in the sum.
static void checksum_complete(uint8_t *bytes, const struct device_frame *frame)
{
	uint8_t *field = bytes + frame->checksum_start + frame->checksum_offset;
	uint32_t sum = 0;

	for (unsigned i = frame->checksum_start; i < frame->count; i += 2)
		sum += (uint32_t)bytes[i] << 8 | (i + 1u < frame->count ? bytes[i + 1] : 0u);
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	sum = ~sum & 0xffff;
	if (sum == 0) // none, to UDP; the same number to all others
		sum = 0xffff;
	field[0] = (uint8_t)(sum >> 8);
	field[1] = (uint8_t)sum;
}

// A frame on its way to the driver, with its header in front.
struct outgoing {
	struct gpa buffers_at[2]; // where the bytes of `buffers` went
	struct virtio_used used[BUFFERS_MAX];
	uint32_t used_count;
	uint32_t count, done; // of the bytes
	uint8_t bytes[sizeof(struct virtio_net_header) + DEVICE_FRAME_MAX];
	uint8_t reserved[2];
};

static void outgoing_make(const struct virtio_net *net, const struct device_frame *frame,
	struct outgoing *out)
{
	struct virtio_net_header header = {.buffers = 1};
	uint32_t head = header_bytes(net);

	memcpy(out->bytes + head, frame->bytes, frame->count);
	if (frame->checksum_start != 0 && virtio_has(&net->virtio, VIRTIO_NET_F_GUEST_CSUM)) {
		header.flags = VIRTIO_NET_HDR_NEEDS_CSUM;
		header.checksum_start = frame->checksum_start;
		header.checksum_offset = frame->checksum_offset;
	} else if (frame->checksum_start != 0) {
		checksum_complete(out->bytes + head, frame);
	}
	memcpy(out->bytes, &header, head);
	out->buffers_at[0] = out->buffers_at[1] = (struct gpa){0};
	out->count = head + frame->count;
	out->done = 0;
	out->used_count = 0;
}

static struct gpa byte_at(const struct device_io_piece *pieces, uint64_t skip)
{
	while (skip >= pieces->bytes)
		skip -= (pieces++)->bytes;
	return (struct gpa){pieces->at.v + skip};
}

// Fills a chain with what is left. NULL, or why it cannot be one.
static const char *fill(struct virtio_net *net, const struct virtio_chain *chain,
	struct outgoing *out)
{
	const struct device_io_piece *pieces = &chain->pieces[chain->readable];
	uint64_t room = chain->writable_bytes;
	uint32_t part = out->count - out->done;

	if (chain->writable == 0)
		return "a buffer for frames cannot be written";
	if (out->used_count == 0) {
		if (room < header_bytes(net))
			return "a buffer for frames has no room for a header";
		for (unsigned i = 0; i < 2 && header_bytes(net) > BUFFERS_AT; i++)
			out->buffers_at[i] = byte_at(pieces, BUFFERS_AT + i);
	}
	if (part > room)
		part = (uint32_t)room;
	if (!virtio_chain_put(&net->virtio.pci.device, chain, 0, out->bytes + out->done, part))
		return "a buffer for frames is not in memory";
	out->done += part;
	out->used[out->used_count++] = (struct virtio_used){part, chain->id, chain->slots};
	return NULL;
}

// 5.1.6.4.1: how many buffers there are of it stands in the first.
static bool buffers_tell(struct virtio_net *net, const struct outgoing *out)
{
	for (unsigned i = 0; i < 2 && out->used_count > 1; i++) {
		uint8_t byte = (uint8_t)(out->used_count >> 8 * i);

		if (device_dma_write(&net->virtio.pci.device, out->buffers_at[i], &byte, 1) !=
			STATUS_OK)
			return false;
	}
	return true;
}

void virtio_net_receive(struct virtio_net *net, const struct device_frame *frame)
{
	unsigned max = virtio_has(&net->virtio, VIRTIO_NET_F_MRG_RXBUF) ? BUFFERS_MAX : 1;
	struct virtio *virtio = &net->virtio;
	struct virtio_queue mark;
	struct virtio_chain chain;
	struct outgoing out;

	ASSERT(device_frame_is_valid(frame));
	if (!virtio_queue_is_live(virtio, VIRTIO_NET_RECEIVE)) {
		net->counts.receive_dropped++;
		return;
	}
	if (!virtio_net_accepts(net, frame))
		return;
	mark = virtio_mark(virtio, VIRTIO_NET_RECEIVE);
	outgoing_make(net, frame, &out);
	while (out.done < out.count && out.used_count < max &&
		virtio_pop(virtio, VIRTIO_NET_RECEIVE, &chain)) {
		const char *reason = fill(net, &chain, &out);

		if (reason != NULL) {
			virtio_break(virtio, reason);
			break;
		}
	}
	if (!virtio_queue_is_live(virtio, VIRTIO_NET_RECEIVE)) {
		net->counts.receive_dropped++;
		return;
	}
	if (out.done < out.count) {
		net->counts.receive_dropped++;
		virtio_rewind(virtio, VIRTIO_NET_RECEIVE, &mark);
		return;
	}
	if (!buffers_tell(net, &out)) {
		virtio_break(virtio, "a buffer for frames is not in memory");
		return;
	}
	net->counts.received++;
	virtio_push_all(virtio, VIRTIO_NET_RECEIVE, out.used, out.used_count);
	virtio_signal(virtio, VIRTIO_NET_RECEIVE);
}

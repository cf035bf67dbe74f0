// SPDX-License-Identifier: BSD-2-Clause
// A virtio network device between a driver and a network that do anything. Input: how it begins (a
// byte), and steps, each of a byte that says what and the bytes that it needs.
//
// After each step the state must be one that can be loaded, and no effect may lie outside of what
// the contract allows.
#include "emul/virtio_net.h"
#include "emul/virtio_net_internal.h"
#include "tests/fuzz/virtio_env.h"

enum { BEGIN_MERGE = 8, BEGIN_OFFLOAD = 128, QUEUE_BYTES = 0x3000 };

static void env_send(struct device *device, unsigned port, const struct device_frame *frame)
{
	volatile uint8_t last;

	(void)device;
	demand(port == VIRTIO_NET_PORT && device_frame_is_valid(frame));
	last = frame->bytes[frame->count - 1];
	(void)last;
}

static const struct device_env ops = {ENV_COMMON, ENV_VIRTIO, .send = env_send};

static void configure(struct device *device)
{
	static const uint8_t mac[VIRTIO_NET_MAC_BYTES] = {2, 0, 0, 0, 0, 1};

	virtio_net_configure(device, mac);
}

static void arrive(struct input *input, unsigned what)
{
	uint8_t bytes[DEVICE_FRAME_MAX];
	struct device_frame frame = {.bytes = bytes};
	struct virtio_net_counts before, after;
	unsigned open;

	(void)what;
	frame.count = (uint16_t)(DEVICE_FRAME_MIN +
		take(input, 2) % (DEVICE_FRAME_MAX - DEVICE_FRAME_MIN + 1));
	for (unsigned i = 0; i < frame.count; i++)
		bytes[i] = (uint8_t)(i < 18 ? take(input, 1) : i);
	open = (unsigned)take(input, 2);
	frame.checksum_start = (uint16_t)(open >> 8 < DEVICE_FRAME_MIN ? 0 : open >> 8);
	frame.checksum_offset = (uint16_t)(frame.checksum_start != 0 ? open & 0xff : 0);
	if (!device_frame_is_valid(&frame))
		return;
	virtio_net_count(env.device, &before);
	virtio_net_model.packet(env.device, env.now, VIRTIO_NET_PORT, &frame);
	virtio_net_count(env.device, &after);
	demand(after.received - before.received + after.receive_dropped - before.receive_dropped <=
		1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	unsigned how = (unsigned)take(&input, 1);
	uint32_t features = 1u << VIRTIO_NET_F_CTRL_VQ | 1u << VIRTIO_NET_F_CTRL_RX |
		1u << VIRTIO_NET_F_CTRL_VLAN | 1u << VIRTIO_NET_F_CTRL_MAC_ADDR;

	if (how & BEGIN_MERGE)
		features |= 1u << VIRTIO_NET_F_MRG_RXBUF;
	if (how & BEGIN_OFFLOAD)
		features |= 1u << VIRTIO_NET_F_CSUM | 1u << VIRTIO_NET_F_GUEST_CSUM;
	env_start(&virtio_net_model, &ops, configure);
	virtio_begin(how, features, VIRTIO_NET_QUEUES, QUEUE_BYTES);
	while (input.left > 0)
		virtio_step(&input, arrive);
	env_end();
	return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
// A virtio entropy device over PCI: transitional.
//
// Specification: VIRTIO 1.2, 5.4.
//
// Its numbers are those of a generator whose state is the device's: ChaCha20 (RFC 8439) with the
// seed as its first key. Of each block the first half is the next key and the other half is given
// away, so that the state tells nothing of what was given before. A reset does not set it back.
//
// Entered by the VM's bus only.
#include "emul/virtio_rng.h"

#include <string.h>

#include "emul/virtio.h"

enum {
	TYPE = 4, // 5
	TRANSITIONAL = 0x1005,
	CLASS_OTHER = 0x00ff00, // as QEMU's
	QUEUES = 1,
	QUEUE_SIZE = 64,
	POOL_BYTES = 32,

	// A buffer may be filled in part: 5.4.6.2.
	CHAIN_BYTES = 1024,
	CHAINS_AT_A_TIME = 8,

	HALF_CONTINUE = 0,
	HALVES,
};

struct virtio_rng {
	struct virtio virtio;
	uint32_t key[CHACHA20_KEY_WORDS];
	uint8_t pool[POOL_BYTES];
	uint8_t left; // bytes at the end of the pool that nobody has got
	uint8_t reserved[7];
};
_Static_assert(POOL_BYTES == 4 * (CHACHA20_BLOCK_WORDS - CHACHA20_KEY_WORDS), "half a block");

static struct virtio_rng *rng_of(struct device *device)
{
	return CONTAINER_OF(device, struct virtio_rng, virtio.pci.device);
}

static void pool_fill(struct virtio_rng *rng)
{
	static const uint32_t nonce[CHACHA20_NONCE_WORDS];
	uint32_t block[CHACHA20_BLOCK_WORDS];

	chacha20_block(rng->key, 0, nonce, block);
	memcpy(rng->key, block, sizeof(rng->key));
	memcpy(rng->pool, block + CHACHA20_KEY_WORDS, sizeof(rng->pool));
	rng->left = POOL_BYTES;
}

// What is given away is kept no longer.
static void draw(struct virtio_rng *rng, uint8_t *to, size_t bytes)
{
	while (bytes > 0) {
		size_t part;
		uint8_t *from;

		if (rng->left == 0)
			pool_fill(rng);
		part = bytes < rng->left ? bytes : rng->left;
		from = rng->pool + POOL_BYTES - rng->left;
		memcpy(to, from, part);
		memset(from, 0, part);
		rng->left = (uint8_t)(rng->left - part);
		to += part;
		bytes -= part;
	}
}

// 5.4.6.1: buffers to be written alone. False: the device is broken now.
static bool answer(struct virtio_rng *rng, const struct virtio_chain *chain)
{
	uint64_t wanted = chain->writable_bytes;
	uint8_t bytes[CHAIN_BYTES];
	size_t count = wanted < sizeof(bytes) ? (size_t)wanted : sizeof(bytes);

	if (chain->readable != 0 || count == 0) {
		virtio_break(&rng->virtio, "a buffer for random numbers is not to be written");
		return false;
	}
	draw(rng, bytes, count);
	if (!virtio_chain_put(&rng->virtio.pci.device, chain, 0, bytes, count)) {
		virtio_break(&rng->virtio, "a buffer for random numbers is not in memory");
		return false;
	}
	virtio_push(&rng->virtio, 0, chain->id, chain->slots, (uint32_t)count);
	return true;
}

static void serve(struct virtio_rng *rng)
{
	struct virtio_chain chain;
	unsigned count = 0;

	chain.last = false;
	while (count < CHAINS_AT_A_TIME && virtio_pop_or_listen(&rng->virtio, 0, &chain)) {
		if (!answer(rng, &chain))
			return;
		count++;
	}
	if (count == CHAINS_AT_A_TIME)
		device_schedule_bottom_half(&rng->virtio.pci.device, HALF_CONTINUE);
	if (count > 0)
		virtio_signal(&rng->virtio, 0);
}

static uint32_t rng_config_read(const struct virtio *virtio, unsigned offset)
{
	(void)virtio;
	(void)offset;
	return 0;
}

static void rng_notified(struct virtio *virtio, struct guest_time now, unsigned queue)
{
	(void)now;
	(void)queue;
	serve(CONTAINER_OF(virtio, struct virtio_rng, virtio));
}

static void rng_queue_stopped(struct virtio *virtio, unsigned queue)
{
	(void)virtio;
	(void)queue; // nothing is in flight between stimuli
}

static const struct pcidev_register rng_registers[] = {VIRTIO_PCI_REGISTERS};

static const struct virtio_class rng_class = {
	.pci = VIRTIO_PCI_INFO(TRANSITIONAL, TYPE, CLASS_OTHER, rng_registers),
	.features = BIT(VIRTIO_F_ANY_LAYOUT) | BIT(VIRTIO_F_INDIRECT_DESC) |
		BIT(VIRTIO_F_EVENT_IDX) | BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_RING_PACKED) |
		BIT(VIRTIO_F_IN_ORDER) | BIT(VIRTIO_F_RING_RESET),
	.queue_count = QUEUES,
	.queue_size = QUEUE_SIZE,
	.config_bytes = 0,
	.config_read = rng_config_read,
	.notified = rng_notified,
	.queue_stopped = rng_queue_stopped,
};

void virtio_rng_configure(struct device *device, const uint32_t seed[CHACHA20_KEY_WORDS])
{
	memcpy(rng_of(device)->key, seed, sizeof(rng_of(device)->key));
}

static void virtio_rng_reset(struct device *device, struct guest_time now, enum device_reset kind)
{
	struct virtio_rng *rng = rng_of(device);

	(void)now;
	(void)kind;
	memset(rng->pool, 0, sizeof(rng->pool));
	rng->left = 0;
	virtio_reset(&rng->virtio);
}

static void virtio_rng_bottom_half(struct device *device, struct guest_time now,
	unsigned bottom_half)
{
	(void)now;
	(void)bottom_half;
	serve(rng_of(device));
}

static void virtio_rng_loaded(struct device *device, struct guest_time now)
{
	(void)now;
	virtio_loaded(virtio_of(device));
}

static const char *virtio_rng_check(const void *instance)
{
	const struct virtio_rng *rng = instance;

	return virtio_check_idle(&rng->virtio, &rng_class, -1);
}

static const struct state_field virtio_rng_fields[] = {
	VIRTIO_STATE(struct virtio_rng),
	STATE_ARRAY_ANY(struct virtio_rng, key),
	STATE_ARRAY_ANY(struct virtio_rng, pool),
	STATE_VALUE(struct virtio_rng, left, 0, POOL_BYTES),
	STATE_PAD(struct virtio_rng, reserved),
};

static const struct state_table virtio_rng_state =
	STATE_TABLE("virtio-rng", 1, struct virtio_rng, virtio_rng_fields, virtio_rng_check);

const struct device_model virtio_rng_model = {
	.name = "virtio-rng",
	.description = "virtio entropy device",
	.instance_bytes = sizeof(struct virtio_rng),
	.bottom_halves = HALVES,
	.outputs = 1,
	.verify = virtio_verify,
	.state = &virtio_rng_state,
	.pci = &rng_class.pci,
	.reset = virtio_rng_reset,
	.read = virtio_read,
	.write = virtio_write,
	.bottom_half = virtio_rng_bottom_half,
	.level = virtio_level,
	.loaded = virtio_rng_loaded,
};

DEVICE_MODEL_REGISTER(270, virtio_rng_model);

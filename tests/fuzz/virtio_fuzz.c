// SPDX-License-Identifier: BSD-2-Clause
// A virtio disk between a driver and a back end that do anything. Input: how it begins (a byte),
// and steps, each of a byte that says what and the bytes that it needs.
//
// After each step the state must be one that can be loaded, and no effect may lie outside of what
// the contract allows.
#include "emul/virtio_blk.h"
#include "emul/virtio_blk_internal.h"
#include "tests/fuzz/virtio_env.h"

#include <string.h>

enum { BEGIN_READONLY = 8 };

static struct {
	uint64_t requests[DEVICE_IO_MAX];
	unsigned count;
	bool readonly;
} medium;

static enum status env_submit(struct device *device, unsigned port, const struct device_io *io)
{
	uint64_t bytes = 0;

	(void)device;
	demand(port == VIRTIO_BLK_PORT_MEDIUM && io->kind < DEVICE_IO_KINDS);
	demand(io->piece_count <= DEVICE_IO_PIECES_MAX);
	demand(!medium.readonly || io->kind == DEVICE_IO_READ || io->kind == DEVICE_IO_FLUSH);
	for (unsigned i = 0; i < io->piece_count; i++) {
		bytes += io->pieces[i].bytes;
		if (!in_ram(io->pieces[i].at, io->pieces[i].bytes))
			return STATUS_RANGE;
	}
	demand(bytes <= DEVICE_IO_BYTES_MAX);
	for (unsigned i = 0; i < medium.count; i++)
		demand(medium.requests[i] != io->request);
	if (medium.count == DEVICE_IO_MAX)
		return STATUS_BUSY;
	medium.requests[medium.count++] = io->request;
	return STATUS_OK;
}

static void env_drop(struct device *device, unsigned port, uint64_t request)
{
	(void)device;
	(void)port;
	(void)request; // it stays under way, and its completion is not told: as if it were late
}

static const struct device_env ops = {ENV_COMMON, ENV_VIRTIO, .submit = env_submit,
	.drop = env_drop};

static void configure(struct device *device)
{
	const struct virtio_blk_medium behind = {.sectors = 4096, .serial = "fuzz",
		.readonly = medium.readonly};

	virtio_blk_configure(device, &behind);
}

static void complete(unsigned index, enum status status)
{
	uint64_t name = medium.requests[index];

	medium.requests[index] = medium.requests[--medium.count];
	virtio_blk_model.complete(env.device, env.now, VIRTIO_BLK_PORT_MEDIUM, name, status);
}

static void complete_one(struct input *input, unsigned what)
{
	unsigned which = (unsigned)take(input, 1);

	(void)what;
	if (medium.count > 0)
		complete(which / 4 % medium.count, which % 4 == 3 ? STATUS_IO : STATUS_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	unsigned how = (unsigned)take(&input, 1);

	memset(&medium, 0, sizeof(medium));
	medium.readonly = (how & BEGIN_READONLY) != 0;
	env_start(&virtio_blk_model, &ops, configure);
	virtio_begin(how, 1u << VIRTIO_BLK_F_DISCARD | 1u << VIRTIO_BLK_F_WRITE_ZEROES |
		1u << VIRTIO_BLK_F_CONFIG_WCE, 2, 0);
	while (input.left > 0)
		virtio_step(&input, complete_one);
	while (medium.count > 0)
		complete(0, STATUS_OK);
	env_end();
	return 0;
}

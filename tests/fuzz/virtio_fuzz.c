// SPDX-License-Identifier: BSD-2-Clause
// A virtio disk between a driver and a back end that do anything. Input: how it begins, how many
// requests the back end takes at once (a byte each), and steps, each of a byte that says what and
// the bytes that it needs. If it begins so, another core serves its queues where they are given.
//
// After each step the state must be one that can be loaded, and no effect may lie outside of what
// the contract allows.
#include "emul/virtio_blk.h"
#include "emul/virtio_blk_internal.h"
#include "tests/fuzz/virtio_env.h"

#include <string.h>

enum {
	BEGIN_READONLY = 8, BEGIN_PLANE = 128,
	OWN_SERVE = 16, OWN_LAST = 32, OWN_RESIZE = 64,
};

static struct {
	uint64_t requests[DEVICE_IO_MAX];
	unsigned count, max;
	bool readonly;
} medium;

static struct {
	bool there, given;
} plane;

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
	if (medium.count == (plane.given ? DEVICE_IO_MAX : medium.max))
		return STATUS_BUSY;
	medium.requests[medium.count++] = io->request;
	return STATUS_OK;
}

static void env_drop(struct device *device, unsigned port, uint64_t request)
{
	(void)device;
	(void)port;
	demand(!plane.given);
	(void)request; // it stays under way, and its completion is not told: as if it were late
}

static void complete(unsigned index, enum status status)
{
	uint64_t name = medium.requests[index];

	medium.requests[index] = medium.requests[--medium.count];
	env.apart = plane.given;
	env.model->complete(env.device, env.now, VIRTIO_BLK_PORT_MEDIUM, name, status);
	env.apart = false;
}

static enum status give_queues(struct device *device)
{
	(void)device;
	demand(!plane.given);
	if (!plane.there)
		return STATUS_UNSUPPORTED;
	if (medium.count > 0)
		return STATUS_BUSY;
	plane.given = true;
	return STATUS_OK;
}

static void take_queues(struct device *device)
{
	(void)device;
	while (plane.given && medium.count > 0)
		complete(0, STATUS_OK);
	plane.given = false;
}

static void kick_queues(struct device *device)
{
	(void)device;
	demand(plane.given && !env.apart);
}

static const struct device_env ops = {ENV_COMMON, .submit = env_submit, .drop = env_drop,
	.give_queues = give_queues, .take_queues = take_queues, .kick_queues = kick_queues};

static void configure(struct device *device)
{
	const struct virtio_blk_medium behind = {.sectors = 4096, .serial = "fuzz",
		.readonly = medium.readonly};

	virtio_blk_configure(device, &behind);
}

static void rest(void)
{
	if (!plane.given)
		return;
	take_queues(env.device);
	env.model->recall(env.device, env.now);
	demand(!plane.given);
}

static void serve(bool last)
{
	unsigned served;

	env.apart = true;
	served = env.model->serve(env.device, last);
	env.apart = false;
	demand((served & ~(unsigned)(DEVICE_SERVED_WORK | DEVICE_SERVED_NOTE)) == 0);
	if (served & DEVICE_SERVED_NOTE)
		env.model->served(env.device, env.now);
}

static void resize(uint64_t bytes)
{
	if (env.model->accepts(env.device, DEVICE_SETTING_MEDIUM_BYTES, bytes))
		env.model->set(env.device, env.now, DEVICE_SETTING_MEDIUM_BYTES, bytes);
}

static void own_step(struct input *input, unsigned what)
{
	unsigned which;

	if (what & OWN_RESIZE) {
		resize(take(input, 4));
		return;
	}
	if ((what & OWN_SERVE) && plane.given) {
		serve((what & OWN_LAST) != 0);
		return;
	}
	which = (unsigned)take(input, 1);
	if (medium.count == 0)
		return;
	complete(which / 4 % medium.count, which % 4 == 3 ? STATUS_IO : STATUS_OK);
	if (plane.given)
		env.model->served(env.device, env.now);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	unsigned how = (unsigned)take(&input, 1);

	memset(&medium, 0, sizeof(medium));
	medium.max = (unsigned)take(&input, 1) % (DEVICE_IO_MAX + 1);
	medium.readonly = (how & BEGIN_READONLY) != 0;
	memset(&plane, 0, sizeof(plane));
	plane.there = (how & BEGIN_PLANE) != 0;
	env_start(&virtio_blk_model, &ops, configure);
	env.rest = rest;
	virtio_begin(how, 1u << VIRTIO_BLK_F_DISCARD | 1u << VIRTIO_BLK_F_WRITE_ZEROES |
		1u << VIRTIO_BLK_F_CONFIG_WCE, 2, 0x100);
	while (input.left > 0)
		virtio_step(&input, own_step);
	while (medium.count > 0)
		complete(0, STATUS_OK);
	env_end();
	return 0;
}

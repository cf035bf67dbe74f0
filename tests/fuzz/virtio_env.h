// SPDX-License-Identifier: BSD-2-Clause
// What fuzzers of virtio devices share: how an input begins, and the steps that are the same for
// all of them.
#ifndef TESTS_FUZZ_VIRTIO_ENV_H
#define TESTS_FUZZ_VIRTIO_ENV_H

#include "emul/virtio.h"
#include "tests/fuzz/device_env.h"

// Bits 3 and 7 are the device's own.
enum {
	BEGIN_READY = 1,
	BEGIN_PACKED = 2,
	BEGIN_EVENTS = 4,
	BEGIN_LEGACY = 16,
	BEGIN_MESSAGES = 32,
	BEGIN_ORDER = 64,
};

// No core serves queues here.
enum status env_give_queues(struct device *device);
void env_take_queues(struct device *device);

#define ENV_VIRTIO .give_queues = env_give_queues, .take_queues = env_take_queues

// If `how` says so, as a driver that knows how begins: with these features of the device's own. The
// parts of its queues lie `step` behind each other.
void virtio_begin(unsigned how, uint32_t features, unsigned queues, uint64_t step);
// `own` is a step of the device's own; `what` is the byte that begins it.
void virtio_step(struct input *input, void (*own)(struct input *input, unsigned what));

#endif

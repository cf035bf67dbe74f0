// SPDX-License-Identifier: BSD-2-Clause
// Bytes of a chain, in however many pieces they lie: for devices that copy what they get and give.
#ifndef EMUL_VIRTIO_CHAIN_H
#define EMUL_VIRTIO_CHAIN_H

#include "emul/virtio_queue.h"

// From the device's memory to be read, or to that to be written, `skip` bytes from its start on.
// False: there is less of it, or not all of it is memory; a part may have been copied.
must_check bool virtio_chain_get(struct device *device, const struct virtio_chain *chain,
	uint64_t skip, void *to, size_t bytes);
must_check bool virtio_chain_put(struct device *device, const struct virtio_chain *chain,
	uint64_t skip, const void *from, size_t bytes);

#endif

// SPDX-License-Identifier: BSD-2-Clause
#include "emul/virtio_chain.h"

// How many of `bytes` lie in the piece, and from where on; what is skipped is taken off *skip.
static size_t part_of(const struct device_io_piece *piece, uint64_t *skip, size_t bytes,
	struct gpa *at)
{
	uint64_t left = piece->bytes;

	if (*skip >= left) {
		*skip -= left;
		return 0;
	}
	at->v = piece->at.v + *skip;
	left -= *skip;
	*skip = 0;
	return left < bytes ? (size_t)left : bytes;
}

bool virtio_chain_get(struct device *device, const struct virtio_chain *chain, uint64_t skip,
	void *to, size_t bytes)
{
	uint8_t *next = to;

	for (unsigned i = 0; i < chain->readable && bytes > 0; i++) {
		struct gpa at;
		size_t part = part_of(&chain->pieces[i], &skip, bytes, &at);

		if (part > 0 && device_dma_read(device, at, next, part) != STATUS_OK)
			return false;
		next += part;
		bytes -= part;
	}
	return bytes == 0;
}

bool virtio_chain_put(struct device *device, const struct virtio_chain *chain, uint64_t skip,
	const void *from, size_t bytes)
{
	const uint8_t *next = from;

	for (unsigned i = 0; i < chain->writable && bytes > 0; i++) {
		struct gpa at;
		size_t part = part_of(&chain->pieces[chain->readable + i], &skip, bytes, &at);

		if (part > 0 && device_dma_write(device, at, next, part) != STATUS_OK)
			return false;
		next += part;
		bytes -= part;
	}
	return bytes == 0;
}

// SPDX-License-Identifier: BSD-2-Clause
// emul/virtio_queue.h: what both kinds of rings have in common.
#include "emul/virtio_queue.h"

#include <string.h>

#include "emul/virtio_ring.h"
#include "kernel/base/assert.h"

// What lies in several mappings is not mapped.
static bool virtio_map(struct device *device, uint64_t at, uint64_t bytes, bool writable,
	struct device_dma_map *map)
{
	if (device_dma_map(device, (struct gpa){at}, bytes, writable, map) != STATUS_OK)
		return false;
	if (map->bytes == bytes)
		return true;
	device_dma_unmap(device, map, 0);
	return false;
}

// Words that are not aligned are not read at once.
bool virtio_map_table(struct device *device, uint64_t at, uint32_t count,
	struct device_dma_map *map)
{
	return at % sizeof(uint64_t) == 0 &&
		virtio_map(device, at, count * sizeof(struct virtio_descriptor), false, map);
}

static void parts_map(struct device *device, struct virtio_queue *queue, struct virtio_ring ring)
{
	const uint64_t parts[VIRTIO_QUEUE_PARTS] = {
		queue->descriptors, queue->driver, queue->device};

	for (unsigned i = 0; i < VIRTIO_QUEUE_PARTS; i++) {
		bool writable = i == VIRTIO_QUEUE_DEVICE ||
			(i == VIRTIO_QUEUE_DESCRIPTORS && ring.packed);

		if (!virtio_map(device, parts[i], virtio_ops_of(ring)->bytes(queue->size, i),
			writable, &queue->maps[i]))
			queue->maps[i].address = NULL;
	}
	queue->is_mapped = true;
}

static void parts_unmap(struct device *device, struct virtio_queue *queue)
{
	for (unsigned i = 0; queue->is_mapped && i < VIRTIO_QUEUE_PARTS; i++)
		if (queue->maps[i].address != NULL)
			device_dma_unmap(device, &queue->maps[i], 0);
	queue->is_mapped = false;
}

void virtio_queue_lost(struct virtio_queue *queue)
{
	memset(queue->maps, 0, sizeof(queue->maps));
	queue->is_mapped = false;
}

void virtio_queue_reset(struct device *device, struct virtio_queue *queue, uint16_t size)
{
	parts_unmap(device, queue);
	memset(queue, 0, sizeof(*queue));
	queue->size = size;
	queue->vector = VIRTIO_NO_VECTOR;
	queue->next_wrap = queue->used_wrap = true; // 2.8.1
}

// A byte of each page, and the last: RAM comes in whole pages.
static bool is_ram(struct device *device, uint64_t at, uint64_t bytes)
{
	uint64_t end = at + bytes;
	uint8_t byte;

	if (end < at)
		return false;
	for (uint64_t i = at; i < end; i = ALIGN_DOWN(i, PAGE_BYTES) + PAGE_BYTES)
		if (device_dma_read(device, (struct gpa){i}, &byte, 1) != STATUS_OK)
			return false;
	return true;
}

static const char *parts_problem(struct device *device, const struct virtio_queue *queue,
	struct virtio_ring ring)
{
	const uint64_t parts[VIRTIO_QUEUE_PARTS] = {
		queue->descriptors, queue->driver, queue->device};

	for (unsigned i = 0; i < VIRTIO_QUEUE_PARTS; i++)
		if (!is_ram(device, parts[i], virtio_ops_of(ring)->bytes(queue->size, i)))
			return VIRTIO_RING_NOT_RAM;
	return NULL;
}

// 2.7 and 2.8.10.1: how parts are aligned.
const char *virtio_queue_form(const struct virtio_queue *queue, struct virtio_ring ring)
{
	static const uint8_t split_alignments[VIRTIO_QUEUE_PARTS] = {16, 2, 4};
	static const uint8_t packed_alignments[VIRTIO_QUEUE_PARTS] = {16, 4, 4};
	const uint8_t *alignments = ring.packed ? packed_alignments : split_alignments;
	const uint64_t parts[VIRTIO_QUEUE_PARTS] = {
		queue->descriptors, queue->driver, queue->device};

	if (queue->size == 0 || queue->size > VIRTIO_QUEUE_SIZE_MAX)
		return "a queue has no size, or one that is too large";
	if (!ring.packed && (queue->size & (queue->size - 1)) != 0)
		return "a queue's size is no power of two";
	for (unsigned i = 0; i < VIRTIO_QUEUE_PARTS; i++)
		if (parts[i] % alignments[i] != 0)
			return "a ring is misaligned";
	return NULL;
}

const char *virtio_queue_enable(struct device *device, struct virtio_queue *queue,
	struct virtio_ring ring)
{
	const char *reason = virtio_queue_form(queue, ring);

	if (reason == NULL)
		reason = parts_problem(device, queue, ring);
	queue->enabled = reason == NULL;
	return reason;
}

const char *virtio_queue_verify(struct device *device, const struct virtio_queue *queue,
	struct virtio_ring ring)
{
	const char *reason = parts_problem(device, queue, ring);

	ASSERT(queue->enabled);
	return reason != NULL ? reason : virtio_ops_of(ring)->verify(device, queue);
}

static __attribute__((noinline)) const char *first_pop(struct device *device,
	struct virtio_queue *queue, struct virtio_ring ring, struct virtio_chain *chain, bool *got)
{
	ASSERT(queue->enabled);
	parts_map(device, queue, ring);
	return virtio_ops_of(ring)->pop(device, queue, ring, chain, got);
}

const char *virtio_queue_pop(struct device *device, struct virtio_queue *queue,
	struct virtio_ring ring, struct virtio_chain *chain, bool *got)
{
	if (unlikely(!queue->is_mapped))
		return first_pop(device, queue, ring, chain, got);
	ASSERT(queue->enabled);
	return virtio_ops_of(ring)->pop(device, queue, ring, chain, got);
}

void virtio_queue_unpop(struct virtio_queue *queue, struct virtio_ring ring,
	const struct virtio_chain *chain)
{
	ASSERT(virtio_is_flying(queue, chain->id));
	virtio_set_flying(queue, chain->id, false);
	virtio_ops_of(ring)->unpop(queue, chain->slots);
}

const char *virtio_queue_push_all(struct device *device, struct virtio_queue *queue,
	struct virtio_ring ring, const struct virtio_used *used, unsigned count)
{
	ASSERT(queue->enabled && count > 0);
	for (unsigned i = 0; i < count; i++) {
		// Of a loaded state that lies.
		if (used[i].id >= queue->size || !virtio_is_flying(queue, used[i].id) ||
			used[i].slots == 0 || used[i].slots > queue->size)
			return "a chain comes back that was not in flight";
		virtio_set_flying(queue, used[i].id, false);
	}
	return virtio_ops_of(ring)->push(device, queue, used, count);
}

const char *virtio_queue_listen(struct device *device, struct virtio_queue *queue,
	struct virtio_ring ring)
{
	const char *reason = virtio_ops_of(ring)->listen(device, queue, ring);

	// Either the driver sees that it shall notify, or the next look sees its chain.
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return reason;
}

const char *virtio_queue_hush(struct device *device, struct virtio_queue *queue,
	struct virtio_ring ring)
{
	return virtio_ops_of(ring)->hush(device, queue, ring);
}

const char *virtio_queue_take_signal(struct device *device, struct virtio_queue *queue,
	struct virtio_ring ring, bool *wanted)
{
	// Either the driver sees what was pushed, or its wish to be told is seen here.
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return virtio_ops_of(ring)->take_signal(device, queue, ring, wanted);
}

uint32_t virtio_table_entries(uint32_t bytes)
{
	uint32_t count = bytes / (uint32_t)sizeof(struct virtio_descriptor);

	return bytes % sizeof(struct virtio_descriptor) == 0 && count <= VIRTIO_CHAIN_MAX
		? count : 0;
}

uint64_t virtio_pieces_bytes(const struct device_io_piece *pieces, unsigned count)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < count; i++)
		bytes += pieces[i].bytes;
	return bytes;
}

// The part of a piece behind *skip bytes, at most `bytes`. False: it is passed over.
static bool part_of(const struct device_io_piece *piece, uint64_t *skip, uint64_t bytes,
	struct device_io_piece *part)
{
	if (*skip >= piece->bytes) {
		*skip -= piece->bytes;
		return false;
	}
	part->at.v = piece->at.v + *skip;
	part->bytes = piece->bytes - *skip < bytes ? piece->bytes - *skip : bytes;
	*skip = 0;
	return true;
}

static __attribute__((noinline)) bool gather_parts(struct device *device,
	const struct device_io_piece *pieces, unsigned count, uint64_t skip, void *to,
	uint64_t bytes)
{
	uint8_t *at = to;

	for (unsigned i = 0; i < count && bytes > 0; i++) {
		struct device_io_piece part;

		if (!part_of(&pieces[i], &skip, bytes, &part))
			continue;
		if (device_dma_read(device, part.at, at, part.bytes) != STATUS_OK)
			return false;
		at += part.bytes;
		bytes -= part.bytes;
	}
	return bytes == 0;
}

bool virtio_gather(struct device *device, const struct device_io_piece *pieces, unsigned count,
	uint64_t skip, void *to, uint64_t bytes)
{
	if (likely(count > 0 && skip == 0 && pieces[0].bytes >= bytes))
		return device_dma_read(device, pieces[0].at, to, bytes) == STATUS_OK;
	return gather_parts(device, pieces, count, skip, to, bytes);
}

bool virtio_scatter(struct device *device, const struct device_io_piece *pieces, unsigned count,
	uint64_t skip, const void *from, uint64_t bytes)
{
	const uint8_t *at = from;

	for (unsigned i = 0; i < count && bytes > 0; i++) {
		struct device_io_piece part;

		if (!part_of(&pieces[i], &skip, bytes, &part))
			continue;
		if (device_dma_write(device, part.at, at, part.bytes) != STATUS_OK)
			return false;
		at += part.bytes;
		bytes -= part.bytes;
	}
	return bytes == 0;
}

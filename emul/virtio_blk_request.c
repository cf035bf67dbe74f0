// SPDX-License-Identifier: BSD-2-Clause
// Requests of a virtio block device: VIRTIO 1.2, 5.2.6.
//
//   FREE --chain--> SENT --completion of the last part--> FREE, chain given back
//                   SENT --completion of another--> SENT, the next part
//   FREE, SENT --the back end is busy--> WAITS --timer--> SENT
//   SENT, WAITS --the queue is reset--> FREE, dropped
//   With IN_ORDER also: SENT, or done without the back end --one before it is not done--> DONE
//   DONE --it is--> FREE, chain given back
//
// A request goes to the back end in parts of DEVICE_IO_BYTES_MAX, one behind the other. What it
// wants is kept here: the ring is read once.
#include "emul/virtio_blk_internal.h"

#include <string.h>

#include "kernel/base/assert.h"

enum { CHAINS_AT_A_TIME = 64, RETRY_NS = 100000, NAME_BITS = 8, NAME_INDEX = 0xff,
	FLAG_UNMAP = 1 };

struct header {
	uint32_t type, reserved;
	uint64_t sector;
};

struct range {
	uint64_t sector;
	uint32_t sectors, flags;
};

// The request's own view of a chain: what is behind the header, before the status.
struct body {
	const struct device_io_piece *pieces;
	unsigned count;
	uint32_t reserved;
	uint64_t skip;  // bytes of the first piece that are the header's
	uint64_t bytes; // in all
};

_Static_assert(VIRTIO_BLK_REQUESTS == 32, "bits of blk->used");

static void state_set(struct virtio_blk *blk, struct virtio_blk_request *request,
	enum virtio_blk_state state)
{
	uint32_t bit = (uint32_t)BIT(request - blk->requests);

	request->state = (uint8_t)state;
	blk->used = state == VIRTIO_BLK_FREE ? blk->used & ~bit : blk->used | bit;
}

// Chains go back in the order in which they came. True: any did.
static bool give_back_in_order(struct virtio_blk *blk, unsigned queue)
{
	bool any = false;

	for (;;) {
		struct virtio_blk_request *first = NULL;

		for (unsigned i = 0; i < VIRTIO_BLK_REQUESTS; i++) {
			struct virtio_blk_request *request = &blk->requests[i];

			if (request->state != VIRTIO_BLK_FREE && request->queue == queue &&
				(first == NULL || request->order < first->order))
				first = request;
		}
		if (first == NULL || first->state != VIRTIO_BLK_DONE)
			return any;
		state_set(blk, first, VIRTIO_BLK_FREE);
		virtio_push(&blk->virtio, queue, first->id, first->slots, first->written);
		any = true;
	}
}

// `written`: bytes of data, which the status follows. True: chains went back.
static bool finish(struct virtio_blk *blk, struct virtio_blk_request *request, uint8_t status,
	uint32_t written)
{
	unsigned queue = request->queue;
	enum status told;
	bool any = true;

	state_set(blk, request, VIRTIO_BLK_FREE);
	if (!virtio_queue_is_live(&blk->virtio, queue))
		return false;
	told = device_dma_write(&blk->virtio.pci.device, (struct gpa){request->status_at}, &status,
		sizeof(status));
	request->written = written + (uint32_t)sizeof(status);
	if (virtio_has(&blk->virtio, VIRTIO_F_IN_ORDER)) {
		state_set(blk, request, VIRTIO_BLK_DONE);
		any = give_back_in_order(blk, queue);
	} else {
		virtio_push_live(&blk->virtio, queue, request->id, request->slots,
			request->written);
	}
	if (told != STATUS_OK)
		virtio_break(&blk->virtio, "a request's status is not in memory");
	return any;
}

// The first `bytes` behind `skip`. Returns how many pieces they are; more than `max`: too many.
static unsigned pieces_slice(const struct device_io_piece *pieces, unsigned count, uint64_t skip,
	uint64_t bytes, struct device_io_piece *slice, unsigned max)
{
	unsigned made = 0;

	for (unsigned i = 0; i < count && bytes > 0; i++) {
		struct device_io_piece piece = pieces[i];

		if (skip >= piece.bytes) {
			skip -= piece.bytes;
			continue;
		}
		piece.at.v += skip;
		piece.bytes -= skip;
		skip = 0;
		if (piece.bytes > bytes)
			piece.bytes = bytes;
		bytes -= piece.bytes;
		if (made == max)
			return max + 1;
		slice[made++] = piece;
	}
	return made;
}
_Static_assert((int)VIRTIO_BLK_PIECES_MAX <= (int)DEVICE_IO_PIECES_MAX, "a part has no more");

bool virtio_blk_name_is_of(const struct virtio_blk *blk, unsigned index)
{
	uint64_t name = blk->requests[index].name;

	return (name & NAME_INDEX) == index && name >> NAME_BITS != 0 &&
		name >> NAME_BITS <= blk->sequence;
}

static bool has_data(const struct virtio_blk_request *request)
{
	return request->kind == DEVICE_IO_READ || request->kind == DEVICE_IO_WRITE;
}

static enum status part_send(struct virtio_blk *blk, struct virtio_blk_request *request,
	struct guest_time now)
{
	struct device_io_piece pieces[DEVICE_IO_PIECES_MAX];
	struct device_io io = {.offset = request->offset + request->done, .kind = request->kind,
		.pieces = pieces};
	enum status status;

	if (has_data(request) && request->bytes <= DEVICE_IO_BYTES_MAX && request->done == 0) {
		io.pieces = request->pieces;
		io.piece_count = request->piece_count;
		request->part = (uint32_t)request->bytes;
	} else if (has_data(request)) {
		io.piece_count = (uint8_t)pieces_slice(request->pieces, request->piece_count,
			request->done, DEVICE_IO_BYTES_MAX, pieces, DEVICE_IO_PIECES_MAX);
		request->part = (uint32_t)virtio_pieces_bytes(pieces, io.piece_count);
	} else {
		io.bytes = request->bytes;
	}
	if (has_data(request) && request->part == 0)
		return STATUS_RANGE; // a loaded state lies: it would never come to an end
	io.request = ++blk->sequence << NAME_BITS | (uint64_t)(request - blk->requests);
	status = device_submit(&blk->virtio.pci.device, VIRTIO_BLK_PORT_MEDIUM, &io);
	request->name = io.request;
	state_set(blk, request, VIRTIO_BLK_SENT);
	if (status != STATUS_BUSY || blk->virtio.away) // there is room for all that is in flight
		return status;
	state_set(blk, request, VIRTIO_BLK_WAITS); // dropped ones are still under way
	blk->retry.ns = now.ns + RETRY_NS;
	device_arm_timer(&blk->virtio.pci.device, VIRTIO_BLK_TIMER_RETRY, blk->retry);
	return STATUS_OK;
}

static uint32_t written_of(const struct virtio_blk_request *request)
{
	return request->kind == DEVICE_IO_READ ? (uint32_t)request->done : 0;
}

static bool fits(const struct virtio_blk *blk, uint64_t sector, uint64_t bytes)
{
	uint64_t sectors = bytes / VIRTIO_BLK_SECTOR_BYTES;

	return bytes % VIRTIO_BLK_SECTOR_BYTES == 0 && sector <= blk->medium.sectors &&
		sectors <= blk->medium.sectors - sector;
}

static always_inline uint8_t data_prepare(struct virtio_blk *blk,
	struct virtio_blk_request *request, uint64_t sector, const struct body *body)
{
	unsigned count;

	if (!fits(blk, sector, body->bytes) || body->bytes == 0 ||
		(request->kind == DEVICE_IO_WRITE && blk->medium.readonly))
		return VIRTIO_BLK_S_IOERR;
	count = pieces_slice(body->pieces, body->count, body->skip, body->bytes, request->pieces,
		VIRTIO_BLK_PIECES_MAX);
	if (count > VIRTIO_BLK_PIECES_MAX)
		return VIRTIO_BLK_S_IOERR; // more than seg_max
	request->piece_count = (uint8_t)count;
	request->offset = sector * VIRTIO_BLK_SECTOR_BYTES;
	request->bytes = body->bytes;
	return VIRTIO_BLK_S_OK;
}

// 5.2.6.2: one range, as max_discard_seg and max_write_zeroes_seg say.
static uint8_t range_prepare(struct virtio_blk *blk, struct virtio_blk_request *request,
	const struct body *body)
{
	uint32_t flags = request->kind == DEVICE_IO_ZERO ? FLAG_UNMAP : 0;
	struct range range;
	uint64_t bytes;

	if (body->bytes != sizeof(range) || !virtio_gather(&blk->virtio.pci.device, body->pieces,
		body->count, body->skip, &range, sizeof(range)))
		return VIRTIO_BLK_S_IOERR;
	if (range.flags & ~flags)
		return VIRTIO_BLK_S_UNSUPP;
	bytes = (uint64_t)range.sectors * VIRTIO_BLK_SECTOR_BYTES;
	if (blk->medium.readonly || range.sectors > VIRTIO_BLK_RANGE_MAX ||
		!fits(blk, range.sector, bytes))
		return VIRTIO_BLK_S_IOERR;
	request->offset = range.sector * VIRTIO_BLK_SECTOR_BYTES;
	request->bytes = bytes;
	return VIRTIO_BLK_S_OK;
}

enum { KIND_NONE = DEVICE_IO_KINDS };

static uint8_t kind_of(const struct virtio_blk *blk, uint32_t type)
{
	switch (type) {
	case VIRTIO_BLK_T_IN:
		return DEVICE_IO_READ;
	case VIRTIO_BLK_T_OUT:
		return DEVICE_IO_WRITE;
	case VIRTIO_BLK_T_FLUSH:
		return DEVICE_IO_FLUSH;
	case VIRTIO_BLK_T_DISCARD:
		return virtio_has(&blk->virtio, VIRTIO_BLK_F_DISCARD) ? DEVICE_IO_DISCARD
								      : KIND_NONE;
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return virtio_has(&blk->virtio, VIRTIO_BLK_F_WRITE_ZEROES) ? DEVICE_IO_ZERO
									   : KIND_NONE;
	default:
		return KIND_NONE;
	}
}

// Of a chain that has header and status.
static struct body body_in(const struct virtio_chain *chain)
{
	return (struct body){.pieces = &chain->pieces[chain->readable], .count = chain->writable,
		.bytes = chain->writable_bytes - 1};
}

static struct body body_out(const struct virtio_chain *chain)
{
	return (struct body){.pieces = chain->pieces, .count = chain->readable,
		.skip = sizeof(struct header),
		.bytes = chain->readable_bytes - sizeof(struct header)};
}

// The serial number, without an end where it is full: 5.2.6.
static uint32_t serial_give(struct virtio_blk *blk, const struct virtio_chain *chain)
{
	const struct body in = body_in(chain);
	uint32_t bytes = in.bytes < VIRTIO_BLK_SERIAL_BYTES ? (uint32_t)in.bytes
							    : VIRTIO_BLK_SERIAL_BYTES;

	return virtio_scatter(&blk->virtio.pci.device, in.pieces, in.count, 0, blk->medium.serial,
		bytes) ? bytes : 0;
}

// What the device answers at once, or what it needs of the back end.
static uint8_t prepare(struct virtio_blk *blk, struct virtio_blk_request *request,
	const struct header *header, const struct virtio_chain *chain)
{
	struct body body = request->kind == DEVICE_IO_READ ? body_in(chain) : body_out(chain);

	switch (request->kind) {
	case DEVICE_IO_READ:
	case DEVICE_IO_WRITE:
		return data_prepare(blk, request, header->sector, &body);
	case DEVICE_IO_FLUSH:
		return VIRTIO_BLK_S_OK;
	case KIND_NONE:
		return VIRTIO_BLK_S_UNSUPP;
	default:
		return range_prepare(blk, request, &body);
	}
}

static struct virtio_blk_request *request_free(struct virtio_blk *blk)
{
	return ~blk->used == 0 ? NULL : &blk->requests[__builtin_ctz(~blk->used)];
}

// 5.2.6.4: the status is the last byte of the chain. A chain in which header or status are missing
// comes back all the same. True: chains went back.
static bool take(struct virtio_blk *blk, struct guest_time now, unsigned queue,
	const struct virtio_chain *chain, struct virtio_blk_request *request)
{
	const struct device_io_piece *last =
		&chain->pieces[chain->readable + chain->writable - 1];
	uint8_t status;
	struct header header;

	if (chain->writable == 0 || !virtio_chain_get(&blk->virtio.pci.device, chain, 0, &header,
		sizeof(header))) {
		if (!virtio_has(&blk->virtio, VIRTIO_F_IN_ORDER))
			virtio_push(&blk->virtio, queue, chain->id, chain->slots, 0);
		virtio_break(&blk->virtio, chain->writable == 0
			? "a request has no status" : "a request has no header");
		return true;
	}
	request->offset = request->bytes = request->done = request->part = 0;
	request->status_at = last->at.v + last->bytes - 1;
	request->id = chain->id;
	request->slots = chain->slots;
	request->queue = (uint8_t)queue;
	request->kind = kind_of(blk, header.type);
	request->piece_count = 0;
	request->order = ++blk->sequence;
	if (header.type == VIRTIO_BLK_T_GET_ID)
		return finish(blk, request, VIRTIO_BLK_S_OK, serial_give(blk, chain));
	status = prepare(blk, request, &header, chain);
	if (status == VIRTIO_BLK_S_OK && part_send(blk, request, now) == STATUS_OK)
		return false;
	return finish(blk, request, status != VIRTIO_BLK_S_OK ? status : VIRTIO_BLK_S_IOERR, 0);
}

void virtio_blk_serve(struct virtio_blk *blk, struct guest_time now, unsigned queue)
{
	struct virtio_chain chain;
	bool any = false;

	chain.last = false;
	blk->waiting &= ~(uint32_t)BIT(queue);
	for (unsigned i = 0;; i++) {
		struct virtio_blk_request *request = request_free(blk);

		if (request == NULL || i == CHAINS_AT_A_TIME) {
			blk->waiting |= (uint32_t)BIT(queue);
			if (request != NULL && !blk->virtio.away)
				device_schedule_bottom_half(&blk->virtio.pci.device,
					VIRTIO_BLK_HALF_CONTINUE);
			break;
		}
		if (!virtio_pop_or_listen(&blk->virtio, queue, &chain))
			break;
		any |= take(blk, now, queue, &chain, request);
	}
	if (any)
		virtio_signal(&blk->virtio, queue);
}

// With room again, what waited for it is looked at.
static void others_serve(struct virtio_blk *blk, struct guest_time now)
{
	for (unsigned queue = 0; blk->waiting >> queue != 0; queue++)
		if ((blk->waiting & BIT(queue)) != 0)
			virtio_blk_serve(blk, now, queue);
}

void virtio_blk_completed(struct virtio_blk *blk, struct guest_time now, uint64_t name,
	enum status status)
{
	struct virtio_blk_request *request = &blk->requests[(name & NAME_INDEX) %
		VIRTIO_BLK_REQUESTS];
	unsigned queue = request->queue;

	if (request->state != VIRTIO_BLK_SENT || request->name != name)
		return; // of a state that was loaded, and contradicts itself
	if (status == STATUS_OK)
		request->done += request->part;
	request->part = 0;
	if (status == STATUS_OK && has_data(request) && request->done < request->bytes) {
		status = part_send(blk, request, now);
		if (status == STATUS_OK)
			return;
	}
	if (finish(blk, request, status == STATUS_OK ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR,
		written_of(request)))
		virtio_signal(&blk->virtio, queue);
	others_serve(blk, now);
}

void virtio_blk_retry(struct virtio_blk *blk, struct guest_time now)
{
	for (unsigned i = 0; i < VIRTIO_BLK_REQUESTS; i++) {
		struct virtio_blk_request *request = &blk->requests[i];
		unsigned queue;

		if (request->state != VIRTIO_BLK_WAITS ||
			part_send(blk, request, now) == STATUS_OK)
			continue;
		queue = request->queue;
		if (finish(blk, request, VIRTIO_BLK_S_IOERR, written_of(request)))
			virtio_signal(&blk->virtio, queue);
	}
	others_serve(blk, now);
}

void virtio_blk_drop(struct virtio_blk *blk, unsigned queue)
{
	blk->waiting &= ~(uint32_t)BIT(queue);
	for (unsigned i = 0; i < VIRTIO_BLK_REQUESTS; i++) {
		struct virtio_blk_request *request = &blk->requests[i];

		if (request->queue != queue || request->state == VIRTIO_BLK_FREE)
			continue;
		if (request->state == VIRTIO_BLK_SENT)
			device_drop(&blk->virtio.pci.device, VIRTIO_BLK_PORT_MEDIUM,
				request->name);
		state_set(blk, request, VIRTIO_BLK_FREE);
	}
}

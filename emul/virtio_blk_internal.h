// SPDX-License-Identifier: BSD-2-Clause
// Between virtio_blk.c and virtio_blk_request.c.
#ifndef EMUL_VIRTIO_BLK_INTERNAL_H
#define EMUL_VIRTIO_BLK_INTERNAL_H

#include "emul/virtio.h"
#include "emul/virtio_blk.h"

enum {
	VIRTIO_BLK_REQUESTS = 32,   // in flight
	VIRTIO_BLK_PIECES_MAX = 16, // of a request's data: seg_max
	// 5.2.4, of discards and of zeros: sectors of one request.
	VIRTIO_BLK_RANGE_MAX = 1 << 22,

	VIRTIO_BLK_TIMER_RETRY = 0,
	VIRTIO_BLK_TIMERS,
	VIRTIO_BLK_HALF_CONTINUE = 0,
	VIRTIO_BLK_HALVES,
};

// 5.2.3
enum {
	VIRTIO_BLK_F_SEG_MAX = 2,
	VIRTIO_BLK_F_RO = 5,
	VIRTIO_BLK_F_BLK_SIZE = 6,
	VIRTIO_BLK_F_FLUSH = 9,
	VIRTIO_BLK_F_TOPOLOGY = 10,
	VIRTIO_BLK_F_CONFIG_WCE = 11,
	VIRTIO_BLK_F_MQ = 12,
	VIRTIO_BLK_F_DISCARD = 13,
	VIRTIO_BLK_F_WRITE_ZEROES = 14,
};

// 5.2.6
enum {
	VIRTIO_BLK_T_IN = 0,
	VIRTIO_BLK_T_OUT = 1,
	VIRTIO_BLK_T_FLUSH = 4,
	VIRTIO_BLK_T_GET_ID = 8,
	VIRTIO_BLK_T_DISCARD = 11,
	VIRTIO_BLK_T_WRITE_ZEROES = 13,
	VIRTIO_BLK_S_OK = 0,
	VIRTIO_BLK_S_IOERR = 1,
	VIRTIO_BLK_S_UNSUPP = 2,
};

enum virtio_blk_state {
	VIRTIO_BLK_FREE,
	VIRTIO_BLK_WAITS, // the back end was busy
	VIRTIO_BLK_SENT,  // it has the request that is called `name`
	VIRTIO_BLK_DONE,  // with IN_ORDER: one that came before it is not
};

struct virtio_blk_request {
	struct device_io_piece pieces[VIRTIO_BLK_PIECES_MAX]; // of data
	uint64_t name;      // at the back end: sequence << 8 | index
	uint64_t offset;    // of the medium, in bytes
	uint64_t bytes;     // of data, or of the range
	uint64_t done;      // of them
	uint64_t status_at; // where the status goes
	uint64_t order;     // of a queue's requests: as they came
	uint32_t part;      // bytes that the back end works on
	uint16_t id, slots; // of its chain
	uint8_t queue;
	uint8_t state; // enum virtio_blk_state
	uint8_t kind;  // enum device_io_kind
	uint8_t piece_count;
	uint32_t written; // once it is done: bytes of its memory
};

struct virtio_blk {
	struct virtio virtio;
	uint64_t sequence; // of names
	struct guest_time retry; // when the timer expires; GUEST_TIME_NEVER: it does not
	struct virtio_blk_medium medium;
	uint32_t waiting; // queues that may have chains nobody has looked at, a bit each
	uint8_t writeback; // CONFIG_WCE: 5.2.4
	uint8_t reserved[3];
	uint32_t used, reserved2; // derived: a bit for each request that is not FREE
	struct virtio_blk_request requests[VIRTIO_BLK_REQUESTS];
};

extern const struct virtio_class virtio_blk_class;

static inline struct virtio_blk *virtio_blk_of(struct device *device)
{
	return CONTAINER_OF(device, struct virtio_blk, virtio.pci.device);
}

// Takes what the driver has made available in the queue, as far as there is room.
void virtio_blk_serve(struct virtio_blk *blk, struct guest_time now, unsigned queue);
// Whether a request that is SENT has a name that was given to it.
bool virtio_blk_name_is_of(const struct virtio_blk *blk, unsigned index);
void virtio_blk_completed(struct virtio_blk *blk, struct guest_time now, uint64_t name,
	enum status status);
// Sends again what the back end was too busy for.
void virtio_blk_retry(struct virtio_blk *blk, struct guest_time now);
void virtio_blk_drop(struct virtio_blk *blk, unsigned queue); // all of that queue

#endif

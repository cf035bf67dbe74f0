// SPDX-License-Identifier: BSD-2-Clause
// A virtqueue, the device's side of it: VIRTIO 1.2, 2.6 to 2.8 (split and packed rings, indirect
// descriptors, event suppression).
//
// Whatever the guest has in its memory does no harm: each descriptor is read once, and what cannot
// be is answered with a reason. A queue for which a reason was given is broken: its owner calls it
// no more before it is set up again.
//
// The ring's parts are checked when the queue is enabled, and mapped when it is looked at first.
// What lies in several mappings is not mapped: each access is checked by whoever makes it.
#ifndef EMUL_VIRTIO_QUEUE_H
#define EMUL_VIRTIO_QUEUE_H

#include "emul/device.h"

enum {
	VIRTIO_QUEUE_SIZE_MAX = 128,
	VIRTIO_CHAIN_MAX = VIRTIO_QUEUE_SIZE_MAX, // pieces, indirect ones included: 2.7.5.3.1

	VIRTIO_QUEUE_DESCRIPTORS = 0, // parts of a ring
	VIRTIO_QUEUE_DRIVER,
	VIRTIO_QUEUE_DEVICE,
	VIRTIO_QUEUE_PARTS,
};

// Part of the state of a device.
struct virtio_queue {
	uint64_t descriptors, driver, device; // where the ring's parts are
	uint64_t flying[VIRTIO_QUEUE_SIZE_MAX / 64]; // chains in flight, a bit each, by head or id
	uint16_t size;      // of the ring: 1 to VIRTIO_QUEUE_SIZE_MAX once it is enabled
	uint16_t next;      // split: available index; packed: descriptor to be looked at
	uint16_t used;      // split: used index; packed: descriptor to be written
	uint16_t signalled; // `used` when the driver was told last
	uint16_t vector;    // or VIRTIO_NO_VECTOR
	bool enabled;
	bool next_wrap, used_wrap; // packed: wrap counters
	uint8_t was_signalled;     // 0: `signalled` does not count
	bool is_mapped;            // its parts, as far as they can be
	uint8_t reserved;
	struct device_dma_map maps[VIRTIO_QUEUE_PARTS]; // address NULL: it cannot be
};

// For the state table of a device whose struct has an array of them as `member`.
#define VIRTIO_QUEUE_STATE(type, member)                                                           \
	STATE_EACH_ANY(type, member, descriptors), STATE_EACH_ANY(type, member, driver),           \
		STATE_EACH_ANY(type, member, device), STATE_EACH_ANY(type, member, flying[0]),     \
		STATE_EACH_ANY(type, member, flying[1]),                                           \
		STATE_EACH(type, member, size, 0, VIRTIO_QUEUE_SIZE_MAX),                          \
		STATE_EACH_ANY(type, member, next), STATE_EACH_ANY(type, member, used),            \
		STATE_EACH_ANY(type, member, signalled), STATE_EACH_ANY(type, member, vector),     \
		STATE_EACH(type, member, enabled, 0, 1),                                           \
		STATE_EACH(type, member, next_wrap, 0, 1),                                         \
		STATE_EACH(type, member, used_wrap, 0, 1),                                         \
		STATE_EACH(type, member, was_signalled, 0, 1),                                     \
		STATE_EACH_DERIVED(type, member, is_mapped),                                       \
		STATE_EACH_DERIVED(type, member, reserved),                                        \
		STATE_EACH_DERIVED(type, member, maps)
_Static_assert(VIRTIO_QUEUE_SIZE_MAX == 128, "flying has two words");

// What the driver made available: memory to be read, then memory to be written.
struct virtio_chain {
	uint16_t id;       // for virtio_queue_push_all, both
	uint16_t slots;    // of the ring: 1 in a split one
	uint8_t readable;  // pieces
	uint8_t writable;  // pieces behind them
	bool last;         // nothing was behind it when it was popped, as far as is known
	uint8_t reserved;
	uint64_t readable_bytes, writable_bytes; // of all pieces
	struct device_io_piece pieces[VIRTIO_CHAIN_MAX];
};

// Features that matter to a queue.
struct virtio_ring {
	bool packed, indirect, event_index;
	bool in_order; // whoever pushes does it in the order of pops
	uint8_t reserved[4];
};

// A chain that is given back: what virtio_queue_pop said, and how many bytes were written to it.
struct virtio_used {
	uint32_t written;
	uint16_t id, slots;
};

void virtio_queue_reset(struct device *device, struct virtio_queue *queue, uint16_t size);
// Nothing of it is mapped any more, whatever it says: the machine was reset, or loaded.
void virtio_queue_lost(struct virtio_queue *queue);
// Enables it with the size and parts that it has. NULL, or the reason why it cannot be.
const char *virtio_queue_enable(struct device *device, struct virtio_queue *queue,
	struct virtio_ring ring);
// *got: whether there was a chain. NULL, or the reason why the queue is broken.
must_check const char *virtio_queue_pop(struct device *device, struct virtio_queue *queue,
	struct virtio_ring ring, struct virtio_chain *chain, bool *got);
// The chain that was popped last is the next one again, and will be read again.
void virtio_queue_unpop(struct virtio_queue *queue, struct virtio_ring ring,
	const struct virtio_chain *chain);
// Gives chains back, 1 at least, which the driver sees at once.
must_check const char *virtio_queue_push_all(struct device *device, struct virtio_queue *queue,
	struct virtio_ring ring, const struct virtio_used *used, unsigned count);
// Asks the driver to notify when it makes the next chain available. Chains that came meanwhile were
// not notified: look again.
must_check const char *virtio_queue_listen(struct device *device, struct virtio_queue *queue,
	struct virtio_ring ring);
// Tells the driver that it need not notify, as far as it can be told.
must_check const char *virtio_queue_hush(struct device *device, struct virtio_queue *queue,
	struct virtio_ring ring);
// Whether the driver wants to know of what was pushed since it was told last; from now on it was.
must_check const char *virtio_queue_take_signal(struct device *device, struct virtio_queue *queue,
	struct virtio_ring ring, bool *wanted);
// Copies between a buffer and pieces one behind the other, `skip` bytes of which are passed over.
// False: not all of it is there, or is memory; a part may have been copied.
must_check bool virtio_gather(struct device *device, const struct device_io_piece *pieces,
	unsigned count, uint64_t skip, void *to, uint64_t bytes);
must_check bool virtio_scatter(struct device *device, const struct device_io_piece *pieces,
	unsigned count, uint64_t skip, const void *from, uint64_t bytes);
// The same from a chain's memory to be read, or to that to be written.
must_check static inline bool virtio_chain_get(struct device *device,
	const struct virtio_chain *chain, uint64_t skip, void *to, uint64_t bytes)
{
	return virtio_gather(device, chain->pieces, chain->readable, skip, to, bytes);
}

must_check static inline bool virtio_chain_put(struct device *device,
	const struct virtio_chain *chain, uint64_t skip, const void *from, uint64_t bytes)
{
	return virtio_scatter(device, &chain->pieces[chain->readable], chain->writable, skip, from,
		bytes);
}

uint64_t virtio_pieces_bytes(const struct device_io_piece *pieces, unsigned count);
// NULL, or what about a queue of a loaded state cannot be. `broken`: a reason was given for it, so
// that it may have stopped in the middle.
const char *virtio_queue_check(const struct virtio_queue *queue, struct virtio_ring ring,
	bool broken);
// Whether an enabled queue may have that size, and parts where they are: NULL, or why not.
const char *virtio_queue_form(const struct virtio_queue *queue, struct virtio_ring ring);
// Chains that its owner says it has, of an enabled queue that has been checked: NULL, or why it
// cannot have them. `others`: some may have been lost.
const char *virtio_queue_check_flights(const struct virtio_queue *queue, struct virtio_ring ring,
	bool broken, const struct virtio_used *flights, unsigned count, bool others);
// Of an enabled queue with its memory: NULL, or what the two of them say that cannot be.
must_check const char *virtio_queue_verify(struct device *device, const struct virtio_queue *queue,
	struct virtio_ring ring);

#endif

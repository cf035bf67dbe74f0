// SPDX-License-Identifier: BSD-2-Clause
// Requests of devices at their back ends: what emul/device.h calls submit and complete.
//
// A back end does its work on a core of its choice and in an order of its own, but for requests
// that overlap on the medium: what comes of these must not depend on time. The machine runs on
// meanwhile. A back end knows nothing of guest memory: data passes through a buffer of the request,
// into guest memory when the completion is delivered. But where no position is kept, one whose
// medium is memory may copy from there to there, at once (struct backend, copy). A completion is an
// event from outside (vm/outside.h), so that it has a position where the machine's is kept; where
// none is, that of a copy is an effect of the stimulus that asked for it, or an event of the queue
// where there would be no end to it.
//
//   FREE --backend_submit--> SENT --backend_done--> SENT and done --backend_take--> TAKEN
//        --backend_deliver--> FREE
//   FREE --backend_submit, of what is copied at once--> TAKEN
//
// Owners: a request that is SENT and not done is the back end's. All else is under the device
// lock, but for what is marked (a). A machine that is held has no requests at its back ends:
// vm_hold waits for them, and so does a reset of the machine; a device that is ejected drops them.
#ifndef VM_BACKEND_H
#define VM_BACKEND_H

#include "emul/device.h"
#include "kernel/event.h"
#include "kernel/message.h"
#include "vm/snapshot_stream.h"

struct guest_ram;
struct vm;
struct vm_device;
struct backend;

enum { BACKEND_RESIZE = DEVICE_IO_KINDS }; // beside enum device_io_kind: `size` is the medium's

// As the back end sees it.
struct backend_request {
	struct backend *backend;    // (c)
	struct cpu_message message; // for the back end's use
	uint64_t due, soonest, order; // the same
	uint64_t offset;            // of the medium
	uint64_t bytes;             // at most DEVICE_IO_BYTES_MAX where there are data
	uint64_t size;              // of BACKEND_RESIZE, whose bytes are all there could be
	uint8_t kind;               // enum device_io_kind, or BACKEND_RESIZE
	uint8_t status;             // enum status: the back end's answer
	bool done;                  // (a) set with release, read with acquire
	bool has_no_room;           // for the back end's use
	uint8_t *data;              // (c) to be written; or what was read
};

enum backend_state { BACKEND_FREE, BACKEND_SENT, BACKEND_TAKEN };

struct backend_slot {
	struct backend_request request;
	uint64_t name; // the device's for it
	uint8_t state; // enum backend_state
	uint8_t piece_count;
	bool dropped; // the device does not want to hear of it
	bool copied;  // what was read is in guest memory already
	uint8_t index; // (c) of backend->slots
	struct device_io_piece pieces[DEVICE_IO_PIECES_MAX];
};

// Of a device's port.
struct backend {
	struct vm_device *device; // (c)
	struct backend *next;     // (c) the device's, of another port; NULL: there is none
	// Has the request done, and says so with backend_done. Must not wait.
	void (*submit)(void *owner, struct backend_request *request);
	// Does a read or a write at once, between its medium and the slot's pieces of guest memory,
	// which are RAM. STATUS_AGAIN: not now. NULL: never.
	enum status (*copy)(void *owner, const struct backend_slot *slot, struct guest_ram *ram);
	void *owner;
	uint8_t *data; // (c) of all requests
	// A bit for each slot that is not free; that is SENT; whose name is not of that slot.
	uint64_t used, sent, displaced;
	struct cpu *plane; // the core that has the device's queues, and this; NULL: none has
	struct backend_request resize; // no device's: nobody hears of it
	const struct backend_slot *completed; // of which the device hears; NULL: of none
	bool resizing; // (a) it is under way
	bool has_fixed_size; // (c) the medium cannot get another size
	uint8_t port;        // (c)
	struct backend_slot slots[DEVICE_IO_MAX];
};

// How many requests are where: of a machine. (a)
struct backend_counts {
	uint32_t sent; // and not done
	uint32_t done; // and not taken
};

// All back ends of a device.
#define FOR_EACH_PORT(of, backend)                                                                 \
	for (struct backend *backend = (of)->backend; backend != NULL; backend = backend->next)

// Of a port, 0 to DEVICE_PORTS_MAX - 1, that has none yet. STATUS_NO_MEMORY.
must_check enum status backend_create(struct vm_device *device, unsigned port,
	void (*submit)(void *owner, struct backend_request *request), void *owner);
void backend_destroy(struct vm_device *device); // all of them
struct backend *backend_find(const struct vm_device *device, unsigned port); // NULL: none

// The back end has answered, on any core. The request is not its any more, and the machine may go.
void backend_done(struct backend_request *request, enum status status);
// The same of one that is done before submit returns.
void backend_done_at_once(struct backend_request *request, enum status status);

static inline bool backend_any_done(const struct backend_counts *counts)
{
	return __atomic_load_n(&counts->done, __ATOMIC_RELAXED) != 0;
}

static inline bool backend_all_done(const struct backend_counts *counts)
{
	return __atomic_load_n(&counts->sent, __ATOMIC_ACQUIRE) == 0;
}

// The rest is under the device lock.

must_check enum status backend_submit(struct vm_device *device, unsigned port,
	const struct device_io *io);
// Of port 0. The medium has another size for all requests that come from here on, and for none that
// came before. One at a time: another one is lost.
void backend_resize(struct vm_device *device, uint64_t bytes);
static inline bool backend_is_resizing(const struct backend *backend)
{
	return __atomic_load_n(&backend->resizing, __ATOMIC_ACQUIRE);
}
// What was read for the request that is being completed.
void backend_take_data(struct vm_device *device, unsigned port, void *to, size_t bytes);
void backend_drop(struct vm_device *device, unsigned port, uint64_t name);
// The completion of a request that is done, as an event; false: there is none. It may be asked for
// again until it is taken, and comes with the same answer.
must_check bool backend_completion(const struct vm *vm, struct event *event);
// The event goes to the event queue: of a request for which backend_problem says nothing.
void backend_take(struct vm *vm, const struct event *event);
// NULL, or why this completion cannot be taken: of a log, which may say anything.
const char *backend_problem(const struct vm *vm, const struct event *event);
// Whether it is of a request that is not done yet.
bool backend_is_awaited(const struct vm *vm, const struct event *event);
// What was read goes to guest memory, and the device hears of it.
void backend_deliver(struct vm_device *device, const struct event *event, struct guest_time now);
// Of a slot that is TAKEN, where it has that name: else it has been dropped with its device.
void backend_complete(struct backend_slot *slot, uint64_t name, struct guest_time now);
// Of port 0 of a device whose queues are away, by the core that has them: what is done is
// delivered. Whether anything was. What the device asks for then may be done when this returns, and
// not delivered.
bool backend_serve(struct vm_device *device, struct guest_time now);
// All are free again.
void backend_reset(struct vm_device *device);
// The device has lost its power, and its events are gone: nobody hears of any request of it. Those
// that the back end has yet to do, or to tell of, are dropped.
void backend_drop_all(struct vm_device *device);

// Of a machine that rests: snapshot_backend.c. A loaded one has the same requests, as done as they
// were.
void backend_write(const struct vm_device *device, struct snapshot_stream *stream);
must_check enum status backend_read(struct vm_device *device, struct snapshot_stream *stream);
// A request of a state that is being loaded. False: it cannot be.
must_check bool backend_restore(struct backend *backend, unsigned index, const struct device_io *io,
	enum backend_state state);
// Then the event queue is loaded. Whether this completion is of a request that has been taken, and
// whose completion has not been met before; and whether all have been met.
must_check bool backend_meet(struct vm_device *device, const struct event *event);
must_check bool backend_all_met(const struct vm_device *device);

#endif

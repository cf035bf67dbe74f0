// SPDX-License-Identifier: BSD-2-Clause
// A back end: a disk of the machine, served by fibers of a core of its own choice: by several where
// its medium is one that is waited for. For tests, with a seed, requests take random times and so
// end in another order.
//
// Requests that are one of too many (vm/throttle.h) begin later; those that are answered without
// anything being moved are none.
//
//   waiting --due, and nothing that came before overlaps with it--> a fiber's --> done
//
// The medium is the machine's (vm->media): saved, loaded and exchanged with it.
#ifndef VM_DISK_BACKEND_H
#define VM_DISK_BACKEND_H

#include "vm/backend.h"

enum {
	DISK_BACKEND_DELAY_MAX_NS = 2000000, // of a request, with a seed
	DISK_BACKEND_FIBERS = 4,             // of one whose medium is waited for
};

struct disk_backend;

// The machine's disk `index`, served by a core, below cpu_count(). STATUS_NO_MEMORY. In a fiber, or
// before the event loop.
must_check enum status disk_backend_create(struct vm *vm, uint32_t index, uint32_t core,
	struct disk_backend **created);
// It has no requests. NULL is allowed.
void disk_backend_destroy(struct disk_backend *disk);

// The disk's overlay, a part after another.
struct disk_backend_commit {
	uint64_t from;      // the first part that is wanted, at `from` or behind it
	uint64_t next;      // of the answer: from where on to go on; UINT64_MAX: all is done
	enum status status; // of the answer, as medium_commit's
	bool done;          // (a) there is an answer: set with release
};
// The guest goes on meanwhile, but for what it wants of that part. By the machine's home, which
// does not hold or reset it; it waits with either until there is an answer. *commit is kept until
// then, one at a time.
void disk_backend_commit(struct disk_backend *disk, struct disk_backend_commit *commit);

// Whoever waits until all is done waits no longer for requests that are one of too many; these have
// been counted. Any core.
void disk_backend_hurry(struct disk_backend *disk);

// For struct backend.
void disk_backend_submit(void *owner, struct backend_request *request);
enum status disk_backend_copy(void *owner, const struct backend_slot *slot,
	struct guest_ram *ram);

#endif

// SPDX-License-Identifier: BSD-2-Clause
// What a back end does to a medium, whatever that is made of.
//
// In a fiber where the medium is a region: it waits for the host's disk.
#ifndef VM_MEDIUM_REQUEST_H
#define VM_MEDIUM_REQUEST_H

#include "vm/backend.h"
#include "vm/medium.h"

enum { MEDIUM_PAUSE_BYTES = 256 << 10 }; // in memory, without a pause

// Reads, writes, fills with zeros or lets go, within the medium. Long work calls `pause` now and
// then; NULL: nobody need go on meanwhile. STATUS_IO: the host's disk has failed, and what was
// written is there in part. STATUS_REFUSED: the region cannot be written.
must_check enum status medium_request(struct medium *medium, const struct backend_request *request,
	void (*pause)(void));
// What has been written is durable, where it outlives the machine. STATUS_IO.
must_check enum status medium_flush(struct medium *medium);

// Before requests that change something are done, in the order in which they were asked for:
// STATUS_NO_MEMORY: there is no room for it in the overlay, and it fails.
must_check enum status medium_reserve(struct medium *medium, const struct backend_request *request);
// The next part, from `offset` on, of which something is in the overlay, and its size, no more than
// OVERLAY_PART_BYTES; false: there is none.
bool medium_commit_next(const struct medium *medium, uint64_t *offset, uint64_t *bytes);
// Writes that to what is below, durably, and only then forgets it. Nobody else is there meanwhile.
// STATUS_NO_MEMORY, or as medium_request: all of it is in the overlay still.
must_check enum status medium_commit(struct medium *medium, uint64_t offset, uint64_t bytes,
	void (*pause)(void));

// The bytes that are written together, at multiples of it: no two may write there at once.
uint64_t medium_unit(const struct medium *medium);

#endif

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
// What has been written is durable, where the medium outlives the machine. STATUS_IO.
must_check enum status medium_flush(struct medium *medium);

// The bytes that are written together, at multiples of it: no two may write there at once.
uint64_t medium_unit(const struct medium *medium);

#endif

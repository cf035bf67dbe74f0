// SPDX-License-Identifier: BSD-2-Clause
// What has been written to a medium since it was opened, in memory: the medium itself stays as it
// was.
//
// By sectors of 512 bytes, so that a write need not know what is beside it; kept in clusters of 4
// KiB, which like the tables that lead to them are places in blocks of 2 MiB. Places are what the
// limit counts. What is filled with zeros takes none, but for tables.
//
// Who writes takes the places first, in the order in which writes are asked for; so which of two
// finds the last one does not depend on what else takes its time.
#ifndef VM_OVERLAY_H
#define VM_OVERLAY_H

#include "kernel/base/status.h"
#include "kernel/base/types.h"

enum {
	OVERLAY_SECTOR_BYTES = 512,
	OVERLAY_CLUSTER_BYTES = 4096,
	OVERLAY_PART_BYTES = 2 << 20, // of the medium, with a table of its own
};

struct overlay;

enum overlay_source { OVERLAY_BASE, OVERLAY_ZEROS, OVERLAY_DATA };

// A cluster of which sectors are in the overlay; or, with `part`, all clusters of a part, as zeros.
struct overlay_cluster {
	uint64_t offset; // of the medium
	const uint8_t *data; // zeros where nothing is valid; NULL: zeros
	uint8_t valid;   // a bit for each sector
	bool part;
	uint8_t reserved[6];
};

// Of a medium of so many bytes. STATUS_NO_MEMORY.
must_check enum status overlay_create(uint64_t medium_bytes, uint64_t limit_bytes,
	struct overlay **overlay);
void overlay_destroy(struct overlay *overlay); // NULL is allowed

// What follows is of whole sectors on the medium: STATUS_INVALID if not. STATUS_NO_MEMORY: the
// limit is reached, or the host has no more; nothing has been written.

// The places that a write, or zeros, will need.
must_check enum status overlay_reserve(struct overlay *overlay, uint64_t offset, uint64_t bytes,
	bool zeros);
must_check enum status overlay_write(struct overlay *overlay, uint64_t offset, const void *from,
	uint64_t bytes);
// No more than the rest of a part.
must_check enum status overlay_zero(struct overlay *overlay, uint64_t offset, uint64_t bytes);

// Where the bytes from `offset` on are, for *bytes of them, which becomes how many of these are
// there. *at: of OVERLAY_DATA; good until something is written.
enum overlay_source overlay_find(const struct overlay *overlay, uint64_t offset, uint64_t *bytes,
	const uint8_t **at);
// The first cluster at `offset` or behind that has anything; false: there is none.
bool overlay_next(const struct overlay *overlay, uint64_t offset, struct overlay_cluster *cluster);
// All of the part at `offset` is the medium's again, but for places that are taken and not written.
void overlay_drop(struct overlay *overlay, uint64_t offset);

// What is taken of the limit.
uint64_t overlay_used_bytes(const struct overlay *overlay);
uint64_t overlay_limit_bytes(const struct overlay *overlay);
// What it takes of the host's memory.
uint64_t overlay_memory_bytes(const struct overlay *overlay);

#endif

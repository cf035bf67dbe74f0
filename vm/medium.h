// SPDX-License-Identifier: BSD-2-Clause
// What a disk holds. In RAM: part of the machine's state, saved, loaded and exchanged with it. Or a
// region of a host's disk, which is not.
#ifndef VM_MEDIUM_H
#define VM_MEDIUM_H

#include "kernel/base/status.h"
#include "kernel/base/types.h"

struct overlay;
struct region;

struct medium {
	uint8_t **blocks; // of LARGE_PAGE_BYTES; NULL: it is not in RAM, or there is none
	uint64_t bytes;
	struct region *region; // NULL: it is not in one
	struct overlay *overlay; // what has been written since, all the machine's; NULL: none
};

// `image_bytes` at its start are those of `image`, the rest zeros. STATUS_NO_MEMORY: nothing is
// left of it.
must_check enum status medium_create(struct medium *medium, uint64_t bytes, const uint8_t *image,
	uint64_t image_bytes);
// One in a region, which stays the caller's.
void medium_create_region(struct medium *medium, struct region *region);
// What it takes of the host's memory.
uint64_t medium_memory_bytes(const struct medium *medium);

// From here on what is written goes there, up to so much. STATUS_NO_MEMORY.
must_check enum status medium_create_overlay(struct medium *medium, uint64_t limit_bytes);

// What follows is of a medium in RAM, what is in its overlay apart. medium_request.h has the rest.

// What is new reads as zeros. Calls `pause` now and then, if it is not NULL, and the medium is as
// it was until it returns. STATUS_NO_MEMORY: it stays so.
must_check enum status medium_resize(struct medium *medium, uint64_t bytes, void (*pause)(void));
void medium_destroy(struct medium *medium); // nothing is allowed

static inline bool medium_has(const struct medium *medium, uint64_t offset, uint64_t bytes)
{
	return offset <= medium->bytes && bytes <= medium->bytes - offset;
}

// Where `offset`, which is on it, is in memory. *bytes, which there are from there on, becomes what
// lies in one piece.
uint8_t *medium_part(const struct medium *medium, uint64_t offset, uint64_t *bytes);
// medium_has, each.
void medium_read(const struct medium *medium, uint64_t offset, void *to, uint64_t bytes);
void medium_write(struct medium *medium, uint64_t offset, const void *from, uint64_t bytes);
void medium_zero(struct medium *medium, uint64_t offset, uint64_t bytes);

#endif

// SPDX-License-Identifier: BSD-2-Clause
// A region: bytes of a host disk that belong together and to somebody, in one or several pieces.
// Who has one cannot reach anything else of the disk.
//
// Everything here waits for the disk: see drivers/disk.h for who may call it.
#ifndef DRIVERS_REGION_H
#define DRIVERS_REGION_H

#include "drivers/disk.h"

enum { REGION_ERROR_MAX = 160, REGION_NAME_MAX = 40, REGION_OWNER_MAX = 48 };

// What a region is had for: see region_claim.
enum region_use { REGION_UNUSED, REGION_READ, REGION_WRITE };

// Bytes of the disk, multiples of its sectors.
struct region_extent {
	uint64_t start, bytes;
};

// (c), but for `use`, `owner` and `next`: region_claim.
struct region {
	struct disk *disk;
	uint64_t bytes; // of all extents, a multiple of disk->sector_bytes
	bool read_only;
	uint8_t use; // enum region_use
	uint32_t extent_count;
	char owner[REGION_OWNER_MAX];
	struct region *next; // of those that are used
	struct region_extent extents[];
};

// The region that `name` means:
//
//	disk:NAME       a whole disk: its name, or its number from 0 on, as `info block` lists them
//	partition:NAME  a partition of a GPT on any disk, by its GUID or its label
//	file:PATH       a file of the volume that Reprise was booted from (FAT), as long as it is
//
// What could mean two things, or overlap with something else, is refused. *region is the caller's,
// to be freed with region_close. On failure `error` says what is wrong, in one line:
// STATUS_INVALID: no such word. STATUS_NOT_FOUND, STATUS_EXISTS (more than one),
// STATUS_BAD_FORMAT (a table or file system contradicts itself), STATUS_IO, STATUS_NO_MEMORY.
must_check enum status region_open(const char *name, struct region **region,
	char error[REGION_ERROR_MAX]);
void region_close(struct region *region); // nobody has it any more

// Has it for `use`, or from now on for another one; REGION_UNUSED gives it back. What one writes no
// other has, not even a byte of it. STATUS_BUSY: `error` names the other, and all is as it was.
// `owner`: for that, as in "disk root".
must_check enum status region_claim(struct region *region, const char *owner, enum region_use use,
	char error[REGION_ERROR_MAX]);

// The same of extents that the caller has found. STATUS_INVALID: none, or no multiples of a sector.
// STATUS_RANGE: they are not all on the disk.
must_check enum status region_create(struct disk *disk, const struct region_extent *extents,
	uint32_t count, struct region **region);

// `bytes` from `offset` on. STATUS_RANGE: they are not all in the region. Failures of the disk.
must_check enum status region_read(struct region *region, uint64_t offset, void *buffer,
	uint64_t bytes);
// The same, of whole sectors: STATUS_INVALID if not. STATUS_REFUSED: the region is read-only.
must_check enum status region_write(struct region *region, uint64_t offset, const void *buffer,
	uint64_t bytes);
must_check enum status region_flush(struct region *region);

// Where the volume is that file: means. *info is kept.
void region_init(const struct boot_info *info);

// Each partition of a disk, for a list; *partition is gone after the call. STATUS_NOT_FOUND: there
// is no table. The rest as region_open.
struct gpt_partition;
must_check enum status region_visit_partitions(struct disk *disk,
	void (*visit)(void *context, const struct gpt_partition *partition), void *context);

#endif

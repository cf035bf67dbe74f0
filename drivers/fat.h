// SPDX-License-Identifier: BSD-2-Clause
// Where a file of a FAT file system (12, 16 or 32 bits) lies on its volume: Microsoft's FAT
// specification 1.03, "long names" included. Nothing is written. A pure function of what the reader
// gives, which may be anything.
#ifndef DRIVERS_FAT_H
#define DRIVERS_FAT_H

#include "kernel/base/status.h"
#include "kernel/base/types.h"

enum {
	FAT_EXTENTS_MAX = 256, // pieces of a file
	FAT_BOOT_SECTOR_BYTES = 512, // as far as it is looked at
};

// `read` gives bytes of the volume: any, at most 512 at once, within `bytes`.
struct fat_reader {
	enum status (*read)(void *context, uint64_t offset, void *buffer, uint32_t bytes);
	void *context;
	uint64_t bytes; // of the volume
};

struct fat_extent {
	uint64_t start; // bytes from the volume's start
	uint64_t bytes;
};

struct fat_file {
	uint64_t bytes;  // the extents together have as many, and what fills the last 512 bytes
	bool read_only;
	uint32_t extent_count;
	struct fat_extent extents[FAT_EXTENTS_MAX];
};

// The file of this path from the root on, with '/' or '\' between names; letters of either case
// are equal. Returns what is wrong, for a message after the path, or NULL.
must_check const char *fat_file_find(const struct fat_reader *reader, const char *path,
	struct fat_file *file);

#endif

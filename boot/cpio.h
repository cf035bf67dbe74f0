// SPDX-License-Identifier: BSD-2-Clause
// Reads a cpio archive of the "newc" format: the module that stands for the ESP under PVH.
#ifndef BOOT_CPIO_H
#define BOOT_CPIO_H

#include "kernel/base/status.h"
#include "kernel/boot_info.h"

struct cpio_reader {
	const uint8_t *archive;
	size_t bytes;
	size_t offset; // of the next header
};

struct cpio_entry {
	const char *name; // within the archive, as it stands there, zero-terminated
	size_t name_bytes; // without the zero
	const uint8_t *data;
	size_t bytes;
	uint32_t mode; // of POSIX: type and permissions
};

// The next entry of any type. On failure reader->offset still is that of the bad header.
// STATUS_NOT_FOUND: the trailer. STATUS_BAD_FORMAT: no newc header, or a name without its end.
// STATUS_TRUNCATED: a header, name or content reaches beyond the end, or the trailer is missing.
must_check enum status cpio_next(struct cpio_reader *reader, struct cpio_entry *entry);

// Appends all regular files to `files` with normalised names; a name that comes again replaces the
// earlier one. Other types are passed over. What has been appended before a failure stays.
// Failures of cpio_next and path_normalize, and STATUS_RANGE: more than `capacity` files.
// *offset receives the place in the archive of the entry at fault.
must_check enum status cpio_read_files(const void *archive, size_t bytes, struct boot_file *files,
	uint32_t capacity, uint32_t *count, size_t *offset);

#endif

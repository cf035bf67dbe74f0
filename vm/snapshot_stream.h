// SPDX-License-Identifier: BSD-2-Clause
// The form of a snapshot: a stream of sections, in host memory taken from kernel/mem.h in blocks of
// 2 MiB.
//
//   stream   = magic (8 bytes), version (4), CRC of these 12 bytes (4), sections
//   section  = name (16, padded with zeros), instance (4), version (4), length (8),
//              payload (length), zeros up to a multiple of 8, CRC of all that (4), zeros (4)
//   The last section is "end", without payload. All numbers are little-endian.
//
// Every byte is under a CRC, and each CRC-32C finds any change within 32 neighbouring bits:
// snapshot_stream_verify is called before anything of a stream is believed. What it lets through
// may still be wrong, written by another program for instance.
#ifndef VM_SNAPSHOT_STREAM_H
#define VM_SNAPSHOT_STREAM_H

#include "kernel/base/state.h"
#include "kernel/base/status.h"

enum {
	SNAPSHOT_VERSION = 1,
	SNAPSHOT_NAME_MAX = 16, // of a section, with the terminating zero
	SNAPSHOT_TABLE_MAX = 12288, // saved bytes of a state table, at most; some are on the stack
	SNAPSHOT_ERROR_MAX = 200,
};

struct snapshot_block;

struct snapshot_section {
	char name[SNAPSHOT_NAME_MAX];
	uint32_t instance;
	uint32_t version; // of the state table, or of the section's own form
	uint64_t length;
};

struct snapshot_stream {
	struct snapshot_block *first, *last;
	uint64_t bytes;
	// Writing.
	uint32_t crc;
	bool no_memory; // what was put since is lost
	// Reading.
	const struct snapshot_block *at;
	uint64_t position;
	struct snapshot_section section; // the one being read
	uint64_t left;                   // of its payload
	// Why the last read failed; empty: nothing failed.
	char error[SNAPSHOT_ERROR_MAX];
};

// An empty stream: nothing is allocated.
void snapshot_stream_init(struct snapshot_stream *stream);
void snapshot_stream_free(struct snapshot_stream *stream);

bool snapshot_stream_equals(const struct snapshot_stream *a, const struct snapshot_stream *b);

// Raw bytes, for who has a snapshot from elsewhere. STATUS_NO_MEMORY.
must_check enum status snapshot_stream_append(struct snapshot_stream *stream, const void *bytes,
	size_t count);

// The next bytes of a whole stream, for who keeps it elsewhere; *at is NULL before the first and
// after the last, and 0 is returned then.
size_t snapshot_stream_piece(const struct snapshot_stream *stream, const struct snapshot_block **at,
	const uint8_t **bytes);

// Writing. Lack of memory is remembered, and told by snapshot_write_end.
void snapshot_write_begin(struct snapshot_stream *stream);
// Between these two exactly `length` bytes are put.
void snapshot_section_begin(struct snapshot_stream *stream, const char *name, uint32_t instance,
	uint32_t version, uint64_t length);
void snapshot_put(struct snapshot_stream *stream, const void *bytes, size_t count);
void snapshot_section_end(struct snapshot_stream *stream);
// A whole section: `object` by its table.
void snapshot_write_table(struct snapshot_stream *stream, const char *name, uint32_t instance,
	const struct state_table *table, const void *object);
must_check enum status snapshot_write_end(struct snapshot_stream *stream);

// Reading: `stream->error` tells of every failure.
// The form and all CRCs. STATUS_BAD_FORMAT, STATUS_TRUNCATED, STATUS_UNSUPPORTED (its version).
must_check enum status snapshot_stream_verify(struct snapshot_stream *stream);
// To the first section, after verify.
void snapshot_rewind(struct snapshot_stream *stream);
// The next section, into stream->section. What was left of the one before is passed over.
void snapshot_section_next(struct snapshot_stream *stream);
bool snapshot_section_is(const struct snapshot_stream *stream, const char *name, uint32_t instance);
// STATUS_BAD_FORMAT: the next section is another one.
must_check enum status snapshot_section_expect(struct snapshot_stream *stream, const char *name,
	uint32_t instance);
// STATUS_TRUNCATED: the section has less.
must_check enum status snapshot_get(struct snapshot_stream *stream, void *bytes, size_t count);
// The next section, which must be this one, into `object`: see state_load.
must_check enum status snapshot_read_table(struct snapshot_stream *stream, const char *name,
	uint32_t instance, const struct state_table *table, void *object);

// Writes stream->error: `name` and `instance`, field, value, what is allowed. Returns
// STATUS_INVALID.
enum status snapshot_refuse(struct snapshot_stream *stream, const char *name, uint32_t instance,
	const struct state_error *error);
// The same in other words. Returns `status`.
enum status snapshot_fail(struct snapshot_stream *stream, enum status status, const char *format,
	...) __attribute__((format(printf, 3, 4)));

#endif

// SPDX-License-Identifier: BSD-2-Clause
// Reads a log, whoever has written it: nothing in it is believed. The replayer takes records where
// the guest runs; a fiber pumps the chunks in from the store, one ahead, and may wait for it.
//
// A log that was cut, torn or changed reads up to its last good chunk. `end` then tells where the
// next one should be, and what is wrong with it.
//
// All functions are called on one CPU. Those in a fiber do not overlap, but for records that are
// taken while a pump waits for the store.
#ifndef REPLAY_LOG_READER_H
#define REPLAY_LOG_READER_H

#include "replay/log_abi.h"
#include "replay/log_header.h"
#include "replay/log_index.h"
#include "replay/log_record.h"
#include "replay/log_store.h"

enum log_end_kind {
	LOG_END_NONE,  // not reached yet
	LOG_END_CLEAN, // the index: the recording was closed
	LOG_END_TORN,  // something else stands there, or nothing
};

struct log_end {
	enum log_end_kind kind;
	uint64_t offset;    // in the store
	const char *reason; // why it is torn, or why the log could not be opened
};

struct log_reader_chunk {
	bool loaded;
	uint64_t offset; // in the store
	struct log_chunk_header header;
	uint8_t *bytes; // LOG_CHUNK_MAX of them
};

// 160 KB on pages of the caller's. Others read: header, stop, has_stop, failure, the counts; and
// `end` when log_reader_next has found it.
struct log_reader {
	struct log_store *store;
	struct log_wake wake;
	struct log_header header;
	struct log_end end;
	struct log_stop stop; // how the recording ended, where has_stop
	bool has_stop;
	bool pumping;
	bool stopped;          // a record could not be read: whatever is loaded is not looked at
	bool records_seen;     // so no snapshot comes any more
	bool index_is_whole;   // it is the log's own, not what was seen so far
	enum status failure;   // of the store; STATUS_OK: none
	uint64_t skipped_chunks, skipped_records; // of types and kinds of later versions
	// Where the next chunk is loaded from.
	uint64_t next_offset;
	uint32_t next_sequence;
	uint64_t next_ticks; // it does not start before
	uint64_t first_offset; // of the chunk behind the header
	// What is being taken.
	uint64_t from_ticks; // records before are passed over
	uint64_t last_ticks, last_time; // of the last record
	struct log_reader_chunk *current, *ahead;
	struct log_in in;
	uint32_t taken; // records of `current`
	struct log_codec codec;
	struct log_index index;
	struct log_reader_chunk slots[2];
	uint8_t chunks[2][LOG_CHUNK_MAX] __attribute__((aligned(4096))); // for the host's disks
};

// In a fiber: reads the header and, where the log was closed, the index. `wake` may be NULL.
// STATUS_BAD_FORMAT: not a log, or not an intact one; STATUS_UNSUPPORTED: it needs a later version;
// with reader->end telling why. Or the store's failure.
must_check enum status log_reader_open(struct log_reader *reader, struct log_store *store,
	const struct log_wake *wake);

// In a fiber, before the first pump: the next piece of the snapshot that the log starts with;
// valid until the next call. STATUS_NOT_FOUND: that was all. STATUS_TRUNCATED: the log ends in the
// middle of it. Or the store's failure.
must_check enum status log_reader_snapshot(struct log_reader *reader, const uint8_t **bytes,
	size_t *count);

// The next record of a known kind; its payload is valid until the next call. STATUS_AGAIN: it has
// not been loaded yet: when the pump has run. STATUS_NOT_FOUND: there are no more; see
// reader->end. Anything else: the store has failed so.
must_check enum status log_reader_next(struct log_reader *reader, struct log_record *record);

// In a fiber: reads one chunk ahead, where there is room for it. STATUS_AGAIN: there is more to do.
// STATUS_OK: there is not. STATUS_BUSY: another pump is at it. Anything else: the store failed so.
must_check enum status log_reader_pump(struct log_reader *reader);

// In a fiber: the next record is the first one at `ticks` or behind. Finds its chunk by the index,
// or by the headers of those before it, whose content is not looked at. STATUS_BUSY: a pump is at
// it. Or the store's failure.
must_check enum status log_reader_seek(struct log_reader *reader, uint64_t ticks);

#endif

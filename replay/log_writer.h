// SPDX-License-Identifier: BSD-2-Clause
// Writes a log. The recorder appends where the guest runs: nothing waits or allocates there. A
// fiber pumps finished chunks into the store, and may wait for it.
//
//                  log_writer_close           log_writer_pump
//   OPEN ----------------------------> CLOSING --------------> CLOSED
//     |                                   |
//     +------- log_writer_pump -----------+------------------> FAILED     the store failed
//
// All functions are called on one CPU; pumps of one writer do not overlap.
//
// Invariants, which assertions cite:
//  W1. A chunk is open, in a buffer that is not sealed, or both buffers are sealed.
//  W2. Sealed chunks lie one behind the other in the store, up to next_offset.
//  W3. The record of the end fits into the open chunk, and the store has room for the open chunk,
//      a chunk with that record, and the index.
#ifndef REPLAY_LOG_WRITER_H
#define REPLAY_LOG_WRITER_H

#include "replay/log_abi.h"
#include "replay/log_header.h"
#include "replay/log_index.h"
#include "replay/log_record.h"
#include "replay/log_store.h"

enum log_writer_state {
	LOG_WRITER_OPEN,
	LOG_WRITER_CLOSING,
	LOG_WRITER_CLOSED,
	LOG_WRITER_FAILED,
};

struct log_writer_buffer {
	uint64_t offset; // in the store
	size_t stored;   // bytes to write; 0: not sealed
	uint8_t *chunk;  // LOG_CHUNK_MAX bytes
};

// 150 KB on pages of the caller's. Others read: state, failure, next_offset (bytes that the log
// takes), next_sequence (its chunks), records, last.
struct log_writer {
	enum log_writer_state state;
	enum status failure; // where it failed
	struct log_store *store;
	struct log_wake wake;
	uint64_t log_id;
	uint64_t store_bytes;   // those that can be used
	uint64_t pointer_offset;
	uint64_t next_offset;   // of the open chunk
	uint32_t next_sequence; // of the open chunk
	uint32_t alignment;
	bool pumping, flush_wanted, stop_appended;
	// The open chunk.
	struct log_writer_buffer *open; // NULL: both buffers are sealed
	uint16_t type;       // enum log_chunk_type, once there is something in it
	size_t fill;         // bytes, with the header
	uint32_t open_records;
	uint64_t first_ticks;
	struct log_codec codec;
	uint64_t records;      // in the log
	struct position last;  // of the last record, or the start
	uint64_t last_time;    // of the last record that had one
	struct log_stop stop;  // once closing
	struct log_index index;
	struct log_writer_buffer buffers[2];
	uint8_t chunks[2][LOG_CHUNK_MAX] __attribute__((aligned(4096))); // for the host's disks
};

// Begins a log at the store's start. Nothing is written yet: that is the pump's. `wake` may be
// NULL. STATUS_INVALID: header->problem. STATUS_RANGE: the header is too long, or the store too
// small for a log. STATUS_REFUSED: the store cannot be written.
must_check enum status log_writer_create(struct log_writer *writer, struct log_store *store,
	const struct log_header *header, const struct log_wake *wake);

// The next bytes of the machine's state, at most LOG_PAYLOAD_MAX, where the header says that the
// log starts with a snapshot. Before any record. As log_writer_append.
must_check enum status log_writer_snapshot(struct log_writer *writer, const void *bytes,
	size_t count);

// Takes a copy of the record, or nothing:
// STATUS_BUSY: both chunks are on their way; again when the pump has run.
// STATUS_RANGE: the store is full; the log is to be closed.
// STATUS_INVALID: log_record_problem, or it is before the last one.
// STATUS_REFUSED: closed. Anything else: the store has failed so.
must_check enum status log_writer_append(struct log_writer *writer,
	const struct log_record *record);

// What was appended so far is to be in the store, for good, soon.
void log_writer_flush(struct log_writer *writer);

// No more records: the pump writes what is left, a record LOG_STOP, the index. The position is not
// before the last record's. Control characters of the text become question marks.
void log_writer_close(struct log_writer *writer, const struct log_stop *stop);

// In a fiber: writes one chunk, or part of the end. STATUS_AGAIN: there is more to do. STATUS_OK:
// there is not. STATUS_BUSY: another pump is at it. Anything else: the store failed so, now or
// before; what is in the log stays valid.
must_check enum status log_writer_pump(struct log_writer *writer);

static inline bool log_writer_is_done(const struct log_writer *writer)
{
	return writer->state >= LOG_WRITER_CLOSED;
}

#endif

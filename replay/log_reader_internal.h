// SPDX-License-Identifier: BSD-2-Clause
// Between the parts of the reader: log_load.c gets chunks from the store, log_reader.c takes
// records out of them, log_seek.c opens and seeks.
#ifndef REPLAY_LOG_READER_INTERNAL_H
#define REPLAY_LOG_READER_INTERNAL_H

#include "replay/log_reader.h"

// A chunk's header alone. STATUS_NOT_FOUND: the store ends before it.
must_check enum status log_load_header(struct log_reader *reader, uint64_t offset,
	struct log_chunk_header *header);
// The whole chunk, intact. STATUS_NOT_FOUND: there is none, as *problem says.
must_check enum status log_load_chunk(struct log_reader *reader, struct log_reader_chunk *chunk,
	uint64_t offset, uint32_t sequence, const char **problem);
// The next chunk of the log, of records or of the snapshot. STATUS_AGAIN: it is of another type.
// STATUS_NOT_FOUND: the log ends, as reader->end says.
must_check enum status log_load_next(struct log_reader *reader, struct log_reader_chunk *chunk);

// The payload of a chunk that was loaded.
struct log_in log_load_payload(const struct log_reader_chunk *chunk);
// From a chunk that was loaded, into reader->index and reader->stop. False: it is malformed.
bool log_load_index(struct log_reader *reader, const struct log_reader_chunk *chunk);
// Whether a chunk of records is where the index has one.
must_check enum status log_load_index_check(struct log_reader *reader,
	const struct log_index_entry *entry, bool *right);
// Remembers where a chunk of records is.
void log_load_learn(struct log_reader *reader, uint64_t offset,
	const struct log_chunk_header *header);
// Where the log ends; the first record that cannot be read is the last word.
void log_load_end(struct log_reader *reader, enum log_end_kind kind, uint64_t offset,
	const char *reason);

// Nothing is loaded, and the next chunk is this one.
void log_reader_begin(struct log_reader *reader, const struct log_index_entry *place);

#endif

// SPDX-License-Identifier: BSD-2-Clause
// Reads a whole log, for whoever wants to know whether it is all there.
#ifndef REPLAY_LOG_CHECK_H
#define REPLAY_LOG_CHECK_H

#include "replay/log_reader.h"

struct log_check {
	uint64_t records;        // of all kinds
	uint64_t snapshot_bytes; // without the chunks' headers
	uint64_t good_bytes;     // up to the end of the last good chunk
	// NULL: the log was closed, and all of it is intact. Or what is wrong at `offset`.
	const char *problem;
	uint64_t offset;
};

// In a fiber, and it takes as long as it takes: the whole log is read. Any log_reader_* of this
// reader but the opening comes after. STATUS_OK: *check says how it is. Else as log_reader_open.
must_check enum status log_check(struct log_reader *reader, struct log_store *store,
	struct log_check *check);

#endif

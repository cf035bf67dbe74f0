// SPDX-License-Identifier: BSD-2-Clause
// Where the chunks of records are in a log: as many as fit, at equal distances. When the list is
// full every second one goes. The writer keeps one for the log's end, the reader for seeking.
#ifndef REPLAY_LOG_INDEX_H
#define REPLAY_LOG_INDEX_H

#include "kernel/position.h"
#include "replay/log_bytes.h"

enum { LOG_INDEX_MAX = 512, LOG_STOP_TEXT_MAX = 120 };

struct log_index_entry {
	uint64_t offset, first_ticks;
	uint32_t sequence; // of the chunk
};

struct log_index {
	uint64_t chunks; // of records that were added
	uint32_t count, stride; // entries; each stands for as many chunks
	uint32_t last_sequence; // of the last chunk that was added, where there is one
	struct log_index_entry entries[LOG_INDEX_MAX];
};

// Why a recording ended. Later versions may have more.
enum log_stop_reason {
	LOG_STOP_REQUESTED, // by a person or a program
	LOG_STOP_MACHINE,   // the machine's own end
	LOG_STOP_FULL,      // the store has no more room
	LOG_STOP_FAILED,    // see the text
	LOG_STOP_CONTINUED, // in a log with the same id, whose header has the next part
};

// The end of a recording, in its last record and beside the index.
struct log_stop {
	uint64_t reason; // enum log_stop_reason
	bool halted;
	uint8_t vcpu; // whose position it is
	struct position position;
	uint64_t time;    // machine ticks, where halted; else 0
	uint64_t records; // in the log; counted by the writer
	char text[LOG_STOP_TEXT_MAX]; // for people; may be empty
};

void log_index_init(struct log_index *index);
// The next chunk: behind all that were added. One that is not behind them is passed over.
void log_index_add(struct log_index *index, const struct log_index_entry *entry);
// The last entry that starts before `ticks`: a record with these ticks can be in its chunk or one
// behind it, and in none before. NULL: there is none.
const struct log_index_entry *log_index_find(const struct log_index *index, uint64_t ticks);

// The payload of the last chunk. stop->position.ticks is in the chunk's header.
void log_index_encode(struct log_out *out, const struct log_index *index,
	const struct log_stop *stop, uint32_t alignment);
// `end`: offset of the chunk that is read; entries lie in order before it. *stop keeps its
// position.ticks. False: in->error says what is wrong.
bool log_index_decode(struct log_in *in, struct log_index *index, struct log_stop *stop,
	uint32_t alignment, uint64_t end);
// The most that encoding takes, when `more` chunks have been added.
uint64_t log_index_bytes_max(const struct log_index *index, uint32_t more);

#endif

// SPDX-License-Identifier: BSD-2-Clause
// What a log says of itself and of the machine that it was made with: its first chunk.
//
// For the recorder: log_header_init, the plain members, log_header_add_*, log_writer_create. What
// does not fit is remembered in `problem`. For the replayer: a header of the machine here, made in
// the same way, and log_header_difference.
#ifndef REPLAY_LOG_HEADER_H
#define REPLAY_LOG_HEADER_H

#include "kernel/position.h"
#include "replay/log_bytes.h"

enum {
	LOG_NAME_MAX = 32, // of a setting, a file or a source, with the terminating zero
	LOG_SETTINGS_MAX = 32,
	LOG_HASHES_MAX = 16,
	LOG_LEAVES_MAX = 128,
	LOG_TEXTS_MAX = 4096, // all texts of settings, each with its zero
	LOG_DIFFERENCE_MAX = 176,
};

enum log_start {
	LOG_START_POWER_ON,
	LOG_START_SNAPSHOT, // the chunks behind the header hold it
	LOG_STARTS
};

struct log_setting {
	char name[LOG_NAME_MAX];
	bool is_text;
	uint16_t text;   // offset in `texts`
	uint64_t number;
};

struct log_hash {
	char name[LOG_NAME_MAX]; // of a file or a disk
	uint64_t value; // replay/hash.h
};

// What CPUID answers.
struct log_leaf {
	uint32_t leaf, subleaf;
	uint32_t registers[4]; // EAX, EBX, ECX, EDX
};

struct log_header {
	uint64_t log_id;   // chosen at random: two logs with one id could be taken for each other
	uint32_t version;  // LOG_VERSION of who wrote it
	uint32_t needs;    // the oldest version that can read it
	uint32_t alignment; // of chunks, in bytes: the store's, set by the writer
	uint32_t part;     // 0, or how many logs of the same recording came before this one
	char tick_source[LOG_NAME_MAX];
	uint64_t scale;    // machine ticks (of its TSC) a tick of the position, at the start
	uint64_t tsc_hz;   // of the machine's TSC
	enum log_start start;
	struct position start_position;
	uint64_t start_time; // machine ticks
	// Each sorted, the settings and hashes by name, the leaves by their numbers.
	uint32_t settings_count, hashes_count, leaves_count, texts_bytes;
	struct log_setting settings[LOG_SETTINGS_MAX];
	struct log_hash hashes[LOG_HASHES_MAX];
	struct log_leaf leaves[LOG_LEAVES_MAX];
	char texts[LOG_TEXTS_MAX];
	const char *problem; // why something was not added; NULL: all is there
};

// An empty header of this version. `tick_source`: as in struct tick_source.
void log_header_init(struct log_header *header, uint64_t log_id, const char *tick_source);
// Names are of printable ASCII without blanks, and each is added once. Control characters of a text
// become question marks.
void log_header_add_number(struct log_header *header, const char *name, uint64_t number);
void log_header_add_text(struct log_header *header, const char *name, const char *text);
void log_header_add_hash(struct log_header *header, const char *name, uint64_t value);
void log_header_add_leaf(struct log_header *header, const struct log_leaf *leaf);

// NULL: there is none.
const struct log_setting *log_header_setting(const struct log_header *header, const char *name);
const struct log_hash *log_header_hash(const struct log_header *header, const char *name);
static inline const char *log_setting_text(const struct log_header *header,
	const struct log_setting *setting)
{
	return header->texts + setting->text;
}

// The payload of the first chunk; its start_position.ticks and log_id are in the chunk's own
// header. out->overflow: it is too long.
void log_header_encode(struct log_out *out, const struct log_header *header, uint32_t alignment);
// Into *header, whose log_id and start_position.ticks stay. Returns false and in->error where
// something is wrong; header->needs is more than LOG_VERSION then if that is why.
bool log_header_decode(struct log_in *in, struct log_header *header);

// Where two headers differ in what makes a machine: the tick source and its scale, the TSC's
// frequency, settings, hashes, CPUID. `place` goes on from difference to difference, from 0.
// Returns false when there are no more; else `text` of LOG_DIFFERENCE_MAX bytes says what, with
// `left` and `right` naming the two: "vcpus: 2 in the log, 1 here".
bool log_header_difference(const struct log_header *a, const struct log_header *b,
	uint32_t *place, const char *left, const char *right, char *text);

#endif

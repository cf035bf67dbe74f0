// SPDX-License-Identifier: BSD-2-Clause
// Writing and reading bytes within bounds. A number is a varint (LEB128): 7 bits a byte, the lowest
// first, bit 7 set in all but the last. A difference that may be negative is folded first (zigzag):
// 0, -1, 1, -2 become 0, 1, 2, 3.
#ifndef REPLAY_LOG_BYTES_H
#define REPLAY_LOG_BYTES_H

#include "kernel/base/types.h"

enum { LOG_VARINT_MAX = 10 }; // bytes

struct log_out {
	uint8_t *at, *end;
	bool overflow; // something did not fit and is not there
};

void log_put_byte(struct log_out *out, unsigned byte);
void log_put_varint(struct log_out *out, uint64_t value);
void log_put_bytes(struct log_out *out, const void *bytes, size_t count);
// Its length, and the characters without an end.
void log_put_text(struct log_out *out, const char *text);

// Nothing is believed of what is read.
struct log_in {
	const uint8_t *at, *end;
	const char *error; // NULL, or the first thing that was wrong; only zeros come after it
};

uint8_t log_get_byte(struct log_in *in);
uint64_t log_get_varint(struct log_in *in);
// The same, at most `max`.
uint64_t log_get_limited(struct log_in *in, uint64_t max);
// NULL: they are not there.
const uint8_t *log_get_bytes(struct log_in *in, size_t count);
// Of printable characters, with a terminating zero in `text` of `size` bytes.
void log_get_text(struct log_in *in, char *text, size_t size);

// Says what is wrong, unless something was before.
void log_in_fail(struct log_in *in, const char *error);

static inline bool log_character_is_printable(char character)
{
	return (uint8_t)character >= 0x20 && character != 0x7f;
}

static inline uint64_t log_zigzag(uint64_t difference)
{
	return difference << 1 ^ (0 - (difference >> 63));
}

static inline uint64_t log_unzigzag(uint64_t folded)
{
	return folded >> 1 ^ (0 - (folded & 1));
}

#endif

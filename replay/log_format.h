// SPDX-License-Identifier: BSD-2-Clause
// Chunks: the header in front of each, its CRC, and the padding behind.
#ifndef REPLAY_LOG_FORMAT_H
#define REPLAY_LOG_FORMAT_H

#include "replay/log_abi.h"

// Bytes that a chunk takes in its store. `alignment` is a power of two.
static inline uint64_t log_chunk_stored_bytes(uint64_t payload_bytes, uint32_t alignment)
{
	return ALIGN_UP(LOG_CHUNK_HEADER_BYTES + payload_bytes, (uint64_t)alignment);
}

// Bytes of the place for the pointer, behind the header.
static inline uint64_t log_pointer_stored_bytes(uint32_t alignment)
{
	return ALIGN_UP((uint64_t)LOG_POINTER_BYTES, (uint64_t)alignment);
}

bool log_alignment_is_valid(uint64_t alignment);

// Writes the header in front of the payload, with its magic and CRC, and zeros behind up to the
// alignment. Returns the chunk's bytes in the store; `chunk` has room for them.
size_t log_chunk_seal(uint8_t *chunk, const struct log_chunk_header *header, uint32_t alignment);

// NULL, or why this is no chunk of the log. log_id and sequence are those expected.
const char *log_chunk_header_problem(const struct log_chunk_header *header, uint64_t log_id,
	uint32_t sequence);
// The whole chunk, whose header has no problem, is in `chunk`.
bool log_chunk_is_intact(const uint8_t *chunk);

#endif

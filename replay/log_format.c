// SPDX-License-Identifier: BSD-2-Clause
#include "replay/log_format.h"

#include <string.h>

#include "kernel/base/assert.h"
#include "kernel/crc32c.h"

bool log_alignment_is_valid(uint64_t alignment)
{
	return alignment >= LOG_ALIGNMENT_MIN && alignment <= LOG_ALIGNMENT_MAX &&
		(alignment & (alignment - 1)) == 0;
}

static uint32_t chunk_crc(const uint8_t *chunk, struct log_chunk_header header)
{
	uint32_t crc;

	header.crc = 0;
	crc = crc32c_update(0, &header, sizeof(header));
	return crc32c_update(crc, chunk + sizeof(header), header.payload_bytes);
}

size_t log_chunk_seal(uint8_t *chunk, const struct log_chunk_header *header, uint32_t alignment)
{
	struct log_chunk_header sealed = *header;
	size_t used = LOG_CHUNK_HEADER_BYTES + header->payload_bytes, stored;

	ASSERT(header->payload_bytes <= LOG_CHUNK_PAYLOAD_MAX && log_alignment_is_valid(alignment));
	stored = log_chunk_stored_bytes(header->payload_bytes, alignment);
	sealed.magic = LOG_MAGIC;
	sealed.crc = chunk_crc(chunk, sealed);
	memcpy(chunk, &sealed, sizeof(sealed));
	memset(chunk + used, 0, stored - used);
	return stored;
}

const char *log_chunk_header_problem(const struct log_chunk_header *header, uint64_t log_id,
	uint32_t sequence)
{
	if (header->magic != LOG_MAGIC)
		return "no chunk";
	if (header->log_id != log_id)
		return "a chunk of another log";
	if (header->sequence != sequence)
		return "a chunk out of sequence";
	if (header->reserved != 0)
		return "a chunk with reserved bits";
	if (header->payload_bytes > LOG_CHUNK_PAYLOAD_MAX)
		return "a chunk that is too long";
	return NULL;
}

bool log_chunk_is_intact(const uint8_t *chunk)
{
	struct log_chunk_header header;

	memcpy(&header, chunk, sizeof(header));
	ASSERT(header.payload_bytes <= LOG_CHUNK_PAYLOAD_MAX);
	return chunk_crc(chunk, header) == header.crc;
}

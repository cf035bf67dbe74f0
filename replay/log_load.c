// SPDX-License-Identifier: BSD-2-Clause
// Chunks from the store. What says where a log ends is the first chunk that is not as it should be.
#include <string.h>

#include "kernel/base/assert.h"
#include "replay/log_format.h"
#include "replay/log_reader_internal.h"

void log_load_end(struct log_reader *reader, enum log_end_kind kind, uint64_t offset,
	const char *reason)
{
	if (!reader->stopped)
		reader->end = (struct log_end){.kind = kind, .offset = offset, .reason = reason};
}

// The log ends where the next chunk should be.
static enum status torn(struct log_reader *reader, const char *reason)
{
	log_load_end(reader, LOG_END_TORN, reader->next_offset, reason);
	return STATUS_NOT_FOUND;
}

enum status log_load_header(struct log_reader *reader, uint64_t offset,
	struct log_chunk_header *header)
{
	if (offset > reader->store->bytes || reader->store->bytes - offset < sizeof(*header))
		return STATUS_NOT_FOUND;
	return log_store_read(reader->store, offset, header, sizeof(*header));
}

static enum status not_there(const char **problem, const char *reason)
{
	*problem = reason;
	return STATUS_NOT_FOUND;
}

enum status log_load_chunk(struct log_reader *reader, struct log_reader_chunk *chunk,
	uint64_t offset, uint32_t sequence, const char **problem)
{
	enum status status = log_load_header(reader, offset, &chunk->header);
	uint64_t payload = offset + LOG_CHUNK_HEADER_BYTES;

	chunk->offset = offset;
	if (status == STATUS_NOT_FOUND)
		return not_there(problem, "the store ends");
	if (status != STATUS_OK)
		return status;
	*problem = log_chunk_header_problem(&chunk->header, reader->header.log_id, sequence);
	if (*problem != NULL)
		return STATUS_NOT_FOUND;
	ASSERT(chunk->header.payload_bytes <= LOG_CHUNK_PAYLOAD_MAX);
	if (reader->store->bytes - payload < chunk->header.payload_bytes)
		return not_there(problem, "a chunk is cut off");
	memcpy(chunk->bytes, &chunk->header, sizeof(chunk->header));
	status = log_store_read(reader->store, payload, chunk->bytes + LOG_CHUNK_HEADER_BYTES,
		chunk->header.payload_bytes);
	if (status == STATUS_OK && !log_chunk_is_intact(chunk->bytes))
		return not_there(problem, "a wrong CRC");
	return status;
}

struct log_in log_load_payload(const struct log_reader_chunk *chunk)
{
	const uint8_t *payload = chunk->bytes + LOG_CHUNK_HEADER_BYTES;

	return (struct log_in){.at = payload, .end = payload + chunk->header.payload_bytes};
}

bool log_load_index(struct log_reader *reader, const struct log_reader_chunk *chunk)
{
	struct log_in in = log_load_payload(chunk);

	reader->stop.position.ticks = chunk->header.first_ticks;
	reader->has_stop = reader->index_is_whole = log_index_decode(&in, &reader->index,
		&reader->stop, reader->header.alignment, chunk->offset);
	return reader->has_stop;
}

void log_load_learn(struct log_reader *reader, uint64_t offset,
	const struct log_chunk_header *header)
{
	const struct log_index_entry entry = {.offset = offset,
		.first_ticks = header->first_ticks,
		.sequence = header->sequence};

	if (!reader->index_is_whole)
		log_index_add(&reader->index, &entry);
}

static void place_advance(struct log_reader *reader, const struct log_chunk_header *header)
{
	reader->next_offset += log_chunk_stored_bytes(header->payload_bytes,
		reader->header.alignment);
	reader->next_sequence++;
	reader->next_ticks = header->first_ticks;
}

enum status log_load_next(struct log_reader *reader, struct log_reader_chunk *chunk)
{
	const char *problem;
	enum status status;

	status = log_load_chunk(reader, chunk, reader->next_offset, reader->next_sequence,
		&problem);
	if (status != STATUS_OK)
		return status == STATUS_NOT_FOUND ? torn(reader, problem) : status;
	if (chunk->header.first_ticks < reader->next_ticks)
		return torn(reader, "a chunk goes back in time");
	switch (chunk->header.type) {
	case LOG_CHUNK_RECORDS:
		log_load_learn(reader, chunk->offset, &chunk->header);
		reader->records_seen = true;
		break;
	case LOG_CHUNK_SNAPSHOT:
		if (reader->records_seen)
			return torn(reader, "a snapshot behind records");
		break;
	case LOG_CHUNK_INDEX:
		if (!reader->has_stop && !log_load_index(reader, chunk))
			return torn(reader, "a malformed index");
		log_load_end(reader, LOG_END_CLEAN, chunk->offset, NULL);
		place_advance(reader, &chunk->header);
		return STATUS_NOT_FOUND;
	case LOG_CHUNK_HEADER:
	case LOG_CHUNK_POINTER:
		return torn(reader, "a chunk that is out of place");
	default:
		reader->skipped_chunks++;
		place_advance(reader, &chunk->header);
		return STATUS_AGAIN;
	}
	place_advance(reader, &chunk->header);
	return STATUS_OK;
}

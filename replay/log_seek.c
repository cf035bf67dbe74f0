// SPDX-License-Identifier: BSD-2-Clause
// Opening a log, and finding a place in it.
#include <string.h>

#include "kernel/base/assert.h"
#include "replay/log_format.h"
#include "replay/log_reader_internal.h"

static enum status refuse(struct log_reader *reader, enum status status, const char *reason)
{
	log_load_end(reader, LOG_END_TORN, 0, reason);
	return STATUS_FAIL(status);
}

// The first chunk, whose id becomes the log's.
static enum status header_open(struct log_reader *reader, struct log_reader_chunk *chunk)
{
	enum status status = log_load_header(reader, 0, &chunk->header);
	struct log_header *header = &reader->header;
	const char *problem = "not a log";
	struct log_in in;

	if (status == STATUS_NOT_FOUND || (status == STATUS_OK &&
		(chunk->header.magic != LOG_MAGIC || chunk->header.type != LOG_CHUNK_HEADER)))
		return refuse(reader, STATUS_BAD_FORMAT, problem);
	if (status != STATUS_OK)
		return status;
	header->log_id = chunk->header.log_id;
	status = log_load_chunk(reader, chunk, 0, 0, &problem);
	if (status != STATUS_OK)
		return status == STATUS_NOT_FOUND ? refuse(reader, STATUS_BAD_FORMAT, problem) :
			status;
	header->start_position.ticks = chunk->header.first_ticks;
	in = log_load_payload(chunk);
	if (log_header_decode(&in, header))
		return STATUS_OK;
	return refuse(reader, header->needs > LOG_VERSION ? STATUS_UNSUPPORTED : STATUS_BAD_FORMAT,
		in.error);
}

// The index, by the pointer behind the header. Where there is none the log was not closed, or is
// not intact up to its end.
static enum status index_open(struct log_reader *reader, struct log_reader_chunk *chunk,
	uint64_t pointer)
{
	const char *problem;
	enum status status = log_load_header(reader, pointer, &chunk->header);
	uint64_t offset;
	uint32_t sequence;

	if (status == STATUS_OK)
		status = log_load_chunk(reader, chunk, pointer, chunk->header.sequence, &problem);
	if (status != STATUS_OK)
		return status == STATUS_NOT_FOUND ? STATUS_OK : status;
	if (chunk->header.type != LOG_CHUNK_POINTER ||
		chunk->header.payload_bytes != sizeof(offset))
		return STATUS_OK;
	memcpy(&offset, chunk->bytes + LOG_CHUNK_HEADER_BYTES, sizeof(offset));
	sequence = chunk->header.sequence;
	status = log_load_chunk(reader, chunk, offset, sequence, &problem);
	if (status == STATUS_OK && chunk->header.type == LOG_CHUNK_INDEX)
		(void)log_load_index(reader, chunk); // or it is found in its place, and malformed
	return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

static struct log_index_entry first_place(const struct log_reader *reader)
{
	return (struct log_index_entry){.offset = reader->first_offset,
		.first_ticks = reader->header.start_position.ticks,
		.sequence = 1};
}

enum status log_reader_open(struct log_reader *reader, struct log_store *store,
	const struct log_wake *wake)
{
	struct log_index_entry place = {0};
	struct log_reader_chunk *chunk;
	uint64_t pointer;
	enum status status;

	memset(reader, 0, offsetof(struct log_reader, index));
	log_index_init(&reader->index);
	reader->store = store;
	if (wake != NULL)
		reader->wake = *wake;
	log_reader_begin(reader, &place);
	chunk = reader->ahead;
	status = header_open(reader, chunk);
	if (status != STATUS_OK)
		return status;
	ASSERT(log_alignment_is_valid(reader->header.alignment));
	pointer = log_chunk_stored_bytes(chunk->header.payload_bytes, reader->header.alignment);
	reader->first_offset = pointer + log_pointer_stored_bytes(reader->header.alignment);
	status = index_open(reader, chunk, pointer);
	if (status != STATUS_OK)
		return status;
	place = first_place(reader);
	log_reader_begin(reader, &place);
	return STATUS_OK;
}

// From *place, by headers alone, to the last chunk of records that starts before `ticks`.
static enum status walk(struct log_reader *reader, uint64_t ticks, struct log_index_entry *place)
{
	struct log_index_entry at = *place;

	for (;;) {
		struct log_chunk_header header;
		enum status status = log_load_header(reader, at.offset, &header);

		if (status != STATUS_OK)
			return status == STATUS_NOT_FOUND ? STATUS_OK : status;
		if (log_chunk_header_problem(&header, reader->header.log_id, at.sequence) != NULL ||
			header.type == LOG_CHUNK_INDEX || header.first_ticks < at.first_ticks)
			return STATUS_OK;
		at.first_ticks = header.first_ticks;
		if (header.type == LOG_CHUNK_RECORDS) {
			log_load_learn(reader, at.offset, &header);
			if (header.first_ticks >= ticks)
				return STATUS_OK;
			*place = at;
		}
		at.offset += log_chunk_stored_bytes(header.payload_bytes, reader->header.alignment);
		at.sequence++;
	}
}

enum status log_load_index_check(struct log_reader *reader, const struct log_index_entry *entry,
	bool *right)
{
	struct log_chunk_header header;
	enum status status = log_load_header(reader, entry->offset, &header);

	*right = status == STATUS_OK && header.type == LOG_CHUNK_RECORDS &&
		header.first_ticks == entry->first_ticks &&
		log_chunk_header_problem(&header, reader->header.log_id, entry->sequence) == NULL;
	return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

static enum status place_find(struct log_reader *reader, uint64_t ticks,
	struct log_index_entry *place)
{
	const struct log_index_entry *entry = log_index_find(&reader->index, ticks);
	enum status status;
	bool right;

	*place = first_place(reader);
	if (entry != NULL) {
		status = log_load_index_check(reader, entry, &right);
		if (status != STATUS_OK)
			return status;
		if (right) {
			*place = *entry;
		} else { // it is of no use
			log_index_init(&reader->index);
			reader->index_is_whole = false;
		}
	}
	return walk(reader, ticks, place);
}

enum status log_reader_seek(struct log_reader *reader, uint64_t ticks)
{
	struct log_index_entry place;
	enum status status;

	if (reader->pumping)
		return STATUS_BUSY;
	reader->pumping = true;
	status = place_find(reader, ticks, &place);
	reader->pumping = false;
	if (status != STATUS_OK)
		return status;
	log_reader_begin(reader, &place);
	reader->from_ticks = ticks;
	return STATUS_OK;
}

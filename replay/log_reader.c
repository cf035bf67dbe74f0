// SPDX-License-Identifier: BSD-2-Clause
#include "replay/log_reader.h"

#include <string.h>

#include "kernel/base/assert.h"
#include "replay/log_reader_internal.h"

void log_reader_begin(struct log_reader *reader, const struct log_index_entry *place)
{
	for (unsigned i = 0; i < ARRAY_COUNT(reader->slots); i++)
		reader->slots[i] = (struct log_reader_chunk){.bytes = reader->chunks[i]};
	reader->current = &reader->slots[0];
	reader->ahead = &reader->slots[1];
	reader->next_offset = place->offset;
	reader->next_sequence = place->sequence;
	reader->next_ticks = reader->last_ticks = place->first_ticks;
	reader->last_time = 0;
	reader->stopped = reader->records_seen = false;
	reader->failure = STATUS_OK;
	log_load_end(reader, LOG_END_NONE, 0, NULL);
}

// A record of the chunk that is being taken cannot be read. STATUS_NOT_FOUND.
static enum status malformed(struct log_reader *reader, const char *reason)
{
	uint64_t within = (uint64_t)(reader->in.at - reader->current->bytes);

	log_load_end(reader, LOG_END_TORN, reader->current->offset + within, reason);
	reader->stopped = true;
	return STATUS_NOT_FOUND;
}

// What was loaded ahead is taken from now on.
static void current_begin(struct log_reader *reader)
{
	struct log_reader_chunk *chunk = reader->ahead;

	ASSERT(chunk->loaded && !reader->current->loaded);
	reader->ahead = reader->current;
	reader->current = chunk;
	reader->in = log_load_payload(chunk);
	reader->taken = 0;
	log_codec_init(&reader->codec, chunk->header.first_ticks);
	log_wake(&reader->wake);
}

static const char *order_problem(const struct log_reader *reader, const struct log_record *record)
{
	if (record->position.ticks < reader->last_ticks)
		return "a record goes back in position";
	if (record->halted && record->time < reader->last_time)
		return "a record goes back in time";
	return NULL;
}

// Of the chunk. STATUS_AGAIN: that was all of it, or the record is not for the caller.
static enum status record_take(struct log_reader *reader, struct log_record *record)
{
	struct log_in in = reader->in;
	const char *problem;

	if (reader->taken == reader->current->header.records) {
		if (in.at != in.end)
			return malformed(reader, "bytes behind a chunk's last record");
		reader->current->loaded = false;
		return STATUS_AGAIN;
	}
	if (!log_record_decode(&reader->codec, &in, record))
		return malformed(reader, in.error);
	problem = order_problem(reader, record);
	if (problem == NULL && log_kind_is_known(record->kind))
		problem = log_record_problem(record);
	if (problem != NULL)
		return malformed(reader, problem);
	reader->in = in;
	reader->taken++;
	reader->last_ticks = record->position.ticks;
	if (record->halted)
		reader->last_time = record->time;
	if (log_kind_is_known(record->kind))
		return record->position.ticks < reader->from_ticks ? STATUS_AGAIN : STATUS_OK;
	reader->skipped_records++;
	return STATUS_AGAIN;
}

enum status log_reader_next(struct log_reader *reader, struct log_record *record)
{
	enum status status = STATUS_AGAIN;

	while (status == STATUS_AGAIN) {
		if (reader->stopped)
			return STATUS_NOT_FOUND;
		if (!reader->current->loaded) {
			if (!reader->ahead->loaded)
				break;
			current_begin(reader);
		}
		status = record_take(reader, record);
	}
	if (status != STATUS_AGAIN)
		return status;
	if (reader->failure != STATUS_OK)
		return reader->failure;
	return reader->end.kind != LOG_END_NONE ? STATUS_NOT_FOUND : STATUS_AGAIN;
}

static enum status pump_step(struct log_reader *reader)
{
	struct log_reader_chunk *chunk = reader->ahead;
	enum status status;

	if (chunk->loaded || reader->end.kind != LOG_END_NONE)
		return STATUS_OK;
	status = log_load_next(reader, chunk);
	if (status == STATUS_NOT_FOUND)
		return STATUS_OK;
	if (status != STATUS_OK)
		return status;
	if (chunk->header.type != LOG_CHUNK_RECORDS)
		return STATUS_AGAIN; // the snapshot was not asked for
	ASSERT(chunk == reader->ahead);
	chunk->loaded = true;
	return STATUS_OK;
}

enum status log_reader_pump(struct log_reader *reader)
{
	enum status status;

	if (reader->failure != STATUS_OK)
		return reader->failure;
	if (reader->pumping)
		return STATUS_BUSY;
	reader->pumping = true;
	status = pump_step(reader);
	reader->pumping = false;
	if (status != STATUS_OK && status != STATUS_AGAIN)
		reader->failure = status;
	return status;
}

enum status log_reader_snapshot(struct log_reader *reader, const uint8_t **bytes, size_t *count)
{
	struct log_reader_chunk *chunk = reader->ahead;
	enum status status = STATUS_AGAIN;

	while (status == STATUS_AGAIN) {
		if (chunk->loaded || reader->end.kind == LOG_END_CLEAN)
			return STATUS_NOT_FOUND;
		if (reader->end.kind == LOG_END_TORN)
			return STATUS_FAIL(STATUS_TRUNCATED);
		status = log_load_next(reader, chunk);
		if (status == STATUS_NOT_FOUND)
			status = STATUS_AGAIN; // to what kind of end it is
	}
	if (status != STATUS_OK)
		return status;
	if (chunk->header.type == LOG_CHUNK_RECORDS) {
		chunk->loaded = true;
		return STATUS_NOT_FOUND;
	}
	*bytes = chunk->bytes + LOG_CHUNK_HEADER_BYTES;
	*count = chunk->header.payload_bytes;
	return STATUS_OK;
}

// SPDX-License-Identifier: BSD-2-Clause
#include "replay/log_writer.h"

#include <string.h>

#include "kernel/base/assert.h"
#include "replay/log_format.h"

enum { STOP_BYTES_MAX = LOG_RECORD_MAX + LOG_STOP_TEXT_MAX };

static struct log_writer_buffer *other(struct log_writer *writer,
	const struct log_writer_buffer *buffer)
{
	return buffer == &writer->buffers[0] ? &writer->buffers[1] : &writer->buffers[0];
}

static void buffer_open(struct log_writer *writer, struct log_writer_buffer *buffer)
{
	ASSERT(buffer == NULL || buffer->stored == 0); // W1
	writer->open = buffer;
	writer->fill = LOG_CHUNK_HEADER_BYTES;
	writer->open_records = 0;
}

static bool chunk_is_empty(const struct log_writer *writer)
{
	return writer->fill == LOG_CHUNK_HEADER_BYTES;
}

// The open chunk is complete: it waits for the pump, and the other buffer is open if it is free.
static void chunk_seal(struct log_writer *writer)
{
	struct log_writer_buffer *buffer = writer->open;
	struct log_index_entry entry = {.offset = writer->next_offset,
		.first_ticks = writer->first_ticks,
		.sequence = writer->next_sequence};
	struct log_chunk_header header = {.type = writer->type,
		.sequence = writer->next_sequence,
		.payload_bytes = (uint32_t)(writer->fill - LOG_CHUNK_HEADER_BYTES),
		.log_id = writer->log_id,
		.first_ticks = writer->first_ticks,
		.records = writer->open_records};

	ASSERT(buffer != NULL && !chunk_is_empty(writer) && writer->fill <= LOG_CHUNK_MAX);
	buffer->offset = writer->next_offset; // W2
	buffer->stored = log_chunk_seal(buffer->chunk, &header, writer->alignment);
	if (writer->type == LOG_CHUNK_RECORDS)
		log_index_add(&writer->index, &entry);
	writer->next_offset += buffer->stored;
	writer->next_sequence++;
	buffer = other(writer, buffer);
	buffer_open(writer, buffer->stored == 0 ? buffer : NULL);
	log_wake(&writer->wake);
}

// W3, if `more` bytes come into the open chunk.
static bool store_has_room(const struct log_writer *writer, size_t more)
{
	uint64_t payload = writer->fill - LOG_CHUNK_HEADER_BYTES + more;
	uint64_t index = log_index_bytes_max(&writer->index, 2);

	return writer->next_offset + log_chunk_stored_bytes(payload, writer->alignment) +
		log_chunk_stored_bytes(STOP_BYTES_MAX, writer->alignment) +
		log_chunk_stored_bytes(index, writer->alignment) <= writer->store_bytes;
}

// Makes room for at most `bytes` in an open chunk of the type. An empty one begins at `ticks`.
static enum status chunk_prepare(struct log_writer *writer, enum log_chunk_type type,
	uint64_t ticks, size_t bytes)
{
	if (writer->state == LOG_WRITER_FAILED)
		return writer->failure;
	if (writer->state != LOG_WRITER_OPEN)
		return STATUS_FAIL(STATUS_REFUSED);
	if (writer->open != NULL && !chunk_is_empty(writer) && (writer->type != type ||
		writer->fill + bytes + STOP_BYTES_MAX > LOG_CHUNK_MAX))
		chunk_seal(writer);
	if (writer->open == NULL)
		return STATUS_BUSY;
	if (!store_has_room(writer, bytes))
		return STATUS_RANGE;
	if (chunk_is_empty(writer)) {
		writer->type = (uint16_t)type;
		writer->first_ticks = ticks;
		log_codec_init(&writer->codec, ticks);
	}
	return STATUS_OK;
}

static struct log_out chunk_out(const struct log_writer *writer)
{
	return (struct log_out){.at = writer->open->chunk + writer->fill,
		.end = writer->open->chunk + LOG_CHUNK_MAX};
}

static void chunk_filled(struct log_writer *writer, const struct log_out *out)
{
	ASSERT(!out->overflow);
	writer->fill = (size_t)(out->at - writer->open->chunk);
}

static void record_put(struct log_writer *writer, const struct log_record *record)
{
	struct log_out out = chunk_out(writer);

	log_record_encode(&writer->codec, &out, record);
	chunk_filled(writer, &out);
	writer->open_records++;
	writer->records++;
	writer->last = record->position;
	if (record->halted)
		writer->last_time = record->time;
}

static bool place_is_behind(const struct log_writer *writer, uint64_t ticks, bool halted,
	uint64_t time)
{
	return ticks >= writer->last.ticks && (!halted || time >= writer->last_time);
}

enum status log_writer_append(struct log_writer *writer, const struct log_record *record)
{
	enum status status;

	if (log_record_problem(record) != NULL || record->kind == LOG_STOP ||
		!place_is_behind(writer, record->position.ticks, record->halted, record->time))
		return STATUS_FAIL(STATUS_INVALID);
	status = chunk_prepare(writer, LOG_CHUNK_RECORDS, record->position.ticks,
		LOG_RECORD_MAX + record->payload_bytes);
	if (status == STATUS_OK)
		record_put(writer, record);
	return status;
}

enum status log_writer_snapshot(struct log_writer *writer, const void *bytes, size_t count)
{
	enum status status;
	struct log_out out;

	ASSERT(count <= LOG_PAYLOAD_MAX);
	if (writer->records > 0)
		return STATUS_FAIL(STATUS_REFUSED);
	status = chunk_prepare(writer, LOG_CHUNK_SNAPSHOT, writer->last.ticks, count);
	if (status != STATUS_OK)
		return status;
	out = chunk_out(writer);
	log_put_bytes(&out, bytes, count);
	chunk_filled(writer, &out);
	return STATUS_OK;
}

void log_writer_flush(struct log_writer *writer)
{
	if (writer->state != LOG_WRITER_OPEN)
		return;
	if (writer->open != NULL && !chunk_is_empty(writer))
		chunk_seal(writer);
	writer->flush_wanted = true;
	log_wake(&writer->wake);
}

// As a text has to be in a log, whoever has said it.
static void text_clean(char text[LOG_STOP_TEXT_MAX])
{
	text[LOG_STOP_TEXT_MAX - 1] = '\0';
	for (; *text != '\0'; text++)
		if (!log_character_is_printable(*text))
			*text = '?';
}

void log_writer_close(struct log_writer *writer, const struct log_stop *stop)
{
	ASSERT(place_is_behind(writer, stop->position.ticks, stop->halted, stop->time));
	ASSERT(stop->vcpu < LOG_VCPUS_MAX);
	if (writer->state != LOG_WRITER_OPEN)
		return;
	writer->stop = *stop;
	text_clean(writer->stop.text);
	writer->state = LOG_WRITER_CLOSING;
	log_wake(&writer->wake);
}

enum status log_writer_create(struct log_writer *writer, struct log_store *store,
	const struct log_header *header, const struct log_wake *wake)
{
	struct log_out out;
	size_t stored, pointer;

	if (header->problem != NULL)
		return STATUS_FAIL(STATUS_INVALID);
	if (store->read_only)
		return STATUS_FAIL(STATUS_REFUSED);
	ASSERT(log_alignment_is_valid(store->alignment));
	memset(writer, 0, offsetof(struct log_writer, index));
	log_index_init(&writer->index);
	writer->store = store;
	writer->store_bytes = ALIGN_DOWN(store->bytes, (uint64_t)store->alignment);
	writer->alignment = store->alignment;
	if (wake != NULL)
		writer->wake = *wake;
	for (unsigned i = 0; i < ARRAY_COUNT(writer->buffers); i++)
		writer->buffers[i] = (struct log_writer_buffer){.chunk = writer->chunks[i]};
	writer->log_id = header->log_id;
	writer->last = header->start_position;
	writer->type = LOG_CHUNK_HEADER;
	writer->first_ticks = header->start_position.ticks;
	buffer_open(writer, &writer->buffers[0]);
	out = chunk_out(writer);
	pointer = log_pointer_stored_bytes(writer->alignment);
	out.end -= pointer + LOG_ALIGNMENT_MAX;
	log_header_encode(&out, header, writer->alignment);
	stored = log_chunk_stored_bytes((size_t)(out.at - writer->open->chunk), writer->alignment);
	if (out.overflow || !store_has_room(writer, stored + pointer))
		return STATUS_FAIL(STATUS_RANGE);
	chunk_filled(writer, &out);
	chunk_seal(writer);
	// Behind it zeros, where the pointer to the index will be.
	writer->pointer_offset = writer->next_offset;
	memset(writer->buffers[0].chunk + writer->next_offset, 0, pointer);
	writer->buffers[0].stored += pointer;
	writer->next_offset += pointer;
	return STATUS_OK;
}

// The pump.

static struct log_writer_buffer *first_sealed(struct log_writer *writer)
{
	struct log_writer_buffer *first = &writer->buffers[0], *second = &writer->buffers[1];

	if (first->stored == 0 || (second->stored != 0 && second->offset < first->offset))
		first = second;
	return first->stored != 0 ? first : NULL;
}

static void stop_append(struct log_writer *writer)
{
	const struct log_stop *stop = &writer->stop;
	struct log_record record = {.kind = LOG_STOP, .halted = stop->halted,
		.vcpu = stop->vcpu, .position = stop->position,
		.time = stop->halted ? stop->time : 0,
		.value = stop->reason, .payload = (const uint8_t *)stop->text,
		.payload_bytes = (uint32_t)strlen(stop->text)};

	if (!chunk_is_empty(writer) && writer->type != LOG_CHUNK_RECORDS) {
		chunk_seal(writer);
		return; // once more, when a buffer is open
	}
	if (chunk_is_empty(writer)) {
		writer->type = LOG_CHUNK_RECORDS;
		writer->first_ticks = stop->position.ticks;
		log_codec_init(&writer->codec, stop->position.ticks);
	}
	record_put(writer, &record);
	chunk_seal(writer);
	writer->stop_appended = true;
}

static enum status buffer_write(struct log_writer *writer, struct log_writer_buffer *buffer)
{
	enum status status;

	ASSERT(buffer->offset + buffer->stored <= writer->store_bytes); // W3
	status = log_store_write(writer->store, buffer->offset, buffer->chunk, buffer->stored);
	if (status != STATUS_OK)
		return status;
	buffer->stored = 0;
	if (writer->open == NULL)
		buffer_open(writer, buffer);
	return STATUS_OK;
}

// The index, and when it is there for good the pointer to it.
static enum status end_write(struct log_writer *writer)
{
	uint8_t *chunk = writer->open->chunk;
	struct log_out out = chunk_out(writer);
	struct log_chunk_header header = {.type = LOG_CHUNK_INDEX,
		.sequence = writer->next_sequence,
		.log_id = writer->log_id,
		.first_ticks = writer->stop.position.ticks};
	uint64_t offset = writer->next_offset;
	enum status status;
	size_t stored;

	writer->stop.records = writer->records;
	log_index_encode(&out, &writer->index, &writer->stop, writer->alignment);
	ASSERT(!out.overflow);
	header.payload_bytes = (uint32_t)(out.at - chunk - LOG_CHUNK_HEADER_BYTES);
	stored = log_chunk_seal(chunk, &header, writer->alignment);
	ASSERT(offset + stored <= writer->store_bytes); // W3
	status = log_store_write(writer->store, offset, chunk, stored);
	if (status == STATUS_OK)
		status = log_store_flush(writer->store);
	if (status != STATUS_OK)
		return status;
	writer->next_offset += stored;
	writer->next_sequence++;
	header.type = LOG_CHUNK_POINTER;
	header.payload_bytes = sizeof(offset);
	memcpy(chunk + LOG_CHUNK_HEADER_BYTES, &offset, sizeof(offset));
	stored = log_chunk_seal(chunk, &header, writer->alignment);
	status = log_store_write(writer->store, writer->pointer_offset, chunk, stored);
	return status == STATUS_OK ? log_store_flush(writer->store) : status;
}

static enum status pump_step(struct log_writer *writer)
{
	struct log_writer_buffer *sealed;
	enum status status;

	if (writer->state == LOG_WRITER_CLOSING && !writer->stop_appended && writer->open != NULL)
		stop_append(writer);
	sealed = first_sealed(writer);
	if (sealed != NULL)
		return buffer_write(writer, sealed);
	if (writer->state == LOG_WRITER_CLOSING) {
		ASSERT(writer->stop_appended);
		status = end_write(writer);
		if (status == STATUS_OK)
			writer->state = LOG_WRITER_CLOSED;
		return status;
	}
	if (!writer->flush_wanted)
		return STATUS_OK;
	writer->flush_wanted = false; // who asks meanwhile asks for another one
	return log_store_flush(writer->store);
}

enum status log_writer_pump(struct log_writer *writer)
{
	enum status status;

	if (writer->state == LOG_WRITER_FAILED)
		return writer->failure;
	if (writer->state == LOG_WRITER_CLOSED)
		return STATUS_OK;
	if (writer->pumping)
		return STATUS_BUSY;
	writer->pumping = true;
	status = pump_step(writer);
	writer->pumping = false;
	if (status != STATUS_OK) {
		writer->failure = status;
		writer->state = LOG_WRITER_FAILED;
		return status;
	}
	if (writer->state == LOG_WRITER_CLOSING)
		return STATUS_AGAIN;
	return writer->state == LOG_WRITER_OPEN &&
		(writer->flush_wanted || first_sealed(writer) != NULL) ? STATUS_AGAIN : STATUS_OK;
}

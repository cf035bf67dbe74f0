// SPDX-License-Identifier: BSD-2-Clause
#include "tests/unit/log_fake.h"

#include <string.h>

struct log_writer writer;
struct log_reader reader;
struct log_fake_store disk;
unsigned writer_wakes, reader_wakes;

static enum status called(struct log_fake_store *store)
{
	if (store->meanwhile != NULL)
		store->meanwhile();
	if (store->calls_left > 0 && --store->calls_left == 0)
		return STATUS_IO;
	return STATUS_OK;
}

static enum status fake_store_read(struct log_store *store, uint64_t offset, void *bytes,
	size_t count)
{
	struct log_fake_store *fake = CONTAINER_OF(store, struct log_fake_store, store);
	enum status status = called(fake);

	assert_true(count <= store->bytes && offset <= store->bytes - count);
	fake->reads++;
	if (status == STATUS_OK)
		memcpy(bytes, fake->bytes + offset, count);
	else
		memset(bytes, 0x5a, count);
	return status;
}

static enum status fake_store_write(struct log_store *store, uint64_t offset, const void *bytes,
	size_t count)
{
	struct log_fake_store *fake = CONTAINER_OF(store, struct log_fake_store, store);
	enum status status = called(fake);

	assert_true(count <= store->bytes && offset <= store->bytes - count);
	assert_true(offset % store->alignment == 0 && count % store->alignment == 0);
	fake->writes++;
	memcpy(fake->bytes + offset, bytes, status == STATUS_OK ? count : count / 2);
	return status;
}

static enum status fake_store_flush(struct log_store *store)
{
	struct log_fake_store *fake = CONTAINER_OF(store, struct log_fake_store, store);

	fake->flushes++;
	return STATUS_OK;
}

void log_fake_store_init(struct log_fake_store *store, uint64_t bytes, uint32_t alignment)
{
	static const struct log_store_ops ops = {
		.read = fake_store_read, .write = fake_store_write, .flush = fake_store_flush};

	assert_true(bytes <= LOG_FAKE_STORE_BYTES);
	memset(store->bytes, 0xa5, sizeof(store->bytes));
	store->store =
		(struct log_store){.ops = &ops, .bytes = bytes, .alignment = alignment};
	store->reads = store->writes = store->flushes = store->calls_left = 0;
	store->meanwhile = NULL;
}

static void count_wake(void *owner)
{
	++*(unsigned *)owner;
}

void log_fake_create(void)
{
	static struct log_header header;
	const struct log_wake wake = {.call = count_wake, .owner = &writer_wakes};

	writer_wakes = 0;
	memset(&writer, 0xa5, sizeof(writer));
	sample_header(&header, LOG_FAKE_ID);
	assert_int_equal(log_writer_create(&writer, &disk.store, &header, &wake), STATUS_OK);
}

void log_fake_pump(void)
{
	enum status status;

	do
		status = log_writer_pump(&writer);
	while (status == STATUS_AGAIN);
	assert_int_equal(status, STATUS_OK);
}

void log_fake_append(const struct log_record *record)
{
	enum status status = log_writer_append(&writer, record);

	if (status == STATUS_BUSY) {
		log_fake_pump();
		status = log_writer_append(&writer, record);
	}
	assert_int_equal(status, STATUS_OK);
}

void log_fake_write(struct sample *sample, unsigned records, unsigned flush_every)
{
	for (unsigned i = 1; i <= records; i++) {
		sample_next(sample);
		log_fake_append(&sample->record);
		if (flush_every > 0 && i % flush_every == 0) {
			log_writer_flush(&writer);
			log_fake_pump();
		}
	}
	log_fake_pump();
}

void log_fake_close(enum log_stop_reason reason, const char *text)
{
	struct log_stop stop = {.reason = reason, .position = writer.last};

	strcpy(stop.text, text);
	log_writer_close(&writer, &stop);
	log_fake_pump();
	assert_int_equal(writer.state, LOG_WRITER_CLOSED);
}

void log_fake_open(struct log_store *store)
{
	const struct log_wake wake = {.call = count_wake, .owner = &reader_wakes};

	reader_wakes = 0;
	assert_int_equal(log_reader_open(&reader, store, &wake), STATUS_OK);
}

enum status log_fake_next(struct log_record *record)
{
	enum status status;

	while ((status = log_reader_next(&reader, record)) == STATUS_AGAIN)
		do
			status = log_reader_pump(&reader);
		while (status == STATUS_AGAIN);
	return status;
}

bool log_fake_records_equal(const struct log_record *a, const struct log_record *b)
{
	return a->kind == b->kind && a->halted == b->halted && a->vcpu == b->vcpu &&
		a->device == b->device &&
		a->index == b->index && position_equal(&a->position, &b->position) &&
		a->time == b->time && a->sequence == b->sequence && a->value == b->value &&
		a->payload_bytes == b->payload_bytes &&
		(a->payload_bytes == 0 || memcmp(a->payload, b->payload, a->payload_bytes) == 0);
}

unsigned log_fake_read(struct log_store *store, struct sample *expected)
{
	struct log_record record;
	unsigned count = 0;
	enum status status;

	log_fake_open(store);
	while ((status = log_fake_next(&record)) == STATUS_OK && record.kind != LOG_STOP) {
		sample_next(expected);
		assert_true(log_fake_records_equal(&record, &expected->record));
		count++;
	}
	if (status == STATUS_OK)
		status = log_fake_next(&record);
	assert_int_equal(status, STATUS_NOT_FOUND);
	return count;
}

uint64_t log_fake_chunk(struct log_fake_store *store, uint64_t offset, unsigned type,
	uint32_t sequence, uint64_t ticks, uint32_t records, const void *payload, size_t bytes)
{
	struct log_chunk_header header = {.type = (uint16_t)type, .sequence = sequence,
		.payload_bytes = (uint32_t)bytes, .log_id = LOG_FAKE_ID, .first_ticks = ticks,
		.records = records};

	memcpy(store->bytes + offset + LOG_CHUNK_HEADER_BYTES, payload, bytes);
	return offset + log_chunk_seal(store->bytes + offset, &header, store->store.alignment);
}

struct log_chunk_header log_fake_header_at(const struct log_fake_store *store, uint64_t offset)
{
	struct log_chunk_header header;

	memcpy(&header, store->bytes + offset, sizeof(header));
	return header;
}

void log_fake_reseal(struct log_fake_store *store, uint64_t offset,
	const struct log_chunk_header *header)
{
	log_chunk_seal(store->bytes + offset, header, LOG_ALIGNMENT_MIN);
}

// SPDX-License-Identifier: BSD-2-Clause
// Any bytes as a log. Nothing may crash, and what is read must be sound: records in order and
// without problems, the same again behind a seek, and the same once more when a writer has written
// them. The CRC would hide the code behind it, so that in most modes it is made right first.
#include <stdlib.h>
#include <string.h>

#include "kernel/base/assert.h"
#include "replay/log_check.h"
#include "replay/log_format.h"
#include "replay/log_ram.h"
#include "replay/log_writer.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/log_modes.h"
#include "tests/log/sample.h"

enum { STORE_BYTES = 1 << 18, RECORDS_MAX = 256 };

static struct log_reader reader;
static struct log_writer writer;
static struct log_header header;
static uint8_t base[STORE_BYTES]; // a log with a header alone
static size_t base_bytes, pointer_offset;
static uint64_t ticks[RECORDS_MAX];
static unsigned reads_left; // until one fails; 0: none does

static enum status pump_all(struct log_writer *of)
{
	enum status status;

	do
		status = log_writer_pump(of);
	while (status == STATUS_AGAIN);
	return status;
}

static void base_make(void)
{
	static uint8_t *const blocks[] = {base};
	static struct log_ram ram;
	enum status status;

	sample_header(&header, 1);
	log_ram_init(&ram, blocks, 1, sizeof(base));
	status = log_writer_create(&writer, &ram.store, &header, NULL);
	ASSERT(status == STATUS_OK);
	status = pump_all(&writer);
	ASSERT(status == STATUS_OK);
	pointer_offset = writer.pointer_offset;
	base_bytes = writer.next_offset;
}

// The store under test: memory of the exact size, so that the sanitizer sees a byte too far.
static struct log_ram file;
static const struct log_store_ops *file_ops;

static enum status failing_read(struct log_store *store, uint64_t offset, void *bytes,
	size_t count)
{
	if (reads_left > 0 && --reads_left == 0)
		return STATUS_IO;
	return file_ops->read(store, offset, bytes, count);
}

static void store_init(const uint8_t *bytes, size_t count)
{
	static const struct log_store_ops failing = {.read = failing_read};

	log_ram_init_read_only(&file, bytes, count);
	file_ops = file.store.ops;
	file.store.ops = &failing;
}

static const uint8_t *chunk_payload(void)
{
	return reader.current->bytes + LOG_CHUNK_HEADER_BYTES;
}

static enum status next(struct log_record *record)
{
	enum status status;

	while ((status = log_reader_next(&reader, record)) == STATUS_AGAIN) {
		status = log_reader_pump(&reader);
		if (status != STATUS_OK && status != STATUS_AGAIN)
			break;
	}
	if (status != STATUS_OK)
		return status;
	ASSERT(log_record_problem(record) == NULL);
	// It lies in its chunk; behind that there is more memory, so the sanitizer says nothing.
	ASSERT(record->payload >= chunk_payload());
	ASSERT(record->payload + record->payload_bytes <=
		chunk_payload() + reader.current->header.payload_bytes);
	return STATUS_OK;
}

// Reads to the end; the ticks of the first records stay.
static unsigned read_all(void)
{
	struct log_record record;
	uint64_t last = 0;
	unsigned count = 0;
	enum status status;

	for (; (status = next(&record)) == STATUS_OK; count++) {
		ASSERT(record.position.ticks >= last);
		last = record.position.ticks;
		if (count < RECORDS_MAX)
			ticks[count] = last;
	}
	ASSERT(status == STATUS_NOT_FOUND || status == STATUS_IO);
	ASSERT(status == STATUS_IO || reader.end.kind != LOG_END_NONE);
	return count;
}

static void snapshot_read(void)
{
	const uint8_t *bytes;
	enum status status;
	size_t count;

	while ((status = log_reader_snapshot(&reader, &bytes, &count)) == STATUS_OK)
		ASSERT(count <= LOG_CHUNK_PAYLOAD_MAX);
	ASSERT(status == STATUS_NOT_FOUND || status == STATUS_TRUNCATED || status == STATUS_IO);
}

// What a seek finds is what reading from the start finds, as long as the log is good.
static void seek_and_read(uint64_t to, unsigned count, bool good)
{
	struct log_record record;
	unsigned first = 0;
	enum status status = log_reader_seek(&reader, to);

	ASSERT(status == STATUS_OK || status == STATUS_IO);
	if (status != STATUS_OK)
		return;
	status = next(&record);
	ASSERT(status != STATUS_OK || record.position.ticks >= to);
	while (first < count && first < RECORDS_MAX && ticks[first] < to)
		first++;
	if (!good || first == RECORDS_MAX || status == STATUS_IO)
		return;
	ASSERT((status == STATUS_OK) == (first < count));
	ASSERT(first == count || record.position.ticks == ticks[first]);
}

// Each difference to another machine is a text.
static void header_compare(void)
{
	char text[LOG_DIFFERENCE_MAX];
	uint32_t place = 0;

	sample_header(&header, 2);
	while (log_header_difference(&reader.header, &header, &place, "there", "here", text))
		ASSERT(strnlen(text, sizeof(text)) < sizeof(text));
}

static void log_read(uint8_t control)
{
	struct log_check check;
	unsigned count;
	enum status status;
	bool good;

	status = log_check(&reader, &file.store, &check);
	good = status == STATUS_OK && check.problem == NULL;
	if (log_reader_open(&reader, &file.store, NULL) != STATUS_OK)
		return;
	header_compare();
	reads_left = control >> 3;
	if ((control & 1) != 0)
		snapshot_read();
	count = read_all();
	if ((control & 2) != 0)
		for (unsigned i = 0; i < 4 && i < count && i < RECORDS_MAX; i++)
			seek_and_read(ticks[i * 7 % (count < RECORDS_MAX ? count : RECORDS_MAX)] +
				(control >> 2 & 1), count, good && control < 8);
	seek_and_read(0, count, good && control < 8);
	reads_left = 0;
}

// Chunk by chunk, as far as they lie one behind the other.
static void log_repair(uint8_t *bytes, size_t size)
{
	struct log_chunk_header chunk;
	uint32_t sequence = 0;
	uint64_t log_id = 0;
	size_t offset = 0;

	while (size - offset >= sizeof(chunk)) {
		memcpy(&chunk, bytes + offset, sizeof(chunk));
		if (chunk.magic != LOG_MAGIC ||
			chunk.payload_bytes > size - offset - sizeof(chunk) ||
			chunk.payload_bytes > LOG_CHUNK_PAYLOAD_MAX - LOG_ALIGNMENT_MIN)
			break;
		log_id = sequence == 0 ? chunk.log_id : log_id;
		chunk.log_id = log_id;
		if (chunk.type != LOG_CHUNK_POINTER)
			chunk.sequence = sequence++;
		if (log_chunk_stored_bytes(chunk.payload_bytes, 8) > size - offset)
			break;
		offset += log_chunk_seal(bytes + offset, &chunk, LOG_ALIGNMENT_MIN);
		if (sequence == 1 && size - offset >= LOG_POINTER_BYTES && bytes[offset] == 0)
			offset += LOG_POINTER_BYTES; // there is none
	}
}

static size_t chunk_put(uint8_t *to, enum log_chunk_type type, uint32_t sequence, uint32_t records,
	const uint8_t *payload, size_t size)
{
	const struct log_chunk_header chunk = {.type = (uint16_t)type, .sequence = sequence,
		.payload_bytes = (uint32_t)size, .log_id = 1, .first_ticks = type - 1ull,
		.records = records};

	memcpy(to + LOG_CHUNK_HEADER_BYTES, payload, size);
	return log_chunk_seal(to, &chunk, LOG_ALIGNMENT_MIN);
}

// What was read is written again: by another coding, but the same records.
static void records_rewrite(size_t size)
{
	static uint8_t copy[STORE_BYTES];
	static uint8_t *const blocks[] = {copy};
	static struct log_reader second;
	struct log_ram ram;
	struct log_record record, again;
	struct log_stop stop = {0};
	enum status status;

	log_ram_init(&ram, blocks, 1, sizeof(copy) / 4 + (size % 64) * 1024);
	sample_header(&header, 2);
	status = log_writer_create(&writer, &ram.store, &header, NULL);
	ASSERT(status == STATUS_OK);
	status = log_reader_seek(&reader, 0);
	ASSERT(status == STATUS_OK);
	while (next(&record) == STATUS_OK) {
		if (record.kind == LOG_STOP)
			continue;
		status = log_writer_append(&writer, &record);
		if (status == STATUS_BUSY && pump_all(&writer) == STATUS_OK)
			status = log_writer_append(&writer, &record);
		if (status != STATUS_OK)
			break; // full
	}
	ASSERT(status == STATUS_OK || status == STATUS_RANGE);
	stop.position = writer.last;
	log_writer_close(&writer, &stop);
	status = pump_all(&writer);
	ASSERT(status == STATUS_OK && writer.state == LOG_WRITER_CLOSED);

	status = log_reader_open(&second, &ram.store, NULL);
	ASSERT(status == STATUS_OK && second.has_stop);
	status = log_reader_seek(&reader, 0);
	ASSERT(status == STATUS_OK);
	for (uint64_t i = 1; i < second.stop.records; i++) {
		while ((status = log_reader_next(&second, &again)) == STATUS_AGAIN)
			ASSERT(log_reader_pump(&second) <= STATUS_AGAIN);
		ASSERT(status == STATUS_OK);
		do
			status = next(&record);
		while (status == STATUS_OK && record.kind == LOG_STOP);
		ASSERT(status == STATUS_OK && record.kind == again.kind &&
			record.halted == again.halted && record.time == again.time &&
			record.vcpu == again.vcpu &&
			record.device == again.device && record.index == again.index &&
			record.sequence == again.sequence && record.value == again.value &&
			position_equal(&record.position, &again.position) &&
			record.payload_bytes == again.payload_bytes &&
			memcmp(record.payload, again.payload, record.payload_bytes) == 0);
	}
}

// The bytes in their place of a log that is good but for them.
static size_t log_around(uint8_t *log, enum log_mode mode, const uint8_t *data, size_t size)
{
	static const uint8_t key[] = {7, 1, 0};
	uint64_t offset;
	size_t at = base_bytes;

	memcpy(log, base, base_bytes);
	if (mode == LOG_MODE_HEADER) {
		at = chunk_put(log, LOG_CHUNK_HEADER, 0, 0, data, size);
		memset(log + at, 0, LOG_POINTER_BYTES);
		at += LOG_POINTER_BYTES;
		return at + chunk_put(log + at, LOG_CHUNK_RECORDS, 1, 1, key, sizeof(key));
	}
	if (mode == LOG_MODE_RECORDS)
		return at + chunk_put(log + at, LOG_CHUNK_RECORDS, 1, size > 0 ? data[0] : 0,
			data + (size > 0), size - (size > 0));
	for (uint32_t sequence = 1; sequence < 5; sequence++)
		at += chunk_put(log + at, LOG_CHUNK_RECORDS, sequence, 1, key, sizeof(key));
	offset = at;
	at += chunk_put(log + at, LOG_CHUNK_INDEX, 5, 0, data, size);
	chunk_put(log + pointer_offset, LOG_CHUNK_POINTER, 5, 0, (const uint8_t *)&offset,
		sizeof(offset));
	return at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum log_mode mode;
	uint8_t control, *log;
	size_t bytes;

	if (base_bytes == 0)
		base_make();
	if (size < 2 || size > LOG_CHUNK_PAYLOAD_MAX - 64)
		return 0;
	mode = data[0] % LOG_MODES;
	control = data[1];
	data += 2;
	size -= 2;
	log = malloc(base_bytes + size + 1024);
	ASSERT(log != NULL);
	bytes = size;
	if (mode <= LOG_MODE_REPAIRED)
		memcpy(log, data, size);
	else
		bytes = log_around(log, mode, data, size);
	if (mode == LOG_MODE_REPAIRED)
		log_repair(log, bytes);
	log = realloc(log, bytes > 0 ? bytes : 1);
	ASSERT(log != NULL);
	store_init(log, bytes);
	log_read(control);
	if (mode == LOG_MODE_RECORDS)
		records_rewrite(size);
	free(log);
	return 0;
}

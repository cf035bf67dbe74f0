// SPDX-License-Identifier: BSD-2-Clause
// A log that is written, whatever order its recorder does it in, and whatever its store does.
// Input: how the store is (its alignment, a byte, and its size, two), and steps of a byte each.
//
// What a reader finds is what was appended, record for record: all of it in a log that was closed,
// and what came before a flush that was done; its beginning where the store has failed.
#include <stdlib.h>
#include <string.h>

#include "kernel/base/assert.h"
#include "replay/log_check.h"
#include "replay/log_reader.h"
#include "replay/log_writer.h"
#include "tests/fuzz/fuzz.h"
#include "tests/log/sample.h"

enum { STORE_BYTES_MAX = 1 << 19, SEED = 1, BEGIN_READ_ONLY = 16, BEGIN_PROBLEM = 32, MANY = 128 };

static struct disk {
	struct log_store store;
	unsigned writes_left;  // until one fails; 0: none does
	unsigned append_while; // records that come while a write waits
	uint64_t flushed;      // records that were there when a flush was done
	uint8_t bytes[STORE_BYTES_MAX];
} disk;

static struct log_writer writer;
static struct log_reader reader;
static struct log_header header;
static struct sample sample;
static bool pending; // sample.record is not in the log yet
static uint64_t appended, snapshot_bytes;
static unsigned woken;

static void append(void)
{
	enum status status;

	if (!pending)
		sample_next(&sample);
	status = log_writer_append(&writer, &sample.record);
	pending = status != STATUS_OK;
	appended += status == STATUS_OK;
	if (writer.state == LOG_WRITER_FAILED)
		ASSERT(status == STATUS_IO);
	else if (writer.state != LOG_WRITER_OPEN)
		ASSERT(status == STATUS_REFUSED);
	else
		ASSERT(status == STATUS_OK || status == STATUS_BUSY || status == STATUS_RANGE);
}

static enum status disk_read(struct log_store *store, uint64_t offset, void *bytes, size_t count)
{
	(void)store;
	memcpy(bytes, disk.bytes + offset, count);
	return STATUS_OK;
}

static enum status disk_write(struct log_store *store, uint64_t offset, const void *bytes,
	size_t count)
{
	ASSERT(offset % store->alignment == 0 && count % store->alignment == 0);
	for (; disk.append_while > 0; disk.append_while--) {
		append();
		ASSERT(log_writer_pump(&writer) == STATUS_BUSY);
	}
	if (disk.writes_left > 0 && --disk.writes_left == 0)
		return STATUS_IO;
	memcpy(disk.bytes + offset, bytes, count);
	return STATUS_OK;
}

static enum status disk_flush(struct log_store *store)
{
	(void)store;
	return STATUS_OK;
}

static void wake(void *owner)
{
	ASSERT(owner == &writer);
	woken++;
}

static enum status pump_all(void)
{
	enum status status;

	do
		status = log_writer_pump(&writer);
	while (status == STATUS_AGAIN);
	ASSERT(status == STATUS_OK || (status == STATUS_IO && writer.state == LOG_WRITER_FAILED));
	return status;
}

static void flush(void)
{
	uint64_t before = appended;

	log_writer_flush(&writer);
	if (pump_all() == STATUS_OK)
		disk.flushed = before;
}

static void snapshot(void)
{
	static const uint8_t bytes[1000] = {1, 2, 3};
	enum status status = log_writer_snapshot(&writer, bytes, sizeof(bytes));

	if (status == STATUS_OK)
		snapshot_bytes += sizeof(bytes);
	ASSERT(status == STATUS_OK || writer.records > 0 || writer.state != LOG_WRITER_OPEN ||
		status == STATUS_BUSY || status == STATUS_RANGE);
}

// What the store's own checks are for.
static void ask_wrongly(void)
{
	uint8_t byte[LOG_ALIGNMENT_MIN] = {0};
	uint64_t end = disk.store.bytes;
	struct log_store sealed = disk.store;

	sealed.read_only = true;
	ASSERT(log_store_read(&disk.store, end, byte, 1) == STATUS_RANGE);
	ASSERT(log_store_read(&disk.store, UINT64_MAX, byte, 1) == STATUS_RANGE);
	ASSERT(log_store_write(&disk.store, 1, byte, sizeof(byte)) == STATUS_RANGE);
	ASSERT(log_store_write(&disk.store, ALIGN_UP(end, disk.store.alignment), byte,
		disk.store.alignment) == STATUS_RANGE);
	ASSERT(log_store_write(&sealed, 0, byte, sizeof(byte)) == STATUS_REFUSED);
}

// One that is before the last, one that ends a log, and one with a vcpu that there is not.
static void append_wrong(void)
{
	struct log_record record = sample.record;

	if (writer.last.ticks > 0) {
		record.position.ticks = writer.last.ticks - 1;
		ASSERT(log_writer_append(&writer, &record) == STATUS_INVALID);
		record = sample.record;
	}
	record.kind = LOG_STOP;
	ASSERT(log_writer_append(&writer, &record) == STATUS_INVALID);
	record = sample.record;
	record.vcpu = LOG_VCPUS_MAX;
	ASSERT(log_writer_append(&writer, &record) == STATUS_INVALID);
	ask_wrongly();
}

static void close(void)
{
	const struct log_stop stop = {.position = writer.last, .text = "the\tend\n"};

	log_writer_close(&writer, &stop);
}

static void step(uint8_t what)
{
	switch (what % 8) {
	case 0 ... 2:
		for (unsigned i = 0; i <= what / 8; i++)
			append();
		break;
	case 3:
		(void)log_writer_pump(&writer);
		break;
	case 4:
		flush();
		break;
	case 5:
		for (unsigned i = 0; what >= 128 && i < MANY; i++) { // a chunk each
			append();
			flush();
		}
		disk.append_while = what / 8 % 4;
		break;
	case 6:
		if (what < 64)
			snapshot();
		else if (what < 128)
			append_wrong();
		else if (what < 192)
			disk.writes_left = (what & 63) / 8 + 1;
		else
			close();
		break;
	default:
		(void)pump_all();
		break;
	}
}

static enum status next(struct log_record *record)
{
	enum status status;

	while ((status = log_reader_next(&reader, record)) == STATUS_AGAIN) {
		status = log_reader_pump(&reader);
		ASSERT(status == STATUS_OK || status == STATUS_AGAIN);
	}
	return status;
}

static uint64_t snapshot_read(void)
{
	const uint8_t *bytes;
	uint64_t all = 0;
	size_t count;

	while (log_reader_snapshot(&reader, &bytes, &count) == STATUS_OK)
		all += count;
	return all;
}

// The records of the log, from `first` on, are those that were appended.
static uint64_t records_read(uint64_t first_ticks)
{
	static struct sample again;
	struct log_record record;
	uint64_t index = 0;

	sample_begin(&again, SEED);
	ASSERT(log_reader_seek(&reader, first_ticks) == STATUS_OK);
	while (next(&record) == STATUS_OK && record.kind != LOG_STOP) {
		do {
			ASSERT(index++ < appended);
			sample_next(&again);
		} while (again.record.position.ticks < first_ticks);
		ASSERT(record.kind == again.record.kind && record.value == again.record.value &&
			record.device == again.record.device && record.time == again.record.time &&
			record.index == again.record.index && record.vcpu == again.record.vcpu &&
			record.sequence == again.record.sequence &&
			position_equal(&record.position, &again.record.position) &&
			record.payload_bytes == again.record.payload_bytes);
		ASSERT(record.payload_bytes == 0 || memcmp(record.payload,
			again.record.payload, record.payload_bytes) == 0);
	}
	return index;
}

static void compare(void)
{
	bool closed = writer.state == LOG_WRITER_CLOSED;
	struct log_check check;
	uint64_t snapshot_there, there;

	if (log_reader_open(&reader, &disk.store, NULL) != STATUS_OK) {
		ASSERT(!closed && disk.flushed == 0); // not even the header came so far
		return;
	}
	ASSERT(reader.has_stop == closed);
	snapshot_there = snapshot_read();
	there = records_read(0);
	ASSERT(there <= appended && there >= disk.flushed && snapshot_there <= snapshot_bytes);
	if (!closed)
		return;
	ASSERT(there == appended && reader.stop.records == appended + 1);
	ASSERT(snapshot_there == snapshot_bytes);
	ASSERT(log_check(&reader, &disk.store, &check) == STATUS_OK && check.problem == NULL);
	ASSERT(log_reader_open(&reader, &disk.store, NULL) == STATUS_OK);
	ASSERT(records_read(writer.last.ticks / 2) == appended);
	ASSERT(strcmp(reader.stop.text, "the?end?") == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct log_store_ops ops = {.read = disk_read, .write = disk_write,
		.flush = disk_flush};
	const struct log_wake waker = {wake, &writer};
	enum status status;

	if (size < 3)
		return 0;
	memset(&disk, 0, sizeof(disk));
	disk.store = (struct log_store){.ops = &ops,
		.bytes = (data[1] * UINT64_C(256) + data[2]) * 8 % STORE_BYTES_MAX,
		.alignment = (uint32_t)LOG_ALIGNMENT_MIN << data[0] % 10,
		.read_only = (data[0] & BEGIN_READ_ONLY) != 0};
	sample_header(&header, 1);
	if (data[0] & BEGIN_PROBLEM)
		header.problem = "there is one";
	sample_begin(&sample, SEED);
	pending = false;
	appended = snapshot_bytes = 0;
	status = log_writer_create(&writer, &disk.store, &header, &waker);
	if (status != STATUS_OK) {
		ASSERT(header.problem != NULL || disk.store.read_only || status == STATUS_RANGE);
		return 0;
	}
	for (size_t i = 3; i < size; i++)
		step(data[i]);
	if ((data[0] & 0x80) == 0)
		close();
	disk.append_while = 0;
	(void)pump_all();
	compare();
	return 0;
}

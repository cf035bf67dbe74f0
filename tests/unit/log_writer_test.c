// SPDX-License-Identifier: BSD-2-Clause
// The writer: what it refuses, when it is busy, stores that are small, full or fail.
#include <string.h>

#include "kernel/event.h"
#include "tests/unit/log_fake.h"

static struct sample sample, expected;
static struct log_header header;
static uint8_t payload[LOG_PAYLOAD_MAX];

static int setup(void **state)
{
	(void)state;
	log_fake_store_init(&disk, LOG_FAKE_STORE_BYTES, LOG_ALIGNMENT_MIN);
	sample_begin(&sample, 10);
	sample_begin(&expected, 10);
	sample_header(&header, LOG_FAKE_ID);
	return 0;
}

static void a_log_comes_back(void **state)
{
	static const uint32_t alignments[] = {8, 512, 4096};
	static const unsigned flushes[] = {0, 1, 7};

	for (unsigned i = 0; i < 9; i++) {
		setup(state);
		log_fake_store_init(&disk, LOG_FAKE_STORE_BYTES, alignments[i / 3]);
		log_fake_create();
		log_fake_write(&sample, 800, flushes[i % 3]);
		log_fake_close(LOG_STOP_REQUESTED, "enough");
		assert_int_equal(log_fake_read(&disk.store, &expected), 800);
		assert_int_equal(reader.end.kind, LOG_END_CLEAN);
		assert_true(reader.has_stop);
		assert_int_equal(reader.stop.records, 801);
		assert_int_equal(reader.stop.reason, LOG_STOP_REQUESTED);
		assert_string_equal(reader.stop.text, "enough");
		assert_true(position_equal(&reader.stop.position, &sample.record.position));
		assert_int_equal(reader.header.alignment, alignments[i / 3]);
		assert_int_equal(writer.next_offset % alignments[i / 3], 0);
	}
}

// The bytes of the design's goals: a boot without input, in RAM and on a disk.
static void a_log_without_input_is_small(void **state)
{
	static const struct {
		uint32_t alignment, most;
	} stores[] = {{8, 1500}, {512, 3072}};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(stores); i++) {
		log_fake_store_init(&disk, LOG_FAKE_STORE_BYTES, stores[i].alignment);
		log_fake_create();
		log_fake_close(LOG_STOP_MACHINE, "powered off");
		assert_true(writer.next_offset <= stores[i].most);
		assert_int_equal(log_fake_read(&disk.store, &expected), 0);
		assert_int_equal(reader.end.kind, LOG_END_CLEAN);
	}
}

static void a_full_chunk_waits_for_the_pump(void **state)
{
	struct log_record record = {.kind = LOG_BEACON, .payload = payload,
		.payload_bytes = 30000};
	unsigned wakes;

	(void)state;
	log_fake_create();
	assert_int_equal(writer_wakes, 1); // the header
	assert_int_equal(log_writer_append(&writer, &record), STATUS_OK);
	assert_int_equal(log_writer_append(&writer, &record), STATUS_OK);
	wakes = writer_wakes;
	assert_int_equal(log_writer_append(&writer, &record), STATUS_BUSY);
	assert_int_equal(writer_wakes, wakes + 1);
	assert_int_equal(log_writer_append(&writer, &record), STATUS_BUSY);
	assert_int_equal(disk.writes, 0);
	assert_int_equal(log_writer_pump(&writer), STATUS_AGAIN);
	assert_int_equal(disk.writes, 1);
	assert_int_equal(log_writer_append(&writer, &record), STATUS_OK);
	assert_int_equal(log_writer_append(&writer, &record), STATUS_OK);
	assert_int_equal(log_writer_append(&writer, &record), STATUS_BUSY);
	assert_int_equal(log_writer_pump(&writer), STATUS_AGAIN);
	assert_int_equal(log_writer_pump(&writer), STATUS_OK);
	assert_int_equal(log_writer_pump(&writer), STATUS_OK);
	assert_int_equal(disk.writes, 3);
	assert_int_equal(writer.records, 4);
}

static void a_flush_brings_out_what_there_is(void **state)
{
	(void)state;
	log_fake_create();
	log_fake_pump();
	assert_int_equal(disk.flushes, 0);
	log_writer_flush(&writer); // nothing is there, but the header
	log_fake_pump();
	assert_int_equal(disk.writes, 1);
	assert_int_equal(disk.flushes, 1);
	for (unsigned i = 0; i < 3; i++) {
		sample_next(&sample);
		log_fake_append(&sample.record);
	}
	log_writer_flush(&writer);
	log_writer_flush(&writer);
	log_fake_pump();
	assert_int_equal(disk.writes, 2);
	assert_int_equal(disk.flushes, 2);
	assert_int_equal(log_fake_read(&disk.store, &expected), 3);
	assert_int_equal(reader.end.kind, LOG_END_TORN);
	assert_string_equal(reader.end.reason, "no chunk");
	assert_int_equal(reader.end.offset, writer.next_offset);
}

// A guest that runs on while the pump waits.
static void append_meanwhile(void)
{
	enum status status;

	assert_int_equal(log_writer_pump(&writer), STATUS_BUSY);
	for (unsigned i = 0; i < 40; i++) {
		struct sample before = sample;

		sample_next(&sample);
		sample.record.payload = sample.payload;
		status = log_writer_append(&writer, &sample.record);
		if (status != STATUS_BUSY) {
			assert_int_equal(status, STATUS_OK);
			continue;
		}
		sample = before;
		break;
	}
	if (writer.records % 3 == 0)
		log_writer_flush(&writer);
}

static void records_come_while_the_pump_waits(void **state)
{
	unsigned records;

	(void)state;
	log_fake_create();
	disk.meanwhile = append_meanwhile;
	for (unsigned i = 0; i < 100; i++) {
		enum status status = log_writer_pump(&writer);

		assert_true(status == STATUS_OK || status == STATUS_AGAIN);
		log_writer_flush(&writer);
	}
	disk.meanwhile = NULL;
	records = (unsigned)writer.records;
	assert_true(records > 2000);
	log_fake_close(LOG_STOP_REQUESTED, "");
	assert_int_equal(log_fake_read(&disk.store, &expected), records);
	assert_int_equal(reader.end.kind, LOG_END_CLEAN);
}

static void close_meanwhile(void)
{
	struct log_stop stop = {.position = writer.last};

	if (writer.state == LOG_WRITER_OPEN)
		log_writer_close(&writer, &stop);
}

static void closing_does_not_wait(void **state)
{
	unsigned records = 0;

	(void)state;
	log_fake_create();
	for (;; records++) {
		struct sample before = sample;

		sample_next(&sample);
		if (log_writer_append(&writer, &sample.record) == STATUS_OK)
			continue;
		sample = before;
		break;
	}
	disk.meanwhile = close_meanwhile; // with both buffers taken
	log_fake_pump();
	disk.meanwhile = NULL;
	assert_int_equal(writer.state, LOG_WRITER_CLOSED);
	assert_int_equal(log_fake_read(&disk.store, &expected), records);
	assert_int_equal(reader.end.kind, LOG_END_CLEAN);
}

static void what_cannot_be_is_not_taken(void **state)
{
	struct log_record good = {.kind = EVENT_KEY, .halted = true,
		.position = {.ticks = 100}, .time = 1000}, bad;

	(void)state;
	log_fake_create();
	log_fake_append(&good);
	bad = good;
	bad.position.ticks = 99;
	assert_int_equal(log_writer_append(&writer, &bad), STATUS_INVALID);
	bad = good;
	bad.time = 999;
	assert_int_equal(log_writer_append(&writer, &bad), STATUS_INVALID);
	log_writer_flush(&writer); // nor in another chunk
	assert_int_equal(log_writer_append(&writer, &bad), STATUS_INVALID);
	bad = good;
	bad.kind = EVENT_TIMER;
	assert_int_equal(log_writer_append(&writer, &bad), STATUS_INVALID);
	bad.kind = LOG_STOP; // comes by closing
	assert_int_equal(log_writer_append(&writer, &bad), STATUS_INVALID);
	bad = good;
	bad.kind = EVENT_PACKET;
	bad.payload = payload;
	bad.payload_bytes = LOG_PAYLOAD_MAX + 1;
	assert_int_equal(log_writer_append(&writer, &bad), STATUS_INVALID);
	assert_int_equal(writer.records, 1);
	log_fake_pump();
	log_fake_close(LOG_STOP_REQUESTED, "");
	assert_int_equal(log_writer_append(&writer, &good), STATUS_REFUSED);
	assert_int_equal(log_writer_snapshot(&writer, "x", 1), STATUS_REFUSED);
	log_writer_flush(&writer);
	assert_int_equal(log_writer_pump(&writer), STATUS_OK);
}

static void a_log_that_cannot_be_is_not_created(void **state)
{
	static struct log_ram file;

	(void)state;
	log_header_add_number(&header, "", 1);
	assert_int_equal(log_writer_create(&writer, &disk.store, &header, NULL), STATUS_INVALID);
	sample_header(&header, LOG_FAKE_ID);
	log_ram_init_read_only(&file, payload, sizeof(payload));
	assert_int_equal(log_writer_create(&writer, &file.store, &header, NULL), STATUS_REFUSED);
}

// Appends until there is no room. Returns how many records it took. `flush`: each has a chunk.
static unsigned fill(bool flush)
{
	for (unsigned records = 0;; records++) {
		enum status status;

		sample_next(&sample);
		status = log_writer_append(&writer, &sample.record);
		if (status == STATUS_BUSY) {
			log_fake_pump();
			status = log_writer_append(&writer, &sample.record);
		}
		if (status != STATUS_OK) {
			assert_int_equal(status, STATUS_RANGE);
			return records;
		}
		if (flush) {
			log_writer_flush(&writer);
			log_fake_pump();
		}
	}
}

static void expect_full(uint64_t bytes, unsigned records)
{
	struct log_stop stop = {.reason = LOG_STOP_FULL, .text = "full"};

	stop.position = writer.last;
	log_writer_close(&writer, &stop);
	log_fake_pump();
	assert_true(writer.next_offset <= bytes);
	assert_int_equal(log_fake_read(&disk.store, &expected), records);
	assert_int_equal(reader.end.kind, LOG_END_CLEAN);
	assert_int_equal(reader.stop.reason, LOG_STOP_FULL);
}

// In a store of any size: either it is too small, or it holds a log that says that it was full.
static void a_full_store_ends_the_log(void **state)
{
	unsigned created = 0, last = 0;

	(void)state;
	for (uint64_t bytes = 0; bytes < 200000; bytes += bytes < 3000 ? 8 : 1777) {
		enum status status;
		unsigned records;

		setup(state);
		log_fake_store_init(&disk, bytes, LOG_ALIGNMENT_MIN);
		status = log_writer_create(&writer, &disk.store, &header, NULL);
		if (status != STATUS_OK) {
			assert_int_equal(status, STATUS_RANGE);
			assert_int_equal(created, 0);
			continue;
		}
		created++;
		records = fill(false);
		expect_full(bytes, records);
		assert_true(records + 3 >= last); // more room, more records: but for payloads
		last = records;
		// Nothing was written behind the store's end.
		assert_int_equal(disk.bytes[bytes], 0xa5);
	}
	assert_true(created > 150);
}

// Many small chunks: the index grows with them, and has its place in the end.
static void a_store_full_of_chunks_has_room_for_the_index(void **state)
{
	for (uint64_t bytes = 20000; bytes < 24000; bytes += 8) {
		setup(state);
		log_fake_store_init(&disk, bytes, LOG_ALIGNMENT_MIN);
		assert_int_equal(log_writer_create(&writer, &disk.store, &header, NULL), STATUS_OK);
		expect_full(bytes, fill(true));
		assert_true(writer.index.count > 20);
		assert_int_equal(disk.bytes[bytes], 0xa5);
	}
}

// Whichever write fails, what came before can be read.
static void a_store_that_fails_ends_the_recording(void **state)
{
	for (unsigned calls = 1; calls < 60; calls++) {
		enum status status;
		unsigned records = 0, in_store = 0;

		setup(state);
		log_fake_create();
		disk.calls_left = calls;
		do {
			sample_next(&sample);
			status = log_writer_append(&writer, &sample.record);
			assert_int_equal(status, STATUS_OK);
			records++;
			log_writer_flush(&writer);
			do
				status = log_writer_pump(&writer);
			while (status == STATUS_AGAIN);
			in_store += status == STATUS_OK;
		} while (status == STATUS_OK);
		assert_int_equal(status, STATUS_IO);
		assert_int_equal(writer.state, LOG_WRITER_FAILED);
		assert_int_equal(writer.failure, STATUS_IO);
		assert_int_equal(log_writer_append(&writer, &sample.record), STATUS_IO);
		assert_int_equal(log_writer_pump(&writer), STATUS_IO);
		assert_true(log_writer_is_done(&writer));
		close_meanwhile(); // does nothing
		assert_int_equal(in_store, calls < 2 ? 0 : calls - 2);
		if (calls > 1) {
			assert_int_equal(log_fake_read(&disk.store, &expected), in_store);
			assert_int_equal(reader.end.kind, LOG_END_TORN);
		}
		assert_int_equal(records, in_store + 1);
	}
}

static void a_store_that_fails_at_the_end_loses_no_records(void **state)
{
	for (unsigned calls = 1; calls <= 3; calls++) { // the last records, the index, the pointer
		struct log_stop stop;
		enum status status;

		setup(state);
		log_fake_create();
		log_fake_write(&sample, 5, 5);
		disk.calls_left = calls;
		stop = (struct log_stop){.position = writer.last};
		log_writer_close(&writer, &stop);
		do
			status = log_writer_pump(&writer);
		while (status == STATUS_AGAIN);
		assert_int_equal(status, STATUS_IO);
		assert_int_equal(log_fake_read(&disk.store, &expected), 5);
		// With the index in its place the end is known.
		assert_int_equal(reader.end.kind, calls == 3 ? LOG_END_CLEAN : LOG_END_TORN);
	}
}

static void a_snapshot_stands_before_the_records(void **state)
{
	static uint8_t snapshot[300000];
	size_t at = 0, pieces = 0;
	const uint8_t *bytes;
	enum status status;
	size_t count;

	(void)state;
	for (size_t i = 0; i < sizeof(snapshot); i++)
		snapshot[i] = (uint8_t)(i * i >> 7);
	header.start = LOG_START_SNAPSHOT;
	assert_int_equal(log_writer_create(&writer, &disk.store, &header, NULL), STATUS_OK);
	while (at < sizeof(snapshot)) {
		count = 1 + at % 7 * 4681;
		if (count > sizeof(snapshot) - at)
			count = sizeof(snapshot) - at;
		status = log_writer_snapshot(&writer, snapshot + at, count);
		if (status == STATUS_BUSY) {
			log_fake_pump();
			continue;
		}
		assert_int_equal(status, STATUS_OK);
		at += count;
	}
	log_fake_write(&sample, 100, 30);
	assert_int_equal(log_writer_snapshot(&writer, snapshot, 1), STATUS_REFUSED);
	log_fake_close(LOG_STOP_REQUESTED, "");

	log_fake_open(&disk.store);
	assert_int_equal(reader.header.start, LOG_START_SNAPSHOT);
	at = 0;
	while ((status = log_reader_snapshot(&reader, &bytes, &count)) == STATUS_OK) {
		assert_memory_equal(bytes, snapshot + at, count);
		at += count;
		pieces++;
	}
	assert_int_equal(status, STATUS_NOT_FOUND);
	assert_int_equal(at, sizeof(snapshot));
	assert_in_range(pieces, 5, 10);
	assert_int_equal(log_reader_snapshot(&reader, &bytes, &count), STATUS_NOT_FOUND);
	for (unsigned i = 0; i < 100; i++) {
		struct log_record record;

		sample_next(&expected);
		assert_int_equal(log_fake_next(&record), STATUS_OK);
		assert_true(log_fake_records_equal(&record, &expected.record));
	}
	// Who does not want it passes over it.
	sample_begin(&expected, 10);
	assert_int_equal(log_fake_read(&disk.store, &expected), 100);
}

static void the_end_is_not_before_the_last_record(void **state)
{
	struct log_stop stop = {.position.ticks = 1};

	(void)state;
	log_fake_create();
	log_fake_write(&sample, 10, 0);
	expect_assert_failure(log_writer_close(&writer, &stop));
}

// Whoever words it, and however long it is: the log stays whole.
static void an_end_is_told_in_one_line(void **state)
{
	struct log_stop stop = {.reason = LOG_STOP_FAILED, .vcpu = 63, .text = "a\tb\x7f\n"};
	struct log_check check;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		log_fake_create();
		log_fake_write(&sample, 10, 0);
		stop.position = writer.last;
		log_writer_close(&writer, &stop);
		log_fake_pump();
		assert_int_equal(log_check(&reader, &disk.store, &check), STATUS_OK);
		assert_null(check.problem);
		assert_int_equal(reader.stop.vcpu, 63);
		if (i == 0)
			assert_string_equal(reader.stop.text, "a?b??");
		else
			assert_int_equal(strlen(reader.stop.text), LOG_STOP_TEXT_MAX - 1);
		memset(stop.text, 'x', sizeof(stop.text)); // without an end
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_log_comes_back, setup),
		cmocka_unit_test_setup(a_log_without_input_is_small, setup),
		cmocka_unit_test_setup(a_full_chunk_waits_for_the_pump, setup),
		cmocka_unit_test_setup(a_flush_brings_out_what_there_is, setup),
		cmocka_unit_test_setup(records_come_while_the_pump_waits, setup),
		cmocka_unit_test_setup(closing_does_not_wait, setup),
		cmocka_unit_test_setup(what_cannot_be_is_not_taken, setup),
		cmocka_unit_test_setup(a_log_that_cannot_be_is_not_created, setup),
		cmocka_unit_test_setup(a_full_store_ends_the_log, setup),
		cmocka_unit_test_setup(a_store_full_of_chunks_has_room_for_the_index, setup),
		cmocka_unit_test_setup(a_store_that_fails_ends_the_recording, setup),
		cmocka_unit_test_setup(a_store_that_fails_at_the_end_loses_no_records, setup),
		cmocka_unit_test_setup(a_snapshot_stands_before_the_records, setup),
		cmocka_unit_test_setup(the_end_is_not_before_the_last_record, setup),
		cmocka_unit_test_setup(an_end_is_told_in_one_line, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: BSD-2-Clause
// The reader, and logs that are not as they were written: cut, changed, older ones, later ones.
#include <stdlib.h>
#include <string.h>

#include "kernel/event.h"
#include "tests/unit/log_fake.h"

enum { CHUNKS_MAX = 64 };

static struct sample sample, expected;
static uint64_t chunks[CHUNKS_MAX + 1]; // where they start, and the last one ends
static unsigned chunk_count;

static int setup(void **state)
{
	(void)state;
	log_fake_store_init(&disk, LOG_FAKE_STORE_BYTES, LOG_ALIGNMENT_MIN);
	sample_begin(&sample, 20);
	sample_begin(&expected, 20);
	return 0;
}

// Behind the header and the place for the pointer.
static uint64_t first_chunk(void)
{
	struct log_chunk_header header = log_fake_header_at(&disk, 0);

	return log_chunk_stored_bytes(header.payload_bytes, LOG_ALIGNMENT_MIN) +
		log_pointer_stored_bytes(LOG_ALIGNMENT_MIN);
}

static void chunks_find(void)
{
	chunk_count = 0;
	chunks[0] = first_chunk();
	while (chunks[chunk_count] < writer.next_offset) {
		struct log_chunk_header header = log_fake_header_at(&disk, chunks[chunk_count]);

		assert_int_equal(header.magic, LOG_MAGIC);
		assert_true(chunk_count < CHUNKS_MAX);
		chunks[chunk_count + 1] = chunks[chunk_count] +
			log_chunk_stored_bytes(header.payload_bytes, LOG_ALIGNMENT_MIN);
		chunk_count++;
	}
}

// A log of chunks with `each` records; closed, the last two chunks are those of the end and index.
static void log_make(unsigned records, unsigned each, bool close)
{
	log_fake_create();
	log_fake_write(&sample, records, each);
	if (close)
		log_fake_close(LOG_STOP_REQUESTED, "done");
	chunks_find();
}

static void expect_read(unsigned records, uint64_t end, const char *reason)
{
	sample_begin(&expected, 20);
	assert_int_equal(log_fake_read(&disk.store, &expected), records);
	assert_int_equal(reader.end.kind, reason == NULL ? LOG_END_CLEAN : LOG_END_TORN);
	assert_int_equal(reader.end.offset, end);
	if (reason != NULL)
		assert_string_equal(reader.end.reason, reason);
}

static void nothing_is_loaded_before_the_pump(void **state)
{
	struct log_record record;

	(void)state;
	log_make(6, 2, true);
	log_fake_open(&disk.store);
	assert_int_equal(log_reader_next(&reader, &record), STATUS_AGAIN);
	assert_int_equal(log_reader_next(&reader, &record), STATUS_AGAIN);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(log_reader_pump(&reader), STATUS_OK);
		assert_int_equal(log_reader_pump(&reader), STATUS_OK); // one ahead is enough
		assert_int_equal(reader_wakes, i);
		assert_int_equal(log_reader_next(&reader, &record), STATUS_OK);
		assert_int_equal(reader_wakes, i + 1);
		assert_int_equal(log_reader_next(&reader, &record), STATUS_OK);
		assert_int_equal(log_reader_next(&reader, &record), STATUS_AGAIN);
	}
	assert_int_equal(log_fake_next(&record), STATUS_OK);
	assert_int_equal(record.kind, LOG_STOP);
	assert_int_equal(log_fake_next(&record), STATUS_NOT_FOUND);
	assert_int_equal(log_reader_next(&reader, &record), STATUS_NOT_FOUND);
}

static unsigned taken_meanwhile;

static void take_meanwhile(void)
{
	struct log_record record;

	assert_int_equal(log_reader_pump(&reader), STATUS_BUSY);
	assert_int_equal(log_reader_seek(&reader, 0), STATUS_BUSY);
	while (log_reader_next(&reader, &record) == STATUS_OK)
		taken_meanwhile += record.kind != LOG_STOP;
}

static void records_are_taken_while_the_pump_waits(void **state)
{
	struct log_record record;
	unsigned count = 0;

	(void)state;
	log_make(60, 2, true);
	log_fake_open(&disk.store);
	disk.meanwhile = take_meanwhile;
	while (log_reader_next(&reader, &record) != STATUS_NOT_FOUND) {
		count++;
		assert_int_not_equal(log_reader_pump(&reader), STATUS_IO);
	}
	assert_true(taken_meanwhile > 20);
	assert_true(taken_meanwhile + count >= 60);
	assert_int_equal(reader.end.kind, LOG_END_CLEAN);
}

// At every length the log reads up to the last chunk that is all there.
static void a_log_that_is_cut_reads_to_its_last_whole_chunk(void **state)
{
	unsigned header;

	(void)state;
	log_make(24, 3, true);
	header = LOG_CHUNK_HEADER_BYTES + log_fake_header_at(&disk, 0).payload_bytes;
	for (uint64_t bytes = 0; bytes <= writer.next_offset; bytes++) {
		unsigned whole = 0, payload;

		disk.store.bytes = bytes;
		if (bytes < header) {
			assert_int_equal(log_reader_open(&reader, &disk.store, NULL),
				STATUS_BAD_FORMAT);
			assert_non_null(reader.end.reason);
			continue;
		}
		for (; whole < chunk_count; whole++) {
			payload = log_fake_header_at(&disk, chunks[whole]).payload_bytes;
			if (chunks[whole] + LOG_CHUNK_HEADER_BYTES + payload > bytes)
				break;
		}
		if (whole == chunk_count)
			expect_read(24, chunks[whole - 1], NULL);
		else
			expect_read(whole < 8 ? 3 * whole : 24, chunks[whole],
				bytes < chunks[whole] + LOG_CHUNK_HEADER_BYTES ? "the store ends" :
				"a chunk is cut off");
	}
}

// A bit of the file is flipped: no record is lost before the chunk that has it.
static void flip(uint64_t offset, unsigned bit)
{
	unsigned at = 0;
	uint64_t pointer = chunks[0] - log_pointer_stored_bytes(LOG_ALIGNMENT_MIN);
	struct log_chunk_header header;

	disk.bytes[offset] ^= (uint8_t)(1 << bit);
	while (at < chunk_count && chunks[at + 1] <= offset)
		at++;
	sample_begin(&expected, 20);
	header = log_fake_header_at(&disk, chunks[at]);
	if (offset < pointer) {
		if (log_reader_open(&reader, &disk.store, NULL) == STATUS_OK) // in the padding
			assert_true(offset >= pointer - 7);
		else
			assert_non_null(reader.end.reason);
	} else if (offset < chunks[0]) {
		expect_read(24, chunks[chunk_count - 1], NULL);
		assert_true(reader.index_is_whole);
	} else {
		unsigned read = log_fake_read(&disk.store, &expected);

		if (read == 24 && reader.end.kind == LOG_END_CLEAN) {
			assert_true(offset >= chunks[at] + LOG_CHUNK_HEADER_BYTES +
				header.payload_bytes); // in the padding
		} else {
			assert_int_equal(reader.end.kind, LOG_END_TORN);
			assert_int_equal(reader.end.offset, chunks[at]);
			assert_int_equal(read, at < 8 ? 3 * at : 24);
		}
	}
	disk.bytes[offset] ^= (uint8_t)(1 << bit);
}

static void a_log_with_a_changed_bit_reads_to_the_chunk_before(void **state)
{
	(void)state;
	log_make(24, 3, true);
	for (uint64_t offset = 0; offset < writer.next_offset; offset++)
		for (unsigned bit = 0; bit < 8; bit++)
			flip(offset, bit);
	expect_read(24, chunks[chunk_count - 1], NULL);
}

// A later log in the same store: what is left of the one before is none of its.
static void chunks_of_an_older_log_do_not_continue_it(void **state)
{
	struct log_record record = {.kind = EVENT_KEY, .position = {.ticks = 1}};
	struct log_header header;
	uint64_t end;

	(void)state;
	log_fake_create();
	for (unsigned i = 0; i < 30; i++) { // all chunks of the same length
		log_fake_append(&record);
		log_writer_flush(&writer);
		log_fake_pump();
	}
	log_fake_close(LOG_STOP_REQUESTED, "old");
	sample_header(&header, LOG_FAKE_ID + 1);
	assert_int_equal(log_writer_create(&writer, &disk.store, &header, NULL), STATUS_OK);
	for (unsigned i = 0; i < 10; i++) {
		log_fake_append(&record);
		log_writer_flush(&writer);
		log_fake_pump();
	}
	end = writer.next_offset;
	assert_int_equal(log_fake_header_at(&disk, end).magic, LOG_MAGIC);
	assert_int_equal(log_fake_header_at(&disk, end).sequence, 11);
	log_fake_open(&disk.store);
	assert_false(reader.has_stop); // nor does the old pointer count
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(log_fake_next(&record), STATUS_OK);
	assert_int_equal(log_fake_next(&record), STATUS_NOT_FOUND);
	assert_int_equal(reader.end.kind, LOG_END_TORN);
	assert_int_equal(reader.end.offset, end);
	assert_string_equal(reader.end.reason, "a chunk of another log");
	// Seeking does not go there either.
	assert_int_equal(log_reader_seek(&reader, UINT64_MAX), STATUS_OK);
	assert_int_equal(log_fake_next(&record), STATUS_NOT_FOUND);
}

static void header_change(unsigned chunk, const struct log_chunk_header *header,
	const char *reason)
{
	struct log_chunk_header before = log_fake_header_at(&disk, chunks[chunk]);

	log_fake_reseal(&disk, chunks[chunk], header);
	expect_read(3 * chunk, chunks[chunk], reason);
	log_fake_reseal(&disk, chunks[chunk], &before);
}

// With right CRCs: what somebody else wrote.
static void chunks_that_do_not_belong_end_the_log(void **state)
{
	struct log_chunk_header header, good;

	(void)state;
	log_make(24, 3, true);
	good = header = log_fake_header_at(&disk, chunks[2]);
	header.log_id++;
	header_change(2, &header, "a chunk of another log");
	header = good;
	header.sequence++;
	header_change(2, &header, "a chunk out of sequence");
	header = good;
	header.reserved = 1;
	header_change(2, &header, "a chunk with reserved bits");
	header = good;
	header.type = LOG_CHUNK_HEADER;
	header_change(2, &header, "a chunk that is out of place");
	header.type = LOG_CHUNK_POINTER;
	header_change(2, &header, "a chunk that is out of place");
	header.type = LOG_CHUNK_SNAPSHOT;
	header_change(2, &header, "a snapshot behind records");
	header = good;
	header.first_ticks = 0;
	header_change(2, &header, "a chunk goes back in time");
	expect_read(24, chunks[chunk_count - 1], NULL);
	disk.bytes[chunks[3] + 12] = disk.bytes[chunks[3] + 13] = 0xff; // its length
	expect_read(9, chunks[3], "a chunk that is too long");
}

// Records of a chunk whose CRC is right: the log ends in it, behind the last good record.
static void records_that_do_not_belong_end_the_log(void **state)
{
	static const struct {
		uint8_t bytes[8];
		unsigned count, records, good;
		const char *reason;
	} cases[] = {
		{{EVENT_KEY, 0, 0, EVENT_KEY, 0, 0}, 6, 2, 2, "no chunk"},
		{{EVENT_KEY, 0, 0}, 3, 0, 0, "bytes behind a chunk's last record"},
		{{EVENT_KEY, 0, 0}, 3, 2, 1, "cut off"},
		{{EVENT_KEY, 0, 0, 0, 0, 0}, 6, 2, 1, "a kind that is never recorded"},
		{{EVENT_KEY, 0, 0, EVENT_LINE, 0, 8, 2}, 7, 2, 1, "a line has two levels"},
		{{EVENT_KEY, 0, 0, EVENT_KEY, 0, 0xe0, 0x80, 0x7f}, 8, 2, 1, "cut off"},
		{{EVENT_KEY, 0, 0x10, 63, EVENT_KEY, 0, 0x10, 64}, 8, 2, 1,
			"a number is too large"},
		{{EVENT_KEY, 0, 1, 0xff, 0xff, 4}, 6, 1, 0, "a number is too large"},
	};
	struct log_record record;

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		uint64_t end;

		setup(state);
		log_make(0, 0, false);
		end = log_fake_chunk(&disk, chunks[0], LOG_CHUNK_RECORDS, 1, 5000, cases[i].records,
			cases[i].bytes, cases[i].count);
		log_fake_open(&disk.store);
		for (unsigned j = 0; j < cases[i].good; j++)
			assert_int_equal(log_fake_next(&record), STATUS_OK);
		for (unsigned j = 0; j < 3; j++)
			assert_int_equal(log_fake_next(&record), STATUS_NOT_FOUND);
		assert_int_equal(reader.end.kind, LOG_END_TORN);
		assert_string_equal(reader.end.reason, cases[i].reason);
		assert_in_range(reader.end.offset, chunks[0], end);
	}
}

// Positions and times do not go back from chunk to chunk.
static void later_chunks_go_on(void **state)
{
	static const uint8_t key[] = {EVENT_KEY, 100, 0}, wait[] = {EVENT_KEY | LOG_TAG_HALTED, 0,
		50, 0}, early[] = {EVENT_KEY | LOG_TAG_HALTED, 0, 49, 0};
	struct log_record record;
	uint64_t next;

	(void)state;
	log_make(0, 0, false);
	next = log_fake_chunk(&disk, chunks[0], LOG_CHUNK_RECORDS, 1, 5000, 1, key, sizeof(key));
	log_fake_chunk(&disk, next, LOG_CHUNK_RECORDS, 2, 5099, 1, wait, sizeof(wait));
	log_fake_open(&disk.store);
	assert_int_equal(log_fake_next(&record), STATUS_OK);
	assert_int_equal(record.position.ticks, 5100);
	assert_int_equal(log_fake_next(&record), STATUS_NOT_FOUND);
	assert_string_equal(reader.end.reason, "a record goes back in position");
	next = log_fake_chunk(&disk, next, LOG_CHUNK_RECORDS, 2, 5100, 1, wait, sizeof(wait));
	log_fake_chunk(&disk, next, LOG_CHUNK_RECORDS, 3, 5100, 1, early, sizeof(early));
	log_fake_open(&disk.store);
	assert_int_equal(log_fake_next(&record), STATUS_OK);
	assert_int_equal(log_fake_next(&record), STATUS_OK);
	assert_int_equal(record.time, 50);
	assert_int_equal(log_fake_next(&record), STATUS_NOT_FOUND);
	assert_string_equal(reader.end.reason, "a record goes back in time");
}

static void files_that_are_no_logs_are_refused(void **state)
{
	struct log_chunk_header header;

	(void)state;
	assert_int_equal(log_reader_open(&reader, &disk.store, NULL), STATUS_BAD_FORMAT);
	assert_string_equal(reader.end.reason, "not a log");
	disk.store.bytes = 39;
	assert_int_equal(log_reader_open(&reader, &disk.store, NULL), STATUS_BAD_FORMAT);
	disk.store.bytes = LOG_FAKE_STORE_BYTES;
	log_make(3, 0, false);
	header = log_fake_header_at(&disk, 0);
	header.type = LOG_CHUNK_RECORDS;
	log_fake_reseal(&disk, 0, &header);
	assert_int_equal(log_reader_open(&reader, &disk.store, NULL), STATUS_BAD_FORMAT);
	header.type = LOG_CHUNK_HEADER;
	header.sequence = 1;
	log_fake_reseal(&disk, 0, &header);
	assert_int_equal(log_reader_open(&reader, &disk.store, NULL), STATUS_BAD_FORMAT);
	assert_string_equal(reader.end.reason, "a chunk out of sequence");
	header.sequence = 0;
	header.payload_bytes -= 100;
	log_fake_reseal(&disk, 0, &header);
	assert_int_equal(log_reader_open(&reader, &disk.store, NULL), STATUS_BAD_FORMAT);
	assert_string_equal(reader.end.reason, "cut off");
}

// A log of a later version, which says that this one can read it: new chunks, kinds and events.
static void later_versions_are_read_as_far_as_known(void **state)
{
	static const uint8_t records[] = {EVENT_KEY, 10, 0, 12, 10, 0x39, 3, 7, 1, 'x', 25, 1,
		0x40, 'a', 'b', EVENT_KEY, 2, 0, LOG_RATE, 0, 8, 5};
	static struct log_header header;
	struct log_record record;
	uint64_t at;

	(void)state;
	sample_header(&header, LOG_FAKE_ID);
	header.version = LOG_VERSION + 5;
	assert_int_equal(log_writer_create(&writer, &disk.store, &header, NULL), STATUS_OK);
	log_fake_pump();
	at = log_fake_chunk(&disk, first_chunk(), 9, 1, 5000, 77, "what", 4);
	at = log_fake_chunk(&disk, at, LOG_CHUNK_RECORDS, 2, 5000, 5, records, sizeof(records));
	log_fake_chunk(&disk, at, 65535, 3, 6000, 0, "", 0);
	log_fake_open(&disk.store);
	assert_int_equal(reader.header.version, LOG_VERSION + 5);
	assert_int_equal(log_fake_next(&record), STATUS_OK);
	assert_int_equal(record.kind, EVENT_KEY);
	assert_int_equal(record.sequence, 0);
	assert_int_equal(log_fake_next(&record), STATUS_OK);
	assert_int_equal(record.kind, EVENT_KEY);
	assert_int_equal(record.vcpu, 3); // the last record's, known or not
	assert_int_equal(record.device, 7); // the last event's
	assert_int_equal(record.sequence, 1);
	assert_int_equal(record.position.ticks, 5023);
	assert_int_equal(log_fake_next(&record), STATUS_OK);
	assert_int_equal(record.kind, LOG_RATE);
	assert_int_equal(record.value, 5);
	assert_int_equal(log_fake_next(&record), STATUS_NOT_FOUND);
	assert_int_equal(reader.skipped_records, 2);
	assert_int_equal(reader.skipped_chunks, 2);
}

static void versions_that_need_more_are_refused(void **state)
{
	static struct log_header header;

	(void)state;
	sample_header(&header, LOG_FAKE_ID);
	header.version = header.needs = LOG_VERSION + 1;
	assert_int_equal(log_writer_create(&writer, &disk.store, &header, NULL), STATUS_OK);
	log_fake_pump();
	assert_int_equal(log_reader_open(&reader, &disk.store, NULL), STATUS_UNSUPPORTED);
	assert_int_equal(reader.header.needs, LOG_VERSION + 1);
	assert_string_equal(reader.end.reason, "it needs a later version to be read");
}

static void a_store_that_fails_is_no_end(void **state)
{
	unsigned opened = 0;

	(void)state;
	log_make(24, 3, true);
	for (unsigned calls = 1; calls < 24; calls++) {
		struct log_record record;
		enum status status;

		disk.calls_left = calls;
		status = log_reader_open(&reader, &disk.store, NULL);
		if (status != STATUS_OK) {
			assert_int_equal(status, STATUS_IO);
			continue;
		}
		opened++;
		do
			status = log_fake_next(&record);
		while (status == STATUS_OK);
		assert_int_equal(status, STATUS_IO);
		assert_int_equal(reader.end.kind, LOG_END_NONE);
		assert_int_equal(log_fake_next(&record), STATUS_IO);
		// It may be well again.
		assert_int_equal(log_reader_seek(&reader, 0), STATUS_OK);
		assert_int_equal(log_fake_next(&record), STATUS_OK);
	}
	assert_true(opened > 10);
	disk.calls_left = 0;
}

static void a_snapshot_that_is_cut_off_is_told(void **state)
{
	static struct log_header header;
	const uint8_t *bytes;
	size_t count;

	(void)state;
	sample_header(&header, LOG_FAKE_ID);
	header.start = LOG_START_SNAPSHOT;
	assert_int_equal(log_writer_create(&writer, &disk.store, &header, NULL), STATUS_OK);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(log_writer_snapshot(&writer, disk.bytes, 20000), STATUS_OK);
		log_writer_flush(&writer);
		log_fake_pump();
	}
	disk.store.bytes = writer.next_offset - 100;
	log_fake_open(&disk.store);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(log_reader_snapshot(&reader, &bytes, &count), STATUS_OK);
	assert_int_equal(log_reader_snapshot(&reader, &bytes, &count), STATUS_TRUNCATED);
	assert_int_equal(log_reader_snapshot(&reader, &bytes, &count), STATUS_TRUNCATED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(nothing_is_loaded_before_the_pump, setup),
		cmocka_unit_test_setup(records_are_taken_while_the_pump_waits, setup),
		cmocka_unit_test_setup(a_log_that_is_cut_reads_to_its_last_whole_chunk, setup),
		cmocka_unit_test_setup(a_log_with_a_changed_bit_reads_to_the_chunk_before, setup),
		cmocka_unit_test_setup(chunks_of_an_older_log_do_not_continue_it, setup),
		cmocka_unit_test_setup(chunks_that_do_not_belong_end_the_log, setup),
		cmocka_unit_test_setup(records_that_do_not_belong_end_the_log, setup),
		cmocka_unit_test_setup(later_chunks_go_on, setup),
		cmocka_unit_test_setup(files_that_are_no_logs_are_refused, setup),
		cmocka_unit_test_setup(later_versions_are_read_as_far_as_known, setup),
		cmocka_unit_test_setup(versions_that_need_more_are_refused, setup),
		cmocka_unit_test_setup(a_store_that_fails_is_no_end, setup),
		cmocka_unit_test_setup(a_snapshot_that_is_cut_off_is_told, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

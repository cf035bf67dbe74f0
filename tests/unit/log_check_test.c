// SPDX-License-Identifier: BSD-2-Clause
// Seeking, with an index and without, and the check of a whole log.
#include <stdlib.h>
#include <string.h>

#include "kernel/event.h"
#include "tests/unit/log_fake.h"

enum { RECORDS_MAX = 4000 };

static struct sample sample;
static uint64_t ticks[RECORDS_MAX];
static unsigned count;
static struct log_check check;

static int setup(void **state)
{
	(void)state;
	log_fake_store_init(&disk, LOG_FAKE_STORE_BYTES, LOG_ALIGNMENT_MIN);
	sample_begin(&sample, 30);
	count = 0;
	return 0;
}

// `each` records a chunk; ticks are small, so many records have the same.
static void log_make(unsigned records, unsigned each, bool close)
{
	struct log_record record = {.kind = EVENT_KEY, .position = {.ticks = 1000}};

	log_fake_create();
	for (; count < records; count++) {
		record.position.ticks += sample_random(&sample) % 4 * (sample_random(&sample) % 2);
		record.sequence = record.value = count;
		ticks[count] = record.position.ticks;
		log_fake_append(&record);
		if (count % each == each - 1)
			log_writer_flush(&writer);
		log_fake_pump();
	}
	log_writer_flush(&writer);
	log_fake_pump();
	if (close)
		log_fake_close(LOG_STOP_REQUESTED, "done");
}

// Seeks, and reads on a little.
static void expect_seek(uint64_t to)
{
	struct log_record record;
	unsigned first = 0;

	while (first < count && ticks[first] < to)
		first++;
	assert_int_equal(log_reader_seek(&reader, to), STATUS_OK);
	for (unsigned i = first; i < count && i < first + 5; i++) {
		assert_int_equal(log_fake_next(&record), STATUS_OK);
		assert_int_equal(record.value, i);
		assert_int_equal(record.sequence, i);
		assert_int_equal(record.position.ticks, ticks[i]);
	}
	if (first == count) {
		enum status status = log_fake_next(&record);

		assert_true(status == STATUS_NOT_FOUND || record.kind == LOG_STOP);
	}
}

static void expect_seeks(void)
{
	static const uint64_t places[] = {0, 1, 999, UINT64_MAX};

	for (size_t i = 0; i < ARRAY_COUNT(places); i++)
		expect_seek(places[i]);
	for (unsigned i = 0; i < 300; i++)
		expect_seek(1000 + sample_random(&sample) % (ticks[count - 1] - 998));
	expect_seek(ticks[count - 1]);
	expect_seek(ticks[count - 1] + 1);
	expect_seek(ticks[0]);
}

static void any_place_is_found_by_the_index(void **state)
{
	(void)state;
	log_make(600, 2, true);
	log_fake_open(&disk.store);
	assert_true(reader.index_is_whole);
	assert_int_equal(reader.index.count, 301); // and that of the end
	disk.reads = 0;
	assert_int_equal(log_reader_seek(&reader, ticks[550]), STATUS_OK);
	assert_true(disk.reads <= 4);
	expect_seeks();
}

static void any_place_is_found_without_an_index(void **state)
{
	unsigned first;

	(void)state;
	log_make(600, 2, false);
	log_fake_open(&disk.store);
	assert_false(reader.index_is_whole);
	disk.reads = 0;
	assert_int_equal(log_reader_seek(&reader, ticks[550]), STATUS_OK);
	first = disk.reads;
	assert_true(first > 200);
	disk.reads = 0;
	assert_int_equal(log_reader_seek(&reader, ticks[540]), STATUS_OK);
	assert_true(disk.reads <= 4); // what was passed is known
	expect_seeks();
}

// So many chunks that each entry of the index stands for several.
static void any_place_is_found_by_a_thin_index(void **state)
{
	(void)state;
	log_make(RECORDS_MAX, 1, true);
	log_fake_open(&disk.store);
	assert_int_equal(reader.index.stride, 8);
	expect_seeks();
	setup(state);
	log_make(RECORDS_MAX, 1, false);
	log_fake_open(&disk.store);
	expect_seeks();
	assert_int_equal(reader.index.stride, 8);
}

static void seeking_passes_over_a_snapshot(void **state)
{
	static struct log_header header;
	struct log_record record = {.kind = EVENT_KEY, .position = {.ticks = 50}};
	const uint8_t *bytes;
	size_t size;

	(void)state;
	sample_header(&header, LOG_FAKE_ID);
	header.start = LOG_START_SNAPSHOT;
	assert_int_equal(log_writer_create(&writer, &disk.store, &header, NULL), STATUS_OK);
	for (unsigned i = 0; i < 10; i++) {
		assert_int_equal(log_writer_snapshot(&writer, disk.bytes, 30000), STATUS_OK);
		log_fake_pump();
	}
	log_fake_append(&record);
	log_fake_close(LOG_STOP_REQUESTED, "");
	log_fake_open(&disk.store);
	assert_int_equal(log_reader_seek(&reader, 50), STATUS_OK);
	assert_int_equal(log_fake_next(&record), STATUS_OK);
	assert_int_equal(record.position.ticks, 50);
	assert_int_equal(log_reader_seek(&reader, 0), STATUS_OK); // back to it
	assert_int_equal(log_reader_snapshot(&reader, &bytes, &size), STATUS_OK);
	assert_int_equal(log_check(&reader, &disk.store, &check), STATUS_OK);
	assert_null(check.problem);
	assert_int_equal(check.snapshot_bytes, 300000);
	assert_int_equal(check.records, 2);
}

static void index_change(uint64_t offset_of_index, unsigned byte, uint8_t value)
{
	struct log_chunk_header header = log_fake_header_at(&disk, offset_of_index);

	disk.bytes[offset_of_index + LOG_CHUNK_HEADER_BYTES + byte] = value;
	log_fake_reseal(&disk, offset_of_index, &header);
}

// An index that leads elsewhere costs time, and nothing else.
static void an_index_that_lies_is_found_out(void **state)
{
	uint64_t offset;
	unsigned byte, lies = 0;

	(void)state;
	log_make(600, 2, true);
	log_fake_open(&disk.store);
	offset = reader.index.entries[reader.index.count - 1].offset;
	offset += log_chunk_stored_bytes(log_fake_header_at(&disk, offset).payload_bytes, 8);
	assert_int_equal(log_fake_header_at(&disk, offset).type, LOG_CHUNK_INDEX);
	for (byte = 40; byte < 100; byte++) {
		uint8_t before = disk.bytes[offset + LOG_CHUNK_HEADER_BYTES + byte];

		index_change(offset, byte, before ^ 3);
		log_fake_open(&disk.store);
		lies += reader.index_is_whole;
		for (unsigned i = 0; i < 600; i += 50)
			expect_seek(ticks[i]);
		assert_int_equal(log_check(&reader, &disk.store, &check), STATUS_OK);
		assert_non_null(check.problem);
		index_change(offset, byte, before);
	}
	assert_true(lies > 10);
	assert_int_equal(log_check(&reader, &disk.store, &check), STATUS_OK);
	assert_null(check.problem);
}

// Seeks that fail leave the reader as it was.
static void a_failed_seek_can_be_tried_again(void **state)
{
	(void)state;
	log_make(60, 2, false);
	log_fake_open(&disk.store);
	disk.calls_left = 10;
	assert_int_equal(log_reader_seek(&reader, ticks[50]), STATUS_IO);
	expect_seek(ticks[50]);
}

static void a_good_log_has_no_problem(void **state)
{
	(void)state;
	log_make(100, 7, true);
	assert_int_equal(log_check(&reader, &disk.store, &check), STATUS_OK);
	assert_null(check.problem);
	assert_int_equal(check.records, 101);
	assert_int_equal(check.snapshot_bytes, 0);
	assert_int_equal(check.good_bytes, writer.next_offset);
}

static void a_torn_log_has_one(void **state)
{
	(void)state;
	log_make(100, 7, false);
	assert_int_equal(log_check(&reader, &disk.store, &check), STATUS_OK);
	assert_string_equal(check.problem, "no chunk");
	assert_int_equal(check.offset, writer.next_offset);
	assert_int_equal(check.good_bytes, writer.next_offset);
	assert_int_equal(check.records, 100);
	disk.calls_left = 20;
	assert_int_equal(log_check(&reader, &disk.store, &check), STATUS_IO);
	disk.store.bytes = 100;
	assert_int_equal(log_check(&reader, &disk.store, &check), STATUS_BAD_FORMAT);
}

// A log whose end does not go with its records: chunks by hand, with right CRCs.
static void an_end_that_lies_is_found_out(void **state)
{
	static const struct {
		uint8_t stop[5];
		uint8_t bytes, index_reason, index_vcpu, index_records;
		const char *problem;
	} cases[] = {
		{{LOG_STOP, 5, 8, 1}, 4, LOG_STOP_MACHINE, 0, 1, NULL},
		{{LOG_STOP, 5, 0x18, 63, 1}, 5, LOG_STOP_MACHINE, 63, 1, NULL},
		{{LOG_STOP, 5, 0x18, 63, 1}, 5, LOG_STOP_MACHINE, 62, 1, "two different ends"},
		{{LOG_STOP, 5, 8, 1}, 4, LOG_STOP_FULL, 0, 1, "two different ends"},
		{{LOG_STOP, 4, 8, 1}, 4, LOG_STOP_MACHINE, 0, 1, "two different ends"},
		{{EVENT_KEY, 5, 8, 1}, 4, LOG_STOP_MACHINE, 0, 1, "no record of the end"},
		{{LOG_STOP, 5, 8, 1}, 4, LOG_STOP_MACHINE, 0, 2,
			"another number of records than at the end"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		uint8_t index[] = {cases[i].index_reason, 0, cases[i].index_vcpu, 0, 0, 0,
			cases[i].index_records, 0, 1, 1, 0};
		uint64_t at;

		setup(state);
		log_fake_create();
		log_fake_pump();
		at = log_fake_chunk(&disk, writer.next_offset, LOG_CHUNK_RECORDS, 1, 5000, 1,
			cases[i].stop, cases[i].bytes);
		log_fake_chunk(&disk, at, LOG_CHUNK_INDEX, 2, 5005, 0, index, sizeof(index));
		assert_int_equal(log_check(&reader, &disk.store, &check), STATUS_OK);
		if (cases[i].problem == NULL)
			assert_null(check.problem);
		else
			assert_string_equal(check.problem, cases[i].problem);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(any_place_is_found_by_the_index, setup),
		cmocka_unit_test_setup(any_place_is_found_without_an_index, setup),
		cmocka_unit_test_setup(any_place_is_found_by_a_thin_index, setup),
		cmocka_unit_test_setup(seeking_passes_over_a_snapshot, setup),
		cmocka_unit_test_setup(an_index_that_lies_is_found_out, setup),
		cmocka_unit_test_setup(a_failed_seek_can_be_tried_again, setup),
		cmocka_unit_test_setup(a_good_log_has_no_problem, setup),
		cmocka_unit_test_setup(a_torn_log_has_one, setup),
		cmocka_unit_test_setup(an_end_that_lies_is_found_out, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: BSD-2-Clause
// For tests of the log: a store that can fail and be seen into, whole logs written and read, and
// chunks made by hand.
#ifndef TESTS_UNIT_LOG_FAKE_H
#define TESTS_UNIT_LOG_FAKE_H

#include "tests/unit/fake_env.h"

#include "replay/log_check.h"
#include "replay/log_format.h"
#include "replay/log_ram.h"
#include "replay/log_reader.h"
#include "replay/log_writer.h"
#include "tests/log/sample.h"

enum { LOG_FAKE_STORE_BYTES = 4 << 20, LOG_FAKE_ID = 0x1234567890 };

struct log_fake_store {
	struct log_store store;
	uint8_t bytes[LOG_FAKE_STORE_BYTES]; // 0xa5 at first
	unsigned reads, writes, flushes;
	unsigned calls_left; // reads and writes until one fails; 0: none does
	// Called in the middle of every read and write, as a guest would run then.
	void (*meanwhile)(void);
};

// Not touched beyond `bytes`.
void log_fake_store_init(struct log_fake_store *store, uint64_t bytes, uint32_t alignment);

// The objects under test.
extern struct log_writer writer;
extern struct log_reader reader;
extern struct log_fake_store disk;
extern unsigned writer_wakes, reader_wakes;

// A writer on `disk` with a usual header, which LOG_FAKE_ID names.
void log_fake_create(void);
// Pumps until there is nothing to do.
void log_fake_pump(void);
// Appends, and pumps where the writer is busy.
void log_fake_append(const struct log_record *record);
// Records of the sample, each chunk flushed behind `flush_every` of them (0: only full ones).
void log_fake_write(struct sample *sample, unsigned records, unsigned flush_every);
// Ends the log where the last record is.
void log_fake_close(enum log_stop_reason reason, const char *text);

void log_fake_open(struct log_store *store);
// The next record; what the pump has to do is done.
enum status log_fake_next(struct log_record *record);
// Opens a log and takes all records; checks them against the sample's, and returns how many they
// are. A final LOG_STOP is not counted.
unsigned log_fake_read(struct log_store *store, struct sample *expected);

bool log_fake_records_equal(const struct log_record *a, const struct log_record *b);

// A chunk by hand at the offset, with a right CRC; returns the offset behind it.
uint64_t log_fake_chunk(struct log_fake_store *store, uint64_t offset, unsigned type,
	uint32_t sequence, uint64_t ticks, uint32_t records, const void *payload, size_t bytes);
// The header of the chunk at the offset.
struct log_chunk_header log_fake_header_at(const struct log_fake_store *store, uint64_t offset);
// The chunk at the offset gets another header, and the CRC that goes with it.
void log_fake_reseal(struct log_fake_store *store, uint64_t offset,
	const struct log_chunk_header *header);

#endif

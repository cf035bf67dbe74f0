// SPDX-License-Identifier: BSD-2-Clause
// Copies a log with one record changed, for tests that want to see that noticed.
//
//	log_edit drop N FROM TO     without the event, counted from 1
//	log_edit shift N FROM TO    it comes one tick later
//	log_edit alter N FROM TO    its first byte, or else its value, is another
//	log_edit rate N FROM TO     the first change of the rate is one to N
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "replay/log_ram.h"
#include "replay/log_reader.h"
#include "replay/log_writer.h"
#include "tests/log/host.h"

enum { STORE_BYTES = 64 << 20 };

static struct log_reader reader;
static struct log_writer writer;
static uint8_t to[STORE_BYTES];

static _Noreturn void fail(const char *why)
{
	fprintf(stderr, "log_edit: %s\n", why);
	exit(1);
}

static void pump(void)
{
	while (log_writer_pump(&writer) == STATUS_AGAIN)
		;
}

static enum status next(struct log_record *record)
{
	enum status status;

	while ((status = log_reader_next(&reader, record)) == STATUS_AGAIN)
		(void)!log_reader_pump(&reader);
	return status;
}

static void append(const struct log_record *record)
{
	enum status status;

	while ((status = log_writer_append(&writer, record)) == STATUS_BUSY)
		pump();
	if (status != STATUS_OK)
		fail(status_name(status));
}

static void snapshot_copy(void)
{
	const uint8_t *bytes;
	size_t count;

	while (log_reader_snapshot(&reader, &bytes, &count) == STATUS_OK) {
		enum status status;

		while ((status = log_writer_snapshot(&writer, bytes, count)) == STATUS_BUSY)
			pump();
		if (status != STATUS_OK)
			fail(status_name(status));
	}
}

// False: it is to be left out.
static bool change(struct log_record *record, const char *how, uint8_t *payload)
{
	if (strcmp(how, "drop") == 0)
		return false;
	if (strcmp(how, "shift") == 0) {
		record->position.ticks++;
	} else if (record->payload_bytes > 0) {
		memcpy(payload, record->payload, record->payload_bytes);
		payload[0] ^= 1;
		record->payload = payload;
	} else {
		record->value ^= 1;
	}
	return true;
}

static void records_copy(const char *how, unsigned long number)
{
	static uint8_t payload[LOG_PAYLOAD_MAX];
	struct log_record record;
	bool of_rate = strcmp(how, "rate") == 0, found = false;
	unsigned long events = 0;

	while (next(&record) == STATUS_OK) {
		bool meant = of_rate ? record.kind == LOG_RATE && !found
				     : record.kind <= LOG_EVENT_LAST && ++events == number;

		found |= meant;
		if (record.kind == LOG_STOP)
			break; // the writer makes its own
		if (meant && of_rate)
			record.value = number;
		else if (meant && !change(&record, how, payload))
			continue;
		append(&record);
	}
	if (!found)
		fail("it has no such record");
}

int main(int argc, char **argv)
{
	static struct log_ram ram, from;
	static uint8_t bytes[STORE_BYTES];
	static uint8_t *const blocks[] = {to};
	FILE *file;
	size_t count;

	if (argc != 5)
		fail("usage: log_edit drop|shift|alter|rate N FROM TO");
	file = fopen(argv[3], "rb");
	count = file != NULL ? fread(bytes, 1, sizeof(bytes), file) : 0;
	log_ram_init_read_only(&from, bytes, count);
	if (log_reader_open(&reader, &from.store, NULL) != STATUS_OK)
		fail("not a log");
	log_ram_init(&ram, blocks, 1, STORE_BYTES);
	ram.store.alignment = reader.header.alignment;
	if (log_writer_create(&writer, &ram.store, &reader.header, NULL) != STATUS_OK)
		fail("its header cannot be written");
	snapshot_copy();
	records_copy(argv[1], strtoul(argv[2], NULL, 10));
	if (!reader.has_stop)
		fail("it was not closed");
	log_writer_close(&writer, &reader.stop);
	pump();
	file = fopen(argv[4], "wb");
	if (file == NULL || fwrite(to, 1, count, file) != count || fclose(file) != 0)
		fail("it cannot be written");
	return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
// Makes logs for tests/log_tool.py.
//
//	log_make FOLDER         closed.log, ram.log, open.log, snapshot.log, record.log, machine.log
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/base/assert.h"
#include "replay/log_format.h"
#include "replay/log_ram.h"
#include "replay/log_writer.h"
#include "tests/log/sample.h"

enum { STORE_BYTES = 1 << 20, RECORDS = 300 };

static struct log_writer writer;
static struct log_ram ram;
static uint8_t memory[STORE_BYTES];
static uint8_t *const blocks[] = {memory};
static struct log_header header;

enum status status_origin_record(enum status status, const char *file, int line)
{
	(void)file;
	(void)line;
	return status;
}

_Noreturn void assert_fail(const char *condition, const char *file, int line)
{
	fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, condition);
	abort();
}

static void pump(void)
{
	enum status status;

	do
		status = log_writer_pump(&writer);
	while (status == STATUS_AGAIN);
	ASSERT(status == STATUS_OK);
}

static void begin(uint32_t alignment, enum log_start start)
{
	enum status status;

	log_ram_init(&ram, blocks, 1, STORE_BYTES);
	ram.store.alignment = alignment;
	memset(memory, 0, sizeof(memory));
	header.start = start;
	status = log_writer_create(&writer, &ram.store, &header, NULL);
	ASSERT(status == STATUS_OK);
	pump();
}

// All but number `without` are as always.
static void records(unsigned count, unsigned each, unsigned without)
{
	struct sample sample;
	enum status status;

	sample_begin(&sample, 50);
	for (unsigned i = 1; i <= count; i++) {
		sample_next(&sample);
		if (i == without)
			sample.record.position.rcx ^= 1;
		status = log_writer_append(&writer, &sample.record);
		ASSERT(status == STATUS_OK);
		if (i == without)
			sample.record.position.rcx ^= 1;
		if (each > 0 && i % each == 0)
			log_writer_flush(&writer);
		pump();
	}
	log_writer_flush(&writer);
	pump();
}

static void end(void)
{
	struct log_stop stop = {.reason = LOG_STOP_MACHINE, .vcpu = 5, .position = writer.last,
		.text = "the machine powered off"};

	log_writer_close(&writer, &stop);
	pump();
}

static void file_write(const char *folder, const char *name, const void *head, size_t head_bytes,
	const void *bytes, size_t count)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "wb");
	if (file == NULL || fwrite(head, 1, head_bytes, file) != head_bytes ||
		fwrite(bytes, 1, count, file) != count || fclose(file) != 0) {
		perror(path);
		exit(1);
	}
}

static void log_save(const char *folder, const char *name)
{
	// What stands behind a log in a region.
	file_write(folder, name, "", 0, memory, writer.next_offset + 3000);
}

static void logs_make(const char *folder)
{
	sample_header(&header, 0x1122334455667788);
	begin(512, LOG_START_POWER_ON);
	records(RECORDS, 40, 0);
	log_save(folder, "open.log");
	end();
	log_save(folder, "closed.log");
	begin(512, LOG_START_POWER_ON);
	records(RECORDS, 40, 123);
	end();
	log_save(folder, "record.log");
	begin(8, LOG_START_POWER_ON);
	records(RECORDS, 0, 0);
	end();
	log_save(folder, "ram.log");
	begin(8, LOG_START_SNAPSHOT);
	for (unsigned i = 0; i < 5; i++) {
		enum status status = log_writer_snapshot(&writer, "a piece of it", 13);

		ASSERT(status == STATUS_OK);
	}
	records(RECORDS, 0, 0);
	end();
	log_save(folder, "snapshot.log");
	header.settings[0].text++; // of the command line
	header.leaves[3].registers[1]++;
	begin(8, LOG_START_POWER_ON);
	records(RECORDS, 0, 0);
	end();
	log_save(folder, "machine.log");
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: log_make FOLDER\n");
		return 2;
	}
	logs_make(argv[1]);
	return 0;
}

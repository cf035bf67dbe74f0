// SPDX-License-Identifier: BSD-2-Clause
// Makes logs for tests/log_tool.py, and what the fuzzer of tests/fuzz/log_fuzz.c starts from.
//
//	log_make FOLDER         closed.log, ram.log, open.log, snapshot.log, record.log, machine.log
//	log_make --seeds FOLDER one file a seed: its mode, a byte of control, and the bytes
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replay/log_format.h"
#include "replay/log_ram.h"
#include "replay/log_writer.h"
#include "tests/fuzz/log_modes.h"
#include "tests/log/host.h"
#include "tests/log/sample.h"

enum { STORE_BYTES = 1 << 20, RECORDS = 300 };

static struct log_writer writer;
static struct log_ram ram;
static uint8_t memory[STORE_BYTES];
static uint8_t *const blocks[] = {memory};
static struct log_header header;

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

static void seed(const char *folder, const char *name, enum log_mode mode, uint64_t offset,
	size_t count)
{
	const uint8_t head[] = {(uint8_t)mode, 0};

	file_write(folder, name, head, sizeof(head), memory + offset, count);
}

// The payload of each chunk in a mode of its own.
static void payload_seeds(const char *folder, const char *log)
{
	for (uint64_t offset = 0; offset < writer.next_offset;) {
		struct log_chunk_header chunk;
		uint64_t payload = offset + LOG_CHUNK_HEADER_BYTES;
		char name[64];

		memcpy(&chunk, memory + offset, sizeof(chunk));
		snprintf(name, sizeof(name), "%s-chunk-%u", log, chunk.sequence);
		if (chunk.type == LOG_CHUNK_RECORDS) {
			uint8_t head[] = {LOG_MODE_RECORDS, 2, (uint8_t)chunk.records};

			file_write(folder, name, head, sizeof(head), memory + payload,
				chunk.payload_bytes);
		} else {
			seed(folder, name, chunk.type == LOG_CHUNK_HEADER ? LOG_MODE_HEADER :
				LOG_MODE_INDEX, payload, chunk.payload_bytes);
		}
		offset += log_chunk_stored_bytes(chunk.payload_bytes, 8);
		if (chunk.type == LOG_CHUNK_HEADER)
			offset += log_pointer_stored_bytes(8);
	}
}

static void seeds_make(const char *folder)
{
	sample_header(&header, 1);
	header.leaves_count = 3;
	begin(8, LOG_START_POWER_ON);
	records(12, 5, 0);
	end();
	seed(folder, "raw", LOG_MODE_RAW, 0, writer.next_offset);
	seed(folder, "repaired", LOG_MODE_REPAIRED, 0, writer.next_offset);
	payload_seeds(folder, "closed");
	begin(8, LOG_START_SNAPSHOT);
	(void)!log_writer_snapshot(&writer, "snapshot", 8);
	records(4, 1, 0);
	seed(folder, "snapshot", LOG_MODE_REPAIRED, 0, writer.next_offset);
	begin(8, LOG_START_POWER_ON);
	records(60, 0, 0);
	payload_seeds(folder, "long");
}

int main(int argc, char **argv)
{
	if (argc == 2) {
		logs_make(argv[1]);
	} else if (argc == 3 && strcmp(argv[1], "--seeds") == 0) {
		seeds_make(argv[2]);
	} else {
		fprintf(stderr, "usage: log_make [--seeds] FOLDER\n");
		return 2;
	}
	return 0;
}

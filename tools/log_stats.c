// SPDX-License-Identifier: BSD-2-Clause
// What takes the space in a log: by kind of record and field, and beside the records.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "replay/log_format.h"
#include "tools/log_tool.h"

struct stats {
	uint64_t records[LOG_KINDS], bytes[LOG_KINDS][LOG_FIELDS];
	uint64_t known;                         // bytes of these records
	uint64_t chunks[LOG_CHUNK_POINTER + 1]; // by type; 0: other types
	uint64_t payload[LOG_CHUNK_POINTER + 1];
	uint64_t headers, padding, total;
};

static const char *const field_names[LOG_FIELDS] = {"tags", "ticks", "rip", "rcx", "time", "vcpu",
	"ids", "value", "payload"};

static enum status records_count(struct log_file *file, struct stats *stats)
{
	struct log_record record;
	enum status status;

	while ((status = log_file_next(file, &record)) == STATUS_OK) {
		const uint32_t *spent = file->reader.codec.spent;

		stats->records[record.kind]++;
		for (unsigned field = 0; field < LOG_FIELDS; field++) {
			stats->bytes[record.kind][field] += spent[field];
			stats->known += spent[field];
		}
	}
	return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

static void chunk_count(struct stats *stats, unsigned type, uint64_t payload, uint64_t stored)
{
	if (type > LOG_CHUNK_POINTER)
		type = 0;
	stats->chunks[type]++;
	stats->payload[type] += payload;
	stats->headers += LOG_CHUNK_HEADER_BYTES;
	stats->padding += stored - payload - LOG_CHUNK_HEADER_BYTES;
	stats->total += stored;
}

// Those that the reader has found good.
static enum status chunks_count(struct log_file *file, struct stats *stats)
{
	uint32_t alignment = file->reader.header.alignment;
	uint64_t offset = 0;

	while (offset < file->reader.next_offset) {
		struct log_chunk_header header;
		enum status status = log_store_read(&file->store, offset, &header, sizeof(header));
		uint64_t stored;

		if (status != STATUS_OK)
			return status;
		stored = log_chunk_stored_bytes(header.payload_bytes, alignment);
		chunk_count(stats, header.type, header.payload_bytes, stored);
		offset += stored;
		if (header.type == LOG_CHUNK_HEADER) {
			stored = log_pointer_stored_bytes(alignment);
			chunk_count(stats, LOG_CHUNK_POINTER,
				LOG_POINTER_BYTES - LOG_CHUNK_HEADER_BYTES, stored);
			offset += stored;
		}
	}
	return STATUS_OK;
}

static void row_print(const char *name, uint64_t records, const uint64_t bytes[LOG_FIELDS])
{
	uint64_t sum = 0;

	for (unsigned field = 0; field < LOG_FIELDS; field++)
		sum += bytes[field];
	printf("%-12s%10" PRIu64 "%12" PRIu64, name, records, sum);
	for (unsigned field = 0; field < LOG_FIELDS; field++)
		printf("%10" PRIu64, bytes[field]);
	printf("\n");
}

static void records_print(const struct stats *stats)
{
	uint64_t records = 0, bytes[LOG_FIELDS] = {0};

	printf("%-12s%10s%12s", "record", "count", "bytes");
	for (unsigned field = 0; field < LOG_FIELDS; field++)
		printf("%10s", field_names[field]);
	printf("\n");
	for (unsigned kind = 0; kind < LOG_KINDS; kind++) {
		if (stats->records[kind] == 0)
			continue;
		row_print(log_kind_name(kind), stats->records[kind], stats->bytes[kind]);
		records += stats->records[kind];
		for (unsigned field = 0; field < LOG_FIELDS; field++)
			bytes[field] += stats->bytes[kind][field];
	}
	row_print("all", records, bytes);
}

static void line_print(const struct stats *stats, const char *name, uint64_t count,
	uint64_t bytes)
{
	if (count > 0 || bytes > 0)
		printf("%-12s%10" PRIu64 "%12" PRIu64 "%9" PRIu64 " %%\n", name, count, bytes,
			stats->total > 0 ? (bytes * 100 + stats->total / 2) / stats->total : 0);
}

static void space_print(const struct stats *stats, uint64_t unknown)
{
	uint64_t records = 0, chunks = 0;

	for (unsigned kind = 0; kind < LOG_KINDS; kind++)
		records += stats->records[kind];
	for (unsigned type = 0; type <= LOG_CHUNK_POINTER; type++)
		chunks += stats->chunks[type];
	printf("\n%-12s%10s%12s\n", "space", "count", "bytes");
	line_print(stats, "records", records, stats->known);
	line_print(stats, "unread", unknown, stats->payload[LOG_CHUNK_RECORDS] - stats->known);
	line_print(stats, "chunks", chunks, stats->headers);
	line_print(stats, "padding", chunks, stats->padding);
	line_print(stats, "header", 1, stats->payload[LOG_CHUNK_HEADER]);
	line_print(stats, "pointer", 1, stats->payload[LOG_CHUNK_POINTER]);
	line_print(stats, "snapshot", stats->chunks[LOG_CHUNK_SNAPSHOT],
		stats->payload[LOG_CHUNK_SNAPSHOT]);
	line_print(stats, "index", stats->chunks[LOG_CHUNK_INDEX], stats->payload[LOG_CHUNK_INDEX]);
	line_print(stats, "other", stats->chunks[0], stats->payload[0]);
	line_print(stats, "all", chunks, stats->total);
}

int log_tool_stats(const char *path)
{
	static struct log_file file;
	static struct stats stats;
	enum status status;

	if (!log_file_open(&file, path))
		return LOG_TOOL_TROUBLE;
	status = records_count(&file, &stats);
	if (status != STATUS_OK)
		return LOG_TOOL_TROUBLE;
	status = chunks_count(&file, &stats);
	if (status != STATUS_OK)
		return log_file_trouble(&file, status);
	records_print(&stats);
	space_print(&stats, file.reader.skipped_records);
	printf("\n");
	log_print_end(&file.reader);
	log_file_close(&file);
	return LOG_TOOL_SAME;
}

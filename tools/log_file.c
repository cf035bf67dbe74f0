// SPDX-License-Identifier: BSD-2-Clause
// A log in a file, a device or an image of one, and how its parts are printed.
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernel/base/assert.h"
#include "tools/log_tool.h"

// What the sources of the image ask of the machine that they run on.

enum status status_origin_record(enum status status, const char *file, int line)
{
	(void)file;
	(void)line;
	return status;
}

_Noreturn void assert_fail(const char *condition, const char *file, int line)
{
	fprintf(stderr, "reprise-log: %s:%d: assertion failed: %s\n", file, line, condition);
	abort();
}

static enum status file_read(struct log_store *store, uint64_t offset, void *bytes, size_t count)
{
	const struct log_file *file = CONTAINER_OF(store, const struct log_file, store);
	uint8_t *to = bytes;

	while (count > 0) {
		ssize_t part = pread(file->descriptor, to, count, (off_t)offset);

		if (part < 0 && errno == EINTR)
			continue;
		if (part <= 0) // it has become shorter
			return STATUS_FAIL(STATUS_IO);
		to += part;
		offset += (uint64_t)part;
		count -= (size_t)part;
	}
	return STATUS_OK;
}

static const struct log_store_ops file_ops = {.read = file_read};

static bool open_failed(const struct log_file *file, const char *why)
{
	fprintf(stderr, "reprise-log: %s: %s\n", file->path, why);
	if (file->descriptor >= 0)
		close(file->descriptor);
	return false;
}

bool log_file_open(struct log_file *file, const char *path)
{
	const struct log_header *header = &file->reader.header;
	enum status status;
	off_t end;

	file->path = path;
	file->descriptor = open(path, O_RDONLY | O_CLOEXEC);
	if (file->descriptor < 0)
		return open_failed(file, strerror(errno));
	end = lseek(file->descriptor, 0, SEEK_END); // works for devices too
	if (end < 0)
		return open_failed(file, strerror(errno));
	file->store = (struct log_store){.ops = &file_ops, .bytes = (uint64_t)end,
		.alignment = LOG_ALIGNMENT_MIN, .read_only = true};
	status = log_reader_open(&file->reader, &file->store, NULL);
	if (status == STATUS_OK)
		return true;
	if (status == STATUS_UNSUPPORTED)
		fprintf(stderr, "reprise-log: %s: a log of version %u, to be read by version %u "
				"or later; this is %u\n",
			path, header->version, header->needs, LOG_VERSION);
	return open_failed(file, file->reader.end.reason != NULL ? file->reader.end.reason :
		status_name(status));
}

void log_file_close(struct log_file *file)
{
	close(file->descriptor);
}

int log_file_trouble(const struct log_file *file, enum status status)
{
	fprintf(stderr, "reprise-log: %s: %s\n", file->path, status_name(status));
	return LOG_TOOL_TROUBLE;
}

enum status log_file_next(struct log_file *file, struct log_record *record)
{
	enum status status;

	while ((status = log_reader_next(&file->reader, record)) == STATUS_AGAIN) {
		status = log_reader_pump(&file->reader);
		if (status != STATUS_OK && status != STATUS_AGAIN)
			break;
	}
	if (status != STATUS_OK && status != STATUS_NOT_FOUND)
		(void)log_file_trouble(file, status);
	return status;
}

void log_print_text(const char *text, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (text[i] >= ' ' && text[i] <= '~' && text[i] != '\\')
			putchar(text[i]);
		else
			printf("\\x%02x", (unsigned)(uint8_t)text[i]);
	}
}

static void print_bytes(const uint8_t *bytes, uint32_t count)
{
	enum { SHOWN = 32 };

	printf(" [%u]", count);
	for (uint32_t i = 0; i < count && i < SHOWN; i++)
		printf("%s%02x", i == 0 ? " " : "", bytes[i]);
	if (count > SHOWN)
		printf("...");
}

void log_print_record(const char *prefix, uint64_t number, const struct log_record *record)
{
	const struct position *place = &record->position;

	printf("%s%" PRIu64 " @%" PRIu64 " vcpu %u rip %#" PRIx64 " rcx %#" PRIx64, prefix, number,
		place->ticks, record->vcpu, place->rip, place->rcx);
	if (record->halted)
		printf(" halted to %" PRIu64, record->time);
	printf(" %s", log_kind_name(record->kind));
	if (record->kind <= LOG_EVENT_LAST)
		printf(" device %u index %u sequence %" PRIu64, record->device, record->index,
			record->sequence);
	if (record->kind == LOG_STOP)
		printf(" %s", log_stop_reason_name(record->value));
	else
		printf(" value %" PRIu64, record->value);
	if (record->kind == LOG_STOP && record->payload_bytes > 0) {
		printf(": ");
		log_print_text((const char *)record->payload, record->payload_bytes);
	} else if (record->payload_bytes > 0) {
		print_bytes(record->payload, record->payload_bytes);
	}
	printf("\n");
}

const char *log_stop_reason_name(uint64_t reason)
{
	static const char *const names[] = {[LOG_STOP_REQUESTED] = "requested",
		[LOG_STOP_MACHINE] = "machine ended", [LOG_STOP_FULL] = "store full",
		[LOG_STOP_FAILED] = "failed", [LOG_STOP_CONTINUED] = "continued"};

	return reason < ARRAY_COUNT(names) ? names[reason] : "for an unknown reason";
}

void log_print_end(const struct log_reader *reader)
{
	const struct log_stop *stop = &reader->stop;

	if (reader->end.kind == LOG_END_TORN) {
		printf("torn at offset %" PRIu64 ": %s\n", reader->end.offset, reader->end.reason);
	} else if (reader->has_stop) {
		printf("%s at %" PRIu64 " vcpu %u rip %#" PRIx64 " rcx %#" PRIx64 ", %" PRIu64
			" records", log_stop_reason_name(stop->reason), stop->position.ticks,
			stop->vcpu, stop->position.rip, stop->position.rcx, stop->records);
		printf("%s", stop->text[0] != '\0' ? ": " : "");
		log_print_text(stop->text, strlen(stop->text));
		printf("\n");
	} else {
		printf("no index: it was not closed, or is torn (verify tells)\n");
	}
}

// SPDX-License-Identifier: BSD-2-Clause
#include "vm/snapshot_stream.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "kernel/base/assert.h"
#include "kernel/crc32c.h"
#include "kernel/mem.h"

static const char magic[8] = {'R', 'e', 'p', 'r', 'i', 's', 'e', 0x1a};

enum {
	HEADER_BYTES = 16,
	HEADER_COVERED = 12,
	SECTION_BYTES = SNAPSHOT_NAME_MAX + 16,
	CRC_BYTES = 8,
	ALIGNMENT = 8,
	CHUNK_BYTES = 4096, // of a payload, at a time
};

struct snapshot_block {
	struct snapshot_block *next;
	uint8_t bytes[];
};
#define BLOCK_BYTES (LARGE_PAGE_BYTES - sizeof(struct snapshot_block))

static const char end_name[] = "end";

void snapshot_stream_init(struct snapshot_stream *stream)
{
	memset(stream, 0, sizeof(*stream));
}

void snapshot_stream_free(struct snapshot_stream *stream)
{
	struct snapshot_block *block = stream->first, *next;

	for (; block != NULL; block = next) {
		next = block->next;
		mem_large_free(block);
	}
	snapshot_stream_init(stream);
}

bool snapshot_stream_equals(const struct snapshot_stream *a, const struct snapshot_stream *b)
{
	const struct snapshot_block *left = a->first, *right = b->first;

	if (a->bytes != b->bytes)
		return false;
	for (uint64_t bytes = a->bytes; bytes > 0;) {
		size_t part = bytes < BLOCK_BYTES ? bytes : BLOCK_BYTES;

		if (memcmp(left->bytes, right->bytes, part) != 0)
			return false;
		left = left->next;
		right = right->next;
		bytes -= part;
	}
	return true;
}

size_t snapshot_stream_piece(const struct snapshot_stream *stream, const struct snapshot_block **at,
	const uint8_t **bytes)
{
	*at = *at == NULL ? stream->first : (*at)->next;
	if (*at == NULL)
		return 0;
	*bytes = (*at)->bytes;
	return *at != stream->last ? BLOCK_BYTES : stream->bytes - (stream->bytes - 1) /
		BLOCK_BYTES * BLOCK_BYTES;
}

static bool block_add(struct snapshot_stream *stream)
{
	struct snapshot_block *block = mem_large_alloc();

	if (block == NULL)
		return false;
	block->next = NULL;
	if (stream->last != NULL)
		stream->last->next = block;
	else
		stream->first = block;
	stream->last = block;
	return true;
}

enum status snapshot_stream_append(struct snapshot_stream *stream, const void *bytes, size_t count)
{
	const uint8_t *from = bytes;

	while (count > 0) {
		uint64_t offset = stream->bytes % BLOCK_BYTES;
		size_t part = BLOCK_BYTES - offset < count ? BLOCK_BYTES - offset : count;

		if (offset == 0 && !block_add(stream)) {
			stream->no_memory = true;
			return STATUS_FAIL(STATUS_NO_MEMORY);
		}
		memcpy(stream->last->bytes + offset, from, part);
		stream->bytes += part;
		from += part;
		count -= part;
	}
	return STATUS_OK;
}

enum status snapshot_fail(struct snapshot_stream *stream, enum status status, const char *format,
	...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(stream->error, sizeof(stream->error), format, arguments);
	va_end(arguments);
	return STATUS_FAIL(status);
}

enum status snapshot_refuse(struct snapshot_stream *stream, const char *name, uint32_t instance,
	const struct state_error *error)
{
	unsigned long long value = error->value, min = error->min, max = error->max;

	if (error->field == NULL)
		return snapshot_fail(stream, STATUS_INVALID, "%s %u: %s", name, instance,
			error->reason);
	return snapshot_fail(stream, STATUS_INVALID,
		"%s %u: %s[%u]: 0x%llx is not allowed (0x%llx to 0x%llx): %s", name, instance,
		error->field, error->index, value, min, max, error->reason);
}

// Writing.

static void put(struct snapshot_stream *stream, const void *bytes, size_t count)
{
	if (!stream->no_memory)
		(void)!snapshot_stream_append(stream, bytes, count);
}

void snapshot_put(struct snapshot_stream *stream, const void *bytes, size_t count)
{
	ASSERT(count <= stream->left);
	stream->left -= count;
	stream->crc = crc32c_update(stream->crc, bytes, count);
	put(stream, bytes, count);
}

void snapshot_write_begin(struct snapshot_stream *stream)
{
	const uint32_t version = SNAPSHOT_VERSION;
	uint32_t crc;

	ASSERT(stream->bytes == 0);
	crc = crc32c_update(0, magic, sizeof(magic));
	crc = crc32c_update(crc, &version, sizeof(version));
	put(stream, magic, sizeof(magic));
	put(stream, &version, sizeof(version));
	put(stream, &crc, sizeof(crc));
}

static void section_encode(uint8_t header[SECTION_BYTES], const char *name, uint32_t instance,
	uint32_t version, uint64_t length)
{
	ASSERT(strlen(name) < SNAPSHOT_NAME_MAX);
	memset(header, 0, SNAPSHOT_NAME_MAX);
	for (size_t i = 0; name[i] != '\0'; i++)
		header[i] = (uint8_t)name[i];
	memcpy(header + SNAPSHOT_NAME_MAX, &instance, 4);
	memcpy(header + SNAPSHOT_NAME_MAX + 4, &version, 4);
	memcpy(header + SNAPSHOT_NAME_MAX + 8, &length, 8);
}

void snapshot_section_begin(struct snapshot_stream *stream, const char *name, uint32_t instance,
	uint32_t version, uint64_t length)
{
	uint8_t header[SECTION_BYTES];

	ASSERT(stream->left == 0);
	section_encode(header, name, instance, version, length);
	stream->crc = 0;
	stream->section.length = length;
	stream->left = SECTION_BYTES + length;
	snapshot_put(stream, header, sizeof(header));
}

static uint64_t padding(uint64_t length)
{
	return -length % ALIGNMENT;
}

void snapshot_section_end(struct snapshot_stream *stream)
{
	static const uint8_t zeros[ALIGNMENT];
	uint64_t crc;

	ASSERT(stream->left == 0);
	// All else in the stream is a multiple of it.
	stream->left = padding(stream->section.length);
	snapshot_put(stream, zeros, stream->left);
	crc = stream->crc;
	put(stream, &crc, sizeof(crc));
}

// As the four above, in one go.
void snapshot_write_table(struct snapshot_stream *stream, const char *name, uint32_t instance,
	const struct state_table *table, const void *object)
{
	uint64_t words[(SECTION_BYTES + SNAPSHOT_TABLE_MAX + CRC_BYTES) / 8], crc;
	size_t bytes = state_saved_bytes(table, table->version);
	uint8_t *section = (uint8_t *)words, *end;
	enum status status;

	ASSERT(stream->left == 0 && bytes <= SNAPSHOT_TABLE_MAX);
	section_encode(section, name, instance, table->version, bytes);
	status = state_save(table, object, section + SECTION_BYTES, bytes);
	ASSERT(status == STATUS_OK);
	end = section + SECTION_BYTES + bytes;
	for (uint64_t i = padding(bytes); i > 0; i--)
		*end++ = 0;
	crc = crc32c_update(0, section, (size_t)(end - section));
	memcpy(end, &crc, sizeof(crc));
	put(stream, section, (size_t)(end - section) + sizeof(crc));
}

enum status snapshot_write_end(struct snapshot_stream *stream)
{
	snapshot_section_begin(stream, end_name, 0, SNAPSHOT_VERSION, 0);
	snapshot_section_end(stream);
	return stream->no_memory ? STATUS_FAIL(STATUS_NO_MEMORY) : STATUS_OK;
}

// Reading. Bytes that are not there are not asked for.

static void read_raw(struct snapshot_stream *stream, void *bytes, size_t count)
{
	uint8_t *to = bytes;

	ASSERT(count <= stream->bytes - stream->position);
	while (count > 0) {
		uint64_t offset = stream->position % BLOCK_BYTES;
		size_t part = BLOCK_BYTES - offset < count ? BLOCK_BYTES - offset : count;

		if (offset == 0)
			stream->at = stream->position == 0 ? stream->first : stream->at->next;
		memcpy(to, stream->at->bytes + offset, part);
		stream->position += part;
		to += part;
		count -= part;
	}
}

static bool has(const struct snapshot_stream *stream, uint64_t count)
{
	return count <= stream->bytes - stream->position;
}

static enum status cut(struct snapshot_stream *stream)
{
	return snapshot_fail(stream, STATUS_TRUNCATED, "cut off after %llu bytes",
		(unsigned long long)stream->bytes);
}

static enum status altered(struct snapshot_stream *stream, const char *what)
{
	return snapshot_fail(stream, STATUS_BAD_FORMAT, "checksum of %s is wrong", what);
}

static enum status header_verify(struct snapshot_stream *stream)
{
	uint8_t header[HEADER_BYTES];
	uint32_t crc, version;

	if (!has(stream, sizeof(header)))
		return cut(stream);
	read_raw(stream, header, sizeof(header));
	memcpy(&crc, header + HEADER_COVERED, sizeof(crc));
	memcpy(&version, header + sizeof(magic), sizeof(version));
	if (memcmp(header, magic, sizeof(magic)) != 0)
		return snapshot_fail(stream, STATUS_BAD_FORMAT, "not a snapshot");
	if (crc32c_update(0, header, HEADER_COVERED) != crc)
		return altered(stream, "the header");
	if (version != SNAPSHOT_VERSION)
		return snapshot_fail(stream, STATUS_UNSUPPORTED,
			"version: %u is not allowed (%u to %u)", version, SNAPSHOT_VERSION,
			SNAPSHOT_VERSION);
	return STATUS_OK;
}

static void section_decode(struct snapshot_stream *stream, const uint8_t header[SECTION_BYTES])
{
	struct snapshot_section *section = &stream->section;

	memcpy(section->name, header, SNAPSHOT_NAME_MAX);
	memcpy(&section->instance, header + SNAPSHOT_NAME_MAX, 4);
	memcpy(&section->version, header + SNAPSHOT_NAME_MAX + 4, 4);
	memcpy(&section->length, header + SNAPSHOT_NAME_MAX + 8, 8);
}

static enum status section_verify(struct snapshot_stream *stream)
{
	uint8_t bytes[CHUNK_BYTES];
	uint64_t left, found;
	uint32_t crc;

	if (!has(stream, SECTION_BYTES + CRC_BYTES))
		return cut(stream);
	read_raw(stream, bytes, SECTION_BYTES);
	section_decode(stream, bytes);
	left = stream->section.length;
	if (left > stream->bytes - stream->position - CRC_BYTES ||
		left + padding(left) > stream->bytes - stream->position - CRC_BYTES)
		return cut(stream);
	left += padding(left);
	crc = crc32c_update(0, bytes, SECTION_BYTES);
	while (left > 0) {
		size_t part = left < sizeof(bytes) ? left : sizeof(bytes);

		read_raw(stream, bytes, part);
		crc = crc32c_update(crc, bytes, part);
		left -= part;
	}
	read_raw(stream, &found, sizeof(found));
	if (found != crc)
		return altered(stream, "a section");
	if (stream->section.name[0] == '\0' || stream->section.name[SNAPSHOT_NAME_MAX - 1] != '\0')
		return snapshot_fail(stream, STATUS_BAD_FORMAT, "a section without a name");
	return STATUS_OK;
}

enum status snapshot_stream_verify(struct snapshot_stream *stream)
{
	enum status status;

	stream->error[0] = '\0';
	stream->position = stream->left = 0;
	status = header_verify(stream);
	while (status == STATUS_OK) {
		status = section_verify(stream);
		if (status == STATUS_OK && strcmp(stream->section.name, end_name) == 0)
			break;
	}
	if (status == STATUS_OK && stream->position != stream->bytes)
		return snapshot_fail(stream, STATUS_BAD_FORMAT, "%llu bytes behind the end",
			(unsigned long long)(stream->bytes - stream->position));
	if (status == STATUS_OK && stream->section.length != 0)
		return snapshot_fail(stream, STATUS_BAD_FORMAT, "the end is not empty");
	return status;
}

void snapshot_rewind(struct snapshot_stream *stream)
{
	uint8_t header[HEADER_BYTES];

	stream->position = 0;
	read_raw(stream, header, sizeof(header));
	memset(&stream->section, 0, sizeof(stream->section));
	stream->left = 0;
	snapshot_section_next(stream);
}

static void pass_over(struct snapshot_stream *stream, uint64_t count)
{
	uint8_t bytes[CHUNK_BYTES];

	for (; count > 0; count -= count < sizeof(bytes) ? count : sizeof(bytes))
		read_raw(stream, bytes, count < sizeof(bytes) ? count : sizeof(bytes));
}

// "end" stays the next one for ever.
void snapshot_section_next(struct snapshot_stream *stream)
{
	uint8_t header[SECTION_BYTES];

	if (strcmp(stream->section.name, end_name) == 0)
		return;
	if (stream->section.name[0] != '\0')
		pass_over(stream,
			stream->left + padding(stream->section.length) + CRC_BYTES);
	read_raw(stream, header, sizeof(header));
	section_decode(stream, header);
	stream->left = stream->section.length;
}

bool snapshot_section_is(const struct snapshot_stream *stream, const char *name, uint32_t instance)
{
	return strcmp(stream->section.name, name) == 0 && stream->section.instance == instance;
}

enum status snapshot_section_expect(struct snapshot_stream *stream, const char *name,
	uint32_t instance)
{
	if (!snapshot_section_is(stream, name, instance))
		return snapshot_fail(stream, STATUS_BAD_FORMAT, "%s %u: expected, not %s %u", name,
			instance, stream->section.name, stream->section.instance);
	return STATUS_OK;
}

enum status snapshot_get(struct snapshot_stream *stream, void *bytes, size_t count)
{
	if (count > stream->left)
		return snapshot_fail(stream, STATUS_TRUNCATED, "%s %u: length: %llu is too short",
			stream->section.name, stream->section.instance,
			(unsigned long long)stream->section.length);
	read_raw(stream, bytes, count);
	stream->left -= count;
	return STATUS_OK;
}

enum status snapshot_read_table(struct snapshot_stream *stream, const char *name, uint32_t instance,
	const struct state_table *table, void *object)
{
	uint8_t saved[SNAPSHOT_TABLE_MAX];
	struct state_error error;
	enum status status = snapshot_section_expect(stream, name, instance);
	uint64_t length = stream->section.length;

	if (status != STATUS_OK)
		return status;
	if (length > sizeof(saved))
		return snapshot_fail(stream, STATUS_INVALID,
			"%s %u: length: %llu is not allowed (0 to %u)", name, instance,
			(unsigned long long)length, SNAPSHOT_TABLE_MAX);
	status = snapshot_get(stream, saved, length);
	if (status == STATUS_OK) {
		status = state_load(table, stream->section.version, saved, length, object, &error);
		if (status != STATUS_OK) {
			(void)snapshot_refuse(stream, name, instance, &error);
			return status;
		}
		snapshot_section_next(stream);
	}
	return status;
}

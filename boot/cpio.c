// SPDX-License-Identifier: BSD-2-Clause
// The format: "070701", then thirteen fields of eight hexadecimal digits (cpio(5), "New ASCII
// Format"), then the name with its zero, then the content; name and content are padded so that
// what follows is at a multiple of four. The checksummed variant ("070702") is taken too, its
// sum ignored. Only the last of several hard links carries the content: links are left out on
// purpose, each name has what its own entry carries.
//
// Runs before the kernel has set up anything, so it does not use STATUS_FAIL.
#include "boot/cpio.h"

#include <string.h>

#include "boot/path.h"

enum {
	CPIO_MAGIC_BYTES = 6,
	CPIO_FIELD_BYTES = 8,
	CPIO_FIELD_MODE = 1,
	CPIO_FIELD_FILE_BYTES = 6,
	CPIO_FIELD_NAME_BYTES = 11,
	CPIO_FIELD_COUNT = 13,
	CPIO_HEADER_BYTES = CPIO_MAGIC_BYTES + CPIO_FIELD_COUNT * CPIO_FIELD_BYTES,
	CPIO_ALIGN = 4,
	CPIO_MODE_TYPE = 0170000,
	CPIO_MODE_REGULAR = 0100000,
};

#define CPIO_TRAILER "TRAILER!!!"

static bool cpio_hex_digit(uint8_t c, uint32_t *value)
{
	if (c >= '0' && c <= '9')
		*value = (uint32_t)c - '0';
	else if (c >= 'a' && c <= 'f')
		*value = (uint32_t)c - 'a' + 10;
	else if (c >= 'A' && c <= 'F')
		*value = (uint32_t)c - 'A' + 10;
	else
		return false;
	return true;
}

static bool cpio_field(const uint8_t *header, unsigned field, uint32_t *value)
{
	const uint8_t *digits = header + CPIO_MAGIC_BYTES + field * CPIO_FIELD_BYTES;

	*value = 0;
	for (unsigned i = 0; i < CPIO_FIELD_BYTES; i++) {
		uint32_t digit;

		if (!cpio_hex_digit(digits[i], &digit))
			return false;
		*value = *value << 4 | digit;
	}
	return true;
}

static bool cpio_is_header(const uint8_t *header)
{
	return memcmp(header, "070701", CPIO_MAGIC_BYTES) == 0 ||
		memcmp(header, "070702", CPIO_MAGIC_BYTES) == 0;
}

enum status cpio_next(struct cpio_reader *reader, struct cpio_entry *entry)
{
	const uint8_t *header = reader->archive + reader->offset;
	size_t left = reader->bytes - reader->offset, data;
	uint32_t mode, file_bytes, name_bytes;

	if (left < CPIO_HEADER_BYTES)
		return STATUS_TRUNCATED;
	if (!cpio_is_header(header) || !cpio_field(header, CPIO_FIELD_MODE, &mode) ||
		!cpio_field(header, CPIO_FIELD_FILE_BYTES, &file_bytes) ||
		!cpio_field(header, CPIO_FIELD_NAME_BYTES, &name_bytes) || name_bytes == 0)
		return STATUS_BAD_FORMAT;
	if (name_bytes > left - CPIO_HEADER_BYTES)
		return STATUS_TRUNCATED;
	if (memchr(header + CPIO_HEADER_BYTES, 0, name_bytes) !=
		header + CPIO_HEADER_BYTES + name_bytes - 1)
		return STATUS_BAD_FORMAT;
	*entry = (struct cpio_entry){.name = (const char *)header + CPIO_HEADER_BYTES,
		.name_bytes = name_bytes - 1, .bytes = file_bytes, .mode = mode};
	if (strcmp(entry->name, CPIO_TRAILER) == 0)
		return STATUS_NOT_FOUND;
	// Both sums stay far below 2^64: each part is below 2^32 or within the archive.
	data = ALIGN_UP(reader->offset + CPIO_HEADER_BYTES + name_bytes, CPIO_ALIGN);
	if (data > reader->bytes || file_bytes > reader->bytes - data)
		return STATUS_TRUNCATED;
	entry->data = reader->archive + data;
	reader->offset = ALIGN_UP(data + file_bytes, CPIO_ALIGN);
	if (reader->offset > reader->bytes)
		reader->offset = reader->bytes;
	return STATUS_OK;
}

// The place for `name`: an old one of that name, or a new one at the end; NULL: no room.
static struct boot_file *cpio_place(const char *name, struct boot_file *files, uint32_t capacity,
	uint32_t *count)
{
	for (uint32_t i = 0; i < *count; i++)
		if (strcmp(files[i].name, name) == 0)
			return &files[i];
	return *count < capacity ? &files[(*count)++] : NULL;
}

static enum status cpio_take(const struct cpio_entry *entry, struct boot_file *files,
	uint32_t capacity, uint32_t *count)
{
	char name[BOOT_FILE_NAME_MAX];
	struct boot_file *file;
	enum status status;

	if ((entry->mode & CPIO_MODE_TYPE) != CPIO_MODE_REGULAR)
		return STATUS_OK;
	status = path_normalize(entry->name, entry->name_bytes, name, sizeof(name));
	if (status == STATUS_OK && name[0] == '\0')
		status = STATUS_INVALID;
	if (status != STATUS_OK)
		return status;
	file = cpio_place(name, files, capacity, count);
	if (file == NULL)
		return STATUS_RANGE;
	memcpy(file->name, name, sizeof(name));
	file->data = entry->data;
	file->bytes = entry->bytes;
	return STATUS_OK;
}

enum status cpio_read_files(const void *archive, size_t bytes, struct boot_file *files,
	uint32_t capacity, uint32_t *count, size_t *offset)
{
	struct cpio_reader reader = {.archive = archive, .bytes = bytes};

	for (;;) {
		struct cpio_entry entry;
		enum status status;

		*offset = reader.offset;
		status = cpio_next(&reader, &entry);
		if (status == STATUS_NOT_FOUND)
			return STATUS_OK;
		if (status == STATUS_OK)
			status = cpio_take(&entry, files, capacity, count);
		if (status != STATUS_OK)
			return status;
	}
}

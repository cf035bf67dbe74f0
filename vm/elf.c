// SPDX-License-Identifier: BSD-2-Clause
#include "vm/elf.h"

#include <inttypes.h>
#include <stdio.h>

#include "vm/boot_context.h"

enum {
	IDENT_CLASS = 4, // 1: 32 bits, 2: 64 bits
	IDENT_DATA = 5,  // 1: little-endian
	IDENT_BYTES = 16,
	TYPE = 16, // 2: executable, 3: shared (position-independent)
	MACHINE = 18,
	ENTRY = 24,
	NOTE_HEADER_BYTES = 12, // sizes of name and descriptor, type
};

#define MACHINE_386    3u
#define MACHINE_X86_64 62u

// Where the two classes differ.
struct layout {
	uint8_t header_bytes, table, entry_bytes, entries;
	uint8_t segment_bytes, offset, virtual_address, physical_address, file_bytes, memory_bytes,
		alignment;
};

static const struct layout layouts[2] = {
	{.header_bytes = 52, .table = 28, .entry_bytes = 42, .entries = 44, .segment_bytes = 32,
		.offset = 4, .virtual_address = 8, .physical_address = 12, .file_bytes = 16,
		.memory_bytes = 20, .alignment = 28},
	{.header_bytes = 64, .table = 32, .entry_bytes = 54, .entries = 56, .segment_bytes = 56,
		.offset = 8, .virtual_address = 16, .physical_address = 24, .file_bytes = 32,
		.memory_bytes = 40, .alignment = 48},
};

bool elf_probe(const uint8_t *file, uint64_t bytes)
{
	return bytes >= IDENT_BYTES && memcmp(file, "\x7f" "ELF", 4) == 0;
}

bool elf_is_wide(const uint8_t *file, uint64_t bytes)
{
	return elf_probe(file, bytes) && file[IDENT_CLASS] == 2;
}

static uint64_t get_word(bool wide, const uint8_t *at)
{
	return wide ? boot_get64(at) : boot_get32(at);
}

// Whether [offset, offset + bytes) lies within a file.
static bool is_within(uint64_t file_bytes, uint64_t offset, uint64_t bytes)
{
	return offset <= file_bytes && bytes <= file_bytes - offset;
}

static enum status check_identity(struct boot_context *context, const struct elf_image *image)
{
	const uint8_t *file = image->file;
	uint16_t type, machine;

	if (!elf_probe(file, image->bytes) || (file[IDENT_CLASS] != 1 && file[IDENT_CLASS] != 2)
		|| file[IDENT_DATA] != 1)
		return BOOT_FAIL(context, STATUS_BAD_FORMAT,
			"kernel: ELF file of an unknown class or byte order");
	if (image->bytes < layouts[image->wide].header_bytes)
		return BOOT_FAIL(context, STATUS_TRUNCATED,
			"kernel: truncated: ELF header has %u bytes, file has %" PRIu64,
			layouts[image->wide].header_bytes, image->bytes);
	type = boot_get16(&file[TYPE]);
	machine = boot_get16(&file[MACHINE]);
	if ((type != 2 && type != 3) || (machine != MACHINE_386 && machine != MACHINE_X86_64))
		return BOOT_FAIL(context, STATUS_BAD_FORMAT,
			"kernel: ELF file of type %u for machine %u is not an x86 program", type,
			machine);
	return STATUS_OK;
}

enum status elf_open(struct boot_context *context, struct elf_image *image)
{
	const uint8_t *file = context->source->kernel;
	uint64_t bytes = context->source->kernel_bytes;
	const struct layout *layout;
	enum status status;

	*image = (struct elf_image){.file = file, .bytes = bytes, .wide = elf_is_wide(file, bytes)};
	status = check_identity(context, image);
	if (status != STATUS_OK)
		return status;
	layout = &layouts[image->wide];
	image->entry = get_word(image->wide, &file[ENTRY]);
	image->table = get_word(image->wide, &file[layout->table]);
	image->segments = boot_get16(&file[layout->entries]);
	image->header_bytes = boot_get16(&file[layout->entry_bytes]);
	if (image->segments != 0 && image->header_bytes < layout->segment_bytes)
		return BOOT_FAIL(context, STATUS_BAD_FORMAT,
			"kernel: ELF program headers of %u bytes", image->header_bytes);
	if (image->segments > ELF_SEGMENTS_MAX)
		return BOOT_FAIL(context, STATUS_UNSUPPORTED,
			"kernel: ELF has %u program headers, at most %d are supported",
			image->segments, ELF_SEGMENTS_MAX);
	if (!is_within(bytes, image->table, (uint64_t)image->segments * image->header_bytes))
		return BOOT_FAIL(context, STATUS_TRUNCATED,
			"kernel: truncated: ELF has %u program headers at 0x%" PRIx64
			", file has %" PRIu64 " bytes",
			image->segments, image->table, bytes);
	return STATUS_OK;
}

enum status elf_get_segment(struct boot_context *context, const struct elf_image *image,
	uint32_t index, struct elf_segment *segment)
{
	const struct layout *layout = &layouts[image->wide];
	const uint8_t *at = image->file + image->table + (uint64_t)index * image->header_bytes;

	*segment = (struct elf_segment){
		.type = boot_get32(at),
		.offset = get_word(image->wide, at + layout->offset),
		.virtual_address = get_word(image->wide, at + layout->virtual_address),
		.physical_address = get_word(image->wide, at + layout->physical_address),
		.file_bytes = get_word(image->wide, at + layout->file_bytes),
		.memory_bytes = get_word(image->wide, at + layout->memory_bytes),
		.alignment = get_word(image->wide, at + layout->alignment),
	};
	if (segment->type != ELF_SEGMENT_LOAD && segment->type != ELF_SEGMENT_NOTE)
		return STATUS_OK;
	if (!is_within(image->bytes, segment->offset, segment->file_bytes))
		return BOOT_FAIL(context, STATUS_TRUNCATED,
			"kernel: truncated: segment %u has 0x%" PRIx64 " bytes at 0x%" PRIx64
			", file has 0x%" PRIx64,
			index, segment->file_bytes, segment->offset, image->bytes);
	if (segment->type == ELF_SEGMENT_LOAD && segment->memory_bytes < segment->file_bytes)
		return BOOT_FAIL(context, STATUS_BAD_FORMAT,
			"kernel: segment %u is larger in the file than in memory", index);
	return STATUS_OK;
}

static enum status load_segment(struct boot_context *context, const struct elf_image *image,
	uint32_t index, const struct elf_segment *segment)
{
	struct gpa at = {segment->physical_address};
	enum status status;
	char what[32];

	(void)snprintf(what, sizeof(what), "kernel: segment %u", index);
	status = boot_context_claim(context, what, at.v, segment->memory_bytes);
	if (status != STATUS_OK)
		return status;
	status = boot_context_write(context, at, image->file + segment->offset,
		segment->file_bytes);
	if (status != STATUS_OK)
		return status;
	at.v += segment->file_bytes;
	return boot_context_zero(context, at, segment->memory_bytes - segment->file_bytes);
}

enum status elf_load(struct boot_context *context, const struct elf_image *image, uint64_t *end)
{
	*end = 0;
	for (uint32_t i = 0; i < image->segments; i++) {
		struct elf_segment segment;
		enum status status = elf_get_segment(context, image, i, &segment);

		if (status != STATUS_OK)
			return status;
		if (segment.type != ELF_SEGMENT_LOAD || segment.memory_bytes == 0)
			continue;
		status = load_segment(context, image, i, &segment);
		if (status != STATUS_OK)
			return status;
		if (*end < segment.physical_address + segment.memory_bytes)
			*end = segment.physical_address + segment.memory_bytes;
	}
	if (*end == 0)
		return BOOT_FAIL(context, STATUS_BAD_FORMAT,
			"kernel: ELF file without loadable segments");
	return STATUS_OK;
}

enum status elf_find_entry(struct boot_context *context, const struct elf_image *image,
	uint64_t *entry)
{
	for (uint32_t i = 0; i < image->segments; i++) {
		struct elf_segment segment;
		enum status status = elf_get_segment(context, image, i, &segment);

		if (status != STATUS_OK)
			return status;
		if (segment.type != ELF_SEGMENT_LOAD || image->entry < segment.virtual_address
			|| image->entry - segment.virtual_address >= segment.memory_bytes)
			continue;
		*entry = segment.physical_address + (image->entry - segment.virtual_address);
		return STATUS_OK;
	}
	*entry = image->entry; // some files give the physical address
	return STATUS_OK;
}

// One note at `at`, of `left` bytes up to the segment's end. Its length with padding goes to
// *bytes. A note that does not fit ends the segment.
static bool parse_note(const uint8_t *at, uint64_t left, uint64_t alignment, const char *name,
	uint32_t type, uint64_t *bytes, uint64_t *value)
{
	uint64_t name_bytes, value_bytes, value_offset;

	*bytes = left;
	if (left < NOTE_HEADER_BYTES)
		return false;
	name_bytes = boot_get32(at);
	value_bytes = boot_get32(at + 4);
	value_offset = ALIGN_UP(NOTE_HEADER_BYTES + name_bytes, alignment);
	if (!is_within(left, value_offset, value_bytes))
		return false;
	if (ALIGN_UP(value_offset + value_bytes, alignment) < left)
		*bytes = ALIGN_UP(value_offset + value_bytes, alignment);
	if (boot_get32(at + 8) != type || name_bytes != strlen(name) + 1
		|| memcmp(at + NOTE_HEADER_BYTES, name, name_bytes) != 0
		|| (value_bytes != 4 && value_bytes != 8))
		return false;
	*value = get_word(value_bytes == 8, at + value_offset);
	return true;
}

static bool search_notes(const struct elf_image *image, const struct elf_segment *segment,
	const char *name, uint32_t type, uint64_t *value)
{
	const uint8_t *notes = image->file + segment->offset;
	uint64_t bytes, alignment = segment->alignment == 8 ? 8 : 4;

	for (uint64_t offset = 0; offset < segment->file_bytes; offset += bytes) {
		if (parse_note(notes + offset, segment->file_bytes - offset, alignment, name, type,
			    &bytes, value))
			return true;
	}
	return false;
}

enum status elf_find_note(struct boot_context *context, const struct elf_image *image,
	const char *name, uint32_t type, uint64_t *value)
{
	for (uint32_t i = 0; i < image->segments; i++) {
		struct elf_segment segment;
		enum status status = elf_get_segment(context, image, i, &segment);

		if (status != STATUS_OK)
			return status;
		if (segment.type == ELF_SEGMENT_NOTE
			&& search_notes(image, &segment, name, type, value))
			return STATUS_OK;
	}
	return STATUS_NOT_FOUND;
}

// SPDX-License-Identifier: BSD-2-Clause
// Reading ELF files of either class (System V ABI, "Object Files"; little-endian x86 only) and
// loading their segments at their physical addresses. The file is hostile: every offset and size is
// checked before use, and nothing is read outside of it.
#ifndef VM_ELF_H
#define VM_ELF_H

#include "kernel/base/status.h"
#include "kernel/base/types.h"

struct boot_context;

#define ELF_SEGMENT_LOAD 1u
#define ELF_SEGMENT_NOTE 4u

enum { ELF_SEGMENTS_MAX = 64 }; // bounds the work that a file can ask for

struct elf_image {
	const uint8_t *file;
	uint64_t bytes;
	bool wide; // ELF64
	uint64_t entry;
	uint64_t table; // program headers: within the file
	uint32_t segments;
	uint32_t header_bytes; // of one program header
};

// File offset and size lie within the file; a loadable one has memory_bytes >= file_bytes.
struct elf_segment {
	uint32_t type;
	uint64_t offset;
	uint64_t virtual_address;
	uint64_t physical_address;
	uint64_t file_bytes;
	uint64_t memory_bytes;
	uint64_t alignment;
};

// By magic alone.
bool elf_probe(const uint8_t *file, uint64_t bytes);
bool elf_is_wide(const uint8_t *file, uint64_t bytes);

// Reads the kernel of the context's source. Messages go to the context.
must_check enum status elf_open(struct boot_context *context, struct elf_image *image);
must_check enum status elf_get_segment(struct boot_context *context, const struct elf_image *image,
	uint32_t index, struct elf_segment *segment);

// Claims and fills what the loadable segments describe. *end: where the last of them ends.
must_check enum status elf_load(struct boot_context *context, const struct elf_image *image,
	uint64_t *end);

// Physical address of the entry, which the header gives as a virtual one. Follows elf_load.
must_check enum status elf_find_entry(struct boot_context *context, const struct elf_image *image,
	uint64_t *entry);

// Value of the first note of that name and type, of 4 or 8 bytes. STATUS_NOT_FOUND: none, and no
// message.
must_check enum status elf_find_note(struct boot_context *context, const struct elf_image *image,
	const char *name, uint32_t type, uint64_t *value);

#endif

// SPDX-License-Identifier: BSD-2-Clause
// GUID partition tables: UEFI 2.10 section 5.3. Pure functions of bytes that somebody else has
// read, which may say anything.
//
// A disk has two tables: a header in sector 1 and one in its last sector, each with an array of
// entries of its own. Who wants partitions reads a header, asks how large its array is, reads that,
// and looks at its entries.
#ifndef DRIVERS_GPT_H
#define DRIVERS_GPT_H

#include "kernel/base/status.h"
#include "kernel/base/types.h"

enum {
	GPT_PRIMARY_SECTOR = 1,
	GPT_GUID_BYTES = 16,
	GPT_NAME_MAX = 37,        // characters, with the terminating zero
	GPT_ENTRIES_MAX = 256,    // usually 128
	GPT_ARRAY_BYTES_MAX = 64 << 10,
	GPT_GUID_TEXT = 36, // characters of a GUID in text form
};

struct gpt_header {
	uint64_t sector;    // where it is
	uint64_t alternate; // where the other one ought to be
	uint64_t first_usable, last_usable; // sectors for partitions
	uint64_t array_sector;
	uint32_t entry_count;
	uint32_t entry_bytes;
	uint32_t array_crc;
	uint8_t disk_guid[GPT_GUID_BYTES];
};

struct gpt_partition {
	uint8_t type[GPT_GUID_BYTES], guid[GPT_GUID_BYTES]; // as on the disk
	uint64_t first, last; // sectors
	bool read_only;       // by attribute bit 60
	char name[GPT_NAME_MAX]; // what is not printable ASCII is '?'
};

// The header that was read from `sector` of a disk with `sectors` of `sector_bytes` each.
// STATUS_NOT_FOUND: no signature. STATUS_BAD_FORMAT: a CRC, a size or a place is wrong.
must_check enum status gpt_header_parse(const void *bytes, uint32_t sector_bytes, uint64_t sector,
	uint64_t sectors, struct gpt_header *header);

// Of all entries, without what fills the last sector; at most GPT_ARRAY_BYTES_MAX.
static inline uint32_t gpt_array_bytes(const struct gpt_header *header)
{
	return header->entry_count * header->entry_bytes;
}

// STATUS_BAD_FORMAT: the CRC is another one.
must_check enum status gpt_array_check(const struct gpt_header *header, const void *array);

// Entry `index`, below header->entry_count. STATUS_NOT_FOUND: it is not used. STATUS_BAD_FORMAT: it
// lies outside of what the header allows, or overlaps another one.
must_check enum status gpt_partition_get(const struct gpt_header *header, const void *array,
	uint32_t index, struct gpt_partition *partition);

// "c12a7328-f81f-11d2-ba4b-00a0c93ec93b", with letters of either case. False: `text` is none.
must_check bool gpt_guid_parse(const char *text, uint8_t guid[GPT_GUID_BYTES]);
// To GPT_GUID_TEXT characters and a zero.
void gpt_guid_print(const uint8_t guid[GPT_GUID_BYTES], char *text);

#endif

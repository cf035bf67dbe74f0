// SPDX-License-Identifier: BSD-2-Clause
#include "drivers/gpt.h"

#include <string.h>

#include "kernel/base/assert.h"

#define SIGNATURE      "EFI PART"
#define REVISION_MAJOR 1

// UEFI 2.10 table 5-5.
enum {
	HEADER_REVISION = 8,
	HEADER_BYTES = 12,
	HEADER_CRC = 16,
	HEADER_SECTOR = 24,
	HEADER_ALTERNATE = 32,
	HEADER_FIRST_USABLE = 40,
	HEADER_LAST_USABLE = 48,
	HEADER_DISK_GUID = 56,
	HEADER_ARRAY_SECTOR = 72,
	HEADER_ENTRY_COUNT = 80,
	HEADER_ENTRY_BYTES = 84,
	HEADER_ARRAY_CRC = 88,
	HEADER_BYTES_MIN = 92,
};

// Table 5-6.
enum {
	ENTRY_TYPE = 0,
	ENTRY_GUID = 16,
	ENTRY_FIRST = 32,
	ENTRY_LAST = 40,
	ENTRY_ATTRIBUTES = 48,
	ENTRY_NAME = 56,
	ENTRY_BYTES_MIN = 128,
	ENTRY_BYTES_MAX = 4096,
	ENTRY_READ_ONLY = 60, // of basic data partitions, by bit of the attributes
};

static uint32_t get32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static uint64_t get64(const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

// CRC-32 of IEEE 802.3, polynomial 0x04c11db7, reflected; four bits at a time, without what is
// done before and after.
static uint32_t crc_update(uint32_t crc, const uint8_t *bytes, size_t count)
{
	static const uint32_t table[16] = {
		0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
		0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
		0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};

	for (size_t i = 0; i < count; i++) {
		crc ^= bytes[i];
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return crc;
}

// With the field of the CRC itself taken as zero.
static uint32_t header_crc(const uint8_t *bytes, uint32_t count)
{
	static const uint8_t zero[4];
	uint32_t crc = crc_update(UINT32_MAX, bytes, HEADER_CRC);

	crc = crc_update(crc, zero, sizeof(zero));
	return ~crc_update(crc, bytes + HEADER_CRC + 4, count - HEADER_CRC - 4);
}

static bool header_is_sound(const struct gpt_header *header, uint32_t sector_bytes,
	uint64_t sectors)
{
	uint64_t array_sectors;

	if (header->entry_bytes < ENTRY_BYTES_MIN || header->entry_bytes > ENTRY_BYTES_MAX ||
		(header->entry_bytes & (header->entry_bytes - 1)) != 0 ||
		header->entry_count == 0 || header->entry_count > GPT_ENTRIES_MAX ||
		gpt_array_bytes(header) > GPT_ARRAY_BYTES_MAX)
		return false;
	array_sectors = (gpt_array_bytes(header) + sector_bytes - 1) / sector_bytes;
	if (header->first_usable <= GPT_PRIMARY_SECTOR ||
		header->first_usable > header->last_usable || header->last_usable >= sectors ||
		header->array_sector <= GPT_PRIMARY_SECTOR || header->array_sector >= sectors ||
		array_sectors > sectors - header->array_sector)
		return false;
	// Neither the header nor the array may lie where partitions can.
	return (header->sector < header->first_usable || header->sector > header->last_usable) &&
		(header->array_sector + array_sectors <= header->first_usable ||
			header->array_sector > header->last_usable);
}

enum status gpt_header_parse(const void *bytes, uint32_t sector_bytes, uint64_t sector,
	uint64_t sectors, struct gpt_header *header)
{
	const uint8_t *at = bytes;
	uint32_t count = get32(at + HEADER_BYTES);

	if (memcmp(at, SIGNATURE, strlen(SIGNATURE)) != 0)
		return STATUS_FAIL(STATUS_NOT_FOUND);
	if (get32(at + HEADER_REVISION) >> 16 != REVISION_MAJOR || count < HEADER_BYTES_MIN ||
		count > sector_bytes || header_crc(at, count) != get32(at + HEADER_CRC) ||
		get64(at + HEADER_SECTOR) != sector)
		return STATUS_FAIL(STATUS_BAD_FORMAT);
	*header = (struct gpt_header){
		.sector = sector,
		.alternate = get64(at + HEADER_ALTERNATE),
		.first_usable = get64(at + HEADER_FIRST_USABLE),
		.last_usable = get64(at + HEADER_LAST_USABLE),
		.array_sector = get64(at + HEADER_ARRAY_SECTOR),
		.entry_count = get32(at + HEADER_ENTRY_COUNT),
		.entry_bytes = get32(at + HEADER_ENTRY_BYTES),
		.array_crc = get32(at + HEADER_ARRAY_CRC),
	};
	memcpy(header->disk_guid, at + HEADER_DISK_GUID, GPT_GUID_BYTES);
	return header_is_sound(header, sector_bytes, sectors) ? STATUS_OK
							       : STATUS_FAIL(STATUS_BAD_FORMAT);
}

enum status gpt_array_check(const struct gpt_header *header, const void *array)
{
	uint32_t crc = ~crc_update(UINT32_MAX, array, gpt_array_bytes(header));

	ASSERT(gpt_array_bytes(header) <= GPT_ARRAY_BYTES_MAX);
	return crc == header->array_crc ? STATUS_OK : STATUS_FAIL(STATUS_BAD_FORMAT);
}

static const uint8_t *entry_at(const struct gpt_header *header, const void *array, uint32_t index)
{
	ASSERT(index < header->entry_count);
	return (const uint8_t *)array + (size_t)index * header->entry_bytes;
}

static bool entry_is_used(const uint8_t *entry)
{
	static const uint8_t unused[GPT_GUID_BYTES];

	return memcmp(entry + ENTRY_TYPE, unused, sizeof(unused)) != 0;
}

// UTF-16, which ends with a zero unless it fills the field.
static void name_read(const uint8_t *entry, char name[GPT_NAME_MAX])
{
	for (unsigned i = 0; i < GPT_NAME_MAX; i++) {
		const uint8_t *at = entry + ENTRY_NAME + (size_t)2 * i;
		bool is_end = i == GPT_NAME_MAX - 1 || (at[0] == 0 && at[1] == 0);

		if (is_end) {
			name[i] = '\0';
			return;
		}
		name[i] = at[1] == 0 && at[0] >= ' ' && at[0] <= '~' ? (char)at[0] : '?';
	}
}

enum status gpt_partition_get(const struct gpt_header *header, const void *array, uint32_t index,
	struct gpt_partition *partition)
{
	const uint8_t *entry = entry_at(header, array, index);
	uint64_t first = get64(entry + ENTRY_FIRST), last = get64(entry + ENTRY_LAST);

	if (!entry_is_used(entry))
		return STATUS_NOT_FOUND; // no error: most entries are not
	if (first > last || first < header->first_usable || last > header->last_usable)
		return STATUS_FAIL(STATUS_BAD_FORMAT);
	for (uint32_t i = 0; i < header->entry_count; i++) {
		const uint8_t *other = entry_at(header, array, i);

		if (i != index && entry_is_used(other) && get64(other + ENTRY_FIRST) <= last &&
			get64(other + ENTRY_LAST) >= first)
			return STATUS_FAIL(STATUS_BAD_FORMAT);
	}
	partition->first = first;
	partition->last = last;
	partition->read_only = (get64(entry + ENTRY_ATTRIBUTES) & BIT(ENTRY_READ_ONLY)) != 0;
	memcpy(partition->type, entry + ENTRY_TYPE, GPT_GUID_BYTES);
	memcpy(partition->guid, entry + ENTRY_GUID, GPT_GUID_BYTES);
	name_read(entry, partition->name);
	return STATUS_OK;
}

// The text's bytes by their places in the GUID: its first three fields are little-endian. 16 is a
// dash. UEFI 2.10 appendix A.
static const uint8_t guid_order[] = {
	3, 2, 1, 0, 16, 5, 4, 16, 7, 6, 16, 8, 9, 16, 10, 11, 12, 13, 14, 15};

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool gpt_guid_parse(const char *text, uint8_t guid[GPT_GUID_BYTES])
{
	if (strlen(text) != GPT_GUID_TEXT)
		return false;
	for (unsigned i = 0; i < sizeof(guid_order); i++) {
		int high, low;

		if (guid_order[i] == GPT_GUID_BYTES) {
			if (*text++ != '-')
				return false;
			continue;
		}
		high = digit_value(*text++);
		low = digit_value(*text++);
		if (high < 0 || low < 0)
			return false;
		guid[guid_order[i]] = (uint8_t)(high << 4 | low);
	}
	return true;
}

void gpt_guid_print(const uint8_t guid[GPT_GUID_BYTES], char *text)
{
	static const char digits[] = "0123456789abcdef";

	for (unsigned i = 0; i < sizeof(guid_order); i++) {
		if (guid_order[i] == GPT_GUID_BYTES) {
			*text++ = '-';
			continue;
		}
		*text++ = digits[guid[guid_order[i]] >> 4];
		*text++ = digits[guid[guid_order[i]] & 15];
	}
	*text = '\0';
}

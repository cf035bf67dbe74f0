// SPDX-License-Identifier: BSD-2-Clause
// Input: how (a byte), a header's sector, and the array of entries. CRCs are mostly put right
// first, or nothing would get past them.
#include <stdlib.h>
#include <string.h>

#include "drivers/gpt.h"
#include "tests/fuzz/fuzz.h"

enum { SECTOR_BYTES = 512, SECTORS = 1 << 20, HOW_RAW = 1 << 0, HOW_LAST = 1 << 1 };

static uint32_t crc32(const uint8_t *bytes, size_t count)
{
	uint32_t crc = UINT32_MAX;

	for (; count > 0; count--) {
		crc ^= *bytes++;
		for (unsigned bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ ((crc & 1) != 0 ? 0xedb88320 : 0);
	}
	return ~crc;
}

static void crc_put(uint8_t *at, const uint8_t *bytes, uint32_t count)
{
	uint32_t crc = crc32(bytes, count);

	memcpy(at, &crc, sizeof(crc));
}

// A GUID in text form is that GUID, and what may look like one does no harm.
static void guid_check(const struct gpt_partition *partition)
{
	char text[GPT_GUID_TEXT + 1];
	uint8_t guid[GPT_GUID_BYTES];

	gpt_guid_print(partition->guid, text);
	if (!gpt_guid_parse(text, guid) || memcmp(guid, partition->guid, GPT_GUID_BYTES) != 0)
		abort();
	if (strlen(partition->name) >= GPT_NAME_MAX)
		abort();
	(void)!gpt_guid_parse(partition->name, guid);
}

static void partitions_check(const struct gpt_header *header, const uint8_t *array)
{
	struct gpt_partition partition;

	for (uint32_t i = 0; i < header->entry_count; i++) {
		if (gpt_partition_get(header, array, i, &partition) != STATUS_OK)
			continue;
		if (partition.first <= GPT_PRIMARY_SECTOR || partition.first > partition.last ||
			partition.last >= SECTORS || partition.first < header->first_usable ||
			partition.last > header->last_usable)
			abort();
		guid_check(&partition);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char signature[8] = {'E', 'F', 'I', ' ', 'P', 'A', 'R', 'T'};
	uint8_t sector[SECTOR_BYTES], *array, how;
	struct gpt_header header;
	uint32_t bytes;

	if (size < 1 + SECTOR_BYTES)
		return 0;
	how = *data++;
	memcpy(sector, data, SECTOR_BYTES);
	data += SECTOR_BYTES;
	size -= 1 + SECTOR_BYTES;
	memcpy(&bytes, sector + 12, 4);
	if ((how & HOW_RAW) == 0) {
		memcpy(sector, signature, sizeof(signature));
		memset(sector + 16, 0, 4);
		crc_put(sector + 16, sector, bytes < SECTOR_BYTES ? bytes : SECTOR_BYTES);
	}
	if (gpt_header_parse(sector, SECTOR_BYTES, (how & HOW_LAST) != 0 ? SECTORS - 1 : 1, SECTORS,
			&header) != STATUS_OK)
		return 0;
	bytes = gpt_array_bytes(&header);
	array = calloc(1, bytes);
	if (array == NULL)
		abort();
	memcpy(array, data, size < bytes ? size : bytes);
	if ((how & HOW_RAW) == 0)
		crc_put((uint8_t *)&header.array_crc, array, bytes);
	if (gpt_array_check(&header, array) == STATUS_OK)
		partitions_check(&header, array);
	free(array);
	return 0;
}

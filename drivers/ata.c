// SPDX-License-Identifier: BSD-2-Clause
// IDENTIFY DEVICE's data: ATA/ATAPI-6, 8.15. Every bit of it is the disk's word alone.
#include "drivers/ata.h"

#include "drivers/ata_abi.h"

static uint32_t identity_u32(const uint16_t *words, unsigned at)
{
	return words[at] | (uint32_t)words[at + 1] << 16;
}

// Two characters a word, the first in the upper byte.
static void model_read(const uint16_t *words, struct disk *disk)
{
	char model[2 * ATA_ID_MODEL_WORDS];

	for (unsigned i = 0; i < sizeof(model); i++)
		model[i] = (char)(words[ATA_ID_MODEL + i / 2] >> (i % 2 == 0 ? 8 : 0));
	disk_model_set(disk, model, sizeof(model));
}

// 0: of a size that no disk may have.
static uint32_t sector_bytes_read(const uint16_t *words)
{
	uint16_t sector = words[ATA_ID_SECTOR];
	uint64_t bytes = DISK_SECTOR_BYTES_MIN;

	if ((sector & ATA_ID_SECTOR_VALID) == 1 << 14 && (sector & ATA_ID_SECTOR_LARGE) != 0)
		bytes = UINT64_C(2) * identity_u32(words, ATA_ID_SECTOR_WORDS);
	if (bytes < DISK_SECTOR_BYTES_MIN || bytes > DISK_SECTOR_BYTES_MAX ||
		(bytes & (bytes - 1)) != 0)
		return 0;
	return (uint32_t)bytes;
}

const char *ata_identity_parse(const uint16_t *words, struct ata_identity *identity,
	struct disk *disk)
{
	uint16_t features = words[ATA_ID_FEATURES];

	*identity = (struct ata_identity){.sector_bytes = sector_bytes_read(words)};
	model_read(words, disk);
	if ((features & ATA_ID_FEATURES_VALID) != 1 << 14)
		features = 0;
	if ((words[ATA_ID_CAPABILITIES] & ATA_ID_CAPABILITIES_LBA) == 0)
		return "it has cylinders and heads alone";
	if (identity->sector_bytes == 0)
		return "its sectors have a size that is not supported";
	identity->sectors = identity_u32(words, ATA_ID_SECTORS);
	if (identity->sectors > ATA_LBA28_SECTORS)
		identity->sectors = ATA_LBA28_SECTORS;
	identity->has_lba48 = (features & ATA_ID_FEATURES_LBA48) != 0;
	if (identity->has_lba48) {
		uint64_t sectors = identity_u32(words, ATA_ID_SECTORS_48) |
			(uint64_t)identity_u32(words, ATA_ID_SECTORS_48 + 2) << 32;

		if (sectors > identity->sectors && sectors <= ATA_LBA48_SECTORS)
			identity->sectors = sectors;
	}
	if ((features & ATA_ID_FEATURES_FLUSH_EXT) != 0)
		identity->flush_command = ATA_FLUSH_EXT;
	else if ((features & ATA_ID_FEATURES_FLUSH) != 0)
		identity->flush_command = ATA_FLUSH;
	return identity->sectors > 0 ? NULL : "it has no sectors";
}

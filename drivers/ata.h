// SPDX-License-Identifier: BSD-2-Clause
// What an ATA disk says about itself.
#ifndef DRIVERS_ATA_H
#define DRIVERS_ATA_H

#include "drivers/disk.h"

struct ata_identity {
	uint64_t sectors; // 1 to 2^48; those above 2^28 - 1 need commands with 48 bits
	uint32_t sector_bytes; // as disks have them
	bool has_lba48;
	uint8_t flush_command; // 0: there is none
};

// Takes IDENTIFY DEVICE's data, ATA_IDENTIFY_WORDS, apart; the model goes to the disk. Returns why
// the disk cannot be used, or NULL.
must_check const char *ata_identity_parse(const uint16_t *words, struct ata_identity *identity,
	struct disk *disk);

#endif

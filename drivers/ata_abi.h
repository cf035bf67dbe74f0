// SPDX-License-Identifier: BSD-2-Clause
// What ATA disks have in common, whatever they are attached to: status, commands and identity of
// ATA/ATAPI-6 (T13/1410D), chapters 7 and 8; sectors of other sizes than 512 bytes are of
// ATA/ATAPI-7, 6.9.
#ifndef DRIVERS_ATA_ABI_H
#define DRIVERS_ATA_ABI_H

#include "kernel/base/types.h"

enum {
	ATA_STATUS_ERROR = 1 << 0,
	ATA_STATUS_DATA = 1 << 3,
	ATA_STATUS_FAULT = 1 << 5,
	ATA_STATUS_BUSY = 1 << 7,
};

enum {
	ATA_READ = 0x20,
	ATA_READ_EXT = 0x24,
	ATA_READ_DMA_EXT = 0x25,
	ATA_WRITE = 0x30,
	ATA_WRITE_EXT = 0x34,
	ATA_WRITE_DMA_EXT = 0x35,
	ATA_FLUSH = 0xe7,
	ATA_FLUSH_EXT = 0xea,
	ATA_IDENTIFY = 0xec,
};

// Words of IDENTIFY DEVICE's data: 8.15.
enum {
	ATA_IDENTIFY_WORDS = 256,
	ATA_ID_GENERAL = 0,
	ATA_ID_GENERAL_ATAPI = 1 << 15,
	ATA_ID_MODEL = 27, // 40 characters
	ATA_ID_MODEL_WORDS = 20,
	ATA_ID_CAPABILITIES = 49,
	ATA_ID_CAPABILITIES_LBA = 1 << 9,
	ATA_ID_SECTORS = 60,
	ATA_ID_FEATURES = 83,
	ATA_ID_FEATURES_VALID = 3 << 14, // of which the lower is set
	ATA_ID_FEATURES_LBA48 = 1 << 10,
	ATA_ID_FEATURES_FLUSH = 1 << 12,
	ATA_ID_FEATURES_FLUSH_EXT = 1 << 13,
	ATA_ID_SECTORS_48 = 100,
	ATA_ID_SECTOR = 106,
	ATA_ID_SECTOR_VALID = 3 << 14, // of which the lower is set
	ATA_ID_SECTOR_LARGE = 1 << 12, // words 117 and 118 have the words of a sector
	ATA_ID_SECTOR_WORDS = 117,
};

// Of 28 bits the highest number is nobody's: 8.15.
#define ATA_LBA28_SECTORS ((UINT32_C(1) << 28) - 1)
#define ATA_LBA48_SECTORS (UINT64_C(1) << 48)

#endif

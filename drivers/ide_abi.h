// SPDX-License-Identifier: BSD-2-Clause
// Registers, commands and identity of ATA disks: ATA/ATAPI-6 (T13/1410D), chapters 7 and 8; where
// they are: PCI IDE Controller Specification 1.0.
#ifndef DRIVERS_IDE_ABI_H
#define DRIVERS_IDE_ABI_H

enum {
	IDE_CHANNELS = 2,
	IDE_DRIVES = 2, // of a channel
	// A bit of the programming interface for each channel: its registers are where BARs say.
	IDE_NATIVE_PRIMARY = 1 << 0,
	IDE_NATIVE_SECONDARY = 1 << 2,
	IDE_PRIMARY = 0x1f0,
	IDE_PRIMARY_CONTROL = 0x3f6,
	IDE_SECONDARY = 0x170,
	IDE_SECONDARY_CONTROL = 0x376,
	IDE_BAR_CONTROL = 2, // in the BAR of control registers
};

// Offsets from the first port of the channel, which moves data.
enum {
	IDE_ERROR = 1,
	IDE_COUNT = 2,
	IDE_LBA_LOW = 3,
	IDE_LBA_MID = 4,
	IDE_LBA_HIGH = 5,
	IDE_DEVICE = 6,
	IDE_STATUS = 7,
	IDE_COMMAND = 7,
};

enum {
	IDE_DEVICE_LBA = 0xe0, // and two bits that were always set once
	IDE_DEVICE_DRIVE_SHIFT = 4,

	IDE_STATUS_ERROR = 1 << 0,
	IDE_STATUS_DATA = 1 << 3,
	IDE_STATUS_FAULT = 1 << 5,
	IDE_STATUS_BUSY = 1 << 7,
	IDE_STATUS_NOBODY = 0xff,

	IDE_CONTROL_NO_INTERRUPT = 1 << 1,
	IDE_CONTROL_RESET = 1 << 2,
};

enum {
	IDE_READ = 0x20,
	IDE_READ_EXT = 0x24,
	IDE_WRITE = 0x30,
	IDE_WRITE_EXT = 0x34,
	IDE_FLUSH = 0xe7,
	IDE_FLUSH_EXT = 0xea,
	IDE_IDENTIFY = 0xec,
};

// Words of IDENTIFY DEVICE's data: 8.15.
enum {
	IDE_IDENTIFY_WORDS = 256,
	IDE_ID_GENERAL = 0,
	IDE_ID_GENERAL_ATAPI = 1 << 15,
	IDE_ID_MODEL = 27, // 40 characters
	IDE_ID_MODEL_WORDS = 20,
	IDE_ID_CAPABILITIES = 49,
	IDE_ID_CAPABILITIES_LBA = 1 << 9,
	IDE_ID_SECTORS = 60,
	IDE_ID_FEATURES = 83,
	IDE_ID_FEATURES_VALID = 3 << 14, // of which the lower is set
	IDE_ID_FEATURES_LBA48 = 1 << 10,
	IDE_ID_FEATURES_FLUSH = 1 << 12,
	IDE_ID_FEATURES_FLUSH_EXT = 1 << 13,
	IDE_ID_SECTORS_48 = 100,
	IDE_ID_SECTOR = 106,
	IDE_ID_SECTOR_VALID = 3 << 14, // of which the lower is set
	IDE_ID_SECTOR_LARGE = 1 << 12, // words 117 and 118 have the words of a sector
	IDE_ID_SECTOR_WORDS = 117,
};

// Of 28 bits the highest number is nobody's: 8.15.
#define IDE_LBA28_SECTORS ((UINT32_C(1) << 28) - 1)
#define IDE_LBA48_SECTORS (UINT64_C(1) << 48)

#endif

// SPDX-License-Identifier: BSD-2-Clause
// Registers of parallel ATA: ATA/ATAPI-6 (T13/1410D), chapter 7; where they are: PCI IDE Controller
// Specification 1.0.
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

	IDE_STATUS_NOBODY = 0xff,

	IDE_CONTROL_NO_INTERRUPT = 1 << 1,
	IDE_CONTROL_RESET = 1 << 2,
};

#endif

// SPDX-License-Identifier: BSD-2-Clause
// ATA: registers, commands and data of 512 bytes. ACS-3 (T13/2161-D), and ATA/ATAPI-7 (T13/1532D)
// for what was dropped since: PIO in blocks, addresses by cylinder, head and sector.
#ifndef EMUL_ATA_ABI_H
#define EMUL_ATA_ABI_H

#include "kernel/base/types.h"

enum { ATA_SECTOR_BYTES = 512 };

enum ata_status { // ATA/ATAPI-7 volume 1, 5.14
	ATA_STATUS_ERR = 0x01,
	ATA_STATUS_DRQ = 0x08,
	ATA_STATUS_DSC = 0x10, // seek complete, once
	ATA_STATUS_DF = 0x20,
	ATA_STATUS_DRDY = 0x40,
	ATA_STATUS_BSY = 0x80,
};

enum ata_error { // 5.9
	ATA_ERROR_ABRT = 0x04,
	ATA_ERROR_IDNF = 0x10,
	ATA_ERROR_UNC = 0x40,
	ATA_ERROR_PASSED = 0x01, // of a diagnostic, and at reset: 6.9
};

enum {
	ATA_DEVICE_HEAD = 0x0f,
	ATA_DEVICE_SECOND = 0x10, // the device is number 1
	ATA_DEVICE_LBA = 0x40,
	ATA_DEVICE_FUA = 0x80, // of a queued write
	ATA_DEVICE_FIXED = 0xa0,

	ATA_CONTROL_NIEN = 0x02, // no interrupts
	ATA_CONTROL_SRST = 0x04,
	ATA_CONTROL_HOB = 0x80, // previous contents are read
};

enum ata_command {
	ATA_NOP = 0x00,
	ATA_DATA_SET_MANAGEMENT = 0x06,
	ATA_DEVICE_RESET = 0x08,
	ATA_RECALIBRATE = 0x10,
	ATA_READ_SECTORS = 0x20,
	ATA_READ_SECTORS_ONCE = 0x21,
	ATA_READ_SECTORS_EXT = 0x24,
	ATA_READ_DMA_EXT = 0x25,
	ATA_READ_MULTIPLE_EXT = 0x29,
	ATA_READ_LOG_EXT = 0x2f,
	ATA_WRITE_SECTORS = 0x30,
	ATA_WRITE_SECTORS_ONCE = 0x31,
	ATA_WRITE_SECTORS_EXT = 0x34,
	ATA_WRITE_DMA_EXT = 0x35,
	ATA_WRITE_MULTIPLE_EXT = 0x39,
	ATA_WRITE_DMA_FUA_EXT = 0x3d,
	ATA_VERIFY = 0x40,
	ATA_VERIFY_ONCE = 0x41,
	ATA_VERIFY_EXT = 0x42,
	ATA_SEEK = 0x70,
	ATA_EXECUTE_DEVICE_DIAGNOSTIC = 0x90,
	ATA_INITIALIZE_DEVICE_PARAMETERS = 0x91,
	ATA_PACKET = 0xa0,
	ATA_IDENTIFY_PACKET_DEVICE = 0xa1,
	ATA_SMART = 0xb0,
	ATA_READ_MULTIPLE = 0xc4,
	ATA_WRITE_MULTIPLE = 0xc5,
	ATA_SET_MULTIPLE_MODE = 0xc6,
	ATA_READ_DMA = 0xc8,
	ATA_READ_DMA_ONCE = 0xc9,
	ATA_WRITE_DMA = 0xca,
	ATA_WRITE_DMA_ONCE = 0xcb,
	ATA_WRITE_MULTIPLE_FUA_EXT = 0xce,
	ATA_STANDBY_IMMEDIATE = 0xe0,
	ATA_IDLE_IMMEDIATE = 0xe1,
	ATA_STANDBY = 0xe2,
	ATA_IDLE = 0xe3,
	ATA_CHECK_POWER_MODE = 0xe5,
	ATA_SLEEP = 0xe6,
	ATA_FLUSH_CACHE = 0xe7,
	ATA_FLUSH_CACHE_EXT = 0xea,
	ATA_IDENTIFY_DEVICE = 0xec,
	ATA_SET_FEATURES = 0xef,
};

enum ata_set_features { // ACS-3 7.45
	ATA_FEATURE_WRITE_CACHE_ON = 0x02,
	ATA_FEATURE_TRANSFER_MODE = 0x03,
	ATA_FEATURE_LOOK_AHEAD_OFF = 0x55,
	ATA_FEATURE_KEEP_AT_RESET = 0x66,
	ATA_FEATURE_WRITE_CACHE_OFF = 0x82,
	ATA_FEATURE_LOOK_AHEAD_ON = 0xaa,
	ATA_FEATURE_REVERT_AT_RESET = 0xcc,
};

enum ata_smart { // ATA8-ACS 7.52
	ATA_SMART_READ_DATA = 0xd0,
	ATA_SMART_READ_THRESHOLDS = 0xd1,
	ATA_SMART_AUTOSAVE = 0xd2,
	ATA_SMART_EXECUTE = 0xd4,
	ATA_SMART_READ_LOG = 0xd5,
	ATA_SMART_ENABLE = 0xd8,
	ATA_SMART_DISABLE = 0xd9,
	ATA_SMART_RETURN_STATUS = 0xda,
	ATA_SMART_SIGNATURE = 0xc24f00, // in the LBA registers
};

enum ata_log { // ACS-3 A.1
	ATA_LOG_DIRECTORY = 0x00,
	ATA_LOG_SUMMARY_ERRORS = 0x01,
	ATA_LOG_SELF_TESTS = 0x06,
	ATA_LOG_EXTENDED_SELF_TESTS = 0x07,
};

enum {
	ATAPI_PACKET_BYTES = 12,
	ATAPI_DMA = 0x01, // feature of PACKET: its data move by DMA
	// Interrupt reason, in the sector count: ATA/ATAPI-7 volume 2, 11.8.
	ATAPI_REASON_COMMAND = 0x01, // the packet is asked for; with IN: the command has ended
	ATAPI_REASON_IN = 0x02,      // data go to the host
	ATAPI_SIGNATURE = 0xeb1401,  // in the LBA registers: volume 1, 9.12
};

enum { ATA_TRIM = 0x01 }; // feature of DATA SET MANAGEMENT

#endif

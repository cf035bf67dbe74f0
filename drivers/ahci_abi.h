// SPDX-License-Identifier: BSD-2-Clause
// Serial ATA AHCI 1.3.1: registers (3), structures in memory (4.2); frames of Serial ATA 2.6
// (10.3).
#ifndef DRIVERS_AHCI_ABI_H
#define DRIVERS_AHCI_ABI_H

#include "kernel/base/types.h"

enum { AHCI_INTERFACE = 0x01, AHCI_BAR = 5, AHCI_PORTS = 32 };

// 3.1: of the whole controller.
enum {
	AHCI_CAP = 0x00,
	AHCI_GHC = 0x04,
	AHCI_PI = 0x0c, // a bit for each port that there is
	AHCI_CAP2 = 0x24,
	AHCI_BOHC = 0x28,
	AHCI_GENERIC_BYTES = 0x2c,
	AHCI_PORT_0 = 0x100,
	AHCI_PORT_BYTES = 0x80,

	AHCI_GHC_RESET = 1 << 0,
	AHCI_CAP2_HANDOFF = 1 << 0,
	AHCI_BOHC_BIOS = 1 << 0, // has it
	AHCI_BOHC_OS = 1 << 1,   // has it
	AHCI_BOHC_BUSY = 1 << 4, // the BIOS has to finish something
};
#define AHCI_CAP_64BIT  UINT32_C(0x80000000)
#define AHCI_GHC_ENABLE UINT32_C(0x80000000)
#define AHCI_GONE       UINT32_MAX // what registers read that are not there any more

// 3.3: of a port.
enum {
	AHCI_CLB = 0x00,  // 64 bits
	AHCI_FB = 0x08,   // 64 bits
	AHCI_IS = 0x10,
	AHCI_IE = 0x14,
	AHCI_CMD = 0x18,
	AHCI_TFD = 0x20,  // status, and the error above it
	AHCI_SIG = 0x24,
	AHCI_SSTS = 0x28,
	AHCI_SCTL = 0x2c,
	AHCI_SERR = 0x30,
	AHCI_CI = 0x38,

	AHCI_IS_CONNECTED = 1 << 6, // anew
	AHCI_IS_PHY = 1 << 22,      // it came or went
	AHCI_IS_OVERFLOW = 1 << 24,
	AHCI_IS_INTERFACE = 1 << 27,
	AHCI_IS_BUS_DATA = 1 << 28,
	AHCI_IS_BUS = 1 << 29,
	AHCI_IS_TASK = 1 << 30,

	AHCI_CMD_START = 1 << 0,
	AHCI_CMD_SPIN_UP = 1 << 1,
	AHCI_CMD_POWER = 1 << 2,
	AHCI_CMD_RECEIVE = 1 << 4,
	AHCI_CMD_RECEIVES = 1 << 14,
	AHCI_CMD_RUNS = 1 << 15,
	AHCI_CMD_ACTIVE = 1 << 28, // wakes the link

	AHCI_SSTS_DETECTION = 0xf,
	AHCI_SSTS_DEVICE = 3, // and communication with it
	AHCI_SCTL_RESET = 1,
	AHCI_SCTL_NO_SLEEP = 3 << 8, // of the link
};

// What the device sent in its first frame: 5.3 of Serial ATA's "Software Reset".
#define AHCI_SIG_ATA        UINT32_C(0x00000101)
#define AHCI_SIG_ATAPI      UINT32_C(0xeb140101)
#define AHCI_SIG_MULTIPLIER UINT32_C(0x96690101)

// 4.2.2
struct ahci_header {
	uint16_t flags;
	uint16_t region_count;
	uint32_t moved; // bytes
	uint64_t table; // of 128 bytes' alignment
	uint32_t reserved[4];
};

enum {
	AHCI_HEADERS = 32,
	AHCI_HEADER_FRAME_WORDS = 5, // of 32 bits, that the command's frame has
	AHCI_HEADER_WRITE = 1 << 6,
};

// 4.2.3.3
struct ahci_region {
	uint64_t address; // even
	uint32_t reserved;
	uint32_t bytes; // less 1
};

// Serial ATA 2.6, 10.3.4: register, host to device.
struct ahci_frame {
	uint8_t kind, flags, command, features;
	uint8_t lba_low, lba_mid, lba_high, device;
	uint8_t lba_3, lba_4, lba_5, features_high;
	uint8_t count, count_high, icc, control;
	uint8_t reserved[4];
};

enum {
	AHCI_FRAME_KIND = 0x27,
	AHCI_FRAME_COMMAND = 1 << 7,
	AHCI_FRAME_DEVICE_LBA = 1 << 6,
};

// 4.2.3
struct ahci_table {
	struct ahci_frame frame;
	uint8_t unused[0x80 - sizeof(struct ahci_frame)];
	struct ahci_region region; // more of them are not needed
};

_Static_assert(sizeof(struct ahci_header) == 32, "4.2.2");
_Static_assert(sizeof(struct ahci_region) == 16, "4.2.3.3");
_Static_assert(sizeof(struct ahci_frame) == 20, "10.3.4");
_Static_assert(offsetof(struct ahci_table, region) == 0x80, "4.2.3");

#endif

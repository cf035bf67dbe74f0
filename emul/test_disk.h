// SPDX-License-Identifier: BSD-2-Clause
// A disk for tests of back ends: several requests under way at once, by tags, with DMA.
//
// Registers of 4 bytes each, little-endian; a narrower access is dropped, and reads as ones:
//
//   0x00  TAG        the request that the next five are of, 0 to 15
//   0x04  ADDRESS    guest-physical address, its low half
//   0x08  ADDRESS_HI its high half
//   0x0c  OFFSET     in bytes
//   0x10  BYTES      at most 32768
//   0x14  COMMAND    written, 0 reads from the disk, 1 writes to it, 2 flushes. Dropped while the
//                    tag is busy. Read, the tag's state: enum test_disk_state
//   0x18  COMPLETED  read: bit 31 and the tag that was completed first; it is forgotten then. 0:
//                    none. What COMMAND refuses is completed at once
//   0x1c  INTERRUPT  bit 0: the output is high as long as COMPLETED has something
#ifndef EMUL_TEST_DISK_H
#define EMUL_TEST_DISK_H

#include "emul/device.h"

enum { TEST_DISK_PORT = 0x540, TEST_DISK_PORT_BYTES = 32 };

enum { TEST_DISK_REGION_REGISTERS };
enum { TEST_DISK_OUTPUT_IRQ, TEST_DISK_OUTPUTS };
enum { TEST_DISK_PORT_MEDIUM }; // of its back end

enum test_disk_register {
	TEST_DISK_TAG,
	TEST_DISK_ADDRESS,
	TEST_DISK_ADDRESS_HI,
	TEST_DISK_OFFSET,
	TEST_DISK_BYTES,
	TEST_DISK_COMMAND,
	TEST_DISK_COMPLETED,
	TEST_DISK_INTERRUPT,
};

enum test_disk_state {
	TEST_DISK_IDLE,
	TEST_DISK_BUSY,
	TEST_DISK_DONE,
	TEST_DISK_FAILED,
	TEST_DISK_REFUSED, // not memory, too much, or no such command
};

extern const struct device_model test_disk_model;

#endif

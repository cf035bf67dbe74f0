// SPDX-License-Identifier: BSD-2-Clause
// A disk for tests of back ends and of MSI: several requests under way at once, by tags, with DMA.
// A PCI function; it reads and writes memory as a master only.
//
// Base address register 0 has ports: registers of 4 bytes each, little-endian; a narrower access is
// dropped, and reads as ones:
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
//   0x1c  INTERRUPT  bit 0: INTA# is asserted as long as COMPLETED has something. With MSI, a
//                    message comes for each that is completed: number TAG modulo the messages
//                    given. It is pending no longer than COMPLETED has one of that number
#ifndef EMUL_TEST_DISK_H
#define EMUL_TEST_DISK_H

#include "emul/pcidev.h"

enum {
	TEST_DISK_VENDOR = 0x1af4,
	TEST_DISK_DEVICE = 0x10f0, // one of those for experiments
	TEST_DISK_BYTES_OF_PORTS = 32,
	TEST_DISK_MSI = 0x40, // its capability
	TEST_DISK_MESSAGES = 4,
};

enum { TEST_DISK_REGION_REGISTERS }; // of base address register 0
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

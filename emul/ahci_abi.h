// SPDX-License-Identifier: BSD-2-Clause
// Serial ATA AHCI 1.3.1: registers (3) and structures in memory (4.2); frames of Serial ATA 2.6
// (10.3), as a controller sends and receives them.
#ifndef EMUL_AHCI_ABI_H
#define EMUL_AHCI_ABI_H

#include "kernel/base/types.h"

enum {
	AHCI_PORTS = 6,
	AHCI_SLOTS = 32,
	AHCI_PORT_FIRST = 0x100, // registers of the first port
	AHCI_PORT_BYTES = 0x80,
};

// 3.1: of the whole controller. The first four are an array's.
enum ahci_register {
	AHCI_CAP = 0x00,
	AHCI_GHC = 0x04,
	AHCI_IS = 0x08, // a bit a port
	AHCI_PI = 0x0c, // ports that there are
	AHCI_VS = 0x10,
};

enum ahci_cap { // 3.1.1
	AHCI_CAP_SLOTS_SHIFT = 8, // less 1
	AHCI_CAP_AHCI_ONLY = 1 << 18,
	AHCI_CAP_SPEED_SHIFT = 20,
	AHCI_CAP_OVERRIDE = 1 << 24, // PxCMD.CLO
	AHCI_CAP_STAGGERED = 1 << 27,
	AHCI_CAP_NOTIFIES = 1 << 29, // PxSNTF
	AHCI_CAP_QUEUES = 1 << 30,
};
#define AHCI_CAP_64BIT UINT32_C(0x80000000)

enum ahci_ghc { AHCI_GHC_RESET = 1 << 0, AHCI_GHC_INTERRUPTS = 1 << 1 }; // 3.1.2
#define AHCI_GHC_ENABLE UINT32_C(0x80000000)

// 3.3: of a port.
enum ahci_port_register {
	AHCI_CLB = 0x00, // 64 bits
	AHCI_FB = 0x08,  // 64 bits
	AHCI_PXIS = 0x10,
	AHCI_IE = 0x14,
	AHCI_CMD = 0x18,
	AHCI_TFD = 0x20,
	AHCI_SIG = 0x24,
	AHCI_SSTS = 0x28,
	AHCI_SCTL = 0x2c,
	AHCI_SERR = 0x30,
	AHCI_SACT = 0x34,
	AHCI_CI = 0x38,
	AHCI_SNTF = 0x3c,
};

enum ahci_interrupt { // 3.3.5
	AHCI_INTERRUPT_REGISTER = 1 << 0, // a frame with registers
	AHCI_INTERRUPT_PIO = 1 << 1,
	AHCI_INTERRUPT_DMA = 1 << 2,
	AHCI_INTERRUPT_BITS = 1 << 3, // "set device bits"
	AHCI_INTERRUPT_ENTRY = 1 << 5, // one with the bit for it has been moved
	AHCI_INTERRUPT_CONNECTED = 1 << 6,
	AHCI_INTERRUPT_PHY = 1 << 22,
	AHCI_INTERRUPT_OVERFLOW = 1 << 24,
	AHCI_INTERRUPT_INTERFACE = 1 << 27,
	AHCI_INTERRUPT_BUS = 1 << 29,
	AHCI_INTERRUPT_TASK = 1 << 30,
	// Those that the register of errors has.
	AHCI_INTERRUPT_BY_ERROR = AHCI_INTERRUPT_CONNECTED | AHCI_INTERRUPT_PHY,
};
#define AHCI_INTERRUPTS UINT32_C(0xfdc000ff)

enum ahci_cmd { // 3.3.7
	AHCI_CMD_START = 1 << 0,
	AHCI_CMD_SPIN_UP = 1 << 1,
	AHCI_CMD_POWER = 1 << 2,
	AHCI_CMD_OVERRIDE = 1 << 3,
	AHCI_CMD_RECEIVE = 1 << 4,
	AHCI_CMD_SLOT_SHIFT = 8,
	AHCI_CMD_RECEIVES = 1 << 14,
	AHCI_CMD_RUNS = 1 << 15,
	AHCI_CMD_ATAPI = 1 << 24,
	AHCI_CMD_LIGHT = 1 << 25, // of an ATAPI device
};

enum {
	AHCI_SSTS_UP = 0x103, // device and communication, active; the speed is in bits 7:4
	AHCI_SSTS_OFF = 0x4,
	AHCI_SSTS_SPEED_SHIFT = 4,
	AHCI_SPEED = 2, // the second generation's
	AHCI_SCTL_DETECTION = 0xf,
	AHCI_SCTL_RESET = 1,
	AHCI_SCTL_OFF = 4,
	AHCI_SCTL_WRITABLE = 0xfff,
	AHCI_SERR_HANDSHAKE = 1 << 22,
	AHCI_SERR_PHY = 1 << 16,
	AHCI_SERR_EXCHANGED = 1 << 26,
	AHCI_SIG_ATA = 0x101,
};
#define AHCI_SIG_NONE UINT32_C(0xffffffff)

// 4.2.1: where frames go in the area for them.
enum ahci_frame_place {
	AHCI_FRAME_DMA = 0x00,
	AHCI_FRAME_PIO = 0x20,
	AHCI_FRAME_REGISTER = 0x40,
	AHCI_FRAME_BITS = 0x58,
	AHCI_FRAMES_BYTES = 0x100,
};

enum ahci_frame_kind { // Serial ATA 2.6, 10.3.1
	AHCI_KIND_COMMAND = 0x27,
	AHCI_KIND_REGISTER = 0x34,
	AHCI_KIND_DMA_SETUP = 0x41,
	AHCI_KIND_PIO_SETUP = 0x5f,
	AHCI_KIND_BITS = 0xa1,
};

enum { // the second byte of a frame
	AHCI_FLAG_PORT = 0x0f, // behind a multiplier
	AHCI_FLAG_TO_HOST = 0x20,
	AHCI_FLAG_INTERRUPT = 0x40,
	AHCI_FLAG_COMMAND = 0x80,
};

// 4.2.2: the head of a command's entry in the list.
struct ahci_header {
	uint16_t flags;
	uint16_t entries; // of its table
	uint32_t moved;   // bytes
	uint64_t table;
};

enum {
	AHCI_HEADER_BYTES = 32,
	AHCI_HEADER_WORDS = 0x1f, // of 32 bits, that its frame has
	AHCI_HEADER_CLEARS = 1 << 10, // it is done once it is sent
	AHCI_HEADER_PORT_SHIFT = 12,
	AHCI_TABLE_ENTRIES = 0x80, // from the beginning of a table
	AHCI_FRAME_WORDS = 5,
	AHCI_FRAME_WORDS_MAX = 16,
};

// 4.2.3.3
struct ahci_entry {
	uint64_t at;
	uint32_t reserved;
	uint32_t bytes; // less 1; bit 31: it is told when they have been moved
};
#define AHCI_ENTRY_BYTES UINT32_C(0x3fffff)
#define AHCI_ENTRY_TELLS UINT32_C(0x80000000)

// Serial ATA 2.6, 10.3.4 and 10.3.5: registers. What is the status on the way to the host is the
// command on the way from it.
struct ahci_frame {
	uint8_t kind, flags, command, features;
	uint8_t lba[3], device;
	uint8_t lba_high[3], features_high;
	uint8_t count, count_high, isochronous, control;
	uint8_t auxiliary[4];
};
_Static_assert(sizeof(struct ahci_frame) == 4 * AHCI_FRAME_WORDS, "Serial ATA 2.6, 10.3.4");

#endif

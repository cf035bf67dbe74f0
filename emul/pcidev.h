// SPDX-License-Identifier: BSD-2-Clause
// What every PCI function has: configuration space, base address registers, an interrupt pin.
//
// Specification: PCI Local Bus 3.0, chapter 6 (configuration space), 2.2.6 (INTx#).
//
// A function's struct begins with struct pcidev, its model names a struct pcidev_info, and its
// handlers pass on what concerns the header:
//
//   reset   pcidev_reset
//   read    PCIDEV_REGION_CONFIG: pcidev_read
//   write   PCIDEV_REGION_CONFIG: pcidev_write, then whatever its own registers mean
//   level   pcidev_level
//   loaded  pcidev_loaded, once its own registers are as they were
//   check   pcidev_check
//   read    PCIDEV_REGION_ROM, where it has one: pcidev_rom_read, from what its configuration gave
//
// Regions that base address registers place are mapped and unmapped here. Accesses to them come
// with the number of the register as their region.
#ifndef EMUL_PCIDEV_H
#define EMUL_PCIDEV_H

#include "emul/device.h"
#include "kernel/base/assert.h"

enum pcidev_region {
	// 0 to 5: of a base address register; of one with 64 bits, its lower half
	PCIDEV_REGION_ROM = 6,
	PCIDEV_REGION_CONFIG = 7, // placed by the board, in DEVICE_SPACE_PCI
	PCIDEV_REGIONS            // from here on, a function's own
};

enum { PCIDEV_OUTPUT_INTX = 0 }; // of a function with an interrupt pin

enum {
	PCIDEV_BARS = 6,
	PCIDEV_CONFIG_BYTES = 256,

	PCIDEV_COMMAND = 0x04,
	PCIDEV_COMMAND_PORT = 0x0001,
	PCIDEV_COMMAND_MEMORY = 0x0002,
	PCIDEV_COMMAND_MASTER = 0x0004,
	PCIDEV_COMMAND_PARITY = 0x0040,
	PCIDEV_COMMAND_SERR = 0x0100,
	PCIDEV_COMMAND_INTX_OFF = 0x0400,
	PCIDEV_STATUS = 0x06,
	PCIDEV_STATUS_INTX = 0x0008,
	PCIDEV_STATUS_CAPABILITIES = 0x0010,
	PCIDEV_CACHE_LINE = 0x0c,
	PCIDEV_LATENCY = 0x0d,
	PCIDEV_HEADER_TYPE = 0x0e,
	PCIDEV_BAR_FIRST = 0x10,
	PCIDEV_ROM = 0x30,
	PCIDEV_CAPABILITIES = 0x34,
	PCIDEV_INTERRUPT_LINE = 0x3c,
	PCIDEV_INTERRUPT_PIN = 0x3d,
	PCIDEV_OWN = 0x40, // from here on, a function's own registers
};

enum pcidev_bar_kind { PCIDEV_BAR_NONE, PCIDEV_BAR_PORTS, PCIDEV_BAR_MEMORY, PCIDEV_BAR_MEMORY64 };

struct pcidev_bar {
	uint32_t bytes; // power of two: 4 to 256 ports, 16 bytes to 2 GiB of memory
	uint8_t kind;   // enum pcidev_bar_kind; MEMORY64 takes the next register too
	bool prefetchable;
	uint8_t reserved[2];
};

// Registers beyond the header, and bits of the header that differ. Bits that nobody can change stay
// as they are at reset.
struct pcidev_register {
	uint8_t offset;
	uint8_t bytes;    // 1 to 4
	uint16_t reserved;
	uint32_t reset;
	uint32_t writable;
	uint32_t clears;  // a one written clears the bit
	uint32_t own;     // bits that the function alone changes, by pcidev_set
};

struct pcidev_info {
	uint16_t vendor, device, subsystem_vendor, subsystem;
	uint32_t class_code;  // base class << 16 | subclass << 8 | interface
	uint16_t command;     // bits of it that can be written, beside those that are implied
	uint16_t status;      // as it is at reset
	uint8_t revision;
	uint8_t header_type;  // 0x80: other functions of the same device are there
	uint8_t pin;          // 1: INTA#; 0: none
	uint8_t capabilities; // offset of the first; 0: none
	uint32_t rom_bytes;   // power of two, at least 2048; 0: none
	struct pcidev_bar bars[PCIDEV_BARS];
	const struct pcidev_register *registers;
	uint32_t register_count;
	uint32_t reserved;
};

struct pcidev {
	struct device device;
	uint8_t config[PCIDEV_CONFIG_BYTES];
};

// For the state table of a function whose struct has it as `pci`.
#define PCIDEV_STATE(type) STATE_DERIVED(type, pci.device), STATE_ARRAY_ANY(type, pci.config)

static inline struct pcidev *pcidev_of(struct device *device)
{
	return CONTAINER_OF(device, struct pcidev, device);
}

void pcidev_reset(struct pcidev *pci);
// `offset` and `size` lie within PCIDEV_CONFIG_BYTES; size 1, 2 or 4.
uint64_t pcidev_read(const struct pcidev *pci, uint64_t offset, unsigned size);
void pcidev_write(struct pcidev *pci, uint64_t offset, unsigned size, uint64_t value);
// Registers of any number of bytes up to 4, at any offset, as the function itself sees them.
static always_inline uint32_t pcidev_get(const struct pcidev *pci, unsigned offset,
	unsigned bytes)
{
	uint32_t value = 0;

	ASSERT(bytes <= 4 && offset + bytes <= PCIDEV_CONFIG_BYTES);
	if (bytes == 4)
		__builtin_memcpy(&value, &pci->config[offset], 4);
	else if (bytes == 2)
		__builtin_memcpy(&value, &pci->config[offset], 2);
	else if (bytes == 1)
		value = pci->config[offset];
	return value;
}
void pcidev_set(struct pcidev *pci, unsigned offset, unsigned bytes, uint32_t value);
// What the function requests with its pin: shown in the status register, and driven unless the
// command register forbids it.
void pcidev_intx(struct pcidev *pci, bool requested);
bool pcidev_level(const struct pcidev *pci);
// It may read and write memory.
static inline bool pcidev_is_master(const struct pcidev *pci)
{
	return (pci->config[PCIDEV_COMMAND] & PCIDEV_COMMAND_MASTER) != 0;
}
void pcidev_loaded(struct pcidev *pci);
const char *pcidev_check(const struct pcidev *pci, const struct pcidev_info *info);
// PCIDEV_REGION_ROM, which has `bytes` of contents and zeros behind them. Writes change nothing.
uint64_t pcidev_rom_read(const uint8_t *contents, uint32_t bytes, uint64_t offset, unsigned size);

#endif

// SPDX-License-Identifier: BSD-2-Clause
// The host's PCI functions: PCI Local Bus Specification 3.0, by configuration mechanism #1
// (3.2.2.3.2), which reaches the first 256 bytes of each. What they answer is foreign data.
//
// Any CPU may read and write, one access at a time; interrupt handlers may not. Firmware (or a
// loader in its place) assigns addresses: nothing is assigned here, and a function without one
// cannot be used.
#ifndef KERNEL_PCI_H
#define KERNEL_PCI_H

#include "kernel/base/status.h"
#include "kernel/boot_info.h"

enum {
	PCI_ID = 0x00, // vendor, and the device above it
	PCI_COMMAND = 0x04,
	PCI_STATUS = 0x06,
	PCI_CLASS = 0x08, // revision, and the class above it
	PCI_HEADER = 0x0e,
	PCI_BAR_0 = 0x10,
	PCI_CAPABILITIES = 0x34,
	PCI_CONFIG_BYTES = 256,
};

// Of PCI_COMMAND.
enum {
	PCI_COMMAND_PORTS = 1 << 0,
	PCI_COMMAND_MEMORY = 1 << 1,
	PCI_COMMAND_MASTER = 1 << 2,
	PCI_COMMAND_NO_INTX = 1 << 10,
};

enum {
	PCI_CLASS_IDE = 0x0101,
	PCI_CLASS_SATA = 0x0106,
	PCI_CLASS_NVM = 0x0108,
	PCI_CLASS_BASE_BRIDGE = 0x06, // the upper byte
	PCI_BARS_MAX = 6,
};

struct pci_address {
	uint8_t bus, slot, function;
};

// A function that was there at boot.
struct pci_function {
	struct pci_address at;
	uint16_t vendor, device;
	uint16_t class;    // base class in the upper byte
	uint8_t interface; // programming interface
	uint8_t header;    // 0: a device, 1: a bridge to another bus
	struct pci_function *next; // by bus, slot, function
};

enum pci_bar_kind { PCI_BAR_NONE, PCI_BAR_PORTS, PCI_BAR_MEMORY };

struct pci_bar {
	enum pci_bar_kind kind;
	bool is_64bit; // the next register is its upper half
	bool is_prefetchable;
	uint64_t start; // 0: not assigned
};

// Registers of a function; `offset` is a multiple of the width.
uint32_t pci_read32(struct pci_address at, uint32_t offset);
uint16_t pci_read16(struct pci_address at, uint32_t offset);
uint8_t pci_read8(struct pci_address at, uint32_t offset);
void pci_write32(struct pci_address at, uint32_t offset, uint32_t value);
void pci_write16(struct pci_address at, uint32_t offset, uint16_t value);

// Calls `visit` for each function there is, in order. Needs nothing of the kernel.
void pci_visit(void (*visit)(struct pci_address at));

// Finds the functions, once. *info is kept: it says where RAM is.
void pci_init(const struct boot_info *info);
const struct pci_function *pci_first(void);

// Sets bits of PCI_COMMAND, or clears them.
void pci_enable(const struct pci_function *function, uint16_t bits);
void pci_disable(const struct pci_function *function, uint16_t bits);

// `index` below PCI_BARS_MAX; PCI_BAR_NONE where there is none.
struct pci_bar pci_bar_get(const struct pci_function *function, unsigned index);
// Its size, 0: none. The function answers to no address meanwhile, so only its driver may ask.
uint64_t pci_bar_bytes(const struct pci_function *function, unsigned index);
// Maps `bytes` from `offset` on of a memory BAR. NULL: they are not all in it, or it is not
// assigned, or lies where memory cannot or where RAM is. Asks for the size as pci_bar_bytes does.
must_check volatile void *pci_bar_map(const struct pci_function *function, unsigned index,
	uint64_t offset, uint64_t bytes);

// Offset of the `nth` capability (from 0) with this id; 0: there is none.
uint32_t pci_capability(const struct pci_function *function, uint8_t id, unsigned nth);

#endif

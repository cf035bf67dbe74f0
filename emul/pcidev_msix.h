// SPDX-License-Identifier: BSD-2-Clause
// MSI-X of a PCI function: its table, its pending bits, and the capability in configuration space.
//
// Specification: PCI Local Bus 3.0, 6.8.2 (registers) and 6.8.3 (operation).
//
// The function has PCIDEV_MSIX_REGISTER among its registers, and memory for table and pending bits,
// whose accesses it passes on.
#ifndef EMUL_PCIDEV_MSIX_H
#define EMUL_PCIDEV_MSIX_H

#include "emul/pcidev.h"

enum {
	PCIDEV_MSIX_VECTORS_MAX = 32,
	PCIDEV_MSIX_ENTRY_BYTES = 16,
	PCIDEV_MSIX_CAPABILITY = 0x11,
	PCIDEV_MSIX_CAPABILITY_BYTES = 12,
	PCIDEV_MSIX_CONTROL = 2, // of the capability; bits 14 and 15: all masked, enabled
};

// The three doublewords of the capability at `at`: followed by the one at `next`, with so many
// vectors; table and pending bits at offsets in the memory of base address register `bar`.
#define PCIDEV_MSIX_REGISTERS(at, next, vectors, bar, table_at, pending_at)                        \
	{.offset = (at), .bytes = 4,                                                               \
		.reset = PCIDEV_MSIX_CAPABILITY | (next) << 8 | (uint32_t)((vectors)-1) << 16,     \
		.writable = 0xc0000000},                                                           \
	{.offset = (at) + 4, .bytes = 4, .reset = (table_at) | (bar)},                             \
	{.offset = (at) + 8, .bytes = 4, .reset = (pending_at) | (bar)}

struct pcidev_msix_entry {
	uint32_t address, address_high;
	uint32_t data;
	uint32_t control; // bit 0: masked
};

struct pcidev_msix {
	struct pcidev_msix_entry entries[PCIDEV_MSIX_VECTORS_MAX];
	uint64_t pending; // a bit each
};

// For the state table of a function whose struct has it as `member`.
#define PCIDEV_MSIX_STATE(type, member)                                                            \
	STATE_EACH(type, member.entries, address, 0, 0xfffffffc),                                  \
		STATE_EACH_ANY(type, member.entries, address_high),                                \
		STATE_EACH_ANY(type, member.entries, data),                                        \
		STATE_EACH(type, member.entries, control, 0, 1),                                   \
		STATE_VALUE(type, member.pending, 0, (uint64_t)BIT(PCIDEV_MSIX_VECTORS_MAX) - 1)

void pcidev_msix_reset(struct pcidev_msix *msix); // all masked
bool pcidev_msix_is_on(const struct pcidev *pci, unsigned capability);
// `offset` from the start of the table, within it; 4 or 8 bytes, aligned: other accesses read all
// ones and write nothing.
uint64_t pcidev_msix_read(const struct pcidev_msix *msix, uint64_t offset, unsigned size);
void pcidev_msix_write(struct pcidev *pci, unsigned capability, struct pcidev_msix *msix,
	uint64_t offset, unsigned size, uint64_t value);
uint64_t pcidev_msix_pending(const struct pcidev_msix *msix, uint64_t offset, unsigned size);
// After a write to configuration space: what was pending and is masked no more is sent.
void pcidev_msix_update(struct pcidev *pci, unsigned capability, struct pcidev_msix *msix);
// Sends a vector's message, or keeps it pending while it is masked. `vector` is one of the
// function's. MSI-X is on.
void pcidev_msix_send(struct pcidev *pci, unsigned capability, struct pcidev_msix *msix,
	unsigned vector);

#endif

// SPDX-License-Identifier: BSD-2-Clause
// MSI of a PCI function: a capability in configuration space, which has all of it.
//
// Specification: PCI Local Bus 3.0, 6.8.1 (registers) and 6.8.3 (operation): addresses of 64 bits,
// a mask for each vector, several messages.
//
// The function has PCIDEV_MSI_REGISTERS among its registers, calls pcidev_msi_update behind every
// write to configuration space, and requests nothing with its pin while MSI is on.
#ifndef EMUL_PCIDEV_MSI_H
#define EMUL_PCIDEV_MSI_H

#include "emul/pcidev.h"

enum {
	PCIDEV_MSI_CAPABILITY = 0x05,
	PCIDEV_MSI_CAPABILITY_BYTES = 24,
	PCIDEV_MSI_VECTORS_MAX = 32,

	// Of the capability.
	PCIDEV_MSI_CONTROL = 2,
	PCIDEV_MSI_ADDRESS = 4,
	PCIDEV_MSI_ADDRESS_HIGH = 8,
	PCIDEV_MSI_DATA = 12,
	PCIDEV_MSI_MASK = 16,
	PCIDEV_MSI_PENDING = 20,

	// Of the control register.
	PCIDEV_MSI_ENABLE = 0x0001,
	PCIDEV_MSI_CAPABLE_SHIFT = 1,  // 2^n messages are wanted
	PCIDEV_MSI_ENABLED_SHIFT = 4,  // 2^n have been given
	PCIDEV_MSI_ENABLED_MASK = 7,
	PCIDEV_MSI_64_BITS = 0x0080,
	PCIDEV_MSI_MASKS = 0x0100,
};

// The doublewords of the capability at `at`: followed by the one at `next`, with so many vectors, a
// power of two up to PCIDEV_MSI_VECTORS_MAX.
#define PCIDEV_MSI_REGISTERS(at, next, vectors)                                                    \
	{.offset = (at), .bytes = 4,                                                               \
		.reset = PCIDEV_MSI_CAPABILITY | (next) << 8 |                                     \
			(uint32_t)(PCIDEV_MSI_64_BITS | PCIDEV_MSI_MASKS |                         \
				__builtin_ctz(vectors) << PCIDEV_MSI_CAPABLE_SHIFT) << 16,         \
		.writable = (uint32_t)(PCIDEV_MSI_ENABLE |                                         \
			PCIDEV_MSI_ENABLED_MASK << PCIDEV_MSI_ENABLED_SHIFT) << 16},               \
	{.offset = (at) + PCIDEV_MSI_ADDRESS, .bytes = 4, .writable = 0xfffffffc},                 \
	{.offset = (at) + PCIDEV_MSI_ADDRESS_HIGH, .bytes = 4, .writable = 0xffffffff},            \
	{.offset = (at) + PCIDEV_MSI_DATA, .bytes = 2, .writable = 0xffff},                        \
	{.offset = (at) + PCIDEV_MSI_MASK, .bytes = 4,                                             \
		.writable = (uint32_t)(((uint64_t)1 << (vectors)) - 1)},                           \
	{.offset = (at) + PCIDEV_MSI_PENDING, .bytes = 4,                                          \
		.own = (uint32_t)(((uint64_t)1 << (vectors)) - 1)}

bool pcidev_msi_is_on(const struct pcidev *pci, unsigned capability);
// How many the driver has given it: 1 or more, and no more than it wants.
unsigned pcidev_msi_vectors(const struct pcidev *pci, unsigned capability);
// Sends a vector's message, or keeps it pending while it is masked. `vector` is one of those. MSI
// is on.
void pcidev_msi_send(struct pcidev *pci, unsigned capability, unsigned vector);
// What the vector's message was to tell has been seen to: it is not pending any more.
void pcidev_msi_withdraw(struct pcidev *pci, unsigned capability, unsigned vector);
// After a write to configuration space: what was pending and is masked no more is sent.
void pcidev_msi_update(struct pcidev *pci, unsigned capability);

#endif

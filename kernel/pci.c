// SPDX-License-Identifier: BSD-2-Clause
// PCI Local Bus Specification 3.0: header in 6.1, command register in 6.2.2, base addresses in
// 6.2.5.1, capabilities in 6.7. Every bus number is tried rather than the bridges' topology
// followed: bridges may be numbered in ways that only their firmware knows, and an absent device
// costs one read.
#include "kernel/pci.h"

#include <stdlib.h>

#include "kernel/base/assert.h"
#include "kernel/console.h"
#include "kernel/pagetable.h"
#include "kernel/spinlock.h"
#include "kernel/x86.h"

enum {
	ADDRESS_PORT = 0xcf8,
	DATA_PORT = 0xcfc,
	ENABLE_SHIFT = 31,
	BUSES = 256,
	SLOTS = 32,
	FUNCTIONS = 8,
	NO_VENDOR = 0xffff,
	HEADER_MULTIFUNCTION = 0x80,
	HEADER_KIND = 0x7f,
	HEADER_DEVICE = 0,
	HEADER_BRIDGE = 1,
	BRIDGE_BARS = 2,
	BAR_PORTS = 1 << 0,
	BAR_KIND = 3 << 1, // of memory
	BAR_64BIT = 2 << 1,
	BAR_PREFETCHABLE = 1 << 3,
	STATUS_CAPABILITIES = 1 << 4,
	CAPABILITY_FIRST = 0x40, // behind the header
	CAPABILITIES_MAX = (PCI_CONFIG_BYTES - CAPABILITY_FIRST) / 4,
	CPUID_ADDRESS_BITS = (int)0x80000008,
};

#define BAR_PORTS_FLAGS  3u
#define BAR_MEMORY_FLAGS 0xfu
// What four levels of page tables map.
#define ADDRESS_BITS_MAX 47

static struct spinlock lock; // between the address and the data
static struct pci_function *functions, **functions_last = &functions; // (c) after pci_init
static const struct boot_info *boot;                                 // (c) after pci_init

static uint16_t select_register(struct pci_address at, uint32_t offset)
{
	outl(ADDRESS_PORT, (uint32_t)(BIT(ENABLE_SHIFT) | (uint32_t)at.bus << 16 |
		(uint32_t)at.slot << 11 | (uint32_t)at.function << 8 | (offset & 0xfc)));
	return (uint16_t)(DATA_PORT + (offset & 3));
}

uint32_t pci_read32(struct pci_address at, uint32_t offset)
{
	uint32_t value;

	ASSERT(offset % 4 == 0 && offset < PCI_CONFIG_BYTES);
	spin_lock(&lock);
	value = inl(select_register(at, offset));
	spin_unlock(&lock);
	return value;
}

uint16_t pci_read16(struct pci_address at, uint32_t offset)
{
	ASSERT(offset % 2 == 0);
	return (uint16_t)(pci_read32(at, offset & ~3u) >> (offset & 2) * 8);
}

uint8_t pci_read8(struct pci_address at, uint32_t offset)
{
	return (uint8_t)(pci_read32(at, offset & ~3u) >> (offset & 3) * 8);
}

void pci_write32(struct pci_address at, uint32_t offset, uint32_t value)
{
	ASSERT(offset % 4 == 0 && offset < PCI_CONFIG_BYTES);
	spin_lock(&lock);
	outl(select_register(at, offset), value);
	spin_unlock(&lock);
}

void pci_write16(struct pci_address at, uint32_t offset, uint16_t value)
{
	ASSERT(offset % 2 == 0 && offset < PCI_CONFIG_BYTES);
	spin_lock(&lock);
	outw(select_register(at, offset), value);
	spin_unlock(&lock);
}

static void slot_visit(uint8_t bus, uint8_t slot, void (*visit)(struct pci_address at))
{
	uint8_t count = 1;

	for (uint8_t i = 0; i < count; i++) {
		struct pci_address at = {bus, slot, i};

		if (pci_read16(at, PCI_ID) == NO_VENDOR) {
			if (i == 0)
				return;
			continue;
		}
		if (i == 0 && (pci_read8(at, PCI_HEADER) & HEADER_MULTIFUNCTION) != 0)
			count = FUNCTIONS;
		visit(at);
	}
}

void pci_visit(void (*visit)(struct pci_address at))
{
	for (unsigned bus = 0; bus < BUSES; bus++)
		for (unsigned slot = 0; slot < SLOTS; slot++)
			slot_visit((uint8_t)bus, (uint8_t)slot, visit);
}

static void function_add(struct pci_address at)
{
	struct pci_function *function = malloc(sizeof(*function));
	uint32_t class = pci_read32(at, PCI_CLASS);

	if (function == NULL) {
		log_warn("pci: no memory for %02x:%02x.%u", at.bus, at.slot, at.function);
		return;
	}
	*function = (struct pci_function){
		.at = at,
		.vendor = pci_read16(at, PCI_ID),
		.device = pci_read16(at, PCI_ID + 2),
		.class = (uint16_t)(class >> 16),
		.interface = (uint8_t)(class >> 8),
		.header = pci_read8(at, PCI_HEADER) & HEADER_KIND,
	};
	*functions_last = function;
	functions_last = &function->next;
}

void pci_init(const struct boot_info *info)
{
	boot = info;
	pci_visit(function_add);
}

const struct pci_function *pci_first(void)
{
	return functions;
}

// The upper half is the status register, whose bits writing ones would clear.
void pci_enable(const struct pci_function *function, uint16_t bits)
{
	pci_write16(function->at, PCI_COMMAND, pci_read16(function->at, PCI_COMMAND) | bits);
}

void pci_disable(const struct pci_function *function, uint16_t bits)
{
	uint16_t command = pci_read16(function->at, PCI_COMMAND);

	pci_write16(function->at, PCI_COMMAND, (uint16_t)(command & ~bits));
}

static unsigned bar_count(const struct pci_function *function)
{
	if (function->header == HEADER_DEVICE)
		return PCI_BARS_MAX;
	return function->header == HEADER_BRIDGE ? BRIDGE_BARS : 0;
}

static uint32_t bar_offset(unsigned index)
{
	return PCI_BAR_0 + 4 * index;
}

struct pci_bar pci_bar_get(const struct pci_function *function, unsigned index)
{
	unsigned count = bar_count(function);
	struct pci_bar bar = {.kind = PCI_BAR_NONE};
	uint32_t low;

	if (index >= count)
		return bar;
	low = pci_read32(function->at, bar_offset(index));
	if (low == 0)
		return bar; // not there, or memory below 4 GiB without an address: of no use either
	if ((low & BAR_PORTS) != 0) {
		bar.kind = PCI_BAR_PORTS;
		bar.start = low & ~BAR_PORTS_FLAGS & UINT16_MAX;
		return bar;
	}
	bar.kind = PCI_BAR_MEMORY;
	bar.is_prefetchable = (low & BAR_PREFETCHABLE) != 0;
	bar.start = low & ~BAR_MEMORY_FLAGS;
	if ((low & BAR_KIND) == BAR_64BIT && index + 1 < count) {
		bar.is_64bit = true;
		bar.start |= (uint64_t)pci_read32(function->at, bar_offset(index + 1)) << 32;
	}
	return bar;
}

// What a register keeps of all ones.
static uint32_t bar_probe(const struct pci_function *function, unsigned index)
{
	uint32_t before = pci_read32(function->at, bar_offset(index)), mask;

	pci_write32(function->at, bar_offset(index), UINT32_MAX);
	mask = pci_read32(function->at, bar_offset(index));
	pci_write32(function->at, bar_offset(index), before);
	return mask;
}

uint64_t pci_bar_bytes(const struct pci_function *function, unsigned index)
{
	struct pci_bar bar = pci_bar_get(function, index);
	uint16_t command = pci_read16(function->at, PCI_COMMAND);
	uint64_t mask;

	if (bar.kind == PCI_BAR_NONE)
		return 0;
	pci_disable(function, PCI_COMMAND_PORTS | PCI_COMMAND_MEMORY);
	mask = bar_probe(function, index);
	mask &= bar.kind == PCI_BAR_PORTS ? UINT16_MAX & ~BAR_PORTS_FLAGS : ~BAR_MEMORY_FLAGS;
	if (bar.is_64bit)
		mask |= (uint64_t)bar_probe(function, index + 1) << 32;
	pci_write16(function->at, PCI_COMMAND, command);
	return mask & (~mask + 1); // the lowest bit that can be set
}

static bool is_device_memory(uint64_t start, uint64_t bytes)
{
	uint32_t bits = cpuid((uint32_t)CPUID_ADDRESS_BITS, 0).eax & 0xff;

	if (bits > ADDRESS_BITS_MAX)
		bits = ADDRESS_BITS_MAX;
	if (start == 0 || start >= BIT(bits) || bytes > BIT(bits) - start)
		return false;
	for (uint32_t i = 0; i < boot->range_count; i++) {
		const struct boot_range *range = &boot->ranges[i];

		// What firmware has reserved may be the window that devices are in.
		if ((range->kind == BOOT_RANGE_FREE || range->kind == BOOT_RANGE_IMAGE) &&
			start < range->start.v + range->bytes && range->start.v < start + bytes)
			return false;
	}
	return true;
}

volatile void *pci_bar_map(const struct pci_function *function, unsigned index, uint64_t offset,
	uint64_t bytes)
{
	struct pci_bar bar = pci_bar_get(function, index);
	uint64_t size = pci_bar_bytes(function, index);

	if (bar.kind != PCI_BAR_MEMORY || offset > size || bytes > size - offset ||
		!is_device_memory(bar.start, size))
		return NULL;
	return pagetable_map_device((struct hpa){bar.start + offset}, bytes);
}

uint32_t pci_capability(const struct pci_function *function, uint8_t id, unsigned nth)
{
	uint32_t at;

	if ((pci_read16(function->at, PCI_STATUS) & STATUS_CAPABILITIES) == 0 ||
		function->header > HEADER_BRIDGE)
		return 0;
	at = pci_read8(function->at, PCI_CAPABILITIES) & 0xfc;
	// A list that bites its tail ends here.
	for (unsigned i = 0; i < CAPABILITIES_MAX && at >= CAPABILITY_FIRST; i++) {
		if (pci_read8(function->at, at) == id && nth-- == 0)
			return at;
		at = pci_read8(function->at, at + 1) & 0xfc;
	}
	return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
// emul/pcidev_msix.h. Called by PCI functions alone.
#include "emul/pcidev_msix.h"

#include <string.h>

#include "kernel/base/assert.h"

enum {
	CONTROL_MASK_ALL = 0x4000,
	CONTROL_ENABLE = 0x8000,
	ENTRY_MASKED = 1,
	ENTRY_WORDS = PCIDEV_MSIX_ENTRY_BYTES / 4,
};

static uint32_t control(const struct pcidev *pci, unsigned capability)
{
	return pcidev_get(pci, capability + PCIDEV_MSIX_CONTROL, 2);
}

bool pcidev_msix_is_on(const struct pcidev *pci, unsigned capability)
{
	return (control(pci, capability) & CONTROL_ENABLE) != 0;
}

void pcidev_msix_reset(struct pcidev_msix *msix)
{
	memset(msix, 0, sizeof(*msix));
	for (unsigned i = 0; i < PCIDEV_MSIX_VECTORS_MAX; i++)
		msix->entries[i].control = ENTRY_MASKED;
}

static bool is_aligned(uint64_t offset, unsigned size)
{
	return (size == 4 || size == 8) && offset % size == 0;
}

static uint32_t word_get(const struct pcidev_msix *msix, uint64_t word)
{
	const struct pcidev_msix_entry *entry = &msix->entries[word / ENTRY_WORDS];

	switch (word % ENTRY_WORDS) {
	case 0:
		return entry->address;
	case 1:
		return entry->address_high;
	case 2:
		return entry->data;
	default:
		return entry->control;
	}
}

static void word_set(struct pcidev_msix *msix, uint64_t word, uint32_t value)
{
	struct pcidev_msix_entry *entry = &msix->entries[word / ENTRY_WORDS];

	switch (word % ENTRY_WORDS) {
	case 0:
		entry->address = value & ~(uint32_t)3;
		break;
	case 1:
		entry->address_high = value;
		break;
	case 2:
		entry->data = value;
		break;
	default:
		entry->control = value & ENTRY_MASKED;
		break;
	}
}

uint64_t pcidev_msix_read(const struct pcidev_msix *msix, uint64_t offset, unsigned size)
{
	uint64_t value;

	if (!is_aligned(offset, size))
		return UINT64_MAX;
	value = word_get(msix, offset / 4);
	return size == 4 ? value : value | (uint64_t)word_get(msix, offset / 4 + 1) << 32;
}

uint64_t pcidev_msix_pending(const struct pcidev_msix *msix, uint64_t offset, unsigned size)
{
	return is_aligned(offset, size) && offset < sizeof(msix->pending)
		? msix->pending >> 8 * offset : UINT64_MAX;
}

static bool is_masked(const struct pcidev *pci, unsigned capability,
	const struct pcidev_msix *msix, unsigned vector)
{
	return (msix->entries[vector].control & ENTRY_MASKED) != 0 ||
		(control(pci, capability) & CONTROL_MASK_ALL) != 0;
}

void pcidev_msix_send(struct pcidev *pci, unsigned capability, struct pcidev_msix *msix,
	unsigned vector)
{
	const struct pcidev_msix_entry *entry = &msix->entries[vector];

	ASSERT(vector < PCIDEV_MSIX_VECTORS_MAX && pcidev_msix_is_on(pci, capability));
	if (unlikely(is_masked(pci, capability, msix, vector))) {
		msix->pending |= BIT(vector);
		return;
	}
	msix->pending &= ~(uint64_t)BIT(vector);
	// A message is a write, which a function that is no master cannot make. Those that would
	// not go to local APICs would be writes to memory, which no driver wants.
	if (pcidev_is_master(pci) && entry->address_high == 0 &&
		entry->address >> 20 == DEVICE_MSI_WINDOW)
		device_send_msi(&pci->device, (struct gpa){entry->address}, entry->data);
}

void pcidev_msix_update(struct pcidev *pci, unsigned capability, struct pcidev_msix *msix)
{
	if (!pcidev_msix_is_on(pci, capability))
		return;
	for (unsigned i = 0; msix->pending != 0 && i < PCIDEV_MSIX_VECTORS_MAX; i++)
		if ((msix->pending & BIT(i)) != 0 && !is_masked(pci, capability, msix, i))
			pcidev_msix_send(pci, capability, msix, i);
}

void pcidev_msix_write(struct pcidev *pci, unsigned capability, struct pcidev_msix *msix,
	uint64_t offset, unsigned size, uint64_t value)
{
	if (!is_aligned(offset, size))
		return;
	word_set(msix, offset / 4, (uint32_t)value);
	if (size == 8)
		word_set(msix, offset / 4 + 1, (uint32_t)(value >> 32));
	pcidev_msix_update(pci, capability, msix);
}

// SPDX-License-Identifier: BSD-2-Clause
// emul/pcidev_msi.h. Called by PCI functions alone.
#include "emul/pcidev_msi.h"

#include "kernel/base/assert.h"

static uint32_t control(const struct pcidev *pci, unsigned capability)
{
	return pcidev_get(pci, capability + PCIDEV_MSI_CONTROL, 2);
}

bool pcidev_msi_is_on(const struct pcidev *pci, unsigned capability)
{
	return (control(pci, capability) & PCIDEV_MSI_ENABLE) != 0;
}

// 6.8.1.3: a driver gives as many as are wanted, or fewer. One that gives more gives so many.
unsigned pcidev_msi_vectors(const struct pcidev *pci, unsigned capability)
{
	uint32_t bits = control(pci, capability);
	uint32_t wanted = bits >> PCIDEV_MSI_CAPABLE_SHIFT & PCIDEV_MSI_ENABLED_MASK;
	uint32_t given = bits >> PCIDEV_MSI_ENABLED_SHIFT & PCIDEV_MSI_ENABLED_MASK;

	return 1U << (given < wanted ? given : wanted);
}

static void pending_set(struct pcidev *pci, unsigned capability, unsigned vector, bool pending)
{
	uint32_t bit = (uint32_t)BIT(vector);
	uint32_t bits = pcidev_get(pci, capability + PCIDEV_MSI_PENDING, 4);

	pcidev_set(pci, capability + PCIDEV_MSI_PENDING, 4, pending ? bits | bit : bits & ~bit);
}

void pcidev_msi_withdraw(struct pcidev *pci, unsigned capability, unsigned vector)
{
	ASSERT(vector < PCIDEV_MSI_VECTORS_MAX);
	pending_set(pci, capability, vector, false);
}

// 6.8.3.1: the lowest bits of the data say which it is.
void pcidev_msi_send(struct pcidev *pci, unsigned capability, unsigned vector)
{
	unsigned vectors = pcidev_msi_vectors(pci, capability);
	uint32_t address = pcidev_get(pci, capability + PCIDEV_MSI_ADDRESS, 4);
	uint32_t data = pcidev_get(pci, capability + PCIDEV_MSI_DATA, 2);
	bool masked = (pcidev_get(pci, capability + PCIDEV_MSI_MASK, 4) & BIT(vector)) != 0;

	ASSERT(vector < vectors && pcidev_msi_is_on(pci, capability));
	pending_set(pci, capability, vector, masked);
	// A message is a write, which a function that is no master cannot make. Those that would
	// not go to local APICs would be writes to memory, which no driver wants.
	if (!masked && pcidev_is_master(pci) && address >> 20 == DEVICE_MSI_WINDOW &&
		pcidev_get(pci, capability + PCIDEV_MSI_ADDRESS_HIGH, 4) == 0)
		device_send_msi(&pci->device, (struct gpa){address},
			(data & ~(vectors - 1)) | vector);
}

// Of those that the driver has taken back nothing is sent.
void pcidev_msi_update(struct pcidev *pci, unsigned capability)
{
	uint32_t ready = pcidev_get(pci, capability + PCIDEV_MSI_PENDING, 4) &
		~pcidev_get(pci, capability + PCIDEV_MSI_MASK, 4);

	if (!pcidev_msi_is_on(pci, capability))
		return;
	for (unsigned i = 0; ready != 0 && i < pcidev_msi_vectors(pci, capability); i++)
		if ((ready & BIT(i)) != 0)
			pcidev_msi_send(pci, capability, i);
}

// SPDX-License-Identifier: BSD-2-Clause
// What the host bridges have in common: pci_host.c.
#ifndef EMUL_PCI_HOST_INTERNAL_H
#define EMUL_PCI_HOST_INTERNAL_H

#include "emul/pci_host.h"

struct pci_host {
	struct pcidev pci;
	uint32_t address; // CONFIG_ADDRESS
	uint32_t reserved;
};

#define PCI_HOST_STATE(type)                                                                       \
	PCIDEV_STATE(type), STATE_ANY(type, address), STATE_PAD(type, reserved)

static inline struct pci_host *pci_host_of(struct device *device)
{
	return CONTAINER_OF(device, struct pci_host, pci.device);
}

// Of the shadowed parts; the first PAM register is at `pam`.
void pci_host_drive(struct pci_host *host, unsigned pam);
uint64_t pci_host_read(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size);
void pci_host_write_address(struct pci_host *host, unsigned size, uint64_t value);
const char *pci_host_check_address(const struct pci_host *host);

#endif

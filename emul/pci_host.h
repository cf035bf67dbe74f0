// SPDX-License-Identifier: BSD-2-Clause
// PCI configuration mechanism #1 and the host bridge. See pci_host.c.
#ifndef EMUL_PCI_HOST_H
#define EMUL_PCI_HOST_H

#include "emul/device.h"

extern const struct device_model pci_host_model;

enum pci_host_region {
	PCI_HOST_REGION_ADDRESS, // CONFIG_ADDRESS; port 0xCF9 in it is another device's
	PCI_HOST_REGION_DATA,    // CONFIG_DATA
	PCI_HOST_REGIONS
};

enum {
	PCI_HOST_ADDRESS_PORT = 0xcf8,
	PCI_HOST_DATA_PORT = 0xcfc,
	PCI_HOST_PORT_BYTES = 4, // of either region
	PCI_HOST_CONFIG_BYTES = 256,
};

// A byte of configuration space.
struct pci_config_address {
	uint8_t bus;
	uint8_t device;   // 0-31
	uint8_t function; // 0-7
	uint8_t offset;
};

// The child bus: what an access to the data region at `offset` means now. vm/ asks, under the
// device lock, before it delivers such an access. Where the answer names another function than
// 0:0.0 and the machine has it, vm/ carries the access to that function's device as a stimulus of
// its own; every other access it delivers here, which answers for the host bridge and for
// functions that do not exist. False: configuration space is not enabled.
bool pci_host_decode(const struct device *device, uint64_t offset,
	struct pci_config_address *address);

#endif

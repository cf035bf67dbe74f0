// SPDX-License-Identifier: BSD-2-Clause
// The AHCI function of an ICH9: six ports with an ATA disk each. See ahci.c.
#ifndef EMUL_AHCI_H
#define EMUL_AHCI_H

#include "emul/ahci_abi.h"
#include "emul/ata.h"
#include "emul/pcidev.h"

extern const struct device_model ahci_model;

enum ahci_region {
	AHCI_REGION_INDEX = 4,     // base address register 4: ports
	AHCI_REGION_REGISTERS = 5, // and 5
};

enum {
	AHCI_SATA_CAPABILITY = 0xa8, // in configuration space
	AHCI_MSI_CAPABILITY = 0xb0,
	AHCI_INDEX_PORT = 0x10,
	AHCI_DATA_PORT = 0x14,
};

struct ahci_disk_config {
	uint64_t sectors; // 0: there is none
	uint8_t serial[ATA_SERIAL_BYTES]; // zeros behind it
	uint8_t reserved[4];
};

// Before the first reset. The same for an instance that a state is loaded into.
void ahci_configure(struct device *device, const struct ahci_disk_config disks[AHCI_PORTS]);

#endif

// SPDX-License-Identifier: BSD-2-Clause
// Ways into PCI configuration space, and the host bridge. See pci_host.c.
#ifndef EMUL_PCI_HOST_H
#define EMUL_PCI_HOST_H

#include "emul/pcidev.h"

extern const struct device_model pci_host_model;

enum pci_host_region {
	PCI_HOST_REGION_ADDRESS = PCIDEV_REGIONS, // CONFIG_ADDRESS; port 0xCF9 is another device's
	// Windows: see pci_host_decode.
	PCI_HOST_REGION_DATA,                     // CONFIG_DATA
	PCI_HOST_REGION_ECAM,                     // of bus 0; of a Q35's, where PCIEXBAR says
};

// The host bridge of a Q35, an 82Q35 MCH: pci_host_mch.c. Its regions and outputs are the same.
extern const struct device_model mch_model;

enum {
	MCH_PCIEXBAR = 0x60, // two registers: where ECAM is, and how much of it
	MCH_PCIEXBAR_ENABLE = 1,
	MCH_PAM = 0x90, // as PCI_HOST_PAM
};
#define MCH_ECAM_BASE  0xb0000000u // where firmware, or who stands for it, has it
#define MCH_ECAM_BYTES (256 * MIB)

enum {
	PCI_HOST_ADDRESS_PORT = 0xcf8,
	PCI_HOST_DATA_PORT = 0xcfc,
	PCI_HOST_PORT_BYTES = 4, // of either region
	PCI_HOST_ECAM_BYTES = 1 << 20,
};

// Shadow RAM, as the PAM registers have it (82441FX, 3.2.18): for each part of the memory from
// 0xc0000 to 0xfffff, whether reads reach RAM and whether writes do. The first parts have 16 KiB
// each, the last has 64 KiB.
enum {
	PCI_HOST_SHADOW_PARTS = 13,
	PCI_HOST_OUTPUT_READ = 0,                      // of each part
	PCI_HOST_OUTPUT_WRITE = PCI_HOST_SHADOW_PARTS, // of each part
	PCI_HOST_OUTPUTS = 2 * PCI_HOST_SHADOW_PARTS,
	PCI_HOST_PAM = 0x59,     // PAM0: its upper half is the last part's, the lower is nobody's
	PCI_HOST_PAM_COUNT = 7,  // in the others the lower half is the part's that comes first
	PCI_HOST_PAM_READ = 0x1, // of a half
	PCI_HOST_PAM_WRITE = 0x2,
};

#define PCI_HOST_ECAM_NOWHERE UINT64_MAX

// Whether that is a window which the device itself places.
static inline bool pci_host_moves_window(const struct device *device, unsigned region)
{
	return device->model == &mch_model && region == PCI_HOST_REGION_ECAM;
}

// Where an access to a window at `offset` leads, in DEVICE_SPACE_PCI: the bus asks under the device
// lock, and carries the access there as a stimulus of its own. PCI_HOST_ECAM_NOWHERE: to no
// function of bus 0.
uint64_t pci_host_decode(const struct device *device, unsigned region, uint64_t offset);

#endif

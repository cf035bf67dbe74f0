// SPDX-License-Identifier: BSD-2-Clause
// The host bridge of a Q35 at 0:0.0: an Intel 82Q35 MCH, with ECAM where PCIEXBAR says.
//
// Specification: Intel 3 Series Express Chipset Family data sheet (316966), 5.1 (registers of
// device 0): PCIEXBAR 5.1.16, PAM0 to PAM6 5.1.17 to 5.1.23, SMRAM and ESMRAMC 5.1.26 and 5.1.27.
// What it shares with a 440FX: pci_host.c.
//
// Left out on purpose: SMM, and with it TSEG (SMRAM and ESMRAMC are stored, as firmware programs
// them), the other address ranges (MCHBAR, DMIBAR, EPBAR) and what is about DRAM, which read 0.
//
// Entered by the VM's bus.
#include "emul/pci_host_internal.h"

enum {
	PCIEXBAR_LENGTH_SHIFT = 1, // 0: 256 MiB, 1: 128 MiB, 2: 64 MiB
	PCIEXBAR_LENGTH = 3,
	PCIEXBAR_LENGTH_RESERVED = 3,
};

#define PCIEXBAR_ADDRESS UINT64_C(0x0000000ffc000000)

static const struct pcidev_register mch_registers[] = {
	{.offset = PCIDEV_COMMAND, .bytes = 2, .reset = 0x0006, .writable = 0x0142},
	{.offset = MCH_PCIEXBAR, .bytes = 4, .reset = 0xb0000000, .writable = 0xfc000007},
	{.offset = MCH_PCIEXBAR + 4, .bytes = 4, .writable = 0x0000000f},
	{.offset = MCH_PAM, .bytes = 4, .writable = 0x33333330},
	{.offset = MCH_PAM + 4, .bytes = 3, .writable = 0x00333333},
	{.offset = 0x9d, .bytes = 1, .reset = 0x02, .writable = 0x78}, // SMRAM
	{.offset = 0x9e, .bytes = 1, .reset = 0x38, .writable = 0x87}, // ESMRAMC
};

static const struct pcidev_info mch_info = {
	.vendor = 0x8086,
	.device = 0x29c0,
	.subsystem_vendor = 0x1af4,
	.subsystem = 0x1100,
	.class_code = 0x060000,
	.registers = mch_registers,
	.register_count = ARRAY_COUNT(mch_registers),
};

static uint64_t pciexbar(const struct pci_host *host)
{
	return pcidev_get(&host->pci, MCH_PCIEXBAR, 4) |
		(uint64_t)pcidev_get(&host->pci, MCH_PCIEXBAR + 4, 4) << 32;
}

// The lower bits of the address are those of a shorter window alone.
static void ecam_update(struct pci_host *host)
{
	uint64_t value = pciexbar(host);
	unsigned length = value >> PCIEXBAR_LENGTH_SHIFT & PCIEXBAR_LENGTH;
	uint64_t bytes = MCH_ECAM_BYTES >> length;

	if ((value & MCH_PCIEXBAR_ENABLE) == 0 || length == PCIEXBAR_LENGTH_RESERVED)
		device_unmap_region(&host->pci.device, PCI_HOST_REGION_ECAM);
	else
		device_map_region(&host->pci.device, PCI_HOST_REGION_ECAM, DEVICE_SPACE_MMIO,
			value & PCIEXBAR_ADDRESS & ~(bytes - 1), bytes);
}

static void mch_write(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size, uint64_t value)
{
	struct pci_host *host = pci_host_of(device);
	uint64_t before = pciexbar(host);

	(void)now;
	if (region == PCI_HOST_REGION_ADDRESS)
		pci_host_write_address(host, size, value);
	if (region != PCIDEV_REGION_CONFIG)
		return;
	pcidev_write(&host->pci, offset, size, value);
	pci_host_drive(host, MCH_PAM);
	if (pciexbar(host) != before)
		ecam_update(host);
}

static void mch_reset(struct device *device, struct guest_time now, enum device_reset kind)
{
	struct pci_host *host = pci_host_of(device);

	(void)now;
	(void)kind;
	pcidev_reset(&host->pci);
	host->address = 0;
	host->reserved = 0;
	pci_host_drive(host, MCH_PAM);
}

static void mch_loaded(struct device *device, struct guest_time now)
{
	(void)now;
	pcidev_loaded(pcidev_of(device));
	pci_host_drive(pci_host_of(device), MCH_PAM);
	ecam_update(pci_host_of(device));
}

static const char *mch_check(const void *instance)
{
	const struct pci_host *host = instance;
	const char *reason = pci_host_check_address(host);

	return reason != NULL ? reason : pcidev_check(&host->pci, &mch_info);
}

static const struct state_field mch_fields[] = {PCI_HOST_STATE(struct pci_host)};

static const struct state_table mch_state =
	STATE_TABLE("mch", 1, struct pci_host, mch_fields, mch_check);

const struct device_model mch_model = {
	.name = "mch",
	.description = "PCI configuration ports and Q35 host bridge",
	.instance_bytes = sizeof(struct pci_host),
	.outputs = PCI_HOST_OUTPUTS,
	.state = &mch_state,
	.pci = &mch_info,
	.reset = mch_reset,
	.read = pci_host_read,
	.write = mch_write,
	.loaded = mch_loaded,
};

DEVICE_MODEL_REGISTER(192, mch_model);

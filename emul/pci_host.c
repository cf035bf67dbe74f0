// SPDX-License-Identifier: BSD-2-Clause
// PCI configuration mechanism #1, the memory-mapped one, and the function of the chip itself: an
// Intel 440FX host bridge at 0:0.0.
//
// Specification: PCI Local Bus 3.0, 3.2.2.3.2 (mechanism #1); PCI Express 5.0, 7.2.2 (the enhanced
// mechanism, ECAM, which a 440FX does not have); Intel 82441FX data sheet, 3.2 (registers).
//
// CONFIG_ADDRESS takes 32-bit accesses alone; smaller ones pass the chip by and find nothing.
//
// Left out on purpose: buses behind bridges, and SMM: SMRAM is stored, as firmware programs it. The
// DRAM, error and turbo-reset registers read 0.
//
// Entered by the VM's bus; pci_host_decode is called by it.
#include "emul/pci_host_internal.h"

enum {
	ADDRESS_REGISTER = 0x000000fc,
	ADDRESS_FUNCTION = 0x0000ff00,
	ADDRESS_BUS = 0x00ff0000,
	ECAM_FUNCTION_SHIFT = 12 - 8, // from where it is in CONFIG_ADDRESS
};

#define ADDRESS_ENABLE ((uint32_t)1 << 31)
#define ADDRESS_MASK   (ADDRESS_ENABLE | ADDRESS_BUS | ADDRESS_FUNCTION | ADDRESS_REGISTER)

static const struct pcidev_register bridge_registers[] = {
	// Command: the bridge is always a master and answers memory cycles at reset.
	{.offset = PCIDEV_COMMAND, .bytes = 2, .reset = 0x0006, .writable = 0x0142},
	{.offset = PCIDEV_STATUS, .bytes = 2, .reset = 0x0280},
	{.offset = PCIDEV_LATENCY, .bytes = 1, .writable = 0xf8},
	{.offset = PCI_HOST_PAM, .bytes = 4, .writable = 0x33333330},
	{.offset = PCI_HOST_PAM + 4, .bytes = 3, .writable = 0x00333333},
	{.offset = 0x72, .bytes = 1, .reset = 0x02, .writable = 0x78}, // SMRAM
};

// Its subsystem is QEMU's, by which guests know what they run on.
static const struct pcidev_info bridge_info = {
	.vendor = 0x8086,
	.device = 0x1237,
	.subsystem_vendor = 0x1af4,
	.subsystem = 0x1100,
	.class_code = 0x060000,
	.revision = 0x02,
	.registers = bridge_registers,
	.register_count = ARRAY_COUNT(bridge_registers),
};

void pci_host_drive(struct pci_host *host, unsigned pam)
{
	for (unsigned i = 0; i < PCI_HOST_SHADOW_PARTS; i++) {
		// Halves in the order of their addresses; the second is the last part's.
		unsigned half = i == PCI_HOST_SHADOW_PARTS - 1 ? 1 : i + 2;
		uint32_t bits = pcidev_get(&host->pci, pam + half / 2, 1) >> half % 2 * 4;

		device_set_line(&host->pci.device, PCI_HOST_OUTPUT_READ + i,
			(bits & PCI_HOST_PAM_READ) != 0);
		device_set_line(&host->pci.device, PCI_HOST_OUTPUT_WRITE + i,
			(bits & PCI_HOST_PAM_WRITE) != 0);
	}
}

uint64_t pci_host_decode(const struct device *device, unsigned region, uint64_t offset)
{
	const struct pci_host *host = CONTAINER_OF(device, struct pci_host, pci.device);
	uint32_t address = host->address;

	if (region == PCI_HOST_REGION_ECAM)
		return offset;
	if (!(address & ADDRESS_ENABLE) || (address & ADDRESS_BUS))
		return PCI_HOST_ECAM_NOWHERE;
	return (uint64_t)(address & ADDRESS_FUNCTION) << ECAM_FUNCTION_SHIFT |
		(address & ADDRESS_REGISTER) | offset;
}

uint64_t pci_host_read(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size)
{
	struct pci_host *host = pci_host_of(device);

	(void)now;
	if (region == PCIDEV_REGION_CONFIG)
		return pcidev_read(&host->pci, offset, size);
	return region == PCI_HOST_REGION_ADDRESS && size == PCI_HOST_PORT_BYTES
		? host->address : UINT64_MAX;
}

void pci_host_write_address(struct pci_host *host, unsigned size, uint64_t value)
{
	if (size == PCI_HOST_PORT_BYTES)
		host->address = (uint32_t)value & ADDRESS_MASK;
}

static void pci_host_write(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size, uint64_t value)
{
	struct pci_host *host = pci_host_of(device);

	(void)now;
	if (region == PCIDEV_REGION_CONFIG) {
		pcidev_write(&host->pci, offset, size, value);
		pci_host_drive(host, PCI_HOST_PAM);
	} else if (region == PCI_HOST_REGION_ADDRESS) {
		pci_host_write_address(host, size, value);
	}
}

static void pci_host_reset(struct device *device, struct guest_time now, enum device_reset kind)
{
	struct pci_host *host = pci_host_of(device);

	(void)now;
	(void)kind;
	pcidev_reset(&host->pci);
	host->address = 0;
	host->reserved = 0;
	pci_host_drive(host, PCI_HOST_PAM);
}

static void pci_host_loaded(struct device *device, struct guest_time now)
{
	(void)now;
	pcidev_loaded(pcidev_of(device));
	pci_host_drive(pci_host_of(device), PCI_HOST_PAM);
}

const char *pci_host_check_address(const struct pci_host *host)
{
	return host->address & ~ADDRESS_MASK ? "CONFIG_ADDRESS has reserved bits" : NULL;
}

static const char *pci_host_check(const void *instance)
{
	const struct pci_host *host = instance;
	const char *reason = pci_host_check_address(host);

	return reason != NULL ? reason : pcidev_check(&host->pci, &bridge_info);
}

static const struct state_field pci_host_fields[] = {PCI_HOST_STATE(struct pci_host)};

static const struct state_table pci_host_state =
	STATE_TABLE("i440FX-pcihost", 1, struct pci_host, pci_host_fields, pci_host_check);

const struct device_model pci_host_model = {
	.name = "i440FX-pcihost",
	.description = "PCI configuration ports and 440FX host bridge",
	.instance_bytes = sizeof(struct pci_host),
	.outputs = PCI_HOST_OUTPUTS,
	.state = &pci_host_state,
	.pci = &bridge_info,
	.reset = pci_host_reset,
	.read = pci_host_read,
	.write = pci_host_write,
	.loaded = pci_host_loaded,
};

DEVICE_MODEL_REGISTER(190, pci_host_model);

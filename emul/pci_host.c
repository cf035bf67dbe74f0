// SPDX-License-Identifier: BSD-2-Clause
// PCI configuration mechanism #1 and the one function that sits in the chip itself: an Intel 440FX
// host bridge at 0:0.0.
//
// Specification: PCI Local Bus 3.0, 3.2.2.3.2 (mechanism #1) and 6.1, 6.2 (configuration space);
// Intel 82441FX data sheet, 3.2 (configuration registers).
//
// CONFIG_ADDRESS takes 32-bit accesses alone; smaller ones pass the chip by and find nothing. All
// functions but 0:0.0 read all ones here: see pci_host_decode for those that the machine adds.
//
// Left out on purpose: the effects of the bridge's registers. PAM and SMRAM are stored, as firmware
// programs them, but shadow memory is always RAM and there is no SMM. The DRAM, error and
// turbo-reset registers read 0.
//
// Entered by the VM's bus; pci_host_decode is called by vm/.
#include "emul/pci_host.h"

enum {
	ADDRESS_OFFSET = 0x000000fc,
	ADDRESS_FUNCTION_SHIFT = 8,
	ADDRESS_DEVICE_SHIFT = 11,
	ADDRESS_BUS_SHIFT = 16,
};

#define ADDRESS_ENABLE ((uint32_t)1 << 31)
#define ADDRESS_MASK   (ADDRESS_ENABLE | 0x00fffffc)

struct pci_host {
	struct device device;
	uint32_t address; // CONFIG_ADDRESS
	uint32_t reserved;
	uint8_t config[PCI_HOST_CONFIG_BYTES];
};

// Registers that do not read 0 after reset, or can be written.
struct config_byte {
	uint8_t offset;
	uint8_t reset;
	uint8_t writable;
};

static const struct config_byte config_bytes[] = {
	{0x00, 0x86, 0}, // vendor 8086
	{0x01, 0x80, 0},
	{0x02, 0x37, 0}, // device 1237
	{0x03, 0x12, 0},
	{0x04, 0x06, 0x42}, // command: memory space and parity response; bus master is fixed
	{0x05, 0x00, 0x01}, // SERR# enable
	{0x06, 0x80, 0},    // status: fast back-to-back; its error bits have no source
	{0x07, 0x02, 0},    // medium DEVSEL# timing
	{0x08, 0x02, 0},    // revision
	{0x0b, 0x06, 0},    // class 06/00/00: host bridge
	{0x0d, 0x00, 0xf8}, // latency timer
	{0x59, 0x00, 0xff}, // PAM0 to PAM6
	{0x5a, 0x00, 0xff},
	{0x5b, 0x00, 0xff},
	{0x5c, 0x00, 0xff},
	{0x5d, 0x00, 0xff},
	{0x5e, 0x00, 0xff},
	{0x5f, 0x00, 0xff},
	{0x72, 0x02, 0x78}, // SMRAM
};

static struct pci_host *pci_host_of(struct device *device)
{
	return CONTAINER_OF(device, struct pci_host, device);
}

static struct config_byte config_describe(unsigned offset)
{
	for (unsigned i = 0; i < ARRAY_COUNT(config_bytes); i++)
		if (config_bytes[i].offset == offset)
			return config_bytes[i];
	return (struct config_byte){.offset = (uint8_t)offset};
}

bool pci_host_decode(const struct device *device, uint64_t offset,
	struct pci_config_address *address)
{
	const struct pci_host *host = (const struct pci_host *)(const void *)device;
	uint32_t latched = host->address;

	address->bus = (uint8_t)(latched >> ADDRESS_BUS_SHIFT);
	address->device = latched >> ADDRESS_DEVICE_SHIFT & 31;
	address->function = latched >> ADDRESS_FUNCTION_SHIFT & 7;
	address->offset = (uint8_t)((latched & ADDRESS_OFFSET) | (offset & 3));
	return (latched & ADDRESS_ENABLE) != 0;
}

// Whether the access is one to the host bridge; *first is its first byte in `config`.
static bool selects_bridge(const struct pci_host *host, uint64_t offset, unsigned *first)
{
	struct pci_config_address address;

	if (!pci_host_decode(&host->device, offset, &address))
		return false;
	*first = address.offset;
	return address.bus == 0 && address.device == 0 && address.function == 0;
}

static uint64_t pci_host_read(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size)
{
	const struct pci_host *host = pci_host_of(device);
	uint64_t value = 0;
	unsigned first;

	(void)now;
	if (region == PCI_HOST_REGION_ADDRESS)
		return size == PCI_HOST_PORT_BYTES ? host->address : UINT64_MAX;
	if (!selects_bridge(host, offset, &first))
		return UINT64_MAX;
	for (unsigned i = 0; i < size; i++)
		value |= (uint64_t)host->config[(first + i) % PCI_HOST_CONFIG_BYTES] << 8 * i;
	return value;
}

static void bridge_byte_write(struct pci_host *host, unsigned offset, uint8_t value)
{
	uint8_t writable = config_describe(offset).writable;

	host->config[offset] =
		(uint8_t)((host->config[offset] & ~writable) | (value & writable));
}

static void pci_host_write(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size, uint64_t value)
{
	struct pci_host *host = pci_host_of(device);
	unsigned first;

	(void)now;
	if (region == PCI_HOST_REGION_ADDRESS) {
		if (size == PCI_HOST_PORT_BYTES)
			host->address = (uint32_t)value & ADDRESS_MASK;
		return;
	}
	if (!selects_bridge(host, offset, &first))
		return;
	for (unsigned i = 0; i < size; i++)
		bridge_byte_write(host, (first + i) % PCI_HOST_CONFIG_BYTES,
			(uint8_t)(value >> 8 * i));
}

static void pci_host_reset(struct device *device, struct guest_time now, enum device_reset kind)
{
	struct pci_host *host = pci_host_of(device);

	(void)now;
	(void)kind;
	*host = (struct pci_host){.device = *device};
	for (unsigned i = 0; i < ARRAY_COUNT(config_bytes); i++)
		host->config[config_bytes[i].offset] = config_bytes[i].reset;
}

static const char *pci_host_check(const void *instance)
{
	const struct pci_host *host = instance;

	if (host->address & ~ADDRESS_MASK)
		return "CONFIG_ADDRESS has reserved bits";
	for (unsigned i = 0; i < PCI_HOST_CONFIG_BYTES; i++) {
		struct config_byte byte = config_describe(i);

		if ((host->config[i] ^ byte.reset) & ~byte.writable)
			return "a read-only bit of the host bridge differs";
	}
	return NULL;
}

static const struct state_field pci_host_fields[] = {
	STATE_DERIVED(struct pci_host, device),
	STATE_VALUE(struct pci_host, address, 0, ADDRESS_MASK),
	STATE_PAD(struct pci_host, reserved),
	STATE_ARRAY_ANY(struct pci_host, config),
};

static const struct state_table pci_host_state =
	STATE_TABLE("i440FX-pcihost", 1, struct pci_host, pci_host_fields, pci_host_check);

const struct device_model pci_host_model = {
	.name = "i440FX-pcihost",
	.description = "PCI configuration ports and 440FX host bridge",
	.instance_bytes = sizeof(struct pci_host),
	.state = &pci_host_state,
	.reset = pci_host_reset,
	.read = pci_host_read,
	.write = pci_host_write,
};

DEVICE_MODEL_REGISTER(190, pci_host_model);

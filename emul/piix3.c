// SPDX-License-Identifier: BSD-2-Clause
// The PCI-to-ISA bridge of a PIIX3: function 0 of its device. It leads PCI's interrupt lines, of
// which several may share each of PIRQA# to PIRQD#, to ISA interrupts.
//
// Specification: Intel 82371SB (PIIX3) data sheet, 2.2 (function 0's registers).
//
// A line here is high while it is asserted, as on the ISA side; on PCI it would be low.
//
// Left out on purpose: the effects of all other registers (chip selects, ISA clocks, DMA, SMM,
// which are stored), motherboard interrupts. The edge/level register of the 8259 pair is theirs.
//
// Entered by the VM's bus only.
#include "emul/piix3.h"

#include <string.h>

enum {
	ROUTE_WRITABLE = 0x8f,
	ROUTE_IRQ = 0x0f,
	IRQS = 0xdef8, // that a PIRQ can be led to: not 0, 1, 2, 8, 13
};

struct piix3 {
	struct pcidev pci;
	uint32_t high[PIIX3_PIRQS]; // lines that are, a bit each
};

static const struct pcidev_register bridge_registers[] = {
	// Command: master, memory and ports are always on; special cycles can be.
	{.offset = PCIDEV_COMMAND, .bytes = 2, .reset = 0x0007, .writable = 0x0108},
	{.offset = PCIDEV_STATUS, .bytes = 2, .reset = 0x0200, .clears = 0xf800},
	{.offset = 0x4c, .bytes = 1, .reset = 0x4d, .writable = 0xff}, // ISA I/O recovery
	{.offset = 0x4e, .bytes = 2, .reset = 0x0003, .writable = 0x03ff}, // XBCS
	{.offset = 0x60, .bytes = 4, .reset = 0x80808080,
		.writable = ROUTE_WRITABLE * (uint32_t)0x01010101}, // PIRQRCA to PIRQRCD
	{.offset = 0x69, .bytes = 1, .reset = 0x02, .writable = 0xfe}, // top of memory
	{.offset = 0x6a, .bytes = 2, .writable = 0x8075},              // miscellaneous status
	{.offset = 0x70, .bytes = 1, .reset = 0x80, .writable = 0xef}, // MBIRQ0
	{.offset = 0x76, .bytes = 2, .reset = 0x0c0c, .writable = 0x8f8f}, // DMA F type
	{.offset = 0x78, .bytes = 2, .reset = 0x0002, .writable = 0xfff3}, // chip select
	{.offset = 0x80, .bytes = 1, .writable = 0x7f},                // APIC base
	{.offset = 0x82, .bytes = 1, .writable = 0x03},                // latency control
	{.offset = 0xa0, .bytes = 4, .reset = 0x00000008, .writable = 0x8000ff1f}, // SMI
	{.offset = 0xa8, .bytes = 1, .reset = 0x0f, .writable = 0xff}, // fast off timer
};

static const struct pcidev_info bridge_info = {
	.vendor = 0x8086,
	.device = 0x7000,
	.subsystem_vendor = 0x1af4,
	.subsystem = 0x1100,
	.class_code = 0x060100,
	.header_type = 0x80,
	.registers = bridge_registers,
	.register_count = ARRAY_COUNT(bridge_registers),
};

static struct piix3 *piix3_of(struct device *device)
{
	return CONTAINER_OF(device, struct piix3, pci.device);
}

static void outputs_update(struct piix3 *bridge)
{
	uint32_t irqs = 0;

	for (unsigned pirq = 0; pirq < PIIX3_PIRQS; pirq++) {
		uint32_t route = pcidev_get(&bridge->pci, PIIX3_PIRQ_ROUTE + pirq, 1);

		if (bridge->high[pirq] != 0 && !(route & PIIX3_PIRQ_DISABLED))
			irqs |= (uint32_t)BIT(route & ROUTE_IRQ) & IRQS;
	}
	for (unsigned irq = 0; irq < PIIX3_OUTPUTS; irq++)
		device_set_line(&bridge->pci.device, irq, (irqs & BIT(irq)) != 0);
}

static void piix3_line(struct device *device, struct guest_time now, unsigned input, bool level)
{
	struct piix3 *bridge = piix3_of(device);
	uint32_t *high = &bridge->high[input / PIIX3_PIRQ_INPUTS];
	uint32_t bit = (uint32_t)BIT(input % PIIX3_PIRQ_INPUTS);

	(void)now;
	*high = level ? *high | bit : *high & ~bit;
	outputs_update(bridge);
}

static uint64_t piix3_read(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size)
{
	(void)now;
	(void)region;
	return pcidev_read(pcidev_of(device), offset, size);
}

static void piix3_write(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size, uint64_t value)
{
	(void)now;
	(void)region;
	pcidev_write(pcidev_of(device), offset, size, value);
	outputs_update(piix3_of(device));
}

// Lines fall with their drivers, which are reset as well.
static void piix3_reset(struct device *device, struct guest_time now, enum device_reset kind)
{
	struct piix3 *bridge = piix3_of(device);

	(void)now;
	(void)kind;
	pcidev_reset(&bridge->pci);
	memset(bridge->high, 0, sizeof(bridge->high));
	outputs_update(bridge);
}

static void piix3_loaded(struct device *device, struct guest_time now)
{
	(void)now;
	pcidev_loaded(pcidev_of(device));
	outputs_update(piix3_of(device));
}

static const char *piix3_check(const void *instance)
{
	return pcidev_check(&((const struct piix3 *)instance)->pci, &bridge_info);
}

static const struct state_field piix3_fields[] = {
	PCIDEV_STATE(struct piix3),
	STATE_ARRAY_ANY(struct piix3, high),
};

static const struct state_table piix3_state =
	STATE_TABLE("PIIX3", 1, struct piix3, piix3_fields, piix3_check);

const struct device_model piix3_model = {
	.name = "PIIX3",
	.description = "PCI to ISA bridge",
	.instance_bytes = sizeof(struct piix3),
	.inputs = PIIX3_INPUTS,
	.outputs = PIIX3_OUTPUTS,
	.state = &piix3_state,
	.pci = &bridge_info,
	.reset = piix3_reset,
	.read = piix3_read,
	.write = piix3_write,
	.line = piix3_line,
	.loaded = piix3_loaded,
};

DEVICE_MODEL_REGISTER(195, piix3_model);

// SPDX-License-Identifier: BSD-2-Clause
// The LPC bridge of an ICH9, function 0 of device 31: it leads PCI's interrupts to the 8259 pair
// and to the I/O APIC, and has ACPI's fixed hardware.
//
// Specification: Intel I/O Controller Hub 9 data sheet (316972), 13.1 (configuration registers),
// 10.1 (chipset configuration registers), 13.8 (power management). What the registers of power
// management do: acpi_pm_block.c.
//
// INTA# of slots 25 to 31 leads to PIRQA#, as D25IR to D31IR have it at reset, and that of slots 0
// to 24 to PIRQE# to PIRQH# in turn, as QEMU has it. A PIRQ is an input of the I/O APIC, and a line
// of the 8259 pair where its route says so. A line is high while it is asserted.
//
// Left out on purpose: other routes of slots (D25IR to D31IR cannot be written), other pins of
// cards than INTA#, SMIs, TCO, GPIO, the root complex' other registers, which read 0, and the
// effects of the registers of chip selects and decoders, which are stored. The SCI is interrupt 9,
// whatever SCI_IRQ_SEL says.
//
// Entered by the VM's bus only.
#include "emul/acpi_pm_block.h"
#include "emul/ich9_lpc.h"

enum {
	ROUTE_DISABLED = 0x80,
	ROUTE_IRQ = 0x0f,
	IRQS = 0xdef8, // that a PIRQ can be led to: not 0, 1, 2, 8, 13
	GPE0_ENABLE = ACPI_PM_GPE0 + ICH9_LPC_GPE0_BYTES / 2,
	SMI_ENABLE = 0x30, // four bytes
	SMI_ENABLE_BYTES = 4,
	D31IR = 0x3140,
	D25IR = 0x3150,
};

#define ROUTES_WRITABLE 0x8f8f8f8fu
// APMC_EN: firmware takes SMM, which is not there, for set up.
#define SMI_ENABLE_RESET 0x20u
#define RCBA_ADDRESS     0xffffc000u

struct ich9_lpc {
	struct pcidev pci;
	struct acpi_pm_block pm;
	uint32_t smi_enable;
	uint32_t slots; // whose INTA# is asserted, a bit each
	uint32_t own;   // of the inputs from ICH9_LPC_INPUT_OWN on, the same
	uint32_t reserved;
};

static const struct pcidev_register lpc_registers[] = {
	// Command: master, memory and ports are always on.
	{.offset = PCIDEV_COMMAND, .bytes = 2, .reset = 0x0007, .writable = 0x0140},
	{.offset = PCIDEV_STATUS, .bytes = 2, .reset = 0x0200, .clears = 0xf900},
	{.offset = ACPI_PM_PMBASE, .bytes = 4, .reset = 0x0001, .writable = 0xff80},
	{.offset = ICH9_LPC_ACPI_CNTL, .bytes = 1, .writable = 0x87},
	{.offset = 0x48, .bytes = 4, .reset = 0x0001, .writable = 0xff80}, // GPIOBASE
	{.offset = 0x4c, .bytes = 1, .writable = 0x11},                    // GPIO control
	{.offset = ICH9_LPC_PIRQ_ROUTE, .bytes = 4, .reset = 0x80808080,
		.writable = ROUTES_WRITABLE},
	{.offset = 0x64, .bytes = 1, .reset = 0x10, .writable = 0xc3}, // serial interrupts
	{.offset = ICH9_LPC_PIRQ_ROUTE_E, .bytes = 4, .reset = 0x80808080,
		.writable = ROUTES_WRITABLE},
	{.offset = 0x80, .bytes = 2, .writable = 0x1377},     // decoded ranges
	{.offset = 0x82, .bytes = 2, .writable = 0x3f0f},     // LPC enables
	{.offset = 0x84, .bytes = 4, .writable = 0x00fcfffd}, // generic ranges
	{.offset = 0x88, .bytes = 4, .writable = 0x00fcfffd},
	{.offset = 0x8c, .bytes = 4, .writable = 0x00fcfffd},
	{.offset = 0x90, .bytes = 4, .writable = 0x00fcfffd},
	{.offset = 0xa0, .bytes = 2, .writable = 0x04ff}, // GEN_PMCON_1
	{.offset = 0xa4, .bytes = 2, .writable = 0x03ff}, // GEN_PMCON_3
	{.offset = 0xdc, .bytes = 1, .writable = 0x3d},   // BIOS control
	{.offset = ICH9_LPC_RCBA, .bytes = 4, .writable = RCBA_ADDRESS | ICH9_LPC_RCBA_ENABLE},
};

static const struct pcidev_info lpc_info = {
	.vendor = 0x8086,
	.device = 0x2918,
	.subsystem_vendor = 0x1af4,
	.subsystem = 0x1100,
	.class_code = 0x060100,
	.revision = 0x02,
	.header_type = 0x80,
	.registers = lpc_registers,
	.register_count = ARRAY_COUNT(lpc_registers),
};

static struct ich9_lpc *lpc_of(struct device *device)
{
	return CONTAINER_OF(device, struct ich9_lpc, pci.device);
}

// ---- Interrupts

static void interrupts_update(struct ich9_lpc *lpc)
{
	uint32_t pirqs = lpc->own << 1, lines;

	for (uint32_t slots = lpc->slots; slots != 0; slots &= slots - 1)
		pirqs |= (uint32_t)BIT(ich9_lpc_pirq((unsigned)__builtin_ctz(slots)));
	lines = pirqs << ICH9_LPC_PIN_FIRST;
	for (unsigned i = 0; i < ICH9_LPC_PIRQS; i++) {
		uint32_t route = pcidev_get(&lpc->pci, i < 4 ? ICH9_LPC_PIRQ_ROUTE + i
			: ICH9_LPC_PIRQ_ROUTE_E + i - 4, 1);

		if ((pirqs & BIT(i)) != 0 && (route & ROUTE_DISABLED) == 0)
			lines |= (uint32_t)BIT(route & ROUTE_IRQ) & IRQS;
	}
	for (unsigned i = ACPI_PM_OUTPUT_SCI + 1; i < ICH9_LPC_OUTPUTS; i++)
		device_set_line(&lpc->pci.device, i, (lines & BIT(i)) != 0);
}

static void lpc_line(struct device *device, struct guest_time now, unsigned input, bool level)
{
	struct ich9_lpc *lpc = lpc_of(device);

	if (input < ICH9_LPC_INPUT_SLOT) {
		acpi_pm_block_settle(&lpc->pm, now);
		acpi_pm_block_line(&lpc->pm, input, level);
		acpi_pm_block_drive(&lpc->pm, device);
	} else {
		bool own = input >= ICH9_LPC_INPUT_OWN;
		uint32_t bit = (uint32_t)BIT(input -
			(own ? ICH9_LPC_INPUT_OWN : ICH9_LPC_INPUT_SLOT));
		uint32_t *lines = own ? &lpc->own : &lpc->slots;

		*lines = level ? *lines | bit : *lines & ~bit;
		interrupts_update(lpc);
	}
}

// ---- Regions that the guest places

static void pm_update(struct ich9_lpc *lpc)
{
	uint32_t base = pcidev_get(&lpc->pci, ACPI_PM_PMBASE, 4) & 0xff80;

	if (base != 0 && (pcidev_get(&lpc->pci, ICH9_LPC_ACPI_CNTL, 1) & ICH9_LPC_ACPI_ENABLE) != 0)
		device_map_region(&lpc->pci.device, ACPI_PM_REGION_REGISTERS, DEVICE_SPACE_PORT,
			base, ICH9_LPC_PM_BYTES);
	else
		device_unmap_region(&lpc->pci.device, ACPI_PM_REGION_REGISTERS);
}

static void rcrb_update(struct ich9_lpc *lpc)
{
	uint32_t rcba = pcidev_get(&lpc->pci, ICH9_LPC_RCBA, 4);

	if ((rcba & ICH9_LPC_RCBA_ENABLE) != 0)
		device_map_region(&lpc->pci.device, ICH9_LPC_REGION_RCRB, DEVICE_SPACE_MMIO,
			rcba & RCBA_ADDRESS, ICH9_LPC_RCRB_BYTES);
	else
		device_unmap_region(&lpc->pci.device, ICH9_LPC_REGION_RCRB);
}

static void config_write(struct ich9_lpc *lpc, uint64_t offset, unsigned size, uint64_t value)
{
	uint32_t base = pcidev_get(&lpc->pci, ACPI_PM_PMBASE, 4);
	uint32_t control = pcidev_get(&lpc->pci, ICH9_LPC_ACPI_CNTL, 1);
	uint32_t rcba = pcidev_get(&lpc->pci, ICH9_LPC_RCBA, 4);

	pcidev_write(&lpc->pci, offset, size, value);
	if (pcidev_get(&lpc->pci, ACPI_PM_PMBASE, 4) != base ||
		pcidev_get(&lpc->pci, ICH9_LPC_ACPI_CNTL, 1) != control)
		pm_update(lpc);
	if (pcidev_get(&lpc->pci, ICH9_LPC_RCBA, 4) != rcba)
		rcrb_update(lpc);
	interrupts_update(lpc);
}

// ---- Registers

// D25IR to D31IR: INTA# to INTD# of a slot lead to PIRQA# to PIRQD#.
static uint8_t rcrb_byte(uint64_t offset)
{
	if (offset < D31IR || offset >= D25IR + 2 || offset == D31IR + 2 || offset == D31IR + 3)
		return 0;
	return offset & 1 ? 0x32 : 0x10;
}

// Where the block has a register; ACPI_PM_BYTES: it has none there.
static uint64_t block_offset(uint64_t offset)
{
	if (offset >= GPE0_ENABLE && offset < GPE0_ENABLE + 2)
		return ACPI_PM_GPE0 + 2 + offset - GPE0_ENABLE;
	return offset < ACPI_PM_GPE0 + 2 ? offset : ACPI_PM_BYTES;
}

static uint8_t pm_byte_read(const struct ich9_lpc *lpc, struct guest_time now, uint64_t offset)
{
	if (offset >= SMI_ENABLE && offset < SMI_ENABLE + SMI_ENABLE_BYTES)
		return (uint8_t)(lpc->smi_enable >> (offset - SMI_ENABLE) * 8);
	return acpi_pm_block_read(&lpc->pm, now, block_offset(offset));
}

static void pm_byte_write(struct ich9_lpc *lpc, uint64_t offset, uint8_t byte)
{
	if (offset >= SMI_ENABLE && offset < SMI_ENABLE + SMI_ENABLE_BYTES) {
		unsigned shift = (unsigned)(offset - SMI_ENABLE) * 8;

		lpc->smi_enable = (lpc->smi_enable & ~(0xffu << shift)) | (uint32_t)byte << shift;
		return;
	}
	acpi_pm_block_write(&lpc->pm, &lpc->pci.device, block_offset(offset), byte);
}

static uint64_t lpc_read(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size)
{
	struct ich9_lpc *lpc = lpc_of(device);
	uint64_t value = 0;

	if (region == PCIDEV_REGION_CONFIG)
		return pcidev_read(&lpc->pci, offset, size);
	if (region == ACPI_PM_REGION_SMI)
		return acpi_pm_block_read_smi(&lpc->pm, offset);
	if (region == ACPI_PM_REGION_REGISTERS && offset == ACPI_PM_TIMER &&
		size == ACPI_PM_TIMER_BYTES)
		return acpi_pm_block_count(now);
	if (region == ACPI_PM_REGION_REGISTERS)
		acpi_pm_block_settle(&lpc->pm, now);
	for (unsigned i = 0; i < size; i++)
		value |= (uint64_t)(region == ICH9_LPC_REGION_RCRB ? rcrb_byte(offset + i)
			: pm_byte_read(lpc, now, offset + i)) << 8 * i;
	acpi_pm_block_drive(&lpc->pm, device);
	return value;
}

static void lpc_write(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size, uint64_t value)
{
	struct ich9_lpc *lpc = lpc_of(device);

	if (region == PCIDEV_REGION_CONFIG)
		config_write(lpc, offset, size, value);
	if (region != ACPI_PM_REGION_REGISTERS && region != ACPI_PM_REGION_SMI)
		return;
	acpi_pm_block_settle(&lpc->pm, now);
	for (unsigned i = 0; i < size; i++, value >>= 8) {
		if (region == ACPI_PM_REGION_SMI)
			acpi_pm_block_write_smi(&lpc->pm, offset + i, (uint8_t)value);
		else
			pm_byte_write(lpc, offset + i, (uint8_t)value);
	}
	acpi_pm_block_drive(&lpc->pm, device);
}

static void lpc_timer(struct device *device, struct guest_time now, unsigned timer)
{
	struct ich9_lpc *lpc = lpc_of(device);

	(void)timer;
	acpi_pm_block_settle(&lpc->pm, now);
	acpi_pm_block_drive(&lpc->pm, device);
}

// Lines fall with their drivers, which are reset as well.
static void lpc_reset(struct device *device, struct guest_time now, enum device_reset kind)
{
	struct ich9_lpc *lpc = lpc_of(device);
	bool button = device_sample(device, ACPI_PM_INPUT_POWER_BUTTON);

	(void)kind;
	*lpc = (struct ich9_lpc){.pci.device = *device, .smi_enable = SMI_ENABLE_RESET,
		.pm = {.settled = now, .button = button}};
	pcidev_reset(&lpc->pci);
	interrupts_update(lpc);
	acpi_pm_block_drive(&lpc->pm, device);
}

static void lpc_loaded(struct device *device, struct guest_time now)
{
	struct ich9_lpc *lpc = lpc_of(device);

	(void)now;
	pcidev_loaded(pcidev_of(device));
	pm_update(lpc);
	rcrb_update(lpc);
	interrupts_update(lpc);
	acpi_pm_block_drive(&lpc->pm, device);
}

static const char *lpc_check(const void *instance)
{
	const struct ich9_lpc *lpc = instance;
	const char *reason = acpi_pm_block_check(&lpc->pm);

	return reason != NULL ? reason : pcidev_check(&lpc->pci, &lpc_info);
}

static const struct state_field lpc_fields[] = {
	PCIDEV_STATE(struct ich9_lpc),
	ACPI_PM_BLOCK_STATE(struct ich9_lpc),
	STATE_ANY(struct ich9_lpc, smi_enable),
	STATE_ANY(struct ich9_lpc, slots),
	STATE_VALUE(struct ich9_lpc, own, 0, 7),
	STATE_PAD(struct ich9_lpc, reserved),
};

static const struct state_table lpc_state =
	STATE_TABLE("ICH9-LPC", 2, struct ich9_lpc, lpc_fields, lpc_check);

const struct device_model ich9_lpc_model = {
	.name = "ICH9-LPC",
	.description = "PCI to LPC bridge, ACPI fixed hardware",
	.instance_bytes = sizeof(struct ich9_lpc),
	.timers = ACPI_PM_TIMERS,
	.inputs = ICH9_LPC_INPUTS,
	.outputs = ICH9_LPC_OUTPUTS,
	.state = &lpc_state,
	.pci = &lpc_info,
	.reset = lpc_reset,
	.read = lpc_read,
	.write = lpc_write,
	.line = lpc_line,
	.timer = lpc_timer,
	.loaded = lpc_loaded,
};

DEVICE_MODEL_REGISTER(196, ich9_lpc_model);

// SPDX-License-Identifier: BSD-2-Clause
// ACPI fixed hardware as function 3 of a PIIX4, as QEMU's PC has it beside a PIIX3.
//
// Specification: Intel 82371AB (PIIX4) data sheet, 7.1 (function 3's registers). What the registers
// do that PMBASE and PMREGMISC place: acpi_pm_block.c. The SCI is led to ISA interrupt 9, whatever
// the interrupt registers say.
//
// Left out on purpose: the SMBus (its registers are stored).
//
// Entered by the VM's bus only.
#include "emul/acpi_pm_block.h"

#define DEVACTB_APMC_EN ((uint32_t)1 << 25) // a write to the SMI port raises an SMI

struct acpi_pm {
	struct pcidev pci;
	struct acpi_pm_block pm;
};

static const struct pcidev_register pm_registers[] = {
	{.offset = PCIDEV_COMMAND, .bytes = 2, .writable = 0x0001},
	{.offset = PCIDEV_INTERRUPT_LINE, .bytes = 2, .reset = 0x0100, .writable = 0x00ff},
	{.offset = ACPI_PM_PMBASE, .bytes = 4, .reset = 0x0001, .writable = 0xffc0},
	{.offset = 0x44, .bytes = 4, .writable = 0xffffffff}, // counts, and general purpose
	{.offset = 0x48, .bytes = 4, .writable = 0xffffffff},
	{.offset = 0x4c, .bytes = 4, .writable = 0xffffffff},
	{.offset = 0x50, .bytes = 4, .writable = 0xffffffff}, // device resources
	{.offset = 0x54, .bytes = 4, .writable = 0xffffffff},
	// DEVACTB: firmware takes SMM, which is not there, for set up.
	{.offset = 0x58, .bytes = 4, .reset = DEVACTB_APMC_EN, .writable = 0xffffffff},
	{.offset = 0x5c, .bytes = 4, .writable = 0xffffffff},
	{.offset = ACPI_PM_PMREGMISC, .bytes = 1, .writable = ACPI_PM_PMREGMISC_ENABLE},
	{.offset = 0x90, .bytes = 4, .reset = 0x0001, .writable = 0xfff0}, // SMBus base
	{.offset = 0xd2, .bytes = 1, .writable = 0x0f},                    // SMBus configuration
};

static const struct pcidev_info pm_info = {
	.vendor = 0x8086,
	.device = 0x7113,
	.subsystem_vendor = 0x1af4,
	.subsystem = 0x1100,
	.class_code = 0x068000,
	.status = 0x0280,
	.revision = 0x03,
	.registers = pm_registers,
	.register_count = ARRAY_COUNT(pm_registers),
};

static struct acpi_pm *acpi_pm_of(struct device *device)
{
	return CONTAINER_OF(device, struct acpi_pm, pci.device);
}

static uint32_t pmbase(const struct acpi_pm *pm)
{
	return pcidev_get(&pm->pci, ACPI_PM_PMBASE, 4) & 0xffc0;
}

static bool region_is_on(const struct acpi_pm *pm)
{
	return pmbase(pm) != 0 && (pcidev_get(&pm->pci, ACPI_PM_PMREGMISC, 1) &
		ACPI_PM_PMREGMISC_ENABLE) != 0;
}

static void region_update(struct acpi_pm *pm)
{
	if (region_is_on(pm))
		device_map_region(&pm->pci.device, ACPI_PM_REGION_REGISTERS, DEVICE_SPACE_PORT,
			pmbase(pm), ACPI_PM_BYTES);
	else
		device_unmap_region(&pm->pci.device, ACPI_PM_REGION_REGISTERS);
}

static uint64_t acpi_pm_read(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size)
{
	struct acpi_pm *pm = acpi_pm_of(device);
	uint64_t value = 0;

	if (region == PCIDEV_REGION_CONFIG)
		return pcidev_read(&pm->pci, offset, size);
	if (region == ACPI_PM_REGION_SMI)
		return acpi_pm_block_read_smi(&pm->pm, offset);
	// The timer is read often and depends on nothing that is stored.
	if (offset == ACPI_PM_TIMER && size == ACPI_PM_TIMER_BYTES)
		return acpi_pm_block_count(now);
	acpi_pm_block_settle(&pm->pm, now);
	for (unsigned i = 0; i < size; i++)
		value |= (uint64_t)acpi_pm_block_read(&pm->pm, now, offset + i) << 8 * i;
	acpi_pm_block_drive(&pm->pm, device);
	return value;
}

static void config_write(struct acpi_pm *pm, uint64_t offset, unsigned size, uint64_t value)
{
	uint32_t base = pmbase(pm);
	bool was_on = region_is_on(pm);

	pcidev_write(&pm->pci, offset, size, value);
	if (region_is_on(pm) != was_on || (was_on && pmbase(pm) != base))
		region_update(pm);
}

static void acpi_pm_write(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size, uint64_t value)
{
	struct acpi_pm *pm = acpi_pm_of(device);

	if (region == PCIDEV_REGION_CONFIG) {
		config_write(pm, offset, size, value);
		return;
	}
	acpi_pm_block_settle(&pm->pm, now);
	for (unsigned i = 0; i < size; i++, value >>= 8) {
		if (region == ACPI_PM_REGION_SMI)
			acpi_pm_block_write_smi(&pm->pm, offset + i, (uint8_t)value);
		else
			acpi_pm_block_write(&pm->pm, device, offset + i, (uint8_t)value);
	}
	acpi_pm_block_drive(&pm->pm, device);
}

static void acpi_pm_line(struct device *device, struct guest_time now, unsigned input, bool level)
{
	struct acpi_pm *pm = acpi_pm_of(device);

	acpi_pm_block_settle(&pm->pm, now);
	acpi_pm_block_line(&pm->pm, input, level);
	acpi_pm_block_drive(&pm->pm, device);
}

static void acpi_pm_timer(struct device *device, struct guest_time now, unsigned timer)
{
	struct acpi_pm *pm = acpi_pm_of(device);

	(void)timer;
	acpi_pm_block_settle(&pm->pm, now);
	acpi_pm_block_drive(&pm->pm, device);
}

static void acpi_pm_reset(struct device *device, struct guest_time now, enum device_reset kind)
{
	struct acpi_pm *pm = acpi_pm_of(device);
	bool button = device_sample(device, ACPI_PM_INPUT_POWER_BUTTON);

	(void)kind;
	*pm = (struct acpi_pm){.pci.device = *device, .pm = {.settled = now, .button = button}};
	pcidev_reset(&pm->pci);
	acpi_pm_block_drive(&pm->pm, device);
}

static void acpi_pm_loaded(struct device *device, struct guest_time now)
{
	(void)now;
	pcidev_loaded(pcidev_of(device));
	region_update(acpi_pm_of(device));
	acpi_pm_block_drive(&acpi_pm_of(device)->pm, device);
}

static const char *acpi_pm_check(const void *instance)
{
	const struct acpi_pm *pm = instance;
	const char *reason = acpi_pm_block_check(&pm->pm);

	return reason != NULL ? reason : pcidev_check(&pm->pci, &pm_info);
}

static const struct state_field acpi_pm_fields[] = {
	PCIDEV_STATE(struct acpi_pm),
	ACPI_PM_BLOCK_STATE(struct acpi_pm),
};

static const struct state_table acpi_pm_state =
	STATE_TABLE("PIIX4_PM", 2, struct acpi_pm, acpi_pm_fields, acpi_pm_check);

const struct device_model acpi_pm_model = {
	.name = "PIIX4_PM",
	.description = "ACPI fixed hardware, PCI function",
	.instance_bytes = sizeof(struct acpi_pm),
	.timers = ACPI_PM_TIMERS,
	.inputs = ACPI_PM_INPUTS,
	.outputs = ACPI_PM_OUTPUTS,
	.state = &acpi_pm_state,
	.pci = &pm_info,
	.reset = acpi_pm_reset,
	.read = acpi_pm_read,
	.write = acpi_pm_write,
	.line = acpi_pm_line,
	.timer = acpi_pm_timer,
	.loaded = acpi_pm_loaded,
};

DEVICE_MODEL_REGISTER(160, acpi_pm_model);

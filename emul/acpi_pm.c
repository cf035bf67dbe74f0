// SPDX-License-Identifier: BSD-2-Clause
// ACPI fixed hardware: the PM1a event and control registers, the power management timer with 32
// bits, the GPE0 block, and the SMI command port through which an OS takes ACPI mode.
//
// Specification: ACPI 6.5, 4.8.2 (fixed features), 4.8.3 (fixed registers), 4.8.4.1 (GPE blocks);
// Intel 82371AB (PIIX4) data sheet, 7.1 (function 3's registers).
//
// It is function 3 of a PIIX4, as QEMU's PC has it beside a PIIX3: PMBASE and PMREGMISC place the
// registers. The SCI is led to ISA interrupt 9, whatever the interrupt registers say.
//
// The timer's count is guest time times 3.579545 MHz. TMR_STS is lazy: it is accounted for up to
// guest time `settled`, and a timer is armed only while TMR_EN waits for it.
//
// Left out on purpose: SMIs (an event in legacy mode has no effect until the OS enters ACPI mode;
// GBL_RLS is dropped), the SMBus (its registers are stored), sleeping states but S5 (SLP_EN with
// any other SLP_TYP is ignored), the sleep button and the RTC's wake-up (their enables are stored,
// their status never is set), sources of general-purpose events but PCI hot-plug.
//
// Entered by the VM's bus only.
#include "emul/acpi_pm.h"

enum {
	// 4.8.3.1.1 and 4.8.3.1.2: an event's status and enable share their place.
	EVENT_TIMER = 0x0001,
	EVENT_GLOBAL = 0x0020,
	EVENT_POWER_BUTTON = 0x0100,
	EVENT_SLEEP_BUTTON = 0x0200,
	EVENT_RTC = 0x0400,
	STATUS_SOURCES = EVENT_TIMER | EVENT_POWER_BUTTON,
	ENABLE_MASK = EVENT_TIMER | EVENT_GLOBAL | EVENT_POWER_BUTTON | EVENT_SLEEP_BUTTON |
		EVENT_RTC,

	// 4.8.3.2.1
	CONTROL_SCI_EN = 0x0001,
	CONTROL_BM_RLD = 0x0002,
	CONTROL_SLP_TYP_SHIFT = 10,
	CONTROL_SLP_TYP_MASK = 7,
	CONTROL_SLP_EN = 0x2000, // write-only
	CONTROL_MASK = CONTROL_SCI_EN | CONTROL_BM_RLD |
		CONTROL_SLP_TYP_MASK << CONTROL_SLP_TYP_SHIFT,

	GPE0_SOURCES = 1 << ACPI_PM_GPE_PCI_HOTPLUG,

	TIMER_HZ = 3579545,
	TIMER_TOP_BIT = 31,
};

#define DEVACTB_APMC_EN ((uint32_t)1 << 25) // a write to the SMI port raises an SMI

struct acpi_pm {
	struct pcidev pci;
	struct guest_time settled; // up to when TMR_STS is accounted for
	uint16_t status, enable, control;
	uint16_t gpe0_enable, gpe0_status;
	uint8_t smi_command, smi_status; // as last written
	uint8_t button;                  // level of the input
	uint8_t reserved[3];
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

// 4.8.2.1
static uint64_t timer_count(struct guest_time at)
{
	return mul_div_u64(at.ns, TIMER_HZ, NS_PER_SECOND);
}

// When the top bit toggles next.
static struct guest_time next_toggle(struct guest_time after)
{
	uint64_t count = ((timer_count(after) >> TIMER_TOP_BIT) + 1) << TIMER_TOP_BIT;
	struct guest_time at = {mul_div_u64(count, NS_PER_SECOND, TIMER_HZ)};

	if (timer_count(at) < count)
		at.ns++;
	return at;
}

static void timer_settle(struct acpi_pm *pm, struct guest_time now)
{
	if (now.ns <= pm->settled.ns)
		return;
	if (timer_count(now) >> TIMER_TOP_BIT != timer_count(pm->settled) >> TIMER_TOP_BIT)
		pm->status |= EVENT_TIMER;
	pm->settled = now;
}

// Drives the SCI and arms the timer, from the state alone. 4.8.2.5: in legacy mode an event would
// raise an SMI instead.
static void outputs_update(struct acpi_pm *pm)
{
	bool waits = (pm->enable & EVENT_TIMER) && !(pm->status & EVENT_TIMER);

	device_set_line(&pm->pci.device, ACPI_PM_OUTPUT_SCI,
		(pm->control & CONTROL_SCI_EN) &&
			((pm->status & pm->enable) || (pm->gpe0_status & pm->gpe0_enable)));
	device_arm_timer(&pm->pci.device, ACPI_PM_TIMER_OVERFLOW,
		waits ? next_toggle(pm->settled) : GUEST_TIME_NEVER);
}

static uint8_t byte_of(uint32_t value, uint64_t index)
{
	return (uint8_t)(value >> 8 * index);
}

static uint16_t byte_replace(uint16_t value, uint64_t index, uint8_t byte)
{
	unsigned shift = index & 1 ? 8 : 0;

	return (uint16_t)((value & ~(0xffU << shift)) | (unsigned)byte << shift);
}

static uint8_t register_byte_read(const struct acpi_pm *pm, struct guest_time now, uint64_t offset)
{
	switch (offset) {
	case ACPI_PM_EVENT ... ACPI_PM_EVENT + 1:
		return byte_of(pm->status, offset & 1);
	case ACPI_PM_EVENT + 2 ... ACPI_PM_EVENT + 3:
		return byte_of(pm->enable, offset & 1);
	case ACPI_PM_CONTROL ... ACPI_PM_CONTROL + 1:
		return byte_of(pm->control, offset & 1);
	case ACPI_PM_TIMER ... ACPI_PM_TIMER + 3:
		return byte_of((uint32_t)timer_count(now), offset - ACPI_PM_TIMER);
	case ACPI_PM_GPE0 ... ACPI_PM_GPE0 + 1:
		return byte_of(pm->gpe0_status, offset & 1);
	case ACPI_PM_GPE0 + 2 ... ACPI_PM_GPE0 + 3:
		return byte_of(pm->gpe0_enable, offset & 1);
	default:
		return 0;
	}
}

// 4.8.3.2.1: SLP_EN puts the system into the state that SLP_TYP names.
static void control_byte_write(struct acpi_pm *pm, uint64_t index, uint8_t byte)
{
	uint16_t value = byte_replace(pm->control, index, byte);
	unsigned type = value >> CONTROL_SLP_TYP_SHIFT & CONTROL_SLP_TYP_MASK;

	pm->control = value & CONTROL_MASK;
	if ((value & CONTROL_SLP_EN) && type == ACPI_PM_SLEEP_TYPE_S5)
		device_request(&pm->pci.device, DEVICE_REQUEST_POWER_OFF, 0);
}

static void register_byte_write(struct acpi_pm *pm, uint64_t offset, uint8_t byte)
{
	switch (offset) {
	case ACPI_PM_EVENT ... ACPI_PM_EVENT + 1: // written ones clear
		pm->status &= (uint16_t)~byte_replace(0, offset, byte);
		break;
	case ACPI_PM_EVENT + 2 ... ACPI_PM_EVENT + 3:
		pm->enable = byte_replace(pm->enable, offset, byte) & ENABLE_MASK;
		break;
	case ACPI_PM_CONTROL ... ACPI_PM_CONTROL + 1:
		control_byte_write(pm, offset, byte);
		break;
	case ACPI_PM_GPE0 ... ACPI_PM_GPE0 + 1: // 4.8.4.1.1: the same
		pm->gpe0_status &= (uint16_t)~byte_replace(0, offset, byte);
		break;
	case ACPI_PM_GPE0 + 2 ... ACPI_PM_GPE0 + 3:
		pm->gpe0_enable = byte_replace(pm->gpe0_enable, offset, byte);
		break;
	default:
		break;
	}
}

// 4.8.2.5, 5.2.9 (SMI_CMD): what firmware's SMI handler would do for the OS.
static void smi_byte_write(struct acpi_pm *pm, uint64_t offset, uint8_t byte)
{
	if (offset == 1) {
		pm->smi_status = byte;
		return;
	}
	pm->smi_command = byte;
	if (byte == ACPI_PM_ACPI_ENABLE)
		pm->control |= CONTROL_SCI_EN;
	else if (byte == ACPI_PM_ACPI_DISABLE)
		pm->control &= (uint16_t)~CONTROL_SCI_EN;
}

static uint64_t acpi_pm_read(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size)
{
	struct acpi_pm *pm = acpi_pm_of(device);
	uint64_t value = 0;

	if (region == PCIDEV_REGION_CONFIG)
		return pcidev_read(&pm->pci, offset, size);
	if (region == ACPI_PM_REGION_SMI)
		return (uint64_t)(pm->smi_status << 8 | pm->smi_command) >> 8 * offset;
	// The timer is read often and depends on nothing that is stored.
	if (offset == ACPI_PM_TIMER && size == ACPI_PM_TIMER_BYTES)
		return timer_count(now);
	timer_settle(pm, now);
	for (unsigned i = 0; i < size; i++)
		value |= (uint64_t)register_byte_read(pm, now, offset + i) << 8 * i;
	outputs_update(pm);
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
	timer_settle(pm, now);
	for (unsigned i = 0; i < size; i++, value >>= 8) {
		if (region == ACPI_PM_REGION_SMI)
			smi_byte_write(pm, offset + i, (uint8_t)value);
		else
			register_byte_write(pm, offset + i, (uint8_t)value);
	}
	outputs_update(pm);
}

// 4.8.2.2.1, 4.8.4.1
static void acpi_pm_line(struct device *device, struct guest_time now, unsigned input, bool level)
{
	struct acpi_pm *pm = acpi_pm_of(device);

	timer_settle(pm, now);
	if (input == ACPI_PM_INPUT_PCI_HOTPLUG) {
		if (level)
			pm->gpe0_status |= 1 << ACPI_PM_GPE_PCI_HOTPLUG;
	} else {
		if (level && !pm->button)
			pm->status |= EVENT_POWER_BUTTON;
		pm->button = level;
	}
	outputs_update(pm);
}

static void acpi_pm_timer(struct device *device, struct guest_time now, unsigned timer)
{
	struct acpi_pm *pm = acpi_pm_of(device);

	(void)timer;
	timer_settle(pm, now);
	outputs_update(pm);
}

static void acpi_pm_reset(struct device *device, struct guest_time now, enum device_reset kind)
{
	struct acpi_pm *pm = acpi_pm_of(device);
	bool button = device_sample(device, ACPI_PM_INPUT_POWER_BUTTON);

	(void)kind;
	*pm = (struct acpi_pm){.pci.device = *device, .settled = now, .button = button};
	pcidev_reset(&pm->pci);
	outputs_update(pm);
}

static void acpi_pm_loaded(struct device *device, struct guest_time now)
{
	(void)now;
	pcidev_loaded(pcidev_of(device));
	region_update(acpi_pm_of(device));
	outputs_update(acpi_pm_of(device));
}

static const char *acpi_pm_check(const void *instance)
{
	const struct acpi_pm *pm = instance;

	if (pm->status & ~STATUS_SOURCES)
		return "PM1 status of an event that has no source";
	if (pm->enable & ~ENABLE_MASK)
		return "PM1 enable of an event that does not exist";
	if (pm->gpe0_status & ~GPE0_SOURCES)
		return "GPE0 status of an event that has no source";
	if (pm->control & ~CONTROL_MASK)
		return "PM1 control has reserved or write-only bits";
	return pcidev_check(&pm->pci, &pm_info);
}

static const struct state_field acpi_pm_fields[] = {
	PCIDEV_STATE(struct acpi_pm),
	STATE_VALUE(struct acpi_pm, settled.ns, 0, INT64_MAX),
	STATE_VALUE(struct acpi_pm, status, 0, STATUS_SOURCES),
	STATE_VALUE(struct acpi_pm, enable, 0, ENABLE_MASK),
	STATE_VALUE(struct acpi_pm, control, 0, CONTROL_MASK),
	STATE_ANY(struct acpi_pm, gpe0_enable),
	STATE_VALUE_SINCE(2, struct acpi_pm, gpe0_status, 0, GPE0_SOURCES),
	STATE_ANY(struct acpi_pm, smi_command),
	STATE_ANY(struct acpi_pm, smi_status),
	STATE_BOOL(struct acpi_pm, button),
	STATE_PAD(struct acpi_pm, reserved),
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

// SPDX-License-Identifier: BSD-2-Clause
// ACPI fixed hardware as a PIIX4 and its successors have it: the PM1a event and control registers,
// the power management timer with 32 bits, the GPE0 block, and the SMI command port through which
// an OS takes ACPI mode.
//
// Specification: ACPI 6.5, 4.8.2 (fixed features), 4.8.3 (fixed registers), 4.8.4.1 (GPE blocks).
//
// The timer's count is guest time times 3.579545 MHz. TMR_STS is lazy: it is accounted for up to
// guest time `settled`, and a timer is armed only while TMR_EN waits for it.
//
// Left out on purpose: SMIs (an event in legacy mode has no effect until the OS enters ACPI mode;
// GBL_RLS is dropped), sleeping states but S5 (SLP_EN with any other SLP_TYP is ignored), the sleep
// button and the RTC's wake-up (their enables are stored, their status never is set), sources of
// general-purpose events but PCI hot-plug.
//
// Called by the functions that have it.
#include "emul/acpi_pm_block.h"

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

	TIMER_TOP_BIT = 31,
};

// When the top bit toggles next.
static struct guest_time next_toggle(struct guest_time after)
{
	uint64_t count = ((acpi_pm_block_count(after) >> TIMER_TOP_BIT) + 1) << TIMER_TOP_BIT;
	struct guest_time at = {mul_div_u64(count, NS_PER_SECOND, ACPI_PM_TIMER_HZ)};

	if (acpi_pm_block_count(at) < count)
		at.ns++;
	return at;
}

void acpi_pm_block_settle(struct acpi_pm_block *pm, struct guest_time now)
{
	if (now.ns <= pm->settled.ns)
		return;
	if (acpi_pm_block_count(now) >> TIMER_TOP_BIT !=
		acpi_pm_block_count(pm->settled) >> TIMER_TOP_BIT)
		pm->status |= EVENT_TIMER;
	pm->settled = now;
}

// 4.8.2.5: in legacy mode an event would raise an SMI instead.
void acpi_pm_block_drive(const struct acpi_pm_block *pm, struct device *device)
{
	bool waits = (pm->enable & EVENT_TIMER) && !(pm->status & EVENT_TIMER);

	device_set_line(device, ACPI_PM_OUTPUT_SCI,
		(pm->control & CONTROL_SCI_EN) &&
			((pm->status & pm->enable) || (pm->gpe0_status & pm->gpe0_enable)));
	device_arm_timer(device, ACPI_PM_TIMER_OVERFLOW,
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

uint8_t acpi_pm_block_read(const struct acpi_pm_block *pm, struct guest_time now, uint64_t offset)
{
	switch (offset) {
	case ACPI_PM_EVENT ... ACPI_PM_EVENT + 1:
		return byte_of(pm->status, offset & 1);
	case ACPI_PM_EVENT + 2 ... ACPI_PM_EVENT + 3:
		return byte_of(pm->enable, offset & 1);
	case ACPI_PM_CONTROL ... ACPI_PM_CONTROL + 1:
		return byte_of(pm->control, offset & 1);
	case ACPI_PM_TIMER ... ACPI_PM_TIMER + 3:
		return byte_of((uint32_t)acpi_pm_block_count(now), offset - ACPI_PM_TIMER);
	case ACPI_PM_GPE0 ... ACPI_PM_GPE0 + 1:
		return byte_of(pm->gpe0_status, offset & 1);
	case ACPI_PM_GPE0 + 2 ... ACPI_PM_GPE0 + 3:
		return byte_of(pm->gpe0_enable, offset & 1);
	default:
		return 0;
	}
}

// 4.8.3.2.1: SLP_EN puts the system into the state that SLP_TYP names.
static void control_byte_write(struct acpi_pm_block *pm, struct device *device, uint64_t index,
	uint8_t byte)
{
	uint16_t value = byte_replace(pm->control, index, byte);
	unsigned type = value >> CONTROL_SLP_TYP_SHIFT & CONTROL_SLP_TYP_MASK;

	pm->control = value & CONTROL_MASK;
	if ((value & CONTROL_SLP_EN) && type == ACPI_PM_SLEEP_TYPE_S5)
		device_request(device, DEVICE_REQUEST_POWER_OFF, 0);
}

void acpi_pm_block_write(struct acpi_pm_block *pm, struct device *device, uint64_t offset,
	uint8_t byte)
{
	switch (offset) {
	case ACPI_PM_EVENT ... ACPI_PM_EVENT + 1: // written ones clear
		pm->status &= (uint16_t)~byte_replace(0, offset, byte);
		break;
	case ACPI_PM_EVENT + 2 ... ACPI_PM_EVENT + 3:
		pm->enable = byte_replace(pm->enable, offset, byte) & ENABLE_MASK;
		break;
	case ACPI_PM_CONTROL ... ACPI_PM_CONTROL + 1:
		control_byte_write(pm, device, offset, byte);
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
void acpi_pm_block_write_smi(struct acpi_pm_block *pm, uint64_t offset, uint8_t byte)
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

// 4.8.2.2.1, 4.8.4.1
void acpi_pm_block_line(struct acpi_pm_block *pm, unsigned input, bool level)
{
	if (input == ACPI_PM_INPUT_PCI_HOTPLUG) {
		if (level)
			pm->gpe0_status |= 1 << ACPI_PM_GPE_PCI_HOTPLUG;
	} else {
		if (level && !pm->button)
			pm->status |= EVENT_POWER_BUTTON;
		pm->button = level;
	}
}

const char *acpi_pm_block_check(const struct acpi_pm_block *pm)
{
	if (pm->status & ~STATUS_SOURCES)
		return "PM1 status of an event that has no source";
	if (pm->enable & ~ENABLE_MASK)
		return "PM1 enable of an event that does not exist";
	if (pm->gpe0_status & ~GPE0_SOURCES)
		return "GPE0 status of an event that has no source";
	if (pm->control & ~CONTROL_MASK)
		return "PM1 control has reserved or write-only bits";
	return NULL;
}

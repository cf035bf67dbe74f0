// SPDX-License-Identifier: BSD-2-Clause
// ACPI fixed hardware: power management events, timer, sleep control; a PCI function. See
// acpi_pm.c.
#ifndef EMUL_ACPI_PM_H
#define EMUL_ACPI_PM_H

#include "emul/pcidev.h"

extern const struct device_model acpi_pm_model;

enum acpi_pm_region {
	ACPI_PM_REGION_REGISTERS = PCIDEV_REGIONS, // the FADT's blocks, where PMBASE says
	ACPI_PM_REGION_SMI, // the FADT's SMI_CMD, and a byte of scratch after it
};

enum acpi_pm_input {
	ACPI_PM_INPUT_POWER_BUTTON, // a rising edge is a press
	ACPI_PM_INPUT_PCI_HOTPLUG,  // high: general-purpose event ACPI_PM_GPE_PCI_HOTPLUG
	ACPI_PM_INPUTS
};

enum acpi_pm_output {
	ACPI_PM_OUTPUT_SCI, // level
	ACPI_PM_OUTPUTS
};

enum acpi_pm_timer {
	ACPI_PM_TIMER_OVERFLOW,
	ACPI_PM_TIMERS
};

// What vm/ writes into the FADT and the DSDT.
enum {
	ACPI_PM_BASE = 0x600, // where firmware, or who stands for it, has the register region
	ACPI_PM_BYTES = 64,
	ACPI_PM_PMBASE = 0x40,         // configuration register: bits 15:6
	ACPI_PM_PMREGMISC = 0x80,      // the same: whether the region is there
	ACPI_PM_PMREGMISC_ENABLE = 1,

	ACPI_PM_EVENT = 0x00,   // PM1a_EVT_BLK, PM1_EVT_LEN 4: status, enable
	ACPI_PM_CONTROL = 0x04, // PM1a_CNT_BLK, PM1_CNT_LEN 2
	ACPI_PM_TIMER = 0x08,   // PM_TMR_BLK, PM_TMR_LEN 4; TMR_VAL_EXT: 32 bits
	ACPI_PM_GPE0 = 0x20,    // GPE0_BLK, GPE0_BLK_LEN 4: two bytes of status, two of enable
	ACPI_PM_EVENT_BYTES = 4,
	ACPI_PM_CONTROL_BYTES = 2,
	ACPI_PM_TIMER_BYTES = 4,
	ACPI_PM_GPE0_BYTES = 4,

	ACPI_PM_GPE_PCI_HOTPLUG = 1, // _GPE._E01 in the DSDT

	ACPI_PM_SMI_PORT = 0xb2,
	ACPI_PM_SMI_BYTES = 2,
	ACPI_PM_ACPI_ENABLE = 0xf1,
	ACPI_PM_ACPI_DISABLE = 0xf0,

	// SLP_TYPa in the DSDT's \_S5: PIIX4's. Firmware does not ask the DSDT.
	ACPI_PM_SLEEP_TYPE_S5 = 0,
};

#endif

// SPDX-License-Identifier: BSD-2-Clause
// The LPC bridge of an ICH9: PCI interrupts and ACPI's fixed hardware. See ich9_lpc.c.
#ifndef EMUL_ICH9_LPC_H
#define EMUL_ICH9_LPC_H

#include "emul/acpi_pm.h"

extern const struct device_model ich9_lpc_model;

// Its first region is ACPI_PM_REGION_REGISTERS, where PMBASE says, its second ACPI_PM_REGION_SMI.
enum { ICH9_LPC_REGION_RCRB = ACPI_PM_REGION_SMI + 1 }; // chipset configuration, where RCBA says

enum {
	ICH9_LPC_PM_BYTES = 128,
	ICH9_LPC_GPE0_BYTES = 16, // eight of status, eight of enable
	ICH9_LPC_RCRB_BYTES = 16384,

	// Configuration registers.
	ICH9_LPC_ACPI_CNTL = 0x44,
	ICH9_LPC_ACPI_ENABLE = 0x80,
	ICH9_LPC_PIRQ_ROUTE = 0x60,   // PIRQ[A-D]_ROUT, as a PIIX3 has them
	ICH9_LPC_PIRQ_ROUTE_E = 0x68, // PIRQ[E-H]_ROUT
	ICH9_LPC_RCBA = 0xf0,
	ICH9_LPC_RCBA_ENABLE = 1,

	ICH9_LPC_PIRQS = 8,
	ICH9_LPC_PIN_FIRST = 16, // of the I/O APIC: where PIRQA# leads, the others behind it
	ICH9_LPC_SLOTS = 32,

	// Behind those of enum acpi_pm_input: INTA# of each slot.
	ICH9_LPC_INPUT_SLOT = ACPI_PM_INPUTS,
	// INTB# to INTD# of the chipset's own functions, in slots 25 to 31: PIRQB# to PIRQD#.
	ICH9_LPC_INPUT_OWN = ICH9_LPC_INPUT_SLOT + ICH9_LPC_SLOTS,
	ICH9_LPC_INPUTS = ICH9_LPC_INPUT_OWN + 3,

	// By the I/O APIC's inputs: the first 16 are ISA interrupts, but for output 0: that is
	// ACPI_PM_OUTPUT_SCI.
	ICH9_LPC_OUTPUTS = ICH9_LPC_PIN_FIRST + ICH9_LPC_PIRQS,
};

// The PIRQ that INTA# of a slot of bus 0 leads to. 0: PIRQA#.
static inline unsigned ich9_lpc_pirq(unsigned slot)
{
	return slot < 25 ? 4 + slot % 4 : 0;
}

#endif

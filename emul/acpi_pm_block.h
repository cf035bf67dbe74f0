// SPDX-License-Identifier: BSD-2-Clause
// The registers of ACPI's fixed hardware, of which a PIIX4 and an ICH9 have the same. See
// acpi_pm_block.c. The function that has them has ACPI_PM_OUTPUT_SCI, ACPI_PM_TIMER_OVERFLOW and
// the inputs of enum acpi_pm_input.
#ifndef EMUL_ACPI_PM_BLOCK_H
#define EMUL_ACPI_PM_BLOCK_H

#include "emul/acpi_pm.h"

struct acpi_pm_block {
	struct guest_time settled; // up to when TMR_STS is accounted for
	uint16_t status, enable, control;
	uint16_t gpe0_enable, gpe0_status;
	uint8_t smi_command, smi_status; // as last written
	uint8_t button;                  // level of the input
	uint8_t reserved[3];
};

// For the state table of a function whose struct has it as `pm`.
#define ACPI_PM_BLOCK_STATE(type)                                                                  \
	STATE_VALUE(type, pm.settled.ns, 0, INT64_MAX), STATE_ANY(type, pm.status),                \
		STATE_ANY(type, pm.enable), STATE_ANY(type, pm.control),                           \
		STATE_ANY(type, pm.gpe0_enable),                                                   \
		STATE_VALUE_SINCE(2, type, pm.gpe0_status, 0, 0xffff),                             \
		STATE_ANY(type, pm.smi_command), STATE_ANY(type, pm.smi_status),                   \
		STATE_BOOL(type, pm.button), STATE_PAD(type, pm.reserved)

#define ACPI_PM_TIMER_HZ ((uint64_t)3579545)

// The timer's. ACPI 6.5, 4.8.2.1.
static inline uint64_t acpi_pm_block_count(struct guest_time at)
{
	return mul_div_u64(at.ns, ACPI_PM_TIMER_HZ, NS_PER_SECOND);
}

// Before anything that depends on time or changes the state; acpi_pm_block_drive afterwards.
void acpi_pm_block_settle(struct acpi_pm_block *pm, struct guest_time now);
// Drives the SCI and arms the timer, from the state alone.
void acpi_pm_block_drive(const struct acpi_pm_block *pm, struct device *device);

// Of registers, by the offsets of emul/acpi_pm.h.
uint8_t acpi_pm_block_read(const struct acpi_pm_block *pm, struct guest_time now, uint64_t offset);
void acpi_pm_block_write(struct acpi_pm_block *pm, struct device *device, uint64_t offset,
	uint8_t byte);
// Of the ports at ACPI_PM_SMI_PORT.
static inline uint64_t acpi_pm_block_read_smi(const struct acpi_pm_block *pm, uint64_t offset)
{
	return (uint64_t)(pm->smi_status << 8 | pm->smi_command) >> 8 * offset;
}
void acpi_pm_block_write_smi(struct acpi_pm_block *pm, uint64_t offset, uint8_t byte);

void acpi_pm_block_line(struct acpi_pm_block *pm, unsigned input, bool level);
const char *acpi_pm_block_check(const struct acpi_pm_block *pm);

#endif

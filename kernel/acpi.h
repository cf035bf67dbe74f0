// SPDX-License-Identifier: BSD-2-Clause
// What the host's ACPI tables say, as far as the kernel needs it. ACPI 6.4, chapter 5.
#ifndef KERNEL_ACPI_H
#define KERNEL_ACPI_H

#include "kernel/acpi_madt.h"
#include "kernel/base/status.h"
#include "kernel/base/types.h"

struct acpi_host {
	struct acpi_madt madt;  // without one: no CPU, and the local APIC's usual place
	struct hpa hpet;        // 0: none
	uint16_t pm_timer_port; // 0: none
	bool pm_timer_32bit;
	uint16_t pm1a_control_port; // 0: none
	uint16_t pm1b_control_port;
	uint8_t s5_type_a, s5_type_b; // SLP_TYP of \_S5
	bool s5_known;
	uint8_t reset_space; // 1: I/O port; anything else: no usable reset register
	uint8_t reset_value;
	uint16_t reset_port;
};

// Reads the tables below `rsdp` (0: none; the defaults stay). Bad checksums and lengths are skipped
// with a warning. Called with the firmware's or the kernel's page tables: all tables are RAM.
void acpi_init(struct hpa rsdp);
const struct acpi_host *acpi_host(void);

// Soft-off of the machine that the kernel runs on: returns where ACPI cannot do it.
void acpi_power_off(void);

#endif

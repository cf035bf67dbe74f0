// SPDX-License-Identifier: BSD-2-Clause
// The MADT: local APICs of the machine. ACPI 6.4, 5.2.12.
#ifndef KERNEL_ACPI_MADT_H
#define KERNEL_ACPI_MADT_H

#include "kernel/base/types.h"

enum { ACPI_CPUS_MAX = 64 };

struct acpi_madt {
	struct hpa lapic;   // where the local APICs' registers are
	uint32_t cpu_count; // enabled processors, each once; left_out: too many for the table
	uint32_t left_out;
	uint32_t apic_ids[ACPI_CPUS_MAX]; // in the table's order, the boot CPU among them
};

// Reads a table of `bytes` bytes, header included, into `madt`. Entries that lie are skipped: ones
// shorter than their kind, or that reach beyond the table. False: too short to be a MADT.
bool acpi_madt_parse(const void *table, uint32_t bytes, struct acpi_madt *madt);

#endif

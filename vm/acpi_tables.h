// SPDX-License-Identifier: BSD-2-Clause
// The ACPI tables of a guest (ACPI 6.5, chapter 5): RSDP, RSDT, XSDT, FADT, MADT, HPET and DSDT,
// and the FACS, which the guest writes.
#ifndef VM_ACPI_TABLES_H
#define VM_ACPI_TABLES_H

#include "kernel/base/status.h"
#include "kernel/base/types.h"
#include "vm/acpi_image.h"
#include "vm/e820.h"
#include "vm/guest_ram.h"

enum { ACPI_VCPUS_MAX = 1024 };

// Where they lie without firmware: in what stands for its ROM, and the FACS in the EBDA. The memory
// map (vm/e820.h) reserves both.
#define ACPI_RSDP_ADDRESS   0xf0000u
#define ACPI_TABLES_ADDRESS 0xf0040u
#define ACPI_TABLES_END     0xffff0u // the reset vector's 16 bytes stay free
#define ACPI_FACS_ADDRESS   (E820_EBDA_START + 0x40)

struct acpi_config {
	uint32_t vcpus; // 1 to ACPI_VCPUS_MAX; their APIC ids are 0 to vcpus - 1
	uint8_t io_apic_id;
	uint16_t pm_base; // of the ports of power management; 0: ACPI_PM_BASE
	bool q35;      // the board: an ICH9, and ECAM of 256 buses
	bool pci;      // configuration mechanism 1 at 0xcf8
	bool keyboard; // 8042, with a mouse
	bool hpet;     // at 0xfed00000
	bool pvpanic;  // at port 0x505
	bool vga;      // told to the OS, no more
};

// For firmware to place. STATUS_INVALID: the number of vcpus.
must_check enum status acpi_tables_make(const struct acpi_config *config,
	struct acpi_image *image);
// In the guest's memory. Also STATUS_RANGE: there is no memory below 1 MiB; STATUS_NO_MEMORY.
must_check enum status acpi_tables_build(struct guest_ram *ram, const struct acpi_config *config,
	struct gpa *rsdp);

#endif

// SPDX-License-Identifier: BSD-2-Clause
// Layout of the ACPI tables that a guest is given: ACPI 6.5, 5.2; IA-PC HPET 1.0a, 3.2.4.
#ifndef VM_ACPI_ABI_H
#define VM_ACPI_ABI_H

#include "kernel/base/types.h"

#define ACPI_ABI __attribute__((packed))

// 5.2.3.2, generic address structure.
struct acpi_address {
	uint8_t space; // 0: memory, 1: I/O ports
	uint8_t bit_width;
	uint8_t bit_offset;
	uint8_t access; // 1: byte, 2: word, 3: doubleword
	uint64_t address;
} ACPI_ABI;

// 5.2.5.3
struct acpi_rsdp {
	char signature[8];
	uint8_t checksum; // of the first 20 bytes
	char oem[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t bytes;
	uint64_t xsdt;
	uint8_t extended_checksum; // of everything
	uint8_t reserved[3];
} ACPI_ABI;

// 5.2.6
struct acpi_header {
	char signature[4];
	uint32_t bytes;
	uint8_t revision;
	uint8_t checksum;
	char oem[6];
	char oem_table[8];
	uint32_t oem_revision;
	char creator[4];
	uint32_t creator_revision;
} ACPI_ABI;

// 5.2.9, without the header: offset 36 on.
struct acpi_fadt {
	uint32_t facs;
	uint32_t dsdt;
	uint8_t reserved0;
	uint8_t profile;
	uint16_t sci;
	uint32_t smi_command;
	uint8_t acpi_enable;
	uint8_t acpi_disable;
	uint8_t s4bios_request;
	uint8_t pstate_control;
	uint32_t pm1a_event, pm1b_event, pm1a_control, pm1b_control, pm2_control, pm_timer;
	uint32_t gpe0, gpe1;
	uint8_t pm1_event_bytes, pm1_control_bytes, pm2_control_bytes, pm_timer_bytes;
	uint8_t gpe0_bytes, gpe1_bytes;
	uint8_t gpe1_base;
	uint8_t cstate_control;
	uint16_t c2_latency, c3_latency;
	uint16_t flush_size, flush_stride;
	uint8_t duty_offset, duty_width;
	uint8_t day_alarm, month_alarm, century;
	uint16_t boot_flags;
	uint8_t reserved1;
	uint32_t flags;
	struct acpi_address reset;
	uint8_t reset_value;
	uint16_t arm_boot_flags;
	uint8_t minor;
	uint64_t x_facs, x_dsdt;
	struct acpi_address x_pm1a_event, x_pm1b_event, x_pm1a_control, x_pm1b_control;
	struct acpi_address x_pm2_control, x_pm_timer, x_gpe0, x_gpe1;
	struct acpi_address sleep_control, sleep_status;
	uint64_t hypervisor;
} ACPI_ABI;

// 5.2.10
struct acpi_facs {
	char signature[4];
	uint32_t bytes;
	uint32_t hardware_signature;
	uint32_t waking_vector;
	uint32_t global_lock;
	uint32_t flags;
	uint64_t x_waking_vector;
	uint8_t version;
	uint8_t reserved[31];
} ACPI_ABI;

// PCI Firmware 3.2, 4.1.2, MCFG with one segment.
struct acpi_mcfg {
	uint64_t reserved;
	uint64_t base;
	uint16_t segment;
	uint8_t bus_first, bus_last;
	uint32_t reserved2;
} ACPI_ABI;

// 5.2.12, MADT.
struct acpi_madt {
	uint32_t local_apic;
	uint32_t flags;
} ACPI_ABI;

enum acpi_madt_type {
	ACPI_MADT_LOCAL_APIC = 0,
	ACPI_MADT_IO_APIC = 1,
	ACPI_MADT_OVERRIDE = 2,
	ACPI_MADT_LOCAL_APIC_NMI = 4,
	ACPI_MADT_X2APIC = 9,
	ACPI_MADT_X2APIC_NMI = 10,
};

struct acpi_madt_local_apic {
	uint8_t type, bytes;
	uint8_t processor;
	uint8_t id;
	uint32_t flags;
} ACPI_ABI;

struct acpi_madt_io_apic {
	uint8_t type, bytes;
	uint8_t id;
	uint8_t reserved;
	uint32_t address;
	uint32_t interrupt_base;
} ACPI_ABI;

struct acpi_madt_override {
	uint8_t type, bytes;
	uint8_t bus;
	uint8_t irq;
	uint32_t interrupt;
	uint16_t flags;
} ACPI_ABI;

struct acpi_madt_local_apic_nmi {
	uint8_t type, bytes;
	uint8_t processor;
	uint16_t flags;
	uint8_t pin;
} ACPI_ABI;

struct acpi_madt_x2apic {
	uint8_t type, bytes;
	uint16_t reserved;
	uint32_t id;
	uint32_t flags;
	uint32_t processor;
} ACPI_ABI;

struct acpi_madt_x2apic_nmi {
	uint8_t type, bytes;
	uint16_t flags;
	uint32_t processor;
	uint8_t pin;
	uint8_t reserved[3];
} ACPI_ABI;

struct acpi_hpet {
	uint32_t block;
	struct acpi_address base;
	uint8_t number;
	uint16_t minimum_tick;
	uint8_t protection;
} ACPI_ABI;

_Static_assert(sizeof(struct acpi_address) == 12, "5.2.3.2");
_Static_assert(sizeof(struct acpi_rsdp) == 36, "5.2.5.3");
_Static_assert(sizeof(struct acpi_header) == 36, "5.2.6");
_Static_assert(sizeof(struct acpi_fadt) == 276 - 36, "5.2.9");
_Static_assert(offsetof(struct acpi_fadt, century) == 108 - 36, "5.2.9");
_Static_assert(offsetof(struct acpi_fadt, reset) == 116 - 36, "5.2.9");
_Static_assert(offsetof(struct acpi_fadt, x_pm1a_event) == 148 - 36, "5.2.9");
_Static_assert(offsetof(struct acpi_fadt, x_gpe0) == 220 - 36, "5.2.9");
_Static_assert(sizeof(struct acpi_facs) == 64, "5.2.10");
_Static_assert(sizeof(struct acpi_madt) == 44 - 36, "5.2.12");
_Static_assert(sizeof(struct acpi_madt_local_apic) == 8, "5.2.12.2");
_Static_assert(sizeof(struct acpi_madt_io_apic) == 12, "5.2.12.3");
_Static_assert(sizeof(struct acpi_madt_override) == 10, "5.2.12.5");
_Static_assert(sizeof(struct acpi_madt_local_apic_nmi) == 6, "5.2.12.7");
_Static_assert(sizeof(struct acpi_madt_x2apic) == 16, "5.2.12.12");
_Static_assert(sizeof(struct acpi_madt_x2apic_nmi) == 12, "5.2.12.13");
_Static_assert(sizeof(struct acpi_hpet) == 56 - 36, "IA-PC HPET 3.2.4");

#endif

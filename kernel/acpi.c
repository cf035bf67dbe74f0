// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/acpi.h"

#include <string.h>

#include "kernel/console.h"
#include "kernel/mem.h"
#include "kernel/x86.h"

// ACPI 6.4, 5.2.6. All multi-byte values are little-endian and unaligned.
struct acpi_header {
	char signature[4];
	uint32_t length;
	uint8_t revision, checksum;
	uint8_t ids[26];
} __attribute__((packed));
_Static_assert(sizeof(struct acpi_header) == 36, "ACPI table header");

#define LAPIC_DEFAULT 0xfee00000u

static struct acpi_host host = {.madt.lapic = {LAPIC_DEFAULT}};

static uint32_t get32(const void *table, size_t offset)
{
	uint32_t value;

	memcpy(&value, (const uint8_t *)table + offset, sizeof(value));
	return value;
}

static uint64_t get64(const void *table, size_t offset)
{
	uint64_t value;

	memcpy(&value, (const uint8_t *)table + offset, sizeof(value));
	return value;
}

static bool checksum_ok(const void *table, size_t bytes)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < bytes; i++)
		sum = (uint8_t)(sum + ((const uint8_t *)table)[i]);
	return sum == 0;
}

static void madt_read(const struct acpi_header *table)
{
	struct acpi_madt madt;

	if (acpi_madt_parse(table, table->length, &madt))
		host.madt = madt;
}

static void parse_hpet(const struct acpi_header *table)
{
	if (table->length >= 52 && ((const uint8_t *)table)[40] == 0) // memory space
		host.hpet.v = get64(table, 44);
}

// \_S5 is a Name of a package with the values of SLP_TYP: found by its bytes (ACPI 6.4, 20.2.5),
// which spares an interpreter. Integers are ZeroOp, OneOp or BytePrefix.
static void parse_dsdt(const struct acpi_header *table)
{
	const uint8_t *bytes = (const uint8_t *)table;

	for (uint32_t at = sizeof(*table); at + 12 <= table->length; at++) {
		uint8_t types[2] = {0, 0};
		uint32_t value = at + 5;

		if (memcmp(bytes + at, "_S5_\x12", 5) != 0)
			continue;
		value += (uint32_t)(bytes[value] >> 6) + 2; // package length, number of elements
		for (unsigned i = 0; i < 2 && value + 1 < table->length; i++) {
			if (bytes[value] == 0x0a)
				value++;
			types[i] = bytes[value++];
		}
		host.s5_type_a = types[0];
		host.s5_type_b = types[1];
		host.s5_known = true;
		return;
	}
}

static const struct acpi_header *table_at(uint64_t address)
{
	const struct acpi_header *table = hpa_pointer((struct hpa){address});

	if (address == 0 || table->length < sizeof(*table))
		return NULL;
	if (!checksum_ok(table, table->length)) {
		log_warn("ACPI table %.4s at 0x%llx has a wrong checksum and is ignored",
			table->signature, (unsigned long long)address);
		return NULL;
	}
	return table;
}

static void parse_fadt(const struct acpi_header *table)
{
	const uint8_t *bytes = (const uint8_t *)table;
	const struct acpi_header *dsdt;
	uint64_t dsdt_address = 0;

	if (table->length < 116)
		return;
	host.pm1a_control_port = (uint16_t)get32(table, 64);
	host.pm1b_control_port = (uint16_t)get32(table, 68);
	host.pm_timer_port = (uint16_t)get32(table, 76);
	host.pm_timer_32bit = (get32(table, 112) & BIT(8)) != 0;
	if (table->length >= 129 && (get32(table, 112) & BIT(10)) != 0) {
		host.reset_space = bytes[116];
		host.reset_port = (uint16_t)get64(table, 120);
		host.reset_value = bytes[128];
	}
	if (table->length >= 148)
		dsdt_address = get64(table, 140);
	if (dsdt_address == 0)
		dsdt_address = get32(table, 40);
	dsdt = table_at(dsdt_address);
	if (dsdt != NULL)
		parse_dsdt(dsdt);
}

static void parse_table(uint64_t address)
{
	const struct acpi_header *table = table_at(address);

	if (table == NULL)
		return;
	if (memcmp(table->signature, "APIC", 4) == 0)
		madt_read(table);
	else if (memcmp(table->signature, "HPET", 4) == 0)
		parse_hpet(table);
	else if (memcmp(table->signature, "FACP", 4) == 0)
		parse_fadt(table);
}

void acpi_init(struct hpa rsdp)
{
	const char *root = hpa_pointer(rsdp);
	const struct acpi_header *table;
	uint32_t width;
	bool extended;

	if (rsdp.v == 0 || memcmp(root, "RSD PTR ", 8) != 0 || !checksum_ok(root, 20)) {
		log_warn("no ACPI tables: defaults hold, and the machine cannot be powered off");
		return;
	}
	extended = root[15] >= 2 && get64(root, 24) != 0;
	width = extended ? 8 : 4;
	table = table_at(extended ? get64(root, 24) : get32(root, 16));
	if (table == NULL)
		return;
	for (uint32_t at = sizeof(*table); at + width <= table->length; at += width)
		parse_table(extended ? get64(table, at) : get32(table, at));
}

const struct acpi_host *acpi_host(void)
{
	return &host;
}

void acpi_power_off(void)
{
	const uint16_t sleep_enable = 1u << 13, type_mask = 7u << 10;

	if (!host.s5_known || host.pm1a_control_port == 0)
		return;
	outw(host.pm1a_control_port,
		(uint16_t)((inw(host.pm1a_control_port) & ~type_mask) | sleep_enable |
			(host.s5_type_a & 7) << 10));
	if (host.pm1b_control_port != 0)
		outw(host.pm1b_control_port,
			(uint16_t)((inw(host.pm1b_control_port) & ~type_mask) | sleep_enable |
				(host.s5_type_b & 7) << 10));
}

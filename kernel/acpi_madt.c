// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/acpi_madt.h"

#include <string.h>

enum {
	MADT_LAPIC_ADDRESS = 36,
	MADT_ENTRIES = 44,
	ENTRY_LAPIC = 0,
	ENTRY_LAPIC_ADDRESS = 5,
	ENTRY_X2APIC = 9,
	LAPIC_ENABLED = 1 << 0, // 5.2.12.2; "online capable" alone is for later, not for boot
	LAPIC_NO_ID = 0xff,     // the broadcast address: firmware's way to say "no processor"
};

#define X2APIC_NO_ID UINT32_MAX

static uint32_t get32(const uint8_t *bytes)
{
	uint32_t value;

	memcpy(&value, bytes, sizeof(value));
	return value;
}

static void cpu_note(struct acpi_madt *madt, uint32_t apic_id)
{
	for (uint32_t i = 0; i < madt->cpu_count; i++)
		if (madt->apic_ids[i] == apic_id)
			return; // firmware may name a processor in both kinds of entry
	if (madt->cpu_count == ACPI_CPUS_MAX)
		madt->left_out++;
	else
		madt->apic_ids[madt->cpu_count++] = apic_id;
}

static void entry_parse(const uint8_t *entry, uint32_t bytes, struct acpi_madt *madt)
{
	switch (entry[0]) {
	case ENTRY_LAPIC: // 5.2.12.2
		if (bytes >= 8 && entry[3] != LAPIC_NO_ID &&
			(get32(entry + 4) & LAPIC_ENABLED) != 0)
			cpu_note(madt, entry[3]);
		break;
	case ENTRY_LAPIC_ADDRESS: // 5.2.12.8
		if (bytes >= 12)
			memcpy(&madt->lapic.v, entry + 4, sizeof(madt->lapic.v));
		break;
	case ENTRY_X2APIC: // 5.2.12.12
		if (bytes >= 16 && get32(entry + 4) != X2APIC_NO_ID &&
			(get32(entry + 8) & LAPIC_ENABLED) != 0)
			cpu_note(madt, get32(entry + 4));
		break;
	}
}

bool acpi_madt_parse(const void *table, uint32_t bytes, struct acpi_madt *madt)
{
	const uint8_t *base = table;
	uint32_t at = MADT_ENTRIES;

	memset(madt, 0, sizeof(*madt));
	if (bytes < MADT_ENTRIES)
		return false;
	madt->lapic.v = get32(base + MADT_LAPIC_ADDRESS);
	while (bytes - at >= 2) {
		uint32_t entry_bytes = base[at + 1];

		if (entry_bytes < 2 || entry_bytes > bytes - at)
			break;
		entry_parse(base + at, entry_bytes, madt);
		at += entry_bytes;
	}
	return true;
}

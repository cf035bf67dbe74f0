// SPDX-License-Identifier: BSD-2-Clause
#include "vm/acpi_loader.h"

#include <string.h>

_Static_assert(sizeof(struct acpi_loader_entry) == ACPI_LOADER_ENTRY_BYTES, "as it is read");

const char *const acpi_loader_files[ACPI_BLOBS] = {
	[ACPI_BLOB_RSDP] = "etc/acpi/rsdp",
	[ACPI_BLOB_TABLES] = "etc/acpi/tables",
	[ACPI_BLOB_FACS] = "etc/acpi/facs",
};

static void name_set(char name[FW_CFG_NAME_BYTES], enum acpi_blob blob)
{
	memcpy(name, acpi_loader_files[blob], strlen(acpi_loader_files[blob]) + 1);
}

static void allocate(struct acpi_loader_entry *entry, enum acpi_blob blob)
{
	static const struct {
		uint8_t alignment, zone;
	} places[ACPI_BLOBS] = {
		[ACPI_BLOB_RSDP] = {ACPI_RSDP_ALIGNMENT, ACPI_LOADER_ZONE_FSEG},
		[ACPI_BLOB_TABLES] = {ACPI_TABLE_ALIGNMENT, ACPI_LOADER_ZONE_HIGH},
		[ACPI_BLOB_FACS] = {ACPI_FACS_ALIGNMENT, ACPI_LOADER_ZONE_HIGH},
	};

	entry->command = ACPI_LOADER_ALLOCATE;
	name_set(entry->allocate.file, blob);
	entry->allocate.alignment = places[blob].alignment;
	entry->allocate.zone = places[blob].zone;
}

static void add_pointer(struct acpi_loader_entry *entry, const struct acpi_pointer *pointer)
{
	entry->command = ACPI_LOADER_ADD_POINTER;
	name_set(entry->pointer.in, pointer->in);
	name_set(entry->pointer.to, pointer->to);
	entry->pointer.offset = pointer->offset;
	entry->pointer.bytes = pointer->bytes;
}

static void add_checksum(struct acpi_loader_entry *entry, const struct acpi_checksum *checksum)
{
	entry->command = ACPI_LOADER_ADD_CHECKSUM;
	name_set(entry->checksum.file, checksum->in);
	entry->checksum.offset = checksum->offset;
	entry->checksum.first = checksum->first;
	entry->checksum.bytes = checksum->bytes;
}

uint32_t acpi_loader_make(const struct acpi_image *image,
	struct acpi_loader_entry entries[ACPI_LOADER_ENTRIES_MAX])
{
	uint32_t count = 0;

	memset(entries, 0, ACPI_LOADER_ENTRIES_MAX * sizeof(entries[0]));
	for (unsigned i = 0; i < ACPI_BLOBS; i++)
		allocate(&entries[count++], i);
	for (uint32_t i = 0; i < image->pointer_count; i++)
		add_pointer(&entries[count++], &image->pointers[i]);
	for (uint32_t i = 0; i < image->checksum_count; i++)
		add_checksum(&entries[count++], &image->checksums[i]);
	return count;
}

// SPDX-License-Identifier: BSD-2-Clause
// The table loader's script, carried out as firmware does.
#include "vm/acpi_loader.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/fake_ram.h"
#include "vm/acpi_tables.h"

static const struct acpi_config config = {.vcpus = 4, .pci = true, .hpet = true, .pvpanic = true};

static uint8_t sum(const uint8_t *bytes, uint32_t count)
{
	uint8_t total = 0;

	for (uint32_t i = 0; i < count; i++)
		total = (uint8_t)(total + bytes[i]);
	return total;
}

static uint32_t blob_find(const char *name)
{
	uint32_t blob = 0;

	while (blob < ACPI_BLOBS && strcmp(name, acpi_loader_files[blob]) != 0)
		blob++;
	assert_in_range(blob, 0, ACPI_BLOBS - 1);
	return blob;
}

static const uint64_t blobs_at[ACPI_BLOBS] = {ACPI_RSDP_ADDRESS, ACPI_TABLES_ADDRESS,
	ACPI_FACS_ADDRESS};

static void loader_add_pointer(struct acpi_image *image, const struct acpi_loader_entry *entry)
{
	struct acpi_span blob = acpi_image_blob(image, blob_find(entry->pointer.in));
	uint64_t value = 0;

	assert_in_range(entry->pointer.offset, 0, blob.count - entry->pointer.bytes);
	memcpy(&value, blob.bytes + entry->pointer.offset, entry->pointer.bytes);
	value += blobs_at[blob_find(entry->pointer.to)];
	memcpy(blob.bytes + entry->pointer.offset, &value, entry->pointer.bytes);
}

static void loader_add_checksum(struct acpi_image *image, const struct acpi_loader_entry *entry)
{
	struct acpi_span blob = acpi_image_blob(image, blob_find(entry->checksum.file));
	uint8_t *place = blob.bytes + entry->checksum.offset;

	*place = (uint8_t)(*place - sum(blob.bytes + entry->checksum.first,
		entry->checksum.bytes));
}

static void loader_run(struct acpi_image *image)
{
	struct acpi_loader_entry *script = calloc(ACPI_LOADER_ENTRIES_MAX, sizeof(*script));
	uint32_t count = acpi_loader_make(image, script), allocated = 0, checksums = 0;

	for (uint32_t i = 0; i < count; i++) {
		const struct acpi_loader_entry *entry = &script[i];
		uint32_t which;

		switch (entry->command) {
		case 1:
			which = blob_find(entry->allocate.file);
			assert_int_equal(blobs_at[which] % entry->allocate.alignment, 0);
			assert_int_equal(entry->allocate.zone, which == ACPI_BLOB_RSDP ? 2 : 1);
			allocated |= 1u << which;
			break;
		case 2:
			assert_int_equal(allocated, 7);
			loader_add_pointer(image, entry);
			break;
		case 3:
			loader_add_checksum(image, entry);
			checksums++;
			break;
		default:
			fail_msg("command %u", entry->command);
		}
	}
	assert_int_equal(checksums, 9); // seven tables, and two of the RSDP
	free(script);
}

// What firmware does, by the script alone, comes to the tables that a kernel finds without it.
static void test_loader(void **state)
{
	struct acpi_image *image = calloc(1, sizeof(*image));
	struct guest_ram *ram = fake_ram_create(2 * MIB, 0);
	struct gpa rsdp;

	(void)state;
	assert_int_equal(acpi_tables_build(ram, &config, &rsdp), STATUS_OK);
	assert_int_equal(acpi_tables_make(&config, image), STATUS_OK);
	loader_run(image);
	for (unsigned i = 0; i < ACPI_BLOBS; i++) {
		struct acpi_span blob = acpi_image_blob(image, i);

		fake_ram_check(ram, blobs_at[i], blob.bytes, blob.count);
	}
	fake_ram_destroy(ram);
	free(image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_loader),
	};

	return cmocka_run_group_tests_name("acpi_loader", tests, NULL, NULL);
}

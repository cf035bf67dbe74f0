// SPDX-License-Identifier: BSD-2-Clause
// ACPI tables before they have addresses: blobs, in which pointers are offsets, and a list of what
// is to be done once it is known where each blob lies.
#ifndef VM_ACPI_IMAGE_H
#define VM_ACPI_IMAGE_H

#include "kernel/base/types.h"

enum acpi_blob {
	ACPI_BLOB_RSDP,
	ACPI_BLOB_TABLES,
	ACPI_BLOB_FACS,
	ACPI_BLOBS
};

enum {
	ACPI_RSDP_ALIGNMENT = 16, // ACPI 6.5, 5.2.5.1
	ACPI_TABLE_ALIGNMENT = 16,
	ACPI_FACS_ALIGNMENT = 64, // 5.2.10
	ACPI_RSDP_BYTES = 36,
	ACPI_FACS_BYTES = 64,
	ACPI_TABLES_MAX = 32 * 1024,
	ACPI_POINTERS_MAX = 32,
	ACPI_CHECKSUMS_MAX = 16,
};

// An address, little-endian: at first the offset in `to`.
struct acpi_pointer {
	uint32_t offset;
	uint8_t in, to; // enum acpi_blob
	uint8_t bytes;  // 4 or 8
	uint8_t reserved;
};

// A byte that makes the sum of others 0. To be set after the pointers.
struct acpi_checksum {
	uint32_t offset;
	uint32_t first, bytes; // of what is summed up
	uint8_t in;            // enum acpi_blob
	uint8_t reserved[3];
};

struct acpi_image {
	uint8_t rsdp[ACPI_RSDP_BYTES];
	uint8_t facs[ACPI_FACS_BYTES];
	uint8_t tables[ACPI_TABLES_MAX];
	uint32_t tables_bytes;
	uint32_t pointer_count, checksum_count;
	struct acpi_pointer pointers[ACPI_POINTERS_MAX];
	struct acpi_checksum checksums[ACPI_CHECKSUMS_MAX]; // in the order in which they are due
};

struct acpi_span {
	uint8_t *bytes;
	uint32_t count;
};
struct acpi_span acpi_image_blob(struct acpi_image *image, enum acpi_blob blob);

void acpi_image_add_pointer(struct acpi_image *image, const struct acpi_pointer *pointer);
void acpi_image_add_checksum(struct acpi_image *image, const struct acpi_checksum *checksum);

// Carries out both lists, for blobs that lie at `at`.
void acpi_image_place(struct acpi_image *image, const uint32_t at[ACPI_BLOBS]);

#endif

// SPDX-License-Identifier: BSD-2-Clause
#include "vm/acpi_image.h"

#include <string.h>

#include "kernel/base/assert.h"

struct acpi_span acpi_image_blob(struct acpi_image *image, enum acpi_blob blob)
{
	switch (blob) {
	case ACPI_BLOB_RSDP:
		return (struct acpi_span){image->rsdp, sizeof(image->rsdp)};
	case ACPI_BLOB_FACS:
		return (struct acpi_span){image->facs, sizeof(image->facs)};
	case ACPI_BLOB_TABLES:
	case ACPI_BLOBS:
		break;
	}
	return (struct acpi_span){image->tables, image->tables_bytes};
}

void acpi_image_add_pointer(struct acpi_image *image, const struct acpi_pointer *pointer)
{
	ASSERT(image->pointer_count < ACPI_POINTERS_MAX);
	image->pointers[image->pointer_count++] = *pointer;
}

void acpi_image_add_checksum(struct acpi_image *image, const struct acpi_checksum *checksum)
{
	ASSERT(image->checksum_count < ACPI_CHECKSUMS_MAX);
	image->checksums[image->checksum_count++] = *checksum;
}

void acpi_image_place(struct acpi_image *image, const uint32_t at[ACPI_BLOBS])
{
	for (uint32_t i = 0; i < image->pointer_count; i++) {
		const struct acpi_pointer *pointer = &image->pointers[i];
		uint8_t *place = acpi_image_blob(image, pointer->in).bytes + pointer->offset;
		uint64_t value = 0;

		memcpy(&value, place, pointer->bytes);
		value += at[pointer->to];
		memcpy(place, &value, pointer->bytes);
	}
	for (uint32_t i = 0; i < image->checksum_count; i++) {
		const struct acpi_checksum *checksum = &image->checksums[i];
		uint8_t *bytes = acpi_image_blob(image, checksum->in).bytes;
		uint8_t sum = 0;

		for (uint32_t n = 0; n < checksum->bytes; n++)
			sum = (uint8_t)(sum + bytes[checksum->first + n]);
		bytes[checksum->offset] = (uint8_t)(bytes[checksum->offset] - sum);
	}
}

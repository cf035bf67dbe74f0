// SPDX-License-Identifier: BSD-2-Clause
#include "vm/acpi_aml.h"

const uint8_t acpi_aml_dsdt[] = {
#include "build/vm/dsdt_aml.inc"
};

const uint32_t acpi_aml_dsdt_bytes = sizeof(acpi_aml_dsdt);

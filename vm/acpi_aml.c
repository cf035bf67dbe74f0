// SPDX-License-Identifier: BSD-2-Clause
#include "vm/acpi_aml.h"

static const uint8_t pc[] = {
#include "build/vm/dsdt_aml.inc"
};

static const uint8_t q35[] = {
#include "build/vm/dsdt_q35_aml.inc"
};

const struct acpi_aml acpi_aml_pc = {pc, sizeof(pc)};
const struct acpi_aml acpi_aml_q35 = {q35, sizeof(q35)};

// SPDX-License-Identifier: BSD-2-Clause
// The DSDT as iasl compiled it from vm/dsdt.asl, header included.
#ifndef VM_ACPI_AML_H
#define VM_ACPI_AML_H

#include "kernel/base/types.h"

extern const uint8_t acpi_aml_dsdt[];
extern const uint32_t acpi_aml_dsdt_bytes;

#endif

// SPDX-License-Identifier: BSD-2-Clause
// The DSDTs as iasl compiled them from vm/dsdt.asl and vm/dsdt_q35.asl, header included.
#ifndef VM_ACPI_AML_H
#define VM_ACPI_AML_H

#include "kernel/base/types.h"

struct acpi_aml {
	const uint8_t *code;
	uint32_t bytes;
};

extern const struct acpi_aml acpi_aml_pc, acpi_aml_q35;

#endif

// SPDX-License-Identifier: BSD-2-Clause
// Fields of the control structure by name, and the report of one that could not be accessed.
#include "vmx/vmx.h"

#include "kernel/base/assert.h"
#include "kernel/console.h"

static const struct {
	uint16_t number;
	const char *name;
} fields[] = {
#define FIELD(field, encoding) {encoding, #field},
	VMCS_FIELDS(FIELD)
#undef FIELD
};

const char *vmx_field_name(enum vmcs_field field)
{
	for (unsigned i = 0; i < ARRAY_COUNT(fields); i++)
		if (fields[i].number == field)
			return fields[i].name;
	return "unknown";
}

__attribute__((cold, noinline)) _Noreturn void vmx_access_failed(enum vmcs_field field, bool write)
{
	uint64_t error = 0; // none where no control structure is loaded

	(void)!vmread(VMCS_INSTRUCTION_ERROR, &error);
	log_error("VT-x: %s of field %x (%s) failed, VM-instruction error %u",
		write ? "write" : "read", (unsigned)field, vmx_field_name(field), (unsigned)error);
	ASSERT_UNREACHABLE("a field of the control structure cannot be accessed");
}

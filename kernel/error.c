// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/error.h"

#include "kernel/cpu.h"

enum status status_origin_record(enum status status, const char *file, int line)
{
	struct cpu *cpu = cpu_self();

	cpu->last_error = (struct error_origin){status, line, file};
	return status;
}

struct error_origin error_last_origin(void)
{
	return cpu_self()->last_error;
}

// SPDX-License-Identifier: BSD-2-Clause
// What the sources under a fuzzer need of the kernel.
#include <stdlib.h>

#include "kernel/base/assert.h"
#include "kernel/base/status.h"

enum status status_origin_record(enum status status, const char *file, int line)
{
	(void)file;
	(void)line;
	return status;
}

_Noreturn void assert_fail(const char *condition, const char *file, int line)
{
	(void)condition;
	(void)file;
	(void)line;
	abort();
}

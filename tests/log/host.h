// SPDX-License-Identifier: BSD-2-Clause
// What the log's sources need of the kernel, in programs of this machine.
#ifndef TESTS_LOG_HOST_H
#define TESTS_LOG_HOST_H

#include <stdio.h>
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
	fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, condition);
	abort();
}

#endif

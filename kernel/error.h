// SPDX-License-Identifier: BSD-2-Clause
// Where the last error of this CPU arose: see STATUS_FAIL.
#ifndef KERNEL_ERROR_H
#define KERNEL_ERROR_H

#include "kernel/base/status.h"

struct error_origin {
	enum status status;
	int line;
	const char *file; // NULL: no error yet
};

struct error_origin error_last_origin(void);

#endif

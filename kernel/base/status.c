// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/base/status.h"

static const char *const status_names[STATUS_COUNT] = {
	[STATUS_OK] = "ok",
	[STATUS_INVALID] = "invalid value",
	[STATUS_RANGE] = "out of range",
	[STATUS_NO_MEMORY] = "not enough memory",
	[STATUS_NOT_FOUND] = "not found",
	[STATUS_EXISTS] = "already there",
	[STATUS_BUSY] = "busy",
	[STATUS_AGAIN] = "try again",
	[STATUS_TRUNCATED] = "truncated",
	[STATUS_BAD_FORMAT] = "bad format",
	[STATUS_UNSUPPORTED] = "not supported",
	[STATUS_FAULT] = "guest fault",
	[STATUS_IO] = "input/output error",
	[STATUS_REFUSED] = "refused in this state",
};

const char *status_name(enum status status)
{
	return (unsigned)status < STATUS_COUNT ? status_names[status] : "unknown status";
}

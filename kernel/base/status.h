// SPDX-License-Identifier: BSD-2-Clause
// The one set of results. The place where an error arises records its file and line through
// STATUS_FAIL; every caller above only passes the value on.
#ifndef KERNEL_BASE_STATUS_H
#define KERNEL_BASE_STATUS_H

#include "kernel/base/types.h"

enum status {
	STATUS_OK = 0,
	STATUS_INVALID,      // an argument or a field has a value that is not allowed
	STATUS_RANGE,        // outside of an address space, an array or a table
	STATUS_NO_MEMORY,
	STATUS_NOT_FOUND,
	STATUS_EXISTS,
	STATUS_BUSY,
	STATUS_AGAIN,        // not now; the caller may try once more
	STATUS_TRUNCATED,    // input ended too early
	STATUS_BAD_FORMAT,   // wrong magic, version or checksum
	STATUS_UNSUPPORTED,  // neither this machine nor this build can do it
	STATUS_FAULT,        // the guest must take the exception that the callee described
	STATUS_IO,           // a device reported an error
	STATUS_REFUSED,      // allowed in principle, but not in this state
	STATUS_COUNT
};

// The field's name of a status, for messages.
const char *status_name(enum status status);

// Where the last error of this CPU arose: kept by kernel/error.c (in host tests by tests/unit).
enum status status_origin_record(enum status status, const char *file, int line);

#define STATUS_FAIL(status) status_origin_record((status), __FILE__, __LINE__)

#endif

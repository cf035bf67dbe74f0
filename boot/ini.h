// SPDX-License-Identifier: BSD-2-Clause
// A reader for INI text. One pass, nothing allocated, nothing copied: what it reports are slices of
// the text itself.
//
//	# a comment; so is a line that starts with ;
//	[section NAME]
//	key = the rest of the line, where # and ; have no meaning
//
// Lines end with LF or CR LF, the last one may lack its end. A UTF-8 byte order mark is passed
// over.
// Blanks (spaces, tabs) around names, keys and values are dropped.
#ifndef BOOT_INI_H
#define BOOT_INI_H

#include "kernel/base/status.h"
#include "kernel/base/types.h"

enum {
	INI_LINE_MAX = 4096,  // bytes, without the line end
	INI_LINES_MAX = 100000,
};

struct ini_slice {
	const char *bytes; // not zero-terminated
	size_t count;
};

// The reader calls these in the order of the text. One that returns false ends it.
struct ini_handler {
	// [kind name]: name is empty where there is none.
	bool (*section)(void *context, uint32_t line, struct ini_slice kind, struct ini_slice name);
	// Always after a section. The key is not empty, the value may be.
	bool (*key)(void *context, uint32_t line, struct ini_slice key, struct ini_slice value);
};

struct ini_error {
	uint32_t line;
	const char *expected; // what should stand there
	struct ini_slice got; // the line
};

// Keys and section words consist of letters, digits and . _ - only; values and comments have no
// control characters but tabs.
// STATUS_BAD_FORMAT: see *error. STATUS_REFUSED: a handler returned false; error->expected is NULL.
// On success error->line is the number of lines.
must_check enum status ini_parse(const char *text, size_t bytes, const struct ini_handler *handler,
	void *context, struct ini_error *error);

bool ini_slice_equals(struct ini_slice slice, const char *string);

#endif

// SPDX-License-Identifier: BSD-2-Clause
// Appends pieces to a string in a fixed buffer. For the code that runs before the kernel does, when
// the C library's formatted output has no ground to stand on yet.
#ifndef BOOT_TEXT_H
#define BOOT_TEXT_H

#include "kernel/base/types.h"

struct text {
	char *buffer; // always zero-terminated; what does not fit is cut off
	size_t capacity;
	size_t used;
};

void text_init(struct text *text, char *buffer, size_t capacity);
void text_add(struct text *text, const char *string);
void text_add_number(struct text *text, uint64_t value);
// `count` characters; what is not printable ASCII becomes '?', what is longer than 40 is cut,
// with dots to show it.
void text_add_part(struct text *text, const char *bytes, size_t count);
// The same in double quotes.
void text_add_quoted(struct text *text, const char *bytes, size_t count);

#endif

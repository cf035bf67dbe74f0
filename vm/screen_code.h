// SPDX-License-Identifier: BSD-2-Clause
// A picture as lines of text: what `screendump` prints and tools/screendump.py reads. Pure.
//
// Records one behind the other, in base64: a number, seven bits a byte, the lowest first and bit 7
// set in all but the last. If it is even, half of it is a count of pixels, and their colour follows
// (red, green, blue); if odd, half of it, rounded down, is a count of rows like the last one.
#ifndef VM_SCREEN_CODE_H
#define VM_SCREEN_CODE_H

#include "kernel/base/types.h"

enum { SCREEN_CODE_COLUMNS = 76 };

struct screen_code {
	void (*line)(void *owner, const char *text); // with its end
	void *owner;
	uint32_t column;
	uint32_t pending, pending_bytes; // of a group of three
	uint32_t repeated;               // rows that have not been told
	char text[SCREEN_CODE_COLUMNS + 2];
};

void screen_code_begin(struct screen_code *code, void (*line)(void *owner, const char *text),
	void *owner);
// `before`: the row above; NULL: there is none.
void screen_code_row(struct screen_code *code, const uint32_t *pixels, const uint32_t *before,
	uint32_t count);
void screen_code_end(struct screen_code *code);

#endif

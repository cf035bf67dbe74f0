// SPDX-License-Identifier: BSD-2-Clause
#include "vm/screen_code.h"

#include <string.h>

enum { GROUP = 3 };

static void line_end(struct screen_code *code)
{
	if (code->column == 0)
		return;
	code->text[code->column] = '\n';
	code->text[code->column + 1] = '\0';
	code->line(code->owner, code->text);
	code->column = 0;
}

// The group that is pending, `missing` of whose bytes are not there.
static void group_put(struct screen_code *code, unsigned missing)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (unsigned i = 0; i < 4; i++)
		code->text[code->column++] = i < 4 - missing
			? digits[code->pending >> (18 - 6 * i) & 0x3f] : '=';
	if (code->column == SCREEN_CODE_COLUMNS)
		line_end(code);
	code->pending = code->pending_bytes = 0;
}

static void byte_put(struct screen_code *code, uint32_t byte)
{
	code->pending |= (byte & 0xff) << (16 - 8 * code->pending_bytes);
	if (++code->pending_bytes == GROUP)
		group_put(code, 0);
}

static void number_put(struct screen_code *code, uint32_t number)
{
	for (; number >= 0x80; number >>= 7)
		byte_put(code, number | 0x80);
	byte_put(code, number);
}

static void repeats_put(struct screen_code *code)
{
	if (code->repeated != 0)
		number_put(code, code->repeated << 1 | 1);
	code->repeated = 0;
}

void screen_code_begin(struct screen_code *code, void (*line)(void *owner, const char *text),
	void *owner)
{
	*code = (struct screen_code){.line = line, .owner = owner};
}

void screen_code_row(struct screen_code *code, const uint32_t *pixels, const uint32_t *before,
	uint32_t count)
{
	if (before != NULL && memcmp(pixels, before, count * sizeof(*pixels)) == 0) {
		code->repeated++;
		return;
	}
	repeats_put(code);
	for (uint32_t i = 0, run; i < count; i += run) {
		run = 1;
		while (i + run < count && pixels[i + run] == pixels[i])
			run++;
		number_put(code, run << 1);
		byte_put(code, pixels[i] >> 16);
		byte_put(code, pixels[i] >> 8);
		byte_put(code, pixels[i]);
	}
}

void screen_code_end(struct screen_code *code)
{
	repeats_put(code);
	if (code->pending_bytes != 0)
		group_put(code, GROUP - code->pending_bytes);
	line_end(code);
}

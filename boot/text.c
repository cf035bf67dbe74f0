// SPDX-License-Identifier: BSD-2-Clause
#include "boot/text.h"

enum { TEXT_PART_MAX = 40 };

void text_init(struct text *text, char *buffer, size_t capacity)
{
	*text = (struct text){.buffer = buffer, .capacity = capacity};
	if (capacity > 0)
		buffer[0] = '\0';
}

static void text_add_char(struct text *text, char c)
{
	if (text->capacity < 2 || text->used > text->capacity - 2)
		return;
	text->buffer[text->used++] = c;
	text->buffer[text->used] = '\0';
}

void text_add(struct text *text, const char *string)
{
	while (*string != '\0')
		text_add_char(text, *string++);
}

void text_add_number(struct text *text, uint64_t value)
{
	char digits[20];
	size_t count = 0;

	do {
		digits[count++] = (char)('0' + value % 10);
		value /= 10;
	} while (value != 0);
	while (count > 0)
		text_add_char(text, digits[--count]);
}

void text_add_part(struct text *text, const char *bytes, size_t count)
{
	size_t shown = count > TEXT_PART_MAX ? TEXT_PART_MAX : count;

	for (size_t i = 0; i < shown; i++)
		text_add_char(text, bytes[i] >= 0x20 && bytes[i] < 0x7f ? bytes[i] : '?');
	if (shown < count)
		text_add(text, "...");
}

void text_add_quoted(struct text *text, const char *bytes, size_t count)
{
	text_add(text, "\"");
	text_add_part(text, bytes, count);
	text_add(text, "\"");
}

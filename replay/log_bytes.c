// SPDX-License-Identifier: BSD-2-Clause
#include "replay/log_bytes.h"

#include <string.h>

#include "kernel/base/assert.h"

void log_put_byte(struct log_out *out, unsigned byte)
{
	if (out->at == out->end)
		out->overflow = true;
	else
		*out->at++ = (uint8_t)byte;
}

void log_put_varint(struct log_out *out, uint64_t value)
{
	for (; value >= 0x80; value >>= 7)
		log_put_byte(out, 0x80 | (value & 0x7f));
	log_put_byte(out, (unsigned)value);
}

void log_put_bytes(struct log_out *out, const void *bytes, size_t count)
{
	if (count > (size_t)(out->end - out->at)) {
		out->overflow = true;
	} else if (count > 0) {
		memcpy(out->at, bytes, count);
		out->at += count;
	}
}

void log_put_text(struct log_out *out, const char *text)
{
	size_t count = strlen(text);

	log_put_varint(out, count);
	log_put_bytes(out, text, count);
}

void log_in_fail(struct log_in *in, const char *error)
{
	if (in->error == NULL)
		in->error = error;
	in->at = in->end;
}

uint8_t log_get_byte(struct log_in *in)
{
	if (in->at == in->end) {
		log_in_fail(in, "cut off");
		return 0;
	}
	return *in->at++;
}

uint64_t log_get_varint(struct log_in *in)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t byte = log_get_byte(in);

		value |= (uint64_t)(byte & 0x7f) << shift;
		if (shift == 63 && byte > 1)
			break;
		if ((byte & 0x80) == 0)
			return in->error == NULL ? value : 0;
	}
	log_in_fail(in, "a number of more than 64 bits");
	return 0;
}

uint64_t log_get_limited(struct log_in *in, uint64_t max)
{
	uint64_t value = log_get_varint(in);

	if (value <= max)
		return value;
	log_in_fail(in, "a number is too large");
	return 0;
}

const uint8_t *log_get_bytes(struct log_in *in, size_t count)
{
	const uint8_t *bytes = in->at;

	if (count > (size_t)(in->end - in->at)) {
		log_in_fail(in, "cut off");
		return NULL;
	}
	in->at += count;
	return bytes;
}

void log_get_text(struct log_in *in, char *text, size_t size)
{
	const uint8_t *bytes;
	size_t count;

	ASSERT(size > 0);
	count = log_get_limited(in, size - 1);
	bytes = log_get_bytes(in, count);
	text[0] = '\0';
	if (bytes == NULL)
		return;
	for (size_t i = 0; i < count; i++)
		if (!log_character_is_printable((char)bytes[i])) {
			log_in_fail(in, "a text with control characters");
			return;
		}
	memcpy(text, bytes, count);
	text[count] = '\0';
}

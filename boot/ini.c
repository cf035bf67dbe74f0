// SPDX-License-Identifier: BSD-2-Clause
// Runs before the kernel has set up anything, so it does not use STATUS_FAIL.
#include "boot/ini.h"

#include <string.h>

struct ini_parser {
	const struct ini_handler *handler;
	void *context;
	struct ini_error *error;
	bool has_section;
};

static enum status ini_fail(struct ini_parser *parser, const char *expected)
{
	parser->error->expected = expected;
	return STATUS_BAD_FORMAT;
}

bool ini_slice_equals(struct ini_slice slice, const char *string)
{
	return strlen(string) == slice.count && memcmp(slice.bytes, string, slice.count) == 0;
}

static bool ini_is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static struct ini_slice ini_trim(struct ini_slice slice)
{
	while (slice.count > 0 && ini_is_blank(slice.bytes[0])) {
		slice.bytes++;
		slice.count--;
	}
	while (slice.count > 0 && ini_is_blank(slice.bytes[slice.count - 1]))
		slice.count--;
	return slice;
}

static bool ini_is_word(struct ini_slice slice)
{
	for (size_t i = 0; i < slice.count; i++) {
		char c = slice.bytes[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
			c != '_' && c != '-' && c != '.')
			return false;
	}
	return slice.count > 0;
}

static struct ini_slice ini_split(struct ini_slice slice, size_t at, struct ini_slice *rest)
{
	*rest = (struct ini_slice){slice.bytes + at, slice.count - at};
	return (struct ini_slice){slice.bytes, at};
}

static enum status ini_parse_section(struct ini_parser *parser, struct ini_slice line)
{
	struct ini_slice inner, kind, name;
	size_t length = 0;

	if (line.bytes[line.count - 1] != ']')
		return ini_fail(parser, "a section such as [vm NAME] that ends with ]");
	inner = ini_trim((struct ini_slice){line.bytes + 1, line.count - 2});
	while (length < inner.count && !ini_is_blank(inner.bytes[length]))
		length++;
	kind = ini_split(inner, length, &name);
	name = ini_trim(name);
	if (!ini_is_word(kind) || (name.count > 0 && !ini_is_word(name)))
		return ini_fail(parser, "a section such as [reprise] or [vm NAME], "
					"of letters, digits, and . _ -");
	parser->has_section = true;
	return parser->handler->section(parser->context, parser->error->line, kind, name)
		? STATUS_OK
		: STATUS_REFUSED;
}

static enum status ini_parse_key(struct ini_parser *parser, struct ini_slice line)
{
	const char *equals = memchr(line.bytes, '=', line.count);
	struct ini_slice key, value;

	if (equals == NULL)
		return ini_fail(parser, "key = value, a [section], or # and a comment");
	key = ini_trim(ini_split(line, (size_t)(equals - line.bytes), &value));
	value.bytes++;
	value.count--;
	if (!ini_is_word(key))
		return ini_fail(parser, "a key of letters, digits, and . _ - before the =");
	if (!parser->has_section)
		return ini_fail(parser, "a section such as [reprise] before the first key");
	return parser->handler->key(parser->context, parser->error->line, key, ini_trim(value))
		? STATUS_OK
		: STATUS_REFUSED;
}

static enum status ini_parse_line(struct ini_parser *parser, struct ini_slice line)
{
	if (line.count > 0 && line.bytes[line.count - 1] == '\r')
		line.count--;
	parser->error->got = line;
	if (line.count > INI_LINE_MAX)
		return ini_fail(parser, "a line of at most 4096 bytes");
	for (size_t i = 0; i < line.count; i++)
		if (((unsigned char)line.bytes[i] < 0x20 && line.bytes[i] != '\t') ||
			line.bytes[i] == 0x7f)
			return ini_fail(parser, "text without control characters or zero bytes");
	line = ini_trim(line);
	if (line.count == 0 || line.bytes[0] == '#' || line.bytes[0] == ';')
		return STATUS_OK;
	return line.bytes[0] == '[' ? ini_parse_section(parser, line) : ini_parse_key(parser, line);
}

// Passes over a UTF-8 byte order mark; refuses UTF-16, which some editors call "Unicode".
static enum status ini_parse_mark(struct ini_parser *parser, struct ini_slice *text)
{
	if (text->count >= 2 && (memcmp(text->bytes, "\xff\xfe", 2) == 0 ||
					memcmp(text->bytes, "\xfe\xff", 2) == 0)) {
		parser->error->line = 1;
		parser->error->got = *text;
		return ini_fail(parser, "text saved as UTF-8 or ASCII, not as UTF-16");
	}
	if (text->count >= 3 && memcmp(text->bytes, "\xef\xbb\xbf", 3) == 0) {
		text->bytes += 3;
		text->count -= 3;
	}
	return STATUS_OK;
}

enum status ini_parse(const char *text, size_t bytes, const struct ini_handler *handler,
	void *context, struct ini_error *error)
{
	struct ini_parser parser = {.handler = handler, .context = context, .error = error};
	struct ini_slice left = {text, bytes};
	enum status status;

	*error = (struct ini_error){0};
	status = ini_parse_mark(&parser, &left);
	while (status == STATUS_OK && left.count > 0) {
		const char *end = memchr(left.bytes, '\n', left.count);
		size_t length = end != NULL ? (size_t)(end - left.bytes) : left.count;
		struct ini_slice line = ini_split(left, length, &left);

		if (end != NULL) {
			left.bytes++;
			left.count--;
		}
		if (++error->line > INI_LINES_MAX)
			return ini_fail(&parser, "at most 100000 lines");
		status = ini_parse_line(&parser, line);
	}
	return status;
}

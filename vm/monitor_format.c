// SPDX-License-Identifier: BSD-2-Clause
#include "vm/monitor_format.h"

#include <stdio.h>
#include <string.h>

#include "kernel/base/assert.h"

enum { COUNT_MAX = 1000000, DEPTH_MAX = 8 };

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_name(char c)
{
	return is_digit(c) || c == '_' || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

// The word that begins after a quote, moved down to `to`. Returns what follows the closing quote;
// NULL: there is none.
static char *quoted_word(char *from, char *to)
{
	for (; *from != '"'; from++) {
		if (*from == '\\') {
			from++;
			*to++ = *from == 'n' ? '\n' : *from == 'r' ? '\r' : *from;
		} else {
			*to++ = *from;
		}
		if (*from == '\0')
			return NULL;
	}
	*to = '\0';
	return from + 1;
}

int monitor_words_split(char *line, char *words[MONITOR_ARGUMENTS_MAX], const char **problem)
{
	int count = 0;

	for (;;) {
		while (*line == ' ' || *line == '\t')
			line++;
		if (*line == '\0')
			return count;
		if (count == MONITOR_ARGUMENTS_MAX) {
			*problem = "too many arguments";
			return -1;
		}
		words[count++] = line;
		if (*line == '"') {
			line = quoted_word(line + 1, line);
			if (line == NULL) {
				*problem = "unterminated string";
				return -1;
			}
			continue;
		}
		while (*line != '\0' && *line != ' ' && *line != '\t')
			line++;
		if (*line != '\0')
			*line++ = '\0';
	}
}

bool monitor_format_parse(const char *text, struct monitor_format *format, char *bad)
{
	format->count = 1;
	if (is_digit(*text))
		format->count = 0;
	for (; is_digit(*text); text++) {
		format->count = format->count * 10 + (uint32_t)(*text - '0');
		if (format->count > COUNT_MAX) {
			*bad = '\0';
			return false;
		}
	}
	for (; *text != '\0'; text++) {
		switch (*text) {
		case 'b': format->size = 1; break;
		case 'h': format->size = 2; break;
		case 'w': format->size = 4; break;
		case 'g': format->size = 8; break;
		case 'x': case 'd': case 'u': case 'o': case 'c': case 'i':
			format->letter = *text;
			break;
		default:
			*bad = *text;
			return false;
		}
	}
	return true;
}

unsigned monitor_dump_elements(const struct monitor_format *format)
{
	return format->size == 1 ? 8u : (unsigned)MONITOR_DUMP_BYTES / format->size;
}

static uint64_t element(const uint8_t *bytes, unsigned size)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < size; i++)
		value |= (uint64_t)bytes[i] << 8 * i;
	return value;
}

static int character_print(char *text, size_t room, uint8_t c)
{
	if (c == '\'' || c == '\\')
		return snprintf(text, room, " '\\%c'", c);
	if (c == '\n' || c == '\r' || c == '\t')
		return snprintf(text, room, " '\\%c'", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
	if (c >= 0x20 && c < 0x7f)
		return snprintf(text, room, " '%c'", c);
	return snprintf(text, room, " '\\x%02x'", c);
}

// Columns are as wide as the widest element.
static int element_print(char *text, size_t room, uint64_t value,
	const struct monitor_format *format)
{
	static const struct {
		uint8_t octal, decimal; // digits
	} widths[] = {[1] = {3, 3}, [2] = {6, 5}, [4] = {11, 10}, [8] = {22, 20}};
	unsigned unused = 64 - 8u * format->size;

	ASSERT(format->size != 0);
	switch (format->letter) {
	case 'd':
		return snprintf(text, room, " %*lld", widths[format->size].decimal,
			(long long)(int64_t)(value << unused) >> unused);
	case 'u':
		return snprintf(text, room, " %*llu", widths[format->size].decimal,
			(unsigned long long)value);
	case 'o':
		return snprintf(text, room, " 0%0*llo", widths[format->size].octal,
			(unsigned long long)value);
	case 'c':
		return character_print(text, room, (uint8_t)value);
	default:
		return snprintf(text, room, " 0x%0*llx", 2 * format->size,
			(unsigned long long)value);
	}
}

void monitor_dump_line(char text[MONITOR_DUMP_LINE_MAX], uint64_t address, const uint8_t *bytes,
	unsigned count, const struct monitor_format *format)
{
	int used = snprintf(text, MONITOR_DUMP_LINE_MAX, "%016llx:", (unsigned long long)address);

	for (unsigned i = 0; i < count; i++)
		used += element_print(text + used, MONITOR_DUMP_LINE_MAX - (size_t)used,
			element(bytes + i * format->size, format->size), format);
}

// A recursive-descent reader of: sum = term {(+|-) term}; term = number | $name | (sum) | -term.
struct reader {
	const char *at;
	const struct vcpu_state *state;
	char *problem;
	unsigned depth;
};

static bool sum_read(struct reader *reader, uint64_t *value);

static bool refuse(struct reader *reader, const char *what, size_t length, const char *text)
{
	snprintf(reader->problem, MONITOR_PROBLEM_MAX, "%s '%.*s'", what,
		(int)(length < 40 ? length : 40), text);
	return false;
}

static void spaces_skip(struct reader *reader)
{
	while (*reader->at == ' ')
		reader->at++;
}

static bool register_read(struct reader *reader, uint64_t *value)
{
	static const struct {
		const char *name;
		uint32_t offset;
	} registers[] = {
#define GPR(name, number) {name, offsetof(struct vcpu_state, gpr) + 8u * (number)}
		GPR("rax", GPR_RAX), GPR("rcx", GPR_RCX), GPR("rdx", GPR_RDX), GPR("rbx", GPR_RBX),
		GPR("rsp", GPR_RSP), GPR("rbp", GPR_RBP), GPR("rsi", GPR_RSI), GPR("rdi", GPR_RDI),
		GPR("r8", GPR_R8), GPR("r9", GPR_R9), GPR("r10", GPR_R10), GPR("r11", GPR_R11),
		GPR("r12", GPR_R12), GPR("r13", GPR_R13), GPR("r14", GPR_R14), GPR("r15", GPR_R15),
#undef GPR
#define OTHER(name, member) {name, offsetof(struct vcpu_state, member)}
		OTHER("rip", rip), OTHER("pc", rip), OTHER("rflags", rflags),
		OTHER("eflags", rflags), OTHER("cr0", cr0), OTHER("cr2", cr2), OTHER("cr3", cr3),
		OTHER("cr4", cr4), OTHER("cr8", cr8), OTHER("efer", efer),
		OTHER("fs_base", segment[SEGMENT_FS].base),
		OTHER("gs_base", segment[SEGMENT_GS].base),
		OTHER("k_gs_base", kernel_gs_base),
#undef OTHER
	};
	const char *name = reader->at;
	size_t length = 0;

	while (is_name(name[length]))
		length++;
	reader->at += length;
	for (unsigned i = 0; i < ARRAY_COUNT(registers) && reader->state != NULL; i++)
		if (strlen(registers[i].name) == length &&
			memcmp(registers[i].name, name, length) == 0) {
			memcpy(value, (const char *)reader->state + registers[i].offset, 8);
			return true;
		}
	return refuse(reader, "unknown register", length, name);
}

static unsigned digit_of(char c)
{
	if (is_digit(c))
		return (unsigned)(c - '0');
	return (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (unsigned)((c | 0x20) - 'a') + 10 : 16;
}

static bool number_read(struct reader *reader, uint64_t *value)
{
	const char *start = reader->at;
	unsigned base = 10;

	*value = 0;
	if (start[0] == '0' && (start[1] | 0x20) == 'x' && digit_of(start[2]) < 16) {
		base = 16;
		reader->at += 2;
	} else if (start[0] == '0') {
		base = 8;
	}
	for (unsigned digit; (digit = digit_of(*reader->at)) < base; reader->at++) {
		if (*value > (UINT64_MAX - digit) / base)
			return refuse(reader, "number too large:", strlen(start), start);
		*value = *value * base + digit;
	}
	if (is_name(*reader->at))
		return refuse(reader, "invalid char in number:", 1, reader->at);
	return true;
}

static bool term_read(struct reader *reader, uint64_t *value)
{
	spaces_skip(reader);
	if (is_digit(*reader->at))
		return number_read(reader, value);
	switch (*reader->at) {
	case '$':
		reader->at++;
		return register_read(reader, value);
	case '-':
		reader->at++;
		if (++reader->depth > DEPTH_MAX)
			return refuse(reader, "too deep:", 1, "-");
		if (!term_read(reader, value))
			return false;
		reader->depth--;
		*value = 0 - *value;
		return true;
	case '(':
		reader->at++;
		if (++reader->depth > DEPTH_MAX)
			return refuse(reader, "too deep:", 1, "(");
		if (!sum_read(reader, value))
			return false;
		reader->depth--;
		if (*reader->at != ')')
			return refuse(reader, "expected", 1, ")");
		reader->at++;
		return true;
	case '\0':
		return refuse(reader, "unexpected end of expression", 0, "");
	default:
		return refuse(reader, "invalid char in expression:", 1, reader->at);
	}
}

static bool sum_read(struct reader *reader, uint64_t *value)
{
	*value = 0;
	if (!term_read(reader, value))
		return false;
	for (;;) {
		uint64_t right = 0;
		char sign;

		spaces_skip(reader);
		sign = *reader->at;
		if (sign != '+' && sign != '-')
			return true;
		reader->at++;
		if (!term_read(reader, &right))
			return false;
		*value = sign == '+' ? *value + right : *value - right;
	}
}

bool monitor_evaluate(const char *text, const struct vcpu_state *state, uint64_t *value,
	char problem[MONITOR_PROBLEM_MAX])
{
	struct reader reader = {.at = text, .state = state, .problem = problem};

	if (!sum_read(&reader, value))
		return false;
	if (*reader.at != '\0')
		return refuse(&reader, "invalid char in expression:", 1, reader.at);
	return true;
}

bool monitor_size_parse(const char *text, uint64_t *bytes)
{
	static const char units[] = "KMGT";
	unsigned shift = 20;
	const char *unit;

	if (*text < '0' || *text > '9')
		return false;
	*bytes = 0;
	for (; *text >= '0' && *text <= '9'; text++) {
		if (*bytes > UINT64_MAX / 20)
			return false;
		*bytes = *bytes * 10 + (uint64_t)(*text - '0');
	}
	unit = *text != '\0' ? strchr(units, *text & ~0x20) : NULL;
	if (unit != NULL)
		shift = 10 * (unsigned)(unit - units + 1);
	if (*text != '\0' && (unit == NULL || text[1] != '\0'))
		return false;
	if (*bytes > UINT64_MAX >> shift)
		return false;
	*bytes <<= shift;
	return true;
}

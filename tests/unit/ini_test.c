// SPDX-License-Identifier: BSD-2-Clause
// clang-format off: cmocka.h wants these first.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
// clang-format on

#include <stdlib.h>
#include <string.h>

#include "boot/ini.h"

// What the handlers saw, as one string: "1[kind|name]2<key|value>".
struct seen {
	char text[16384];
	size_t used;
	unsigned calls_allowed;
};

static void seen_add(struct seen *seen, const char *bytes, size_t count)
{
	assert_true(seen->used + count < sizeof(seen->text));
	memcpy(seen->text + seen->used, bytes, count);
	seen->used += count;
	seen->text[seen->used] = '\0';
}

static bool seen_item(struct seen *seen, uint32_t line, const char *marks, struct ini_slice first,
	struct ini_slice second)
{
	char digit = (char)('0' + line % 10);

	seen_add(seen, &digit, 1);
	seen_add(seen, marks, 1);
	seen_add(seen, first.bytes, first.count);
	seen_add(seen, "|", 1);
	seen_add(seen, second.bytes, second.count);
	seen_add(seen, marks + 1, 1);
	return seen->calls_allowed-- > 1;
}

static bool seen_section(void *context, uint32_t line, struct ini_slice kind,
	struct ini_slice name)
{
	return seen_item(context, line, "[]", kind, name);
}

static bool seen_key(void *context, uint32_t line, struct ini_slice key, struct ini_slice value)
{
	return seen_item(context, line, "<>", key, value);
}

static const struct ini_handler handler = {.section = seen_section, .key = seen_key};

// Parses a copy of exactly `bytes` bytes, so that the sanitizer sees any access beyond.
static enum status parse(const void *text, size_t bytes, struct seen *seen,
	struct ini_error *error)
{
	char *copy = malloc(bytes + (bytes == 0));
	enum status status;

	assert_non_null(copy);
	memcpy(copy, text, bytes);
	*seen = (struct seen){.calls_allowed = 1000};
	status = ini_parse(copy, bytes, &handler, seen, error);
	free(copy);
	return status;
}

static void expect_items(const char *text, size_t bytes, const char *items)
{
	struct ini_error error;
	struct seen seen;

	assert_int_equal(parse(text, bytes, &seen, &error), STATUS_OK);
	assert_string_equal(seen.text, items);
}

static void expect_failure(const char *text, size_t bytes, uint32_t line, const char *part)
{
	struct ini_error error;
	struct seen seen;

	assert_int_equal(parse(text, bytes, &seen, &error), STATUS_BAD_FORMAT);
	assert_int_equal(error.line, line);
	assert_non_null(strstr(error.expected, part));
}

#define EXPECT_ITEMS(text, items)         expect_items(text, sizeof(text) - 1, items)
#define EXPECT_FAILURE(text, line, part) expect_failure(text, sizeof(text) - 1, line, part)

static void test_sections_keys_and_comments(void **state)
{
	(void)state;
	EXPECT_ITEMS("# one\n; two\n\n[reprise]\nlog = info\n\t# three\n[ vm\ta ]\n x.y-z_9=1 \n",
		"4[reprise|]5<log|info>7[vm|a]8<x.y-z_9|1>");
}

static void test_value_is_rest_of_line(void **state)
{
	(void)state;
	EXPECT_ITEMS("[a]\nk = a=b # not ; a [comment]\t\n", "1[a|]2<k|a=b # not ; a [comment]>");
	EXPECT_ITEMS("[a]\nk =\nl=\t \n", "1[a|]2<k|>3<l|>");
	EXPECT_ITEMS("[a]\nk = \xc3\xa4\t\xff\n", "1[a|]2<k|\xc3\xa4\t\xff>");
}

static void test_line_ends(void **state)
{
	(void)state;
	EXPECT_ITEMS("[a]\r\nk = v\r\n\r\nl = w\r", "1[a|]2<k|v>4<l|w>");
	EXPECT_ITEMS("[a]\nk = v", "1[a|]2<k|v>");
	EXPECT_ITEMS("[a]", "1[a|]");
	EXPECT_ITEMS("", "");
	EXPECT_ITEMS("\n\n", "");
}

static void test_line_count(void **state)
{
	struct ini_error error;
	struct seen seen;

	(void)state;
	assert_int_equal(parse("[a]\n\n#\n", 7, &seen, &error), STATUS_OK);
	assert_int_equal(error.line, 3);
}

static void test_byte_order_marks(void **state)
{
	(void)state;
	EXPECT_ITEMS("\xef\xbb\xbf[a]\nk=v\n", "1[a|]2<k|v>");
	EXPECT_ITEMS("\xef\xbb\xbf", "");
	EXPECT_FAILURE("\xff\xfe[\0a\0]\0", 1, "UTF-16");
	EXPECT_FAILURE("\xfe\xff", 1, "UTF-16");
	// The mark is one at the start of the text only.
	EXPECT_FAILURE("[a]\n\xef\xbb\xbfk=v\n", 2, "letters");
}

static void test_refuses_control_characters(void **state)
{
	(void)state;
	EXPECT_FAILURE("[a]\nk = v\0w\n", 2, "control characters");
	EXPECT_FAILURE("\0", 1, "control characters");
	EXPECT_FAILURE("[a]\n# \x1b[2J\n", 2, "control characters");
	EXPECT_FAILURE("[a]\rk = v\n", 1, "control characters");
	EXPECT_FAILURE("[a]\nk = \x7f\n", 2, "control characters");
}

static void test_refuses_what_is_no_ini(void **state)
{
	(void)state;
	EXPECT_FAILURE("k = v\n", 1, "before the first key");
	EXPECT_FAILURE("[a]\nword\n", 2, "key = value");
	EXPECT_FAILURE("[a]\n= v\n", 2, "letters");
	EXPECT_FAILURE("[a]\na b = v\n", 2, "letters");
	EXPECT_FAILURE("[a\n", 1, "ends with ]");
	EXPECT_FAILURE("[a] # comment\n", 1, "ends with ]");
	EXPECT_FAILURE("[", 1, "ends with ]");
	EXPECT_FAILURE("[]\n", 1, "letters");
	EXPECT_FAILURE("[ ]\n", 1, "letters");
	EXPECT_FAILURE("[vm a b]\n", 1, "letters");
	EXPECT_FAILURE("[vm a]]\n", 1, "letters");
}

static void test_line_length_limit(void **state)
{
	char text[4 + INI_LINE_MAX + 2];
	struct ini_error error;
	struct seen seen;

	(void)state;
	memcpy(text, "[a]\n", 4);
	memset(text + 4, 'x', INI_LINE_MAX + 1);
	text[5] = '=';
	text[4 + INI_LINE_MAX] = '\n';
	assert_int_equal(parse(text, 4 + INI_LINE_MAX + 1, &seen, &error), STATUS_OK);
	text[4 + INI_LINE_MAX] = 'x';
	expect_failure(text, 4 + INI_LINE_MAX + 1, 2, "4096");
}

static void test_line_number_limit(void **state)
{
	char *text = malloc(INI_LINES_MAX + 1);

	(void)state;
	assert_non_null(text);
	memset(text, '\n', INI_LINES_MAX + 1);
	expect_items(text, INI_LINES_MAX, "");
	expect_failure(text, INI_LINES_MAX + 1, INI_LINES_MAX + 1, "lines");
	free(text);
}

static void test_handler_ends_the_parse(void **state)
{
	static const char text[] = "[a]\nk=v\nl=w\n";
	struct seen seen = {.calls_allowed = 2};
	struct ini_error error;

	(void)state;
	assert_int_equal(ini_parse(text, sizeof(text) - 1, &handler, &seen, &error),
		STATUS_REFUSED);
	assert_string_equal(seen.text, "1[a|]2<k|v>");
	assert_null(error.expected);
	assert_int_equal(error.line, 2);
}

static void test_every_prefix_and_every_byte(void **state)
{
	static const char text[] = "\xef\xbb\xbf# c\r\n[vm a]\nk = v\n;\n[x]\ny==\n";
	char changed[sizeof(text)];
	struct ini_error error;
	struct seen seen;

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		(void)parse(text, i, &seen, &error);
	for (size_t i = 0; i < sizeof(text); i++)
		for (unsigned byte = 0; byte < 256; byte++) {
			memcpy(changed, text, sizeof(text));
			changed[i] = (char)byte;
			(void)parse(changed, sizeof(text) - 1, &seen, &error);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sections_keys_and_comments),
		cmocka_unit_test(test_value_is_rest_of_line),
		cmocka_unit_test(test_line_ends),
		cmocka_unit_test(test_line_count),
		cmocka_unit_test(test_byte_order_marks),
		cmocka_unit_test(test_refuses_control_characters),
		cmocka_unit_test(test_refuses_what_is_no_ini),
		cmocka_unit_test(test_line_length_limit),
		cmocka_unit_test(test_line_number_limit),
		cmocka_unit_test(test_handler_ends_the_parse),
		cmocka_unit_test(test_every_prefix_and_every_byte),
	};

	return cmocka_run_group_tests_name("ini", tests, NULL, NULL);
}

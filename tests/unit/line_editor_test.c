// SPDX-License-Identifier: BSD-2-Clause
// The line editor against a small terminal that understands what the editor emits.
// clang-format off: cmocka.h wants these first.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
// clang-format on

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/line_editor.h"

enum { COLUMNS = LINE_EDITOR_COLUMNS };

// One row of a terminal; `rows` counts line feeds.
struct bench {
	struct line_editor editor;
	char row[COLUMNS + 1];
	char above[COLUMNS + 1]; // the row before the last line feed
	size_t column, rows, bells, clears;
	char escape[16];
	size_t escape_bytes;
};

static void row_clear_from(struct bench *bench, size_t column)
{
	memset(bench->row + column, ' ', COLUMNS - column);
}

static void escape_end(struct bench *bench)
{
	unsigned count;

	if (strcmp(bench->escape, "[K") == 0) {
		row_clear_from(bench, bench->column);
	} else if (strcmp(bench->escape, "[2J") == 0) {
		bench->clears++;
		row_clear_from(bench, 0);
	} else if (strcmp(bench->escape, "[H") == 0) {
		bench->column = 0;
	} else if (sscanf(bench->escape, "[%uC", &count) == 1) {
		assert_true(count > 0); // CUF 0 moves by one, ECMA-48 8.3.20
		bench->column += count;
	} else {
		fail_msg("unknown sequence %s", bench->escape);
	}
}

static void terminal_byte(struct bench *bench, char c)
{
	if (bench->escape_bytes > 0) {
		if (bench->escape_bytes > 1 || c != '[')
			assert_true(bench->escape_bytes < sizeof(bench->escape));
		bench->escape[bench->escape_bytes - 1] = c;
		bench->escape[bench->escape_bytes++] = '\0';
		if (c != '[' && c >= '@') {
			escape_end(bench);
			bench->escape_bytes = 0;
		}
		return;
	}
	switch (c) {
	case 0x1b:
		bench->escape_bytes = 1;
		break;
	case '\r':
		bench->column = 0;
		break;
	case '\n':
		memcpy(bench->above, bench->row, sizeof(bench->row));
		row_clear_from(bench, 0);
		bench->rows++;
		break;
	case '\a':
		bench->bells++;
		break;
	default:
		assert_in_range((unsigned char)c, 0x20, 0x7e);
		assert_true(bench->column < COLUMNS - 1); // the last column stays free
		bench->row[bench->column++] = c;
	}
}

static void bench_write(void *owner, const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		terminal_byte(owner, text[i]);
}

static const char *bench_candidate(void *owner, const char *line, size_t word_start,
	unsigned index)
{
	static const char *const commands[] = {"system_reset", "info", "system_powerdown", "stop"};
	static const char *const infos[] = {"registers", "status"};

	(void)owner;
	if (word_start == 0)
		return index < ARRAY_COUNT(commands) ? commands[index] : NULL;
	if (strncmp(line, "info ", 5) == 0)
		return index < ARRAY_COUNT(infos) ? infos[index] : NULL;
	return NULL;
}

static int setup(void **state)
{
	static const struct line_editor_ops ops = {bench_write, bench_candidate};
	struct bench *bench = calloc(1, sizeof(*bench));

	row_clear_from(bench, 0);
	memset(bench->above, ' ', COLUMNS);
	line_editor_init(&bench->editor, &ops, bench, "> ");
	line_editor_show(&bench->editor);
	*state = bench;
	return 0;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

// Types bytes; true if the last one ended a line.
static bool type(struct bench *bench, const char *bytes)
{
	enum line_editor_result result = LINE_EDITOR_MORE;

	for (; *bytes != '\0'; bytes++) {
		assert_int_equal(result, LINE_EDITOR_MORE);
		result = line_editor_byte(&bench->editor, (uint8_t)*bytes);
	}
	return result == LINE_EDITOR_LINE;
}

static void enter_line(struct bench *bench, const char *line)
{
	assert_false(type(bench, line));
	assert_true(type(bench, "\r"));
	line_editor_begin(&bench->editor);
	line_editor_show(&bench->editor);
}

// The line, what the terminal shows, and where the cursor stands.
static void check(struct bench *bench, const char *line, size_t cursor)
{
	char expected[COLUMNS + 1];

	assert_string_equal(bench->editor.text, line);
	assert_int_equal(bench->editor.length, strlen(line));
	assert_int_equal(bench->editor.cursor, cursor);
	snprintf(expected, sizeof(expected), "> %-*s", COLUMNS - 2, line);
	assert_string_equal(bench->row, expected);
	assert_int_equal(bench->column, cursor + 2);
}

static void test_typing(void **state)
{
	struct bench *bench = *state;

	check(bench, "", 0);
	type(bench, "stop");
	check(bench, "stop", 4);
	assert_true(type(bench, "\r"));
	assert_string_equal(bench->editor.text, "stop");
	assert_int_equal(bench->rows, 1);
	line_editor_begin(&bench->editor);
	line_editor_show(&bench->editor);
	check(bench, "", 0);
	assert_false(type(bench, "\n")); // the second half of CR LF
	assert_true(type(bench, "\n"));  // and one that stands alone
}

static void test_moves_and_deletes(void **state)
{
	struct bench *bench = *state;

	type(bench, "abcdef\x1b[D\x1b[D");
	check(bench, "abcdef", 4);
	type(bench, "X");
	check(bench, "abcdXef", 5);
	type(bench, "\x7f");
	check(bench, "abcdef", 4);
	type(bench, "\x1b[3~");
	check(bench, "abcdf", 4);
	type(bench, "\x01\x1b[3~");
	check(bench, "bcdf", 0);
	type(bench, "\x7f\x1b[D"); // nothing before the first character
	check(bench, "bcdf", 0);
	type(bench, "\x1b[C\x05\x1b[C");
	check(bench, "bcdf", 4);
	type(bench, "\x1b[3~"); // nothing after the last
	check(bench, "bcdf", 4);
	type(bench, "\x1b[H");
	check(bench, "bcdf", 0);
	type(bench, "\x1b[F");
	check(bench, "bcdf", 4);
	type(bench, "\x1bOH");
	check(bench, "bcdf", 0);
	type(bench, "\x1bOF");
	check(bench, "bcdf", 4);
	type(bench, "\x1b[1~");
	check(bench, "bcdf", 0);
	type(bench, "\x1b[4~");
	check(bench, "bcdf", 4);
	type(bench, "\x02\x06\x02\x04"); // ^B ^F ^B ^D
	check(bench, "bcd", 3);
}

static void test_kills(void **state)
{
	struct bench *bench = *state;

	type(bench, "one two  three  \x17");
	check(bench, "one two  ", 9);
	type(bench, "\x17");
	check(bench, "one ", 4);
	type(bench, "two three\x1b[D\x1b[D\x0b");
	check(bench, "one two thr", 11);
	type(bench, "\x1b[D\x1b[D\x1b[D\x15");
	check(bench, "thr", 0);
	type(bench, "\x0c");
	assert_int_equal(bench->clears, 1);
	check(bench, "thr", 0);
	type(bench, "\x03");
	check(bench, "", 0);
	assert_non_null(strstr(bench->above, "^C"));
}

static void test_history(void **state)
{
	struct bench *bench = *state;

	enter_line(bench, "first");
	enter_line(bench, "second");
	enter_line(bench, "second"); // kept once
	enter_line(bench, "");       // not kept
	type(bench, "draft\x1b[A");
	check(bench, "second", 6);
	type(bench, "\x1b[A");
	check(bench, "first", 5);
	type(bench, "\x1b[A"); // no older one
	check(bench, "first", 5);
	type(bench, "\x1b[B\x1b[B");
	check(bench, "draft", 5);
	type(bench, "\x1b[B");
	check(bench, "draft", 5);
	for (unsigned i = 0; i < LINE_EDITOR_HISTORY + 3; i++) {
		char line[8];

		snprintf(line, sizeof(line), "n%u", i);
		line_editor_begin(&bench->editor);
		enter_line(bench, line);
	}
	for (unsigned i = 0; i < LINE_EDITOR_HISTORY + 5; i++)
		type(bench, "\x10");
	check(bench, "n3", 2);
}

static void test_completion(void **state)
{
	struct bench *bench = *state;

	type(bench, "i\t");
	check(bench, "info ", 5);
	type(bench, "st\t");
	check(bench, "info status ", 12);
	type(bench, "\x15sy\t");
	check(bench, "system_", 7);
	assert_int_equal(bench->rows, 0);
	type(bench, "\t");
	assert_int_equal(bench->rows, 2);
	assert_non_null(strstr(bench->above, "system_reset  system_powerdown"));
	assert_null(strstr(bench->above, "stop"));
	check(bench, "system_", 7);
	type(bench, "z\t");
	assert_int_equal(bench->bells, 1);
	check(bench, "system_z", 8);
	type(bench, "\x15" "xset\x01s\t"); // in front of other text
	check(bench, "sxset", 1);
}

static void test_long_lines(void **state)
{
	struct bench *bench = *state;
	char line[LINE_EDITOR_MAX];

	for (unsigned i = 0; i < LINE_EDITOR_MAX + 10; i++) {
		char typed[2] = {(char)('a' + i % 26), '\0'};

		type(bench, typed);
		if (i < LINE_EDITOR_MAX - 1)
			line[i] = typed[0];
	}
	line[LINE_EDITOR_MAX - 1] = '\0';
	assert_string_equal(bench->editor.text, line);
	assert_int_equal(bench->bells, 11);
	assert_int_equal(bench->rows, 0); // never left the row
	assert_memory_equal(bench->row, "> ", 2);
	assert_memory_equal(bench->row + bench->column - 5, line + LINE_EDITOR_MAX - 6, 5);
	type(bench, "\x01");
	assert_memory_equal(bench->row + 2, line, COLUMNS - 5);
	assert_int_equal(bench->column, 2);
	for (unsigned i = 0; i < 100; i++)
		type(bench, "\x1b[C");
	assert_int_equal(bench->row[bench->column - 1], line[99]);
	assert_true(type(bench, "\r"));
	assert_string_equal(bench->editor.text, line);
}

static void test_noise(void **state)
{
	struct bench *bench = *state;

	type(bench, "a\x1b[99999999999999~\x1b[1;5C\x1b[Z\x1bxb\xc3\xa4\x1f");
	check(bench, "ab", 2);
	srand(1);
	for (unsigned i = 0; i < 200000; i++)
		if (line_editor_byte(&bench->editor, (uint8_t)(rand() >> 7)) == LINE_EDITOR_LINE)
			line_editor_begin(&bench->editor);
	assert_int_equal(strlen(bench->editor.text), bench->editor.length);
	assert_true(bench->editor.cursor <= bench->editor.length);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_typing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_moves_and_deletes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_kills, setup, teardown),
		cmocka_unit_test_setup_teardown(test_history, setup, teardown),
		cmocka_unit_test_setup_teardown(test_completion, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(test_noise, setup, teardown),
	};

	return cmocka_run_group_tests_name("line_editor", tests, NULL, NULL);
}

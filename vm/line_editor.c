// SPDX-License-Identifier: BSD-2-Clause
// Keys as xterm and the VT220 send them (ECMA-48: CSI is ESC [, SS3 is ESC O).
#include "vm/line_editor.h"

#include <stdio.h>
#include <string.h>

#include "kernel/base/assert.h"

enum escape_state { ESCAPE_NONE, ESCAPE_BEGUN, ESCAPE_CSI, ESCAPE_SS3 };

enum { PARAMETER_MAX = 1000 };

#define CONTROL(letter) ((letter) & 0x1f)

static void out(const struct line_editor *editor, const char *text, size_t bytes)
{
	editor->ops->write(editor->owner, text, bytes);
}

static void out_string(const struct line_editor *editor, const char *text)
{
	out(editor, text, strlen(text));
}

// The last column stays free, as terminals differ in what they do after writing to it, and two
// more are for ^C.
static size_t window_columns(const struct line_editor *editor)
{
	size_t prompt = strlen(editor->prompt);

	return prompt + 16 < LINE_EDITOR_COLUMNS ? LINE_EDITOR_COLUMNS - 3 - prompt : 15;
}

static void window_follow_cursor(struct line_editor *editor)
{
	size_t columns = window_columns(editor);

	if (editor->cursor < editor->window)
		editor->window = editor->cursor;
	if (editor->cursor > editor->window + columns)
		editor->window = editor->cursor - columns;
}

void line_editor_show(const struct line_editor *editor)
{
	size_t columns = window_columns(editor), shown = editor->length - editor->window;
	size_t column = strlen(editor->prompt) + editor->cursor - editor->window;
	char move[16];

	if (shown > columns)
		shown = columns;
	out_string(editor, "\r");
	out_string(editor, editor->prompt);
	out(editor, editor->text + editor->window, shown);
	out_string(editor, "\x1b[K");
	if (editor->cursor == editor->window + shown)
		return;
	snprintf(move, sizeof(move), column > 0 ? "\r\x1b[%uC" : "\r", (unsigned)column);
	out_string(editor, move);
}

void line_editor_hide(const struct line_editor *editor)
{
	out_string(editor, "\r\x1b[K");
}

static void refresh(struct line_editor *editor)
{
	window_follow_cursor(editor);
	line_editor_show(editor);
}

void line_editor_begin(struct line_editor *editor)
{
	editor->length = editor->cursor = editor->window = 0;
	editor->text[0] = '\0';
	editor->history_back = 0;
	editor->escape = ESCAPE_NONE;
}

void line_editor_init(struct line_editor *editor, const struct line_editor_ops *ops, void *owner,
	const char *prompt)
{
	memset(editor, 0, sizeof(*editor));
	editor->ops = ops;
	editor->owner = owner;
	editor->prompt = prompt;
	line_editor_begin(editor);
}

// False where the line is full; then nothing has changed.
static bool insert(struct line_editor *editor, const char *text, size_t bytes)
{
	if (bytes > LINE_EDITOR_MAX - 1 - editor->length)
		return false;
	memmove(editor->text + editor->cursor + bytes, editor->text + editor->cursor,
		editor->length - editor->cursor + 1);
	memcpy(editor->text + editor->cursor, text, bytes);
	editor->length += bytes;
	editor->cursor += bytes;
	return true;
}

static void insert_typed(struct line_editor *editor, char typed)
{
	size_t window = editor->window;

	if (!insert(editor, &typed, 1)) {
		out_string(editor, "\a");
		return;
	}
	window_follow_cursor(editor);
	if (editor->cursor == editor->length && editor->window == window)
		out(editor, &typed, 1); // the common case: nothing else moves
	else
		line_editor_show(editor);
}

// Removes [from, to), which the cursor ends up at.
static void remove_range(struct line_editor *editor, size_t from, size_t to)
{
	ASSERT(from <= to && to <= editor->length);
	memmove(editor->text + from, editor->text + to, editor->length - to + 1);
	editor->length -= to - from;
	editor->cursor = from;
	refresh(editor);
}

static void cursor_set(struct line_editor *editor, size_t cursor)
{
	if (cursor > editor->length || cursor == editor->cursor)
		return;
	editor->cursor = cursor;
	refresh(editor);
}

static size_t word_start(const struct line_editor *editor)
{
	size_t at = editor->cursor;

	while (at > 0 && editor->text[at - 1] == ' ')
		at--;
	while (at > 0 && editor->text[at - 1] != ' ')
		at--;
	return at;
}

static void delete_at_cursor(struct line_editor *editor)
{
	if (editor->cursor < editor->length)
		remove_range(editor, editor->cursor, editor->cursor + 1);
}

static void backspace(struct line_editor *editor)
{
	if (editor->cursor > 0)
		remove_range(editor, editor->cursor - 1, editor->cursor);
}

static unsigned history_size(const struct line_editor *editor)
{
	if (editor->history_count > LINE_EDITOR_HISTORY)
		return LINE_EDITOR_HISTORY;
	return editor->history_count;
}

static char *history_line(struct line_editor *editor, unsigned back)
{
	return editor->history[(editor->history_count - back) % LINE_EDITOR_HISTORY];
}

static void history_add(struct line_editor *editor)
{
	if (editor->length == 0)
		return;
	if (editor->history_count > 0 && strcmp(history_line(editor, 1), editor->text) == 0)
		return;
	editor->history_count++;
	memcpy(history_line(editor, 1), editor->text, editor->length + 1);
}

static void history_go(struct line_editor *editor, unsigned back)
{
	const char *line = editor->draft;

	if (back > history_size(editor) || back == editor->history_back)
		return;
	if (editor->history_back == 0)
		memcpy(editor->draft, editor->text, editor->length + 1);
	if (back > 0)
		line = history_line(editor, back);
	editor->history_back = back;
	editor->length = editor->cursor = strlen(line);
	editor->window = 0;
	memcpy(editor->text, line, editor->length + 1);
	refresh(editor);
}

static void history_older(struct line_editor *editor)
{
	history_go(editor, editor->history_back + 1);
}

static void history_newer(struct line_editor *editor)
{
	if (editor->history_back > 0)
		history_go(editor, editor->history_back - 1);
}

static const char *match(const struct line_editor *editor, size_t start, unsigned *index)
{
	const char *word;

	while ((word = editor->ops->candidate(editor->owner, editor->text, start, (*index)++)) !=
		NULL)
		if (strncmp(word, editor->text + start, editor->cursor - start) == 0)
			return word;
	return NULL;
}

static void matches_list(struct line_editor *editor, size_t start)
{
	const char *word;

	out_string(editor, "\r\n");
	for (unsigned index = 0; (word = match(editor, start, &index)) != NULL;) {
		out_string(editor, word);
		out_string(editor, "  ");
	}
	out_string(editor, "\r\n");
	refresh(editor);
}

// Tab: the word before the cursor grows as far as all candidates agree; if it cannot, they are
// listed.
static void complete(struct line_editor *editor)
{
	size_t start = editor->cursor, common = 0, typed;
	const char *first = NULL, *word;
	unsigned count = 0;

	if (editor->ops->candidate == NULL)
		return;
	while (start > 0 && editor->text[start - 1] != ' ')
		start--;
	typed = editor->cursor - start;
	for (unsigned index = 0; (word = match(editor, start, &index)) != NULL; count++) {
		if (first == NULL) {
			first = word;
			common = strlen(word);
		}
		for (size_t i = typed; i < common; i++)
			if (word[i] != first[i])
				common = i;
	}
	if (first == NULL) {
		out_string(editor, "\a");
	} else if (common > typed || count == 1) {
		if (insert(editor, first + typed, common - typed) && count == 1)
			(void)insert(editor, " ", 1);
		refresh(editor);
	} else {
		matches_list(editor, start);
	}
}

static void cancel(struct line_editor *editor)
{
	out_string(editor, "^C\r\n");
	line_editor_begin(editor);
	line_editor_show(editor);
}

// The line may be shown in part, and the cursor be in its middle.
static enum line_editor_result enter(struct line_editor *editor)
{
	cursor_set(editor, editor->length);
	out_string(editor, "\r\n");
	history_add(editor);
	return LINE_EDITOR_LINE;
}

static void control_key(struct line_editor *editor, uint8_t byte)
{
	switch (byte) {
	case CONTROL('A'): cursor_set(editor, 0); break;
	case CONTROL('B'): cursor_set(editor, editor->cursor - 1); break;
	case CONTROL('C'): cancel(editor); break;
	case CONTROL('D'): delete_at_cursor(editor); break;
	case CONTROL('E'): cursor_set(editor, editor->length); break;
	case CONTROL('F'): cursor_set(editor, editor->cursor + 1); break;
	case CONTROL('H'): backspace(editor); break;
	case CONTROL('I'): complete(editor); break;
	case CONTROL('K'): remove_range(editor, editor->cursor, editor->length); break;
	case CONTROL('L'):
		out_string(editor, "\x1b[H\x1b[2J");
		refresh(editor);
		break;
	case CONTROL('N'): history_newer(editor); break;
	case CONTROL('P'): history_older(editor); break;
	case CONTROL('U'): {
		size_t cursor = editor->cursor;

		remove_range(editor, 0, cursor);
		break;
	}
	case CONTROL('W'): remove_range(editor, word_start(editor), editor->cursor); break;
	default: break;
	}
}

static void numbered_key(struct line_editor *editor)
{
	switch (editor->parameter) {
	case 1:
	case 7: cursor_set(editor, 0); break;
	case 3: delete_at_cursor(editor); break;
	case 4:
	case 8: cursor_set(editor, editor->length); break;
	default: break;
	}
}

static void sequence_end(struct line_editor *editor, uint8_t final)
{
	editor->escape = ESCAPE_NONE;
	switch (final) {
	case 'A': history_older(editor); break;
	case 'B': history_newer(editor); break;
	case 'C': cursor_set(editor, editor->cursor + 1); break;
	case 'D': cursor_set(editor, editor->cursor - 1); break;
	case 'F': cursor_set(editor, editor->length); break;
	case 'H': cursor_set(editor, 0); break;
	case '~': numbered_key(editor); break;
	default: break;
	}
}

static void escape_byte(struct line_editor *editor, uint8_t byte)
{
	if (editor->escape == ESCAPE_BEGUN) {
		editor->parameter = 0;
		editor->escape = byte == '[' ? ESCAPE_CSI : byte == 'O' ? ESCAPE_SS3 : ESCAPE_NONE;
	} else if (byte >= '0' && byte <= '9') {
		if (editor->parameter < PARAMETER_MAX)
			editor->parameter = editor->parameter * 10 + byte - '0';
	} else if (byte >= 0x40 && byte < 0x7f) { // ECMA-48, 5.4: a final byte
		sequence_end(editor, byte);
	} else if (byte < 0x20 || byte >= 0x7f) {
		editor->escape = ESCAPE_NONE;
	}
}

enum line_editor_result line_editor_byte(struct line_editor *editor, uint8_t byte)
{
	bool after_return = editor->after_return;

	editor->after_return = byte == '\r';
	if (byte == '\r' || (byte == '\n' && !after_return))
		return enter(editor);
	if (byte == 0x1b)
		editor->escape = ESCAPE_BEGUN;
	else if (editor->escape != ESCAPE_NONE)
		escape_byte(editor, byte);
	else if (byte == 0x7f)
		backspace(editor);
	else if (byte >= 0x20 && byte < 0x7f)
		insert_typed(editor, (char)byte);
	else if (byte < 0x20 && byte != '\n')
		control_key(editor, byte);
	return LINE_EDITOR_MORE;
}

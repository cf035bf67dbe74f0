// SPDX-License-Identifier: BSD-2-Clause
// A line of input edited on an ANSI terminal: cursor keys and the usual control keys, history, and
// completion by Tab. Pure: bytes come in by line_editor_byte, what the terminal is to do goes out
// by a callback.
//
// A line longer than the terminal is wide is shown through a window that follows the cursor, so
// the editor never leaves its row. Input is ASCII; other bytes are ignored.
#ifndef VM_LINE_EDITOR_H
#define VM_LINE_EDITOR_H

#include "kernel/base/types.h"

enum {
	LINE_EDITOR_MAX = 256, // with the terminating zero
	LINE_EDITOR_HISTORY = 16,
	LINE_EDITOR_COLUMNS = 80,
};

struct line_editor_ops {
	void (*write)(void *owner, const char *text, size_t bytes);
	// The index-th word that may stand where the word at `word_start` of `line` stands, in
	// whatever order; NULL past the last. The editor picks those that fit. May be NULL.
	const char *(*candidate)(void *owner, const char *line, size_t word_start, unsigned index);
};

enum line_editor_result {
	LINE_EDITOR_MORE,
	LINE_EDITOR_LINE, // Enter: editor->text is the line
};

struct line_editor {
	const struct line_editor_ops *ops;
	void *owner;
	const char *prompt;
	size_t length, cursor;
	size_t window; // index of the first character shown
	char text[LINE_EDITOR_MAX]; // zero-terminated at `length`
	// The line before the newest one is history[(history_count - 1) % LINE_EDITOR_HISTORY].
	char history[LINE_EDITOR_HISTORY][LINE_EDITOR_MAX];
	char draft[LINE_EDITOR_MAX]; // what was being typed when history was entered
	unsigned history_count, history_back; // back: 0 is the line being typed
	unsigned parameter; // of an escape sequence
	uint8_t escape;     // enum of line_editor.c
	bool after_return;  // the next byte, if a line feed, belongs to the last one
};

// `prompt` must stay valid.
void line_editor_init(struct line_editor *editor, const struct line_editor_ops *ops, void *owner,
	const char *prompt);
// An empty line, nothing written yet.
void line_editor_begin(struct line_editor *editor);
// Draws prompt and line in the terminal's current row; erases them.
void line_editor_show(const struct line_editor *editor);
void line_editor_hide(const struct line_editor *editor);
// After LINE_EDITOR_LINE call line_editor_begin before the next byte.
enum line_editor_result line_editor_byte(struct line_editor *editor, uint8_t byte);

#endif

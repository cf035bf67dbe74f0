// SPDX-License-Identifier: BSD-2-Clause
// The log: levels, a ring of the latest lines, and sinks that drivers register.
//
// Rules for the console: any context but NMI and machine check may log; a line longer than
// LOG_LINE_MAX is cut; each line is written "reprise: ..." (for errors and warnings with the
// level's name in front of the text).
#ifndef KERNEL_CONSOLE_H
#define KERNEL_CONSOLE_H

#include "kernel/base/types.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

enum { LOG_LINE_MAX = 512, LOG_RING_BYTES = 32768 };

struct console_sink {
	void (*write)(const char *text, size_t bytes);
	struct console_sink *next;
};

// Adds a sink; it stays for ever. The first one also receives what is in the ring already.
void console_sink_add(struct console_sink *sink);
// Raw bytes to all sinks, '\n' as it is.
void console_write(const char *text, size_t bytes);

void log_level_set(enum log_level level);
void log_write(enum log_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
// Called before a line of log is written (the console multiplexer breaks a guest's
// unfinished line). May be NULL.
void log_hook_set(void (*before_line)(void));
// The ring's content, oldest first, in at most two pieces.
void log_ring_replay(void (*write)(const char *text, size_t bytes));

#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)

#endif

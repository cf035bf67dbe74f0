// SPDX-License-Identifier: BSD-2-Clause
// The log: levels, a ring of the latest lines, and sinks that drivers register.
//
// Rules for the console: any context but NMI and machine check may log; a line longer than
// LOG_LINE_MAX is cut; each line is written "reprise: ..." (for errors and warnings with the
// level's name in front of the text).
//
// Lines and pieces of output of different CPUs do not mix: each is written under one lock, which
// its holder may take again (the hook and a sink's caller write too) and which keeps interrupts
// disabled. It comes last in the order of locks, so that any code may log. A crash seizes it.
#ifndef KERNEL_CONSOLE_H
#define KERNEL_CONSOLE_H

#include "kernel/base/types.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

enum { LOG_LINE_MAX = 512, LOG_RING_BYTES = 32768 };

struct console_sink {
	void (*write)(const char *text, size_t bytes);
	void (*flush)(void); // waits, for a bounded time, until what was written is out
	struct console_sink *next;
};

// Adds a sink; it stays for ever. The first one also receives what is in the ring already.
void console_sink_add(struct console_sink *sink);
// For several pieces of output that belong together.
void console_lock(void);
void console_unlock(void);
// For a crash, once the other CPUs have been stopped: the calling CPU has the lock for good,
// whoever held it. True: that was another one, perhaps in the middle of a line.
bool console_seize(void);

// Raw bytes to all sinks, '\n' as it is.
void console_write(const char *text, size_t bytes);
// Before the machine is switched off: what was written has left it.
void console_flush(void);

void log_level_set(enum log_level level);
void log_write(enum log_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
// Whatever the level; no level's name in front. For lines that tests wait for.
void log_always(const char *format, ...) __attribute__((format(printf, 1, 2)));
// Called before a line of log is written, on the CPU that logs and under the lock (the console
// multiplexer breaks a guest's unfinished line). May be NULL.
void log_hook_set(void (*before_line)(void));
// The ring's content, oldest first, in at most two pieces.
void log_ring_replay(void (*write)(const char *text, size_t bytes));

#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)

#endif

// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/console.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static struct console_sink *sinks;
static enum log_level level_max = LOG_INFO;
static void (*hook)(void);

// The latest text. `total` counts all bytes ever written; the ring holds the last of them.
static char ring[LOG_RING_BYTES];
static uint64_t ring_total;

static void ring_put(const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		ring[ring_total++ % LOG_RING_BYTES] = text[i];
}

void log_ring_replay(void (*write)(const char *text, size_t bytes))
{
	size_t at = (size_t)(ring_total % LOG_RING_BYTES);

	if (ring_total > LOG_RING_BYTES)
		write(ring + at, LOG_RING_BYTES - at);
	write(ring, at);
}

void console_sink_add(struct console_sink *sink)
{
	if (sinks == NULL)
		log_ring_replay(sink->write);
	sink->next = sinks;
	sinks = sink;
}

void console_write(const char *text, size_t bytes)
{
	for (struct console_sink *sink = sinks; sink != NULL; sink = sink->next)
		sink->write(text, bytes);
}

void log_level_set(enum log_level level)
{
	level_max = level;
}

void log_hook_set(void (*before_line)(void))
{
	hook = before_line;
}

void log_write(enum log_level level, const char *format, ...)
{
	static const char *const prefix[] = {"error: ", "warning: ", "", ""};
	char line[LOG_LINE_MAX];
	size_t bytes;
	va_list arguments;

	if (level > level_max)
		return;
	bytes = (size_t)snprintf(line, sizeof(line), "reprise: %s", prefix[level]);
	va_start(arguments, format);
	vsnprintf(line + bytes, sizeof(line) - bytes - 2, format, arguments);
	va_end(arguments);
	bytes = strlen(line);
	line[bytes++] = '\r';
	line[bytes++] = '\n';
	if (hook != NULL)
		hook();
	ring_put(line, bytes);
	console_write(line, bytes);
}

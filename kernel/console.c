// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/console.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "kernel/base/assert.h"
#include "kernel/cpu.h"
#include "kernel/x86.h"

static struct console_sink *sinks;
static enum log_level level_max = LOG_INFO;
static void (*hook)(void);

// The latest text. `total` counts all bytes ever written; the ring holds the last of them.
static char ring[LOG_RING_BYTES];
static uint64_t ring_total;

// (a) Index of the CPU that holds the lock, plus one; 0: free. The rest is the holder's.
static uint32_t lock_owner;
static uint32_t lock_depth;
static uint64_t lock_flags;

void console_lock(void)
{
	uint32_t self = cpu_self()->index + 1, expected = 0;
	uint64_t flags = interrupts_save();

	// Only this CPU can have stored its own number.
	if (__atomic_load_n(&lock_owner, __ATOMIC_RELAXED) != self) {
		while (!__atomic_compare_exchange_n(&lock_owner, &expected, self, false,
			__ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
			expected = 0;
			cpu_relax();
		}
		lock_flags = flags;
	}
	lock_depth++;
}

void console_unlock(void)
{
	uint64_t flags = lock_flags;

	ASSERT(lock_depth > 0);
	if (--lock_depth > 0)
		return;
	__atomic_store_n(&lock_owner, 0, __ATOMIC_RELEASE);
	interrupts_restore(flags);
}

bool console_seize(void)
{
	uint32_t self = cpu_self()->index + 1;
	uint32_t before = __atomic_exchange_n(&lock_owner, self, __ATOMIC_ACQUIRE);

	lock_depth = 1; // never to be given back
	lock_flags = 0;
	return before != 0 && before != self;
}

static void ring_put(const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		ring[ring_total++ % LOG_RING_BYTES] = text[i];
}

void log_ring_replay(void (*write)(const char *text, size_t bytes))
{
	size_t at;

	console_lock();
	at = (size_t)(ring_total % LOG_RING_BYTES);
	if (ring_total > LOG_RING_BYTES)
		write(ring + at, LOG_RING_BYTES - at);
	write(ring, at);
	console_unlock();
}

void console_sink_add(struct console_sink *sink)
{
	console_lock();
	if (sinks == NULL)
		log_ring_replay(sink->write);
	sink->next = sinks;
	sinks = sink;
	console_unlock();
}

void console_write(const char *text, size_t bytes)
{
	console_lock();
	for (struct console_sink *sink = sinks; sink != NULL; sink = sink->next)
		sink->write(text, bytes);
	console_unlock();
}

void console_flush(void)
{
	console_lock();
	for (struct console_sink *sink = sinks; sink != NULL; sink = sink->next)
		sink->flush();
	console_unlock();
}

void log_level_set(enum log_level level)
{
	level_max = level;
}

void log_hook_set(void (*before_line)(void))
{
	hook = before_line;
}

static void log_line(const char *prefix, const char *format, va_list arguments)
{
	char line[LOG_LINE_MAX];
	size_t bytes;

	bytes = (size_t)snprintf(line, sizeof(line), "reprise: %s", prefix);
	vsnprintf(line + bytes, sizeof(line) - bytes - 2, format, arguments);
	bytes = strlen(line);
	line[bytes++] = '\r';
	line[bytes++] = '\n';
	console_lock();
	if (hook != NULL)
		hook();
	ring_put(line, bytes);
	console_write(line, bytes);
	console_unlock();
}

void log_write(enum log_level level, const char *format, ...)
{
	static const char *const prefix[] = {"error: ", "warning: ", "", ""};
	va_list arguments;

	if (level > level_max)
		return;
	va_start(arguments, format);
	log_line(prefix[level], format, arguments);
	va_end(arguments);
}

void log_always(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	log_line("", format, arguments);
	va_end(arguments);
}

// SPDX-License-Identifier: BSD-2-Clause
// The parts of reprise-log: one function a command, and what they share. A command returns the
// program's exit status.
#ifndef TOOLS_LOG_TOOL_H
#define TOOLS_LOG_TOOL_H

#include "replay/log_check.h"

// As of diff and cmp: all is well or the same; it is not; the question could not be answered.
enum { LOG_TOOL_SAME = 0, LOG_TOOL_DIFFERENT = 1, LOG_TOOL_TROUBLE = 2 };

struct log_file {
	struct log_store store;
	const char *path;
	int descriptor;
	struct log_reader reader;
};

// Opens file or device, and the log at its start. False: a message says why not.
bool log_file_open(struct log_file *file, const char *path);
void log_file_close(struct log_file *file);
// STATUS_OK, or STATUS_NOT_FOUND at the end; anything else has been told.
enum status log_file_next(struct log_file *file, struct log_record *record);
// Tells of a store that failed.
int log_file_trouble(const struct log_file *file, enum status status);

// Printed, with everything but ASCII escaped.
void log_print_text(const char *text, size_t count);
void log_print_record(const char *prefix, uint64_t number, const struct log_record *record);
// "requested", "full": of enum log_stop_reason.
const char *log_stop_reason_name(uint64_t reason);
// How the log ends, in one line, when all of it has been read or its index.
void log_print_end(const struct log_reader *reader);

int log_tool_info(const char *path);
int log_tool_dump(const char *path, uint64_t from, uint64_t to);
int log_tool_verify(const char *path);
int log_tool_stats(const char *path);
int log_tool_diff(const char *a, const char *b);

#endif

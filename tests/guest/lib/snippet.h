// SPDX-License-Identifier: BSD-2-Clause
// Single instructions, and how the CPU reports what becomes of them. A list of snippets is a macro
// of X(NAME, BEFORE, INSTRUCTION, AFTER) in assembly (RDI: the argument; free: what a C function
// may change), written once:
//
//   #define LIST(X) X(de_div, "xorl %ecx, %ecx", "divl %ecx", "")
//   SNIPPETS(list, LIST)
//
// The reports read "PREFIX.NAME = #13 error 0x0 at": vector, error code, and where the saved RIP
// points (at the instruction or next to it). snippet_report_rf tells whether all faults since the
// last time had RFLAGS.RF in their image, and all traps had not (SDM vol. 3, 17.3.1.1).
#ifndef TESTS_GUEST_SNIPPET_H
#define TESTS_GUEST_SNIPPET_H

#include "payload.h"

struct snippet {
	const char *name, *code, *at, *next;
};

#define SNIPPET_TEXT(name, before, instruction, after)                                             \
	"code_" #name ": " before "\n"                                                          \
	"code_" #name "_at: " instruction "\n"                                                  \
	"code_" #name "_next: " after "\n ret\n"
#define SNIPPET_DECLARE(name, before, instruction, after)                                          \
	extern const char code_##name[], code_##name##_at[], code_##name##_next[];
#define SNIPPET_ENTRY(name, before, instruction, after)                                            \
	{#name, code_##name, code_##name##_at, code_##name##_next},
#define SNIPPETS(table, LIST)                                                                      \
	__asm__(".text\n" LIST(SNIPPET_TEXT));                                                     \
	LIST(SNIPPET_DECLARE)                                                                      \
	static const struct snippet table[] = {LIST(SNIPPET_ENTRY)};
#define SNIPPET_COUNT(table) (sizeof(table) / sizeof((table)[0]))

struct snippet_run {
	const struct snippet *snippet;
	void *argument;
	uint64_t rflags;
	bool user;
};

static inline void snippet_call(void *argument)
{
	const struct snippet_run *run = (const struct snippet_run *)argument;
	uint64_t code = (uintptr_t)run->snippet->code;

	if (run->user)
		trap_call_user(code, run->rflags, (uintptr_t)run->argument);
	((void (*)(void *))(uintptr_t)code)(run->argument);
}

// True: it trapped, otherwise than by its end in ring 3.
static inline bool snippet_traps(const struct snippet *snippet, bool user, uint64_t rflags,
	void *argument)
{
	struct snippet_run run = {snippet, argument, rflags | 2, user};

	return trap_catch(snippet_call, &run) && trap_last.vector != TRAP_USER_END;
}

static inline const char *snippet_place(const struct snippet *snippet, uint64_t rip)
{
	if (rip == (uintptr_t)snippet->at)
		return "at";
	return rip == (uintptr_t)snippet->next ? "next" : "elsewhere";
}

struct snippet_rf {
	unsigned faults, faults_with, traps, traps_with;
};
static struct snippet_rf snippet_rf;

static inline void snippet_count_rf(bool fault)
{
	unsigned set = trap_last.rflags >> 16 & 1;

	snippet_rf.faults += fault;
	snippet_rf.traps += !fault;
	snippet_rf.faults_with += fault ? set : 0;
	snippet_rf.traps_with += fault ? 0 : set;
}

static inline void snippet_report(const char *prefix, const struct snippet *snippet, bool user,
	uint64_t rflags, void *argument)
{
	if (!snippet_traps(snippet, user, rflags, argument)) {
		report("%s.%s = none", prefix, snippet->name);
		return;
	}
	report("%s.%s = #%lu error 0x%lx %s", prefix, snippet->name, trap_last.vector,
		trap_last.error, snippet_place(snippet, trap_last.rip));
	snippet_count_rf(trap_last.rip != (uintptr_t)snippet->next);
}

static inline void snippet_report_rf(const char *prefix)
{
	report("%s.rf of faults = %s", prefix,
		snippet_rf.faults_with == snippet_rf.faults ? "set" :
		snippet_rf.faults_with == 0 ? "clear" : "mixed");
	report("%s.rf of traps = %s", prefix,
		snippet_rf.traps_with == 0 ? "clear" :
		snippet_rf.traps_with == snippet_rf.traps ? "set" : "mixed");
	snippet_rf = (struct snippet_rf){0};
}

// "PREFIX.NAME" for prefixes made of two words.
static inline const char *snippet_prefix(const char *first, const char *second)
{
	static char text[64];
	unsigned n = 0;

	for (; *first != 0 && n < 60; first++)
		text[n++] = *first;
	text[n++] = '.';
	for (; *second != 0 && n < 63; second++)
		text[n++] = *second;
	text[n] = 0;
	return text;
}

static inline void snippet_report_all(const char *prefix, const struct snippet *table,
	size_t count, bool user, uint64_t rflags, void *argument)
{
	for (size_t i = 0; i < count; i++)
		snippet_report(prefix, &table[i], user, rflags, argument);
	snippet_report_rf(prefix);
}

#define SNIPPETS_REPORT(prefix, table, user, rflags, argument)                                     \
	snippet_report_all(prefix, table, SNIPPET_COUNT(table), user, rflags, argument)

#endif

// SPDX-License-Identifier: BSD-2-Clause
// What the monitor reads and prints, without the monitor: command lines, formats and addresses as
// QEMU's monitor has them, lines of memory dumps, and registers. Pure.
#ifndef VM_MONITOR_FORMAT_H
#define VM_MONITOR_FORMAT_H

#include "kernel/base/types.h"
#include "vmx/vcpu.h"

enum {
	MONITOR_ARGUMENTS_MAX = 16,
	MONITOR_PROBLEM_MAX = 80,
	MONITOR_DUMP_LINE_MAX = 160,
	MONITOR_DUMP_BYTES = 16, // of memory in a line, at most
	MONITOR_REGISTERS_MAX = 2560,
};

// Splits `line` in place at spaces. "..." is one word, with \" \\ \n \r inside. Returns the number
// of words; < 0: *problem says what is wrong.
int monitor_words_split(char *line, char *words[MONITOR_ARGUMENTS_MAX], const char **problem);

// /COUNT FORMAT SIZE, in QEMU's way: x/10xb, x/4g, x/20i.
struct monitor_format {
	uint32_t count;
	char letter;  // x d u o c i
	uint8_t size; // of an element: 1, 2, 4, 8
};
#define MONITOR_FORMAT_DEFAULT ((struct monitor_format){.count = 1, .letter = 'x', .size = 4})

// `text` is what follows the slash. Letter and size keep their value where it names none. False:
// *bad is the character that has no meaning (0: the count is too large).
must_check bool monitor_format_parse(const char *text, struct monitor_format *format, char *bad);

// Elements in a line of a dump.
unsigned monitor_dump_elements(const struct monitor_format *format);
// One line, without its end: address, then `count` elements of `bytes`.
void monitor_dump_line(char text[MONITOR_DUMP_LINE_MAX], uint64_t address, const uint8_t *bytes,
	unsigned count, const struct monitor_format *format);

// Numbers (as in C) and $registers, added and subtracted, with parentheses. `state` may be NULL:
// then no register is known.
must_check bool monitor_evaluate(const char *text, const struct vcpu_state *state,
	uint64_t *value, char problem[MONITOR_PROBLEM_MAX]);

// A size as in 512M, with K, M, G or T; in MiB where it has none of these, as in QEMU.
must_check bool monitor_size_parse(const char *text, uint64_t *bytes);

// All registers in the layout of QEMU's `info registers` for 64-bit CPUs.
void monitor_registers_print(char text[MONITOR_REGISTERS_MAX], const struct vcpu_state *state,
	unsigned cpl, bool halted);

#endif

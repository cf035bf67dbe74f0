// SPDX-License-Identifier: BSD-2-Clause
// The crash report: registers, symbolised backtrace, last error, and what others registered (the
// last exits of the machines). Then the machine leaves through the debug exit
// with status 0x7f, or halts.
//
// With several CPUs the first that crashes reports, and stops the others by NMI before it writes
// anything: no lock that they hold matters then.
#ifndef KERNEL_CRASH_H
#define KERNEL_CRASH_H

#include "kernel/desc.h"

// A section of the report, printed in the order of registration. It must not allocate or wait.
struct crash_section {
	void (*print)(void);
	struct crash_section *next;
};

void crash_section_add(struct crash_section *section);

// Returns only where the frame is an NMI that came in the middle of this CPU's own report.
void crash_exception(const struct interrupt_frame *frame);

// Prints the chain of frame pointers that begins at `rbp`.
void crash_backtrace(uint64_t rip, uint64_t rbp);

#endif

// SPDX-License-Identifier: BSD-2-Clause
// QEMU: "isa-debug-exit" takes a value at its port. Bochs: its port 0x8900 takes the letters of
// "Shutdown" one by one.
#include "kernel/debug_exit.h"

#include "kernel/base/assert.h"
#include "kernel/console.h"
#include "kernel/x86.h"

enum { BOCHS_PORT = 0x8900, STATUS_MAX = 0x7f };

static uint32_t debug_exit_way = DEBUG_EXIT_NONE;

void debug_exit_set(uint32_t way)
{
	ASSERT(way <= DEBUG_EXIT_BOCHS);
	debug_exit_way = way;
}

void debug_exit_leave(uint32_t status)
{
	if (debug_exit_way == DEBUG_EXIT_NONE)
		return;
	if (debug_exit_way == DEBUG_EXIT_BOCHS)
		log_always("exit status %u", status & STATUS_MAX);
	console_flush();
	if (debug_exit_way != DEBUG_EXIT_BOCHS) {
		outl((uint16_t)debug_exit_way, status);
		return;
	}
	for (const char *letter = "Shutdown"; *letter != '\0'; letter++)
		outb(BOCHS_PORT, (uint8_t)*letter);
}

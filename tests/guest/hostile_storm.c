// SPDX-License-Identifier: BSD-2-Clause
// Exceptions without end: #UD whose handler returns to the same instruction, single-stepped, so
// that #DB comes in between. The payload never ends: for a test that watches it from outside.
#include "lib/payload.h"

PAYLOAD("hostile_storm");

static void storm_hook(struct trap_frame *frame)
{
	(void)frame; // returns to what raised it
}

void payload_main(void)
{
	report("begins = ok");
	trap_set_hook(1, storm_hook);
	trap_set_hook(6, storm_hook);
	__asm__ volatile("pushfq; orq $0x100, (%%rsp); popfq; 1: nop; ud2; jmp 1b" : : : "memory");
}

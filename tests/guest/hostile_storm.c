// SPDX-License-Identifier: BSD-2-Clause
// A CPU that never gets out of exception delivery: a data breakpoint on the stack that #DB pushes
// to, with the #DB handler's own first instruction as another breakpoint. On hardware that does
// not hand #DB to the hypervisor, this core is lost. Never ends: for a test that stops it from
// outside, not for the ordinary run.
#include "lib/payload.h"

PAYLOAD("hostile_storm");

static uint64_t storm_stack[64] __attribute__((aligned(64)));

void payload_main(void)
{
	report("begins = ok");
	write_dr0((uintptr_t)&storm_stack[32] - 8);
	write_dr7(0x400 | 1 | 3 << 16 | 3 << 18); // four bytes, reads and writes
	__asm__ volatile("mov %0, %%rsp; mov %%ss, %%eax; mov %%eax, %%ss; pushq $1; 1: push $1;"
			 "pop %%rax; jmp 1b"
			 : : "r"(&storm_stack[32]) : "rax", "memory");
}

// SPDX-License-Identifier: BSD-2-Clause
// Reset by a triple fault: the CPU shuts down and the platform resets (SDM vol. 3, 6.15).
#include "lib/reset.h"

PAYLOAD("reset_triple");

static void reset_machine(void)
{
	static const uint16_t no_idt[5];

	__asm__ volatile("lidt (%0); int3" : : "r"(no_idt) : "memory");
	spin(100000000);
}

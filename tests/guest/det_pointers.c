// SPDX-License-Identifier: BSD-2-Clause
// The x87 unit's pointers to its last instruction and operand, at once and a long while later. They
// are part of its state, but XSAVE with REX.W keeps no selectors: SDM vol. 1, 8.1.8 and 10.5.1.
#include "lib/det.h"

PAYLOAD("det_pointers");

static uint32_t environment[7]; // FNSTENV, 32-bit protected-mode format
static uint8_t image[512] __attribute__((aligned(16)));

static void pointers_report(const char *what, bool later)
{
	static double number = 1.5;

	__asm__ volatile("fninit; fldl (%0)" : : "r"(&number) : "memory");
	if (later)
		det_long_while();
	__asm__ volatile("fxsave (%0)" : : "r"(image) : "memory");
	__asm__ volatile("fnstenv (%0)" : : "r"(environment) : "memory");
	report("%s = ip %x cs %x opcode %x dp %x ds %x", what, environment[3],
		environment[4] & 0xffff, environment[4] >> 16, environment[5],
		environment[6] & 0xffff);
	report("%s.fxsave = %lx %lx", what, read64((uintptr_t)image + 8),
		read64((uintptr_t)image + 16));
}

void payload_main(void)
{
	write_cr4(read_cr4() | 1 << 9);
	pointers_report("at once", false);
	pointers_report("later", true);
	pointers_report("later again", true);
}

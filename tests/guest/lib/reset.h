// SPDX-License-Identifier: BSD-2-Clause
// A payload that resets the machine, in a way of its own: the second boot finds the flag of the
// first one in the CMOS, and the CPU as after power-on.
#ifndef TESTS_GUEST_LIB_RESET_H
#define TESTS_GUEST_LIB_RESET_H

#include "payload.h"

enum { FLAG_INDEX = 0x50, FLAG = 0xa7 };

static void reset_machine(void);

void payload_main(void)
{
	static volatile uint32_t data = 0x11, bss;

	report("data = 0x%x bss = 0x%x", data, bss);
	if (cmos_read(FLAG_INDEX) == FLAG) {
		report("second_boot = ok");
		cmos_write(FLAG_INDEX, 0);
		report("efer.sce = %lu", rdmsr(MSR_EFER) & 1);
		report("pic.mask = 0x%x", inb(PIC_MASTER + 1));
		report("lstar = 0x%lx", rdmsr(MSR_LSTAR));
		report("dr7 = 0x%lx", read_dr7());
		return;
	}
	report("first_boot = ok");
	cmos_write(FLAG_INDEX, FLAG);
	data = 0x22;
	bss = 0x33;
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | 1);
	wrmsr(MSR_LSTAR, 0x1234);
	write_dr7(0x402);
	reset_machine();
	report("reset = WRONG");
}

#endif

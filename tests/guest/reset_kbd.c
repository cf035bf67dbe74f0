// SPDX-License-Identifier: BSD-2-Clause
// Reset through the keyboard controller: command 0xFE pulses the reset line.
#include "lib/reset.h"

PAYLOAD("reset_kbd");

static void reset_machine(void)
{
	outb(0x64, 0xfe);
	spin(100000000);
}

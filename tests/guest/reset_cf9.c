// SPDX-License-Identifier: BSD-2-Clause
// Reset through port 0xCF9 (PIIX3 data sheet, RC): 2 selects, 6 fires.
#include "lib/reset.h"

PAYLOAD("reset_cf9");

static void reset_machine(void)
{
	outb(0xcf9, 2);
	outb(0xcf9, 6);
	spin(100000000);
}

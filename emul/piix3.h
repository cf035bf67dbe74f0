// SPDX-License-Identifier: BSD-2-Clause
// ISA bridge: where PCI interrupts go. See piix3.c.
#ifndef EMUL_PIIX3_H
#define EMUL_PIIX3_H

#include "emul/pcidev.h"

extern const struct device_model piix3_model;

enum {
	PIIX3_PIRQS = 4,
	PIIX3_PIRQ_INPUTS = 32,     // of each PIRQ: lines that share it; input PIRQ * 32 + n
	PIIX3_INPUTS = PIIX3_PIRQS * PIIX3_PIRQ_INPUTS,
	PIIX3_OUTPUTS = 16,         // ISA interrupts
	PIIX3_PIRQ_ROUTE = 0x60,    // PIRQRCA to PIRQRCD: the ISA interrupt, or
	PIIX3_PIRQ_DISABLED = 0x80,
};

#endif

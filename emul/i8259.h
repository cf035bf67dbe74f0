// SPDX-License-Identifier: BSD-2-Clause
// The PC's pair of 8259A interrupt controllers. See i8259.c.
#ifndef EMUL_I8259_H
#define EMUL_I8259_H

#include "emul/device.h"

extern const struct device_model i8259_model;

// Two ports each.
enum i8259_region {
	I8259_REGION_MASTER, // 0x20
	I8259_REGION_SLAVE,  // 0xa0
	I8259_REGION_ELCR,   // 0x4d0
};

// Inputs 0 to 15 are the ISA interrupt lines; 2 is the cascade, and whatever is wired to it is
// ignored.
enum {
	I8259_INPUTS = 16,
};

enum i8259_output {
	I8259_OUTPUT_INTR,
	I8259_OUTPUTS
};

// The processor's pair of INTA cycles, run by the vcpu that takes the interrupt: the vector. Has
// effects: a stimulus to the caller, under the device lock. With nothing to deliver (any more) it
// is the spurious vector, that of the master's IRQ 7.
uint8_t i8259_acknowledge(struct device *device, struct guest_time now);

#endif

// SPDX-License-Identifier: BSD-2-Clause
// The keyboard controller, with a keyboard and a mouse. See i8042.c.
#ifndef EMUL_I8042_H
#define EMUL_I8042_H

#include "emul/device.h"

extern const struct device_model i8042_model;

enum i8042_region {
	I8042_REGION_DATA,    // port 0x60
	I8042_REGION_COMMAND, // port 0x64: status when read
	I8042_REGIONS
};

enum {
	I8042_DATA_PORT = 0x60,
	I8042_COMMAND_PORT = 0x64,
	I8042_PORT_BYTES = 1, // of either region
};

enum i8042_output {
	I8042_OUTPUT_KEYBOARD, // IRQ1: the output buffer holds a byte, not of the auxiliary port
	I8042_OUTPUT_AUXILIARY, // IRQ12: the same of the auxiliary port
	I8042_OUTPUTS
};

#endif

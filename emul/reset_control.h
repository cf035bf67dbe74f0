// SPDX-License-Identifier: BSD-2-Clause
// The chipset's reset ports: 0x92 and 0xCF9. See reset_control.c.
#ifndef EMUL_RESET_CONTROL_H
#define EMUL_RESET_CONTROL_H

#include "emul/device.h"

extern const struct device_model reset_control_model;

enum reset_control_region {
	RESET_CONTROL_REGION_FAST,  // port 0x92: fast INIT and A20
	RESET_CONTROL_REGION_RESET, // port 0xCF9: over the PCI address port, byte accesses only
	RESET_CONTROL_REGIONS
};

enum {
	RESET_CONTROL_FAST_PORT = 0x92,
	RESET_CONTROL_RESET_PORT = 0xcf9,
	RESET_CONTROL_PORT_BYTES = 1, // of either region
	// The FADT's RESET_VALUE for port 0xCF9, which is its RESET_REG.
	RESET_CONTROL_RESET_VALUE = 0x0e,
};

#endif

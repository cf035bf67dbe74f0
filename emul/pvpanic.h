// SPDX-License-Identifier: BSD-2-Clause
#ifndef EMUL_PVPANIC_H
#define EMUL_PVPANIC_H

#include "emul/device.h"

enum pvpanic_region {
	PVPANIC_REGION_PORT, // 1 port, at 0x505 by custom
};

// Argument of DEVICE_REQUEST_PANICKED.
enum pvpanic_event {
	PVPANIC_PANICKED = 0x01,     // the guest has crashed and handles it no further
	PVPANIC_CRASH_LOADED = 0x02, // the guest has crashed; its crash kernel goes on
};

extern const struct device_model pvpanic_model;

#endif

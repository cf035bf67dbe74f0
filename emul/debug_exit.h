// SPDX-License-Identifier: BSD-2-Clause
#ifndef EMUL_DEBUG_EXIT_H
#define EMUL_DEBUG_EXIT_H

#include "emul/device.h"

enum debug_exit_region {
	DEBUG_EXIT_REGION_PORTS, // 4 ports
};

extern const struct device_model debug_exit_model;

#endif

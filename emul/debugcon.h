// SPDX-License-Identifier: BSD-2-Clause
#ifndef EMUL_DEBUGCON_H
#define EMUL_DEBUGCON_H

#include "emul/device.h"

enum debugcon_region {
	DEBUGCON_REGION_PORT, // 1 port, at 0xe9 by custom
};

enum debugcon_port {
	DEBUGCON_PORT_OUTPUT, // character back end
};

extern const struct device_model debugcon_model;

#endif

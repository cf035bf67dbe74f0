// SPDX-License-Identifier: BSD-2-Clause
// The devices' environment in a machine: every effect of the contract. See emul/device.h.
#ifndef VM_ENV_H
#define VM_ENV_H

#include "emul/device.h"

extern const struct device_env vm_env;

#endif

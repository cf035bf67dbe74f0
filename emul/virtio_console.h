// SPDX-License-Identifier: BSD-2-Clause
// A virtio console over PCI. See virtio_console.c.
#ifndef EMUL_VIRTIO_CONSOLE_H
#define EMUL_VIRTIO_CONSOLE_H

#include "emul/device.h"

extern const struct device_model virtio_console_model;

enum { VIRTIO_CONSOLE_PORT_CHARACTERS = 0 };

#endif

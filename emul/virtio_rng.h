// SPDX-License-Identifier: BSD-2-Clause
// A virtio entropy device over PCI. See virtio_rng.c.
#ifndef EMUL_VIRTIO_RNG_H
#define EMUL_VIRTIO_RNG_H

#include "emul/chacha20.h"
#include "emul/device.h"

extern const struct device_model virtio_rng_model;

// Before the first reset: what its numbers come from.
void virtio_rng_configure(struct device *device, const uint32_t seed[CHACHA20_KEY_WORDS]);

#endif

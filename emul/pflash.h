// SPDX-License-Identifier: BSD-2-Clause
// A flash chip as QEMU's PC has two of them (pflash_cfi01): firmware's code, and its variables.
//
// The chip drives PFLASH_OUTPUT_ARRAY while it shows its contents: the machine then has them in the
// guest's memory map, to be read, so that the device hears of writes alone; else it answers reads
// too. It does so in either case where the machine does not.
//
// What a guest programs or erases is in the device's own memory at once. Blocks go to the back end
// of PFLASH_PORT_STORE in the order in which they were changed, with DEVICE_IO_FLUSH that names a
// block: it is durable, as it was then, when that completes. The chip is not ready before.
#ifndef EMUL_PFLASH_H
#define EMUL_PFLASH_H

#include "emul/device.h"

enum { PFLASH_REGION_CHIP, PFLASH_REGIONS };

enum { PFLASH_OUTPUT_ARRAY, PFLASH_OUTPUTS };

enum { PFLASH_PORT_STORE = 0 };

enum {
	PFLASH_BLOCK_BYTES = 4096,
	PFLASH_MEMORY_BYTES = 2 << 20, // of the device's own: what one that is written has at most
	PFLASH_BYTES_MAX = 8 << 20,
};

extern const struct device_model pflash_model;

// Before the first reset. `bytes`: whole blocks, at most PFLASH_BYTES_MAX; of one that can be
// written at most PFLASH_MEMORY_BYTES. One that is read-only has nothing in the device's memory:
// the machine shows its contents from elsewhere.
void pflash_configure(struct device *device, uint32_t bytes, bool read_only);

#endif

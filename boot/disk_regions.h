// SPDX-License-Identifier: BSD-2-Clause
// Regions of the host's disks that are media of machines' disks: found and taken once, and kept.
#ifndef BOOT_DISK_REGIONS_H
#define BOOT_DISK_REGIONS_H

#include "boot/config.h"
#include "vm/vm_config.h"

// All that boot_config's disks name. False: one is not to be had, and the log says why. Before the
// event loop.
must_check bool disk_regions_open(void);
// That of the disk `index` of boot_config; NULL: its medium is in RAM.
struct vm_disk_region *disk_region_of(uint32_t index);

#endif

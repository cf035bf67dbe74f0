// SPDX-License-Identifier: BSD-2-Clause
// Disks behind virtio.
#ifndef DRIVERS_VIRTIO_BLK_H
#define DRIVERS_VIRTIO_BLK_H

#include "kernel/pci.h"

// If this is a virtio block device, the `nth` from 0 on: starts it and adds its disk, and returns
// true. Why it cannot be used is told in the log; its name stays free.
bool virtio_blk_probe(const struct pci_function *function, unsigned nth);

#endif

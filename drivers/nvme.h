// SPDX-License-Identifier: BSD-2-Clause
// Disks behind an NVMe controller: its namespaces.
#ifndef DRIVERS_NVME_H
#define DRIVERS_NVME_H

#include "kernel/pci.h"

// If this is an NVMe controller, the `nth` from 0 on: adds its namespaces, and returns true. One
// that is there and cannot be used is told in the log.
bool nvme_probe(const struct pci_function *function, unsigned nth);

#endif

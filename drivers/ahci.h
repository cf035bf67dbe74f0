// SPDX-License-Identifier: BSD-2-Clause
// Disks behind an AHCI controller.
#ifndef DRIVERS_AHCI_H
#define DRIVERS_AHCI_H

#include "kernel/pci.h"

// If this is an AHCI controller: adds its disks, and returns how many names they took, from the
// `first` on. A disk that is there and cannot be used has its name, too, and is told in the log.
unsigned ahci_probe(const struct pci_function *function, unsigned first);

#endif

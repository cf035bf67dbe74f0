// SPDX-License-Identifier: BSD-2-Clause
// Disks behind an IDE controller.
#ifndef DRIVERS_IDE_H
#define DRIVERS_IDE_H

#include "kernel/pci.h"

// If this is an IDE controller, the `nth` from 0 on: looks for its four disks, adds those that are
// there, and returns true. A disk that is there and cannot be used is told in the log.
bool ide_probe(const struct pci_function *function, unsigned nth);

#endif

// SPDX-License-Identifier: BSD-2-Clause
// Stops devices that firmware has left running.
#ifndef BOOT_QUIESCE_H
#define BOOT_QUIESCE_H

// Clears the Bus Master bit of every PCI function but bridges, so that no device that a firmware
// driver had set up goes on writing to memory that is now ours. Uses configuration mechanism #1; to
// be called after boot services have ended.
void quiesce_pci(void);

#endif

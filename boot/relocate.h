// SPDX-License-Identifier: BSD-2-Clause
// Makes the image's pointers right for the place where it runs.
#ifndef BOOT_RELOCATE_H
#define BOOT_RELOCATE_H

#include "kernel/base/types.h"

// Adds `base` to each word that the table (ELF gABI, SHT_RELR) names, of an image that was linked
// to run at 0 and lies at `base`. `end` is behind the table's last entry.
void relocate_words(uint64_t base, const uint64_t *table, const uint64_t *end);

// What both entries, gnu-efi's crt0 and boot/pvh.S, call before any other C: here nothing may need
// relocation. `base` is where the image lies.
void _relocate(uint64_t base);

#endif

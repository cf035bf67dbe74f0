// SPDX-License-Identifier: BSD-2-Clause
// The kernel's own page tables: all memory one to one, supervisor-only, W^X.
#ifndef KERNEL_PAGETABLE_H
#define KERNEL_PAGETABLE_H

#include "kernel/base/types.h"
#include "kernel/boot_info.h"

enum pagetable_protection {
	PAGETABLE_NONE,    // unmapped: guard pages
	PAGETABLE_DATA,    // read, write
	PAGETABLE_RODATA,  // read
	PAGETABLE_CODE,    // read, execute
	PAGETABLE_DEVICE,  // read, write, uncached
};

// Builds the tables, maps RAM and the image with its protections, loads CR3 and turns on NX, WP,
// SMEP and SMAP where present.
void pagetable_init(const struct boot_info *info);

// What CR3 holds, on every CPU.
struct hpa pagetable_root(void);

// Changes a range (multiples of 4 KiB); splits large pages as needed. For device memory: maps it.
// Only the calling CPU forgets the old translation: another one may go on using it until it loads
// CR3. What loses rights at run time are guard pages alone, and those belong to stacks of the CPU
// that calls, or of one that has not started yet.
void pagetable_set(struct hpa start, uint64_t bytes, enum pagetable_protection protection);

// A device's registers, mapped uncached, ready to use.
volatile void *pagetable_map_device(struct hpa start, uint64_t bytes);

#endif

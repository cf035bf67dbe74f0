// SPDX-License-Identifier: BSD-2-Clause
// A back end: a disk in memory, served by a fiber of a core of its own choice. For tests, with a
// seed, requests take random times and so end in another order.
//
// The medium is the machine's (vm->media): saved, loaded and exchanged with it.
#ifndef VM_RAMDISK_H
#define VM_RAMDISK_H

#include "vm/backend.h"

enum {
	RAMDISK_DELAY_MAX_NS = 2000000, // of a request, with a seed
};

struct ramdisk;

// The machine's disk `index`, served by a core, below cpu_count(). STATUS_NO_MEMORY. In a fiber, or
// before the event loop.
must_check enum status ramdisk_create(struct vm *vm, uint32_t index, uint32_t core,
	struct ramdisk **created);
// It has no requests. NULL is allowed.
void ramdisk_destroy(struct ramdisk *disk);

// For struct backend.
void ramdisk_submit(void *owner, struct backend_request *request);
enum status ramdisk_copy(void *owner, const struct backend_copy *copy);

#endif

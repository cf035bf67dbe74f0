// SPDX-License-Identifier: BSD-2-Clause
// The C library's heap.
#ifndef KERNEL_LIBC_H
#define KERNEL_LIBC_H

#include "kernel/base/types.h"

void libc_init(void);

// While frozen, malloc and free are bugs: the run loop freezes the heap between a guest's exit and
// its next entry. Returns what it was before.
bool libc_heap_freeze(bool frozen);

size_t libc_heap_bytes(void);

#endif

// SPDX-License-Identifier: BSD-2-Clause
// The C library's heap.
#ifndef KERNEL_LIBC_H
#define KERNEL_LIBC_H

#include "kernel/base/types.h"
#include "kernel/cpu.h"

void libc_init(void);

// The C library's own state of another CPU than the boot CPU: libc_reent_bytes() at `memory`.
size_t libc_reent_bytes(void);
void libc_reent_init(struct cpu *cpu, void *memory);

// While frozen, malloc and free are bugs on this CPU: the run loop freezes the heap between a
// guest's exit and its next entry. `cpu` is the calling one. Returns what it was before.
static always_inline bool libc_heap_freeze(struct cpu *cpu, bool frozen)
{
	bool before = cpu->heap_frozen;

	cpu->heap_frozen = frozen;
	return before;
}

size_t libc_heap_bytes(void);

#endif

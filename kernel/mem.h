// SPDX-License-Identifier: BSD-2-Clause
// Host memory: pages of 4 KiB and blocks of 2 MiB.
//
// A 2 MiB block is either whole (free, or lent out as a whole: guests) or split into pages. Pages
// come from split blocks as long as one has room, so whole blocks stay whole; a split block whose
// pages are all free becomes whole again. The kernel maps all memory one to one, so a host-physical
// address and a pointer are the same number.
//
// Any CPU may call these functions, interrupt handlers
// may not. Memory below 1 MiB is never handed out.
#ifndef KERNEL_MEM_H
#define KERNEL_MEM_H

#include "kernel/base/types.h"
#include "kernel/boot_info.h"

struct mem_counts {
	uint64_t total_bytes;      // RAM of the machine, whoever has it
	uint64_t usable_bytes;     // what the boot path gave, and the image itself
	uint64_t free_pages;       // 4 KiB pages in split blocks
	uint64_t free_blocks;      // whole free blocks of 2 MiB
	uint64_t lent_blocks;      // blocks of 2 MiB lent out whole
};

void mem_init(const struct boot_info *info);
struct mem_counts mem_count(void);
// Everything in use: image, boot files, tables, heap, and what is lent to guests.
uint64_t mem_used_bytes(void);

// `count` neighbouring pages (1 to 511), zeroed; NULL when there are none. To be freed with the
// same count.
void *mem_pages_alloc(unsigned count);
void mem_pages_free(void *pages, unsigned count);

// How many pages an object takes.
#define PAGES_OF(object) ((unsigned)((sizeof(object) + PAGE_BYTES - 1) / PAGE_BYTES))

// One whole 2 MiB block, NOT zeroed; NULL when there is none.
void *mem_large_alloc(void);
void mem_large_free(void *block);

static inline struct hpa hpa_of(const void *pointer)
{
	return (struct hpa){(uint64_t)(uintptr_t)pointer};
}

static inline void *hpa_pointer(struct hpa hpa)
{
	return (void *)(uintptr_t)hpa.v;
}

#endif

// SPDX-License-Identifier: BSD-2-Clause
// Guest memory: which guest-physical addresses are RAM, and the only helpers that write it on
// behalf of devices and of the hypervisor (dirty logging, postcopy and recording will hang here).
//
// Layout, as QEMU's pc: RAM from 0 to at most 3 GiB, the rest from 4 GiB up. 0xa0000-0xbffff is
// not RAM (VGA window), 0xc0000-0xfffff is ROM to the guest: it reads it, and only the machine's
// builder writes it (guest_ram_write_rom).
#ifndef VM_GUEST_RAM_H
#define VM_GUEST_RAM_H

#include "kernel/base/status.h"
#include "kernel/base/types.h"

#define GUEST_RAM_LOW_MAX  (3 * GIB) // RAM below the PCI hole, at most
#define GUEST_RAM_HIGH     (4 * GIB) // where the rest begins
#define GUEST_VGA_START    0xa0000u
#define GUEST_ROM_START    0xc0000u
#define GUEST_ROM_END      0x100000u

// Blocks of 2 MiB of host memory, indexed by guest-physical address >> 21; NULL: not RAM.
struct guest_ram {
	uint8_t **blocks;
	uint8_t *written; // 1: by the functions below, or loaded, since vm_memory_take_written
	uint64_t block_count;
	uint64_t low_bytes;  // RAM from 0
	uint64_t high_bytes; // RAM from GUEST_RAM_HIGH
};

enum guest_ram_kind { GUEST_RAM_NONE, GUEST_RAM_RAM, GUEST_RAM_ROM };

static always_inline enum guest_ram_kind guest_ram_kind(const struct guest_ram *ram,
	struct gpa at)
{
	uint64_t block = at.v / LARGE_PAGE_BYTES;

	if (block >= ram->block_count || ram->blocks[block] == NULL)
		return GUEST_RAM_NONE;
	if (likely(at.v >= GUEST_ROM_END || at.v < GUEST_VGA_START))
		return GUEST_RAM_RAM;
	return at.v >= GUEST_ROM_START ? GUEST_RAM_ROM : GUEST_RAM_NONE;
}

// Host address of readable memory at `at` (RAM or ROM), or NULL. Valid to the end of its page.
static always_inline const uint8_t *guest_ram_page(const struct guest_ram *ram, struct gpa at)
{
	if (guest_ram_kind(ram, at) == GUEST_RAM_NONE)
		return NULL;
	return ram->blocks[at.v / LARGE_PAGE_BYTES] + at.v % LARGE_PAGE_BYTES;
}

// For who writes through an address of its own.
static always_inline void guest_ram_mark_written(struct guest_ram *ram, struct gpa at)
{
	ram->written[at.v / LARGE_PAGE_BYTES] = 1;
}

// Copies; ranges may cross pages and blocks. STATUS_RANGE where any byte is not readable memory
// (for writes: not RAM): nothing is copied then.
must_check enum status guest_ram_read(const struct guest_ram *ram, struct gpa from, void *to,
	size_t bytes);
must_check enum status guest_ram_write(struct guest_ram *ram, struct gpa to, const void *from,
	size_t bytes);
// For the machine's builder alone: writes ROM too.
must_check enum status guest_ram_write_rom(struct guest_ram *ram, struct gpa to, const void *from,
	size_t bytes);

// Whether every byte is RAM.
must_check bool guest_ram_is_ram(const struct guest_ram *ram, struct gpa at, uint64_t bytes);

// Replaces an aligned 4- or 8-byte entry if it still holds `old`, atomically: accessed and dirty
// bits of guest page tables. False: it changed meanwhile, or it is not RAM.
must_check bool guest_ram_compare_exchange(struct guest_ram *ram, struct gpa at, unsigned size,
	uint64_t old, uint64_t value);

#endif

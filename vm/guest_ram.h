// SPDX-License-Identifier: BSD-2-Clause
// Guest memory: which guest-physical addresses are RAM, and the only helpers that write it on
// behalf of devices and of the hypervisor (dirty logging, postcopy and recording will hang here).
//
// Layout, as QEMU's pc: RAM from 0 to at most 3 GiB, the rest from 4 GiB up. 0xa0000-0xbffff is the
// VGA window. What 0xc0000-0xfffff leads to, the host bridge says for each part: the RAM there, or
// what the firmware's ROM has; only the machine's builder writes RAM that the guest may not
// (guest_ram_write_rom). The ROM ends at 4 GiB, and its last 128 KiB are seen below 1 MiB too.
#ifndef VM_GUEST_RAM_H
#define VM_GUEST_RAM_H

#include "kernel/base/status.h"
#include "kernel/base/types.h"

#define GUEST_RAM_LOW_MAX  (3 * GIB) // RAM below the PCI hole, at most
#define GUEST_RAM_HIGH     (4 * GIB) // where the rest begins
#define GUEST_VGA_START    0xa0000u
#define GUEST_ROM_START    0xc0000u
#define GUEST_ROM_END      0x100000u
#define GUEST_BIOS_START   0xe0000u  // the end of the firmware's ROM, up to GUEST_ROM_END
#define GUEST_FIRMWARE_MAX (8 * MIB)

enum {
	GUEST_SHADOW_READ = 1,  // reads reach RAM
	GUEST_SHADOW_WRITE = 2, // writes do
	GUEST_SHADOW_PART = 0x4000,
	GUEST_SHADOW_PARTS = 16, // from GUEST_ROM_START to GUEST_ROM_END
};

// Blocks of 2 MiB of host memory, indexed by guest-physical address >> 21; NULL: not RAM.
struct guest_ram {
	uint8_t **blocks;
	uint8_t *written; // 1: by the functions below, or loaded, since vm_memory_take_written
	uint64_t block_count;
	uint64_t low_bytes;  // RAM from 0
	uint64_t high_bytes; // RAM from GUEST_RAM_HIGH
	uint8_t shadow[GUEST_SHADOW_PARTS]; // GUEST_SHADOW_READ and GUEST_SHADOW_WRITE
	// The firmware's ROM: its last byte is the last of the last block.
	uint8_t *rom[GUEST_FIRMWARE_MAX / LARGE_PAGE_BYTES];
	uint64_t rom_bytes; // a multiple of PAGE_BYTES, at least 128 KiB; 0: there is none
	bool rom_hidden;    // a flash that does not show it now: it is seen below 1 MiB alone
};

enum guest_ram_kind { GUEST_RAM_NONE, GUEST_RAM_RAM, GUEST_RAM_ROM };

// Where nothing but RAM can be.
static always_inline bool guest_ram_is_plain(const struct guest_ram *ram, struct gpa at)
{
	uint64_t block = at.v / LARGE_PAGE_BYTES;

	return block < ram->block_count && ram->blocks[block] != NULL &&
		(at.v >= GUEST_ROM_END || at.v < GUEST_VGA_START);
}

// Of what is not plain: how it is read below GUEST_ROM_END, and at which host address.
enum guest_ram_kind guest_ram_kind_low(const struct guest_ram *ram, struct gpa at);
const uint8_t *guest_ram_page_special(const struct guest_ram *ram, struct gpa at);

static always_inline enum guest_ram_kind guest_ram_kind(const struct guest_ram *ram,
	struct gpa at)
{
	if (likely(guest_ram_is_plain(ram, at)))
		return GUEST_RAM_RAM;
	if (likely(at.v >= GUEST_ROM_END))
		return at.v - (GUEST_RAM_HIGH - ram->rom_bytes) < ram->rom_bytes &&
			!ram->rom_hidden ? GUEST_RAM_ROM : GUEST_RAM_NONE;
	return guest_ram_kind_low(ram, at);
}

// Host address of readable memory at `at` (RAM or ROM), or NULL. Valid to the end of its page.
static always_inline const uint8_t *guest_ram_page(const struct guest_ram *ram, struct gpa at)
{
	return likely(guest_ram_is_plain(ram, at))
		? ram->blocks[at.v / LARGE_PAGE_BYTES] + at.v % LARGE_PAGE_BYTES
		: guest_ram_page_special(ram, at);
}

// Of the firmware's ROM, from its start; offset below rom_bytes. Valid to the end of its page.
uint8_t *guest_ram_rom(const struct guest_ram *ram, uint64_t offset);

// Whether a write there goes to RAM that is not read: to a part with GUEST_SHADOW_WRITE alone.
static always_inline bool guest_ram_is_write_only(const struct guest_ram *ram, struct gpa at)
{
	return unlikely(at.v - GUEST_ROM_START < GUEST_ROM_END - GUEST_ROM_START) &&
		ram->shadow[(at.v - GUEST_ROM_START) / GUEST_SHADOW_PART] == GUEST_SHADOW_WRITE;
}

// For who writes through an address of its own.
static always_inline void guest_ram_mark_written(struct guest_ram *ram, struct gpa at)
{
	__atomic_store_n(&ram->written[at.v / LARGE_PAGE_BYTES], 1, __ATOMIC_RELAXED);
}

// Copies; ranges may cross pages and blocks. STATUS_RANGE where any byte is not readable memory
// (for writes: not RAM): nothing is copied then.
must_check enum status guest_ram_read(const struct guest_ram *ram, struct gpa from, void *to,
	size_t bytes);
must_check enum status guest_ram_write(struct guest_ram *ram, struct gpa to, const void *from,
	size_t bytes);
// For the machine's builder, and for a write-only part: RAM from GUEST_ROM_START to GUEST_ROM_END
// too, whatever a guest sees there.
must_check enum status guest_ram_write_rom(struct guest_ram *ram, struct gpa to, const void *from,
	size_t bytes);

// Most copies lie in one page of RAM, and are of a few bytes.
static always_inline bool guest_ram_is_simple(const struct guest_ram *ram, struct gpa at,
	uint64_t bytes)
{
	return likely(bytes <= PAGE_BYTES - at.v % PAGE_BYTES && guest_ram_is_plain(ram, at));
}

// Whether every byte is RAM.
must_check bool guest_ram_is_ram_slow(const struct guest_ram *ram, struct gpa at, uint64_t bytes);
must_check static always_inline bool guest_ram_is_ram(const struct guest_ram *ram, struct gpa at,
	uint64_t bytes)
{
	return guest_ram_is_simple(ram, at, bytes) || guest_ram_is_ram_slow(ram, at, bytes);
}

// Replaces an aligned 4- or 8-byte entry if it still holds `old`, atomically: accessed and dirty
// bits of guest page tables. False: it changed meanwhile, or it is not RAM.
must_check bool guest_ram_compare_exchange(struct guest_ram *ram, struct gpa at, unsigned size,
	uint64_t old, uint64_t value);

#endif

// SPDX-License-Identifier: BSD-2-Clause
#include "vm/guest_ram.h"

#include "kernel/base/assert.h"
#include "kernel/x86.h"

enum guest_ram_kind guest_ram_kind_low(const struct guest_ram *ram, struct gpa at)
{
	if (at.v < GUEST_ROM_START || ram->block_count == 0)
		return GUEST_RAM_NONE;
	switch (ram->shadow[(at.v - GUEST_ROM_START) / GUEST_SHADOW_PART]) {
	case GUEST_SHADOW_READ | GUEST_SHADOW_WRITE:
		return GUEST_RAM_RAM;
	case GUEST_SHADOW_READ:
		return GUEST_RAM_ROM;
	default:
		return at.v >= GUEST_BIOS_START && ram->rom_bytes != 0 ? GUEST_RAM_ROM
								       : GUEST_RAM_NONE;
	}
}

uint8_t *guest_ram_rom(const struct guest_ram *ram, uint64_t offset)
{
	uint64_t at = ALIGN_UP(ram->rom_bytes, LARGE_PAGE_BYTES) - ram->rom_bytes + offset;

	ASSERT(offset < ram->rom_bytes);
	return ram->rom[at / LARGE_PAGE_BYTES] + at % LARGE_PAGE_BYTES;
}

const uint8_t *guest_ram_page_special(const struct guest_ram *ram, struct gpa at)
{
	if (guest_ram_kind(ram, at) == GUEST_RAM_NONE)
		return NULL;
	if (at.v >= GUEST_ROM_END)
		return guest_ram_rom(ram, at.v - (GUEST_RAM_HIGH - ram->rom_bytes));
	if (ram->shadow[(at.v - GUEST_ROM_START) / GUEST_SHADOW_PART] & GUEST_SHADOW_READ)
		return ram->blocks[0] + at.v;
	return guest_ram_rom(ram, ram->rom_bytes - (GUEST_ROM_END - at.v));
}

static size_t bytes_to_page_end(struct gpa at, size_t bytes)
{
	size_t left = (size_t)(PAGE_BYTES - at.v % PAGE_BYTES);

	return left < bytes ? left : bytes;
}

// Whether a guest can read every byte or, where not, whether each is RAM to it.
static bool range_is(const struct guest_ram *ram, struct gpa at, size_t bytes, bool rom)
{
	if (bytes > UINT64_MAX - at.v)
		return false;
	while (bytes > 0) {
		size_t part = bytes_to_page_end(at, bytes);
		enum guest_ram_kind kind = guest_ram_kind(ram, at);

		if (kind == GUEST_RAM_NONE || (kind == GUEST_RAM_ROM && !rom))
			return false;
		at.v += part;
		bytes -= part;
	}
	return true;
}

// Whether there is RAM behind every byte, whoever may write it.
static bool range_has_ram(const struct guest_ram *ram, struct gpa at, size_t bytes)
{
	if (bytes > UINT64_MAX - at.v)
		return false;
	while (bytes > 0) {
		size_t part = bytes_to_page_end(at, bytes);

		if (!guest_ram_is_plain(ram, at) &&
			(at.v < GUEST_ROM_START || at.v >= GUEST_ROM_END || ram->block_count == 0))
			return false;
		at.v += part;
		bytes -= part;
	}
	return true;
}

bool guest_ram_is_ram_slow(const struct guest_ram *ram, struct gpa at, uint64_t bytes)
{
	return range_is(ram, at, bytes, false);
}

static __attribute__((noinline)) enum status read_pages(const struct guest_ram *ram,
	struct gpa from, void *to, size_t bytes)
{
	if (!range_is(ram, from, bytes, true))
		return STATUS_FAIL(STATUS_RANGE);
	for (uint8_t *at = to; bytes > 0;) {
		size_t part = bytes_to_page_end(from, bytes);

		memory_copy(at, guest_ram_page(ram, from), part);
		from.v += part;
		at += part;
		bytes -= part;
	}
	return STATUS_OK;
}

static __attribute__((noinline)) void copy_many(void *to, const void *from, size_t bytes)
{
	memory_copy(to, from, bytes);
}

enum status guest_ram_read(const struct guest_ram *ram, struct gpa from, void *to, size_t bytes)
{
	const uint8_t *host;

	if (!guest_ram_is_simple(ram, from, bytes))
		return read_pages(ram, from, to, bytes);
	host = ram->blocks[from.v / LARGE_PAGE_BYTES] + from.v % LARGE_PAGE_BYTES;
	if (!memory_copy_few(to, host, bytes))
		copy_many(to, host, bytes);
	return STATUS_OK;
}

static void write_part_by_part(struct guest_ram *ram, struct gpa to, const void *from, size_t bytes)
{
	for (const uint8_t *at = from; bytes > 0;) {
		size_t part = bytes_to_page_end(to, bytes);

		memory_copy(ram->blocks[to.v / LARGE_PAGE_BYTES] + to.v % LARGE_PAGE_BYTES, at,
			part);
		guest_ram_mark_written(ram, to);
		to.v += part;
		at += part;
		bytes -= part;
	}
}

static __attribute__((noinline)) enum status write_pages(struct guest_ram *ram, struct gpa to,
	const void *from, size_t bytes)
{
	if (!range_is(ram, to, bytes, false))
		return STATUS_FAIL(STATUS_RANGE);
	write_part_by_part(ram, to, from, bytes);
	return STATUS_OK;
}

static __attribute__((noinline)) enum status write_many(struct guest_ram *ram, struct gpa to,
	uint8_t *host, const void *from, size_t bytes)
{
	memory_copy(host, from, bytes);
	guest_ram_mark_written(ram, to);
	return STATUS_OK;
}

enum status guest_ram_write(struct guest_ram *ram, struct gpa to, const void *from, size_t bytes)
{
	uint8_t *host;

	if (!guest_ram_is_simple(ram, to, bytes))
		return write_pages(ram, to, from, bytes);
	host = ram->blocks[to.v / LARGE_PAGE_BYTES] + to.v % LARGE_PAGE_BYTES;
	if (!memory_copy_few(host, from, bytes))
		return write_many(ram, to, host, from, bytes);
	guest_ram_mark_written(ram, to);
	return STATUS_OK;
}

enum status guest_ram_write_rom(struct guest_ram *ram, struct gpa to, const void *from,
	size_t bytes)
{
	if (!range_has_ram(ram, to, bytes))
		return STATUS_FAIL(STATUS_RANGE);
	write_part_by_part(ram, to, from, bytes);
	return STATUS_OK;
}

bool guest_ram_compare_exchange(struct guest_ram *ram, struct gpa at, unsigned size, uint64_t old,
	uint64_t value)
{
	void *entry;

	ASSERT((size == 4 || size == 8) && at.v % size == 0);
	if (guest_ram_kind(ram, at) != GUEST_RAM_RAM)
		return false;
	entry = ram->blocks[at.v / LARGE_PAGE_BYTES] + at.v % LARGE_PAGE_BYTES;
	guest_ram_mark_written(ram, at);
	if (size == 8)
		return __atomic_compare_exchange_n((uint64_t *)entry, &old, value, false,
			__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	uint32_t old32 = (uint32_t)old;

	return __atomic_compare_exchange_n((uint32_t *)entry, &old32, (uint32_t)value, false,
		__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

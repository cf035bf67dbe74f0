// SPDX-License-Identifier: BSD-2-Clause
#include "vm/guest_ram.h"

#include "kernel/base/assert.h"
#include "kernel/x86.h"

static size_t bytes_to_page_end(struct gpa at, size_t bytes)
{
	size_t left = (size_t)(PAGE_BYTES - at.v % PAGE_BYTES);

	return left < bytes ? left : bytes;
}

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

bool guest_ram_is_ram(const struct guest_ram *ram, struct gpa at, uint64_t bytes)
{
	return range_is(ram, at, bytes, false);
}

enum status guest_ram_read(const struct guest_ram *ram, struct gpa from, void *to, size_t bytes)
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

static enum status write_checked(struct guest_ram *ram, struct gpa to, const void *from,
	size_t bytes, bool rom)
{
	if (!range_is(ram, to, bytes, rom))
		return STATUS_FAIL(STATUS_RANGE);
	for (const uint8_t *at = from; bytes > 0;) {
		size_t part = bytes_to_page_end(to, bytes);

		memory_copy(ram->blocks[to.v / LARGE_PAGE_BYTES] + to.v % LARGE_PAGE_BYTES, at,
			part);
		guest_ram_mark_written(ram, to);
		to.v += part;
		at += part;
		bytes -= part;
	}
	return STATUS_OK;
}

enum status guest_ram_write(struct guest_ram *ram, struct gpa to, const void *from, size_t bytes)
{
	return write_checked(ram, to, from, bytes, false);
}

enum status guest_ram_write_rom(struct guest_ram *ram, struct gpa to, const void *from,
	size_t bytes)
{
	return write_checked(ram, to, from, bytes, true);
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

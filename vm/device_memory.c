// SPDX-License-Identifier: BSD-2-Clause
#include "vm/device_memory.h"

#include "emul/lapic.h"
#include "kernel/base/assert.h"
#include "kernel/mem.h"
#include "kernel/x86.h"
#include "vm/vm.h"

enum status device_memory_extend(struct device_memory *memory, uint64_t bytes)
{
	uint64_t blocks = bytes / LARGE_PAGE_BYTES;

	ASSERT(bytes % LARGE_PAGE_BYTES == 0 &&
		blocks <= DEVICE_MEMORY_BLOCKS_MAX - memory->block_count);
	memory->flash_at = DEVICE_MEMORY_NOWHERE;
	for (; blocks > 0; blocks--) {
		uint64_t i = memory->block_count++;

		memory->mapped[i] = DEVICE_MEMORY_NOWHERE;
		memory->blocks[i] = mem_large_alloc();
		if (memory->blocks[i] == NULL)
			return STATUS_FAIL(STATUS_NO_MEMORY);
		memory_zero_words(memory->blocks[i], LARGE_PAGE_BYTES / 8);
	}
	return STATUS_OK;
}

enum status device_memory_create(struct device_memory *memory, uint64_t bytes)
{
	*memory = (struct device_memory){.shown_count = bytes / LARGE_PAGE_BYTES};
	return device_memory_extend(memory, bytes);
}

void device_memory_destroy(struct device_memory *memory)
{
	for (uint64_t i = 0; i < memory->block_count; i++)
		if (memory->blocks[i] != NULL)
			mem_large_free(memory->blocks[i]);
	*memory = (struct device_memory){.block_count = 0};
}

static uint64_t part_of(uint64_t offset, uint64_t bytes)
{
	uint64_t left = LARGE_PAGE_BYTES - offset % LARGE_PAGE_BYTES;

	return bytes < left ? bytes : left;
}

static bool has(const struct device_memory *memory, uint64_t offset, uint64_t bytes)
{
	uint64_t all = memory->block_count * LARGE_PAGE_BYTES;

	return offset <= all && bytes <= all - offset;
}

void device_memory_get(const struct device_memory *memory, uint64_t offset, void *to,
	uint64_t bytes)
{
	uint8_t *at = to;

	ASSERT(has(memory, offset, bytes));
	while (bytes > 0) {
		uint64_t part = part_of(offset, bytes);

		memory_copy(at, memory->blocks[offset / LARGE_PAGE_BYTES] +
			offset % LARGE_PAGE_BYTES, part);
		at += part;
		offset += part;
		bytes -= part;
	}
}

void device_memory_put(struct device_memory *memory, uint64_t offset, const void *from,
	uint64_t bytes)
{
	const uint8_t *at = from;

	ASSERT(has(memory, offset, bytes));
	while (bytes > 0) {
		uint64_t part = part_of(offset, bytes), block = offset / LARGE_PAGE_BYTES;

		memory_copy(memory->blocks[block] + offset % LARGE_PAGE_BYTES, at, part);
		memory->written[block] = 1;
		at += part;
		offset += part;
		bytes -= part;
	}
}

static bool overlaps(uint64_t block, const struct bus_region *region)
{
	return region->base < block + LARGE_PAGE_BYTES && block < region->base + region->bytes;
}

// Whether the memory is all that answers in the 2 MiB from `at` on.
static bool is_alone(const struct vm *vm, uint64_t at, const struct bus_region *shown)
{
	const struct bus_list *list = &vm->bus.lists[DEVICE_SPACE_MMIO];
	const struct guest_ram *ram = &vm->ram;
	uint64_t rom = GUEST_RAM_HIGH - ram->rom_bytes;

	for (unsigned i = 0; i < list->count; i++) {
		const struct bus_region *region = &vm->bus.regions[list->regions[i]];

		if (region != shown && overlaps(at, region))
			return false;
	}
	return at % LARGE_PAGE_BYTES == 0 && at != (LAPIC_BASE_DEFAULT & ~(LARGE_PAGE_BYTES - 1)) &&
		!guest_ram_is_plain(ram, (struct gpa){at}) && at >= GUEST_ROM_END &&
		(at + LARGE_PAGE_BYTES <= rom || at >= GUEST_RAM_HIGH);
}

uint64_t device_memory_place(const struct vm *vm, uint64_t block)
{
	const struct bus_list *list = &vm->bus.lists[DEVICE_SPACE_MMIO];

	if (block >= vm->device_memory.shown_count)
		return DEVICE_MEMORY_NOWHERE;
	for (unsigned i = 0; i < list->count; i++) {
		const struct bus_region *region = &vm->bus.regions[list->regions[i]];
		uint64_t at = region->base + block * LARGE_PAGE_BYTES;

		if (region->memory)
			return is_alone(vm, at, region) ? at : DEVICE_MEMORY_NOWHERE;
	}
	return DEVICE_MEMORY_NOWHERE;
}

bool device_memory_is_placed(const struct vm *vm)
{
	for (uint64_t i = 0; i < vm->device_memory.block_count; i++)
		if (vm->device_memory.mapped[i] != device_memory_place(vm, i))
			return false;
	return true;
}

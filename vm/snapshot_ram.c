// SPDX-License-Identifier: BSD-2-Clause
#include <string.h>

#include "kernel/fiber.h"
#include "vm/snapshot.h"

enum { BLOCK_PAGES = (int)(LARGE_PAGE_BYTES / PAGE_BYTES), VERSION = 1 };

static const char name[] = "ram";

static bool page_is_zero(const uint8_t *page)
{
	const uint64_t *words = (const uint64_t *)(const void *)page;

	for (unsigned i = 0; i < PAGE_BYTES / 8; i += 4)
		if ((words[i] | words[i + 1] | words[i + 2] | words[i + 3]) != 0)
			return false;
	return true;
}

static void block_write(const struct vm *vm, uint32_t block, struct snapshot_stream *stream)
{
	const uint8_t *bytes = vm_memory_block(vm, block);
	uint16_t pages[BLOCK_PAGES];
	uint32_t count = 0;

	if (bytes == NULL)
		return;
	for (uint32_t i = 0; i < BLOCK_PAGES; i++) {
		if (!page_is_zero(bytes + i * PAGE_BYTES))
			pages[count++] = (uint16_t)i;
	}
	if (count == 0)
		return;
	snapshot_section_begin(stream, name, block, VERSION,
		count * (sizeof(uint64_t) + PAGE_BYTES));
	for (uint32_t i = 0; i < count; i++) {
		uint64_t page = pages[i];

		snapshot_put(stream, &page, sizeof(page));
		snapshot_put(stream, bytes + pages[i] * PAGE_BYTES, PAGE_BYTES);
	}
	snapshot_section_end(stream);
}

// Other machines get on between two blocks.
static void pause_between(void)
{
	if (fiber_self() != NULL)
		fiber_yield();
}

void snapshot_ram_write(const struct vm *vm, struct snapshot_stream *stream)
{
	for (uint32_t i = 0; i < vm_memory_blocks(vm); i++) {
		block_write(vm, i, stream);
		pause_between();
	}
}

// False: there is no memory.
static bool page_put(struct vm *vm, uint64_t block, uint64_t page,
	const uint8_t bytes[PAGE_BYTES])
{
	uint64_t at = page * PAGE_BYTES, first = vm->ram.block_count;

	if (block < first)
		return guest_ram_write_rom(&vm->ram, (struct gpa){block * LARGE_PAGE_BYTES + at},
			bytes, PAGE_BYTES) == STATUS_OK;
	device_memory_put(&vm->device_memory, (block - first) * LARGE_PAGE_BYTES + at, bytes,
		PAGE_BYTES);
	return true;
}

static enum status block_read(struct vm *vm, uint32_t block, struct snapshot_stream *stream)
{
	uint8_t bytes[PAGE_BYTES] __attribute__((aligned(8)));
	uint64_t next = 0, page;
	enum status status = STATUS_OK;

	if (stream->section.version != VERSION)
		return snapshot_fail(stream, STATUS_UNSUPPORTED,
			"%s %u: version: %u is not allowed (%u to %u)", name, block,
			stream->section.version, VERSION, VERSION);
	while (stream->left > 0 && status == STATUS_OK) {
		status = snapshot_get(stream, &page, sizeof(page));
		if (status != STATUS_OK)
			break;
		if (page < next || page >= BLOCK_PAGES)
			return snapshot_fail(stream, STATUS_INVALID,
				"%s %u: page: 0x%llx is not allowed (0x%llx to 0x%x)", name, block,
				(unsigned long long)page, (unsigned long long)next,
				BLOCK_PAGES - 1);
		next = page + 1;
		status = snapshot_get(stream, bytes, sizeof(bytes));
		if (status == STATUS_OK && !page_put(vm, block, page, bytes))
			return snapshot_fail(stream, STATUS_INVALID,
				"%s %u: page: 0x%llx is not memory", name, block,
				(unsigned long long)page);
	}
	return status;
}

enum status snapshot_ram_read(struct vm *vm, struct snapshot_stream *stream)
{
	enum status status = STATUS_OK;
	uint64_t next = 0;

	while (status == STATUS_OK && strcmp(stream->section.name, name) == 0) {
		uint32_t block = stream->section.instance;

		if (block < next || block >= vm_memory_blocks(vm))
			return snapshot_fail(stream, STATUS_INVALID,
				"%s: block: 0x%x is not allowed (0x%llx to 0x%llx)", name, block,
				(unsigned long long)next,
				(unsigned long long)vm_memory_blocks(vm) - 1);
		next = (uint64_t)block + 1;
		status = block_read(vm, block, stream);
		if (status == STATUS_OK)
			snapshot_section_next(stream);
		pause_between();
	}
	return status;
}

// SPDX-License-Identifier: BSD-2-Clause
#include "replay/log_ram.h"

#include <string.h>

#include "kernel/base/assert.h"
#include "replay/log_abi.h"

// The bytes at `offset`; *count is cut at the end of their block.
static uint8_t *block_at(const struct log_ram *ram, uint64_t offset, size_t *count)
{
	uint64_t within = offset % ram->block_bytes;

	ASSERT(*count <= ram->store.bytes && offset <= ram->store.bytes - *count);
	if (*count > ram->block_bytes - within)
		*count = ram->block_bytes - within;
	return ram->blocks[offset / ram->block_bytes] + within;
}

static enum status ram_read(struct log_store *store, uint64_t offset, void *bytes, size_t count)
{
	const struct log_ram *ram = CONTAINER_OF(store, const struct log_ram, store);
	uint8_t *to = bytes;

	while (count > 0) {
		size_t part = count;
		const uint8_t *from = block_at(ram, offset, &part);

		memcpy(to, from, part);
		to += part;
		offset += part;
		count -= part;
	}
	return STATUS_OK;
}

static enum status ram_write(struct log_store *store, uint64_t offset, const void *bytes,
	size_t count)
{
	const struct log_ram *ram = CONTAINER_OF(store, const struct log_ram, store);
	const uint8_t *from = bytes;

	ASSERT(!store->read_only);
	while (count > 0) {
		size_t part = count;
		uint8_t *to = block_at(ram, offset, &part);

		memcpy(to, from, part);
		from += part;
		offset += part;
		count -= part;
	}
	return STATUS_OK;
}

static const struct log_store_ops ram_ops = {.read = ram_read, .write = ram_write};

void log_ram_init(struct log_ram *ram, uint8_t *const *blocks, uint64_t count,
	uint64_t block_bytes)
{
	ASSERT(block_bytes > 0 && block_bytes % LOG_ALIGNMENT_MIN == 0);
	*ram = (struct log_ram){
		.store = {.ops = &ram_ops,
			.bytes = count * block_bytes,
			.alignment = LOG_ALIGNMENT_MIN},
		.blocks = blocks,
		.block_bytes = block_bytes,
	};
}

void log_ram_init_read_only(struct log_ram *ram, const void *memory, uint64_t bytes)
{
	*ram = (struct log_ram){
		.store = {.ops = &ram_ops,
			.bytes = bytes,
			.alignment = LOG_ALIGNMENT_MIN,
			.read_only = true},
		.block_bytes = bytes > 0 ? bytes : 1,
		.memory = (uint8_t *)(uintptr_t)memory, // never written
	};
	ram->blocks = &ram->memory;
}

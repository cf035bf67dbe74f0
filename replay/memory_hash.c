// SPDX-License-Identifier: BSD-2-Clause
#include "replay/memory_hash.h"

#include <stdlib.h>
#include <string.h>

#include "kernel/crc32c.h"
#include "kernel/mem.h"
#include "vm/vm.h"

#define MIX           UINT64_C(0x9e3779b97f4a7c15)
#define ACCESSED_BITS UINT64_C(0x0000002000000020)

enum { BLOCK_PAGES = (int)(LARGE_PAGE_BYTES / PAGE_BYTES), HALF_WORDS = (int)(PAGE_BYTES / 16) };

struct cached_block {
	struct memory_hash hash;
	bool is_known;
	uint8_t reserved[7];
};

struct memory_hash_cache {
	uint64_t count;
	unsigned pages; // of the host's
	struct cached_block *blocks;
};

enum status memory_hash_cache_create(const struct vm *vm, struct memory_hash_cache **cache)
{
	struct memory_hash_cache *created = calloc(1, sizeof(*created));
	uint64_t count = vm_memory_blocks(vm);

	if (created == NULL)
		return STATUS_FAIL(STATUS_NO_MEMORY);
	created->count = count;
	created->pages = (unsigned)((count * sizeof(*created->blocks) + PAGE_BYTES - 1) /
		PAGE_BYTES);
	created->blocks = mem_pages_alloc(created->pages);
	if (created->blocks == NULL) {
		free(created);
		return STATUS_FAIL(STATUS_NO_MEMORY);
	}
	memset(created->blocks, 0, count * sizeof(*created->blocks));
	// Zeros, all that nobody has written to since.
	for (uint64_t i = 0; i < count; i++)
		created->blocks[i].is_known = vm->state == VM_CREATED;
	*cache = created;
	return STATUS_OK;
}

void memory_hash_cache_destroy(struct memory_hash_cache *cache)
{
	if (cache == NULL)
		return;
	mem_pages_free(cache->blocks, cache->pages);
	free(cache);
}

static void page_add(struct memory_hash *hash, const uint8_t *page, uint64_t number)
{
	const uint64_t *words = (const uint64_t *)(const void *)page;
	uint64_t value = 0, accessed = 0;

	for (unsigned half = 0; half < 2; half++) {
		struct crc32c_pair pair = crc32c_words(words + half * HALF_WORDS, HALF_WORDS,
			~ACCESSED_BITS);

		value = value << 32 | pair.masked;
		accessed = accessed << 32 | (pair.all ^ pair.masked);
	}
	value *= MIX;
	accessed *= MIX;
	hash->sum[number % MEMORY_HASH_GROUPS] += value;
	hash->weighted[number % MEMORY_HASH_GROUPS] += value * number;
	hash->accessed += accessed;
	hash->accessed_weighted += accessed * number;
}

static void block_take(const struct vm *vm, uint64_t block, struct memory_hash *hash)
{
	memset(hash, 0, sizeof(*hash));
	for (uint64_t i = 0; i < BLOCK_PAGES; i++)
		page_add(hash, vm_memory_block(vm, block) + i * PAGE_BYTES,
			block * BLOCK_PAGES + i);
}

static void hash_add(struct memory_hash *hash, const struct memory_hash *more)
{
	for (unsigned i = 0; i < MEMORY_HASH_GROUPS; i++) {
		hash->sum[i] += more->sum[i];
		hash->weighted[i] += more->weighted[i];
	}
	hash->accessed += more->accessed;
	hash->accessed_weighted += more->accessed_weighted;
}

void memory_hash_take(struct vm *vm, struct memory_hash_cache *cache, struct memory_hash *hash)
{
	struct memory_hash fresh;

	memset(hash, 0, sizeof(*hash));
	for (uint64_t i = 0; i < vm_memory_blocks(vm); i++) {
		struct cached_block *cached = cache != NULL ? &cache->blocks[i] : NULL;

		if (vm_memory_block(vm, i) == NULL)
			continue;
		if (cached == NULL) {
			block_take(vm, i, &fresh);
			hash_add(hash, &fresh);
			continue;
		}
		if (vm_memory_take_written(vm, i) || !cached->is_known)
			block_take(vm, i, &cached->hash);
		cached->is_known = true;
		hash_add(hash, &cached->hash);
	}
	if (cache != NULL)
		vm_memory_written_taken(vm);
}

bool memory_hash_equals(const struct memory_hash *a, const struct memory_hash *b)
{
	return memcmp(a->sum, b->sum, sizeof(a->sum)) == 0 &&
		memcmp(a->weighted, b->weighted, sizeof(a->weighted)) == 0;
}

bool memory_hash_accessed_equals(const struct memory_hash *a, const struct memory_hash *b)
{
	return a->accessed == b->accessed && a->accessed_weighted == b->accessed_weighted;
}

// Where one page alone is another, the sums differ by its hash and by hash times number.
static bool find(uint64_t sum, uint64_t weighted, uint64_t first, uint64_t step, uint64_t pages,
	uint64_t *page)
{
	for (uint64_t number = first; sum != 0 && number < pages; number += step)
		if (sum * number == weighted) {
			*page = number;
			return true;
		}
	return false;
}

bool memory_hash_find(const struct memory_hash *a, const struct memory_hash *b, uint64_t pages,
	uint64_t *page)
{
	bool found = false;
	uint64_t number;

	for (unsigned i = 0; i < MEMORY_HASH_GROUPS; i++)
		if (find(a->sum[i] - b->sum[i], a->weighted[i] - b->weighted[i], i,
			    MEMORY_HASH_GROUPS, pages, &number) && (!found || number < *page)) {
			*page = number;
			found = true;
		}
	return found;
}

bool memory_hash_find_accessed(const struct memory_hash *a, const struct memory_hash *b,
	uint64_t pages, uint64_t *page)
{
	return find(a->accessed - b->accessed, a->accessed_weighted - b->accessed_weighted, 0, 1,
		pages, page);
}

// SPDX-License-Identifier: BSD-2-Clause
// One entry a 2 MiB block of the physical address space, up to the highest RAM address. A split
// block keeps its bitmap in the table as well: blocks are few, bitmaps are 64 bytes.
//
// Invariants:
//   M1  a WHOLE block is on the whole list; a SPLIT block with a free page is on the split list
//   M2  free_pages of a SPLIT block is the number of set bits in its bitmap
//   M3  a SPLIT block all of whose pages are free becomes WHOLE
//   M4  what changes any of this holds `lock`; memory is zeroed outside of it
#include "kernel/mem.h"

#include "kernel/base/assert.h"
#include "kernel/spinlock.h"
#include "kernel/x86.h"

enum { PAGES_PER_BLOCK = 512, BITMAP_WORDS = PAGES_PER_BLOCK / 64 };

enum block_state { BLOCK_ABSENT, BLOCK_WHOLE, BLOCK_SPLIT, BLOCK_LENT };

struct block {
	uint64_t bitmap[BITMAP_WORDS]; // set: the page is free
	struct block *next, *previous; // in one of the two lists
	uint16_t free_pages;
	uint8_t state; // enum block_state
};

static struct spinlock lock;
static struct block *blocks;
static uint64_t block_count;
static struct block *whole_list, *split_list;
static struct mem_counts counts;

static void list_add(struct block **list, struct block *block)
{
	block->previous = NULL;
	block->next = *list;
	if (*list != NULL)
		(*list)->previous = block;
	*list = block;
}

static void list_remove(struct block **list, struct block *block)
{
	if (block->previous != NULL)
		block->previous->next = block->next;
	else
		*list = block->next;
	if (block->next != NULL)
		block->next->previous = block->previous;
}

static uint8_t *block_memory(const struct block *block)
{
	return hpa_pointer((struct hpa){(uint64_t)(block - blocks) * LARGE_PAGE_BYTES});
}

static struct block *block_of(const void *memory)
{
	uint64_t index = hpa_of(memory).v / LARGE_PAGE_BYTES;

	ASSERT(index < block_count);
	return &blocks[index];
}

// Index of the first of `count` neighbouring free pages, or PAGES_PER_BLOCK.
static unsigned bitmap_find(const struct block *block, unsigned count)
{
	unsigned run = 0;

	for (unsigned i = 0; i < PAGES_PER_BLOCK; i++) {
		if (i % 64 == 0 && block->bitmap[i / 64] == 0) {
			run = 0;
			i += 63;
			continue;
		}
		run = (block->bitmap[i / 64] & BIT(i % 64)) != 0 ? run + 1 : 0;
		if (run == count)
			return i + 1 - count;
	}
	return PAGES_PER_BLOCK;
}

static void block_give_page(struct block *block, unsigned page)
{
	ASSERT((block->bitmap[page / 64] & BIT(page % 64)) == 0);
	block->bitmap[page / 64] |= BIT(page % 64);
	if (block->free_pages++ == 0)
		list_add(&split_list, block);
	counts.free_pages++;
	if (block->free_pages == PAGES_PER_BLOCK) { // M3
		list_remove(&split_list, block);
		block->state = BLOCK_WHOLE;
		list_add(&whole_list, block);
		counts.free_pages -= PAGES_PER_BLOCK;
		counts.free_blocks++;
	}
}

static void block_split(struct block *block)
{
	ASSERT(block->state == BLOCK_WHOLE);
	list_remove(&whole_list, block);
	for (unsigned i = 0; i < BITMAP_WORDS; i++)
		block->bitmap[i] = UINT64_MAX;
	block->free_pages = PAGES_PER_BLOCK;
	block->state = BLOCK_SPLIT;
	list_add(&split_list, block);
	counts.free_blocks--;
	counts.free_pages += PAGES_PER_BLOCK;
}

static void *block_take(struct block *block, unsigned first, unsigned count)
{
	uint8_t *memory = block_memory(block) + first * PAGE_BYTES;

	for (unsigned i = first; i < first + count; i++)
		block->bitmap[i / 64] &= ~BIT(i % 64);
	block->free_pages = (uint16_t)(block->free_pages - count);
	counts.free_pages -= count;
	if (block->free_pages == 0)
		list_remove(&split_list, block);
	return memory;
}

static void *pages_take(unsigned count)
{
	for (struct block *block = split_list; block != NULL; block = block->next) {
		unsigned first = block->free_pages >= count ? bitmap_find(block, count)
							    : PAGES_PER_BLOCK;

		if (first < PAGES_PER_BLOCK)
			return block_take(block, first, count);
	}
	if (whole_list == NULL)
		return NULL;
	block_split(whole_list);
	return block_take(split_list, 0, count);
}

void *mem_pages_alloc(unsigned count)
{
	void *memory;

	ASSERT(count > 0 && count < PAGES_PER_BLOCK);
	spin_lock(&lock);
	memory = pages_take(count);
	spin_unlock(&lock);
	if (memory != NULL)
		memory_zero_words(memory, count * PAGE_BYTES / 8);
	return memory;
}

void mem_pages_free(void *pages, unsigned count)
{
	struct block *block = block_of(pages);
	unsigned first = (unsigned)(hpa_of(pages).v % LARGE_PAGE_BYTES / PAGE_BYTES);

	spin_lock(&lock);
	ASSERT(block->state == BLOCK_SPLIT && first + count <= PAGES_PER_BLOCK);
	for (unsigned i = first; i < first + count; i++)
		block_give_page(block, i);
	spin_unlock(&lock);
}

void *mem_large_alloc(void)
{
	struct block *block;

	spin_lock(&lock);
	block = whole_list;
	if (block != NULL) {
		list_remove(&whole_list, block);
		block->state = BLOCK_LENT;
		counts.free_blocks--;
		counts.lent_blocks++;
	}
	spin_unlock(&lock);
	return block != NULL ? block_memory(block) : NULL;
}

void mem_large_free(void *memory)
{
	struct block *block = block_of(memory);

	spin_lock(&lock);
	ASSERT(block->state == BLOCK_LENT && block_memory(block) == memory);
	block->state = BLOCK_WHOLE;
	list_add(&whole_list, block);
	counts.lent_blocks--;
	counts.free_blocks++;
	spin_unlock(&lock);
}

struct mem_counts mem_count(void)
{
	struct mem_counts copy;

	spin_lock(&lock);
	copy = counts;
	spin_unlock(&lock);
	return copy;
}

uint64_t mem_used_bytes(void)
{
	struct mem_counts now = mem_count();

	return now.usable_bytes - now.free_pages * PAGE_BYTES -
		now.free_blocks * LARGE_PAGE_BYTES;
}

// Firmware and the PVH stub use memory below 1 MiB in ways the map does not tell; it is left alone.
// One page of it is where the other CPUs start: see kernel/smp.c.
static uint64_t range_first_page(const struct boot_range *range)
{
	return range->start.v < MIB ? MIB / PAGE_BYTES : range->start.v / PAGE_BYTES;
}

static uint64_t range_end_page(const struct boot_range *range)
{
	return (range->start.v + range->bytes) / PAGE_BYTES;
}

// Puts the table itself at the start of the first free range that can hold it; returns its pages.
static uint64_t table_place(const struct boot_info *info, uint64_t *first)
{
	uint64_t pages = (block_count * sizeof(struct block) + PAGE_BYTES - 1) / PAGE_BYTES;

	for (uint32_t i = 0; i < info->range_count; i++) {
		const struct boot_range *range = &info->ranges[i];

		*first = range_first_page(range);
		if (range->kind == BOOT_RANGE_FREE && range_end_page(range) >= *first + pages)
			return pages;
	}
	ASSERT_UNREACHABLE("no room for the page allocator's table");
}

// Gives a free range but for the pages of the table itself.
static void range_give(const struct boot_range *range, uint64_t table_first, uint64_t table_end)
{
	uint64_t first = range_first_page(range);

	for (uint64_t end = range_end_page(range); end > first;) {
		struct block *block = &blocks[(end - 1) / PAGES_PER_BLOCK];
		uint64_t start = ALIGN_DOWN(end - 1, PAGES_PER_BLOCK);

		if (end - start == PAGES_PER_BLOCK && start >= first &&
			(end <= table_first || start >= table_end)) {
			block->state = BLOCK_WHOLE;
			list_add(&whole_list, block);
			counts.free_blocks++;
			end = start;
			continue;
		}
		end--;
		if (end >= table_first && end < table_end)
			continue;
		block->state = BLOCK_SPLIT;
		block_give_page(block, (unsigned)(end % PAGES_PER_BLOCK));
	}
}

void mem_init(const struct boot_info *info)
{
	uint64_t table_first, table_pages;

	for (uint32_t i = 0; i < info->range_count; i++) {
		const struct boot_range *range = &info->ranges[i];

		if (range->kind == BOOT_RANGE_DEVICE)
			continue;
		counts.total_bytes += range->bytes;
		if (range->kind != BOOT_RANGE_FIRMWARE)
			counts.usable_bytes += range->bytes;
		if (range->kind == BOOT_RANGE_FREE)
			block_count = (range_end_page(range) + PAGES_PER_BLOCK - 1) /
				PAGES_PER_BLOCK;
	}
	table_pages = table_place(info, &table_first);
	blocks = hpa_pointer((struct hpa){table_first * PAGE_BYTES});
	memory_zero_words(blocks, table_pages * PAGE_BYTES / 8);
	// Descending, so that the lists hand out low memory first.
	for (uint32_t i = info->range_count; i-- > 0;)
		if (info->ranges[i].kind == BOOT_RANGE_FREE)
			range_give(&info->ranges[i], table_first, table_first + table_pages);
}

// SPDX-License-Identifier: BSD-2-Clause
// Host memory: pages and blocks, in real memory at a low address. The allocator's own tables are
// looked at after each step, hence the source itself is part of this file.
#include "kernel/mem.c"

#include <string.h>
#include <sys/mman.h>

#include "tests/unit/fake_env.h"

enum { BLOCKS = 24, PAGES_MAX = 64 };

// 2 MiB aligned. The allocator indexes its table by address: a low one keeps it small.
#define ARENA 0x10000000ull

static uint8_t *arena;
static struct boot_info info;

static void add_range(uint64_t start, uint64_t bytes, enum boot_range_kind kind)
{
	info.ranges[info.range_count++] = (struct boot_range){{start}, bytes, kind};
}

static int arena_map(void **state)
{
	(void)state;
	arena = mmap((void *)ARENA, BLOCKS * LARGE_PAGE_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT | MAP_FIXED_NOREPLACE, -1, 0);
	return arena == (uint8_t *)ARENA ? 0 : -1;
}

static int arena_unmap(void **state)
{
	(void)state;
	return munmap(arena, BLOCKS * LARGE_PAGE_BYTES);
}

static int setup(void **state)
{
	(void)state;
	blocks = NULL;
	block_count = 0;
	whole_list = split_list = NULL;
	memset(&counts, 0, sizeof(counts));
	memset(&info, 0, sizeof(info));
	memset(arena, 0xa5, BLOCKS * LARGE_PAGE_BYTES);
	return 0;
}

static unsigned bits_set(const struct block *block)
{
	unsigned set = 0;

	for (unsigned i = 0; i < BITMAP_WORDS; i++)
		set += (unsigned)__builtin_popcountll(block->bitmap[i]);
	return set;
}

static uint64_t list_count(const struct block *list, uint8_t state)
{
	const struct block *previous = NULL;
	uint64_t count = 0;

	for (; list != NULL; previous = list, list = list->next, count++) {
		assert_ptr_equal(list->previous, previous);
		assert_int_equal(list->state, state);
		assert_true(count < block_count);
	}
	return count;
}

// M1 to M3 of mem.c, and the counts.
static void check_invariants(void)
{
	uint64_t whole = 0, split = 0, pages = 0, lent = 0;

	for (uint64_t i = 0; i < block_count; i++) {
		const struct block *block = &blocks[i];

		whole += block->state == BLOCK_WHOLE;
		lent += block->state == BLOCK_LENT;
		if (block->state != BLOCK_SPLIT)
			continue;
		assert_int_equal(block->free_pages, bits_set(block));
		assert_true(block->free_pages < PAGES_PER_BLOCK);
		split += block->free_pages > 0;
		pages += block->free_pages;
	}
	assert_int_equal(list_count(whole_list, BLOCK_WHOLE), whole);
	assert_int_equal(list_count(split_list, BLOCK_SPLIT), split);
	assert_int_equal(mem_count().free_blocks, whole);
	assert_int_equal(mem_count().lent_blocks, lent);
	assert_int_equal(mem_count().free_pages, pages);
}

static uint64_t table_pages(void)
{
	return (block_count * sizeof(struct block) + PAGE_BYTES - 1) / PAGE_BYTES;
}

// All of the arena is free; the table takes the first pages of the first block.
static void init_whole(void)
{
	add_range(ARENA, BLOCKS * LARGE_PAGE_BYTES, BOOT_RANGE_FREE);
	mem_init(&info);
	check_invariants();
}

static void expect_counts(uint64_t pages, uint64_t whole, uint64_t lent)
{
	check_invariants();
	assert_int_equal(mem_count().free_pages, pages);
	assert_int_equal(mem_count().free_blocks, whole);
	assert_int_equal(mem_count().lent_blocks, lent);
}

static bool is_zero(const uint8_t *memory, size_t bytes)
{
	return memory[0] == 0 && memcmp(memory, memory + 1, bytes - 1) == 0;
}

static void all_memory_is_counted(void **state)
{
	(void)state;
	init_whole();
	assert_int_equal(mem_count().total_bytes, BLOCKS * LARGE_PAGE_BYTES);
	expect_counts(PAGES_PER_BLOCK - table_pages(), BLOCKS - 1, 0);
}

static void the_table_is_not_handed_out(void **state)
{
	uint8_t *table_end;

	(void)state;
	init_whole();
	table_end = arena + table_pages() * PAGE_BYTES;
	assert_ptr_equal(blocks, arena);
	for (unsigned left = PAGES_PER_BLOCK - (unsigned)table_pages(); left > 0; left--) {
		uint8_t *page = mem_pages_alloc(1);

		assert_true(page >= table_end && page < arena + LARGE_PAGE_BYTES);
	}
	expect_counts(0, BLOCKS - 1, 0);
}

static void pages_are_zeroed_and_blocks_are_not(void **state)
{
	uint8_t *pages, *block;

	(void)state;
	init_whole();
	pages = mem_pages_alloc(3);
	assert_true(is_zero(pages, 3 * PAGE_BYTES));
	assert_int_equal(pages[3 * PAGE_BYTES], 0xa5);
	block = mem_large_alloc();
	assert_int_equal((uintptr_t)block % LARGE_PAGE_BYTES, 0);
	assert_int_equal(block[0], 0xa5);
	memset(pages, 0x77, 3 * PAGE_BYTES);
	mem_pages_free(pages, 3);
	assert_ptr_equal(mem_pages_alloc(3), pages);
	assert_true(is_zero(pages, 3 * PAGE_BYTES));
}

// Pages come from the block that is split already, as long as it has room.
static void whole_blocks_stay_whole(void **state)
{
	uint64_t left;

	(void)state;
	init_whole();
	left = mem_count().free_pages;
	for (; left > 0; left--)
		assert_non_null(mem_pages_alloc(1));
	assert_int_equal(mem_count().free_blocks, BLOCKS - 1);
	assert_non_null(mem_pages_alloc(1));
	expect_counts(PAGES_PER_BLOCK - 1, BLOCKS - 2, 0);
	assert_non_null(mem_pages_alloc(PAGES_PER_BLOCK - 1));
	expect_counts(0, BLOCKS - 2, 0);
}

static void a_split_block_becomes_whole_again(void **state)
{
	uint64_t left;
	uint8_t *a, *b;

	(void)state;
	init_whole();
	left = mem_count().free_pages;
	a = mem_pages_alloc(PAGES_PER_BLOCK - 1); // does not fit beside the table
	expect_counts(left + 1, BLOCKS - 2, 0);
	mem_pages_free(a, PAGES_PER_BLOCK - 1);
	expect_counts(left, BLOCKS - 1, 0);
	a = mem_pages_alloc(400);
	a = a < arena + LARGE_PAGE_BYTES ? mem_pages_alloc(400) : a;
	b = mem_pages_alloc(100);
	mem_pages_free(a + 200 * PAGE_BYTES, 200); // in pieces, out of order
	mem_pages_free(b, 100);
	mem_pages_free(a, 200);
	check_invariants();
	while (mem_count().free_blocks > 0)
		assert_non_null(mem_large_alloc());
	assert_null(mem_large_alloc());
	check_invariants();
}

static void neighbours_are_found_among_holes(void **state)
{
	uint8_t *pages[PAGES_MAX];

	(void)state;
	init_whole();
	for (unsigned i = 0; i < PAGES_MAX; i++)
		pages[i] = mem_pages_alloc(1);
	for (unsigned i = 1; i < PAGES_MAX; i++)
		assert_ptr_equal(pages[i], pages[i - 1] + PAGE_BYTES);
	for (unsigned i = 0; i < PAGES_MAX; i += 2)
		mem_pages_free(pages[i], 1);
	mem_pages_free(pages[41], 1); // pages 40, 41, 42: across a word of the bitmap or not
	assert_ptr_equal(mem_pages_alloc(3), pages[40]);
	assert_true((uint8_t *)mem_pages_alloc(2) > pages[PAGES_MAX - 1]);
	assert_ptr_equal(mem_pages_alloc(1), pages[0]);
	check_invariants();
}

// Each start and length in turn is the only hole of a block.
static void a_run_is_found_wherever_it_lies(void **state)
{
	static const unsigned lengths[] = {1, 2, 63, 64, 65, 127, 128, 129};
	uint8_t *all;

	(void)state;
	init_whole();
	while (mem_count().free_pages > 0)
		assert_non_null(mem_pages_alloc(1));
	all = mem_pages_alloc(PAGES_PER_BLOCK - 1);
	assert_non_null(mem_pages_alloc(1));
	while (mem_large_alloc() != NULL)
		;
	for (unsigned i = 0; i < ARRAY_COUNT(lengths); i++)
		for (unsigned first = 0; first + lengths[i] < PAGES_PER_BLOCK; first++) {
			uint8_t *at = all + first * PAGE_BYTES;

			mem_pages_free(at, lengths[i]);
			assert_null(mem_pages_alloc(lengths[i] + 1));
			assert_ptr_equal(mem_pages_alloc(lengths[i]), at);
		}
	for (unsigned gap = 1; gap < 200; gap++) { // two holes are not one run
		mem_pages_free(all + 63 * PAGE_BYTES, 1);
		mem_pages_free(all + (64 + gap) * PAGE_BYTES, 1);
		assert_null(mem_pages_alloc(2));
		assert_ptr_equal(mem_pages_alloc(1), all + 63 * PAGE_BYTES);
		assert_ptr_equal(mem_pages_alloc(1), all + (64 + gap) * PAGE_BYTES);
	}
	expect_counts(0, 0, BLOCKS - 2);
}

static void exhaustion_answers_null(void **state)
{
	(void)state;
	init_whole();
	while (mem_large_alloc() != NULL)
		;
	assert_null(mem_pages_alloc(PAGES_PER_BLOCK - 1));
	while (mem_pages_alloc(1) != NULL)
		;
	assert_null(mem_pages_alloc(2));
	expect_counts(0, 0, BLOCKS - 1);
}

static void blocks_are_lent_once_and_come_back(void **state)
{
	uint8_t *taken[BLOCKS - 1];

	(void)state;
	init_whole();
	for (unsigned i = 0; i < BLOCKS - 1; i++) { // low memory first
		taken[i] = mem_large_alloc();
		assert_ptr_equal(taken[i], arena + (i + 1) * LARGE_PAGE_BYTES);
	}
	expect_counts(PAGES_PER_BLOCK - table_pages(), 0, BLOCKS - 1);
	for (unsigned i = 0; i < BLOCKS - 1; i++)
		mem_large_free(taken[i]);
	expect_counts(PAGES_PER_BLOCK - table_pages(), BLOCKS - 1, 0);
}

// An assertion does not come back here in the image: the lock that it leaves is the test's to free.
#define expect_refusal(call)                                                                       \
	do {                                                                                       \
		expect_assert_failure(call);                                                       \
		lock = (struct spinlock){0};                                                       \
	} while (0)

static void wrong_frees_are_assertions(void **state)
{
	uint8_t *page, *block, *last;

	(void)state;
	init_whole();
	page = mem_pages_alloc(2);
	last = mem_pages_alloc(PAGES_PER_BLOCK - 1);
	block = mem_large_alloc();
	mem_pages_free(page, 1);
	expect_refusal(mem_pages_free(page, 1));
	expect_refusal(mem_pages_free(page + 2 * PAGE_BYTES, 1)); // was never taken
	expect_refusal(mem_pages_free(block, 1));
	expect_refusal(mem_pages_free(last + PAGE_BYTES, PAGES_PER_BLOCK));
	expect_refusal(mem_pages_free(arena + BLOCKS * LARGE_PAGE_BYTES, 1));
	expect_refusal(mem_large_free(page));
	expect_refusal(mem_large_free(block + PAGE_BYTES));
	mem_pages_free(last, PAGES_PER_BLOCK - 1);
	expect_refusal(mem_pages_free(last, 1)); // whole again
	mem_large_free(block);
	expect_refusal(mem_large_free(block));
	expect_refusal(mem_pages_alloc(0));
	expect_refusal(mem_pages_alloc(PAGES_PER_BLOCK));
	check_invariants();
}

// Ranges that begin and end inside blocks, with something else between them.
static void uneven_ranges_are_used_to_the_page(void **state)
{
	uint64_t pages;

	(void)state;
	add_range(0x1000, 0x9e000, BOOT_RANGE_FREE); // below 1 MiB: left alone
	add_range(ARENA + 3 * PAGE_BYTES, 5 * LARGE_PAGE_BYTES, BOOT_RANGE_FREE);
	add_range(ARENA + 5 * LARGE_PAGE_BYTES + 3 * PAGE_BYTES, 10 * PAGE_BYTES,
		BOOT_RANGE_IMAGE);
	add_range(ARENA + 5 * LARGE_PAGE_BYTES + 13 * PAGE_BYTES, 7 * PAGE_BYTES,
		BOOT_RANGE_FREE);
	add_range(ARENA + 6 * LARGE_PAGE_BYTES, PAGE_BYTES, BOOT_RANGE_FIRMWARE);
	add_range(ARENA + 7 * LARGE_PAGE_BYTES, LARGE_PAGE_BYTES, BOOT_RANGE_FREE);
	add_range(ARENA + 9 * LARGE_PAGE_BYTES, GIB, BOOT_RANGE_DEVICE);
	mem_init(&info);
	pages = PAGES_PER_BLOCK - 3 - table_pages() + 3 + 7;
	assert_int_equal(mem_count().total_bytes,
		0x9e000 + 5 * LARGE_PAGE_BYTES + 18 * PAGE_BYTES + LARGE_PAGE_BYTES);
	expect_counts(pages, 5, 0);
	for (; pages > 0; pages--) {
		uint8_t *page = mem_pages_alloc(1);
		uint64_t offset = (uint64_t)(page - arena);

		assert_true(offset >= 3 * PAGE_BYTES);
		if (offset < LARGE_PAGE_BYTES)
			continue;
		offset -= 5 * LARGE_PAGE_BYTES;
		assert_true(offset < 3 * PAGE_BYTES ||
			(offset >= 13 * PAGE_BYTES && offset < 20 * PAGE_BYTES));
	}
	assert_int_equal(mem_count().free_blocks, 5);
}

// Neighbouring free ranges that a block is shared by, and a table larger than the first of them.
static void the_table_goes_where_it_fits(void **state)
{
	(void)state;
	add_range(ARENA, PAGE_BYTES, BOOT_RANGE_FREE);
	add_range(ARENA + PAGE_BYTES, LARGE_PAGE_BYTES - PAGE_BYTES, BOOT_RANGE_FREE);
	add_range(ARENA + LARGE_PAGE_BYTES, PAGE_BYTES, BOOT_RANGE_FREE);
	add_range(ARENA + LARGE_PAGE_BYTES + PAGE_BYTES, LARGE_PAGE_BYTES - PAGE_BYTES,
		BOOT_RANGE_FREE);
	mem_init(&info);
	assert_true(table_pages() > 1);
	assert_ptr_equal(blocks, arena + PAGE_BYTES);
	expect_counts(PAGES_PER_BLOCK - table_pages(), 1, 0);
}

static void no_room_for_the_table_is_an_assertion(void **state)
{
	(void)state;
	add_range(ARENA, PAGE_BYTES, BOOT_RANGE_FREE);
	expect_assert_failure(mem_init(&info));
}

// The model: who owns each page (0: nobody).
enum { SLOTS = 300 };
static uint16_t owner[BLOCKS * PAGES_PER_BLOCK];
static struct {
	uint8_t *memory;
	unsigned count;
} slots[SLOTS];
static uint64_t seed;

static uint32_t random_below(uint32_t limit)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % limit;
}

static void own(uint8_t *memory, unsigned count, uint16_t from, uint16_t to)
{
	uint64_t first = (uint64_t)(memory - arena) / PAGE_BYTES;

	for (uint64_t i = first; i < first + count; i++) {
		assert_true(i < BLOCKS * PAGES_PER_BLOCK);
		assert_int_equal(owner[i], from);
		owner[i] = to;
	}
}

static void slot_release(unsigned slot)
{
	own(slots[slot].memory, slots[slot].count, (uint16_t)(slot + 1), 0);
	if (slots[slot].count == PAGES_PER_BLOCK)
		mem_large_free(slots[slot].memory);
	else
		mem_pages_free(slots[slot].memory, slots[slot].count);
	slots[slot].memory = NULL;
}

static void slot_take(unsigned slot)
{
	unsigned count = random_below(10) == 0 ? PAGES_PER_BLOCK
		: random_below(4) == 0	       ? 1 + random_below(PAGES_PER_BLOCK - 1)
					       : 1 + random_below(4);
	uint64_t whole = mem_count().free_blocks;
	uint8_t *memory = count == PAGES_PER_BLOCK ? mem_large_alloc() : mem_pages_alloc(count);

	if (memory == NULL) {
		assert_int_equal(whole, 0);
		return;
	}
	slots[slot].memory = memory;
	slots[slot].count = count;
	own(memory, count, 0, (uint16_t)(slot + 1));
	if (count != PAGES_PER_BLOCK)
		assert_true(is_zero(memory, count * PAGE_BYTES));
	memset(memory, (int)(slot | 1), count * PAGE_BYTES);
}

static void random_steps_agree_with_a_model(void **state)
{
	uint64_t pages, whole;

	(void)state;
	init_whole();
	pages = mem_count().free_pages;
	whole = mem_count().free_blocks;
	memset(owner, 0, sizeof(owner));
	own(arena, (unsigned)table_pages(), 0, UINT16_MAX);
	seed = 7;
	for (unsigned step = 0; step < 20000; step++) {
		unsigned slot = random_below(SLOTS);

		if (slots[slot].memory != NULL)
			slot_release(slot);
		else
			slot_take(slot);
		if (step % 64 == 0)
			check_invariants();
	}
	for (unsigned slot = 0; slot < SLOTS; slot++)
		if (slots[slot].memory != NULL)
			slot_release(slot);
	expect_counts(pages, whole, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(all_memory_is_counted, setup),
		cmocka_unit_test_setup(the_table_is_not_handed_out, setup),
		cmocka_unit_test_setup(pages_are_zeroed_and_blocks_are_not, setup),
		cmocka_unit_test_setup(whole_blocks_stay_whole, setup),
		cmocka_unit_test_setup(a_split_block_becomes_whole_again, setup),
		cmocka_unit_test_setup(neighbours_are_found_among_holes, setup),
		cmocka_unit_test_setup(a_run_is_found_wherever_it_lies, setup),
		cmocka_unit_test_setup(exhaustion_answers_null, setup),
		cmocka_unit_test_setup(blocks_are_lent_once_and_come_back, setup),
		cmocka_unit_test_setup(wrong_frees_are_assertions, setup),
		cmocka_unit_test_setup(uneven_ranges_are_used_to_the_page, setup),
		cmocka_unit_test_setup(the_table_goes_where_it_fits, setup),
		cmocka_unit_test_setup(no_room_for_the_table_is_an_assertion, setup),
		cmocka_unit_test_setup(random_steps_agree_with_a_model, setup),
	};

	return cmocka_run_group_tests_name("mem", tests, arena_map, arena_unmap);
}

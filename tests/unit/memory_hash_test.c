// SPDX-License-Identifier: BSD-2-Clause
#include "replay/memory_hash.h"

#include "tests/unit/fake_env.h"
// Above is what cmocka needs.
#include <stdlib.h>
#include <string.h>

#include "kernel/crc32c.h"
#include "kernel/mem.h"
#include "tests/unit/fake_ram.h"
#include "vm/vm.h"

enum { BLOCKS = 3, PAGES = BLOCKS * 512 };

static struct vm *vm;
static bool by_guest[BLOCKS + 1]; // and a device's
static unsigned asked, told;
static bool no_memory;

bool vm_memory_take_written(struct vm *of, uint64_t block)
{
	uint8_t *by_host = block < BLOCKS ? &of->ram.written[block]
					  : &of->device_memory.written[block - BLOCKS];
	bool written = by_guest[block] || *by_host != 0;

	asked++;
	by_guest[block] = false;
	*by_host = 0;
	return written;
}

void vm_memory_written_taken(struct vm *of)
{
	assert_ptr_equal(of, vm);
	told++;
}

void *mem_pages_alloc(unsigned count)
{
	return no_memory ? NULL : aligned_alloc(PAGE_BYTES, count * PAGE_BYTES);
}

void mem_pages_free(void *pages, unsigned count)
{
	(void)count;
	free(pages);
}

static void put(uint64_t at, uint64_t value)
{
	assert_int_equal(guest_ram_write(&vm->ram, (struct gpa){at}, &value, sizeof(value)),
		STATUS_OK);
}

static int setup(void **state)
{
	struct guest_ram *ram = fake_ram_create(BLOCKS * LARGE_PAGE_BYTES, 0);

	for (unsigned i = 0; i < BLOCKS; i++)
		memset(ram->blocks[i], 0, LARGE_PAGE_BYTES);
	vm = test_calloc(1, sizeof(*vm));
	vm->ram = *ram;
	vm->state = VM_CREATED;
	*state = ram;
	memset(by_guest, 0, sizeof(by_guest));
	asked = told = 0;
	no_memory = false;
	return 0;
}

static int teardown(void **state)
{
	fake_ram_destroy(*state);
	test_free(vm);
	return 0;
}

static struct memory_hash take(struct memory_hash_cache *cache)
{
	struct memory_hash hash;

	memory_hash_take(vm, cache, &hash);
	return hash;
}

static void zeros_add_nothing(void **state)
{
	const struct memory_hash zero = {0};
	struct memory_hash hash = take(NULL);

	(void)state;
	assert_memory_equal(&hash, &zero, sizeof(zero));
	put(0x5000, 1);
	hash = take(NULL);
	assert_false(memory_hash_equals(&hash, &zero));
	assert_true(memory_hash_accessed_equals(&hash, &zero));
	assert_int_equal(asked, 0);
	assert_int_equal(told, 0);
}

static void the_page_is_found(void **state)
{
	struct memory_hash before, after;
	uint64_t page = 0;

	(void)state;
	for (uint64_t at = GUEST_ROM_END; at < BLOCKS * LARGE_PAGE_BYTES; at += 0x18)
		put(at & ~7ull, at * 0x123456789);
	before = take(NULL);
	put(0x23f8, 3);
	put(0x2001 * 0x100, 7); // another group
	after = take(NULL);
	assert_true(memory_hash_find(&after, &before, PAGES, &page));
	assert_int_equal(page, 2);
	put(0x6010, 9); // two of one group
	put(0x200100, 0);
	after = take(NULL);
	assert_false(memory_hash_equals(&after, &before));
}

static void accessed_bits_are_apart(void **state)
{
	struct memory_hash before, after;
	uint64_t page = 0;

	(void)state;
	put(0x7008, 0x8000000000123007);
	before = take(NULL);
	put(0x7008, 0x8000000000123027);
	after = take(NULL);
	assert_true(memory_hash_equals(&after, &before));
	assert_false(memory_hash_accessed_equals(&after, &before));
	assert_true(memory_hash_find_accessed(&after, &before, PAGES, &page));
	assert_int_equal(page, 7);
	put(0x7008, 0x8000000000123047); // dirty
	after = take(NULL);
	assert_false(memory_hash_equals(&after, &before));
}

static void what_nobody_wrote_is_not_read_again(void **state)
{
	struct memory_hash_cache *cache;
	struct memory_hash hash, all;

	(void)state;
	assert_int_equal(memory_hash_cache_create(vm, &cache), STATUS_OK);
	put(0x200000, 5); // for the guest
	hash = take(cache);
	all = take(NULL);
	assert_memory_equal(&hash, &all, sizeof(all));
	assert_int_equal(asked, BLOCKS);
	assert_int_equal(told, 1);
	vm->ram.blocks[2][100] = 1; // by the guest
	by_guest[2] = true;
	hash = take(cache);
	all = take(NULL);
	assert_memory_equal(&hash, &all, sizeof(all));
	vm->ram.blocks[0][100] = 1; // by somebody who does not say so
	hash = take(cache);
	assert_memory_equal(&hash, &all, sizeof(all));
	memory_hash_cache_destroy(cache);
	vm->state = VM_PAUSED; // nobody knows what is there
	assert_int_equal(memory_hash_cache_create(vm, &cache), STATUS_OK);
	hash = take(cache);
	all = take(NULL);
	assert_memory_equal(&hash, &all, sizeof(all));
	memory_hash_cache_destroy(cache);
	memory_hash_cache_destroy(NULL);
}

static void a_devices_memory_counts(void **state)
{
	static uint8_t block[LARGE_PAGE_BYTES] __attribute__((aligned(8)));
	struct memory_hash_cache *cache;
	struct memory_hash before, after;
	uint64_t page;

	(void)state;
	vm->device_memory.block_count = 1;
	vm->device_memory.blocks[0] = block;
	assert_int_equal(memory_hash_cache_create(vm, &cache), STATUS_OK);
	before = take(cache);
	block[3 * PAGE_BYTES + 5] = 1;
	after = take(cache); // nobody has said so
	assert_true(memory_hash_equals(&before, &after));
	by_guest[BLOCKS] = true;
	after = take(cache);
	assert_false(memory_hash_equals(&before, &after));
	assert_true(memory_hash_find(&after, &before, PAGES + 512, &page));
	assert_int_equal(page, PAGES + 3);
	memory_hash_cache_destroy(cache);
}

static void there_may_be_no_memory(void **state)
{
	struct memory_hash_cache *cache;

	(void)state;
	no_memory = true;
	assert_int_equal(memory_hash_cache_create(vm, &cache), STATUS_NO_MEMORY);
}

static void words_are_summed_alike_by_table(void **state)
{
	uint64_t words[19], masked[19], none[3] = {0};
	const uint64_t mask = 0xff00ffffffffff0f;
	struct crc32c_pair pair, table;
	uint32_t crc;

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(words); i++) {
		words[i] = (i + 3) * 0x9e3779b97f4a7c15;
		masked[i] = words[i] & mask;
	}
	pair = crc32c_words(words, ARRAY_COUNT(words), mask);
	table = crc32c_words_by_table(words, ARRAY_COUNT(words), mask);
	assert_int_equal(pair.all, table.all);
	assert_int_equal(pair.masked, table.masked);
	crc = ~crc32c_update(UINT32_MAX, words, sizeof(words)); // both inversions undone
	assert_int_equal(pair.all, crc);
	crc = ~crc32c_update(UINT32_MAX, masked, sizeof(masked));
	assert_int_equal(pair.masked, crc);
	pair = crc32c_words(none, ARRAY_COUNT(none), mask);
	assert_int_equal(pair.all, 0);
	assert_int_equal(pair.masked, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(zeros_add_nothing),
		TEST(the_page_is_found),
		TEST(accessed_bits_are_apart),
		TEST(what_nobody_wrote_is_not_read_again),
		TEST(a_devices_memory_counts),
		TEST(there_may_be_no_memory),
		TEST(words_are_summed_alike_by_table),
	};

	return cmocka_run_group_tests_name("memory_hash", tests, NULL, NULL);
}

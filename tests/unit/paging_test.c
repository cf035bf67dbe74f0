// SPDX-License-Identifier: BSD-2-Clause
// Page-table walks against SDM 3A chapter 4: addresses, rights, reserved bits, flags, faults.
#include "vm/paging.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/fake_env.h"

#define P  PAGING_ENTRY_PRESENT
#define W  PAGING_ENTRY_WRITE
#define U  PAGING_ENTRY_USER
#define A  PAGING_ENTRY_ACCESSED
#define D  PAGING_ENTRY_DIRTY
#define PS PAGING_ENTRY_LARGE
#define NX PAGING_ENTRY_NX

#define CR0_ON (BIT(31) | 1)
#define WP     BIT(16)
#define PSE    BIT(4)
#define PAE    BIT(5)
#define LA57   BIT(12)
#define SMEP   BIT(20)
#define SMAP   BIT(21)
#define LONG   (BIT(8) | BIT(10))
#define NXE    BIT(11)
#define AC     BIT(18)

// Tables, one page each, in the second block; the first holds pages.
enum { T5 = 0x200000, T4 = 0x201000, T3 = 0x202000, T2 = 0x203000, T1 = 0x204000, PAGE = 0x5000 };
// A linear address with different indices in all five tables: 3, 5, 7, 9, 11, offset 0x123.
#define LINEAR (3ull << 48 | 5ull << 39 | 7ull << 30 | 9ull << 21 | 11ull << 12 | 0x123)

static uint8_t *blocks[2], written[2];
static struct guest_ram ram = {.blocks = blocks, .written = written, .block_count = 2,
	.low_bytes = 2 * LARGE_PAGE_BYTES};
static struct paging paging;

static void poke(uint64_t table, unsigned index, uint64_t entry)
{
	memcpy(blocks[table / LARGE_PAGE_BYTES] + table % LARGE_PAGE_BYTES + index * 8, &entry, 8);
}

static uint64_t peek(uint64_t table, unsigned index)
{
	uint64_t entry;

	memcpy(&entry, blocks[table / LARGE_PAGE_BYTES] + table % LARGE_PAGE_BYTES + index * 8, 8);
	return entry;
}

static void poke32(uint64_t table, unsigned index, uint32_t entry)
{
	memcpy(blocks[1] + table % LARGE_PAGE_BYTES + index * 4, &entry, 4);
}

static int setup(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		free(blocks[i]);
		blocks[i] = calloc(1, LARGE_PAGE_BYTES);
	}
	memset(&paging, 0, sizeof(paging));
	poke(T5, 3, T4 | P | W | U);
	poke(T4, 5, T3 | P | W | U);
	poke(T3, 7, T2 | P | W | U);
	poke(T2, 9, T1 | P | W | U);
	poke(T1, 11, PAGE | P | W | U);
	return 0;
}

static void set_4_level(uint64_t cr0, uint64_t cr4, uint64_t efer)
{
	paging_set(&paging, CR0_ON | cr0, T4, PAE | cr4, LONG | efer, 40, true);
}

static void expect(uint64_t from, unsigned access, uint64_t want)
{
	struct paging_fault fault = {0};
	struct gpa to = {0};

	// Twice: the second may be answered by what the first left behind.
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(paging_translate(&paging, &ram, (struct gva){from}, access, true,
			&to, &fault), STATUS_OK);
		assert_true(to.v == want);
	}
}

static void expect_fault(uint64_t from, unsigned access, uint32_t error_code)
{
	struct paging_fault fault = {0};
	struct gpa to;

	assert_int_equal(paging_translate(&paging, &ram, (struct gva){from}, access, true, &to,
		&fault), STATUS_FAULT);
	assert_int_equal(fault.error_code, error_code);
	assert_true(fault.cr2 == from);
}

static void test_none(void **state)
{
	(void)state;
	paging_set(&paging, 1, T4, 0, 0, 40, true);
	expect(0x12345678, PAGING_WRITE, 0x12345678);
	expect(0x112345678, PAGING_WRITE, 0x12345678);
}

static void test_levels(void **state)
{
	(void)state;
	set_4_level(0, 0, 0);
	expect(LINEAR & (BIT(48) - 1), PAGING_WRITE, PAGE + 0x123);
	paging_set(&paging, CR0_ON, T5, PAE | LA57, LONG, 40, true);
	expect(LINEAR, PAGING_WRITE, PAGE + 0x123);
	poke(T2, 9, 0x40200000 | P | PS);
	expect(LINEAR, 0, 0x40200000 + (LINEAR & 0x1fffff));
	poke(T3, 7, 0x80000000 | P | PS);
	expect(LINEAR, 0, 0x80000000 + (LINEAR & 0x3fffffff));
	poke(T5, 3, 0);
	expect_fault(LINEAR, PAGING_USER | PAGING_WRITE, 6);
}

static void test_pae(void **state)
{
	uint64_t at = 1ull << 30 | 9 << 21 | 11 << 12 | 0x123;

	(void)state;
	poke(T3 + 0x20, 1, T2 | P); // a table of 32 bytes, not page-aligned
	poke(T1, 11, 0x8000000000 | PAGE | P);
	paging_set(&paging, CR0_ON, T3 + 0x20, PAE, 0, 40, true);
	expect(at, 0, 0x8000000000 + PAGE + 0x123);
	assert_true(peek(T3 + 0x20, 1) == (T2 | P)); // PDPTEs have no accessed flag
	assert_true(peek(T2, 9) & A);
	poke(T2, 9, 0x40200000 | P | PS);
	expect(at, 0, 0x40200000 + (at & 0x1fffff));
	expect_fault(at, PAGING_USER, 5);
	poke(T3 + 0x20, 1, T2 | P | W); // reserved in a PDPTE
	expect_fault(at, 0, 9);
	poke(T3 + 0x20, 1, T2);
	expect_fault(at, PAGING_WRITE, 2);
}

static void test_32_bit(void **state)
{
	uint32_t at = 3u << 22 | 5 << 12 | 0x123;

	(void)state;
	memset(blocks[1], 0, 0x8000);
	poke32(T3, 3, T2 | (uint32_t)(P | W | U));
	poke32(T2, 5, PAGE | (uint32_t)(P | U));
	paging_set(&paging, CR0_ON, T3, 0, 0, 40, true);
	expect(at, PAGING_USER, PAGE + 0x123);
	expect_fault(at, PAGING_USER | PAGING_WRITE, 7);
	// No PSE: bit 7 is ignored.
	poke32(T3, 3, T2 | (uint32_t)(P | W | U | PS));
	expect(at, PAGING_USER, PAGE + 0x123);
	paging_set(&paging, CR0_ON, T3, PSE, 0, 40, true);
	expect_fault(at, PAGING_USER | PAGING_WRITE, 0xf); // now a page, with bit 21 set
	poke32(T3, 3, 0x00c00000 | (uint32_t)(P | W | U | PS | BIT(13) | BIT(20)));
	expect(at, PAGING_WRITE, 0x8100c00000 | 5 << 12 | 0x123);
	poke32(T3, 3, 0x00c00000 | (uint32_t)(P | PS | BIT(21)));
	expect_fault(at, 0, 9);
	paging_set(&paging, CR0_ON, T3, PSE, 0, 36, true); // bits 39:36 do not exist
	poke32(T3, 3, 0x00c00000 | (uint32_t)(P | PS | BIT(17)));
	expect_fault(at, 0, 9);
}

// Each reserved bit of each level, and only those (SDM 3A tables 4-14 to 4-19).
static void test_reserved(void **state)
{
	static const struct {
		uint64_t table;
		unsigned index;
		uint64_t entry, reserved;
	} levels[] = {
		{T4, 5, T3 | P, PS},
		{T3, 7, T2 | P, 0},
		{T3, 7, 0x80000000 | P | PS, BIT(30) - BIT(13)},
		{T2, 9, T1 | P, 0},
		{T2, 9, 0x40200000 | P | PS, BIT(21) - BIT(13)},
		{T1, 11, PAGE | P, 0},
	};
	uint64_t at = LINEAR & (BIT(48) - 1);

	for (unsigned i = 0; i < ARRAY_COUNT(levels); i++) {
		for (unsigned bit = 8; bit < 64; bit++) {
			uint64_t reserved = levels[i].reserved | (BIT(52) - BIT(40)) | NX;
			struct paging_fault fault = {0};
			struct gpa to;

			setup(state);
			set_4_level(0, 0, 0);
			poke(levels[i].table, levels[i].index, levels[i].entry | BIT(bit));
			if (reserved & BIT(bit)) {
				expect_fault(at, 0, 9);
				continue;
			}
			// It may lead elsewhere, but not to a reserved bit here.
			if (paging_translate(&paging, &ram, (struct gva){at}, 0, true, &to,
				&fault) != STATUS_OK)
				assert_true(bit >= 12 && bit < 40);
		}
	}
	setup(state);
	poke(T4, 5, T3 | P | PS);
	set_4_level(0, 0, 0);
	expect_fault(at, 0, 9);
	setup(state);
	poke(T3, 7, 0x80000000 | P | PS);
	paging_set(&paging, CR0_ON, T4, PAE, LONG, 40, false); // a CPU without 1 GiB pages
	expect_fault(at, 0, 9);
}

// The model: SDM 3A 4.6.1, written down once more.
static bool model(uint64_t user_page, uint64_t writable, uint64_t nx, uint64_t cr0, uint64_t cr4,
	uint64_t rflags, unsigned access)
{
	if (access & PAGING_FETCH) {
		if (nx)
			return false;
		return access & PAGING_USER ? user_page != 0 : !(user_page && (cr4 & SMEP));
	}
	if (access & PAGING_USER)
		return user_page && (!(access & PAGING_WRITE) || writable);
	if (user_page && (cr4 & SMAP) && !((rflags & AC) && !(access & PAGING_IMPLICIT)))
		return false;
	return !(access & PAGING_WRITE) || writable || !(cr0 & WP);
}

static void test_rights(void **state)
{
	static const unsigned accesses[] = {0, PAGING_WRITE, PAGING_USER,
		PAGING_USER | PAGING_WRITE, PAGING_FETCH, PAGING_FETCH | PAGING_USER,
		PAGING_IMPLICIT, PAGING_IMPLICIT | PAGING_WRITE};
	static const struct { uint64_t table; unsigned index; } where[] = {
		{T4, 5}, {T3, 7}, {T2, 9}, {T1, 11}};
	uint64_t at = LINEAR & (BIT(48) - 1);

	for (unsigned i = 0; i < 4 * 8 * 16 * ARRAY_COUNT(accesses); i++) {
		unsigned level = i % 4, access = accesses[i / (4 * 8 * 16)];
		uint64_t u = i & 4 ? U : 0, w = i & 8 ? W : 0, nx = i & 16 ? NX : 0;
		uint64_t cr0 = i & 32 ? WP : 0, cr4 = (i & 64 ? SMEP : 0) | (i & 128 ? SMAP : 0);
		uint64_t entry;

		setup(state);
		paging.rflags = i & 256 ? AC : 0;
		entry = peek(where[level].table, where[level].index) & ~(W | U);
		poke(where[level].table, where[level].index, entry | u | w | nx);
		set_4_level(cr0, cr4, NXE);
		if (model(u, w, nx, cr0, cr4, paging.rflags, access)) {
			expect(at, access, PAGE + 0x123);
			assert_true(peek(T1, 11) & A);
			assert_int_equal((peek(T1, 11) & D) != 0, (access & PAGING_WRITE) != 0);
		} else {
			expect_fault(at, access, (access & 0x16) | 1);
			assert_true((peek(T1, 11) & (A | D)) == 0);
		}
	}
}

// Error code bit 4 is reported only where something can forbid a fetch (SDM 3A 4.7).
static void test_fetch_bit(void **state)
{
	uint64_t at = LINEAR & (BIT(48) - 1);

	(void)state;
	poke(T1, 11, 0);
	set_4_level(0, 0, 0);
	expect_fault(at, PAGING_FETCH, 0);
	set_4_level(0, 0, NXE);
	expect_fault(at, PAGING_FETCH, 0x10);
	set_4_level(0, SMEP, 0);
	expect_fault(at, PAGING_FETCH | PAGING_USER, 0x14);
}

// A finished walk is believed only while the tables say the same, flags included.
static void test_memo(void **state)
{
	uint64_t at = LINEAR & (BIT(48) - 1);
	static const struct { uint64_t table; unsigned index; } where[] = {
		{T4, 5}, {T3, 7}, {T2, 9}, {T1, 11}};

	for (unsigned i = 0; i < 4; i++) {
		setup(state);
		set_4_level(WP, 0, 0);
		expect(at, PAGING_WRITE, PAGE + 0x123);
		poke(where[i].table, where[i].index, 0);
		expect_fault(at, PAGING_WRITE, 2);
	}
	setup(state);
	set_4_level(WP, SMAP, 0);
	paging.rflags = AC;
	expect(at, PAGING_WRITE, PAGE + 0x123);
	paging.rflags = 0;
	expect_fault(at, PAGING_WRITE, 3);
	paging.rflags = AC;
	poke(T1, 11, peek(T1, 11) & ~(A | D)); // the guest looks whether the page is used
	expect(at, PAGING_WRITE, PAGE + 0x123);
	assert_true((peek(T1, 11) & (A | D)) == (A | D));
	poke(T1, 11, peek(T1, 11) & ~W);
	expect_fault(at, PAGING_WRITE, 3);
	paging.cr3 = T3;
	expect_fault(at, PAGING_WRITE, 2);
	paging.cr3 = T4;
	set_4_level(0, SMAP, 0); // WP off: as a supervisor it may write
	expect(at, PAGING_WRITE, PAGE + 0x123);
}

static void test_outside(void **state)
{
	struct paging_fault fault;
	struct gpa to;

	(void)state;
	paging_set(&paging, CR0_ON, 0x10000000, PAE, LONG, 40, true); // no memory there
	assert_int_equal(paging_translate(&paging, &ram, (struct gva){0x1000}, 0, true, &to,
		&fault), STATUS_FAULT);
	assert_int_equal(fault.error_code, 9);
}

static void test_range(void **state)
{
	uint64_t at = (LINEAR & (BIT(48) - 1) & ~0xfffull) + 0xffe;
	struct paging_range range;
	struct paging_fault fault;

	(void)state;
	set_4_level(0, 0, 0);
	assert_int_equal(paging_translate_range(&paging, &ram, (struct gva){at}, 4, PAGING_WRITE,
		&range, &fault), STATUS_FAULT);
	assert_true(fault.cr2 == at + 2);
	poke(T1, 12, 0x9000 | P | W);
	assert_int_equal(paging_translate_range(&paging, &ram, (struct gva){at}, 4, PAGING_WRITE,
		&range, &fault), STATUS_OK);
	assert_true(range.parts == 2 && range.bytes[0] == 2 && range.bytes[1] == 2);
	assert_true(range.at[0].v == PAGE + 0xffe && range.at[1].v == 0x9000);
	assert_int_equal(paging_translate_range(&paging, &ram, (struct gva){at}, 2, PAGING_WRITE,
		&range, &fault), STATUS_OK);
	assert_true(range.parts == 1 && range.bytes[0] == 2);
}

static void test_fetch(void **state)
{
	uint64_t page = LINEAR & (BIT(48) - 1) & ~0xfffull;
	struct paging_code code;

	(void)state;
	for (unsigned i = 0; i < 0x8000; i++)
		blocks[0][i] = (uint8_t)(i >> 8 ^ i);
	set_4_level(0, 0, NXE);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(paging_fetch(&paging, &ram, (struct gva){page + 0x10}, 0, &code),
			STATUS_OK);
		assert_ptr_equal(code.bytes, blocks[0] + PAGE + 0x10);
		assert_int_equal(code.available, 0xff0);
	}
	assert_true((peek(T1, 11) & A) == 0);
	// At the end of a page, the next one missing: what there is, and the fault for later.
	assert_int_equal(paging_fetch(&paging, &ram, (struct gva){page + 0xff8}, 0, &code),
		STATUS_OK);
	assert_int_equal(code.available, 8);
	assert_true(code.next_fault && code.fault.cr2 == page + 0x1000);
	assert_int_equal(code.fault.error_code, 0x10);
	poke(T1, 12, 0x2000 | P);
	assert_int_equal(paging_fetch(&paging, &ram, (struct gva){page + 0xff8}, 0, &code),
		STATUS_OK);
	assert_int_equal(code.available, 16);
	assert_memory_equal(code.bytes, blocks[0] + PAGE + 0xff8, 8);
	assert_memory_equal(code.bytes + 8, blocks[0] + 0x2000, 8);
	poke(T1, 11, PAGE | P | NX);
	assert_int_equal(paging_fetch(&paging, &ram, (struct gva){page + 0x10}, PAGING_USER, &code),
		STATUS_FAULT);
	assert_int_equal(code.fault.error_code, 0x15);
	poke(T1, 11, 0xa0000 | P); // the VGA window
	assert_int_equal(paging_fetch(&paging, &ram, (struct gva){page + 0x10}, 0, &code),
		STATUS_RANGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_none, setup),
		cmocka_unit_test_setup(test_levels, setup),
		cmocka_unit_test_setup(test_pae, setup),
		cmocka_unit_test_setup(test_32_bit, setup),
		cmocka_unit_test_setup(test_reserved, setup),
		cmocka_unit_test_setup(test_rights, setup),
		cmocka_unit_test_setup(test_fetch_bit, setup),
		cmocka_unit_test_setup(test_memo, setup),
		cmocka_unit_test_setup(test_outside, setup),
		cmocka_unit_test_setup(test_range, setup),
		cmocka_unit_test_setup(test_fetch, setup),
	};
	int failed = cmocka_run_group_tests_name("paging", tests, NULL, NULL);

	free(blocks[0]);
	free(blocks[1]);
	return failed;
}

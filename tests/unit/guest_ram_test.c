// SPDX-License-Identifier: BSD-2-Clause
// Guest memory: the map of a PC's address space, copies across its borders, and compare-exchange.
#include "vm/guest_ram.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/fake_env.h"
#include "tests/unit/fake_ram.h"

// 4 MiB below the hole, 2 MiB above: the blocks between are not there.
#define LOW      (4 * MIB)
#define HIGH     (2 * MIB)
#define HIGH_END (GUEST_RAM_HIGH + HIGH)

static struct guest_ram *ram;

static int setup(void **state)
{
	(void)state;
	ram = fake_ram_create(LOW, HIGH);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_ram_destroy(ram);
	return 0;
}

static enum guest_ram_kind kind(uint64_t at)
{
	return guest_ram_kind(ram, (struct gpa){at});
}

static void every_border_of_the_map_is_right(void **state)
{
	static const struct {
		uint64_t at;
		enum guest_ram_kind below, from;
	} borders[] = {
		{GUEST_VGA_START, GUEST_RAM_RAM, GUEST_RAM_NONE},
		{GUEST_ROM_START, GUEST_RAM_NONE, GUEST_RAM_ROM},
		{GUEST_ROM_END, GUEST_RAM_ROM, GUEST_RAM_RAM},
		{LARGE_PAGE_BYTES, GUEST_RAM_RAM, GUEST_RAM_RAM},
		{LOW, GUEST_RAM_RAM, GUEST_RAM_NONE},
		{GUEST_RAM_LOW_MAX, GUEST_RAM_NONE, GUEST_RAM_NONE},
		{GUEST_RAM_HIGH, GUEST_RAM_NONE, GUEST_RAM_RAM},
		{HIGH_END, GUEST_RAM_RAM, GUEST_RAM_NONE},
		{HIGH_END + GUEST_RAM_HIGH, GUEST_RAM_NONE, GUEST_RAM_NONE},
		{BIT(63), GUEST_RAM_NONE, GUEST_RAM_NONE},
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(borders); i++) {
		assert_int_equal(kind(borders[i].at - 1), borders[i].below);
		assert_int_equal(kind(borders[i].at), borders[i].from);
	}
	assert_int_equal(kind(0), GUEST_RAM_RAM);
	assert_int_equal(kind(UINT64_MAX), GUEST_RAM_NONE);
}

static void pages_lead_to_their_blocks(void **state)
{
	(void)state;
	assert_ptr_equal(guest_ram_page(ram, (struct gpa){0x1234}), ram->blocks[0] + 0x1234);
	assert_ptr_equal(guest_ram_page(ram, (struct gpa){0x2abcde}), ram->blocks[1] + 0xabcde);
	assert_ptr_equal(guest_ram_page(ram, (struct gpa){GUEST_ROM_START}),
		ram->blocks[0] + GUEST_ROM_START);
	assert_ptr_equal(guest_ram_page(ram, (struct gpa){GUEST_RAM_HIGH + 5}),
		ram->blocks[GUEST_RAM_HIGH / LARGE_PAGE_BYTES] + 5);
	assert_null(guest_ram_page(ram, (struct gpa){GUEST_VGA_START}));
	assert_null(guest_ram_page(ram, (struct gpa){LOW}));
	assert_null(guest_ram_page(ram, (struct gpa){UINT64_MAX}));
}

// The bytes of a pattern that never repeats within a page.
static void pattern(uint8_t *to, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		to[i] = (uint8_t)(i * 7 + i / 251 + 1);
}

static void expect_copied(uint64_t at, size_t bytes)
{
	uint8_t *data = calloc(1, bytes), *back = calloc(1, bytes);

	pattern(data, bytes);
	assert_int_equal(guest_ram_write(ram, (struct gpa){at}, data, bytes), STATUS_OK);
	assert_int_equal(guest_ram_read(ram, (struct gpa){at}, back, bytes), STATUS_OK);
	assert_memory_equal(data, back, bytes);
	for (size_t i = 0; i < bytes; i++)
		assert_int_equal(ram->blocks[(at + i) / LARGE_PAGE_BYTES]
					    [(at + i) % LARGE_PAGE_BYTES], data[i]);
	if (kind(at - 1) == GUEST_RAM_RAM)
		assert_true(fake_ram_holds(ram, at - 1, 1, FAKE_RAM_POISON));
	if (kind(at + bytes) == GUEST_RAM_RAM)
		assert_true(fake_ram_holds(ram, at + bytes, 1, FAKE_RAM_POISON));
	free(data);
	free(back);
}

static void copies_cross_pages_and_blocks(void **state)
{
	(void)state;
	expect_copied(0x10, 1);
	expect_copied(0x2ffe, 4);               // a page
	expect_copied(0x5fff, 3 * 4096 + 2);    // several
	expect_copied(2 * MIB - 3, 7);          // a block
	expect_copied(2 * MIB + 100, 2 * MIB - 100); // to the end
	expect_copied(GUEST_VGA_START - 8, 8);
	expect_copied(GUEST_ROM_END, 8);
	expect_copied(GUEST_RAM_HIGH, 16);
	expect_copied(HIGH_END - 16, 16);
}

static void expect_no_write(uint64_t at, size_t bytes)
{
	static uint8_t zeros[2 * 4096];
	uint64_t first = at & ~4095ull;

	assert_int_equal(guest_ram_write(ram, (struct gpa){at}, zeros, bytes), STATUS_RANGE);
	for (uint64_t page = first; page < first + 3 * 4096; page += 4096)
		if (kind(page) != GUEST_RAM_NONE)
			assert_true(fake_ram_holds(ram, page, 4096, FAKE_RAM_POISON));
}

// One byte outside, and nothing at all is copied.
static void writes_that_leave_ram_do_nothing(void **state)
{
	(void)state;
	expect_no_write(GUEST_VGA_START - 8, 9);
	expect_no_write(GUEST_VGA_START, 1);
	expect_no_write(GUEST_ROM_START - 1, 1);
	expect_no_write(GUEST_ROM_START, 1);
	expect_no_write(GUEST_ROM_END - 1, 2);
	expect_no_write(LOW - 4096, 4097);
	expect_no_write(LOW, 1);
	expect_no_write(GUEST_RAM_HIGH - 1, 2);
	expect_no_write(HIGH_END - 1, 2);
}

static void expect_no_read(uint64_t at, size_t bytes)
{
	uint8_t data[64];

	memset(data, 0x3c, sizeof(data));
	assert_int_equal(guest_ram_read(ram, (struct gpa){at}, data, bytes), STATUS_RANGE);
	for (unsigned i = 0; i < sizeof(data); i++)
		assert_int_equal(data[i], 0x3c);
}

static void reads_that_leave_memory_do_nothing(void **state)
{
	(void)state;
	expect_no_read(GUEST_VGA_START - 8, 9);
	expect_no_read(GUEST_ROM_START - 1, 2);
	expect_no_read(LOW - 1, 2);
	expect_no_read(GUEST_RAM_HIGH - 1, 2);
	expect_no_read(HIGH_END - 1, 2);
}

static void addresses_do_not_wrap_around(void **state)
{
	uint8_t byte = 0;

	(void)state;
	expect_no_read(UINT64_MAX, 1);
	expect_no_read(UINT64_MAX - 3, 8);
	assert_int_equal(guest_ram_read(ram, (struct gpa){0x1000}, &byte, SIZE_MAX), STATUS_RANGE);
	assert_int_equal(guest_ram_write(ram, (struct gpa){0x1000}, &byte, SIZE_MAX),
		STATUS_RANGE);
	assert_int_equal(guest_ram_write(ram, (struct gpa){UINT64_MAX - 4095}, &byte, SIZE_MAX),
		STATUS_RANGE);
	assert_true(fake_ram_holds(ram, 0, 0x3000, FAKE_RAM_POISON));
}

static void nothing_can_be_copied_anywhere(void **state)
{
	(void)state;
	assert_int_equal(guest_ram_read(ram, (struct gpa){LOW}, NULL, 0), STATUS_OK);
	assert_int_equal(guest_ram_write(ram, (struct gpa){UINT64_MAX}, NULL, 0), STATUS_OK);
}

static void rom_is_written_by_the_builder_alone(void **state)
{
	static const uint8_t code[] = {0xea, 0x5b, 0xe0, 0x00, 0xf0};
	uint8_t back[5];

	(void)state;
	assert_int_equal(guest_ram_write(ram, (struct gpa){0xffff0}, code, 5), STATUS_RANGE);
	assert_int_equal(guest_ram_write_rom(ram, (struct gpa){0xffff0}, code, 5), STATUS_OK);
	assert_int_equal(guest_ram_read(ram, (struct gpa){0xffff0}, back, 5), STATUS_OK);
	assert_memory_equal(code, back, 5);
	assert_int_equal(guest_ram_write_rom(ram, (struct gpa){0xffffe}, code, 5), STATUS_OK);
	assert_int_equal(guest_ram_write_rom(ram, (struct gpa){GUEST_ROM_START - 1}, code, 5),
		STATUS_RANGE);
	assert_int_equal(guest_ram_write_rom(ram, (struct gpa){LOW - 1}, code, 5), STATUS_RANGE);
}

static void compare_exchange_takes_8_bytes(void **state)
{
	const uint64_t old = 0x1122334455667788, new = 0x99aabbccddeeff00;
	const struct gpa at = {2 * MIB - 8};

	(void)state;
	assert_int_equal(guest_ram_write(ram, at, &old, 8), STATUS_OK);
	assert_false(guest_ram_compare_exchange(ram, at, 8, old ^ BIT(63), new));
	assert_true(fake_ram_get64(ram, at.v) == old);
	assert_true(guest_ram_compare_exchange(ram, at, 8, old, new));
	assert_true(fake_ram_get64(ram, at.v) == new);
	assert_true(fake_ram_holds(ram, at.v - 8, 8, FAKE_RAM_POISON));
	assert_true(fake_ram_holds(ram, at.v + 8, 8, FAKE_RAM_POISON));
}

// The upper half of the arguments is not looked at.
static void compare_exchange_takes_4_bytes(void **state)
{
	const uint32_t old = 0x55667788;
	const struct gpa at = {GUEST_RAM_HIGH + 0x1004};

	(void)state;
	assert_int_equal(guest_ram_write(ram, at, &old, 4), STATUS_OK);
	assert_false(guest_ram_compare_exchange(ram, at, 4, old ^ 1, 1));
	assert_true(guest_ram_compare_exchange(ram, at, 4, 0xffffffff00000000 | old,
		0xeeeeeeee12345678));
	assert_int_equal(fake_ram_get32(ram, at.v), 0x12345678);
	assert_true(fake_ram_holds(ram, at.v - 4, 4, FAKE_RAM_POISON));
	assert_true(fake_ram_holds(ram, at.v + 4, 4, FAKE_RAM_POISON));
}

static void compare_exchange_needs_ram(void **state)
{
	static const uint64_t places[] = {GUEST_VGA_START, GUEST_ROM_START, GUEST_ROM_END - 8, LOW,
		GUEST_RAM_HIGH - 8, HIGH_END, UINT64_MAX - 7};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(places); i++) {
		assert_false(guest_ram_compare_exchange(ram, (struct gpa){places[i]}, 8,
			0xa5a5a5a5a5a5a5a5, 0));
		assert_false(guest_ram_compare_exchange(ram, (struct gpa){places[i]}, 4,
			0xa5a5a5a5, 0));
	}
	assert_true(fake_ram_holds(ram, GUEST_ROM_START, 8, FAKE_RAM_POISON));
	expect_assert_failure((void)!guest_ram_compare_exchange(ram, (struct gpa){4}, 8, 0, 0));
	expect_assert_failure((void)!guest_ram_compare_exchange(ram, (struct gpa){0}, 2, 0, 0));
}

static void shadow_set(unsigned shadow)
{
	memset(ram->shadow, (int)shadow, sizeof(ram->shadow));
}

// What each setting makes of a part.
static void shadow_has_four_settings(void **state)
{
	(void)state;
	for (unsigned shadow = 0; shadow < 4; shadow++) {
		shadow_set(shadow);
		assert_int_equal(kind(0xd0000), shadow == 3 ? GUEST_RAM_RAM
			: shadow == GUEST_SHADOW_READ ? GUEST_RAM_ROM : GUEST_RAM_NONE);
		assert_int_equal(kind(0xf0000), kind(0xd0000));
		assert_int_equal(guest_ram_is_write_only(ram, (struct gpa){0xd0000}),
			shadow == GUEST_SHADOW_WRITE);
		assert_int_equal(guest_ram_is_ram(ram, (struct gpa){0xd0000}, 1), shadow == 3);
	}
	assert_false(guest_ram_is_write_only(ram, (struct gpa){0xbffff}));
	assert_false(guest_ram_is_write_only(ram, (struct gpa){0x100000}));
}

static uint8_t at(uint64_t address)
{
	return *guest_ram_page(ram, (struct gpa){address});
}

// The ROM ends at 4 GiB, and its end is seen below 1 MiB where RAM does not hide it.
static void the_rom_is_seen_twice(void **state)
{
	static uint8_t rom[LARGE_PAGE_BYTES];
	uint8_t byte;

	(void)state;
	memset(rom, 0x11, sizeof(rom));
	ram->rom[0] = rom;
	ram->rom_bytes = 256 * KIB;
	rom[LARGE_PAGE_BYTES - 1] = 0x22;
	rom[LARGE_PAGE_BYTES - 128 * KIB] = 0x33;
	rom[LARGE_PAGE_BYTES - 256 * KIB] = 0x44;
	shadow_set(0);
	assert_int_equal(kind(0xdffff), GUEST_RAM_NONE);
	assert_int_equal(at(0xe0000), 0x33);
	assert_int_equal(at(0xfffff), 0x22);
	assert_int_equal(at(0xffffffff), 0x22);
	assert_int_equal(at(0xfffc0000), 0x44);
	assert_null(guest_ram_page(ram, (struct gpa){0xfffbffff}));
	assert_int_equal(guest_ram_read(ram, (struct gpa){0xffffffff}, &byte, 1), STATUS_OK);
	assert_int_equal(byte, 0x22);
	assert_int_equal(guest_ram_write(ram, (struct gpa){0xffffffff}, &byte, 1), STATUS_RANGE);
	assert_int_equal(guest_ram_write_rom(ram, (struct gpa){0xffffffff}, &byte, 1),
		STATUS_RANGE);
	ram->rom_hidden = true; // a flash in the midst of a command
	assert_int_equal(kind(0xffffffff), GUEST_RAM_NONE);
	assert_null(guest_ram_page(ram, (struct gpa){0xfffc0000}));
	assert_int_equal(guest_ram_read(ram, (struct gpa){0xffffffff}, &byte, 1), STATUS_RANGE);
	assert_int_equal(at(0xfffff), 0x22);
	ram->rom_hidden = false;
	shadow_set(GUEST_SHADOW_WRITE);
	assert_int_equal(kind(0xe0000), GUEST_RAM_ROM);
	assert_int_equal(at(0xe0000), 0x33);
	assert_int_equal(guest_ram_write_rom(ram, (struct gpa){0xe0000}, "x", 1), STATUS_OK);
	shadow_set(GUEST_SHADOW_READ);
	assert_int_equal(at(0xe0000), 'x');
	ram->rom[0] = NULL;
	ram->rom_bytes = 0;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(every_border_of_the_map_is_right),
		TEST(pages_lead_to_their_blocks),
		TEST(copies_cross_pages_and_blocks),
		TEST(writes_that_leave_ram_do_nothing),
		TEST(reads_that_leave_memory_do_nothing),
		TEST(addresses_do_not_wrap_around),
		TEST(nothing_can_be_copied_anywhere),
		TEST(rom_is_written_by_the_builder_alone),
		TEST(compare_exchange_takes_8_bytes),
		TEST(compare_exchange_takes_4_bytes),
		TEST(compare_exchange_needs_ram),
		TEST(shadow_has_four_settings),
		TEST(the_rom_is_seen_twice),
	};

	return cmocka_run_group_tests_name("guest_ram", tests, NULL, NULL);
}

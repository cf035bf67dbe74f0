// SPDX-License-Identifier: BSD-2-Clause
// Direct boot of ELF and multiboot kernels: System V ABI, "Object Files"; Multiboot Specification
// 0.6.96; Xen's docs/misc/pvh.pandoc.
#include "tests/unit/direct_boot_bench.h"

enum {
	FILE_BYTES = 0x1800,
	HEADERS = 0x40,    // program headers: note, code, data
	MULTIBOOT = 0x200, // header
	NOTES = 0x300,
	NOTES_BYTES = 16 + 20,
	CODE = 0x1000,
	CODE_BYTES = 0x400,
	DATA = 0x1400,
	DATA_BYTES = 0x100,
	DATA_MEMORY_BYTES = 0x5000,
	CODE_AT = 0x100000,
	DATA_AT = 0x104000,
	ENTRY_AT = 0x100010,
	INITRD_BYTES = 0x12345,
};

static uint32_t header_at(const struct boot *boot, uint32_t index)
{
	return HEADERS + index * (boot->wide ? 56 : 32);
}

enum segment_field { TYPE, OFFSET, VIRTUAL, PHYSICAL, FILE_SIZE, MEMORY_SIZE, ALIGNMENT };

static void put_segment(struct boot *boot, uint32_t index, enum segment_field field,
	uint64_t value)
{
	static const uint8_t narrow[] = {0, 4, 8, 12, 16, 20, 28};
	static const uint8_t wide[] = {0, 8, 16, 24, 32, 40, 48};
	uint32_t at = header_at(boot, index);

	if (field == TYPE)
		put(boot, at, value, 4);
	else if (boot->wide)
		put(boot, at + wide[field], value, 8);
	else
		put(boot, at + narrow[field], value, 4);
}

static void put_segments(struct boot *boot)
{
	static const uint64_t values[3][7] = {
		{4, NOTES, 0, 0, NOTES_BYTES, NOTES_BYTES, 4},
		{1, CODE, 0x80100000, CODE_AT, CODE_BYTES, CODE_BYTES, 4096},
		{1, DATA, 0x80104000, DATA_AT, DATA_BYTES, DATA_MEMORY_BYTES, 4096},
	};

	for (uint32_t i = 0; i < 3; i++) {
		for (unsigned field = TYPE; field <= ALIGNMENT; field++)
			put_segment(boot, i, field, values[i][field]);
	}
}

// A note of another owner, then Xen's.
static void put_notes(struct boot *boot)
{
	static const uint32_t notes[] = {4, 0, 18, 0x00554e47, 4, 4, 18, 0x006e6558, ENTRY_AT};

	_Static_assert(sizeof(notes) == NOTES_BYTES, "the segment's size");
	memcpy(&boot->file[NOTES], notes, sizeof(notes));
}

static void put_elf(struct boot *boot, bool wide)
{
	memset(boot->file, 0, CODE);
	boot->wide = wide;
	memcpy(boot->file, "\x7f" "ELF", 4);
	put(boot, 4, wide ? 2 : 1, 1);
	put(boot, 5, 1, 1);
	put(boot, 16, 2, 2);
	put(boot, 18, wide ? 62 : 3, 2);
	put(boot, 24, 0x80100020, wide ? 8 : 4);
	put(boot, wide ? 32 : 28, HEADERS, wide ? 8 : 4);
	put(boot, wide ? 54 : 42, wide ? 56 : 32, 2);
	put(boot, wide ? 56 : 44, 3, 2);
	put_segments(boot);
	put_notes(boot);
}

static void put_multiboot(struct boot *boot, uint32_t flags)
{
	put(boot, MULTIBOOT, 0x1badb002, 4);
	put(boot, MULTIBOOT + 4, flags, 4);
	put(boot, MULTIBOOT + 8, 0u - (0x1badb002 + flags), 4);
}

// 3.1.3: the file from offset 0x100 on goes to 2 MiB.
static void put_addresses(struct boot *boot, uint32_t load_end, uint32_t bss_end)
{
	const uint32_t addresses[] = {0x200100, 0x200000, load_end, bss_end, 0x200400};

	memcpy(&boot->file[MULTIBOOT + 12], addresses, sizeof(addresses));
}

static int set_up(void **state)
{
	struct boot *boot = boot_create(CODE, FILE_BYTES, INITRD_BYTES, 8 * MIB);

	put_elf(boot, true);
	boot->source.cmdline = "a=b c";
	*state = boot;
	return 0;
}

static void check_segments(struct boot *boot)
{
	fake_ram_check(boot->ram, CODE_AT, &boot->file[CODE], CODE_BYTES);
	assert_true(fake_ram_holds(boot->ram, CODE_AT + CODE_BYTES, 64, FAKE_RAM_POISON));
	fake_ram_check(boot->ram, DATA_AT, &boot->file[DATA], DATA_BYTES);
	assert_true(fake_ram_holds(boot->ram, DATA_AT + DATA_BYTES,
		DATA_MEMORY_BYTES - DATA_BYTES, 0));
}

static void check_pvh(struct boot *boot)
{
	uint64_t info = boot->entry.ebx, module, map;
	struct e820_map expected;

	assert_string_equal(boot->entry.protocol, "pvh");
	assert_int_equal(boot->entry.eip, ENTRY_AT);
	check_segments(boot);
	assert_true(fake_ram_holds(boot->ram, DATA_AT + DATA_MEMORY_BYTES, 64, FAKE_RAM_POISON));
	assert_int_equal(fake_ram_get32(boot->ram, info), 0x336ec578);
	assert_int_equal(fake_ram_get32(boot->ram, info + 4), 1);
	assert_int_equal(fake_ram_get32(boot->ram, info + 12), 1);
	fake_ram_check(boot->ram, fake_ram_get64(boot->ram, info + 24), "a=b c", 6);
	assert_int_equal(fake_ram_get64(boot->ram, info + 32), 0xf0000);
	module = fake_ram_get64(boot->ram, info + 16);
	assert_int_equal(fake_ram_get64(boot->ram, module + 8), INITRD_BYTES);
	assert_int_equal(fake_ram_get64(boot->ram, module) % 4096, 0);
	fake_ram_check(boot->ram, fake_ram_get64(boot->ram, module), boot->initrd, INITRD_BYTES);
	map = fake_ram_get64(boot->ram, info + 40);
	e820_build(boot->ram, &expected);
	assert_int_equal(fake_ram_get32(boot->ram, info + 48), expected.count);
	for (uint32_t i = 0; i < expected.count; i++, map += 24) {
		assert_int_equal(fake_ram_get64(boot->ram, map), expected.entries[i].base);
		assert_int_equal(fake_ram_get64(boot->ram, map + 8), expected.entries[i].bytes);
		assert_int_equal(fake_ram_get64(boot->ram, map + 16), expected.entries[i].type);
	}
}

static void test_pvh(void **state)
{
	struct boot *boot = *state;

	assert_int_equal(load(boot), STATUS_OK);
	check_pvh(boot);
	put_elf(boot, false);
	assert_int_equal(load(boot), STATUS_OK);
	check_pvh(boot);
}

static void test_pvh_segment_above_4_gib(void **state)
{
	struct boot *boot = *state;

	put_segment(boot, 2, PHYSICAL, 4 * GIB);
	assert_int_equal(load(boot), STATUS_OK);
	fake_ram_check(boot->ram, 4 * GIB, &boot->file[DATA], DATA_BYTES);
}

// The information avoids a kernel that lies in low memory.
static void test_kernel_in_low_memory(void **state)
{
	struct boot *boot = *state;

	put_segment(boot, 1, PHYSICAL, 0x1000);
	put_segment(boot, 2, PHYSICAL, 0x1800);
	assert_int_equal(load(boot), STATUS_OK);
	fake_ram_check(boot->ram, 0x1000, &boot->file[CODE], CODE_BYTES);
	fake_ram_check(boot->ram, 0x1800, &boot->file[DATA], DATA_BYTES);
	assert_true(fake_ram_holds(boot->ram, 0x1800 + DATA_BYTES, DATA_MEMORY_BYTES - DATA_BYTES,
		0));
}

static void test_elf_without_note(void **state)
{
	struct boot *boot = *state;
	const char *message = "neither a multiboot header nor a PVH entry note";

	put(boot, NOTES + 16 + 8, 17, 4);
	check_refused(boot, STATUS_BAD_FORMAT, message);
	put_notes(boot);
	put(boot, NOTES + 16 + 4, 5, 4); // neither 4 nor 8 bytes
	check_refused(boot, STATUS_BAD_FORMAT, message);
	put_notes(boot);
	put(boot, NOTES + 16, UINT32_MAX, 4);
	check_refused(boot, STATUS_BAD_FORMAT, message);
	put_notes(boot);
	put(boot, NOTES + 4, UINT32_MAX, 4);
	check_refused(boot, STATUS_BAD_FORMAT, message);
	put_notes(boot);
	put_segment(boot, 0, FILE_SIZE, NOTES_BYTES - 1);
	check_refused(boot, STATUS_BAD_FORMAT, message);
}

static void test_refused_segments(void **state)
{
	static const struct {
		uint32_t index;
		enum segment_field field;
		uint64_t value;
		enum status status;
		const char *message;
	} cases[] = {
		{2, PHYSICAL, CODE_AT + 0x200, STATUS_RANGE, "2: 0x5000 bytes at 0x100200 overlap"},
		{2, PHYSICAL, 8 * MIB - 0x4fff, STATUS_RANGE, "are not in memory, which is 10 MiB"},
		{2, PHYSICAL, 0x9f000, STATUS_RANGE, "are not in memory"},
		{2, PHYSICAL, 0x100, STATUS_RANGE, "overlap"},
		{2, PHYSICAL, UINT64_MAX - 0x4fff, STATUS_RANGE, "are not in memory"},
		{2, PHYSICAL, UINT64_MAX, STATUS_RANGE, "are not in memory"},
		{2, MEMORY_SIZE, UINT64_MAX, STATUS_RANGE, "are not in memory"},
		{2, MEMORY_SIZE, DATA_BYTES - 1, STATUS_BAD_FORMAT, "larger in the file"},
		{2, OFFSET, UINT64_MAX, STATUS_TRUNCATED, "segment 2"},
		{2, OFFSET, FILE_BYTES - DATA_BYTES + 1, STATUS_TRUNCATED, "segment 2"},
		{2, FILE_SIZE, UINT64_MAX - DATA + 1, STATUS_TRUNCATED, "segment 2"},
		{0, OFFSET, FILE_BYTES, STATUS_TRUNCATED, "segment 0"},
		{0, FILE_SIZE, UINT64_MAX, STATUS_TRUNCATED, "segment 0"},
	};
	struct boot *boot = *state;

	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		put_segment(boot, cases[i].index, cases[i].field, cases[i].value);
		check_refused(boot, cases[i].status, cases[i].message);
		put_segments(boot);
	}
	put_segment(boot, 1, PHYSICAL, 2 * MIB);
	put_segment(boot, 2, PHYSICAL, 2 * MIB - DATA_MEMORY_BYTES + 1);
	check_refused(boot, STATUS_RANGE, "overlap");
	put_segment(boot, 2, PHYSICAL, 2 * MIB - DATA_MEMORY_BYTES);
	assert_int_equal(load(boot), STATUS_OK);
	put_segment(boot, 1, TYPE, 0);
	put_segment(boot, 2, MEMORY_SIZE, 0);
	put_segment(boot, 2, FILE_SIZE, 0);
	check_refused(boot, STATUS_BAD_FORMAT, "without loadable segments");
}

static void test_refused_elf_headers(void **state)
{
	static const struct refused cases[] = {
		{4, 3, 1, STATUS_BAD_FORMAT, "unknown class"},
		{5, 2, 1, STATUS_BAD_FORMAT, "byte order"},
		{16, 1, 2, STATUS_BAD_FORMAT, "type 1"},
		{18, 183, 2, STATUS_BAD_FORMAT, "machine 183"},
		{32, UINT64_MAX, 8, STATUS_TRUNCATED, "3 program headers"},
		{32, FILE_BYTES - 3 * 56 + 1, 8, STATUS_TRUNCATED, "3 program headers"},
		{54, 55, 2, STATUS_BAD_FORMAT, "program headers of 55 bytes"},
		{54, UINT16_MAX, 2, STATUS_TRUNCATED, "3 program headers"},
		{56, UINT16_MAX, 2, STATUS_UNSUPPORTED, "65535 program headers"},
		{56, 0, 2, STATUS_BAD_FORMAT, "note"},
	};
	struct boot *boot = *state;

	check_all_refused(boot, cases, ARRAY_COUNT(cases));
	put(boot, NOTES + 16 + 4, 8, 4); // an entry of 8 bytes
	put(boot, NOTES + 16 + 16, ENTRY_AT | BIT(32), 8);
	put_segment(boot, 0, FILE_SIZE, NOTES_BYTES + 4);
	check_refused(boot, STATUS_RANGE, "PVH entry 0x100100010 is beyond 4 GiB");
}

static void test_truncated_anywhere(void **state)
{
	struct boot *boot = *state;

	for (unsigned kind = 0; kind < 3; kind++) {
		put_elf(boot, kind == 0);
		if (kind == 2)
			put_multiboot(boot, 0);
		for (unsigned bytes = 0; bytes < DATA + DATA_BYTES; bytes++) {
			boot->source.kernel_bytes = bytes;
			assert_int_not_equal(load(boot), STATUS_OK);
			assert_memory_equal(boot->error, "kernel: ", 8);
		}
		boot->source.kernel_bytes = DATA + DATA_BYTES;
		assert_int_equal(load(boot), STATUS_OK);
	}
}

// 3.2 and 3.3
static void test_multiboot_elf(void **state)
{
	struct boot *boot = *state;
	uint64_t info, module, map, end;

	put_elf(boot, false);
	put_multiboot(boot, 0x7); // aligned modules, memory, video mode
	assert_int_equal(load(boot), STATUS_OK);
	assert_string_equal(boot->entry.protocol, "multiboot");
	check_segments(boot);
	assert_int_equal(boot->entry.eip, 0x100020); // the physical address of e_entry
	assert_int_equal(boot->entry.eax, 0x2badb002);
	info = boot->entry.ebx;
	assert_int_equal(fake_ram_get32(boot->ram, info), 0x24d);
	assert_int_equal(fake_ram_get32(boot->ram, info + 4), 639);
	assert_int_equal(fake_ram_get32(boot->ram, info + 8), 7 * 1024);
	fake_ram_check(boot->ram, fake_ram_get32(boot->ram, info + 16), "kernel a=b c", 13);
	fake_ram_check(boot->ram, fake_ram_get32(boot->ram, info + 64), "Reprise", 8);
	assert_int_equal(fake_ram_get32(boot->ram, info + 20), 1);
	module = fake_ram_get32(boot->ram, info + 24);
	assert_int_equal(fake_ram_get32(boot->ram, module), DATA_AT + DATA_MEMORY_BYTES);
	assert_int_equal(fake_ram_get32(boot->ram, module + 4),
		DATA_AT + DATA_MEMORY_BYTES + INITRD_BYTES);
	fake_ram_check(boot->ram, fake_ram_get32(boot->ram, module), boot->initrd, INITRD_BYTES);
	fake_ram_check(boot->ram, fake_ram_get32(boot->ram, module + 8), "initrd", 7);
	map = fake_ram_get32(boot->ram, info + 48);
	end = map + fake_ram_get32(boot->ram, info + 44);
	assert_int_equal(end - map, 5 * 24);
	for (unsigned i = 0; map < end; map += fake_ram_get32(boot->ram, map) + 4, i++)
		assert_int_equal(fake_ram_get32(boot->ram, map + 20), i == 1 || i == 2 ? 2 : 1);
	assert_int_equal(fake_ram_get64(boot->ram, end - 20), 4 * GIB);
	assert_int_equal(fake_ram_get64(boot->ram, end - 12), 2 * MIB);
}

static void test_multiboot_without_initrd(void **state)
{
	struct boot *boot = *state;

	put_elf(boot, false);
	put_multiboot(boot, 0);
	boot->source.initrd = NULL;
	boot->source.initrd_bytes = 0;
	assert_int_equal(load(boot), STATUS_OK);
	assert_int_equal(fake_ram_get32(boot->ram, boot->entry.ebx), 0x245);
	assert_int_equal(fake_ram_get32(boot->ram, boot->entry.ebx + 20), 0);
}

static void test_multiboot_addresses(void **state)
{
	struct boot *boot = *state;

	put_multiboot(boot, 0x10000); // wins over the ELF header: 3.1.2
	put_addresses(boot, 0x200500, 0x200700);
	assert_int_equal(load(boot), STATUS_OK);
	assert_string_equal(boot->entry.protocol, "multiboot");
	assert_int_equal(boot->entry.eip, 0x200400);
	fake_ram_check(boot->ram, 0x200000, &boot->file[0x100], 0x500);
	assert_true(fake_ram_holds(boot->ram, 0x200500, 0x200, 0));
	assert_true(fake_ram_holds(boot->ram, 0x200700, 64, FAKE_RAM_POISON));
	put_addresses(boot, 0, 0); // all of the file, no bss
	assert_int_equal(load(boot), STATUS_OK);
	fake_ram_check(boot->ram, 0x200000, &boot->file[0x100], FILE_BYTES - 0x100);
}

static void test_refused_multiboot(void **state)
{
	struct boot *boot = *state;

	put_multiboot(boot, 0x10008);
	check_refused(boot, STATUS_UNSUPPORTED, "unknown features 0x8");
	put_multiboot(boot, 0x10000);
	put_addresses(boot, 0x200000 + FILE_BYTES - 0x100 + 1, 0);
	check_refused(boot, STATUS_TRUNCATED, "multiboot loads 0x200000 to 0x201701");
	put_addresses(boot, 0x1fffff, 0);
	check_refused(boot, STATUS_TRUNCATED, "multiboot loads");
	put_addresses(boot, 0, UINT32_MAX);
	check_refused(boot, STATUS_RANGE, "kernel: 0xffdfffff bytes at 0x200000 are not in memory");
	put_addresses(boot, 0, 0);
	put(boot, MULTIBOOT + 12, 0x200201, 4); // would begin before the file
	check_refused(boot, STATUS_BAD_FORMAT, "does not suit header address");
	put(boot, MULTIBOOT + 12, 0x1fffff, 4);
	check_refused(boot, STATUS_BAD_FORMAT, "does not suit header address");
	put_addresses(boot, 0, 0);
	boot->source.kernel_bytes = MULTIBOOT + 31;
	check_refused(boot, STATUS_TRUNCATED, "multiboot header ends at 544 bytes, file has 543");
}

// Without its checksum it is no multiboot header, and a 64-bit file needs address fields.
static void test_not_multiboot(void **state)
{
	struct boot *boot = *state;

	put_elf(boot, false);
	put_multiboot(boot, 0);
	put(boot, MULTIBOOT + 8, 0, 4);
	assert_int_equal(load(boot), STATUS_OK);
	assert_string_equal(boot->entry.protocol, "pvh");
	put_elf(boot, true);
	put_multiboot(boot, 0);
	assert_int_equal(load(boot), STATUS_OK);
	assert_string_equal(boot->entry.protocol, "pvh");
}

static void test_initrd_too_large(void **state)
{
	struct boot *boot = *state;

	boot->source.initrd_bytes = 7 * MIB;
	check_refused(boot, STATUS_NO_MEMORY, "initrd: 7168 KiB does not fit");
	put_elf(boot, false);
	put_multiboot(boot, 0);
	check_refused(boot, STATUS_NO_MEMORY, "initrd: 7168 KiB does not fit");
}

#define BOOT_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		BOOT_TEST(test_pvh),
		BOOT_TEST(test_pvh_segment_above_4_gib),
		BOOT_TEST(test_kernel_in_low_memory),
		BOOT_TEST(test_elf_without_note),
		BOOT_TEST(test_refused_segments),
		BOOT_TEST(test_refused_elf_headers),
		BOOT_TEST(test_truncated_anywhere),
		BOOT_TEST(test_multiboot_elf),
		BOOT_TEST(test_multiboot_without_initrd),
		BOOT_TEST(test_multiboot_addresses),
		BOOT_TEST(test_refused_multiboot),
		BOOT_TEST(test_not_multiboot),
		BOOT_TEST(test_initrd_too_large),
	};

	return cmocka_run_group_tests_name("direct_boot_elf", tests, NULL, NULL);
}

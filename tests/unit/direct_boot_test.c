// SPDX-License-Identifier: BSD-2-Clause
// Direct boot: the choice of a protocol, and bzImage (Linux' Documentation/arch/x86/boot.rst and
// zero-page.rst). Multiboot and PVH: direct_boot_elf_test.c. With DIRECT_BOOT_KERNEL set to a
// file's path that kernel is loaded as well.
#include "tests/unit/direct_boot_bench.h"

#include <stdio.h>

enum {
	SETUP_BYTES = 3 * 512, // setup_sects 2
	CODE_BYTES = 0x3000,
	FILE_BYTES = SETUP_BYTES + CODE_BYTES,
	INITRD_BYTES = 3 * MIB + 5,
	INIT_SIZE = 4 * MIB,
	PREFERRED = 2 * MIB,
};

// A relocatable kernel of protocol 2.15 that prefers 2 MiB, in 16 MiB of memory, with an initrd.
static int set_up(void **state)
{
	struct boot *boot = boot_create(SETUP_BYTES, FILE_BYTES, INITRD_BYTES, 16 * MIB);

	put(boot, 0x1f1, 2, 1);
	put(boot, 0x1f4, CODE_BYTES / 16, 4);
	put(boot, 0x1fe, 0xaa55, 2);
	put(boot, 0x200, 0x6aeb, 2); // header up to 0x26c
	memcpy(&boot->file[0x202], "HdrS", 4);
	put(boot, 0x206, 0x020f, 2);
	put(boot, 0x211, 1, 1);
	put(boot, 0x214, 0x100000, 4);
	put(boot, 0x22c, 0x7fffffff, 4);
	put(boot, 0x230, 0x200000, 4);
	put(boot, 0x234, 1, 1);
	put(boot, 0x238, 100, 4);
	put(boot, 0x258, PREFERRED, 8);
	put(boot, 0x260, INIT_SIZE, 4);
	boot->source.cmdline = "console=ttyS0";
	*state = boot;
	return 0;
}

static void test_linux_entry(void **state)
{
	struct boot *boot = *state;

	assert_int_equal(load(boot), STATUS_OK);
	assert_string_equal(boot->entry.protocol, "linux");
	assert_string_equal(boot->error, "");
	assert_int_equal(boot->entry.eip, PREFERRED);
	// "32-bit Boot Protocol": EBP, EDI and EBX must be zero.
	assert_int_equal(boot->entry.ebp | boot->entry.edi | boot->entry.ebx, 0);
	fake_ram_check(boot->ram, PREFERRED, &boot->file[SETUP_BYTES], CODE_BYTES);
	// Nothing is written to what follows the file.
	assert_true(fake_ram_holds(boot->ram, PREFERRED + CODE_BYTES, 64, FAKE_RAM_POISON));
}

// "32-bit Boot Protocol": __BOOT_CS (0x10) flat, execute/read; __BOOT_DS (0x18) flat, read/write.
static void test_gdt(void **state)
{
	struct boot *boot = *state;

	assert_int_equal(load(boot), STATUS_OK);
	assert_int_equal(DIRECT_BOOT_CODE_SELECTOR, 0x10);
	assert_int_equal(DIRECT_BOOT_DATA_SELECTOR, 0x18);
	assert_int_equal(fake_ram_get64(boot->ram, boot->entry.gdt.v), 0);
	assert_int_equal(fake_ram_get64(boot->ram, boot->entry.gdt.v + 0x10), 0xcf9b000000ffff);
	assert_int_equal(fake_ram_get64(boot->ram, boot->entry.gdt.v + 0x18), 0xcf93000000ffff);
}

static void test_linux_parameters(void **state)
{
	struct boot *boot = *state;
	uint64_t params, initrd;
	uint8_t byte;
	char cmdline[14];

	assert_int_equal(load(boot), STATUS_OK);
	params = boot->entry.esi;
	fake_ram_get(boot->ram, params + 0x210, &byte, 1);
	assert_int_equal(byte, 0xff); // type_of_loader
	fake_ram_get(boot->ram, params + 0x211, &byte, 1);
	assert_int_equal(byte, 0x81); // LOADED_HIGH, CAN_USE_HEAP
	assert_int_equal(fake_ram_get32(boot->ram, params + 0x214), boot->entry.eip);
	assert_int_equal(fake_ram_get32(boot->ram, params + 0x202), 0x53726448);
	assert_int_equal(fake_ram_get64(boot->ram, params + 0x70), 0xf0000);
	fake_ram_get(boot->ram, fake_ram_get32(boot->ram, params + 0x228), cmdline, 14);
	assert_string_equal(cmdline, "console=ttyS0");
	// As high as memory allows.
	initrd = fake_ram_get32(boot->ram, params + 0x218);
	assert_int_equal(initrd, ALIGN_DOWN(16 * MIB - INITRD_BYTES, PAGE_BYTES));
	assert_int_equal(fake_ram_get32(boot->ram, params + 0x21c), INITRD_BYTES);
	fake_ram_check(boot->ram, initrd, boot->initrd, INITRD_BYTES);
	// zero-page.rst: what is not set is zero, the sentinel at 0x1ef above all.
	assert_true(fake_ram_holds(boot->ram, params, 0x70, 0));
	assert_true(fake_ram_holds(boot->ram, params + 0x78, 0x1e8 - 0x78, 0));
	assert_true(fake_ram_holds(boot->ram, params + 0x1e9, 8, 0));
	assert_true(fake_ram_holds(boot->ram, params + 0x26c, 0x2d0 - 0x26c, 0));
}

// struct setup_data of type 9, where the kernel knows of such a list.
static void test_linux_random_seed(void **state)
{
	struct boot *boot = *state;
	uint64_t at;

	boot->source.random_seed = (const uint8_t *)"that nobody knows, thirty-two...";
	assert_int_equal(load(boot), STATUS_OK);
	at = fake_ram_get64(boot->ram, boot->entry.esi + 0x250);
	assert_int_equal(fake_ram_get64(boot->ram, at), 0);
	assert_int_equal(fake_ram_get64(boot->ram, at + 8), 32ull << 32 | 9);
	fake_ram_check(boot->ram, at + 16, boot->source.random_seed, 32);
}

static void test_linux_memory_map(void **state)
{
	struct boot *boot = *state;
	struct e820_map map;
	uint64_t table;
	uint8_t count;

	assert_int_equal(load(boot), STATUS_OK);
	e820_build(boot->ram, &map);
	fake_ram_get(boot->ram, boot->entry.esi + 0x1e8, &count, 1);
	assert_int_equal(count, map.count);
	assert_int_equal(count, 5);
	table = boot->entry.esi + 0x2d0;
	for (uint32_t i = 0; i < count; i++, table += 20) {
		assert_int_equal(fake_ram_get64(boot->ram, table), map.entries[i].base);
		assert_int_equal(fake_ram_get64(boot->ram, table + 8), map.entries[i].bytes);
		assert_int_equal(fake_ram_get32(boot->ram, table + 16), map.entries[i].type);
	}
	assert_true(fake_ram_holds(boot->ram, table, 0x1000 - 0x2d0 - 20u * count, 0));
}

// What the kernel is told lies in low memory, each thing apart from the others.
static void test_low_memory(void **state)
{
	struct boot *boot = *state;
	uint64_t params, cmdline, gdt;

	assert_int_equal(load(boot), STATUS_OK);
	params = boot->entry.esi;
	cmdline = fake_ram_get32(boot->ram, params + 0x228);
	gdt = boot->entry.gdt.v;
	assert_in_range(params, 0x1000, 0x9fc00 - 0x1000);
	assert_in_range(cmdline, 0x1000, 0x9fc00 - 14);
	assert_in_range(gdt, 0x1000, 0x9fc00 - 0x28);
	assert_true(cmdline + 14 <= params || cmdline >= params + 0x1000);
	assert_true(gdt + 0x28 <= params || gdt >= params + 0x1000);
	assert_true(gdt + 0x28 <= cmdline || gdt >= cmdline + 14);
	// BIOS data area: COM1, EBDA, KiB of low memory.
	assert_int_equal(fake_ram_get32(boot->ram, 0x400), 0x3f8);
	assert_int_equal(fake_ram_get32(boot->ram, 0x40e) & 0xffff, 0x9fc0);
	assert_int_equal(fake_ram_get32(boot->ram, 0x413) & 0xffff, 639);
}

static void test_linux_without_initrd_and_cmdline(void **state)
{
	struct boot *boot = *state;
	uint8_t first;

	boot->source.initrd = NULL;
	boot->source.initrd_bytes = 0;
	boot->source.cmdline = NULL;
	put(boot, 0x218, 0x12345678, 4); // the file's own values do not count
	put(boot, 0x21c, 0x1000, 4);
	assert_int_equal(load(boot), STATUS_OK);
	assert_int_equal(fake_ram_get64(boot->ram, boot->entry.esi + 0x218), 0);
	fake_ram_get(boot->ram, fake_ram_get32(boot->ram, boot->entry.esi + 0x228), &first, 1);
	assert_int_equal(first, 0);
}

static void test_linux_not_relocatable(void **state)
{
	struct boot *boot = *state;

	put(boot, 0x234, 0, 1);
	put(boot, 0x214, 0x100200, 4);
	assert_int_equal(load(boot), STATUS_OK);
	assert_int_equal(boot->entry.eip, 0x100200);
	fake_ram_check(boot->ram, 0x100000, &boot->file[SETUP_BYTES], CODE_BYTES);
}

static void test_linux_relocated_to_alignment(void **state)
{
	struct boot *boot = *state;

	put(boot, 0x258, 0x1000, 8); // below 1 MiB
	put(boot, 0x214, 0x100040, 4);
	assert_int_equal(load(boot), STATUS_OK);
	assert_int_equal(boot->entry.eip, 0x200040);
}

// Protocols before 2.10 have neither a preferred address nor a size.
static void test_linux_2_06(void **state)
{
	struct boot *boot = *state;

	put(boot, 0x206, 0x0206, 2);
	put(boot, 0x234, 0, 1);
	put(boot, 0x258, UINT64_MAX, 8);
	put(boot, 0x260, UINT32_MAX, 4);
	assert_int_equal(load(boot), STATUS_OK);
	assert_int_equal(boot->entry.eip, 0x100000);
}

// A header that claims to go on to 0x301 does not reach the memory map.
static void test_linux_long_header(void **state)
{
	struct boot *boot = *state;

	put(boot, 0x201, 0xff, 1);
	put(boot, 0x28f, 0x77, 1);
	put(boot, 0x290, 0x77, 1);
	put(boot, 0x300, 0x77, 1);
	assert_int_equal(load(boot), STATUS_OK);
	assert_true(fake_ram_holds(boot->ram, boot->entry.esi + 0x28f, 1, 0x77));
	assert_true(fake_ram_holds(boot->ram, boot->entry.esi + 0x290, 0x40, 0));
	assert_int_equal(fake_ram_get64(boot->ram, boot->entry.esi + 0x2f8), 0xe0000);
}

static void test_linux_signature_behind_code(void **state)
{
	struct boot *boot = *state;

	put(boot, 0x1f4, (CODE_BYTES - 0x1000) / 16, 4);
	assert_int_equal(load(boot), STATUS_OK);
	fake_ram_check(boot->ram, PREFERRED, &boot->file[SETUP_BYTES], CODE_BYTES - 0x1000);
	assert_true(fake_ram_holds(boot->ram, PREFERRED + CODE_BYTES - 0x1000, 0x1000,
		FAKE_RAM_POISON));
}

static void test_initrd_limit_of_kernel(void **state)
{
	struct boot *boot = *state;

	put(boot, 0x22c, 0xbfffff, 4);
	assert_int_equal(load(boot), STATUS_OK);
	assert_int_equal(fake_ram_get32(boot->ram, boot->entry.esi + 0x218),
		ALIGN_DOWN(12 * MIB - INITRD_BYTES, PAGE_BYTES));
}

// The initrd never overlaps the memory that the kernel uses at first: between 2 and 6 MiB.
static void test_initrd_beside_kernel(void **state)
{
	struct boot *boot = *state;

	put(boot, 0x22c, 0xa00000 - 1, 4); // 3 MiB and a page fit above 6 MiB
	assert_int_equal(load(boot), STATUS_OK);
	assert_in_range(fake_ram_get32(boot->ram, boot->entry.esi + 0x218), 6 * MIB, 7 * MIB);
	put(boot, 0x22c, 9 * MIB - 1, 4); // 5 bytes too few
	check_refused(boot, STATUS_NO_MEMORY, "initrd: 3072 KiB does not fit between 0x100000 and "
		"0x8fffff beside what lies there, memory is 18 MiB");
	boot->source.initrd_bytes = 3 * MIB;
	assert_int_equal(load(boot), STATUS_OK);
	assert_int_equal(fake_ram_get32(boot->ram, boot->entry.esi + 0x218), 6 * MIB);
	boot->source.initrd_bytes = 1 * MIB; // the gap below the kernel takes it
	put(boot, 0x22c, 6 * MIB - 1, 4);
	assert_int_equal(load(boot), STATUS_OK);
	assert_int_equal(fake_ram_get32(boot->ram, boot->entry.esi + 0x218), 1 * MIB);
}

static void test_initrd_too_large(void **state)
{
	struct boot *boot = *state;

	boot->source.initrd_bytes = 300 * MIB;
	check_refused(boot, STATUS_NO_MEMORY, "initrd: 300 MiB does not fit");
	boot->source.initrd_bytes = UINT64_MAX;
	check_refused(boot, STATUS_NO_MEMORY, "initrd: ");
	boot->source.initrd_bytes = 5 * GIB;
	check_refused(boot, STATUS_NO_MEMORY, "initrd: 5120 MiB does not fit");
}

static void test_bad_magic(void **state)
{
	struct boot *boot = *state;
	const char *message = "kernel: bad magic: neither bzImage, multiboot nor PVH ELF";

	put(boot, 0x202, 0, 4);
	check_refused(boot, STATUS_BAD_FORMAT, message);
	boot->source.kernel_bytes = 0;
	check_refused(boot, STATUS_BAD_FORMAT, message);
	boot->source.kernel_bytes = FILE_BYTES;
	put(boot, 0, 0x8b1f, 2);
	check_refused(boot, STATUS_UNSUPPORTED, "gzip");
}

// A file that ends anywhere is refused, and nothing beyond its end is read.
static void test_truncated_anywhere(void **state)
{
	struct boot *boot = *state;

	for (uint64_t bytes = 0; bytes < FILE_BYTES - 15; bytes++) {
		boot->source.kernel_bytes = bytes;
		assert_int_not_equal(load(boot), STATUS_OK);
		assert_memory_equal(boot->error, "kernel: ", 8);
	}
	check_refused(boot, STATUS_TRUNCATED,
		"kernel: truncated: setup header says 13824 bytes, file has 13808");
	boot->source.kernel_bytes = 0x210;
	check_refused(boot, STATUS_TRUNCATED, "kernel: truncated: setup header ends at 620 bytes");
}

static void test_refused_headers(void **state)
{
	static const struct refused cases[] = {
		{0x206, 0x0205, 2, STATUS_UNSUPPORTED, "boot protocol 2.05, at least 2.06"},
		{0x211, 0, 1, STATUS_UNSUPPORTED, "zImage"},
		{0x201, 0, 1, STATUS_BAD_FORMAT, "setup header of 17 bytes"},
		{0x201, 0x50, 1, STATUS_BAD_FORMAT, "setup header ends at 0x252"},
		{0x1f1, 255, 1, STATUS_TRUNCATED, "truncated"},
		{0x1f4, UINT32_MAX, 4, STATUS_TRUNCATED, "truncated"},
		{0x230, 0, 4, STATUS_BAD_FORMAT, "alignment 0x0 is not a power of two"},
		{0x230, 0x300000, 4, STATUS_BAD_FORMAT, "alignment 0x300000"},
		{0x230, 0x80000000, 4, STATUS_RANGE, "are not in memory"},
		{0x258, UINT64_MAX, 8, STATUS_RANGE, "beyond 4 GiB"},
		{0x258, 4 * GIB, 8, STATUS_RANGE, "beyond 4 GiB"},
		{0x258, 4 * GIB - 1, 8, STATUS_RANGE, "beyond 4 GiB"},
		{0x258, 13 * MIB, 8, STATUS_RANGE,
			"kernel: 0x400000 bytes at 0xe00000 are not in memory, which is 18 MiB"},
		{0x260, UINT32_MAX, 4, STATUS_RANGE, "beyond 4 GiB"},
		{0x260, 14 * MIB + 1, 4, STATUS_RANGE, "are not in memory"},
		{0x22c, 0, 4, STATUS_NO_MEMORY, "initrd: "},
		{0x238, 12, 4, STATUS_INVALID, "cmdline: 13 characters, the kernel takes 12"},
	};
	struct boot *boot = *state;

	check_all_refused(boot, cases, ARRAY_COUNT(cases));
	assert_int_equal(load(boot), STATUS_OK);
}

// A non-relocatable kernel that moves itself down must not find ROM there.
static void test_linux_moves_out_of_memory(void **state)
{
	struct boot *boot = *state;

	put(boot, 0x234, 0, 1);
	put(boot, 0x258, 0x80000, 8);
	check_refused(boot, STATUS_RANGE, "bytes at 0x80000 are not in memory");
}

static void test_cmdline_too_long_for_low_memory(void **state)
{
	struct boot *boot = *state;
	char *cmdline = malloc(1 * MIB);

	assert_non_null(cmdline);
	memset(cmdline, 'x', 1 * MIB);
	cmdline[1 * MIB - 1] = '\0';
	boot->source.cmdline = cmdline;
	put(boot, 0x238, UINT32_MAX, 4);
	check_refused(boot, STATUS_NO_MEMORY, "cmdline: ");
	free(cmdline);
}

static void test_real_kernel(void **state)
{
	const char *path = getenv("DIRECT_BOOT_KERNEL");
	struct direct_boot_source source = {.cmdline = "quiet"};
	struct boot *boot = *state;
	struct guest_ram *ram;
	uint8_t *file;
	long bytes;
	FILE *in;

	if (path == NULL)
		skip();
	in = fopen(path, "rb");
	assert_non_null(in);
	assert_int_equal(fseek(in, 0, SEEK_END), 0);
	bytes = ftell(in);
	rewind(in);
	file = malloc((size_t)bytes);
	assert_int_equal(fread(file, 1, (size_t)bytes, in), bytes);
	assert_int_equal(fclose(in), 0);
	source.kernel = file;
	source.kernel_bytes = (uint64_t)bytes;
	ram = fake_ram_create(256 * MIB, 0);
	if (direct_boot_load(ram, &source, &boot->entry, boot->error) != STATUS_OK)
		fail_msg("%s", boot->error);
	print_message("%s: eip %#x esi %#x ebx %#x\n", boot->entry.protocol, boot->entry.eip,
		boot->entry.esi, boot->entry.ebx);
	fake_ram_destroy(ram);
	free(file);
}

#define BOOT_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		BOOT_TEST(test_linux_entry),
		BOOT_TEST(test_gdt),
		BOOT_TEST(test_linux_parameters),
		BOOT_TEST(test_linux_random_seed),
		BOOT_TEST(test_linux_memory_map),
		BOOT_TEST(test_low_memory),
		BOOT_TEST(test_linux_without_initrd_and_cmdline),
		BOOT_TEST(test_linux_not_relocatable),
		BOOT_TEST(test_linux_relocated_to_alignment),
		BOOT_TEST(test_linux_2_06),
		BOOT_TEST(test_linux_long_header),
		BOOT_TEST(test_linux_signature_behind_code),
		BOOT_TEST(test_initrd_limit_of_kernel),
		BOOT_TEST(test_initrd_beside_kernel),
		BOOT_TEST(test_initrd_too_large),
		BOOT_TEST(test_bad_magic),
		BOOT_TEST(test_truncated_anywhere),
		BOOT_TEST(test_refused_headers),
		BOOT_TEST(test_linux_moves_out_of_memory),
		BOOT_TEST(test_cmdline_too_long_for_low_memory),
		BOOT_TEST(test_real_kernel),
	};

	return cmocka_run_group_tests_name("direct_boot", tests, NULL, NULL);
}

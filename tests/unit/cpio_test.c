// SPDX-License-Identifier: BSD-2-Clause
// The format is that of cpio(5), "New ASCII Format". Archives are built here byte by byte.
// clang-format off: cmocka.h wants these first.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
// clang-format on

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "boot/cpio.h"
#include "boot/path.h"

enum {
	REGULAR = 0100644,
	DIRECTORY = 0040755,
	SYMLINK = 0120777,
	HEADER_BYTES = 110,
	FILE_BYTES_AT = 6 + 6 * 8,
	NAME_BYTES_AT = 6 + 11 * 8,
};

struct archive {
	char bytes[16384];
	size_t used;
};

static struct boot_file files[BOOT_FILES_MAX];
static uint32_t count;
static size_t offset;

static void archive_pad(struct archive *archive)
{
	while (archive->used % 4 != 0)
		archive->bytes[archive->used++] = '\0';
}

static void archive_add(struct archive *archive, const char *name, unsigned mode,
	const char *content)
{
	size_t bytes = strlen(content);

	archive->used += (size_t)sprintf(archive->bytes + archive->used,
		"070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", 1u, mode, 0u, 0u, 1u,
		0u, (unsigned)bytes, 0u, 0u, 0u, 0u, (unsigned)strlen(name) + 1, 0u);
	memcpy(archive->bytes + archive->used, name, strlen(name) + 1);
	archive->used += strlen(name) + 1;
	archive_pad(archive);
	memcpy(archive->bytes + archive->used, content, bytes);
	archive->used += bytes;
	archive_pad(archive);
}

static void archive_end(struct archive *archive)
{
	archive_add(archive, "TRAILER!!!", 0, "");
}

// Reads a copy of exactly `bytes` bytes, so that the sanitizer sees any access beyond; contents are
// summed up for the same reason.
static enum status read_bytes(const char *bytes, size_t used)
{
	char *copy = malloc(used + (used == 0));
	unsigned sum = 0;
	enum status status;

	assert_non_null(copy);
	memcpy(copy, bytes, used);
	count = 0;
	status = cpio_read_files(copy, used, files, BOOT_FILES_MAX, &count, &offset);
	for (uint32_t i = 0; i < count; i++)
		for (uint64_t n = 0; n < files[i].bytes; n++)
			sum += ((const uint8_t *)files[i].data)[n];
	assert_true(sum < UINT32_MAX && offset <= used);
	free(copy);
	return status;
}

static enum status read_archive(const struct archive *archive)
{
	count = 0;
	return cpio_read_files(archive->bytes, archive->used, files, BOOT_FILES_MAX, &count,
		&offset);
}

static void expect_file(uint32_t index, const char *name, const char *content)
{
	assert_true(index < count);
	assert_string_equal(files[index].name, name);
	assert_int_equal(files[index].bytes, strlen(content));
	assert_memory_equal(files[index].data, content, strlen(content));
}

static void test_files(void **state)
{
	struct archive archive = {0};

	(void)state;
	archive_add(&archive, ".", DIRECTORY, "");
	archive_add(&archive, "./reprise.ini", REGULAR, "[reprise]\n");
	archive_add(&archive, "EFI", DIRECTORY, "");
	archive_add(&archive, "/EFI/x", REGULAR, "1234");
	archive_add(&archive, "link", SYMLINK, "EFI/x");
	archive_add(&archive, "EFI//./empty", REGULAR, "");
	archive_end(&archive);
	assert_int_equal(read_archive(&archive), STATUS_OK);
	assert_int_equal(count, 3);
	expect_file(0, "reprise.ini", "[reprise]\n");
	expect_file(1, "EFI/x", "1234");
	expect_file(2, "EFI/empty", "");
}

static void test_later_name_replaces(void **state)
{
	struct archive archive = {0};

	(void)state;
	archive_add(&archive, "a", REGULAR, "old");
	archive_add(&archive, "b", REGULAR, "b");
	archive_add(&archive, "./a", REGULAR, "newer");
	archive_end(&archive);
	assert_int_equal(read_archive(&archive), STATUS_OK);
	assert_int_equal(count, 2);
	expect_file(0, "a", "newer");
}

static void test_trailer_ends(void **state)
{
	struct archive archive = {0};

	(void)state;
	archive_add(&archive, "a", REGULAR, "a");
	archive_end(&archive);
	archive_add(&archive, "b", REGULAR, "b");
	assert_int_equal(read_archive(&archive), STATUS_OK);
	assert_int_equal(count, 1);
}

static void test_missing_trailer(void **state)
{
	struct archive archive = {0};

	(void)state;
	archive_add(&archive, "a", REGULAR, "a");
	assert_int_equal(read_archive(&archive), STATUS_TRUNCATED);
	assert_int_equal(offset, archive.used);
	assert_int_equal(count, 1);
	assert_int_equal(read_bytes("", 0), STATUS_TRUNCATED);
}

static void test_truncated_anywhere(void **state)
{
	struct archive archive = {0};
	size_t second, end;

	(void)state;
	archive_add(&archive, "first", REGULAR, "content");
	second = archive.used;
	archive_add(&archive, "second", REGULAR, "x");
	end = archive.used;
	archive_end(&archive);
	// All that a reader needs of the trailer is its header and name.
	for (size_t i = 0; i < end + HEADER_BYTES + sizeof("TRAILER!!!"); i++) {
		assert_int_equal(read_bytes(archive.bytes, i), STATUS_TRUNCATED);
		// The padding behind the content may be missing.
		assert_int_equal(count, (i >= second - 1) + (i >= end - 3));
	}
}

static void test_bad_magic(void **state)
{
	struct archive archive = {0};

	(void)state;
	archive_add(&archive, "a", REGULAR, "a");
	archive_end(&archive);
	archive.bytes[5] = '7'; // "070707": the old format
	assert_int_equal(read_archive(&archive), STATUS_BAD_FORMAT);
	assert_int_equal(offset, 0);
	archive.bytes[5] = '2'; // with checksum
	assert_int_equal(read_archive(&archive), STATUS_OK);
	archive.bytes[FILE_BYTES_AT] = 'g';
	assert_int_equal(read_archive(&archive), STATUS_BAD_FORMAT);
	archive.bytes[FILE_BYTES_AT] = '-';
	assert_int_equal(read_archive(&archive), STATUS_BAD_FORMAT);
}

static void expect_patched(size_t at, const char *digits, enum status expected)
{
	struct archive archive = {0};

	archive_add(&archive, "abc", REGULAR, "content");
	archive_end(&archive);
	memcpy(archive.bytes + at, digits, 8);
	assert_int_equal(read_bytes(archive.bytes, archive.used), expected);
	assert_int_equal(count, 0);
}

static void test_hostile_lengths(void **state)
{
	(void)state;
	expect_patched(FILE_BYTES_AT, "ffffffff", STATUS_TRUNCATED);
	expect_patched(FILE_BYTES_AT, "FFFFFFFC", STATUS_TRUNCATED);
	expect_patched(FILE_BYTES_AT, "00001000", STATUS_TRUNCATED);
	expect_patched(NAME_BYTES_AT, "ffffffff", STATUS_TRUNCATED);
	expect_patched(NAME_BYTES_AT, "00000000", STATUS_BAD_FORMAT);
	expect_patched(NAME_BYTES_AT, "00000003", STATUS_BAD_FORMAT); // the zero lies beyond
	expect_patched(NAME_BYTES_AT, "00000005", STATUS_BAD_FORMAT); // a zero within
}

static void expect_name(const char *name, enum status expected)
{
	struct archive archive = {0};

	archive_add(&archive, name, REGULAR, "x");
	archive_end(&archive);
	assert_int_equal(read_archive(&archive), expected);
	assert_int_equal(count, expected == STATUS_OK ? 1 : 0);
}

static void test_bad_names(void **state)
{
	char name[BOOT_FILE_NAME_MAX + 1];

	(void)state;
	expect_name("../a", STATUS_INVALID);
	expect_name("a/../b", STATUS_INVALID);
	expect_name("a\nb", STATUS_INVALID);
	expect_name("./", STATUS_INVALID);
	expect_name("..a", STATUS_OK);
	memset(name, 'n', sizeof(name));
	name[BOOT_FILE_NAME_MAX] = '\0';
	expect_name(name, STATUS_RANGE);
	name[BOOT_FILE_NAME_MAX - 1] = '\0';
	expect_name(name, STATUS_OK);
}

static void test_too_many_files(void **state)
{
	struct archive archive = {0};

	(void)state;
	for (unsigned i = 0; i <= BOOT_FILES_MAX; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "f%u", i);
		archive_add(&archive, name, REGULAR, "");
	}
	archive_end(&archive);
	assert_int_equal(read_archive(&archive), STATUS_RANGE);
	assert_int_equal(count, BOOT_FILES_MAX);
}

static void test_every_byte(void **state)
{
	struct archive archive = {0};

	(void)state;
	archive_add(&archive, "d", DIRECTORY, "");
	archive_add(&archive, "d/a", REGULAR, "content");
	archive_end(&archive);
	for (size_t i = 0; i < archive.used; i++) {
		char old = archive.bytes[i];

		for (unsigned byte = 0; byte < 256; byte++) {
			archive.bytes[i] = (char)byte;
			(void)read_bytes(archive.bytes, archive.used);
		}
		archive.bytes[i] = old;
	}
}

static void expect_path(const char *path, const char *expected)
{
	char out[BOOT_FILE_NAME_MAX];

	assert_int_equal(path_normalize(path, strlen(path), out, sizeof(out)), STATUS_OK);
	assert_string_equal(out, expected);
}

static void test_path_normalize(void **state)
{
	char out[4];

	(void)state;
	expect_path("\\EFI\\BOOT\\x.efi", "EFI/BOOT/x.efi");
	expect_path("a/b/", "a/b");
	expect_path("", "");
	expect_path("///", "");
	assert_int_equal(path_normalize("abc", 3, out, sizeof(out)), STATUS_OK);
	assert_int_equal(path_normalize("a/b", 3, out, sizeof(out)), STATUS_OK);
	assert_int_equal(path_normalize("abcd", 4, out, sizeof(out)), STATUS_RANGE);
	assert_int_equal(path_normalize("a/bc", 4, out, sizeof(out)), STATUS_RANGE);
	assert_int_equal(path_normalize("abc/d", 5, out, sizeof(out)), STATUS_RANGE);
	assert_int_equal(path_normalize("", 0, out, 0), STATUS_RANGE);
	assert_int_equal(path_normalize("a\0b", 3, out, sizeof(out)), STATUS_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_later_name_replaces),
		cmocka_unit_test(test_trailer_ends),
		cmocka_unit_test(test_missing_trailer),
		cmocka_unit_test(test_truncated_anywhere),
		cmocka_unit_test(test_bad_magic),
		cmocka_unit_test(test_hostile_lengths),
		cmocka_unit_test(test_bad_names),
		cmocka_unit_test(test_too_many_files),
		cmocka_unit_test(test_every_byte),
		cmocka_unit_test(test_path_normalize),
	};

	return cmocka_run_group_tests_name("cpio", tests, NULL, NULL);
}

// SPDX-License-Identifier: BSD-2-Clause
// GUID partition tables, sound and hostile: UEFI 2.10 section 5.3.
#include "drivers/gpt.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/fake_env.h"

enum {
	SECTOR_BYTES = 512,
	SECTORS = 10000,
	ENTRIES = 128,
	ENTRY = 128,
	ARRAY = ENTRIES * ENTRY,
	RANDOM_TABLES = 20000,
};

static uint8_t *sector; // of its size exactly, so that the sanitizer sees what is read behind it
static uint8_t array[ARRAY];
static struct gpt_header header;
static struct gpt_partition partition;

static void put(uint8_t *at, uint64_t value, unsigned bytes)
{
	memcpy(at, &value, bytes);
}

// Another way than the driver's to the same number; "123456789" gives cbf43926.
static uint32_t crc32(const uint8_t *bytes, size_t count)
{
	uint32_t table[256], crc = 0xffffffff;

	for (uint32_t i = 0; i < 256; i++) {
		table[i] = i;
		for (unsigned bit = 0; bit < 8; bit++)
			table[i] = (table[i] & 1) != 0 ? table[i] >> 1 ^ 0xedb88320 : table[i] >> 1;
	}
	while (count-- > 0)
		crc = table[(crc ^ *bytes++) & 0xff] ^ crc >> 8;
	return crc ^ 0xffffffff;
}

static void header_seal(void)
{
	uint32_t bytes;

	memcpy(&bytes, sector + 12, 4);
	put(sector + 16, 0, 4);
	put(sector + 16, crc32(sector, bytes < SECTOR_BYTES ? bytes : SECTOR_BYTES), 4);
}

static void seal(void)
{
	put(sector + 88, crc32(array, ARRAY), 4);
	header_seal();
}

static void entry_set(unsigned index, uint64_t first, uint64_t last, const char *name)
{
	uint8_t *at = array + index * ENTRY;

	memset(at, 0, ENTRY);
	memset(at, 0x0f, 16);
	for (unsigned i = 0; i < 16; i++)
		at[16 + i] = (uint8_t)(index * 16 + i);
	put(at + 32, first, 8);
	put(at + 40, last, 8);
	for (unsigned i = 0; name[i] != '\0'; i++)
		at[56 + 2 * i] = (uint8_t)name[i];
}

static int setup(void **state)
{
	(void)state;
	free(sector);
	sector = calloc(1, SECTOR_BYTES);
	assert_non_null(sector);
	memcpy(sector, "EFI PART", 8);
	put(sector + 8, 0x00010000, 4);
	put(sector + 12, 92, 4);
	put(sector + 24, 1, 8);
	put(sector + 32, SECTORS - 1, 8);
	put(sector + 40, 34, 8);
	put(sector + 48, SECTORS - 34, 8);
	memset(sector + 56, 0x77, 16);
	put(sector + 72, 2, 8);
	put(sector + 80, ENTRIES, 4);
	put(sector + 84, ENTRY, 4);
	memset(array, 0, ARRAY);
	entry_set(0, 34, 133, "boot");
	entry_set(1, 134, 134, "log");
	entry_set(127, 5000, SECTORS - 34, "the last of them all, 36 characters");
	seal();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(sector);
	sector = NULL;
	return 0;
}

static enum status parse(void)
{
	return gpt_header_parse(sector, SECTOR_BYTES, 1, SECTORS, &header);
}

static enum status get(uint32_t index)
{
	return gpt_partition_get(&header, array, index, &partition);
}

static void test_sound(void **state)
{
	static const uint8_t text[] = "123456789";
	char guid[GPT_GUID_TEXT + 1];

	(void)state;
	assert_int_equal(crc32(text, 9), 0xcbf43926);
	assert_int_equal(parse(), STATUS_OK);
	assert_int_equal(header.sector, 1);
	assert_int_equal(header.alternate, SECTORS - 1);
	assert_int_equal(header.array_sector, 2);
	assert_int_equal(gpt_array_bytes(&header), ARRAY);
	assert_int_equal(gpt_array_check(&header, array), STATUS_OK);
	assert_int_equal(get(0), STATUS_OK);
	assert_int_equal(partition.first, 34);
	assert_int_equal(partition.last, 133);
	assert_string_equal(partition.name, "boot");
	assert_false(partition.read_only);
	assert_int_equal(get(1), STATUS_OK);
	assert_int_equal(partition.first, partition.last);
	gpt_guid_print(partition.guid, guid);
	assert_string_equal(guid, "13121110-1514-1716-1819-1a1b1c1d1e1f");
	assert_int_equal(get(2), STATUS_NOT_FOUND);
	assert_int_equal(get(127), STATUS_OK);
	assert_string_equal(partition.name, "the last of them all, 36 characters");
	put(array + 48, BIT(60), 8);
	assert_int_equal(get(0), STATUS_OK);
	assert_true(partition.read_only);
}

static void test_names(void **state)
{
	(void)state;
	assert_int_equal(parse(), STATUS_OK);
	memset(array + 56, 'x', 72); // no end, and no ASCII: 0x7878
	assert_int_equal(get(0), STATUS_OK);
	assert_string_equal(partition.name, "????????????????????????????????????");
	put(array + 56, 0x0001000000410078 | 0x7f00000000, 8); // x, A, \x7f, U+0001
	assert_int_equal(get(0), STATUS_OK);
	assert_memory_equal(partition.name, "xA??", 4);
}

// Each bit of what the CRCs cover.
static void test_flips(void **state)
{
	uint8_t *copy = malloc(ARRAY);

	(void)state;
	assert_non_null(copy);
	for (unsigned bit = 0; bit < 92 * 8; bit++) {
		sector[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_not_equal(parse(), STATUS_OK);
		sector[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(parse(), STATUS_OK);
	for (unsigned byte = 0; byte < ARRAY; byte += 11) {
		array[byte] ^= (uint8_t)(1 << byte % 8);
		memcpy(copy, array, ARRAY);
		assert_int_equal(gpt_array_check(&header, copy), STATUS_BAD_FORMAT);
		array[byte] ^= (uint8_t)(1 << byte % 8);
	}
	free(copy);
}

// With right CRCs, what cannot be.
static void test_headers(void **state)
{
	static const struct {
		unsigned offset, bytes;
		uint64_t value;
	} rows[] = {
		{8, 4, 0x00020000},    // revision
		{12, 4, 91},           // bytes of the header
		{12, 4, 513},
		{12, 4, UINT32_MAX},
		{24, 8, 2},            // its own place
		{40, 8, 33},           // the array lies where partitions can
		{40, 8, 1},
		{40, 8, SECTORS - 33}, // first behind last
		{48, 8, SECTORS},      // behind the disk's end
		{48, 8, UINT64_MAX},
		{72, 8, 0},            // the array: at the MBR, at the header
		{72, 8, 1},
		{72, 8, 3},
		{72, 8, SECTORS - 31}, // reaches behind the end
		{72, 8, UINT64_MAX},
		{80, 4, 0},            // entries
		{80, 4, 257},
		{80, 4, UINT32_MAX},
		{84, 4, 0},            // bytes of an entry
		{84, 4, 64},
		{84, 4, 129},
		{84, 4, 192},
		{84, 4, 8192},
		{84, 4, 0x80000000},
	};

	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++) {
		setup(state);
		put(sector + rows[i].offset, rows[i].value, rows[i].bytes);
		header_seal();
		assert_int_equal(parse(), STATUS_BAD_FORMAT);
	}
	setup(state);
	put(sector + 80, 256, 4); // each is allowed, together they are too many
	put(sector + 84, 512, 4);
	header_seal();
	assert_int_equal(parse(), STATUS_BAD_FORMAT);
	setup(state);
	put(sector + 40, 0, 8); // nobody gets the sector of the MBR
	put(sector + 48, 0, 8);
	header_seal();
	assert_int_equal(parse(), STATUS_BAD_FORMAT);
	setup(state);
	sector[7] = 'S';
	header_seal();
	assert_int_equal(parse(), STATUS_NOT_FOUND);
}

// The second table: header in the last sector, array before it.
static void test_second(void **state)
{
	(void)state;
	put(sector + 24, SECTORS - 1, 8);
	put(sector + 32, 1, 8);
	put(sector + 72, SECTORS - 33, 8);
	header_seal();
	assert_int_equal(gpt_header_parse(sector, SECTOR_BYTES, SECTORS - 1, SECTORS, &header),
		STATUS_OK);
	assert_int_equal(header.alternate, 1);
	// A header that takes a whole sector, reserved bytes and all.
	put(sector + 12, SECTOR_BYTES, 4);
	header_seal();
	assert_int_equal(gpt_header_parse(sector, SECTOR_BYTES, SECTORS - 1, SECTORS, &header),
		STATUS_OK);
}

static void test_entries(void **state)
{
	static const struct {
		uint64_t first, last;
		enum status status;
	} rows[] = {
		{135, 4999, STATUS_OK},
		{134, 200, STATUS_BAD_FORMAT}, // overlaps with the one before
		{4000, 5000, STATUS_BAD_FORMAT}, // with the one behind
		{4000, UINT64_MAX, STATUS_BAD_FORMAT},
		{33, 33, STATUS_BAD_FORMAT},
		{0, 0, STATUS_BAD_FORMAT},
		{200, 199, STATUS_BAD_FORMAT},
		{UINT64_MAX, UINT64_MAX, STATUS_BAD_FORMAT},
		{135, 135, STATUS_OK},
	};

	(void)state;
	assert_int_equal(parse(), STATUS_OK);
	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++) {
		entry_set(5, rows[i].first, rows[i].last, "x");
		assert_int_equal(get(5), rows[i].status);
	}
}

// Contents at random, with right CRCs: what is accepted is within bounds.
static void test_random(void **state)
{
	uint64_t seed = 3;
	unsigned accepted = 0;

	for (unsigned i = 0; i < RANDOM_TABLES; i++) {
		unsigned changes;
		uint8_t *copy;

		if (i % 16 == 0)
			setup(state);
		seed = seed * 6364136223846793005 + 1442695040888963407;
		changes = (unsigned)(seed >> 60) % 4 + 1;
		for (unsigned n = 0; n < changes; n++) {
			seed = seed * 6364136223846793005 + 1442695040888963407;
			if ((seed & BIT(40)) != 0)
				sector[24 + (seed >> 33) % 64] = (uint8_t)(seed >> 50);
			else
				array[(seed >> 33) % ARRAY] = (uint8_t)(seed >> 50);
		}
		seal();
		if (parse() != STATUS_OK)
			continue;
		assert_true(gpt_array_bytes(&header) <= GPT_ARRAY_BYTES_MAX);
		assert_true(header.array_sector + gpt_array_bytes(&header) / SECTOR_BYTES <=
			SECTORS);
		copy = calloc(1, gpt_array_bytes(&header));
		assert_non_null(copy);
		memcpy(copy, array, gpt_array_bytes(&header) < ARRAY ? gpt_array_bytes(&header)
								     : ARRAY);
		(void)!gpt_array_check(&header, copy);
		for (uint32_t n = 0; n < header.entry_count; n++)
			if (gpt_partition_get(&header, copy, n, &partition) == STATUS_OK) {
				accepted++;
				assert_true(partition.first >= 2);
				assert_true(partition.first <= partition.last);
				assert_true(partition.last < SECTORS);
				assert_true(strlen(partition.name) < GPT_NAME_MAX);
			}
		free(copy);
	}
	assert_true(accepted > RANDOM_TABLES / 10);
}

static void test_guids(void **state)
{
	static const char *const bad[] = {
		"", "c12a7328", "c12a7328-f81f-11d2-ba4b-00a0c93ec93",
		"c12a7328-f81f-11d2-ba4b-00a0c93ec93bb",
		"c12a7328xf81f-11d2-ba4b-00a0c93ec93b", "g12a7328-f81f-11d2-ba4b-00a0c93ec93b",
		"c12a732--f81f-11d2-ba4b-00a0c93ec93b", "{c12a7328-f81f-11d2-ba4b-00a0c93ec9}",
	};
	// UEFI 2.10 table 5-7: the EFI system partition's type, as it stands on a disk.
	static const uint8_t esp[] = {0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b,
		0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b};
	uint8_t guid[GPT_GUID_BYTES];
	char text[GPT_GUID_TEXT + 1];

	(void)state;
	assert_true(gpt_guid_parse("C12A7328-F81F-11D2-BA4B-00A0C93EC93B", guid));
	assert_memory_equal(guid, esp, sizeof(esp));
	gpt_guid_print(esp, text);
	assert_string_equal(text, "c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
	for (unsigned i = 0; i < ARRAY_COUNT(bad); i++)
		assert_false(gpt_guid_parse(bad[i], guid));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_sound, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flips, setup, teardown),
		cmocka_unit_test_setup_teardown(test_headers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_second, setup, teardown),
		cmocka_unit_test_setup_teardown(test_entries, setup, teardown),
		cmocka_unit_test_setup_teardown(test_random, setup, teardown),
		cmocka_unit_test(test_guids),
	};

	return cmocka_run_group_tests_name("gpt", tests, NULL, NULL);
}

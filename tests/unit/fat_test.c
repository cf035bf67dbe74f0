// SPDX-License-Identifier: BSD-2-Clause
// Files on FAT volumes that mtools made, of all three widths: their extents hold what was written.
// And the same volumes damaged: FAT specification 1.03 says where everything is.
#include "drivers/fat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/fake_env.h"

enum { CLUSTER_BYTES_MAX = 4096, RANDOM_DAMAGES = 3000, PATH_BYTES = 256 };

struct volume {
	const char *name;
	unsigned kib, bits;
	const char *format;
};

static const struct volume volumes[] = {
	{"12 bits", 1440, 12, "mformat -i v -f 1440 -v LABEL ::"},
	{"16 bits", 16384, 16, "mformat -i v -c 4 -v LABEL ::"},
	{"32 bits", 40960, 32, "mformat -i v -F -c 1 -v LABEL ::"},
	{"large sectors", 65536, 16,
		"PATH=$PATH:/sbin mkfs.fat -S 2048 -s 2 -F 16 -n LABEL v >log"},
};

static uint8_t *image, *original; // of image_bytes each
static uint64_t image_bytes;
static unsigned reads;
static struct fat_file file;

static enum status image_read(void *context, uint64_t offset, void *buffer, uint32_t bytes)
{
	(void)context;
	assert_true(bytes > 0 && bytes <= 512);
	assert_true(offset <= image_bytes && bytes <= image_bytes - offset);
	memcpy(buffer, image + offset, bytes);
	reads++;
	return STATUS_OK;
}

static const struct fat_reader *reader(void)
{
	static struct fat_reader made = {.read = image_read};

	made.bytes = image_bytes;
	return &made;
}

static void shell(const char *directory, const char *command)
{
	char line[1024];

	snprintf(line, sizeof(line), "cd %s && export MTOOLS_SKIP_CHECK=1 && %s", directory,
		command);
	if (system(line) != 0)
		fail_msg("failed: %s", command);
}

// a0 to a7 of 5000 bytes with every other one deleted, and in the holes: a file in pieces.
static void volume_make(const struct volume *volume)
{
	char directory[] = "/tmp/fat_test.XXXXXX", path[PATH_BYTES], line[PATH_BYTES];
	FILE *stream;

	assert_non_null(mkdtemp(directory));
	snprintf(line, sizeof(line), "truncate -s %uK v && %s", volume->kib, volume->format);
	shell(directory, line);
	shell(directory, "head -c 5000 /dev/zero | tr '\\0' s >s && head -c 60000 /dev/zero |"
			 " tr '\\0' l >l && seq 1 9999 | head -c 40000 >f && : >e");
	shell(directory, "for i in 0 1 2 3 4 5 6 7; do mcopy -i v s ::a$i; done;"
			 " for i in 0 2 4 6; do mdel -i v ::a$i; done");
	shell(directory, "mmd -i v ::EFI '::EFI/A long name of a directory' && mcopy -i v e ::E");
	if (volume->bits == 32) // it would look for free clusters behind the last
		shell(directory, "printf '\\377\\377\\377\\377' |"
				 " dd of=v bs=1 seek=1004 conv=notrunc status=none");
	shell(directory, "mcopy -i v f '::EFI/A long name of a directory/The file'"
			 " && mcopy -i v l ::LARGE.BIN && mattrib -i v +r ::LARGE.BIN");
	snprintf(path, sizeof(path), "%s/v", directory);
	stream = fopen(path, "rb");
	assert_non_null(stream);
	image_bytes = (uint64_t)volume->kib * 1024;
	image = realloc(image, image_bytes);
	original = realloc(original, image_bytes);
	assert_int_equal(fread(original, 1, image_bytes, stream), image_bytes);
	fclose(stream);
	memcpy(image, original, image_bytes);
	snprintf(line, sizeof(line), "rm -r %s", directory);
	assert_int_equal(system(line), 0);
}

// What a file's extents hold; the caller frees it.
static uint8_t *content(void)
{
	uint8_t *bytes = malloc(file.bytes + 512), *at = bytes;

	for (uint32_t i = 0; i < file.extent_count; i++) {
		const struct fat_extent *extent = &file.extents[i];

		assert_true(extent->start <= image_bytes);
		assert_true(extent->bytes <= image_bytes - extent->start);
		assert_true((uint64_t)(at - bytes) + extent->bytes < file.bytes + 512);
		memcpy(at, image + extent->start, extent->bytes);
		at += extent->bytes;
	}
	assert_true((uint64_t)(at - bytes) >= file.bytes);
	return bytes;
}

static const char file_path[] = "EFI/A long name of a directory/The file";

static void check_sound(const struct volume *volume)
{
	static char expected[50000];
	char number[16], *at = expected;
	const char *problem;
	uint8_t *bytes;

	for (unsigned i = 1; at < expected + 40000; i++) {
		snprintf(number, sizeof(number), "%u\n", i);
		at = stpcpy(at, number);
	}
	problem = fat_file_find(reader(), file_path, &file);
	if (problem != NULL)
		fail_msg("%s: %s", volume->name, problem);
	assert_int_equal(file.bytes, 40000);
	assert_false(file.read_only);
	if (file.extent_count < 3)
		fail_msg("%s: the file lies in %u pieces", volume->name, file.extent_count);
	bytes = content();
	assert_memory_equal(bytes, expected, 40000);
	free(bytes);
	assert_null(fat_file_find(reader(), "\\efi\\a LONG name of a directory/\\the file", &file));
	assert_int_equal(file.bytes, 40000);
	assert_null(fat_file_find(reader(), "/large.bin", &file));
	assert_int_equal(file.bytes, 60000);
	assert_true(file.read_only);
	bytes = content();
	for (unsigned i = 0; i < 60000; i++)
		assert_int_equal(bytes[i], 'l');
	free(bytes);
	assert_null(fat_file_find(reader(), "EFI/ALONGN~1/THEFIL~1", &file)); // by short names
	assert_int_equal(file.bytes, 40000);
}

static void check_refused(const char *path, const char *reason)
{
	const char *problem = fat_file_find(reader(), path, &file);

	if (problem == NULL || strstr(problem, reason) == NULL)
		fail_msg("%s: %s, expected %s", path, problem, reason);
}

static void check_absent(void)
{
	check_refused("a0", "not found"); // deleted
	check_refused("a1/x", "not found");
	check_refused("LABEL", "not found");
	check_refused("EFI/The file", "not found");
	check_refused("LARGE.BI", "not found");
	check_refused("LARGE.BINX", "not found");
	check_refused("LARGEBIN", "not found");
	check_refused("EFI/A long name of a directory/The fil", "not found");
	check_refused("EFI/A long name of a directory/The filex", "not found");
	check_refused("EFI", "directory");
	check_refused("", "directory");
	check_refused("/", "directory");
	check_refused("E", "empty");
}

static void test_sound(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(volumes); i++) {
		volume_make(&volumes[i]);
		check_sound(&volumes[i]);
		check_absent();
	}
}

static void put(uint64_t at, uint64_t value, unsigned bytes)
{
	memcpy(image + at, &value, bytes);
}

static uint64_t get(uint64_t at, unsigned bytes)
{
	uint64_t value = 0;

	memcpy(&value, original + at, bytes);
	return value;
}

// Where the entry of a short name lies, anywhere in the volume.
static uint64_t entry_find(const char *name)
{
	for (uint64_t at = 0; at + 32 <= image_bytes; at += 32)
		if (memcmp(original + at, name, 11) == 0)
			return at;
	fail_msg("no entry %s", name);
	return 0;
}

static void fat_put(unsigned bits, uint64_t fat, uint64_t cluster, uint32_t value)
{
	uint64_t at = fat + cluster * bits / 8;

	if (bits != 12)
		put(at, value, bits / 8);
	else if (cluster % 2 == 0)
		put(at, (get(at, 2) & 0xf000) | (value & 0xfff), 2);
	else
		put(at, (get(at, 2) & 0x000f) | (value & 0xfff) << 4, 2);
}

static void image_restore(void)
{
	memcpy(image, original, image_bytes);
}

// The file's first cluster says what comes after: itself, nobody, somebody that is not there.
static void check_chains(const struct volume *volume)
{
	uint64_t fat = get(14, 2) * get(11, 2), entry = entry_find("LARGE   BIN");
	uint32_t first = (uint32_t)get(entry + 26, 2);
	const struct {
		uint32_t next;
		const char *reason;
	} rows[] = {
		{first, "loop"}, {0, "broken"}, {1, "broken"}, {UINT32_MAX, "broken"},
		{0x0ffffff7, "broken"}, {0x0ffffff0, "broken"},
	};

	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++) {
		fat_put(volume->bits, fat, first, rows[i].next);
		check_refused("LARGE.BIN", rows[i].reason);
		image_restore();
	}
	put(entry + 26, 0, 2);
	check_refused("LARGE.BIN", "broken");
	put(entry + 26, 1, 2);
	check_refused("LARGE.BIN", "broken");
	image_restore();
	put(entry + 28, UINT32_MAX, 4); // a size that the chain has not
	check_refused("LARGE.BIN", "broken");
	image_restore();
	if (volume->bits == 32) {
		put(entry + 20, 0x0fff, 2);
		check_refused("LARGE.BIN", "broken");
		image_restore();
	}
}

// A loop of many clusters, and a size that goes round it again and again.
static void check_long_chains(const struct volume *volume)
{
	uint64_t fat = get(14, 2) * get(11, 2), entry = entry_find("LARGE   BIN");
	uint32_t first = (uint32_t)get(entry + 26, 2);

	put(entry + 28, 1 << 30, 4);
	for (uint32_t i = 0; i < 100; i++)
		fat_put(volume->bits, fat, first + i, i == 99 ? first : first + i + 1);
	memcpy(original, image, image_bytes); // fat_put reads it
	reads = 0;
	check_refused("LARGE.BIN", "pieces"); // each time round is one more
	assert_true(reads < 100000);
}

// No entry of the cluster is the last: those that are not used were deleted. `inner` is an entry in
// its first sector.
static void directory_fill(uint64_t inner)
{
	uint64_t sector_bytes = get(11, 2), start = ALIGN_DOWN(inner, sector_bytes);

	for (uint64_t at = start; at < start + get(13, 1) * sector_bytes; at += 32)
		if (image[at] == 0)
			image[at] = 0xe5;
}

static void check_directories(const struct volume *volume)
{
	uint64_t fat = get(14, 2) * get(11, 2), entry = entry_find("EFI        ");
	uint64_t inner = entry_find("ALONGN~1   ");
	uint32_t first = (uint32_t)get(entry + 26, 2);

	fat_put(volume->bits, fat, first, first); // a directory without an end, full of nothing
	directory_fill(inner);
	reads = 0;
	check_refused("EFI/nobody", "too many entries");
	assert_true(reads < 200000);
	image_restore();
	fat_put(volume->bits, fat, first, 1);
	directory_fill(inner);
	check_refused("EFI/nobody", "broken");
	image_restore();
	put(entry + 26, 0, 2);
	check_refused(file_path, "broken");
	put(entry + 26, 0xffff, 2);
	put(entry + 20, 0x0fff, 2); // for 32 bits
	check_refused(file_path, "broken");
	image_restore();
	image[inner - 32] ^= 1; // of the long name: a sequence number that is not next
	check_refused(file_path, "not found");
	image_restore();
	image[inner - 32 + 13] ^= 1; // the checksum
	check_refused(file_path, "not found");
	image_restore();
}

static void check_layout(const struct volume *volume)
{
	const struct {
		unsigned offset, bytes;
		uint64_t value;
	} rows[] = {
		{510, 2, 0}, {11, 2, 0}, {11, 2, 256}, {11, 2, 513}, {11, 2, 8192}, {13, 1, 0},
		{13, 1, 3}, {14, 2, 0}, {16, 1, 0}, {volume->bits == 32 ? 36 : 22, 2, 1},
	};

	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++) {
		put(rows[i].offset, rows[i].value, rows[i].bytes);
		check_refused("LARGE.BIN", "volume");
		image_restore();
	}
	put(19, 0, 2);
	put(32, UINT32_MAX, 4);
	check_refused("LARGE.BIN", "volume");
	image_restore();
	if (volume->bits != 32)
		return;
	put(36, UINT32_MAX, 4);
	check_refused("LARGE.BIN", "volume");
	image_restore();
	put(42, 1, 2); // version
	check_refused("LARGE.BIN", "volume");
	image_restore();
	put(44, 0, 4); // the root's cluster
	check_refused("LARGE.BIN", "root");
	put(44, 0x0ffffff0, 4);
	check_refused("LARGE.BIN", "root");
	image_restore();
	put(40, 0x81, 2); // the second FAT alone counts: an equal copy
	assert_null(fat_file_find(reader(), "LARGE.BIN", &file));
	put(40, 0x82, 2);
	check_refused("LARGE.BIN", "FAT");
	image_restore();
}

static void test_hostile(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(volumes); i++) {
		volume_make(&volumes[i]);
		check_chains(&volumes[i]);
		check_directories(&volumes[i]);
		check_layout(&volumes[i]);
		check_long_chains(&volumes[i]);
	}
}

// A volume that ends early, and one that cannot be read.
static enum status broken_read(void *context, uint64_t offset, void *buffer, uint32_t bytes)
{
	unsigned *left = context;

	return (*left)-- == 0 ? STATUS_IO : image_read(NULL, offset, buffer, bytes);
}

static void test_unreadable(void **state)
{
	struct fat_reader broken = {.read = broken_read};
	unsigned failures = 0;

	(void)state;
	volume_make(&volumes[1]);
	broken.bytes = image_bytes;
	for (unsigned i = 0;; i++, failures++) {
		unsigned left = i;
		const char *problem;

		broken.context = &left;
		problem = fat_file_find(&broken, file_path, &file);
		if (problem == NULL)
			break;
		assert_string_equal(problem, "the volume cannot be read");
	}
	assert_true(failures > 3 && failures < 100);
	image_bytes -= 512;
	check_refused(file_path, "size");
	image_bytes = 511;
	check_refused(file_path, "cannot be read");
	image_bytes = 0;
	check_refused(file_path, "cannot be read");
}

// Bytes of boot sector, FATs and directories at random: an answer comes, and is within the volume.
static void test_random(void **state)
{
	uint64_t seed = 5;
	unsigned found = 0;

	(void)state;
	for (unsigned v = 0; v < 3; v++) {
		uint64_t interesting;

		volume_make(&volumes[v]);
		interesting = entry_find("THEFIL~1   ") + 512; // what mtools wrote first
		for (unsigned i = 0; i < RANDOM_DAMAGES; i++) {
			uint64_t places[4];

			for (unsigned n = 0; n < ARRAY_COUNT(places); n++) {
				seed = seed * 6364136223846793005 + 1442695040888963407;
				places[n] = n == 0 ? (seed >> 33) % 64
						   : (seed >> 33) % interesting;
				if ((n > 0 || i % 3 == 0) && places[n] < image_bytes)
					image[places[n]] = (uint8_t)(seed >> 25);
			}
			if (fat_file_find(reader(), file_path, &file) == NULL) {
				found++;
				free(content());
			}
			for (unsigned n = 0; n < ARRAY_COUNT(places); n++)
				if (places[n] < image_bytes)
					image[places[n]] = original[places[n]];
		}
	}
	assert_true(found > RANDOM_DAMAGES / 4);
}

static int teardown_all(void **state)
{
	(void)state;
	free(image);
	free(original);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sound),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_unreadable),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests_name("fat", tests, NULL, teardown_all);
}

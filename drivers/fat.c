// SPDX-License-Identifier: BSD-2-Clause
// Microsoft FAT specification 1.03 (fatgen103): the boot sector and what follows from it (sections
// "BPB" and "FAT Data Structure"), directories ("FAT Directory Structure"), long names.
//
// Every walk ends: along a file's clusters after as many as its size takes, along a directory's
// after as many entries as a directory may have.
#include "drivers/fat.h"

#include <string.h>

#include "kernel/base/assert.h"

enum {
	CACHE_BYTES = 512,
	ENTRY_BYTES = 32,
	DIRECTORY_ENTRIES_MAX = 65536,
	LONG_CHARACTERS = 13, // of one entry
	CLUSTER_FIRST = 2,
	CLUSTERS_MAX_12 = 4085, // one more, and it is FAT16
	CLUSTERS_MAX_16 = 65525,
};

// Offsets in the boot sector.
enum {
	BPB_SECTOR_BYTES = 11,
	BPB_CLUSTER_SECTORS = 13,
	BPB_RESERVED = 14,
	BPB_FATS = 16,
	BPB_ROOT_ENTRIES = 17,
	BPB_SECTORS_16 = 19,
	BPB_FAT_SECTORS_16 = 22,
	BPB_SECTORS_32 = 32,
	BPB_FAT_SECTORS_32 = 36,
	BPB_FLAGS = 40,
	BPB_FLAGS_ONE_FAT = 1 << 7, // that of bits 0 to 3 is the one in use
	BPB_VERSION = 42,
	BPB_ROOT_CLUSTER = 44,
	BPB_SIGNATURE = 510,
	BPB_SIGNATURE_VALUE = 0xaa55,
};

// Offsets in a directory's entry.
enum {
	ENTRY_NAME = 0,
	ENTRY_NAME_CHARACTERS = 8,
	ENTRY_EXTENSION_CHARACTERS = 3,
	ENTRY_ATTRIBUTES = 11,
	ENTRY_CLUSTER_HIGH = 20,
	ENTRY_CLUSTER_LOW = 26,
	ENTRY_SIZE = 28,
	ENTRY_END = 0x00,
	ENTRY_FREE = 0xe5,
	ATTRIBUTE_READ_ONLY = 1 << 0,
	ATTRIBUTE_LABEL = 1 << 3,
	ATTRIBUTE_DIRECTORY = 1 << 4,
	ATTRIBUTES_LONG = 0x0f,
	ATTRIBUTES_MASK = 0x3f,
	LONG_SEQUENCE = 0,
	LONG_LAST = 0x40, // the first that is met: they come in reverse
	LONG_SEQUENCE_MAX = 20,
	LONG_CHECKSUM = 13,
};

struct fat {
	const struct fat_reader *reader;
	unsigned bits; // 12, 16 or 32
	uint32_t cluster_bytes;
	uint32_t clusters; // the last one has this number plus 1
	uint64_t fat_start, root_start, data_start; // bytes
	uint32_t root_entries; // 0: the root is a chain like other directories
	uint32_t root_cluster;
	uint64_t cache_at; // of the volume; UINT64_MAX: nothing
	uint8_t cache[CACHE_BYTES];
};

struct fat_entry {
	uint32_t cluster, bytes;
	uint8_t attributes;
};

// A long name while its entries come, from the end to the start.
struct fat_long {
	unsigned next; // sequence number that must come; 0: the short entry
	bool is_valid;
	uint8_t checksum;
	char name[LONG_SEQUENCE_MAX * LONG_CHARACTERS + 1];
};

static uint32_t get16(const uint8_t *at)
{
	return at[0] | (uint32_t)at[1] << 8;
}

static uint32_t get32(const uint8_t *at)
{
	return get16(at) | get16(at + 2) << 16;
}

static const char cannot_read[] = "the volume cannot be read";

// The cached bytes from `offset` on: at least one, at most to the end of its 512. NULL: no read.
static const uint8_t *fat_bytes(struct fat *fat, uint64_t offset)
{
	uint64_t at = ALIGN_DOWN(offset, CACHE_BYTES);

	if (at != fat->cache_at) {
		fat->cache_at = UINT64_MAX;
		if (at > fat->reader->bytes || fat->reader->bytes - at < CACHE_BYTES ||
			fat->reader->read(fat->reader->context, at, fat->cache, CACHE_BYTES) !=
				STATUS_OK)
			return NULL;
		fat->cache_at = at;
	}
	return fat->cache + (offset - at);
}

static bool is_power_of_two(uint32_t value)
{
	return value != 0 && (value & (value - 1)) == 0;
}

static bool is_cluster(const struct fat *fat, uint32_t cluster)
{
	return cluster >= CLUSTER_FIRST && cluster - CLUSTER_FIRST < fat->clusters;
}

// Works out the places of everything, in 64 bits: no product or sum of the fields overflows.
static const char *fat_layout(struct fat *fat, const uint8_t *bpb)
{
	uint32_t sector_bytes = get16(bpb + BPB_SECTOR_BYTES);
	uint32_t cluster_sectors = bpb[BPB_CLUSTER_SECTORS], reserved = get16(bpb + BPB_RESERVED);
	uint64_t fat_sectors = get16(bpb + BPB_FAT_SECTORS_16);
	uint64_t sectors = get16(bpb + BPB_SECTORS_16), data, root_sectors, clusters;
	bool is_32 = fat_sectors == 0;

	if (get16(bpb + BPB_SIGNATURE) != BPB_SIGNATURE_VALUE || sector_bytes < CACHE_BYTES ||
		sector_bytes > 4096 || !is_power_of_two(sector_bytes) ||
		!is_power_of_two(cluster_sectors) || reserved == 0 || bpb[BPB_FATS] == 0)
		return "the volume is not FAT";
	if (is_32)
		fat_sectors = get32(bpb + BPB_FAT_SECTORS_32);
	if (sectors == 0)
		sectors = get32(bpb + BPB_SECTORS_32);
	fat->root_entries = get16(bpb + BPB_ROOT_ENTRIES);
	root_sectors = (fat->root_entries * ENTRY_BYTES + sector_bytes - 1) / sector_bytes;
	data = reserved + bpb[BPB_FATS] * fat_sectors + root_sectors;
	if (sectors > fat->reader->bytes / sector_bytes || data >= sectors)
		return "the volume's size is wrong";
	clusters = (sectors - data) / cluster_sectors;
	fat->clusters = (uint32_t)clusters;
	fat->bits = clusters < CLUSTERS_MAX_12 ? 12 : clusters < CLUSTERS_MAX_16 ? 16 : 32;
	if ((fat->bits == 32) != is_32 || clusters == 0 || clusters > 0x0ffffff5 ||
		(clusters + CLUSTER_FIRST) * fat->bits > fat_sectors * sector_bytes * 8)
		return "the volume's FAT has a wrong size";
	fat->cluster_bytes = cluster_sectors * sector_bytes;
	fat->fat_start = (uint64_t)reserved * sector_bytes;
	fat->data_start = data * sector_bytes;
	fat->root_start = fat->data_start - root_sectors * sector_bytes;
	if (!is_32)
		return fat->root_entries > 0 ? NULL : "the volume has no root directory";
	if (get16(bpb + BPB_VERSION) != 0 || fat->root_entries != 0)
		return "the volume's version of FAT32 is not supported";
	fat->root_cluster = get32(bpb + BPB_ROOT_CLUSTER);
	if (!is_cluster(fat, fat->root_cluster))
		return "the volume has no root directory";
	if ((bpb[BPB_FLAGS] & BPB_FLAGS_ONE_FAT) != 0) {
		if ((bpb[BPB_FLAGS] & 0xf) >= bpb[BPB_FATS])
			return "the volume uses a FAT that it does not have";
		fat->fat_start += (bpb[BPB_FLAGS] & 0xf) * fat_sectors * sector_bytes;
	}
	return NULL;
}

static uint64_t cluster_start(const struct fat *fat, uint32_t cluster)
{
	ASSERT(is_cluster(fat, cluster));
	return fat->data_start + (uint64_t)(cluster - CLUSTER_FIRST) * fat->cluster_bytes;
}

// What the FAT says about a cluster. An entry of 12 bits may lie in two sectors.
static const char *fat_next(struct fat *fat, uint32_t cluster, uint32_t *next)
{
	uint64_t offset = fat->fat_start + (uint64_t)cluster * fat->bits / 8;
	unsigned bytes = fat->bits == 32 ? 4 : 2;
	uint32_t value = 0;

	ASSERT(is_cluster(fat, cluster));
	for (unsigned i = 0; i < bytes; i++) {
		const uint8_t *at = fat_bytes(fat, offset + i);

		if (at == NULL)
			return cannot_read;
		value |= (uint32_t)*at << 8 * i;
	}
	if (fat->bits == 12)
		value = cluster % 2 != 0 ? value >> 4 : value & 0xfff;
	*next = value & 0x0fffffff;
	return NULL;
}

static bool is_chain_end(const struct fat *fat, uint32_t next)
{
	return next >= (fat->bits == 32 ? 0x0ffffff8 : fat->bits == 16 ? 0xfff8 : 0xff8);
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

// `name` ends with a zero, `part` after `length` characters.
static bool names_equal(const char *name, const char *part, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (name[i] == '\0' || lower(name[i]) != lower(part[i]))
			return false;
	return name[length] == '\0';
}

// "NAME.EXT" of the fields, which are filled up with spaces.
static void short_name(const uint8_t *entry, char name[ENTRY_NAME_CHARACTERS + 5])
{
	unsigned used = 0, end = ENTRY_NAME_CHARACTERS;

	while (end > 0 && entry[end - 1] == ' ')
		end--;
	for (unsigned i = 0; i < end; i++)
		name[used++] = (char)entry[i];
	end = ENTRY_NAME_CHARACTERS + ENTRY_EXTENSION_CHARACTERS;
	while (end > ENTRY_NAME_CHARACTERS && entry[end - 1] == ' ')
		end--;
	if (end > ENTRY_NAME_CHARACTERS)
		name[used++] = '.';
	for (unsigned i = ENTRY_NAME_CHARACTERS; i < end; i++)
		name[used++] = (char)entry[i];
	name[used] = '\0';
}

static uint8_t short_checksum(const uint8_t *entry)
{
	uint8_t sum = 0;

	for (unsigned i = 0; i < ENTRY_NAME_CHARACTERS + ENTRY_EXTENSION_CHARACTERS; i++)
		sum = (uint8_t)((sum >> 1 | sum << 7) + entry[i]);
	return sum;
}

static void long_add(struct fat_long *name, const uint8_t *entry)
{
	static const uint8_t places[LONG_CHARACTERS] = {
		1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30};
	unsigned sequence = entry[LONG_SEQUENCE] & ~(unsigned)LONG_LAST;
	char *at;

	if ((entry[LONG_SEQUENCE] & LONG_LAST) != 0) {
		name->is_valid = sequence >= 1 && sequence <= LONG_SEQUENCE_MAX;
		name->next = sequence;
		name->checksum = entry[LONG_CHECKSUM];
		memset(name->name, 0, sizeof(name->name));
	}
	if (!name->is_valid || name->next == 0 || sequence != name->next ||
		entry[LONG_CHECKSUM] != name->checksum) {
		name->is_valid = false;
		return;
	}
	name->next--;
	ASSERT(name->next < LONG_SEQUENCE_MAX);
	at = name->name + (size_t)name->next * LONG_CHARACTERS;
	for (unsigned i = 0; i < LONG_CHARACTERS; i++) {
		uint32_t character = get16(entry + places[i]);

		if (character == 0)
			break;
		// None of a path's characters: those are ASCII.
		at[i] = character < 0x80 ? (char)character : '\x7f';
	}
}

static bool entry_matches(const struct fat_long *name, const uint8_t *entry, const char *part,
	size_t length)
{
	char text[ENTRY_NAME_CHARACTERS + 5];

	if (name->is_valid && name->next == 0 && name->checksum == short_checksum(entry) &&
		names_equal(name->name, part, length))
		return true;
	short_name(entry, text);
	return names_equal(text, part, length);
}

// Where in the volume the directory's entry `index` is; `cluster` goes along with it. NULL and
// *offset 0: behind the end.
static const char *directory_place(struct fat *fat, uint32_t index, uint32_t *cluster,
	uint64_t *offset)
{
	uint32_t in_cluster;

	*offset = 0;
	if (*cluster == 0) { // the root of FAT12 and FAT16
		if (index < fat->root_entries)
			*offset = fat->root_start + (uint64_t)index * ENTRY_BYTES;
		return NULL;
	}
	in_cluster = index % (fat->cluster_bytes / ENTRY_BYTES);
	if (index > 0 && in_cluster == 0) {
		const char *problem = fat_next(fat, *cluster, cluster);

		if (problem != NULL || is_chain_end(fat, *cluster))
			return problem;
	}
	if (!is_cluster(fat, *cluster))
		return "a directory's chain of clusters is broken";
	*offset = cluster_start(fat, *cluster) + (uint64_t)in_cluster * ENTRY_BYTES;
	return NULL;
}

// Finds a name in the directory that begins at `cluster`.
static const char *directory_find(struct fat *fat, uint32_t cluster, const char *part,
	size_t length, struct fat_entry *found)
{
	struct fat_long name = {.is_valid = false};

	for (uint32_t i = 0; i < DIRECTORY_ENTRIES_MAX; i++) {
		const uint8_t *entry;
		uint64_t offset;
		const char *problem = directory_place(fat, i, &cluster, &offset);

		if (problem != NULL)
			return problem;
		if (offset == 0)
			return "not found";
		entry = fat_bytes(fat, offset);
		if (entry == NULL)
			return cannot_read;
		if (entry[ENTRY_NAME] == ENTRY_END)
			return "not found";
		if (entry[ENTRY_NAME] != ENTRY_FREE &&
			(entry[ENTRY_ATTRIBUTES] & ATTRIBUTES_MASK) == ATTRIBUTES_LONG) {
			long_add(&name, entry);
			continue;
		}
		if (entry[ENTRY_NAME] != ENTRY_FREE &&
			(entry[ENTRY_ATTRIBUTES] & ATTRIBUTE_LABEL) == 0 &&
			entry_matches(&name, entry, part, length)) {
			found->attributes = entry[ENTRY_ATTRIBUTES];
			found->bytes = get32(entry + ENTRY_SIZE);
			found->cluster = get16(entry + ENTRY_CLUSTER_LOW);
			if (fat->bits == 32)
				found->cluster |= get16(entry + ENTRY_CLUSTER_HIGH) << 16;
			return NULL;
		}
		name.is_valid = false;
	}
	return "a directory has too many entries";
}

// Each cluster once: a loop in a chain makes an extent come again.
static bool extents_overlap(const struct fat_file *file)
{
	for (uint32_t i = 0; i < file->extent_count; i++)
		for (uint32_t n = 0; n < i; n++) {
			const struct fat_extent *a = &file->extents[i], *b = &file->extents[n];

			if (a->start < b->start + b->bytes && b->start < a->start + a->bytes)
				return true;
		}
	return false;
}

// Follows the chain for as long as the file's size says.
static const char *chain_follow(struct fat *fat, uint32_t cluster, struct fat_file *file)
{
	// A sector's worth at the end belongs to the file alone, as the whole cluster does.
	uint64_t left = ALIGN_UP(file->bytes, (uint64_t)CACHE_BYTES);
	struct fat_extent *last = NULL;

	file->extent_count = 0;
	for (;;) {
		uint64_t bytes = left < fat->cluster_bytes ? left : fat->cluster_bytes, start;
		const char *problem;

		if (!is_cluster(fat, cluster))
			return "its chain of clusters is broken";
		start = cluster_start(fat, cluster);
		if (last != NULL && last->start + last->bytes == start) {
			last->bytes += bytes;
		} else if (file->extent_count == FAT_EXTENTS_MAX) {
			return "it lies in too many pieces";
		} else {
			last = &file->extents[file->extent_count++];
			*last = (struct fat_extent){start, bytes};
		}
		left -= bytes;
		if (left == 0)
			return extents_overlap(file) ? "its chain of clusters is a loop" : NULL;
		problem = fat_next(fat, cluster, &cluster);
		if (problem != NULL)
			return problem;
	}
}

// Goes down the path.
static const char *path_find(struct fat *fat, const char *path, struct fat_entry *entry)
{
	*entry = (struct fat_entry){
		.cluster = fat->root_cluster, .attributes = ATTRIBUTE_DIRECTORY};
	for (;;) {
		const char *problem;
		size_t length;

		path += strspn(path, "/\\");
		length = strcspn(path, "/\\");
		if (length == 0)
			return NULL;
		if ((entry->attributes & ATTRIBUTE_DIRECTORY) == 0)
			return "not found";
		problem = directory_find(fat, entry->cluster, path, length, entry);
		if (problem != NULL)
			return problem;
		path += length;
		// Of a directory below the root, the root would be 0; only "..", which is not
		// looked for, may say so.
		if ((entry->attributes & ATTRIBUTE_DIRECTORY) != 0 &&
			!is_cluster(fat, entry->cluster))
			return "a directory's chain of clusters is broken";
	}
}

const char *fat_file_find(const struct fat_reader *reader, const char *path, struct fat_file *file)
{
	struct fat fat = {.reader = reader, .cache_at = UINT64_MAX};
	struct fat_entry entry;
	const uint8_t *bpb = fat_bytes(&fat, 0);
	uint8_t boot_sector[FAT_BOOT_SECTOR_BYTES];
	const char *problem;

	if (bpb == NULL)
		return cannot_read;
	memcpy(boot_sector, bpb, sizeof(boot_sector));
	problem = fat_layout(&fat, boot_sector);
	if (problem == NULL)
		problem = path_find(&fat, path, &entry);
	if (problem != NULL)
		return problem;
	if ((entry.attributes & ATTRIBUTE_DIRECTORY) != 0)
		return "is a directory";
	if (entry.bytes == 0)
		return "is empty";
	file->bytes = entry.bytes;
	file->read_only = (entry.attributes & ATTRIBUTE_READ_ONLY) != 0;
	return chain_follow(&fat, entry.cluster, file);
}

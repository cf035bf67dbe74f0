// SPDX-License-Identifier: BSD-2-Clause
// Everything on a disk may lie. What could be meant is refused rather than guessed at: whoever asks
// is going to write there.
#include "drivers/region_find.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/fat.h"
#include "drivers/gpt.h"
#include "kernel/base/assert.h"
#include "kernel/console.h"

// UEFI 2.10 section 5.2.3: the MBR that says that there is a GPT.
enum {
	MBR_BYTES = 512,
	MBR_ENTRIES = 446,
	MBR_ENTRY_BYTES = 16,
	MBR_ENTRY_TYPE = 4,
	MBR_ENTRY_COUNT = 4,
	MBR_TYPE_PROTECTIVE = 0xee,
};

struct table {
	struct gpt_header header;
	uint8_t array[]; // whole sectors
};

static const struct boot_volume *volume; // (c) after region_init; NULL: none

void region_init(const struct boot_info *info)
{
	if (info->volume.is_known)
		volume = &info->volume;
}

// One table, by the sector of its header; on success *table is to be freed.
static enum status table_read(struct disk *disk, uint64_t sector, struct table **table)
{
	uint8_t bytes[DISK_SECTOR_BYTES_MAX];
	struct gpt_header header;
	struct table *made;
	uint64_t count;
	enum status status;

	status = disk_read(disk, sector, 1, bytes);
	if (status == STATUS_OK)
		status = gpt_header_parse(bytes, disk->sector_bytes, sector, disk->sectors,
			&header);
	if (status != STATUS_OK)
		return status;
	count = (gpt_array_bytes(&header) + disk->sector_bytes - 1) / disk->sector_bytes;
	made = malloc(sizeof(*made) + count * disk->sector_bytes);
	if (made == NULL)
		return STATUS_FAIL(STATUS_NO_MEMORY);
	made->header = header;
	status = disk_read(disk, header.array_sector, count, made->array);
	if (status == STATUS_OK)
		status = gpt_array_check(&header, made->array);
	if (status == STATUS_OK)
		*table = made;
	else
		free(made);
	return status;
}

static bool tables_agree(const struct gpt_header *a, const struct gpt_header *b)
{
	return a->array_crc == b->array_crc && a->entry_count == b->entry_count &&
		a->entry_bytes == b->entry_bytes && a->first_usable == b->first_usable &&
		a->last_usable == b->last_usable &&
		memcmp(a->disk_guid, b->disk_guid, GPT_GUID_BYTES) == 0;
}

// STATUS_NOT_FOUND: no MBR, or one of another kind.
static enum status protective_mbr_check(struct disk *disk)
{
	uint8_t bytes[DISK_SECTOR_BYTES_MAX];
	enum status status = disk_read(disk, 0, 1, bytes);

	if (status != STATUS_OK)
		return status;
	if (bytes[MBR_BYTES - 2] == 0x55 && bytes[MBR_BYTES - 1] == 0xaa)
		for (unsigned i = 0; i < MBR_ENTRY_COUNT; i++)
			if (bytes[MBR_ENTRIES + i * MBR_ENTRY_BYTES + MBR_ENTRY_TYPE] ==
				MBR_TYPE_PROTECTIVE)
				return STATUS_OK;
	return STATUS_NOT_FOUND; // no error
}

// 5.3.2: the first table, and if that is damaged the one in the last sector. Where both are sound
// they must agree.
static enum status tables_read(struct disk *disk, struct table **table)
{
	struct table *first = NULL, *second = NULL;
	enum status status = protective_mbr_check(disk), status_of_second;
	uint64_t alternate = disk->sectors - 1;

	if (status != STATUS_OK)
		return status;
	status = table_read(disk, GPT_PRIMARY_SECTOR, &first);
	if (first != NULL && first->header.alternate < disk->sectors)
		alternate = first->header.alternate;
	status_of_second = table_read(disk, alternate, &second);
	if (first != NULL && second != NULL) {
		bool agree = tables_agree(&first->header, &second->header);

		free(second);
		if (!agree) {
			free(first);
			return STATUS_FAIL(STATUS_BAD_FORMAT);
		}
	} else if (first != NULL) {
		log_warn("disk: %s: the second partition table is damaged", disk->name);
	} else if (second != NULL) {
		log_warn("disk: %s: the first partition table is damaged", disk->name);
		first = second;
	} else {
		// A damaged one is more than none.
		return status == STATUS_NOT_FOUND ? status_of_second : status;
	}
	*table = first;
	return STATUS_OK;
}

enum status region_visit_partitions(struct disk *disk,
	void (*visit)(void *context, const struct gpt_partition *partition), void *context)
{
	struct table *table = NULL;
	enum status status = tables_read(disk, &table);

	if (table == NULL)
		return status;
	for (uint32_t i = 0; i < table->header.entry_count && status == STATUS_OK; i++) {
		struct gpt_partition partition;

		switch (gpt_partition_get(&table->header, table->array, i, &partition)) {
		case STATUS_OK:
			visit(context, &partition);
			break;
		case STATUS_NOT_FOUND:
			break;
		default:
			status = STATUS_FAIL(STATUS_BAD_FORMAT);
		}
	}
	free(table);
	return status;
}

struct partition_search {
	const char *name;
	bool is_guid;
	uint8_t guid[GPT_GUID_BYTES];
	struct disk *disk; // that is looked at
	unsigned found;
	struct disk *found_on;
	struct gpt_partition partition; // the first
};

static void partition_compare(void *context, const struct gpt_partition *partition)
{
	struct partition_search *search = context;

	if (search->is_guid ? memcmp(partition->guid, search->guid, GPT_GUID_BYTES) != 0
			    : strcmp(partition->name, search->name) != 0)
		return;
	if (search->found++ > 0)
		return;
	search->found_on = search->disk;
	search->partition = *partition;
}

enum status region_find_partition(const char *name, struct region **region,
	char error[REGION_ERROR_MAX])
{
	struct partition_search search = {.name = name};
	struct region_extent extent;
	struct disk *bad = NULL;
	enum status status, bad_status = STATUS_OK;

	search.is_guid = gpt_guid_parse(name, search.guid);
	for (struct disk *disk = disk_first(); disk != NULL; disk = disk->next) {
		search.disk = disk;
		status = region_visit_partitions(disk, partition_compare, &search);
		if (status != STATUS_OK && status != STATUS_NOT_FOUND &&
			(bad == NULL || disk == search.found_on)) {
			bad = disk;
			bad_status = status;
		}
	}
	if (bad != NULL && (search.found == 0 || bad == search.found_on)) {
		snprintf(error, REGION_ERROR_MAX, "the partition table of disk %s: %s", bad->name,
			status_name(bad_status));
		return STATUS_FAIL(bad_status);
	}
	if (name[0] == '\0' || search.found != 1) {
		snprintf(error, REGION_ERROR_MAX, "there %s partition '%s'",
			search.found == 0 ? "is no" : "is more than one", name);
		return STATUS_FAIL(search.found == 0 ? STATUS_NOT_FOUND : STATUS_EXISTS);
	}
	ASSERT(search.partition.first <= search.partition.last);
	extent.start = search.partition.first * search.found_on->sector_bytes;
	extent.bytes = (search.partition.last - search.partition.first + 1) *
		search.found_on->sector_bytes;
	status = region_create(search.found_on, &extent, 1, region);
	if (status == STATUS_OK && search.partition.read_only)
		(*region)->read_only = true;
	return status;
}

// Whether the volume that Reprise was booted from may be on this disk.
static enum status disk_has_volume(struct disk *disk, bool *has)
{
	uint8_t bytes[DISK_SECTOR_BYTES_MAX];
	enum status status;

	ASSERT(volume != NULL);
	*has = false;
	if (volume->controller_is_known && (disk->at.bus != volume->bus ||
			disk->at.slot != volume->slot || disk->at.function != volume->function))
		return STATUS_OK;
	if (volume->start % disk->sector_bytes != 0 || volume->start >= disk_bytes(disk))
		return STATUS_OK;
	status = disk_read(disk, volume->start / disk->sector_bytes, 1, bytes);
	*has = status == STATUS_OK && memcmp(bytes, volume->boot_sector, BOOT_SECTOR_BYTES) == 0;
	return status;
}

// A disk that cannot be read is not the one.
static enum status volume_find(struct disk **found, char error[REGION_ERROR_MAX])
{
	*found = NULL;
	if (volume == NULL) {
		snprintf(error, REGION_ERROR_MAX, "booted from no volume: there are no files");
		return STATUS_FAIL(STATUS_NOT_FOUND);
	}
	for (struct disk *disk = disk_first(); disk != NULL; disk = disk->next) {
		bool has;

		if (disk_has_volume(disk, &has) != STATUS_OK || !has)
			continue;
		if (*found != NULL) {
			snprintf(error, REGION_ERROR_MAX,
				"both %s and %s look like the disk that was booted from",
				(*found)->name, disk->name);
			return STATUS_FAIL(STATUS_EXISTS);
		}
		*found = disk;
	}
	if (*found != NULL)
		return STATUS_OK;
	snprintf(error, REGION_ERROR_MAX, "no disk that there is a driver for was booted from");
	return STATUS_FAIL(STATUS_NOT_FOUND);
}

static enum status volume_read(void *context, uint64_t offset, void *buffer, uint32_t bytes)
{
	return region_read(context, offset, buffer, bytes);
}

// The file's extents become those of the disk; at its end a part of a sector may go.
static enum status file_region(struct disk *disk, struct fat_file *file, struct region **region)
{
	uint64_t left = ALIGN_DOWN(file->bytes, (uint64_t)disk->sector_bytes);
	struct region_extent *extents = malloc(file->extent_count * sizeof(*extents));
	uint32_t count = 0;
	enum status status;

	ASSERT(file->extent_count > 0 && file->extent_count <= FAT_EXTENTS_MAX);
	if (extents == NULL)
		return STATUS_FAIL(STATUS_NO_MEMORY);
	for (uint32_t i = 0; i < file->extent_count && left > 0; i++) {
		const struct fat_extent *at = &file->extents[i];
		uint64_t bytes = at->bytes < left ? at->bytes : left;

		extents[count++] = (struct region_extent){volume->start + at->start, bytes};
		left -= bytes;
	}
	status = region_create(disk, extents, count, region);
	free(extents);
	if (status == STATUS_OK && file->read_only)
		(*region)->read_only = true;
	return status;
}

enum status region_find_file(const char *path, struct region **region, char error[REGION_ERROR_MAX])
{
	struct region_extent extent;
	struct region *whole;
	struct fat_reader reader = {.read = volume_read};
	struct fat_file *file;
	struct disk *disk = NULL;
	const char *problem;
	enum status status = volume_find(&disk, error);

	if (status != STATUS_OK || disk == NULL)
		return status;
	// Firmware may think that the disk is larger: what counts is the file system's own size.
	extent.start = volume->start;
	extent.bytes = disk_bytes(disk) - volume->start;
	if (volume->bytes < extent.bytes)
		extent.bytes = ALIGN_DOWN(volume->bytes, (uint64_t)disk->sector_bytes);
	status = region_create(disk, &extent, 1, &whole);
	if (status != STATUS_OK)
		return status;
	file = malloc(sizeof(*file));
	if (file == NULL) {
		status = STATUS_FAIL(STATUS_NO_MEMORY);
		goto close;
	}
	reader.context = whole;
	reader.bytes = whole->bytes;
	problem = fat_file_find(&reader, path, file);
	if (problem == NULL) {
		status = file_region(disk, file, region);
	} else {
		snprintf(error, REGION_ERROR_MAX, "%s: %s", path, problem);
		status = STATUS_FAIL(STATUS_BAD_FORMAT);
	}
	free(file);
close:
	region_close(whole);
	return status;
}

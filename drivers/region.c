// SPDX-License-Identifier: BSD-2-Clause
#include "drivers/region.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/region_find.h"
#include "kernel/base/assert.h"
#include "kernel/spinlock.h"

enum status region_create(struct disk *disk, const struct region_extent *extents, uint32_t count,
	struct region **region)
{
	struct region *made;
	uint64_t bytes = 0;

	if (count == 0)
		return STATUS_FAIL(STATUS_INVALID);
	for (uint32_t i = 0; i < count; i++) {
		const struct region_extent *at = &extents[i];

		if (at->bytes == 0 || (at->start | at->bytes) % disk->sector_bytes != 0)
			return STATUS_FAIL(STATUS_INVALID);
		if (at->bytes > disk_bytes(disk) || at->start > disk_bytes(disk) - at->bytes ||
			at->bytes > UINT64_MAX - bytes)
			return STATUS_FAIL(STATUS_RANGE);
		bytes += at->bytes;
	}
	made = malloc(sizeof(*made) + count * sizeof(*extents));
	if (made == NULL)
		return STATUS_FAIL(STATUS_NO_MEMORY);
	*made = (struct region){.disk = disk, .bytes = bytes, .read_only = disk->read_only,
		.extent_count = count};
	memcpy(made->extents, extents, count * sizeof(*extents));
	*region = made;
	return STATUS_OK;
}

static struct spinlock used_lock;
static struct region *used; // under it

static bool overlap(const struct region *one, const struct region *other)
{
	for (uint32_t i = 0; one->disk == other->disk && i < one->extent_count; i++)
		for (uint32_t k = 0; k < other->extent_count; k++) {
			const struct region_extent *a = &one->extents[i], *b = &other->extents[k];

			if (a->start < b->start + b->bytes && b->start < a->start + a->bytes)
				return true;
		}
	return false;
}

// NULL: nobody minds.
static const struct region *other_find(const struct region *region, enum region_use use)
{
	for (const struct region *at = used; at != NULL; at = at->next)
		if (at != region && (use == REGION_WRITE || at->use == REGION_WRITE) &&
			overlap(at, region))
			return at;
	return NULL;
}

static void use_end(struct region *region)
{
	struct region **at = &used;

	while (*at != NULL && *at != region)
		at = &(*at)->next;
	if (*at != NULL)
		*at = region->next;
	region->use = REGION_UNUSED;
}

enum status region_claim(struct region *region, const char *owner, enum region_use use,
	char error[REGION_ERROR_MAX])
{
	const struct region *other;

	spin_lock(&used_lock);
	other = use != REGION_UNUSED ? other_find(region, use) : NULL;
	if (other != NULL) {
		snprintf(error, REGION_ERROR_MAX, "some of it is %s by %s",
			other->use == REGION_WRITE ? "written" : "read", other->owner);
	} else {
		use_end(region);
	}
	if (other == NULL && use != REGION_UNUSED) {
		region->use = (uint8_t)use;
		snprintf(region->owner, sizeof(region->owner), "%s", owner);
		region->next = used;
		used = region;
	}
	spin_unlock(&used_lock);
	return other == NULL ? STATUS_OK : STATUS_FAIL(STATUS_BUSY);
}

void region_close(struct region *region)
{
	spin_lock(&used_lock);
	use_end(region);
	spin_unlock(&used_lock);
	free(region);
}

static enum status open_disk(const char *name, struct region **region, char error[REGION_ERROR_MAX])
{
	struct region_extent whole = {.start = 0};
	struct disk *disk = disk_find(name);

	if (disk == NULL) {
		snprintf(error, REGION_ERROR_MAX, "there is no disk '%s'", name);
		return STATUS_FAIL(STATUS_NOT_FOUND);
	}
	whole.bytes = disk_bytes(disk);
	return region_create(disk, &whole, 1, region);
}

enum status region_open(const char *name, struct region **region, char error[REGION_ERROR_MAX])
{
	static const struct {
		const char *word;
		enum status (*open)(const char *name, struct region **region,
			char error[REGION_ERROR_MAX]);
	} kinds[] = {
		{"disk:", open_disk},
		{"partition:", region_find_partition},
		{"file:", region_find_file},
	};

	error[0] = '\0';
	for (unsigned i = 0; i < ARRAY_COUNT(kinds); i++) {
		size_t length = strlen(kinds[i].word);

		if (strncmp(name, kinds[i].word, length) == 0) {
			enum status status = kinds[i].open(name + length, region, error);

			if (status != STATUS_OK && error[0] == '\0')
				snprintf(error, REGION_ERROR_MAX, "'%s': %s", name,
					status_name(status));
			return status;
		}
	}
	snprintf(error, REGION_ERROR_MAX, "expected disk:, partition: or file:, got '%s'", name);
	return STATUS_FAIL(STATUS_INVALID);
}

// Whole sectors, within the region.
static enum status region_transfer(const struct region *region, enum disk_direction direction,
	uint64_t offset, uint8_t *at, uint64_t bytes)
{
	const struct region_extent *extent = region->extents;
	uint32_t sector_bytes = region->disk->sector_bytes;
	enum status status = STATUS_OK;

	ASSERT((offset | bytes) % sector_bytes == 0);
	ASSERT(bytes <= region->bytes && offset <= region->bytes - bytes);
	while (bytes > 0 && status == STATUS_OK) {
		uint64_t now, sector;

		for (; offset >= extent->bytes; extent++) {
			ASSERT(extent < region->extents + region->extent_count);
			offset -= extent->bytes;
		}
		now = bytes < extent->bytes - offset ? bytes : extent->bytes - offset;
		sector = (extent->start + offset) / sector_bytes;
		if (direction == DISK_READ)
			status = disk_read(region->disk, sector, now / sector_bytes, at);
		else
			status = disk_write(region->disk, sector, now / sector_bytes, at);
		offset += now;
		at += now;
		bytes -= now;
	}
	return status;
}

enum status region_read(struct region *region, uint64_t offset, void *buffer, uint64_t bytes)
{
	uint32_t sector_bytes = region->disk->sector_bytes;
	uint8_t *at = buffer, sector[DISK_SECTOR_BYTES_MAX];
	enum status status = STATUS_OK;

	if (bytes > region->bytes || offset > region->bytes - bytes)
		return STATUS_FAIL(STATUS_RANGE);
	while (bytes > 0 && status == STATUS_OK) {
		uint32_t within = (uint32_t)(offset % sector_bytes);
		uint64_t now = ALIGN_DOWN(bytes, (uint64_t)sector_bytes);

		if (within == 0 && now > 0) {
			status = region_transfer(region, DISK_READ, offset, at, now);
		} else {
			now = sector_bytes - within < bytes ? sector_bytes - within : bytes;
			status = region_transfer(region, DISK_READ, offset - within, sector,
				sector_bytes);
			if (status == STATUS_OK)
				memcpy(at, sector + within, now);
		}
		offset += now;
		at += now;
		bytes -= now;
	}
	return status;
}

enum status region_write(struct region *region, uint64_t offset, const void *buffer,
	uint64_t bytes)
{
	if (bytes > region->bytes || offset > region->bytes - bytes)
		return STATUS_FAIL(STATUS_RANGE);
	if ((offset | bytes) % region->disk->sector_bytes != 0)
		return STATUS_FAIL(STATUS_INVALID);
	if (region->read_only)
		return STATUS_FAIL(STATUS_REFUSED);
	return region_transfer(region, DISK_WRITE, offset, (uint8_t *)(uintptr_t)buffer, bytes);
}

enum status region_flush(struct region *region)
{
	return disk_flush(region->disk);
}

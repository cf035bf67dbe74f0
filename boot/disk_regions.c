// SPDX-License-Identifier: BSD-2-Clause
#include "boot/disk_regions.h"

#include <stdio.h>

#include "drivers/region.h"
#include "kernel/base/assert.h"
#include "kernel/console.h"

static struct vm_disk_region regions[CONFIG_DISKS_MAX]; // by disk; no `region`: it has none

// What is read alone may be read by several. A commit will ask again.
static enum region_use use_of(const struct config_disk *disk, const struct region *region)
{
	return disk->readonly || disk->snapshot || disk->media == CONFIG_MEDIA_CDROM ||
		region->read_only ? REGION_READ : REGION_WRITE;
}

static bool disk_region_open(const struct config_disk *disk, struct vm_disk_region *made)
{
	char error[REGION_ERROR_MAX], owner[REGION_OWNER_MAX];
	struct region *region;
	enum status status = region_open(disk->medium.region, &region, error);

	if (status == STATUS_OK) {
		snprintf(owner, sizeof(owner), "disk %s", disk->name);
		status = region_claim(region, owner, use_of(disk, region), error);
		if (status != STATUS_OK)
			region_close(region);
	}
	if (status != STATUS_OK) {
		log_error("%s: [disk %s] (line %u): medium: %s: %s", CONFIG_FILE_NAME, disk->name,
			disk->line, disk->medium.region, error);
		return false;
	}
	made->region = region;
	made->source = disk->medium.region;
	return true;
}

bool disk_regions_open(void)
{
	bool good = true;

	for (uint32_t i = 0; i < boot_config.disk_count; i++) {
		ASSERT(regions[i].region == NULL);
		if (boot_config.disks[i].medium.kind == CONFIG_MEDIUM_REGION)
			good &= disk_region_open(&boot_config.disks[i], &regions[i]);
	}
	return good;
}

struct vm_disk_region *disk_region_of(uint32_t index)
{
	return regions[index].region != NULL ? &regions[index] : NULL;
}

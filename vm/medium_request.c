// SPDX-License-Identifier: BSD-2-Clause
#include "vm/medium_request.h"

#include <string.h>

#include "drivers/region.h"
#include "kernel/base/assert.h"

enum { ZEROS_BYTES = 64 << 10 };

static uint8_t zeros[ZEROS_BYTES]; // nobody writes it

uint64_t medium_unit(const struct medium *medium)
{
	return medium->region != NULL ? medium->region->disk->sector_bytes : 1;
}

// A part of one sector.
static enum status part_write(struct region *region, uint64_t offset, const void *from,
	uint64_t bytes)
{
	uint8_t sector[DISK_SECTOR_BYTES_MAX];
	uint64_t within = offset % region->disk->sector_bytes;
	enum status status;

	if (region->read_only)
		return STATUS_FAIL(STATUS_REFUSED);
	status = region_read(region, offset - within, sector, region->disk->sector_bytes);
	if (status != STATUS_OK)
		return status;
	memcpy(sector + within, from, bytes);
	return region_write(region, offset - within, sector, region->disk->sector_bytes);
}

// The guest's sectors may be smaller than the disk's.
static enum status disk_write_any(struct region *region, uint64_t offset, const uint8_t *from,
	uint64_t bytes)
{
	uint64_t unit = region->disk->sector_bytes;
	enum status status = STATUS_OK;

	for (uint64_t now; bytes > 0 && status == STATUS_OK; bytes -= now) {
		uint64_t within = offset % unit;

		if (within == 0 && bytes >= unit) {
			now = ALIGN_DOWN(bytes, unit);
			status = region_write(region, offset, from, now);
		} else {
			now = unit - within < bytes ? unit - within : bytes;
			status = part_write(region, offset, from, now);
		}
		offset += now;
		from += now;
	}
	return status;
}

static enum status base_read(const struct medium *medium, uint64_t offset, uint8_t *to,
	uint64_t bytes)
{
	if (medium->region != NULL)
		return region_read(medium->region, offset, to, bytes);
	medium_read(medium, offset, to, bytes);
	return STATUS_OK;
}

static enum status base_write(struct medium *medium, uint64_t offset, const uint8_t *from,
	uint64_t bytes)
{
	if (medium->region != NULL)
		return disk_write_any(medium->region, offset, from, bytes);
	medium_write(medium, offset, from, bytes);
	return STATUS_OK;
}

// A disk lets nothing go, which is allowed: what was discarded reads as anything. In memory it
// becomes zeros, which are the same in every replay.
static enum status base_zero(struct medium *medium, bool discard, uint64_t offset, uint64_t bytes,
	void (*pause)(void))
{
	uint64_t step = medium->region != NULL ? ZEROS_BYTES : MEDIUM_PAUSE_BYTES;
	enum status status = STATUS_OK;

	if (discard && medium->region != NULL)
		return STATUS_OK;
	for (uint64_t now; bytes > 0 && status == STATUS_OK; bytes -= now, offset += now) {
		now = step - offset % step;
		if (now > bytes)
			now = bytes;
		if (medium->region != NULL)
			status = disk_write_any(medium->region, offset, zeros, now);
		else
			medium_zero(medium, offset, now);
		if (pause != NULL && bytes != now)
			pause();
	}
	return status;
}

enum status medium_request(struct medium *medium, const struct backend_request *request,
	void (*pause)(void))
{
	uint64_t offset = request->offset, bytes = request->bytes;

	ASSERT(medium_has(medium, offset, bytes));
	switch (request->kind) {
	case DEVICE_IO_READ:
		return base_read(medium, offset, request->data, bytes);
	case DEVICE_IO_WRITE:
		return base_write(medium, offset, request->data, bytes);
	default:
		return base_zero(medium, request->kind == DEVICE_IO_DISCARD, offset, bytes, pause);
	}
}

enum status medium_flush(struct medium *medium)
{
	return medium->region != NULL ? region_flush(medium->region) : STATUS_OK;
}

// SPDX-License-Identifier: BSD-2-Clause
#include "vm/medium_request.h"

#include <string.h>

#include "drivers/region.h"
#include "kernel/base/assert.h"
#include "kernel/mem.h"
#include "vm/overlay.h"

enum { ZEROS_BYTES = 64 << 10, COMMIT_BYTES = 64 << 10 };

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

// What the overlay has is taken from there; while the rest is waited for nobody writes here.
static enum status overlaid_read(const struct medium *medium, uint64_t offset, uint8_t *to,
	uint64_t bytes)
{
	enum status status = STATUS_OK;

	if ((offset | bytes) % OVERLAY_SECTOR_BYTES != 0)
		return STATUS_FAIL(STATUS_INVALID);
	for (uint64_t now; bytes > 0 && status == STATUS_OK; bytes -= now) {
		const uint8_t *at;

		now = bytes;
		switch (overlay_find(medium->overlay, offset, &now, &at)) {
		case OVERLAY_BASE:
			status = base_read(medium, offset, to, now);
			break;
		case OVERLAY_ZEROS:
			memset(to, 0, now);
			break;
		default:
			memcpy(to, at, now);
			break;
		}
		offset += now;
		to += now;
	}
	return status;
}

static enum status overlaid_zero(struct medium *medium, uint64_t offset, uint64_t bytes,
	void (*pause)(void))
{
	enum status status = STATUS_OK;

	for (uint64_t now; bytes > 0 && status == STATUS_OK; bytes -= now, offset += now) {
		now = OVERLAY_PART_BYTES - offset % OVERLAY_PART_BYTES;
		if (now > bytes)
			now = bytes;
		status = overlay_zero(medium->overlay, offset, now);
		if (pause != NULL && bytes != now)
			pause();
	}
	return status;
}

static enum status overlaid_request(struct medium *medium, const struct backend_request *request,
	void (*pause)(void))
{
	uint64_t offset = request->offset, bytes = request->bytes;

	switch (request->kind) {
	case DEVICE_IO_READ:
		return overlaid_read(medium, offset, request->data, bytes);
	case DEVICE_IO_WRITE:
		return overlay_write(medium->overlay, offset, request->data, bytes);
	default:
		return overlaid_zero(medium, offset, bytes, pause);
	}
}

enum status medium_reserve(struct medium *medium, const struct backend_request *request)
{
	bool writes = request->kind == DEVICE_IO_WRITE;

	if (medium->overlay == NULL || request->kind == DEVICE_IO_READ ||
		(request->offset | request->bytes) % OVERLAY_SECTOR_BYTES != 0 ||
		!medium_has(medium, request->offset, request->bytes))
		return STATUS_OK; // or it will fail for another reason
	return overlay_reserve(medium->overlay, request->offset, request->bytes, !writes);
}

bool medium_commit_next(const struct medium *medium, uint64_t *offset, uint64_t *bytes)
{
	struct overlay_cluster cluster;

	if (!overlay_next(medium->overlay, *offset, &cluster))
		return false;
	*offset = ALIGN_DOWN(cluster.offset, (uint64_t)OVERLAY_PART_BYTES);
	*bytes = medium->bytes - *offset;
	if (*bytes > OVERLAY_PART_BYTES)
		*bytes = OVERLAY_PART_BYTES;
	return true;
}

// What is written at once: as much as lies in a row, up to COMMIT_BYTES.
static uint64_t row_gather(const struct medium *medium, uint64_t offset, uint64_t bytes,
	uint8_t *buffer)
{
	uint64_t gathered = 0;

	if (bytes > COMMIT_BYTES)
		bytes = COMMIT_BYTES;
	while (gathered < bytes) {
		const uint8_t *at;
		uint64_t now = bytes - gathered;
		enum overlay_source source = overlay_find(medium->overlay, offset + gathered, &now,
			&at);

		if (source == OVERLAY_BASE)
			break;
		if (source == OVERLAY_ZEROS)
			memset(buffer + gathered, 0, now);
		else
			memcpy(buffer + gathered, at, now);
		gathered += now;
	}
	return gathered;
}

enum status medium_commit(struct medium *medium, uint64_t offset, uint64_t bytes,
	void (*pause)(void))
{
	uint8_t *buffer = mem_pages_alloc(COMMIT_BYTES / PAGE_BYTES);
	enum status status = STATUS_OK;

	if (buffer == NULL)
		return STATUS_FAIL(STATUS_NO_MEMORY);
	for (uint64_t at = offset, end = offset + bytes; at < end && status == STATUS_OK;) {
		const uint8_t *data;
		uint64_t now = end - at;

		if (overlay_find(medium->overlay, at, &now, &data) != OVERLAY_BASE) {
			now = row_gather(medium, at, end - at, buffer);
			status = base_write(medium, at, buffer, now);
		}
		at += now;
		pause();
	}
	mem_pages_free(buffer, COMMIT_BYTES / PAGE_BYTES);
	if (status == STATUS_OK && medium->region != NULL)
		status = region_flush(medium->region);
	if (status == STATUS_OK)
		overlay_drop(medium->overlay, offset);
	return status;
}

enum status medium_request(struct medium *medium, const struct backend_request *request,
	void (*pause)(void))
{
	uint64_t offset = request->offset, bytes = request->bytes;

	ASSERT(medium_has(medium, offset, bytes));
	if (medium->overlay != NULL)
		return overlaid_request(medium, request, pause);
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
	return medium->region != NULL && medium->overlay == NULL ? region_flush(medium->region)
								  : STATUS_OK;
}

// SPDX-License-Identifier: BSD-2-Clause
// What machines have written to disks whose media stay as they are: cluster for cluster, in the
// order of the medium, each with 4 KiB of data where it is not zeros.
#include "vm/overlay.h"
#include "vm/snapshot.h"

enum { OVERLAY_VERSION = 1 };

static const char overlay_name[] = "overlay";

enum { SAVED_DATA = 1, SAVED_PART = 2 };

struct saved_cluster {
	uint64_t offset;
	uint8_t valid; // a bit for each sector
	uint8_t flags; // SAVED_DATA: data follow; SAVED_PART: all of a part, zeros
	uint8_t reserved[6];
};

static uint64_t behind(const struct overlay_cluster *cluster)
{
	return cluster->offset + (cluster->part ? OVERLAY_PART_BYTES : OVERLAY_CLUSTER_BYTES);
}

static uint64_t saved_bytes(const struct overlay *overlay)
{
	struct overlay_cluster cluster;
	uint64_t bytes = 0;

	for (uint64_t at = 0; overlay_next(overlay, at, &cluster); at = behind(&cluster))
		bytes += sizeof(struct saved_cluster) +
			(cluster.data != NULL ? OVERLAY_CLUSTER_BYTES : 0);
	return bytes;
}

void snapshot_overlay_write(const struct vm *vm, uint32_t disk, struct snapshot_stream *stream)
{
	const struct overlay *overlay = vm->media[disk].overlay;
	struct overlay_cluster cluster;

	snapshot_section_begin(stream, overlay_name, disk, OVERLAY_VERSION, saved_bytes(overlay));
	for (uint64_t at = 0; overlay_next(overlay, at, &cluster); at = behind(&cluster)) {
		const struct saved_cluster saved = {.offset = cluster.offset,
			.valid = cluster.valid, .flags = (cluster.data != NULL ? SAVED_DATA : 0) |
				(cluster.part ? SAVED_PART : 0)};

		snapshot_put(stream, &saved, sizeof(saved));
		if (cluster.data != NULL)
			snapshot_put(stream, cluster.data, OVERLAY_CLUSTER_BYTES);
	}
	snapshot_section_end(stream);
}

static bool is_allowed(const struct medium *medium, const struct saved_cluster *saved, uint64_t at)
{
	uint64_t unit = saved->flags == SAVED_PART ? OVERLAY_PART_BYTES : OVERLAY_CLUSTER_BYTES;

	return saved->flags <= SAVED_PART && saved->offset % unit == 0 && saved->offset >= at &&
		saved->offset < medium->bytes && saved->valid != 0;
}

// NULL: zeros.
static enum status cluster_set(struct medium *medium, const struct saved_cluster *saved,
	const uint8_t *data)
{
	enum status status = STATUS_OK;

	for (unsigned i = 0; i < 8 && status == STATUS_OK; i++) {
		uint64_t within = (uint64_t)i * OVERLAY_SECTOR_BYTES;

		if ((saved->valid >> i & 1) == 0)
			continue;
		status = data != NULL
			? overlay_write(medium->overlay, saved->offset + within, data + within,
				OVERLAY_SECTOR_BYTES)
			: overlay_zero(medium->overlay, saved->offset + within,
				OVERLAY_SECTOR_BYTES);
	}
	return status;
}

static enum status saved_set(struct medium *medium, const struct saved_cluster *saved,
	struct snapshot_stream *stream)
{
	uint8_t data[OVERLAY_CLUSTER_BYTES];
	uint64_t rest = medium->bytes - saved->offset;
	enum status status = STATUS_OK;

	if (saved->flags == SAVED_PART)
		return overlay_zero(medium->overlay, saved->offset,
			rest < OVERLAY_PART_BYTES ? rest : OVERLAY_PART_BYTES);
	if (saved->flags == SAVED_DATA)
		status = snapshot_get(stream, data, sizeof(data));
	if (status != STATUS_OK)
		return status;
	return cluster_set(medium, saved, saved->flags == SAVED_DATA ? data : NULL);
}

enum status snapshot_overlay_read(struct vm *vm, uint32_t disk, struct snapshot_stream *stream)
{
	struct medium *medium = &vm->media[disk];
	enum status status = snapshot_section_expect(stream, overlay_name, disk);
	uint64_t at = 0;

	if (status == STATUS_OK && stream->section.version != OVERLAY_VERSION)
		return snapshot_fail(stream, STATUS_INVALID, "%s %u: version is not allowed",
			overlay_name, disk);
	while (status == STATUS_OK && stream->left != 0) {
		struct saved_cluster saved = {.offset = 0};

		status = snapshot_get(stream, &saved, sizeof(saved));
		if (status != STATUS_OK)
			return status;
		if (!is_allowed(medium, &saved, at))
			return snapshot_fail(stream, STATUS_INVALID,
				"%s %u: a cluster at 0x%llx is not allowed", overlay_name, disk,
				(unsigned long long)saved.offset);
		status = saved_set(medium, &saved, stream);
		if (status == STATUS_NO_MEMORY || status == STATUS_INVALID)
			return snapshot_fail(stream, status, "%s %u: %s, at 0x%llx", overlay_name,
				disk, status_name(status), (unsigned long long)saved.offset);
		at = saved.offset + (saved.flags == SAVED_PART ? OVERLAY_PART_BYTES
							       : OVERLAY_CLUSTER_BYTES);
	}
	if (status == STATUS_OK)
		snapshot_section_next(stream);
	return status;
}

// SPDX-License-Identifier: BSD-2-Clause
// What a log has to know of machines' disks on disks of the host: that nobody writes there, and a
// hash of what they hold.
#include <stdio.h>
#include <stdlib.h>

#include "drivers/region.h"
#include "kernel/console.h"
#include "replay/hash.h"
#include "replay/session.h"

// Whatever is larger is looked at in so many pieces, at equal distances from its start to its end:
// whoever mounts a file system to write it changes its first blocks.
enum { PIECE_BYTES = 64 << 10, PIECES_MAX = 4096, TENTHS = 10 };

uint64_t disks_piece(uint64_t bytes, uint32_t index)
{
	uint64_t rest;

	if (bytes <= (uint64_t)PIECES_MAX * PIECE_BYTES)
		return (uint64_t)index * PIECE_BYTES;
	rest = bytes - PIECE_BYTES;
	// Neither product is larger than `bytes`.
	rest = rest / (PIECES_MAX - 1) * index + rest % (PIECES_MAX - 1) * index / (PIECES_MAX - 1);
	return ALIGN_DOWN(rest, (uint64_t)DISK_SECTOR_BYTES_MAX);
}

uint32_t disks_pieces(uint64_t bytes)
{
	uint64_t pieces = (bytes + PIECE_BYTES - 1) / PIECE_BYTES;

	return pieces < PIECES_MAX ? (uint32_t)pieces : PIECES_MAX;
}

static enum status region_hash(const struct vm_config *config, const struct vm_disk_config *disk,
	uint8_t *buffer, uint64_t *value)
{
	struct region *region = disk->region->region;
	uint32_t pieces = disks_pieces(region->bytes);
	struct hash hash;

	hash_begin(&hash);
	for (uint32_t i = 0; i < pieces; i++) {
		uint64_t at = disks_piece(region->bytes, i), bytes = region->bytes - at;
		enum status status;

		if (bytes > PIECE_BYTES)
			bytes = PIECE_BYTES;
		status = region_read(region, at, buffer, bytes);
		if (status != STATUS_OK)
			return status;
		hash_update(&hash, buffer, bytes);
		if (pieces >= PIECES_MAX / TENTHS && i % (pieces / TENTHS) == pieces / TENTHS - 1)
			log_info("%s: disk %s: a hash of %s for the log, %u %%", config->name,
				disk->name, disk->region->source, (i + 1) * 100 / pieces);
	}
	*value = hash_value(&hash);
	return STATUS_OK;
}

static enum status disk_identify(const struct vm_config *config, const struct vm_disk_config *disk,
	uint8_t *buffer, char error[VM_ERROR_MAX])
{
	enum status status;

	if (disk->region == NULL || disk->region->hash_known)
		return STATUS_OK;
	status = region_hash(config, disk, buffer, &disk->region->hash);
	disk->region->hash_known = status == STATUS_OK;
	if (status != STATUS_OK)
		snprintf(error, VM_ERROR_MAX, "disk %s: %s cannot be read: %s", disk->name,
			disk->region->source, status_name(status));
	return status;
}

enum status disks_identify(const struct vm_config *config, char error[VM_ERROR_MAX])
{
	const struct vm_disk_config *other = vm_disk_not_kept(config);
	enum status status = STATUS_OK;
	uint8_t *buffer;

	if (other != NULL) {
		snprintf(error, VM_ERROR_MAX, "disk %s is written to %s: a replay would not find "
			"there what there was", other->name, other->region->source);
		return STATUS_FAIL(STATUS_REFUSED);
	}
	buffer = malloc(PIECE_BYTES);
	if (buffer == NULL) {
		snprintf(error, VM_ERROR_MAX, "no memory to read disks");
		return STATUS_FAIL(STATUS_NO_MEMORY);
	}
	for (uint32_t i = 0; i < config->disk_count && status == STATUS_OK; i++)
		status = disk_identify(config, &config->disks[i], buffer, error);
	free(buffer);
	return status;
}

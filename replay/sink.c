// SPDX-License-Identifier: BSD-2-Clause
#include "replay/sink.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/mem.h"
#include "replay/log_abi.h"

enum { SINK_NAME_MAX = 320 };

static const struct boot_info *boot_info;

void sink_init(const struct boot_info *info)
{
	boot_info = info;
}

void sink_close(struct sink *sink)
{
	for (uint64_t i = 0; sink->blocks != NULL && i < sink->block_count; i++)
		mem_large_free(sink->blocks[i]);
	free(sink->blocks);
	if (sink->region != NULL)
		region_close(sink->region);
	memset(sink, 0, sizeof(*sink));
}

static enum status disk_store_read(struct log_store *store, uint64_t offset, void *bytes,
	size_t count)
{
	return region_read(CONTAINER_OF(store, struct sink, on_disk)->region, offset, bytes, count);
}

static enum status disk_store_write(struct log_store *store, uint64_t offset, const void *bytes,
	size_t count)
{
	return region_write(CONTAINER_OF(store, struct sink, on_disk)->region, offset, bytes,
		count);
}

static enum status disk_store_flush(struct log_store *store)
{
	return region_flush(CONTAINER_OF(store, struct sink, on_disk)->region);
}

static const struct boot_file *file_loaded(const char *name)
{
	for (uint32_t i = 0; i < boot_info->file_count; i++)
		if (strcmp(boot_info->files[i].name, name) == 0)
			return &boot_info->files[i];
	return NULL;
}

// Whoever replays a log that is recorded elsewhere would get half of it.
static enum status region_sink_claim(struct sink *sink, enum sink_use use, const char *owner,
	char error[VM_ERROR_MAX])
{
	char name[REGION_OWNER_MAX], reason[REGION_ERROR_MAX];
	enum status status;

	if (sink->region == NULL)
		return STATUS_OK;
	snprintf(name, sizeof(name), "the log of %s", owner);
	status = region_claim(sink->region, name,
		use == SINK_WRITE && !sink->region->read_only ? REGION_WRITE : REGION_READ, reason);
	if (status != STATUS_OK)
		snprintf(error, VM_ERROR_MAX, "rrfile: %s", reason);
	return status;
}

static enum status region_sink_open(struct sink *sink, const struct vm_rr *where,
	char error[VM_ERROR_MAX])
{
	static const struct log_store_ops ops = {.read = disk_store_read,
		.write = disk_store_write, .flush = disk_store_flush};
	static const char *const words[] = {[VM_RR_SINK_DISK] = "disk",
		[VM_RR_SINK_PARTITION] = "partition", [VM_RR_SINK_FILE] = "file"};
	char name[SINK_NAME_MAX], reason[REGION_ERROR_MAX];
	enum status status;

	if (where->sink == VM_RR_SINK_DISK && where->name[0] == '\0')
		snprintf(name, sizeof(name), "disk:%u", where->disk);
	else
		snprintf(name, sizeof(name), "%s:%s", words[where->sink], where->name);
	status = region_open(name, &sink->region, reason);
	if (status != STATUS_OK) {
		snprintf(error, VM_ERROR_MAX, "rrfile: %s", reason);
		return status;
	}
	sink->on_disk = (struct log_store){.ops = &ops, .bytes = sink->region->bytes,
		.alignment = sink->region->disk->sector_bytes,
		.read_only = sink->region->read_only};
	sink->store = &sink->on_disk;
	return STATUS_OK;
}

// Each half has blocks of its own: large pages, one of which may be used in part.
static enum status ram_open(struct sink *sink, const struct vm_rr *where, char error[VM_ERROR_MAX])
{
	uint64_t half = where->bytes / 2 & ~(uint64_t)(LOG_ALIGNMENT_MIN - 1);
	uint64_t block = half < LARGE_PAGE_BYTES ? half : LARGE_PAGE_BYTES;
	uint64_t count = half / block; // of a half

	sink->blocks = calloc(2 * count, sizeof(*sink->blocks));
	while (sink->blocks != NULL && sink->block_count < 2 * count) {
		uint8_t *page = mem_large_alloc();

		if (page == NULL)
			break;
		memset(page, 0, LOG_CHUNK_HEADER_BYTES); // no log there yet
		sink->blocks[sink->block_count++] = page;
	}
	if (sink->block_count < 2 * count) {
		sink_close(sink);
		snprintf(error, VM_ERROR_MAX, "rrfile: no memory for a log of %llu KiB",
			(unsigned long long)(where->bytes / KIB));
		return STATUS_FAIL(STATUS_NO_MEMORY);
	}
	for (unsigned i = 0; i < 2; i++)
		log_ram_init(&sink->ram[i], sink->blocks + i * count, count, block);
	sink->store = &sink->ram[0].store;
	return STATUS_OK;
}

struct log_store *sink_other(struct sink *sink)
{
	if (sink->blocks == NULL)
		return NULL;
	return &sink->ram[sink->store == &sink->ram[0].store].store;
}

static bool is_same(const struct vm_rr *a, const struct vm_rr *b)
{
	return a->sink == b->sink && a->disk == b->disk && a->bytes == b->bytes &&
		(a->name == b->name || (a->name != NULL && b->name != NULL &&
			strcmp(a->name, b->name) == 0));
}

// Nobody's disk is overwritten because of a wrong number: there is a log, or nothing at all.
static enum status region_check(const struct sink *sink, char error[VM_ERROR_MAX])
{
	uint8_t start[DISK_SECTOR_BYTES_MAX];
	uint64_t bytes = sink->region->bytes < sizeof(start) ? sink->region->bytes : sizeof(start);
	enum status status = region_read(sink->region, 0, start, bytes);
	bool empty = true;
	uint32_t magic;

	if (status != STATUS_OK) {
		snprintf(error, VM_ERROR_MAX, "rrfile: it cannot be read: %s", status_name(status));
		return status;
	}
	for (uint64_t i = 0; i < bytes; i++)
		empty &= start[i] == 0;
	memcpy(&magic, start, sizeof(magic));
	if (empty || magic == LOG_MAGIC)
		return STATUS_OK;
	snprintf(error, VM_ERROR_MAX, "rrfile: %s has something else than a log: write zeros to "
		"its start if that is to go", sink->region->disk->name);
	return STATUS_FAIL(STATUS_REFUSED);
}

enum status sink_open(struct sink *sink, const struct vm_rr *where, enum sink_use use,
	const char *owner, char error[VM_ERROR_MAX])
{
	const struct boot_file *file = NULL;
	enum status status = STATUS_OK;

	if (sink->store != NULL && is_same(&sink->where, where))
		return region_sink_claim(sink, use, owner, error);
	sink_close(sink);
	if (where->sink == VM_RR_SINK_FILE)
		file = file_loaded(where->name);
	if (where->sink == VM_RR_SINK_NONE) {
		snprintf(error, VM_ERROR_MAX, "no `rrfile` is configured");
		status = STATUS_FAIL(STATUS_NOT_FOUND);
	} else if (where->sink == VM_RR_SINK_RAM) {
		status = ram_open(sink, where, error);
	} else if (file != NULL) {
		log_ram_init_read_only(&sink->ram[0], file->data, file->bytes);
		sink->store = &sink->ram[0].store;
	} else {
		status = region_sink_open(sink, where, error);
		if (status == STATUS_OK)
			status = region_sink_claim(sink, use, owner, error);
		if (status == STATUS_OK && use == SINK_WRITE)
			status = region_check(sink, error);
	}
	if (status == STATUS_OK)
		sink->where = *where;
	else
		sink_close(sink);
	return status;
}

// SPDX-License-Identifier: BSD-2-Clause
// Requests of a machine that rests: done, and not delivered yet. And disks that are in memory.
#include <string.h>

#include "emul/virtio_blk.h"
#include "vm/snapshot.h"

enum { MEDIUM_VERSION = 1, DATA_VERSION = 1 };

static const char medium_name[] = "medium", data_name[] = SNAPSHOT_REQUEST_DATA;

struct saved_count {
	uint32_t count;
	uint32_t reserved;
};

static const struct state_field count_fields[] = {
	STATE_VALUE(struct saved_count, count, 0, DEVICE_IO_MAX),
	STATE_PAD(struct saved_count, reserved),
};
static const struct state_table count_table =
	STATE_TABLE("requests", 1, struct saved_count, count_fields, NULL);

struct saved_request {
	uint64_t name, offset;
	uint64_t at[DEVICE_IO_PIECES_MAX], bytes[DEVICE_IO_PIECES_MAX];
	uint64_t length; // without pieces
	uint8_t kind, status, state, piece_count;
	bool dropped, copied;
	uint8_t reserved[2];
};

static const struct state_field request_fields[] = {
	STATE_ANY(struct saved_request, name),
	STATE_ANY(struct saved_request, offset),
	STATE_ARRAY_ANY(struct saved_request, at),
	STATE_ARRAY(struct saved_request, bytes, 0, DEVICE_IO_BYTES_MAX),
	STATE_VALUE_SINCE(2, struct saved_request, length, 0, UINT64_MAX),
	STATE_VALUE(struct saved_request, kind, 0, DEVICE_IO_KINDS - 1),
	STATE_VALUE(struct saved_request, status, 0, STATUS_COUNT - 1),
	STATE_VALUE(struct saved_request, state, BACKEND_SENT, BACKEND_TAKEN),
	STATE_VALUE(struct saved_request, piece_count, 0, DEVICE_IO_PIECES_MAX),
	STATE_VALUE_SINCE(2, struct saved_request, dropped, 0, 1),
	STATE_VALUE_SINCE(3, struct saved_request, copied, 0, 1),
	STATE_PAD(struct saved_request, reserved),
};
static const struct state_table request_table =
	STATE_TABLE("request", 3, struct saved_request, request_fields, NULL);

const struct state_table *snapshot_request_table(const char *name)
{
	if (strcmp(name, count_table.name) == 0)
		return &count_table;
	return strcmp(name, request_table.name) == 0 ? &request_table : NULL;
}

static bool has_data(const struct backend_slot *slot)
{
	return slot->request.kind == DEVICE_IO_READ && slot->request.status == STATUS_OK &&
		!slot->copied;
}

static void slot_write(const struct backend_slot *slot, uint32_t instance,
	struct snapshot_stream *stream)
{
	struct saved_request saved = {.name = slot->name, .offset = slot->request.offset,
		.kind = slot->request.kind, .status = slot->request.status, .state = slot->state,
		.piece_count = slot->piece_count, .dropped = slot->dropped, .copied = slot->copied,
		.length = slot->piece_count == 0 ? slot->request.bytes : 0};

	for (unsigned i = 0; i < slot->piece_count; i++) {
		saved.at[i] = slot->pieces[i].at.v;
		saved.bytes[i] = slot->pieces[i].bytes;
	}
	snapshot_write_table(stream, request_table.name, instance, &request_table, &saved);
	if (!has_data(slot))
		return;
	snapshot_section_begin(stream, data_name, instance, DATA_VERSION, slot->request.bytes);
	snapshot_put(stream, slot->request.data, slot->request.bytes);
	snapshot_section_end(stream);
}

static uint32_t instance_of(const struct backend *backend)
{
	return (uint32_t)backend->port << 16 | backend->device->device->id;
}

static void port_write(const struct backend *backend, struct snapshot_stream *stream)
{
	struct saved_count count = {0, 0};

	for (unsigned i = 0; i < DEVICE_IO_MAX; i++)
		count.count += backend->slots[i].state != BACKEND_FREE;
	snapshot_write_table(stream, count_table.name, instance_of(backend), &count_table, &count);
	for (unsigned i = 0; i < DEVICE_IO_MAX; i++)
		if (backend->slots[i].state != BACKEND_FREE)
			slot_write(&backend->slots[i], i, stream);
}

void backend_write(const struct vm_device *device, struct snapshot_stream *stream)
{
	FOR_EACH_PORT(device, backend)
		port_write(backend, stream);
}

static bool slot_set(struct backend *backend, unsigned index, const struct saved_request *saved)
{
	struct backend_slot *slot = &backend->slots[index];
	struct device_io io = {.request = saved->name, .offset = saved->offset,
		.kind = saved->kind, .piece_count = saved->piece_count, .pieces = slot->pieces,
		.bytes = saved->length};

	for (unsigned i = 0; i < saved->piece_count; i++)
		slot->pieces[i] = (struct device_io_piece){{saved->at[i]}, saved->bytes[i]};
	if (!backend_restore(backend, index, &io, saved->state))
		return false;
	slot->request.status = saved->status;
	slot->dropped = saved->dropped;
	slot->copied = saved->copied;
	return true;
}

static enum status slot_read(struct backend *backend, unsigned index,
	struct snapshot_stream *stream)
{
	struct backend_slot *slot = &backend->slots[index];
	struct saved_request saved;
	enum status status;

	memset(&saved, 0, sizeof(saved));
	status = snapshot_read_table(stream, request_table.name, index, &request_table, &saved);
	if (status != STATUS_OK)
		return status;
	if (!slot_set(backend, index, &saved))
		return snapshot_fail(stream, STATUS_INVALID,
			"%s %u: a name twice, or not memory", request_table.name, index);
	if (!has_data(slot))
		return STATUS_OK;
	status = snapshot_section_expect(stream, data_name, index);
	if (status == STATUS_OK && (stream->section.version != DATA_VERSION ||
		stream->left != slot->request.bytes))
		return snapshot_fail(stream, STATUS_INVALID, "%s %u: length or version is not "
			"allowed", data_name, index);
	if (status == STATUS_OK)
		status = snapshot_get(stream, slot->request.data, slot->request.bytes);
	if (status == STATUS_OK)
		snapshot_section_next(stream);
	return status;
}

static bool is_there(const struct backend *backend, uint64_t name)
{
	for (unsigned i = 0; backend != NULL && i < DEVICE_IO_MAX; i++)
		if (backend->slots[i].state != BACKEND_FREE && !backend->slots[i].dropped &&
			backend->slots[i].name == name)
			return true;
	return false;
}

// Each request that the device waits for is there, and none besides that it wants to hear of.
static enum status awaited_check(const struct vm_device *device, unsigned port,
	struct snapshot_stream *stream)
{
	const struct device_model *model = device->device->model;
	const struct backend *backend = backend_find(device, port);
	uint64_t names[DEVICE_IO_MAX];
	unsigned count, wanted = 0;

	count = model->awaited(device->device, port, names);
	for (unsigned i = 0; backend != NULL && i < DEVICE_IO_MAX; i++)
		wanted += backend->slots[i].state != BACKEND_FREE && !backend->slots[i].dropped;
	for (unsigned i = 0; i < count; i++)
		if (!is_there(backend, names[i]))
			return snapshot_fail(stream, STATUS_INVALID, "%s: 0x%llx is not there, "
				"which %s %u waits for", count_table.name,
				(unsigned long long)names[i], model->name, device->device->id);
	return wanted == count ? STATUS_OK : snapshot_fail(stream, STATUS_INVALID,
		"%s: %u, of which %s %u waits for %u", count_table.name, wanted, model->name,
		device->device->id, count);
}

static enum status port_read(struct backend *backend, struct snapshot_stream *stream)
{
	struct saved_count count = {0, 0};
	unsigned next = 0;
	enum status status = snapshot_read_table(stream, count_table.name, instance_of(backend),
		&count_table, &count);

	// Each comes to its slot: the next request takes the first free one.
	for (unsigned i = 0; i < count.count && status == STATUS_OK; i++) {
		uint32_t index = stream->section.instance;

		if (index < next || index >= DEVICE_IO_MAX)
			return snapshot_fail(stream, STATUS_INVALID,
				"%s: 0x%x is not allowed (0x%x to 0x%x)", request_table.name, index,
				next, DEVICE_IO_MAX - 1);
		status = slot_read(backend, index, stream);
		next = index + 1;
	}
	return status;
}

enum status backend_read(struct vm_device *device, struct snapshot_stream *stream)
{
	enum status status = STATUS_OK;

	FOR_EACH_PORT(device, backend)
		if (status == STATUS_OK)
			status = port_read(backend, stream);
	if (device->device->model->awaited == NULL)
		return status;
	for (unsigned port = 0; port < DEVICE_PORTS_MAX && status == STATUS_OK; port++)
		status = awaited_check(device, port, stream);
	return status;
}

static uint64_t block_bytes(const struct medium *medium, uint64_t offset)
{
	uint64_t left = medium->bytes - offset;

	return left < LARGE_PAGE_BYTES ? left : LARGE_PAGE_BYTES;
}

// What disks in RAM hold.
void snapshot_media_write(const struct vm *vm, struct snapshot_stream *stream)
{
	for (uint32_t i = 0; i < vm->config.disk_count; i++) {
		const struct medium *medium = &vm->media[i];

		if (medium->overlay != NULL)
			snapshot_overlay_write(vm, i, stream);
		if (medium->blocks == NULL) // a region, which is not the machine's
			continue;
		snapshot_section_begin(stream, medium_name, i, MEDIUM_VERSION, medium->bytes);
		for (uint64_t at = 0; at < medium->bytes; at += LARGE_PAGE_BYTES)
			snapshot_put(stream, medium->blocks[at / LARGE_PAGE_BYTES],
				block_bytes(medium, at));
		snapshot_section_end(stream);
	}
}

static enum status medium_read_saved(struct medium *medium, uint32_t index,
	struct snapshot_stream *stream)
{
	enum status status = snapshot_section_expect(stream, medium_name, index);

	if (status == STATUS_OK && (stream->section.version != MEDIUM_VERSION ||
		stream->left != medium->bytes))
		status = snapshot_fail(stream, STATUS_INVALID, "%s %u: %llu bytes, not %llu",
			medium_name, index, (unsigned long long)stream->left,
			(unsigned long long)medium->bytes);
	for (uint64_t at = 0; at < medium->bytes && status == STATUS_OK; at += LARGE_PAGE_BYTES)
		status = snapshot_get(stream, medium->blocks[at / LARGE_PAGE_BYTES],
			block_bytes(medium, at));
	if (status == STATUS_OK)
		snapshot_section_next(stream);
	return status;
}

enum status snapshot_media_read(struct vm *vm, struct snapshot_stream *stream)
{
	enum status status = STATUS_OK;

	for (uint32_t i = 0; i < vm->config.disk_count && status == STATUS_OK; i++) {
		if (vm->media[i].overlay != NULL)
			status = snapshot_overlay_read(vm, i, stream);
		if (status == STATUS_OK && vm->media[i].blocks != NULL)
			status = medium_read_saved(&vm->media[i], i, stream);
	}
	return status;
}

// A disk that comes with what it held then has the size of then, and *mine says so. What cannot be
// stays as it is, for the comparison to find.
enum status snapshot_media_resize(struct vm *vm, uint64_t mine[VM_DISKS_MAX],
	const uint64_t theirs[VM_DISKS_MAX], struct snapshot_stream *stream)
{
	for (uint32_t i = 0; i < vm->config.disk_count; i++) {
		uint64_t bytes = theirs[i];

		if (vm->media[i].blocks == NULL || vm->media[i].overlay != NULL)
			continue;
		if (bytes == mine[i] || bytes == 0 ||
			bytes % VIRTIO_BLK_SECTOR_BYTES != 0 || bytes > VIRTIO_BLK_BYTES_MAX)
			continue;
		if (medium_resize(&vm->media[i], bytes, NULL) != STATUS_OK)
			return snapshot_fail(stream, STATUS_NO_MEMORY,
				"disk %u: no memory for %llu bytes", i, (unsigned long long)bytes);
		mine[i] = bytes;
	}
	return STATUS_OK;
}

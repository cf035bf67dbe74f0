// SPDX-License-Identifier: BSD-2-Clause
// Frames of a machine that rests, which it has taken and its devices have not heard of; and what
// these have sent.
#include <string.h>

#include "vm/snapshot.h"

enum { FRAME_VERSION = 1 };

static const char frame_name[] = SNAPSHOT_FRAME;

static const struct state_field sent_fields[] = {
	STATE_ANY(struct packet_sent, frames),
	STATE_ANY(struct packet_sent, hash),
	STATE_PAD(struct packet_sent, reserved),
};
const struct state_table snapshot_sent_table =
	STATE_TABLE("sent", 1, struct packet_sent, sent_fields, NULL);

void packet_sent_write(const struct vm_device *device, struct snapshot_stream *stream)
{
	if (device->nic != NULL)
		snapshot_write_table(stream, snapshot_sent_table.name, device->device->id,
			&snapshot_sent_table, &device->sent);
}

enum status packet_sent_read(struct vm_device *device, struct snapshot_stream *stream)
{
	if (device->nic == NULL)
		return STATUS_OK;
	return snapshot_read_table(stream, snapshot_sent_table.name, device->device->id,
		&snapshot_sent_table, &device->sent);
}

void packet_write(const struct vm *vm, uint32_t place, struct snapshot_stream *stream)
{
	struct device_frame frame = {.bytes = NULL};
	bool there = frame_ring_peek(vm->packets, place, &frame);

	ASSERT(there);
	snapshot_section_begin(stream, frame_name, place, FRAME_VERSION, frame.count);
	snapshot_put(stream, frame.bytes, frame.count);
	snapshot_section_end(stream);
}

enum status packet_read(struct vm *vm, const struct event *event, uint32_t place,
	struct snapshot_stream *stream)
{
	enum status status = snapshot_section_expect(stream, frame_name, place);
	uint8_t bytes[DEVICE_FRAME_MAX];
	struct device_frame frame;
	const char *problem;

	if (status != STATUS_OK)
		return status;
	if (stream->section.version != FRAME_VERSION || stream->left > sizeof(bytes))
		return snapshot_fail(stream, STATUS_INVALID, "%s %u: length or version is not "
			"allowed", frame_name, place);
	frame = packet_frame(event, bytes, (uint32_t)stream->left);
	problem = packet_problem(vm, event, &frame);
	if (problem != NULL)
		return snapshot_fail(stream, STATUS_INVALID, "%s %u: %s", frame_name, place,
			problem);
	status = snapshot_get(stream, bytes, frame.count);
	if (status != STATUS_OK)
		return status;
	packet_give(vm, &frame);
	snapshot_section_next(stream);
	return STATUS_OK;
}

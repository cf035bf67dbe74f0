// SPDX-License-Identifier: BSD-2-Clause
// The event queue of a machine that rests.
#include <string.h>

#include "vm/input.h"
#include "vm/setting.h"
#include "vm/snapshot.h"

static const struct state_field event_fields[] = {
	STATE_VALUE(struct event, kind, EVENT_BOTTOM_HALF, EVENT_KEY),
	STATE_VALUE(struct event, payload_bytes, 0, EVENT_PAYLOAD_MAX),
	STATE_VALUE(struct event, device, 0, VM_DEVICES_MAX - 1),
	STATE_ANY(struct event, index),
	STATE_PAD(struct event, reserved),
	STATE_ANY(struct event, sequence),
	STATE_ANY(struct event, value),
	STATE_ARRAY_ANY(struct event, payload),
};
const struct state_table snapshot_event_table =
	STATE_TABLE("event", 3, struct event, event_fields, NULL);

// Behind each frame's event is the frame.
void snapshot_events_write(const struct vm *vm, struct snapshot_stream *stream)
{
	uint32_t frames = 0;

	for (uint32_t i = 0; i < vm->queue.fifo_count; i++) {
		const struct event *event = event_fifo_at(&vm->queue, i);

		snapshot_write_table(stream, snapshot_event_table.name, i, &snapshot_event_table,
			event);
		if (event->kind == EVENT_PACKET)
			packet_write(vm, frames++, stream);
	}
}

// Whether bus_deliver may hand it out. `halves`: the bottom halves that were met, by device.
static const char *event_check(const struct vm *vm, const struct event *event, uint32_t *halves)
{
	const struct device_model *model;

	if (event->kind == EVENT_MACHINE)
		return event->index == VM_EVENT_SETTING ? setting_problem(vm, event)
			: event->index == DEVICE_REQUEST_RESET || (event->index == VM_EVENT_NMI &&
			event->value < vm->vcpu_count) ? NULL : "index: no such request";
	if (event->kind == EVENT_KEY)
		return input_problem(event);
	if (event->device >= vm->device_count)
		return "device: no such device";
	model = vm->devices[event->device].device->model;
	switch (event->kind) {
	case EVENT_BOTTOM_HALF:
		if (event->index >= model->bottom_halves ||
			(halves[event->device] & BIT(event->index)) != 0)
			return "index: no such bottom half, or twice";
		halves[event->device] |= (uint32_t)BIT(event->index);
		return NULL;
	case EVENT_CHARACTERS:
		if (vm->devices[event->device].device != vm->input ||
			event->index != VM_INPUT_PORT || !vm->receive_pending)
			return "index: nobody takes characters there";
		return NULL;
	case EVENT_COMPLETION:
		return backend_meet(&vm->devices[event->device], event)
			? NULL : "value: no such request, or not its completion";
	case EVENT_PACKET: // packet_read says more
		return event->index == 0 && vm->devices[event->device].nic != NULL
			? NULL : "index: nobody takes frames there";
	case EVENT_LINE:
		return event->index < model->inputs && model->line != NULL
			? NULL : "index: no such input";
	}
	return "kind: no such event";
}

enum status snapshot_events_read(struct vm *vm, uint32_t count, struct snapshot_stream *stream)
{
	uint32_t halves[VM_DEVICES_MAX] = {0};
	uint64_t next = 0, end = vm->queue.sequence;
	uint32_t frames = 0;
	enum status status;

	for (uint32_t i = 0; i < count; i++) {
		struct event event = {0};
		struct state_error error = {.field = NULL};

		status = snapshot_read_table(stream, snapshot_event_table.name, i,
			&snapshot_event_table, &event);
		if (status != STATUS_OK)
			return status;
		error.reason = event_check(vm, &event, halves);
		if (event.sequence < next || event.sequence >= end)
			error.reason = "sequence: not behind the event before, or yet to come";
		if (error.reason != NULL)
			return snapshot_refuse(stream, snapshot_event_table.name, i, &error);
		next = event.sequence + 1;
		event_restore(&vm->queue, &event);
		if (event.kind == EVENT_PACKET)
			status = packet_read(vm, &event, frames++, stream);
		if (status != STATUS_OK)
			return status;
	}
	for (uint32_t i = 0; i < vm->device_count; i++) {
		if (!backend_all_met(&vm->devices[i]))
			return snapshot_fail(stream, STATUS_INVALID,
				"requests %u: state: a completion is not in the queue", i);
		if (halves[i] != vm->devices[i].bottom_halves)
			return snapshot_fail(stream, STATUS_INVALID,
				"%s %u: bottom_halves: 0x%x is not allowed (0x%x to 0x%x)",
				"wires", i, vm->devices[i].bottom_halves, halves[i],
				halves[i]);
	}
	return STATUS_OK;
}


// SPDX-License-Identifier: BSD-2-Clause
#include "vm/packet.h"

#include "kernel/base/assert.h"
#include "kernel/crc32c.h"
#include "vm/vm.h"

enum { OFFSET_SHIFT = 16 }; // of an event's value, above the checksum's start

bool packet_any(const struct vm *vm)
{
	for (uint32_t i = 0; i < vm->config.nic_count; i++)
		if (frame_ring_count(&vm->nics[i]->to_guest) != 0)
			return true;
	return false;
}

static bool is_replayed(const struct vm *vm)
{
	return vm->outside.recorder != NULL && vm->outside.recorder->gives;
}

static void sent_count(struct vm_device *device, const struct device_frame *frame)
{
	struct packet_sent *sent = &device->sent;

	sent->frames++;
	if (device->vm->landing != NULL)
		sent->hash = crc32c_update(sent->hash, frame->bytes, frame->count);
}

void packet_send(struct vm_device *device, const struct device_frame *frame)
{
	struct nic *nic = device->nic;

	ASSERT(device_frame_is_valid(frame));
	sent_count(device, frame);
	if (is_replayed(device->vm))
		return;
	if (!frame_ring_put(&nic->from_guest, frame))
		__atomic_store_n(&nic->lost, nic->lost + 1, __ATOMIC_RELAXED);
	else if (!__atomic_exchange_n(&nic->posted, true, __ATOMIC_SEQ_CST))
		nic->wake(nic);
}

bool packet_next(const struct vm *vm, struct event *event)
{
	struct device_frame frame;

	if (vm->packets == NULL || frame_ring_count(vm->packets) == FRAME_RING_FRAMES)
		return false;
	for (uint32_t i = 0; i < vm->config.nic_count; i++) {
		if (!frame_ring_peek(&vm->nics[i]->to_guest, 0, &frame))
			continue;
		*event = (struct event){.kind = EVENT_PACKET, .device = vm->nics[i]->device,
			.value = frame.checksum_start |
				(uint64_t)frame.checksum_offset << OFFSET_SHIFT};
		return true;
	}
	return false;
}

static struct nic *nic_of(const struct vm *vm, const struct event *event)
{
	struct nic *nic = event->device < vm->device_count ? vm->devices[event->device].nic : NULL;

	return event->index == 0 ? nic : NULL;
}

struct device_frame packet_of(const struct vm *vm, const struct event *event)
{
	struct device_frame frame = {.bytes = NULL};
	bool there = frame_ring_peek(&nic_of(vm, event)->to_guest, 0, &frame);

	ASSERT(there);
	return frame;
}

void packet_refuse(struct vm *vm, const struct event *event)
{
	frame_ring_take(&nic_of(vm, event)->to_guest);
}

void packet_refuse_all(struct vm *vm)
{
	for (uint32_t i = 0; i < vm->config.nic_count; i++)
		while (frame_ring_count(&vm->nics[i]->to_guest) != 0)
			frame_ring_take(&vm->nics[i]->to_guest);
}

void packet_take(struct vm *vm, const struct event *event)
{
	const struct device_frame frame = packet_of(vm, event);

	packet_give(vm, &frame);
	packet_refuse(vm, event);
}

struct device_frame packet_frame(const struct event *event, const uint8_t *bytes, uint32_t count)
{
	return (struct device_frame){.bytes = bytes,
		.count = (uint16_t)(count <= DEVICE_FRAME_MAX ? count : 0),
		.checksum_start = (uint16_t)event->value,
		.checksum_offset = (uint16_t)(event->value >> OFFSET_SHIFT)};
}

const char *packet_problem(const struct vm *vm, const struct event *event,
	const struct device_frame *frame)
{
	if (nic_of(vm, event) == NULL || event->value >> (2 * OFFSET_SHIFT) != 0 ||
		event->payload_bytes != 0)
		return "a frame for what takes none";
	if (!device_frame_is_valid(frame))
		return "a frame that cannot be";
	if (frame_ring_count(vm->packets) == FRAME_RING_FRAMES)
		return "more frames than there is room for";
	return NULL;
}

void packet_give(struct vm *vm, const struct device_frame *frame)
{
	bool put = frame_ring_put(vm->packets, frame);

	ASSERT(put);
}

void packet_deliver(struct vm_device *device, const struct event *event, struct guest_time now)
{
	struct frame_ring *packets = device->vm->packets;
	struct device_frame frame = {.bytes = NULL};
	bool there = frame_ring_peek(packets, 0, &frame);

	ASSERT(there && device->nic != NULL);
	device->device->model->packet(device->device, now, event->index, &frame);
	frame_ring_take(packets);
}

void packet_reset(struct vm *vm)
{
	if (vm->packets != NULL)
		vm->packets->taken = vm->packets->put;
}

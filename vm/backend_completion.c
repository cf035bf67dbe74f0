// SPDX-License-Identifier: BSD-2-Clause
// Completions: of what is done, as events, and how devices hear of it.
#include <string.h>

#include "kernel/base/assert.h"
#include "vm/backend_internal.h"

static const struct backend_slot *slot_done(const struct backend *backend)
{
	if (backend->plane != NULL)
		return NULL;
	FOR_EACH_SLOT(backend->sent, i)
		if (backend_slot_is_done(&backend->slots[i]))
			return &backend->slots[i];
	return NULL;
}

bool backend_completion(const struct vm *vm, struct event *event)
{
	if (!backend_any_done(&vm->requests_out))
		return false;
	FOR_EACH_SLOT(vm->with_backend, i)
		FOR_EACH_PORT(&vm->devices[i], backend) {
			const struct backend_slot *slot = slot_done(backend);

			if (slot == NULL)
				continue;
			*event = (struct event){.kind = EVENT_COMPLETION, .device = (uint16_t)i,
				.index = backend->port, .value = slot->name, .payload_bytes = 1,
				.payload = {slot->request.status}};
			return true;
		}
	return false;
}

// NULL: there is no such request.
static struct backend_slot *slot_of_event(const struct vm *vm, const struct event *event)
{
	struct backend *backend = event->device < vm->device_count
		? backend_of_port(&vm->devices[event->device], event->index) : NULL;

	return backend != NULL ? backend_slot_find(backend, event->value) : NULL;
}

void backend_take(struct vm *vm, const struct event *event)
{
	struct backend_slot *slot = slot_of_event(vm, event);

	ASSERT(slot != NULL && backend_slot_is_done(slot));
	backend_slot_set(slot->request.backend, slot, BACKEND_TAKEN);
	__atomic_fetch_sub(&vm->requests_out.done, 1, __ATOMIC_RELAXED);
}

static bool is_status(const struct event *event)
{
	return event->payload_bytes == 1 && event->payload[0] < STATUS_COUNT;
}

const char *backend_problem(const struct vm *vm, const struct event *event)
{
	const struct backend_slot *slot = slot_of_event(vm, event);

	if (slot == NULL || slot->state != BACKEND_SENT || !is_status(event))
		return "a completion of what was not asked for";
	if (!backend_slot_is_done(slot))
		return "a completion that has yet to come";
	if (event->payload[0] == STATUS_OK && slot->request.status != STATUS_OK)
		return "the back end failed, and did not then";
	return NULL;
}

bool backend_is_awaited(const struct vm *vm, const struct event *event)
{
	const struct backend_slot *slot = slot_of_event(vm, event);

	return slot != NULL && slot->state == BACKEND_SENT && !backend_slot_is_done(slot);
}

static void data_give(const struct backend_slot *slot, struct guest_ram *ram)
{
	const uint8_t *from = slot->request.data;

	for (unsigned i = 0; i < slot->piece_count; i++) {
		const struct device_io_piece *piece = &slot->pieces[i];
		enum status status = guest_ram_write(ram, piece->at, from, piece->bytes);

		ASSERT(status == STATUS_OK);
		from += piece->bytes;
	}
}

static void tell(struct vm_device *device, struct backend_slot *slot, enum status status,
	struct guest_time now)
{
	struct backend *backend = slot->request.backend;

	backend_slot_set(backend, slot, BACKEND_FREE);
	if (slot->dropped)
		return;
	if (slot->request.kind == DEVICE_IO_READ && status == STATUS_OK && !slot->copied)
		data_give(slot, &device->vm->ram);
	backend->completed = slot;
	device->device->model->complete(device->device, now, backend->port, slot->name, status);
	backend->completed = NULL;
}

void backend_deliver(struct vm_device *device, const struct event *event, struct guest_time now)
{
	struct backend_slot *slot = slot_of_event(device->vm, event);

	ASSERT(slot != NULL && slot->state == BACKEND_TAKEN);
	tell(device, slot, event->payload[0], now);
}

void backend_complete(struct backend_slot *slot, uint64_t name, struct guest_time now)
{
	struct backend *backend = slot->request.backend;
	struct device *device = backend->device->device;

	if (slot->state != BACKEND_TAKEN || slot->name != name)
		return;
	backend_slot_set(backend, slot, BACKEND_FREE);
	if (!slot->dropped)
		device->model->complete(device, now, backend->port, name, slot->request.status);
}

bool backend_serve(struct vm_device *device, struct guest_time now)
{
	struct backend *backend = device->backend;
	bool any = false;

	FOR_EACH_SLOT(backend->used, i) {
		struct backend_slot *slot = &backend->slots[i];
		enum status status = slot->request.status;

		if (!backend_slot_is_done(slot))
			continue;
		any = true;
		backend_slot_set(backend, slot, BACKEND_FREE);
		if (slot->request.kind == DEVICE_IO_READ && status == STATUS_OK && !slot->copied)
			data_give(slot, &device->vm->ram);
		device->device->model->complete(device->device, now, 0, slot->name, status);
	}
	return any;
}

void backend_take_data(struct vm_device *device, unsigned port, void *to, size_t bytes)
{
	const struct backend *backend = backend_of_port(device, port);
	const struct backend_slot *slot = backend != NULL ? backend->completed : NULL;
	size_t there = 0;

	if (slot != NULL && slot->request.kind == DEVICE_IO_READ && slot->piece_count == 0 &&
		slot->request.status == STATUS_OK)
		there = slot->request.bytes < bytes ? slot->request.bytes : bytes;
	if (there != 0)
		memcpy(to, slot->request.data, there);
	memset((uint8_t *)to + there, 0, bytes - there);
}

// One that has been taken is marked done when its completion has been met.
bool backend_meet(struct vm_device *device, const struct event *event)
{
	struct backend_slot *slot = slot_of_event(device->vm, event);

	if (slot == NULL || slot->state != BACKEND_TAKEN || slot->request.done || !is_status(event))
		return false;
	slot->request.done = true;
	return true;
}

bool backend_all_met(const struct vm_device *device)
{
	FOR_EACH_PORT(device, backend)
		FOR_EACH_SLOT(backend->used, i)
			if (backend->slots[i].state == BACKEND_TAKEN &&
				!backend->slots[i].request.done)
				return false;
	return true;
}

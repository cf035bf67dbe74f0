// SPDX-License-Identifier: BSD-2-Clause
#include "vm/backend.h"

#include <stdlib.h>
#include <string.h>

#include "kernel/base/assert.h"
#include "kernel/mem.h"
#include "vm/vm.h"

_Static_assert(DEVICE_IO_MAX * DEVICE_IO_BYTES_MAX == LARGE_PAGE_BYTES, "a block");

enum status backend_create(struct vm_device *device,
	void (*submit)(void *owner, struct backend_request *request), void *owner)
{
	struct backend *backend = calloc(1, sizeof(*backend));

	if (backend == NULL)
		return STATUS_FAIL(STATUS_NO_MEMORY);
	backend->data = mem_large_alloc();
	if (backend->data == NULL) {
		free(backend);
		return STATUS_FAIL(STATUS_NO_MEMORY);
	}
	backend->device = device;
	backend->submit = submit;
	backend->owner = owner;
	for (unsigned i = 0; i < DEVICE_IO_MAX; i++) {
		backend->slots[i].index = (uint8_t)i;
		backend->slots[i].request.backend = backend;
		backend->slots[i].request.data = backend->data + i * DEVICE_IO_BYTES_MAX;
	}
	device->backend = backend;
	device->vm->with_backend |= BIT(device->device->id);
	return STATUS_OK;
}

void backend_destroy(struct vm_device *device)
{
	if (device->backend == NULL)
		return;
	mem_large_free(device->backend->data);
	free(device->backend);
	device->backend = NULL;
}

void backend_done_at_once(struct backend_request *request, enum status status)
{
	struct vm *vm = request->backend->device->vm;

	if (request->kind == BACKEND_RESIZE) {
		__atomic_store_n(&request->backend->resizing, false, __ATOMIC_RELEASE);
		__atomic_fetch_sub(&vm->requests_out.sent, 1, __ATOMIC_RELEASE);
		return;
	}
	request->status = (uint8_t)status;
	if (request->backend->plane != NULL) {
		__atomic_store_n(&request->done, true, __ATOMIC_RELEASE); // it looks for that
		return;
	}
	__atomic_store_n(&request->done, true, __ATOMIC_RELEASE);
	__atomic_fetch_add(&vm->requests_out.done, 1, __ATOMIC_RELEASE);
	vm_events_changed(vm);
	// From here on the machine, or its vcpus, may go.
	__atomic_fetch_sub(&vm->requests_out.sent, 1, __ATOMIC_RELEASE);
}

// Its home may wait for that.
void backend_done(struct backend_request *request, enum status status)
{
	const struct backend *backend = request->backend;
	bool is_planes = backend->plane != NULL && request->kind != BACKEND_RESIZE;
	struct cpu *waits = is_planes ? backend->plane : vm_home(backend->device->vm);

	backend_done_at_once(request, status);
	cpu_kick(waits);
}

static bool is_done(const struct backend_slot *slot)
{
	return slot->state == BACKEND_SENT &&
		__atomic_load_n(&slot->request.done, __ATOMIC_ACQUIRE);
}

_Static_assert(DEVICE_IO_MAX == 64, "bits of backend->used");

// Those of a set, beginning with the lowest.
#define FOR_EACH_SLOT(set, index)                                                                  \
	for (uint64_t left_ = (set), index = 0;                                                    \
		left_ != 0 && (index = (uint64_t)__builtin_ctzll(left_), true); left_ &= left_ - 1)

// Where the name is looked for first.
static unsigned slot_of_name(uint64_t name)
{
	return (unsigned)name % DEVICE_IO_MAX;
}

static struct backend_slot *slot_free(struct backend *backend, uint64_t name)
{
	if ((backend->used & BIT(slot_of_name(name))) == 0)
		return &backend->slots[slot_of_name(name)];
	return ~backend->used == 0 ? NULL : &backend->slots[__builtin_ctzll(~backend->used)];
}

static struct backend_slot *slot_find(struct backend *backend, uint64_t name)
{
	unsigned first = slot_of_name(name);

	if ((backend->used & BIT(first)) != 0 && backend->slots[first].name == name)
		return &backend->slots[first];
	FOR_EACH_SLOT(backend->displaced, i)
		if (backend->slots[i].name == name)
			return &backend->slots[i];
	return NULL;
}

static void slot_set(struct backend *backend, struct backend_slot *slot, enum backend_state state)
{
	uint64_t bit = BIT(slot->index);

	slot->state = (uint8_t)state;
	backend->used = state == BACKEND_FREE ? backend->used & ~bit : backend->used | bit;
	backend->displaced = state == BACKEND_FREE || slot_of_name(slot->name) == slot->index
		? backend->displaced & ~bit : backend->displaced | bit;
	backend->sent = state != BACKEND_SENT ? backend->sent & ~bit : backend->sent | bit;
}

// False: they are not all RAM, or too much.
static bool pieces_keep(struct backend_slot *slot, const struct guest_ram *ram,
	const struct device_io *io)
{
	const struct device_io_piece *from = io->pieces, *end = from + io->piece_count;
	struct device_io_piece *to = slot->pieces;
	uint64_t left = DEVICE_IO_BYTES_MAX;

	if (io->piece_count > DEVICE_IO_PIECES_MAX)
		return false;
	for (; from != end; from++, to++) {
		*to = *from;
		if (to->bytes > left || !guest_ram_is_ram(ram, to->at, to->bytes))
			return false;
		left -= to->bytes;
	}
	slot->piece_count = io->piece_count;
	slot->request.bytes = DEVICE_IO_BYTES_MAX - left;
	return true;
}

static bool has_pieces(const struct device_io *io)
{
	return io->kind == DEVICE_IO_READ || io->kind == DEVICE_IO_WRITE;
}

// What the request is, of a slot that is free. False: its memory cannot be had.
static bool slot_fill(struct backend_slot *slot, const struct guest_ram *ram,
	const struct device_io *io)
{
	if (!pieces_keep(slot, ram, io))
		return false;
	slot->name = io->request;
	slot->request.kind = io->kind;
	slot->request.offset = io->offset;
	if (!has_pieces(io))
		slot->request.bytes = io->bytes;
	return true;
}

static void data_take(const struct backend_slot *slot, const struct guest_ram *ram)
{
	uint8_t *to = slot->request.data;

	for (unsigned i = 0; i < slot->piece_count; i++) {
		const struct device_io_piece *piece = &slot->pieces[i];
		enum status status = guest_ram_read(ram, piece->at, to, piece->bytes);

		ASSERT(status == STATUS_OK); // pieces_keep
		to += piece->bytes;
	}
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

// What a completion asks for in turn is not one more effect: work per stimulus is bounded.
static bool complete_by_effect(struct vm *vm, struct backend *backend, struct backend_slot *slot)
{
	if (vm->bus.completes || vm->bus.effect_count >= BUS_EFFECTS_MAX / 2)
		return false;
	slot_set(backend, slot, BACKEND_TAKEN);
	*bus_effect_new(&vm->bus) = (struct bus_effect){.device = backend->device->device,
		.kind = BUS_EFFECT_COMPLETION, .number = slot->index, .request = slot->name};
	return true;
}

// The completion of what is done before anybody could ask for it goes straight to the device, or to
// the event queue. False: there is no room, or it is not the machine's to know.
static bool complete_at_once(struct vm *vm, struct backend *backend, struct backend_slot *slot,
	enum status status)
{
	struct event event;
	enum status posted;

	slot->request.status = (uint8_t)status;
	if (backend->plane == NULL && complete_by_effect(vm, backend, slot))
		return true;
	if (backend->plane != NULL || event_fifo_room(&vm->queue) <= EVENT_RESERVE)
		return false;
	slot_set(backend, slot, BACKEND_TAKEN);
	event = (struct event){.kind = EVENT_COMPLETION, .device = backend->device->device->id,
		.value = slot->name, .payload_bytes = 1, .payload = {(uint8_t)status}};
	posted = event_post(&vm->queue, &event);
	ASSERT(posted == STATUS_OK);
	vm_events_changed(vm);
	return true;
}

static bool copy_at_once(struct vm *vm, struct backend *backend, struct backend_slot *slot)
{
	enum status status;

	if (vm->landing != NULL || backend->copy == NULL || backend_is_resizing(backend))
		return false;
	status = backend->copy(backend->owner, slot, &vm->ram);
	if (status == STATUS_AGAIN)
		return false;
	if (likely(complete_at_once(vm, backend, slot, status)))
		return true;
	slot_set(backend, slot, BACKEND_SENT);
	if (backend->plane == NULL)
		__atomic_fetch_add(&vm->requests_out.sent, 1, __ATOMIC_RELAXED);
	backend_done_at_once(&slot->request, status);
	return true;
}

enum status backend_submit(struct vm_device *device, const struct device_io *io)
{
	struct backend *backend = device->backend;
	struct vm *vm = device->vm;
	struct backend_slot *slot;

	if (backend == NULL || io->kind >= DEVICE_IO_KINDS)
		return STATUS_FAIL(STATUS_UNSUPPORTED);
	if (slot_find(backend, io->request) != NULL)
		return STATUS_FAIL(STATUS_EXISTS);
	slot = slot_free(backend, io->request);
	if (slot == NULL)
		return STATUS_FAIL(STATUS_BUSY);
	if (!slot_fill(slot, &vm->ram, io))
		return STATUS_FAIL(STATUS_RANGE);
	slot->dropped = slot->request.done = false;
	slot->copied = has_pieces(io) && copy_at_once(vm, backend, slot);
	if (slot->copied)
		return STATUS_OK;
	slot_set(backend, slot, BACKEND_SENT);
	if (backend->plane == NULL)
		__atomic_fetch_add(&vm->requests_out.sent, 1, __ATOMIC_RELAXED);
	if (io->kind == DEVICE_IO_WRITE)
		data_take(slot, &vm->ram);
	backend->submit(backend->owner, &slot->request);
	return STATUS_OK;
}

void backend_resize(struct vm_device *device, uint64_t bytes)
{
	struct backend *backend = device->backend;

	if (backend_is_resizing(backend))
		return;
	__atomic_store_n(&backend->resizing, true, __ATOMIC_RELAXED);
	backend->resize = (struct backend_request){.backend = backend, .kind = BACKEND_RESIZE,
		.bytes = UINT64_MAX, .size = bytes};
	__atomic_fetch_add(&device->vm->requests_out.sent, 1, __ATOMIC_RELAXED);
	backend->submit(backend->owner, &backend->resize);
}

void backend_drop(struct vm_device *device, uint64_t name)
{
	struct backend_slot *slot =
		device->backend != NULL ? slot_find(device->backend, name) : NULL;

	if (slot != NULL)
		slot->dropped = true;
}

void backend_drop_all(struct vm_device *device)
{
	struct backend *backend = device->backend;

	if (backend == NULL)
		return;
	ASSERT(backend->plane == NULL);
	FOR_EACH_SLOT(backend->used, i) {
		struct backend_slot *slot = &backend->slots[i];

		if (slot->state == BACKEND_TAKEN) // its completion was one of the events
			slot_set(backend, slot, BACKEND_FREE);
		else
			slot->dropped = true;
	}
}

static const struct backend_slot *slot_done(const struct backend *backend)
{
	FOR_EACH_SLOT(backend->sent, i)
		if (is_done(&backend->slots[i]))
			return &backend->slots[i];
	return NULL;
}

bool backend_completion(const struct vm *vm, struct event *event)
{
	if (!backend_any_done(&vm->requests_out))
		return false;
	FOR_EACH_SLOT(vm->with_backend, i) {
		const struct backend *backend = vm->devices[i].backend;
		const struct backend_slot *slot =
			backend->plane == NULL ? slot_done(backend) : NULL;

		if (slot == NULL)
			continue;
		*event = (struct event){.kind = EVENT_COMPLETION, .device = (uint16_t)i,
			.value = slot->name, .payload_bytes = 1,
			.payload = {slot->request.status}};
		return true;
	}
	return false;
}

// NULL: there is no such request.
static struct backend_slot *slot_of_event(const struct vm *vm, const struct event *event)
{
	struct backend *backend =
		event->device < vm->device_count ? vm->devices[event->device].backend : NULL;

	return backend != NULL && event->index == 0 ? slot_find(backend, event->value) : NULL;
}

void backend_take(struct vm *vm, const struct event *event)
{
	struct backend_slot *slot = slot_of_event(vm, event);

	ASSERT(slot != NULL && is_done(slot));
	slot_set(vm->devices[event->device].backend, slot, BACKEND_TAKEN);
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
	if (!is_done(slot))
		return "a completion that has yet to come";
	if (event->payload[0] == STATUS_OK && slot->request.status != STATUS_OK)
		return "the back end failed, and did not then";
	return NULL;
}

bool backend_is_awaited(const struct vm *vm, const struct event *event)
{
	const struct backend_slot *slot = slot_of_event(vm, event);

	return slot != NULL && slot->state == BACKEND_SENT && !is_done(slot);
}

void backend_deliver(struct vm_device *device, const struct event *event, struct guest_time now)
{
	struct backend_slot *slot = slot_find(device->backend, event->value);
	enum status status = event->payload[0];

	ASSERT(slot != NULL && slot->state == BACKEND_TAKEN);
	slot_set(device->backend, slot, BACKEND_FREE);
	if (slot->dropped)
		return;
	if (slot->request.kind == DEVICE_IO_READ && status == STATUS_OK && !slot->copied)
		data_give(slot, &device->vm->ram);
	device->device->model->complete(device->device, now, event->index, event->value, status);
}

void backend_complete(struct vm_device *device, unsigned index, uint64_t name,
	struct guest_time now)
{
	struct backend_slot *slot = &device->backend->slots[index];

	if (slot->state != BACKEND_TAKEN || slot->name != name)
		return;
	slot_set(device->backend, slot, BACKEND_FREE);
	if (!slot->dropped)
		device->device->model->complete(device->device, now, 0, name, slot->request.status);
}

bool backend_serve(struct vm_device *device, struct guest_time now)
{
	struct backend *backend = device->backend;
	bool any = false;

	FOR_EACH_SLOT(backend->used, i) {
		struct backend_slot *slot = &backend->slots[i];
		enum status status = slot->request.status;

		if (!is_done(slot))
			continue;
		any = true;
		slot_set(backend, slot, BACKEND_FREE);
		if (slot->request.kind == DEVICE_IO_READ && status == STATUS_OK && !slot->copied)
			data_give(slot, &device->vm->ram);
		device->device->model->complete(device->device, now, 0, slot->name, status);
	}
	return any;
}

bool backend_restore(struct backend *backend, unsigned index, const struct device_io *io,
	enum backend_state state)
{
	struct backend_slot *slot = &backend->slots[index];
	struct vm *vm = backend->device->vm;

	if (slot_find(backend, io->request) != NULL || !slot_fill(slot, &vm->ram, io))
		return false;
	slot_set(backend, slot, state);
	slot->request.done = state == BACKEND_SENT;
	vm->requests_out.done += slot->request.done;
	return true;
}

// One that has been taken is marked done when its completion has been met.
bool backend_meet(struct vm_device *device, const struct event *event)
{
	struct backend_slot *slot = device->backend != NULL && event->index == 0
		? slot_find(device->backend, event->value) : NULL;

	if (slot == NULL || slot->state != BACKEND_TAKEN || slot->request.done || !is_status(event))
		return false;
	slot->request.done = true;
	return true;
}

bool backend_all_met(const struct vm_device *device)
{
	const struct backend *backend = device->backend;

	for (unsigned i = 0; backend != NULL && i < DEVICE_IO_MAX; i++)
		if (backend->slots[i].state == BACKEND_TAKEN && !backend->slots[i].request.done)
			return false;
	return true;
}

void backend_reset(struct vm_device *device)
{
	struct backend *backend = device->backend;

	if (backend == NULL)
		return;
	FOR_EACH_SLOT(backend->used, i) {
		struct backend_slot *slot = &backend->slots[i];

		ASSERT(slot->state != BACKEND_SENT || is_done(slot));
		if (slot->state == BACKEND_SENT)
			__atomic_fetch_sub(&device->vm->requests_out.done, 1, __ATOMIC_RELAXED);
		slot_set(backend, slot, BACKEND_FREE);
	}
}

// SPDX-License-Identifier: BSD-2-Clause
#include "vm/backend.h"

#include <stdlib.h>
#include <string.h>

#include "kernel/base/assert.h"
#include "kernel/mem.h"
#include "vm/backend_internal.h"

_Static_assert(DEVICE_IO_MAX * DEVICE_IO_BYTES_MAX == LARGE_PAGE_BYTES, "a block");

struct backend *backend_find(const struct vm_device *device, unsigned port)
{
	return backend_of_port(device, port);
}

enum status backend_create(struct vm_device *device, unsigned port,
	void (*submit)(void *owner, struct backend_request *request), void *owner)
{
	struct backend *backend = calloc(1, sizeof(*backend)), **end = &device->backend;

	ASSERT(port < DEVICE_PORTS_MAX && backend_of_port(device, port) == NULL);
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
	backend->port = (uint8_t)port;
	while (*end != NULL)
		end = &(*end)->next;
	*end = backend;
	device->vm->with_backend |= BIT(device->device->id);
	return STATUS_OK;
}

void backend_destroy(struct vm_device *device)
{
	while (device->backend != NULL) {
		struct backend *next = device->backend->next;

		mem_large_free(device->backend->data);
		free(device->backend);
		device->backend = next;
	}
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

static struct backend_slot *slot_free(struct backend *backend, uint64_t name)
{
	if ((backend->used & BIT(backend_slot_of_name(name))) == 0)
		return &backend->slots[backend_slot_of_name(name)];
	return ~backend->used == 0 ? NULL : &backend->slots[__builtin_ctzll(~backend->used)];
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
	return io->piece_count != 0;
}

static bool has_data(const struct device_io *io)
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
	if (has_pieces(io))
		return true;
	slot->request.bytes = io->bytes;
	return !has_data(io) || io->bytes <= DEVICE_IO_BYTES_MAX;
}

// `own`: the device's own bytes; NULL: those of the pieces.
static void data_take(const struct backend_slot *slot, const struct guest_ram *ram,
	const void *own)
{
	uint8_t *to = slot->request.data;

	if (own != NULL) {
		memcpy(to, own, slot->request.bytes);
		return;
	}
	for (unsigned i = 0; i < slot->piece_count; i++) {
		const struct device_io_piece *piece = &slot->pieces[i];
		enum status status = guest_ram_read(ram, piece->at, to, piece->bytes);

		ASSERT(status == STATUS_OK); // pieces_keep
		to += piece->bytes;
	}
}

// What a completion asks for in turn is not one more effect: work per stimulus is bounded.
static bool complete_by_effect(struct vm *vm, struct backend *backend, struct backend_slot *slot)
{
	if (vm->bus.completes || vm->bus.effect_count >= BUS_EFFECTS_MAX / 2)
		return false;
	backend_slot_set(backend, slot, BACKEND_TAKEN);
	*bus_effect_new(&vm->bus) = (struct bus_effect){.device = backend->device->device,
		.kind = BUS_EFFECT_COMPLETION, .completion = {slot, slot->name}};
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
	backend_slot_set(backend, slot, BACKEND_TAKEN);
	event = (struct event){.kind = EVENT_COMPLETION, .device = backend->device->device->id,
		.index = backend->port, .value = slot->name, .payload_bytes = 1,
		.payload = {(uint8_t)status}};
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
	backend_slot_set(backend, slot, BACKEND_SENT);
	if (backend->plane == NULL)
		__atomic_fetch_add(&vm->requests_out.sent, 1, __ATOMIC_RELAXED);
	backend_done_at_once(&slot->request, status);
	return true;
}

enum status backend_submit(struct vm_device *device, unsigned port, const struct device_io *io)
{
	struct backend *backend = backend_of_port(device, port);
	struct vm *vm = device->vm;
	struct backend_slot *slot;

	if (backend == NULL || io->kind >= DEVICE_IO_KINDS)
		return STATUS_FAIL(STATUS_UNSUPPORTED);
	if (backend_slot_find(backend, io->request) != NULL)
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
	backend_slot_set(backend, slot, BACKEND_SENT);
	if (backend->plane == NULL)
		__atomic_fetch_add(&vm->requests_out.sent, 1, __ATOMIC_RELAXED);
	if (io->kind == DEVICE_IO_WRITE)
		data_take(slot, &vm->ram, has_pieces(io) ? NULL : io->data);
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

void backend_drop(struct vm_device *device, unsigned port, uint64_t name)
{
	struct backend *backend = backend_of_port(device, port);
	struct backend_slot *slot = backend != NULL ? backend_slot_find(backend, name) : NULL;

	if (slot != NULL)
		slot->dropped = true;
}

static void drop_all(struct backend *backend)
{
	ASSERT(backend->plane == NULL);
	FOR_EACH_SLOT(backend->used, i) {
		struct backend_slot *slot = &backend->slots[i];

		if (slot->state == BACKEND_TAKEN) // its completion was one of the events
			backend_slot_set(backend, slot, BACKEND_FREE);
		else
			slot->dropped = true;
	}
}

void backend_drop_all(struct vm_device *device)
{
	FOR_EACH_PORT(device, backend)
		drop_all(backend);
}

bool backend_restore(struct backend *backend, unsigned index, const struct device_io *io,
	enum backend_state state)
{
	struct backend_slot *slot = &backend->slots[index];
	struct vm *vm = backend->device->vm;

	if (backend_slot_find(backend, io->request) != NULL || !slot_fill(slot, &vm->ram, io))
		return false;
	backend_slot_set(backend, slot, state);
	slot->request.done = state == BACKEND_SENT;
	vm->requests_out.done += slot->request.done;
	return true;
}

void backend_reset(struct vm_device *device)
{
	FOR_EACH_PORT(device, backend)
		FOR_EACH_SLOT(backend->used, i) {
			struct backend_slot *slot = &backend->slots[i];

			ASSERT(slot->state != BACKEND_SENT || backend_slot_is_done(slot));
			if (slot->state == BACKEND_SENT)
				__atomic_fetch_sub(&device->vm->requests_out.done, 1,
					__ATOMIC_RELAXED);
			backend_slot_set(backend, slot, BACKEND_FREE);
		}
}

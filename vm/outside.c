// SPDX-License-Identifier: BSD-2-Clause
#include "vm/outside.h"

#include <string.h>

#include "emul/acpi_pm.h"
#include "kernel/base/assert.h"
#include "vm/input.h"
#include "vm/landing.h"
#include "vm/setting.h"

static bool waits_for_boundary(const struct vm *vm)
{
	return vm->landing != NULL;
}

static uint32_t queue_room(const struct vm *vm)
{
	uint32_t room = event_fifo_room(&vm->queue);

	return room > EVENT_RESERVE ? room - EVENT_RESERVE : 0;
}

uint32_t outside_room(const struct vm *vm)
{
	return waits_for_boundary(vm) ? OUTSIDE_MAX - vm->outside.count : queue_room(vm);
}

static void queue_add(struct vm *vm, const struct event *event)
{
	enum status status = event_post(&vm->queue, event);

	if (event->kind == EVENT_COMPLETION)
		backend_take(vm, event);
	ASSERT(status == STATUS_OK);
}

void outside_add(struct vm *vm, const struct event *event)
{
	struct outside *outside = &vm->outside;

	ASSERT(outside_room(vm) > 0);
	if (waits_for_boundary(vm))
		outside->events[(outside->first + outside->count++) % OUTSIDE_MAX] = *event;
	else
		queue_add(vm, event);
}

enum status outside_post(struct vm *vm, const struct event *events, unsigned count)
{
	enum status status = STATUS_OK;

	bus_enter(&vm->bus);
	if (outside_room(vm) < count)
		status = STATUS_BUSY;
	for (unsigned i = 0; i < count && status == STATUS_OK; i++)
		outside_add(vm, &events[i]);
	bus_unlock(&vm->bus);
	vm_events_changed(vm);
	return status;
}

// Under the device lock: whether another one of the device is on its way.
static bool is_under_way(const struct vm *vm, const struct event *event)
{
	const struct outside *outside = &vm->outside;

	for (uint32_t i = 0; i < outside->count; i++) {
		const struct event *other =
			&outside->events[(outside->first + i) % OUTSIDE_MAX];

		if (setting_is(other) && other->device == event->device)
			return true;
	}
	for (uint32_t i = 0; i < vm->queue.fifo_count; i++) {
		const struct event *other = event_fifo_at(&vm->queue, i);

		if (setting_is(other) && other->device == event->device)
			return true;
	}
	return setting_is_awaited(vm, event);
}

enum status outside_set(struct vm *vm, const struct device *device, enum device_setting setting,
	uint64_t value)
{
	const struct event event = {.kind = EVENT_MACHINE, .index = VM_EVENT_SETTING,
		.device = device->id, .value = value, .payload_bytes = 1,
		.payload = {(uint8_t)setting}};
	bool busy;

	if (vm->state != VM_RUNNING && vm->state != VM_PAUSED)
		return STATUS_FAIL(STATUS_REFUSED);
	if (setting_problem(vm, &event) != NULL)
		return STATUS_FAIL(STATUS_INVALID);
	bus_enter(&vm->bus);
	busy = is_under_way(vm, &event);
	bus_unlock(&vm->bus);
	return busy ? STATUS_FAIL(STATUS_BUSY) : outside_post(vm, &event, 1);
}

// Who replays gives what came from outside himself.
static bool is_replayed(const struct vm *vm)
{
	return vm->outside.recorder != NULL && vm->outside.recorder->gives;
}

enum status outside_input(struct vm *vm, const struct device_input *inputs, unsigned count)
{
	struct event events[OUTSIDE_INPUTS_MAX];

	ASSERT(count <= OUTSIDE_INPUTS_MAX);
	if (vm->state != VM_RUNNING || is_replayed(vm))
		return STATUS_FAIL(STATUS_REFUSED);
	for (unsigned i = 0; i < count; i++) {
		events[i] = (struct event){.kind = EVENT_KEY, .payload_bytes = sizeof(inputs[i])};
		memcpy(events[i].payload, &inputs[i], sizeof(inputs[i]));
	}
	return outside_post(vm, events, count);
}

static struct outside_place place_here(const struct vm_vcpu *vcpu, bool waiting)
{
	return (struct outside_place){.at = landing_position(vcpu),
		.time = landing_now(vcpu->vm) - LANDING_TSC_BASE, .vcpu = vcpu->index,
		.waiting = waiting || vcpu->halted || vcpu->waits_for_startup};
}

static bool anything_waits(const struct vm *vm)
{
	return __atomic_load_n(&vm->outside.count, __ATOMIC_RELAXED) != 0 ||
		((backend_any_done(&vm->requests_out) || packet_any(vm)) && !is_replayed(vm));
}

static bool next_arrived(const struct vm *vm, struct event *event)
{
	return backend_completion(vm, event) || packet_next(vm, event);
}

static bool next(const struct vm *vm, struct event *event)
{
	const struct outside *outside = &vm->outside;

	if (outside->count == 0)
		return !is_replayed(vm) && next_arrived(vm, event);
	*event = outside->events[outside->first];
	return true;
}

// What waits in no list of events is with whom it came from until it is taken.
static void arrived_add(struct vm *vm, const struct event *event)
{
	if (event->kind == EVENT_PACKET)
		packet_take(vm, event);
	queue_add(vm, event);
}

void outside_take_arrived(struct vm *vm)
{
	struct event event;

	bus_enter(&vm->bus);
	while (queue_room(vm) > 0 && next_arrived(vm, &event))
		arrived_add(vm, &event);
	bus_unlock(&vm->bus);
}

// Of a machine that is replayed: it gets what it got then, and no more.
static void frames_refuse(struct vm *vm)
{
	if (likely(!packet_any(vm)) || !is_replayed(vm))
		return;
	bus_enter(&vm->bus);
	packet_refuse_all(vm);
	bus_unlock(&vm->bus);
}

// Under the device lock: false where it cannot be taken here.
static bool take_first(struct vm_vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	struct outside *outside = &vm->outside;
	struct outside_recorder *recorder = outside->recorder;
	const struct outside_place place = place_here(vcpu, landing_end_wait(vm));
	enum status status = STATUS_OK;
	struct event event;

	if (queue_room(vm) == 0 || !next(vm, &event))
		return false;
	if (recorder != NULL)
		status = recorder->event(recorder, vm, &place, &event);
	if (status == STATUS_BUSY)
		return false;
	if (status == STATUS_OK)
		arrived_add(vm, &event);
	else if (event.kind == EVENT_PACKET)
		packet_refuse(vm, &event);
	if (event.kind != EVENT_COMPLETION && event.kind != EVENT_PACKET) {
		outside->first = (outside->first + 1) % OUTSIDE_MAX;
		outside->count--;
	}
	return true;
}

// Between an event's injection and its delivery there is no boundary that could be found again.
enum outside_taken outside_take(struct vm_vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	bool taken;

	frames_refuse(vm);
	if (likely(!anything_waits(vm)))
		return OUTSIDE_NONE;
	if (vcpu_event_pending(vcpu->vcpu))
		return OUTSIDE_LATER;
	bus_enter(&vm->bus);
	taken = take_first(vcpu);
	bus_unlock(&vm->bus);
	return taken ? OUTSIDE_TAKEN : OUTSIDE_LATER;
}

bool outside_is_bound(const struct vm *vm)
{
	return vm->outside.recorder != NULL && vm->outside.recorder->binds;
}

const char *outside_problem(const struct vm *vm, const struct event *event,
	const struct device_frame *frame)
{
	bool known = false;

	if (queue_room(vm) == 0)
		return "more events than there is room for";
	switch (event->kind) {
	case EVENT_MACHINE:
		known = event->index == DEVICE_REQUEST_RESET ||
			(event->index == VM_EVENT_NMI && event->value < vm->vcpu_count) ||
			(event->index == VM_EVENT_SETTING && setting_problem(vm, event) == NULL);
		break;
	case EVENT_CHARACTERS:
		known = event->device == vm->input->id &&
			event->index == VM_INPUT_PORT && event->payload_bytes > 0 &&
			event->payload_bytes <= EVENT_PAYLOAD_MAX;
		break;
	case EVENT_COMPLETION:
		return backend_problem(vm, event);
	case EVENT_PACKET:
		return packet_problem(vm, event, frame);
	case EVENT_KEY:
		return input_problem(event);
	case EVENT_LINE:
		known = event->device == vm->acpi_pm->id &&
			event->index == ACPI_PM_INPUT_POWER_BUTTON && event->value <= 1;
		break;
	default:
		break;
	}
	return known ? NULL : "an event that nothing here takes";
}

void outside_give(struct vm *vm, const struct event *event, const struct device_frame *frame)
{
	ASSERT(!vm->outside.given);
	bus_enter(&vm->bus);
	if (event->kind == EVENT_PACKET)
		packet_give(vm, frame);
	queue_add(vm, event);
	vm->outside.given = true;
	bus_unlock(&vm->bus);
	vm_events_changed(vm);
}

// SPDX-License-Identifier: BSD-2-Clause
#include "vm/snapshot.h"

#include <string.h>

#include "kernel/base/assert.h"
#include "kernel/mem.h"
#include "kernel/smp.h"
#include "kernel/x86.h"
#include "vm/setting.h"
#include "vm/slot.h"
#include "vm/twin.h"
#include "vmx/vcpu_check.h"

enum { MODEL_NAME_MAX = SNAPSHOT_NAME_MAX };

// What must be the same in the machine that a snapshot is loaded into.
struct kept {
	uint8_t name[VM_NAME_MAX];
	uint64_t memory_bytes, firmware_bytes, kernel_bytes, initrd_bytes;
	uint64_t tsc_hz, host_tsc_hz;
	uint64_t disk_bytes[VM_DISKS_MAX];
	uint64_t flash_bytes;
	uint32_t vcpus, devices;
	uint16_t debugcon;
	bool x2apic, debug_exit;
	bool has_memory; // the contents of its memory are there
	bool has_position; // its position is kept: vm/landing.h
	uint8_t models[VM_DEVICES_MAX][MODEL_NAME_MAX];
	uint8_t reserved[2];
};

static const struct state_field machine_fields[] = {
	STATE_ARRAY_ANY(struct kept, name),
	STATE_ANY(struct kept, memory_bytes),
	STATE_ANY(struct kept, firmware_bytes),
	STATE_ANY(struct kept, kernel_bytes),
	STATE_ANY(struct kept, initrd_bytes),
	STATE_ANY(struct kept, tsc_hz),
	STATE_ANY(struct kept, host_tsc_hz),
	STATE_ANY(struct kept, vcpus),
	STATE_ANY(struct kept, devices),
	STATE_BOOL(struct kept, x2apic),
	STATE_ANY(struct kept, debugcon),
	STATE_BOOL(struct kept, debug_exit),
	STATE_BOOL(struct kept, has_memory),
	STATE_BOOL(struct kept, has_position),
	STATE_ARRAY_ANY(struct kept, disk_bytes),
	STATE_ANY(struct kept, flash_bytes),
	STATE_FIELD_(struct kept, models, models[0][0], 1, VM_DEVICES_MAX * MODEL_NAME_MAX, 0,
		UINT8_MAX, 1),
	STATE_PAD(struct kept, reserved),
};
static const struct state_table machine_table =
	STATE_TABLE("machine", 5, struct kept, machine_fields, NULL);

// How it stands.
struct standing {
	uint64_t time_ticks; // guest time, in ticks of its TSC
	uint64_t event_sequence;
	uint32_t events; // sections of that name
	uint32_t requests, request_argument, panic_argument, reports;
	uint32_t resets, panics, end_status;
	uint8_t state, end;
	bool receive_pending;
	uint8_t reserved[5];
};

#define REQUESTS                                                                                   \
	((uint32_t)(BIT(DEVICE_REQUEST_RESET) | BIT(DEVICE_REQUEST_POWER_OFF) |                    \
		BIT(DEVICE_REQUEST_EXIT) | BIT(DEVICE_REQUEST_PANICKED) |                          \
		BIT(DEVICE_REQUEST_INIT) | BIT(DEVICE_REQUEST_SETTLE) |                           \
		BIT(VM_REQUEST_MAP) | BIT(VM_REQUEST_FAILED)))

static const char *standing_check(const void *instance)
{
	const struct standing *standing = instance;

	if ((standing->requests & ~REQUESTS) != 0)
		return "requests: no such request";
	if ((standing->state == VM_ENDED) != (standing->end != VM_END_NONE))
		return "end: not the end of an ended machine";
	return NULL;
}

static const struct state_field standing_fields[] = {
	STATE_VALUE(struct standing, time_ticks, 0, BIT(60)), // decades; sums do not overflow
	STATE_VALUE(struct standing, event_sequence, 0, INT64_MAX),
	STATE_VALUE(struct standing, events, 0, EVENT_FIFO_MAX),
	STATE_ANY(struct standing, requests),
	STATE_ANY(struct standing, request_argument),
	STATE_ANY(struct standing, panic_argument),
	STATE_VALUE(struct standing, reports, 0, VM_REPORTS_MAX),
	STATE_ANY(struct standing, resets),
	STATE_ANY(struct standing, panics),
	STATE_ANY(struct standing, end_status),
	STATE_VALUE(struct standing, state, VM_RUNNING, VM_ENDED),
	STATE_VALUE(struct standing, end, 0, VM_END_FAILED),
	STATE_BOOL(struct standing, receive_pending),
	STATE_PAD(struct standing, reserved),
};
static const struct state_table standing_table =
	STATE_TABLE("state", 2, struct standing, standing_fields, standing_check);

// Of a device, beside its own state.
struct wires {
	uint32_t bottom_halves;
	uint32_t levels; // a bit an output
};

static const struct state_field wires_fields[] = {
	STATE_ANY(struct wires, bottom_halves),
	STATE_ANY(struct wires, levels),
};
static const struct state_table wires_table =
	STATE_TABLE("wires", 1, struct wires, wires_fields, NULL);

static void machine_describe(const struct vm *vm, bool memory, struct kept *machine)
{
	memset(machine, 0, sizeof(*machine));
	memcpy(machine->name, vm->name, strnlen(vm->name, VM_NAME_MAX - 1));
	machine->memory_bytes = vm->config.memory_bytes;
	machine->firmware_bytes = vm->config.firmware_bytes;
	machine->kernel_bytes = vm->config.kernel_bytes;
	machine->initrd_bytes = vm->config.initrd_bytes;
	machine->tsc_hz = vm->tsc_hz;
	machine->host_tsc_hz = clock_calibration()->tsc_hz;
	machine->vcpus = vm->vcpu_count;
	machine->devices = vm->device_count;
	machine->x2apic = vm->config.x2apic;
	machine->debugcon = vm->config.debugcon;
	machine->debug_exit = vm->config.debug_exit;
	for (uint32_t i = 0; i < vm->config.disk_count; i++)
		machine->disk_bytes[i] = vm->media[i].bytes;
	machine->flash_bytes = vm->config.flash.bytes;
	machine->has_memory = memory;
	machine->has_position = vm->landing != NULL;
	for (uint32_t i = 0; i < vm->device_count; i++) {
		const char *name = vm->devices[i].device->model->name;

		ASSERT(strlen(name) < MODEL_NAME_MAX);
		memcpy(machine->models[i], name, strlen(name));
	}
}

static void standing_get(const struct vm *vm, struct standing *standing)
{
	memset(standing, 0, sizeof(*standing));
	standing->time_ticks = vm->paused_tsc;
	standing->event_sequence = vm->queue.sequence;
	standing->events = vm->queue.fifo_count;
	standing->requests = vm->requests;
	standing->request_argument = vm->request_argument;
	standing->panic_argument = vm->panic_argument;
	standing->reports = vm->reports;
	standing->resets = vm->resets;
	standing->panics = vm->panics;
	standing->end_status = vm->end_status;
	standing->state = vm->state != VM_CREATED ? vm->state : VM_PAUSED;
	standing->end = vm->end;
	standing->receive_pending = vm->receive_pending;
}

static void standing_set(struct vm *vm, const struct standing *standing)
{
	vm->paused_tsc = standing->time_ticks;
	vm->queue.sequence = standing->event_sequence;
	vm->requests = standing->requests;
	vm->request_argument = standing->request_argument;
	vm->panic_argument = standing->panic_argument;
	vm->reports = standing->reports;
	vm->resets = standing->resets;
	vm->panics = standing->panics;
	vm->end_status = standing->end_status;
	vm->state = standing->state;
	vm->end = standing->end;
	vm->receive_pending = standing->receive_pending;
}

static void device_write(const struct vm_device *slot, struct snapshot_stream *stream)
{
	const struct device_model *model = slot->device->model;
	struct wires wires = {.bottom_halves = slot->bottom_halves};

	for (unsigned i = 0; i < model->outputs; i++)
		wires.levels |= (uint32_t)slot->wires[i].level << i;
	snapshot_write_table(stream, model->name, slot->device->id, model->state, slot->device);
	snapshot_write_table(stream, wires_table.name, slot->device->id, &wires_table, &wires);
	backend_write(slot, stream);
	packet_sent_write(slot, stream);
}

enum status snapshot_write(struct vm *vm, bool memory, struct snapshot_stream *stream,
	struct snapshot_cost *cost)
{
	uint64_t start = rdtsc();
	struct kept machine;
	struct standing standing;

	ASSERT(vm->holds > 0 && vm->time_stands && vm->bus.effect_count == 0);
	machine_describe(vm, memory, &machine);
	standing_get(vm, &standing);
	snapshot_write_begin(stream);
	snapshot_write_table(stream, machine_table.name, 0, &machine_table, &machine);
	snapshot_write_table(stream, standing_table.name, 0, &standing_table, &standing);
	snapshot_position_write(vm, stream);
	for (uint32_t i = 0; i < vm->vcpu_count; i++)
		snapshot_vcpu_write(vm->vcpus[i], stream);
	for (uint32_t i = 0; i < vm->device_count; i++)
		device_write(&vm->devices[i], stream);
	snapshot_events_write(vm, stream);
	cost->ticks = rdtsc() - start;
	start = rdtsc();
	if (memory) {
		snapshot_media_write(vm, stream);
		snapshot_ram_write(vm, stream);
	}
	cost->memory_ticks = rdtsc() - start;
	return snapshot_write_end(stream);
}

// Words are compared as words: bytes of a name would tell nobody anything.
static enum status machine_read(struct vm *vm, bool memory, struct snapshot_stream *stream)
{
	struct kept mine, theirs;
	const struct state_field *field;
	struct state_error error;
	uint32_t index = 0;
	enum status status;

	machine_describe(vm, memory, &mine);
	memset(&theirs, 0, sizeof(theirs));
	status = snapshot_read_table(stream, machine_table.name, 0, &machine_table, &theirs);
	if (status != STATUS_OK)
		return status;
	theirs.name[VM_NAME_MAX - 1] = '\0';
	if (strcmp((const char *)mine.name, (const char *)theirs.name) != 0)
		return snapshot_fail(stream, STATUS_INVALID,
			"machine: name: it is of \"%s\", not of \"%s\"", (const char *)theirs.name,
			(const char *)mine.name);
	if (memory && snapshot_media_resize(vm, mine.disk_bytes, theirs.disk_bytes, stream) !=
		STATUS_OK)
		return STATUS_NO_MEMORY;
	field = state_first_difference(&machine_table, &mine, &theirs, &index);
	if (field == NULL)
		return STATUS_OK;
	error = (struct state_error){.field = field->name, .index = index,
		.value = state_field_get(field, &theirs, index),
		.min = state_field_get(field, &mine, index), .reason = "not this machine's"};
	error.max = error.min;
	return snapshot_refuse(stream, machine_table.name, 0, &error);
}

static enum status device_read(struct vm_device *slot, struct snapshot_stream *stream)
{
	struct device *device = slot->device;
	const struct device_model *model = device->model;
	struct wires wires = {0, 0};
	enum status status =
		snapshot_read_table(stream, model->name, device->id, model->state, device);

	if (status == STATUS_OK)
		status = snapshot_read_table(stream, wires_table.name, device->id, &wires_table,
			&wires);
	if (status != STATUS_OK)
		return status;
	if ((uint64_t)wires.levels >> model->outputs != 0 ||
		wires.bottom_halves >> model->bottom_halves != 0)
		return snapshot_fail(stream, STATUS_INVALID,
			"%s %u: %s has no such output or bottom half", wires_table.name, device->id,
			model->name);
	slot->bottom_halves = wires.bottom_halves;
	for (unsigned i = 0; i < model->outputs; i++)
		slot->wires[i].level = (wires.levels >> i & 1) != 0;
	status = backend_read(slot, stream);
	return status == STATUS_OK ? packet_sent_read(slot, stream) : status;
}

// Timers are armed again and outputs driven again: to what they were, or something does not fit.
static enum status devices_loaded(struct vm *vm, struct snapshot_stream *stream)
{
	struct guest_time now = vm_now(vm);
	const struct device *other = NULL;

	for (uint32_t i = 0; i < vm->vcpu_count; i++) {
		struct device *lapic = vm->vcpus[i]->lapic;

		lapic->model->loaded(lapic, now);
		if (vm->vcpus[i]->message_count != 0)
			return snapshot_fail(stream, STATUS_INVALID, "lapic %u: not at rest", i);
	}
	bus_enter(&vm->bus);
	for (uint32_t i = 0; i < vm->device_count && other == NULL; i++) {
		struct device *device = vm->devices[i].device;

		if (device->model->loaded != NULL)
			device->model->loaded(device, now);
		other = bus_effects_map(vm);
	}
	slots_loaded(vm);
	bus_unlock(&vm->bus);
	if (other != NULL)
		return snapshot_fail(stream, STATUS_INVALID,
			"%s %u: levels: not those that %s drives", wires_table.name, other->id,
			other->model->name);
	return STATUS_OK;
}

enum status snapshot_read(struct vm *twin, bool memory, struct snapshot_stream *stream,
	struct snapshot_cost *cost)
{
	uint64_t start = rdtsc();
	struct standing standing;
	enum status status;

	memset(&standing, 0, sizeof(standing));
	snapshot_rewind(stream);
	status = machine_read(twin, memory, stream);
	if (status == STATUS_OK)
		status = snapshot_read_table(stream, standing_table.name, 0, &standing_table,
			&standing);
	if (status == STATUS_OK)
		standing_set(twin, &standing);
	if (status == STATUS_OK)
		status = snapshot_position_read(twin, stream);
	for (uint32_t i = 0; i < twin->vcpu_count && status == STATUS_OK; i++)
		status = snapshot_vcpu_read(twin->vcpus[i], stream);
	for (uint32_t i = 0; i < twin->device_count && status == STATUS_OK; i++)
		status = device_read(&twin->devices[i], stream);
	if (status == STATUS_OK)
		status = snapshot_events_read(twin, standing.events, stream);
	if (status == STATUS_OK)
		status = devices_loaded(twin, stream);
	cost->ticks = rdtsc() - start;
	start = rdtsc();
	// A twin that shares the machine's memory finds it mapped as it was.
	if (memory && status == STATUS_OK)
		memory_map_update(twin);
	if (memory && status == STATUS_OK)
		status = snapshot_media_read(twin, stream);
	if (memory && status == STATUS_OK)
		status = snapshot_ram_read(twin, stream);
	cost->memory_ticks = rdtsc() - start;
	return status == STATUS_OK ? snapshot_section_expect(stream, "end", 0) : status;
}

const struct state_table *snapshot_table(const struct vm *vm,
	const struct snapshot_section *section)
{
	const struct state_table *const tables[] = {&machine_table, &standing_table, &wires_table,
		&snapshot_event_table, &snapshot_sent_table, &snapshot_run_table,
		&snapshot_position_table, &vcpu_state_table};

	for (unsigned i = 0; i < ARRAY_COUNT(tables); i++)
		if (strcmp(section->name, tables[i]->name) == 0)
			return tables[i];
	if (snapshot_request_table(section->name) != NULL)
		return snapshot_request_table(section->name);
	if (strcmp(section->name, "lapic") == 0)
		return vm->vcpus[0]->lapic->model->state;
	for (uint32_t i = 0; i < vm->device_count; i++)
		if (strcmp(section->name, vm->devices[i].device->model->name) == 0)
			return vm->devices[i].device->model->state;
	return NULL;
}

enum status snapshot_save(struct vm *vm, struct snapshot_stream *stream,
	struct snapshot_cost *cost, struct guest_time *time)
{
	enum status status;

	if (vm->state == VM_CREATED)
		return STATUS_FAIL(STATUS_REFUSED);
	if (vm_disk_not_kept(&vm->config) != NULL)
		return STATUS_FAIL(STATUS_UNSUPPORTED);
	vm_hold(vm);
	*time = vm_now(vm);
	status = snapshot_write(vm, true, stream, cost);
	vm_release(vm);
	if (status != STATUS_OK)
		snapshot_stream_free(stream);
	return status;
}

// What its memory and its disks take of the host's.
static uint64_t blocks_bytes(const struct vm *vm)
{
	uint64_t bytes = vm->config.memory_bytes +
		vm->device_memory.block_count * LARGE_PAGE_BYTES;

	for (uint32_t i = 0; i < vm->config.disk_count; i++)
		bytes += medium_memory_bytes(&vm->media[i]);
	return bytes;
}

// Of a machine whose other runs need not be repeated, what its guest has spoiled is found now.
static void verify(void *argument)
{
	struct vm *vm = argument;
	struct guest_time now = vm_now(vm);

	bus_enter(&vm->bus);
	for (uint32_t i = 0; i < vm->device_count; i++)
		if (vm->devices[i].device->model->verify != NULL)
			vm->devices[i].device->model->verify(vm->devices[i].device, now);
	bus_leave(vm, now);
}

static enum status load_held(struct vm *vm, struct snapshot_stream *stream,
	struct snapshot_cost *cost)
{
	uint64_t needed = blocks_bytes(vm) / MIB;
	uint64_t free_mib = mem_count().free_blocks * LARGE_PAGE_BYTES / MIB;
	struct vm *twin;
	enum status status;

	if (needed > free_mib || twin_create(vm, true, &twin) != STATUS_OK)
		return snapshot_fail(stream, STATUS_NO_MEMORY,
			"memory: %llu MiB needed beside the machine's own, %llu MiB free",
			(unsigned long long)needed, (unsigned long long)free_mib);
	status = snapshot_read(twin, true, stream, cost);
	if (status == STATUS_OK) {
		bool runs = vm->state == VM_RUNNING && twin->state != VM_ENDED;
		uint8_t stands = twin->state == VM_ENDED ? VM_ENDED : VM_PAUSED;

		twin_swap(vm, twin);
		flash_sync(vm);
		vm->state = runs ? VM_RUNNING : stands;
		if (!outside_is_bound(vm))
			smp_call(vm_home(vm), verify, vm);
	}
	twin_destroy(twin, true);
	return status;
}

enum status snapshot_load(struct vm *vm, struct snapshot_stream *stream, struct snapshot_cost *cost)
{
	enum status status = snapshot_stream_verify(stream);

	if (status != STATUS_OK)
		return status;
	vm_hold(vm);
	status = load_held(vm, stream, cost);
	vm_release(vm);
	return status;
}

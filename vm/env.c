// SPDX-License-Identifier: BSD-2-Clause
#include "vm/env.h"

#include "kernel/base/assert.h"
#include "kernel/console.h"
#include "vm/dataplane.h"
#include "vm/vm.h"

static struct vm_device *slot_of(struct device *device)
{
	return device->owner;
}

static void env_set_line(struct device *device, unsigned output, bool level)
{
	struct vm_device *slot = slot_of(device);
	struct wire *wire;

	ASSERT(output < device->model->outputs);
	wire = &slot->wires[output];
	if (wire->level == level)
		return;
	wire->level = level;
	if (wire->sinks[0].kind != WIRE_NOWHERE)
		*bus_effect_new(&slot->vm->bus) = (struct bus_effect){.device = device,
			.kind = BUS_EFFECT_LINE, .number = (uint8_t)output, .level = level};
}

// Sampled inputs are few, and so are reads of them.
static bool env_sample(struct device *device, unsigned input)
{
	const struct vm *vm = slot_of(device)->vm;

	return bus_sample(vm, device, input, vm_now(vm));
}

static void env_send_message(struct device *device, const struct interrupt_message *message)
{
	*bus_effect_new(&slot_of(device)->vm->bus) = (struct bus_effect){.device = device,
		.kind = BUS_EFFECT_MESSAGE, .message = *message};
}

static enum status env_dma_read(struct device *device, struct gpa from, void *to, size_t bytes)
{
	return guest_ram_read(&slot_of(device)->vm->ram, from, to, bytes);
}

static enum status env_dma_write(struct device *device, struct gpa to, const void *from,
	size_t bytes)
{
	return guest_ram_write(&slot_of(device)->vm->ram, to, from, bytes);
}

// A mapping lies within one page's neighbourhood: RAM is contiguous in blocks of 2 MiB.
static enum status env_dma_map(struct device *device, struct gpa at, size_t bytes, bool writable,
	struct device_dma_map *map)
{
	const struct guest_ram *ram = &slot_of(device)->vm->ram;
	uint64_t limit = at.v < GUEST_ROM_END ? PAGE_BYTES : LARGE_PAGE_BYTES;
	uint64_t left = limit - at.v % limit;

	if (!guest_ram_is_plain(ram, at))
		return STATUS_FAIL(STATUS_RANGE);
	*map = (struct device_dma_map){
		.address = ram->blocks[at.v / LARGE_PAGE_BYTES] + at.v % LARGE_PAGE_BYTES,
		.gpa = at,
		.bytes = bytes < left ? bytes : left,
		.writable = writable,
	};
	return STATUS_OK;
}

static void env_dma_unmap(struct device *device, struct device_dma_map *map, size_t written)
{
	ASSERT(written <= map->bytes && (map->writable || written == 0));
	if (written > 0)
		guest_ram_mark_written(&slot_of(device)->vm->ram, map->gpa);
	map->address = NULL;
}

// Of one block.
static void env_dma_written(struct device *device, const struct device_dma_map *map,
	uint64_t offset, size_t bytes)
{
	(void)bytes;
	guest_ram_mark_written(&slot_of(device)->vm->ram, (struct gpa){map->gpa.v + offset});
}

static void env_arm_timer(struct device *device, unsigned timer, struct guest_time deadline)
{
	struct vm_device *slot = slot_of(device);

	ASSERT(timer < device->model->timers);
	event_timer_arm(&slot->vm->queue, &slot->timers[timer], deadline);
	if (slot->vm->queue.next_deadline.ns == deadline.ns) // it is the nearest
		vm_events_changed(slot->vm);
}

static void env_schedule_bottom_half(struct device *device, unsigned bottom_half)
{
	struct vm_device *slot = slot_of(device);
	const struct event event = {.kind = EVENT_BOTTOM_HALF, .device = device->id,
		.index = (uint16_t)bottom_half};
	enum status status;

	ASSERT(bottom_half < device->model->bottom_halves);
	if ((slot->bottom_halves & BIT(bottom_half)) != 0)
		return;
	slot->bottom_halves |= (uint32_t)BIT(bottom_half);
	// Others leave room for every bottom half: EVENT_RESERVE.
	status = event_post(&slot->vm->queue, &event);
	ASSERT(status == STATUS_OK);
	vm_events_changed(slot->vm);
}

static enum status env_submit(struct device *device, unsigned port, const struct device_io *io)
{
	return backend_submit(slot_of(device), port, io);
}

static void env_take_data(struct device *device, unsigned port, void *to, size_t bytes)
{
	backend_take_data(slot_of(device), port, to, bytes);
}

static void env_drop(struct device *device, unsigned port, uint64_t request)
{
	backend_drop(slot_of(device), port, request);
}

static void env_output(struct device *device, unsigned port, const uint8_t *bytes, size_t count)
{
	const struct vm_config *config = &slot_of(device)->vm->config;

	(void)port;
	if (config->output != NULL)
		config->output(config->owner, bytes, count);
}

// The same.
static void env_send(struct device *device, unsigned port, const struct device_frame *frame)
{
	if (port == 0 && slot_of(device)->nic != NULL)
		packet_send(slot_of(device), frame);
}

static void env_map_region(struct device *device, unsigned region, enum device_space space,
	uint64_t base, uint64_t bytes)
{
	*bus_effect_new(&slot_of(device)->vm->bus) = (struct bus_effect){.device = device,
		.kind = BUS_EFFECT_MAP, .number = (uint8_t)region, .space = (uint8_t)space,
		.map = {base, bytes}};
}

static void env_unmap_region(struct device *device, unsigned region)
{
	*bus_effect_new(&slot_of(device)->vm->bus) = (struct bus_effect){.device = device,
		.kind = BUS_EFFECT_UNMAP, .number = (uint8_t)region};
}

static void env_memory_read(const struct device *device, uint64_t offset, void *to, size_t bytes)
{
	const struct vm_device *slot = device->owner;

	device_memory_get(&slot->vm->device_memory, slot->memory_offset + offset, to, bytes);
}

static void env_memory_write(struct device *device, uint64_t offset, const void *from,
	size_t bytes)
{
	const struct vm_device *slot = slot_of(device);

	device_memory_put(&slot->vm->device_memory, slot->memory_offset + offset, from, bytes);
}

static void env_request(struct device *device, enum device_request request, uint32_t argument)
{
	vm_request(slot_of(device)->vm, request, argument);
}

// NULL: nobody serves the device's queues but itself.
static struct dataplane *plane_of(const struct device *device)
{
	const struct vm_device *slot = device->owner;

	return slot->disk != 0 ? slot->vm->planes[slot->disk - 1] : NULL;
}

static enum status env_give_queues(struct device *device)
{
	struct dataplane *plane = plane_of(device);

	return plane != NULL ? dataplane_give(plane) : STATUS_UNSUPPORTED;
}

static void env_take_queues(struct device *device)
{
	if (plane_of(device) != NULL)
		dataplane_take(plane_of(device));
}

static void env_kick_queues(struct device *device)
{
	dataplane_kick(plane_of(device));
}

static void env_report(struct device *device, const char *what)
{
	struct vm *vm = slot_of(device)->vm;

	if (vm->reports >= VM_REPORTS_MAX)
		return;
	vm->reports++;
	log_warn("%s: %s %u: %s%s", vm->name, device->model->name, device->id, what,
		vm->reports == VM_REPORTS_MAX ? "; what else its guest does is not told" : "");
}

const struct device_env vm_env = {
	.set_line = env_set_line,
	.sample = env_sample,
	.send_message = env_send_message,
	.dma_read = env_dma_read,
	.dma_write = env_dma_write,
	.dma_map = env_dma_map,
	.dma_unmap = env_dma_unmap,
	.dma_written = env_dma_written,
	.arm_timer = env_arm_timer,
	.schedule_bottom_half = env_schedule_bottom_half,
	.submit = env_submit,
	.take_data = env_take_data,
	.drop = env_drop,
	.output = env_output,
	.send = env_send,
	.map_region = env_map_region,
	.unmap_region = env_unmap_region,
	.memory_read = env_memory_read,
	.memory_write = env_memory_write,
	.request = env_request,
	.give_queues = env_give_queues,
	.take_queues = env_take_queues,
	.kick_queues = env_kick_queues,
	.report = env_report,
};

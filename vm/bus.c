// SPDX-License-Identifier: BSD-2-Clause
#include "vm/bus.h"

#include "emul/pci_host.h"
#include "kernel/x86.h"
#include "vm/input.h"
#include "vm/local_apic.h"
#include "vm/setting.h"
#include "vm/slot.h"

// Stimuli are short: whoever has the lock gives it back soon.
void bus_enter_wait(struct bus *bus)
{
	struct cpu *nobody;

	ASSERT(__atomic_load_n(&bus->owner, __ATOMIC_RELAXED) != cpu_self());
	do {
		while (__atomic_load_n(&bus->owner, __ATOMIC_RELAXED) != NULL)
			cpu_relax();
		nobody = NULL;
	} while (!__atomic_compare_exchange_n(&bus->owner, &nobody, cpu_self(), false,
		__ATOMIC_ACQUIRE, __ATOMIC_RELAXED));
}

// `except`: an output that does not count; NULL: all do.
static bool device_drives(const struct vm_device *owner, const struct device *device,
	unsigned input, const struct wire *except, struct guest_time now)
{
	const struct device *source = owner->device;

	for (unsigned output = 0; output < source->model->outputs; output++) {
		const struct wire *wire = &owner->wires[output];

		if (wire == except)
			continue;
		for (unsigned n = 0; n < BUS_SINKS_MAX && wire->sinks[n].kind != WIRE_NOWHERE; n++)
			if (wire->sinks[n].kind == WIRE_DEVICE &&
				wire->sinks[n].device == device && wire->sinks[n].input == input &&
				(source->model->level != NULL && !owner->vm->bus.resets
					? source->model->level(source, now, output)
					: wire->level))
				return true;
	}
	return false;
}

bool bus_sample(const struct vm *vm, const struct device *device, unsigned input,
	struct guest_time now)
{
	for (uint32_t i = 0; i < vm->device_count; i++)
		if (device_drives(&vm->devices[i], device, input, NULL, now))
			return true;
	return false;
}

// The same of an input that several lead to, but for the output that has fallen: it may be high
// again, and an edge reaches such an input too.
static bool others_drive(const struct vm *vm, const struct wire_sink *sink,
	const struct wire *fallen, struct guest_time now)
{
	for (uint32_t i = 0; i < vm->device_count; i++)
		if (vm->devices[i].shares_lines &&
			device_drives(&vm->devices[i], sink->device, sink->input, fallen, now))
			return true;
	return false;
}

static void line_carry_out(struct vm *vm, const struct bus_effect *effect, struct guest_time now)
{
	const struct vm_device *owner = effect->device->owner;
	const struct wire *wire = &owner->wires[effect->number];

	for (unsigned i = 0; i < BUS_SINKS_MAX; i++) {
		const struct wire_sink *sink = &wire->sinks[i];
		bool level;

		switch (sink->kind) {
		case WIRE_NOWHERE:
			return;
		case WIRE_DEVICE:
			level = effect->level;
			if (unlikely(sink->shared) && !level)
				level = others_drive(vm, sink, wire, now);
			sink->device->model->line(sink->device, now, sink->input, level);
			break;
		case WIRE_LOCAL_APIC:
			local_apic_lint0(vm->vcpus[0], effect->level, now);
			break;
		case WIRE_MAP:
			vm_request(vm, VM_REQUEST_MAP, 0);
			break;
		case WIRE_SLOT:
			slot_power(sink->device->owner, effect->level, now);
			break;
		}
	}
}

const struct device *bus_effects_map(struct vm *vm)
{
	struct bus *bus = &vm->bus;
	const struct device *other = NULL;

	for (; bus->effect_count > 0; bus->effect_count--) {
		const struct bus_effect effect = bus->effects[bus->effect_first];

		bus->effect_first = (bus->effect_first + 1) % BUS_EFFECTS_MAX;
		if (effect.kind == BUS_EFFECT_MAP)
			bus_move(bus, &effect);
		else if (effect.kind == BUS_EFFECT_UNMAP)
			bus_unmap(bus, effect.device, effect.number);
		else if (other == NULL)
			other = effect.device;
	}
	return other;
}

// Until the request is carried out, accesses to what has moved exit.
static void regions_changed(struct vm *vm)
{
	if (!device_memory_is_placed(vm))
		vm_request(vm, VM_REQUEST_MAP, 0);
}

void bus_effects_carry_out(struct vm *vm, struct guest_time now)
{
	struct bus *bus = &vm->bus;

	while (bus->effect_count > 0) {
		struct bus_effect effect = bus->effects[bus->effect_first];

		bus->effect_first = (bus->effect_first + 1) % BUS_EFFECTS_MAX;
		bus->effect_count--;
		switch (effect.kind) {
		case BUS_EFFECT_LINE:
			line_carry_out(vm, &effect, now);
			break;
		case BUS_EFFECT_MESSAGE:
			interrupt_route(vm, NULL, &effect.message, now);
			break;
		case BUS_EFFECT_MAP:
			bus_move(bus, &effect);
			regions_changed(vm);
			break;
		case BUS_EFFECT_UNMAP:
			bus_unmap(bus, effect.device, effect.number);
			regions_changed(vm);
			break;
		case BUS_EFFECT_COMPLETION:
			bus->completes = true;
			backend_complete(effect.completion.slot, effect.completion.name, now);
			bus->completes = false;
			break;
		}
	}
}

void bus_leave(struct vm *vm, struct guest_time now)
{
	if (unlikely(vm->bus.effect_count != 0))
		bus_effects_carry_out(vm, now);
	bus_unlock(&vm->bus);
}

// The region of an access, as it is under the device lock: another vcpu may move it before. Those
// of ports, which are most, are found by a table.
static always_inline const struct bus_region *region_find(const struct bus *bus,
	enum device_space space, uint64_t at)
{
	if (space == DEVICE_SPACE_PORT)
		return at < BUS_PORTS && bus->ports[at] != 0 ? &bus->regions[bus->ports[at]] : NULL;
	return bus_region_find(bus, space, at);
}

static always_inline bool fits(const struct bus_region *region, uint64_t at, unsigned bytes)
{
	return bytes <= region->max_bytes && at - region->base + bytes <= region->bytes;
}

static always_inline uint64_t read_whole(const struct bus_region *region, uint64_t at,
	unsigned bytes, struct guest_time now)
{
	struct device *device = region->device;

	if (unlikely(device->model->read == NULL))
		return UINT64_MAX;
	return device->model->read(device, now, region->region, at - region->base, bytes);
}

static always_inline void write_whole(const struct bus_region *region, uint64_t at, unsigned bytes,
	uint64_t value, struct guest_time now)
{
	struct device *device = region->device;

	if (likely(device->model->write != NULL))
		device->model->write(device, now, region->region, at - region->base, bytes, value);
}

// Through the window, where it is one: to configuration space, in which *at is then. NULL: nobody.
static const struct bus_region *behind_window(const struct bus *bus,
	const struct bus_region *region, uint64_t *at)
{
	uint64_t target;

	if (region == NULL || region->max_bytes != 0 || region->memory)
		return region;
	target = pci_host_decode(region->device, region->region, *at - region->base);
	if (target == PCI_HOST_ECAM_NOWHERE)
		return NULL;
	*at = target;
	return bus_region_find(bus, DEVICE_SPACE_PCI, target);
}

// A register of configuration space is written as one: its bytes apart would be other values on the
// way. Accesses that cross a doubleword have no meaning there.
static bool is_one_register(const struct bus_region *window, uint64_t at, unsigned bytes)
{
	return window != NULL && window->max_bytes == 0 && !window->memory &&
		at - window->base + bytes <= window->bytes && at % 4 + bytes <= 4;
}

// A device's memory where guests do not have it in their memory map.
static bool is_memory(const struct bus_region *region, uint64_t at, unsigned bytes)
{
	return region != NULL && region->memory && at - region->base + bytes <= region->bytes;
}

static uint64_t access_split_read(struct vm *vm, enum device_space space, uint64_t at,
	unsigned bytes, struct guest_time now)
{
	const struct bus_region *first = region_find(&vm->bus, space, at);
	unsigned part = is_one_register(first, at, bytes) ? bytes : 1;
	uint64_t value = 0;

	if (is_memory(first, at, bytes)) {
		device_memory_get(&vm->device_memory, at - first->base, &value, bytes);
		return value;
	}
	for (unsigned i = 0; i < bytes; i += part) {
		uint64_t to = at + i, read = UINT64_MAX;
		const struct bus_region *region =
			behind_window(&vm->bus, region_find(&vm->bus, space, to), &to);

		if (region != NULL && fits(region, to, part))
			read = read_whole(region, to, part, now);
		bus_effects_carry_out(vm, now);
		value |= (read & (BIT(8 * part) - 1)) << 8 * i;
	}
	return value;
}

static void access_split_write(struct vm *vm, enum device_space space, uint64_t at, unsigned bytes,
	uint64_t value, struct guest_time now)
{
	const struct bus_region *first = region_find(&vm->bus, space, at);
	unsigned part = is_one_register(first, at, bytes) ? bytes : 1;

	if (is_memory(first, at, bytes)) {
		device_memory_put(&vm->device_memory, at - first->base, &value, bytes);
		return;
	}
	for (unsigned i = 0; i < bytes; i += part) {
		uint64_t to = at + i, written = value >> 8 * i;
		const struct bus_region *region =
			behind_window(&vm->bus, region_find(&vm->bus, space, to), &to);

		if (region != NULL && fits(region, to, part))
			write_whole(region, to, part, written & (BIT(8 * part) - 1), now);
		bus_effects_carry_out(vm, now);
	}
}

static always_inline uint64_t access_read(struct vm *vm, enum device_space space, uint64_t at,
	unsigned bytes, struct guest_time now)
{
	const struct bus_region *region;
	uint64_t value;

	bus_enter(&vm->bus);
	region = region_find(&vm->bus, space, at);
	if (likely(region != NULL && fits(region, at, bytes)))
		value = read_whole(region, at, bytes, now);
	else
		value = access_split_read(vm, space, at, bytes, now);
	bus_leave(vm, now);
	return value;
}

static always_inline void access_write(struct vm *vm, enum device_space space, uint64_t at,
	unsigned bytes, uint64_t value, struct guest_time now)
{
	const struct bus_region *region;

	bus_enter(&vm->bus);
	region = region_find(&vm->bus, space, at);
	if (likely(region != NULL && fits(region, at, bytes)))
		write_whole(region, at, bytes, value, now);
	else
		access_split_write(vm, space, at, bytes, value, now);
	bus_leave(vm, now);
}

void bus_pci_write(struct vm *vm, uint64_t at, unsigned bytes, uint32_t value,
	struct guest_time now)
{
	const struct bus_region *region = bus_region_find(&vm->bus, DEVICE_SPACE_PCI, at);

	ASSERT(region != NULL && fits(region, at, bytes));
	write_whole(region, at, bytes, value, now);
	bus_effects_carry_out(vm, now);
}

// An access that passes port 0xffff finds nobody there.
uint64_t bus_port_read(struct vm *vm, uint16_t port, unsigned bytes, struct guest_time now)
{
	return access_read(vm, DEVICE_SPACE_PORT, port, bytes, now);
}

void bus_port_write(struct vm *vm, uint16_t port, unsigned bytes, uint64_t value,
	struct guest_time now)
{
	access_write(vm, DEVICE_SPACE_PORT, port, bytes, value, now);
}

uint64_t bus_mmio_read(struct vm *vm, struct gpa at, unsigned bytes, struct guest_time now)
{
	return access_read(vm, DEVICE_SPACE_MMIO, at.v, bytes, now);
}

void bus_mmio_write(struct vm *vm, struct gpa at, unsigned bytes, uint64_t value,
	struct guest_time now)
{
	access_write(vm, DEVICE_SPACE_MMIO, at.v, bytes, value, now);
}

static void machine_event(struct vm *vm, const struct event *event, struct guest_time now)
{
	if (event->index == VM_EVENT_SETTING)
		setting_deliver(vm, event, now);
	else if (event->index == VM_EVENT_NMI)
		vm_vcpu_signal(vm->vcpus[event->value], VM_SIGNAL_NMI);
	else
		vm_request(vm, event->index, (uint32_t)event->value);
}

void bus_deliver(void *owner, const struct event *event, struct guest_time now)
{
	struct vm *vm = owner;
	struct vm_device *target;
	struct device *device;

	if (event->kind == EVENT_MACHINE) {
		machine_event(vm, event, now);
		bus_effects_carry_out(vm, now);
		return;
	}
	if (event->kind == EVENT_KEY) {
		input_deliver(vm, event, now);
		bus_effects_carry_out(vm, now);
		return;
	}
	ASSERT(event->device < vm->device_count);
	target = &vm->devices[event->device];
	device = target->device;
	switch (event->kind) {
	case EVENT_TIMER:
		device->model->timer(device, now, event->index);
		break;
	case EVENT_BOTTOM_HALF:
		target->bottom_halves &= ~(uint32_t)BIT(event->index);
		device->model->bottom_half(device, now, event->index);
		break;
	case EVENT_CHARACTERS:
		vm->receive_pending = false;
		device->model->receive(device, now, event->index, event->payload,
			event->payload_bytes);
		break;
	case EVENT_COMPLETION:
		backend_deliver(target, event, now);
		break;
	case EVENT_PACKET:
		packet_deliver(target, event, now);
		break;
	case EVENT_LINE:
		device->model->line(device, now, event->index, event->value != 0);
		break;
	default:
		ASSERT_UNREACHABLE("an event that no device takes");
	}
	bus_effects_carry_out(vm, now);
}

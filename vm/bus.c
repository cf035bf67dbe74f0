// SPDX-License-Identifier: BSD-2-Clause
#include "vm/bus.h"

#include "kernel/x86.h"
#include "vm/local_apic.h"

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

void bus_effect_add(struct vm *vm, const struct bus_effect *effect)
{
	struct bus *bus = &vm->bus;

	// Handlers have bounded numbers of effects; no guest can reach this.
	ASSERT(bus->owner != NULL && bus->effect_count < BUS_EFFECTS_MAX);
	bus->effects[(bus->effect_first + bus->effect_count++) % BUS_EFFECTS_MAX] = *effect;
}

static void line_carry_out(struct vm *vm, const struct bus_effect *effect, struct guest_time now)
{
	const struct vm_device *owner = effect->device->owner;
	const struct wire *wire = &owner->wires[effect->number];

	for (unsigned i = 0; i < BUS_SINKS_MAX; i++) {
		const struct wire_sink *sink = &wire->sinks[i];

		switch (sink->kind) {
		case WIRE_NOWHERE:
			return;
		case WIRE_DEVICE:
			sink->device->model->line(sink->device, now, sink->input, effect->level);
			break;
		case WIRE_LOCAL_APIC:
			local_apic_lint0(vm->vcpus[0], effect->level, now);
			break;
		}
	}
}

// A region that moves keeps its widest access; one that appears takes any.
static unsigned region_max_bytes(const struct bus *bus, const struct bus_effect *effect)
{
	for (unsigned i = 1; i < BUS_REGIONS_MAX; i++)
		if (bus->regions[i].device == effect->device &&
			bus->regions[i].region == effect->number)
			return bus->regions[i].max_bytes;
	return 8;
}

const struct device *bus_effects_map(struct vm *vm)
{
	struct bus *bus = &vm->bus;
	const struct device *other = NULL;

	for (; bus->effect_count > 0; bus->effect_count--) {
		const struct bus_effect effect = bus->effects[bus->effect_first];

		bus->effect_first = (bus->effect_first + 1) % BUS_EFFECTS_MAX;
		if (effect.kind == BUS_EFFECT_MAP)
			bus_map(vm, effect.device, effect.number, effect.space, effect.map.base,
				effect.map.bytes, region_max_bytes(bus, &effect));
		else if (effect.kind == BUS_EFFECT_UNMAP)
			bus_unmap(vm, effect.device, effect.number);
		else if (other == NULL)
			other = effect.device;
	}
	return other;
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
			bus_map(vm, effect.device, effect.number, effect.space, effect.map.base,
				effect.map.bytes, region_max_bytes(&vm->bus, &effect));
			break;
		case BUS_EFFECT_UNMAP:
			bus_unmap(vm, effect.device, effect.number);
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

static void ports_fill(struct bus *bus, unsigned index)
{
	const struct bus_region *region = &bus->regions[index];

	for (uint64_t port = region->base; port < region->base + region->bytes; port++)
		if (port < BUS_PORTS)
			bus->ports[port] = (uint8_t)index;
}

void bus_map(struct vm *vm, struct device *device, unsigned number, enum device_space space,
	uint64_t base, uint64_t bytes, unsigned max_bytes)
{
	struct bus *bus = &vm->bus;

	bus_unmap(vm, device, number);
	for (unsigned i = 1; i < BUS_REGIONS_MAX; i++) {
		if (bus->regions[i].device != NULL)
			continue;
		bus->regions[i] = (struct bus_region){device, base, bytes, (uint8_t)number,
			(uint8_t)max_bytes, (uint8_t)space};
		if (space == DEVICE_SPACE_PORT)
			ports_fill(bus, i);
		else
			bus->mmio[bus->mmio_count++] = (uint8_t)i;
		return;
	}
	ASSERT_UNREACHABLE("more regions than a machine can have");
}

static void ports_forget(struct bus *bus, unsigned index)
{
	for (uint64_t port = 0; port < BUS_PORTS; port++)
		if (bus->ports[port] == index)
			bus->ports[port] = 0;
}

static void mmio_forget(struct bus *bus, unsigned index)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < bus->mmio_count; i++)
		if (bus->mmio[i] != index)
			bus->mmio[kept++] = bus->mmio[i];
	bus->mmio_count = (uint8_t)kept;
}

void bus_unmap(struct vm *vm, const struct device *device, unsigned number)
{
	struct bus *bus = &vm->bus;

	for (unsigned i = 1; i < BUS_REGIONS_MAX; i++) {
		struct bus_region *region = &bus->regions[i];

		if (region->device != device || region->region != number)
			continue;
		if (region->space == DEVICE_SPACE_PORT)
			ports_forget(bus, i);
		else
			mmio_forget(bus, i);
		*region = (struct bus_region){0};
	}
}

static const struct bus_region *mmio_find(const struct bus *bus, uint64_t at)
{
	for (unsigned i = 0; i < bus->mmio_count; i++) {
		const struct bus_region *region = &bus->regions[bus->mmio[i]];

		if (at - region->base < region->bytes)
			return region;
	}
	return NULL;
}

static const struct bus_region *region_find(const struct bus *bus, enum device_space space,
	uint64_t at)
{
	if (space == DEVICE_SPACE_MMIO)
		return mmio_find(bus, at);
	if (at >= BUS_PORTS || bus->ports[at] == 0)
		return NULL;
	return &bus->regions[bus->ports[at]];
}

static always_inline uint64_t read_whole(struct vm *vm, const struct bus_region *region,
	uint64_t at, unsigned bytes, struct guest_time now)
{
	struct device *device = region->device;
	uint64_t value;

	if (device->model->read == NULL)
		return UINT64_MAX;
	bus_enter(&vm->bus);
	value = device->model->read(device, now, region->region, at - region->base, bytes);
	bus_leave(vm, now);
	return value;
}

static always_inline void write_whole(struct vm *vm, const struct bus_region *region, uint64_t at,
	unsigned bytes, uint64_t value, struct guest_time now)
{
	struct device *device = region->device;

	if (device->model->write == NULL)
		return;
	bus_enter(&vm->bus);
	device->model->write(device, now, region->region, at - region->base, bytes, value);
	bus_leave(vm, now);
}

static bool fits(const struct bus_region *region, uint64_t at, unsigned bytes)
{
	return bytes <= region->max_bytes && at - region->base + bytes <= region->bytes;
}

static uint64_t access_split_read(struct vm *vm, enum device_space space, uint64_t at,
	unsigned bytes, struct guest_time now)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < bytes; i++) {
		const struct bus_region *region = region_find(&vm->bus, space, at + i);
		uint64_t byte = 0xff;

		if (region != NULL)
			byte = read_whole(vm, region, at + i, 1, now) & 0xff;
		value |= byte << 8 * i;
	}
	return value;
}

static always_inline uint64_t access_read(struct vm *vm, enum device_space space, uint64_t at,
	unsigned bytes, struct guest_time now)
{
	const struct bus_region *region = region_find(&vm->bus, space, at);

	if (likely(region != NULL && fits(region, at, bytes)))
		return read_whole(vm, region, at, bytes, now);
	return access_split_read(vm, space, at, bytes, now);
}

static void access_split_write(struct vm *vm, enum device_space space, uint64_t at, unsigned bytes,
	uint64_t value, struct guest_time now)
{
	for (unsigned i = 0; i < bytes; i++) {
		const struct bus_region *region = region_find(&vm->bus, space, at + i);

		if (region != NULL)
			write_whole(vm, region, at + i, 1, value >> 8 * i & 0xff, now);
	}
}

static always_inline void access_write(struct vm *vm, enum device_space space, uint64_t at,
	unsigned bytes, uint64_t value, struct guest_time now)
{
	const struct bus_region *region = region_find(&vm->bus, space, at);

	if (likely(region != NULL && fits(region, at, bytes))) {
		write_whole(vm, region, at, bytes, value, now);
		return;
	}
	access_split_write(vm, space, at, bytes, value, now);
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

static void machine_event(struct vm *vm, const struct event *event)
{
	if (event->index == VM_EVENT_NMI)
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
		machine_event(vm, event);
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
	case EVENT_LINE:
		device->model->line(device, now, event->index, event->value != 0);
		break;
	default:
		ASSERT_UNREACHABLE("an event that no device takes");
	}
	bus_effects_carry_out(vm, now);
}

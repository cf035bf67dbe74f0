// SPDX-License-Identifier: BSD-2-Clause
// Where regions are. vm/bus.h.
#include "vm/bus.h"

#include <string.h>

#include "emul/pci_host.h"

static bool is_of(const struct bus_region *region, const struct device *device, unsigned number)
{
	return region->device == device && region->region == number;
}

// Whether `region`, which is new, answers where `other` does too.
static bool comes_before(const struct bus_region *region, const struct bus_region *other)
{
	if (region->placed || other->placed)
		return region->placed;
	if (region->device->id != other->device->id)
		return region->device->id < other->device->id;
	return region->region < other->region;
}

static void list_add(struct bus *bus, unsigned index)
{
	const struct bus_region *region = &bus->regions[index];
	struct bus_list *list = &bus->lists[region->space];
	unsigned at = 0;

	while (at < list->count && !comes_before(region, &bus->regions[list->regions[at]]))
		at++;
	memmove(&list->regions[at + 1], &list->regions[at], list->count - at);
	list->regions[at] = (uint8_t)index;
	list->count++;
}

static void list_remove(struct bus *bus, unsigned index)
{
	struct bus_list *list = &bus->lists[bus->regions[index].space];
	unsigned at = 0;

	while (list->regions[at] != index)
		at++;
	list->count--;
	memmove(&list->regions[at], &list->regions[at + 1], list->count - at);
}

// Of the ports of one region, which came or goes: those that answer before others come last.
static void ports_fill(struct bus *bus, const struct bus_region *changed)
{
	const struct bus_list *list = &bus->lists[DEVICE_SPACE_PORT];
	uint64_t first = changed->base, end = changed->base + changed->bytes;

	ASSERT(end <= BUS_PORTS);
	memset(&bus->ports[first], 0, changed->bytes);
	for (unsigned i = list->count; i > 0; i--) {
		const struct bus_region *region = &bus->regions[list->regions[i - 1]];
		uint64_t from = region->base > first ? region->base : first;
		uint64_t to = region->base + region->bytes;

		if (to > end)
			to = end;
		if (from < to)
			memset(&bus->ports[from], list->regions[i - 1], to - from);
	}
}

static void region_free(struct bus *bus, unsigned index)
{
	const struct bus_region gone = bus->regions[index];

	list_remove(bus, index);
	bus->regions[index] = (struct bus_region){0};
	if (gone.space == DEVICE_SPACE_PORT)
		ports_fill(bus, &gone);
}

static void region_add(struct bus *bus, const struct bus_region *region)
{
	unsigned index = 1;

	while (index < BUS_REGIONS_MAX && bus->regions[index].device != NULL)
		index++;
	ASSERT(index < BUS_REGIONS_MAX); // more than the devices of a machine can have
	bus->regions[index] = *region;
	list_add(bus, index);
	if (region->space == DEVICE_SPACE_PORT)
		ports_fill(bus, region);
}

void bus_unmap(struct bus *bus, const struct device *device, unsigned number)
{
	for (unsigned i = 1; i < BUS_REGIONS_MAX; i++)
		if (is_of(&bus->regions[i], device, number))
			region_free(bus, i);
}

void bus_unmap_own(struct bus *bus, const struct device *device)
{
	for (unsigned i = 1; i < BUS_REGIONS_MAX; i++)
		if (bus->regions[i].device == device && !bus->regions[i].placed)
			region_free(bus, i);
}

void bus_map(struct bus *bus, struct device *device, unsigned number, enum device_space space,
	uint64_t base, uint64_t bytes, unsigned max_bytes)
{
	bus_unmap(bus, device, number);
	region_add(bus, &(struct bus_region){device, base, bytes, (uint8_t)number,
		(uint8_t)max_bytes, (uint8_t)space, true, false});
}

// The board's keep their widest access, and their precedence.
void bus_move(struct bus *bus, const struct bus_effect *effect)
{
	const struct device_model *model = effect->device->model;
	bool memory = model->memory_bytes != 0 && model->memory_region == effect->number;
	bool whole = !memory && !pci_host_moves_window(effect->device, effect->number);
	struct bus_region moved = {effect->device, effect->map.base, effect->map.bytes,
		effect->number, whole ? sizeof(uint64_t) : 0, effect->space, false, memory};

	for (unsigned i = 1; i < BUS_REGIONS_MAX; i++) {
		const struct bus_region *region = &bus->regions[i];

		if (!is_of(region, effect->device, effect->number))
			continue;
		moved.max_bytes = region->max_bytes;
		moved.placed = region->placed;
		region_free(bus, i);
		break;
	}
	region_add(bus, &moved);
}

const struct bus_region *bus_region_find(const struct bus *bus, enum device_space space,
	uint64_t at)
{
	const struct bus_list *list = &bus->lists[space];

	for (unsigned i = 0; i < list->count; i++) {
		const struct bus_region *region = &bus->regions[list->regions[i]];

		if (at - region->base < region->bytes)
			return region;
	}
	return NULL;
}

// SPDX-License-Identifier: BSD-2-Clause
#include "vm/slot.h"

#include "emul/pcidev.h"
#include "kernel/console.h"

static void appear(struct vm_device *device)
{
	bus_map(&device->vm->bus, device->device, PCIDEV_REGION_CONFIG, DEVICE_SPACE_PCI,
		(uint64_t)device->function << 12, PCIDEV_CONFIG_BYTES, 4);
}

static void vanish(struct vm_device *device)
{
	bus_unmap_own(&device->vm->bus, device->device);
	bus_unmap(&device->vm->bus, device->device, PCIDEV_REGION_CONFIG);
}

// Its queues come back to it from whoever serves them; then nothing knows its requests any more.
static void lose_power(struct vm_device *device, struct guest_time now)
{
	struct vm *vm = device->vm;

	for (unsigned i = 0; i < device->device->model->timers; i++)
		event_timer_arm(&vm->queue, &device->timers[i], GUEST_TIME_NEVER);
	event_drop(&vm->queue, device->device->id);
	device->bottom_halves = 0;
	device->device->model->reset(device->device, now, DEVICE_RESET_SLOT);
	backend_drop_all(device);
	vanish(device);
}

void slot_power(struct vm_device *device, bool on, struct guest_time now)
{
	ASSERT(device->power != NULL && device->disk != 0);
	if (on) {
		appear(device);
		return;
	}
	lose_power(device, now);
	// For whoever has asked for it, and no more often than somebody plugs it in.
	log_info("%s: disk %s is unplugged", device->vm->name,
		device->vm->config.disks[device->disk - 1].name);
}

void slot_clear(struct vm_device *device)
{
	if (device->power != NULL)
		vanish(device);
}

void slots_loaded(struct vm *vm)
{
	for (uint32_t i = 0; i < vm->device_count; i++) {
		struct vm_device *device = &vm->devices[i];

		if (device->power == NULL)
			continue;
		if (slot_is_on(device))
			appear(device);
		else
			vanish(device);
	}
}

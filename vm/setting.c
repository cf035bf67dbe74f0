// SPDX-License-Identifier: BSD-2-Clause
#include "vm/setting.h"

#include "vm/vm.h"

bool setting_is(const struct event *event)
{
	return event->kind == EVENT_MACHINE && event->index == VM_EVENT_SETTING;
}

static struct vm_device *target_of(const struct vm *vm, const struct event *event)
{
	return event->device < vm->device_count ? &vm->devices[event->device] : NULL;
}

const char *setting_problem(const struct vm *vm, const struct event *event)
{
	const struct vm_device *target = target_of(vm, event);

	if (target == NULL || target->device->model->accepts == NULL || event->payload_bytes != 1)
		return "index: nobody has such a setting";
	if (event->payload[0] == DEVICE_SETTING_MEDIUM_BYTES && target->backend == NULL)
		return "index: the device has no medium";
	if (event->payload[0] == DEVICE_SETTING_MEDIUM_BYTES && target->backend->has_fixed_size)
		return "index: the medium cannot get another size";
	return target->device->model->accepts(target->device, event->payload[0], event->value)
		? NULL : "value: the device does not take it";
}

bool setting_is_awaited(const struct vm *vm, const struct event *event)
{
	const struct vm_device *target = target_of(vm, event);

	return setting_is(event) && target != NULL && target->backend != NULL &&
		backend_is_resizing(target->backend);
}

void setting_deliver(struct vm *vm, const struct event *event, struct guest_time now)
{
	struct vm_device *target = target_of(vm, event);
	struct device *device = target->device;

	if (event->payload[0] == DEVICE_SETTING_MEDIUM_BYTES)
		backend_resize(target, event->value);
	device->model->set(device, now, event->payload[0], event->value);
}

// SPDX-License-Identifier: BSD-2-Clause
#include "vm/input.h"

#include <string.h>

#include "vm/vm.h"

static bool is_zero(const struct device_input *input)
{
	return input->x == 0 && input->y == 0 && input->wheel == 0;
}

// A truth value has two values; what is read before it is known to be one of them is its byte.
const char *input_problem(const struct event *event)
{
	uint8_t down = event->payload[offsetof(struct device_input, down)];
	struct device_input input;

	if (event->payload_bytes != sizeof(input) || down > 1)
		return "payload: no input";
	memcpy(&input, event->payload, sizeof(input));
	if (event->device != 0 || event->index != 0 || event->value != 0 || input.reserved != 0 ||
		input.reserved2[0] != 0 || input.reserved2[1] != 0)
		return "payload: reserved parts of an input are not zero";
	switch (input.kind) {
	case DEVICE_INPUT_KEY:
		return is_zero(&input) ? NULL : "payload: no key";
	case DEVICE_INPUT_BUTTON:
		return is_zero(&input) && input.code < DEVICE_BUTTONS ? NULL : "payload: no button";
	case DEVICE_INPUT_MOVE:
		return input.code == 0 && !input.down ? NULL : "payload: no movement";
	case DEVICE_INPUT_PLACE:
		return input.code == 0 && !input.down && input.x >= 0 && input.y >= 0
			? NULL : "payload: no place";
	}
	return "payload: no such input";
}
_Static_assert(DEVICE_PLACE_MAX == INT16_MAX, "a place that is not negative is one");

struct device *input_device(const struct vm *vm, enum device_input_kind kind,
	const struct device *before)
{
	for (uint32_t i = before != NULL ? before->id : vm->device_count; i-- > 0;) {
		struct device *device = vm->devices[i].device;

		if (device->model->takes_input != NULL && device->model->takes_input(device, kind))
			return device;
	}
	return NULL;
}

// A release goes to all: the one that has it pressed may not be the one that is pressed now.
void input_deliver(struct vm *vm, const struct event *event, struct guest_time now)
{
	struct device_input input;
	struct device *device;
	bool is_release;

	memcpy(&input, event->payload, sizeof(input));
	is_release = !input.down && (input.kind == DEVICE_INPUT_KEY ||
		input.kind == DEVICE_INPUT_BUTTON);
	device = input_device(vm, input.kind, NULL);
	while (device != NULL) {
		device->model->input(device, now, &input);
		device = is_release ? input_device(vm, input.kind, device) : NULL;
	}
}

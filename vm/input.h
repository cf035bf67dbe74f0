// SPDX-License-Identifier: BSD-2-Clause
// What somebody does at a machine's keyboard and pointer. It reaches a device as an event from
// outside (outside_input): EVENT_KEY with a struct device_input. Which device is decided when the
// event is delivered: the last one, in the order of their creation, that has what such input comes
// from at that moment. So a keyboard that a guest has set up behind another has the keys. What
// nobody takes is lost.
#ifndef VM_INPUT_H
#define VM_INPUT_H

#include "emul/device.h"

struct event;
struct vm;

// NULL, or why an EVENT_KEY cannot be one: of a log or a snapshot, which may say anything.
const char *input_problem(const struct event *event);
// One without a problem, under the device lock.
void input_deliver(struct vm *vm, const struct event *event, struct guest_time now);
// Under the device lock: who would get such input now; NULL: nobody. `before`: of those that were
// created before this device; NULL: of all.
struct device *input_device(const struct vm *vm, enum device_input_kind kind,
	const struct device *before);

#endif

// SPDX-License-Identifier: BSD-2-Clause
// What the operator sets of a device while the machine runs: enum device_setting. It reaches the
// device as an event from outside (outside_set), so that it has a position where the machine's is
// kept; the back end of the device's medium, if the setting is of that, between two requests.
#ifndef VM_SETTING_H
#define VM_SETTING_H

#include "kernel/base/types.h"

struct event;
struct vm;

// Whether it is one: an EVENT_MACHINE with VM_EVENT_SETTING.
bool setting_is(const struct event *event);
// Of one. NULL, or why it cannot be: of a log or a snapshot, which may say anything.
const char *setting_problem(const struct vm *vm, const struct event *event);
// Whether the back end has yet to do what was set before.
bool setting_is_awaited(const struct vm *vm, const struct event *event);
// One without a problem, under the device lock.
void setting_deliver(struct vm *vm, const struct event *event, struct guest_time now);

#endif

// SPDX-License-Identifier: BSD-2-Clause
// What reaches a machine from outside: characters, buttons, requests, completions of back ends,
// frames.
//
// All of it comes as events, from any core, under the device lock. A machine whose position is not
// kept takes them into its event queue at once. One whose position is kept takes them at a boundary
// of its own choice: they wait here until then, and whoever records the machine is told each with
// its place. Who replays one gives events himself, and refuses those from outside.
#ifndef VM_OUTSIDE_H
#define VM_OUTSIDE_H

#include "emul/device.h"
#include "kernel/event.h"
#include "kernel/position.h"

struct device_frame;
struct vm;
struct vm_vcpu;

enum { OUTSIDE_MAX = 64, OUTSIDE_INPUTS_MAX = 16 };

// Where an event from outside is taken: as struct landing_target has it.
struct outside_place {
	struct position at;
	uint64_t time; // machine's time in ticks: landing_now() - LANDING_TSC_BASE
	uint32_t vcpu;
	bool waiting; // the vcpu does nothing there but wait: `time` is needed to find the place
	uint8_t reserved[3];
};

// What a recorder does: on the machine's core, under the device lock; nothing here may wait or
// allocate.
struct outside_recorder {
	// STATUS_BUSY: not now, ask again at a later boundary. STATUS_REFUSED: it is dropped,
	// which a completion cannot be. The frame of an EVENT_PACKET is packet_of's.
	enum status (*event)(struct outside_recorder *recorder, struct vm *vm,
		const struct outside_place *place, const struct event *event);
	// The rate of its time is another from that place on (vm/landing.h). The same answers.
	enum status (*rate)(struct outside_recorder *recorder, struct vm *vm,
		const struct outside_place *place, uint64_t rate);
	// The machine has ended, and rests. Whoever is called here calls vm->config.ended later.
	void (*ended)(struct outside_recorder *recorder, struct vm *vm);
	// The run is being recorded or replayed: nothing may change the machine but by an event.
	bool binds;
	bool gives; // and it is replayed: what back ends have done is given to it like all else
};

// Under the device lock, but for `recorder`.
struct outside {
	struct outside_recorder *recorder; // NULL: none. Changes while the machine rests
	uint32_t first, count;
	bool given; // by outside_give, and not delivered yet
	struct event events[OUTSIDE_MAX];
};

// All of them or none: STATUS_BUSY, try again. Any core; takes the device lock.
must_check enum status outside_post(struct vm *vm, const struct event *events, unsigned count);
// Sets something of a device (vm/setting.h).
// Any core. STATUS_REFUSED: the machine neither runs nor is paused. STATUS_INVALID: the device does
// not take it. STATUS_BUSY: the last one of this device has not taken place yet, or there is no
// room.
must_check enum status outside_set(struct vm *vm, const struct device *device,
	enum device_setting setting, uint64_t value);
// What somebody does at keyboard and pointer, at most OUTSIDE_INPUTS_MAX at once: all of it or none
// (vm/input.h). Any core. STATUS_REFUSED: the machine does not run, or is replayed. STATUS_BUSY:
// there is no room.
must_check enum status outside_input(struct vm *vm, const struct device_input *inputs,
	unsigned count);
// How many more would be taken. Under the device lock.
uint32_t outside_room(const struct vm *vm);
// The same under the device lock, which the caller has and gives back; one that has room.
void outside_add(struct vm *vm, const struct event *event);

// For the run loop of a machine whose position is kept, at a boundary: the first event that waits
// goes to the event queue. It is delivered before the next one is taken, at the same boundary: what
// comes of it there is the same however many have come by then.
enum outside_taken {
	OUTSIDE_NONE,
	OUTSIDE_TAKEN,
	OUTSIDE_LATER, // something waits for a boundary where it can be taken
};
must_check enum outside_taken outside_take(struct vm_vcpu *vcpu);
// NULL, or why this machine could not be given the event now: of a log, which may say anything.
// `frame`: of an EVENT_PACKET; others have none.
const char *outside_problem(const struct vm *vm, const struct event *event,
	const struct device_frame *frame);
// For who replays: an event without a problem, at a landing's callback, when the last one has been
// delivered.
void outside_give(struct vm *vm, const struct event *event, const struct device_frame *frame);

// Of a machine whose position is not kept, at home: what back ends have done, and the frames that
// networks have brought, go to the event queue.
void outside_take_arrived(struct vm *vm);

// Whether outside.recorder->binds.
bool outside_is_bound(const struct vm *vm);

#endif

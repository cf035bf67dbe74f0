// SPDX-License-Identifier: BSD-2-Clause
// The event queue of a virtual machine: everything that reaches a device other than by a guest's
// own access passes here, in every mode, and is delivered at a position of the run loop's choice.
//
// Timers wait in a heap by deadline (ties: device, then index), everything else in a FIFO. One
// delivery hands out the timers that are due, then what the FIFO held when it began; what handlers
// queue meanwhile comes with the next one, so a delivery is bounded.
//
// Owner: the VM's core (q). Other contexts of the same core may post between guest exits.
#ifndef KERNEL_EVENT_H
#define KERNEL_EVENT_H

#include "kernel/base/status.h"
#include "kernel/base/types.h"

enum event_kind {
	EVENT_TIMER,       // index: timer of the device
	EVENT_BOTTOM_HALF, // index: bottom half of the device
	EVENT_CHARACTERS,  // index: port; payload: the characters
	EVENT_COMPLETION,  // index: port; value: request; payload[0]: status
	EVENT_LINE,        // index: input; value: level. From outside: the power button
	EVENT_MACHINE,     // index: enum of the machine's; a request from monitor or network
	EVENT_PACKET,      // index: port; value: a checksum that is open; the frame: vm/packet.h
	EVENT_KEY,         // payload: struct device_input (emul/device_input.h)
	EVENT_USB,         // reserved kinds
	EVENT_AUDIO,
};

enum { EVENT_PAYLOAD_MAX = 16, EVENT_FIFO_MAX = 256, EVENT_TIMERS_MAX = 1024 };
// Room in the queue that others leave for the devices' bottom halves.
enum { EVENT_RESERVE = 64 };

struct event {
	uint8_t kind; // enum event_kind
	uint8_t payload_bytes;
	uint16_t device; // id of the device in its VM
	uint16_t index;
	uint16_t reserved;
	uint64_t sequence; // with `device` the event's identity: deterministic
	uint64_t value;
	uint8_t payload[EVENT_PAYLOAD_MAX];
};

struct event_timer {
	struct guest_time deadline;
	uint32_t heap_index; // or EVENT_TIMER_IDLE, or EVENT_TIMER_DUE | index in `due`
	uint16_t device, index;
};
#define EVENT_TIMER_IDLE UINT32_MAX
#define EVENT_TIMER_DUE  0x80000000u

struct event_queue {
	struct guest_time next_deadline; // of the heap's first; GUEST_TIME_NEVER: empty
	uint32_t fifo_first, fifo_count;
	uint32_t heap_count;
	uint64_t sequence;
	void (*deliver)(void *owner, const struct event *event, struct guest_time now);
	void *owner;
	struct event fifo[EVENT_FIFO_MAX];
	struct event_timer *heap[EVENT_TIMERS_MAX];
	struct event_timer *due[EVENT_TIMERS_MAX]; // of this delivery; NULL: cancelled meanwhile
};

void event_queue_init(struct event_queue *queue, void *owner,
	void (*deliver)(void *owner, const struct event *event, struct guest_time now));

// Copies the event to the FIFO's end and numbers it. STATUS_BUSY: full, try after a delivery.
must_check enum status event_post(struct event_queue *queue, const struct event *event);
// For saving and loading the FIFO: the event at a place, 0 the first; and one with its number to
// the end of a queue that has room.
const struct event *event_fifo_at(const struct event_queue *queue, uint32_t place);
void event_restore(struct event_queue *queue, const struct event *event);
uint32_t event_fifo_room(const struct event_queue *queue);
// Drops all FIFO events of a device (it is being reset).
void event_drop(struct event_queue *queue, uint16_t device);

void event_timer_init(struct event_timer *timer, uint16_t device, uint16_t index);
// GUEST_TIME_NEVER cancels.
void event_timer_arm(struct event_queue *queue, struct event_timer *timer,
	struct guest_time deadline);

static always_inline bool event_queue_is_due(const struct event_queue *queue,
	struct guest_time now)
{
	return queue->fifo_count != 0 || queue->next_deadline.ns <= now.ns;
}

void event_queue_deliver(struct event_queue *queue, struct guest_time now);

#endif

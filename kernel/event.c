// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/event.h"

#include <string.h>

#include "kernel/base/assert.h"

void event_queue_init(struct event_queue *queue, void *owner,
	void (*deliver)(void *owner, const struct event *event, struct guest_time now))
{
	memset(queue, 0, sizeof(*queue));
	queue->next_deadline = GUEST_TIME_NEVER;
	queue->owner = owner;
	queue->deliver = deliver;
}

enum status event_post(struct event_queue *queue, const struct event *event)
{
	struct event *slot;

	ASSERT(event->payload_bytes <= EVENT_PAYLOAD_MAX);
	if (queue->fifo_count == EVENT_FIFO_MAX)
		return STATUS_FAIL(STATUS_BUSY);
	slot = &queue->fifo[(queue->fifo_first + queue->fifo_count++) % EVENT_FIFO_MAX];
	*slot = *event;
	slot->sequence = queue->sequence++;
	return STATUS_OK;
}

const struct event *event_fifo_at(const struct event_queue *queue, uint32_t place)
{
	ASSERT(place < queue->fifo_count);
	return &queue->fifo[(queue->fifo_first + place) % EVENT_FIFO_MAX];
}

void event_restore(struct event_queue *queue, const struct event *event)
{
	ASSERT(queue->fifo_count < EVENT_FIFO_MAX && event->sequence < queue->sequence);
	queue->fifo[(queue->fifo_first + queue->fifo_count++) % EVENT_FIFO_MAX] = *event;
}

uint32_t event_fifo_room(const struct event_queue *queue)
{
	return EVENT_FIFO_MAX - queue->fifo_count;
}

void event_drop(struct event_queue *queue, uint16_t device)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < queue->fifo_count; i++) {
		const struct event *event =
			&queue->fifo[(queue->fifo_first + i) % EVENT_FIFO_MAX];

		if (event->device != device || event->kind == EVENT_MACHINE)
			queue->fifo[(queue->fifo_first + kept++) % EVENT_FIFO_MAX] = *event;
	}
	queue->fifo_count = kept;
}

void event_timer_init(struct event_timer *timer, uint16_t device, uint16_t index)
{
	*timer = (struct event_timer){GUEST_TIME_NEVER, EVENT_TIMER_IDLE, device, index};
}

static bool timer_is_before(const struct event_timer *a, const struct event_timer *b)
{
	if (a->deadline.ns != b->deadline.ns)
		return a->deadline.ns < b->deadline.ns;
	if (a->device != b->device)
		return a->device < b->device;
	return a->index < b->index;
}

static void heap_put(struct event_queue *queue, uint32_t at, struct event_timer *timer)
{
	queue->heap[at] = timer;
	timer->heap_index = at;
}

static void heap_move_up(struct event_queue *queue, uint32_t at, struct event_timer *timer)
{
	while (at > 0 && timer_is_before(timer, queue->heap[(at - 1) / 2])) {
		heap_put(queue, at, queue->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	heap_put(queue, at, timer);
}

static void heap_move_down(struct event_queue *queue, uint32_t at, struct event_timer *timer)
{
	for (;;) {
		uint32_t child = 2 * at + 1;

		if (child >= queue->heap_count)
			break;
		if (child + 1 < queue->heap_count &&
			timer_is_before(queue->heap[child + 1], queue->heap[child]))
			child++;
		if (!timer_is_before(queue->heap[child], timer))
			break;
		heap_put(queue, at, queue->heap[child]);
		at = child;
	}
	heap_put(queue, at, timer);
}

static void heap_remove(struct event_queue *queue, struct event_timer *timer)
{
	uint32_t at = timer->heap_index;
	struct event_timer *last = queue->heap[--queue->heap_count];

	ASSERT(at <= queue->heap_count && (at == queue->heap_count || queue->heap[at] == timer));
	timer->heap_index = EVENT_TIMER_IDLE;
	if (last == timer)
		return;
	if (at > 0 && timer_is_before(last, queue->heap[(at - 1) / 2]))
		heap_move_up(queue, at, last);
	else
		heap_move_down(queue, at, last);
}

static void timer_disarm(struct event_queue *queue, struct event_timer *timer)
{
	if (timer->heap_index == EVENT_TIMER_IDLE)
		return;
	if ((timer->heap_index & EVENT_TIMER_DUE) != 0)
		queue->due[timer->heap_index & ~EVENT_TIMER_DUE] = NULL;
	else
		heap_remove(queue, timer);
	timer->heap_index = EVENT_TIMER_IDLE;
}

void event_timer_arm(struct event_queue *queue, struct event_timer *timer,
	struct guest_time deadline)
{
	timer_disarm(queue, timer);
	timer->deadline = deadline;
	if (deadline.ns != GUEST_TIME_NEVER.ns) {
		ASSERT(queue->heap_count < EVENT_TIMERS_MAX);
		heap_move_up(queue, queue->heap_count++, timer);
	}
	queue->next_deadline =
		queue->heap_count != 0 ? queue->heap[0]->deadline : GUEST_TIME_NEVER;
}

static void deliver_timers(struct event_queue *queue, struct guest_time now)
{
	uint32_t count = 0;

	// A handler that arms a timer in the past gets it with the next delivery.
	while (queue->heap_count > 0 && queue->heap[0]->deadline.ns <= now.ns) {
		struct event_timer *timer = queue->heap[0];

		heap_remove(queue, timer);
		timer->heap_index = EVENT_TIMER_DUE | count;
		queue->due[count++] = timer;
	}
	queue->next_deadline =
		queue->heap_count != 0 ? queue->heap[0]->deadline : GUEST_TIME_NEVER;
	for (uint32_t i = 0; i < count; i++) {
		struct event_timer *timer = queue->due[i];
		struct event event = {.kind = EVENT_TIMER};

		if (timer == NULL)
			continue;
		event.device = timer->device;
		event.index = timer->index;
		event.sequence = queue->sequence++;
		event.value = timer->deadline.ns;
		event_timer_arm(queue, timer, GUEST_TIME_NEVER);
		queue->deliver(queue->owner, &event, now);
	}
}

void event_queue_deliver(struct event_queue *queue, struct guest_time now)
{
	uint64_t end;

	deliver_timers(queue, now);
	// What comes meanwhile has a later number.
	end = queue->sequence;
	while (queue->fifo_count > 0 && queue->fifo[queue->fifo_first].sequence < end) {
		struct event event = queue->fifo[queue->fifo_first];

		queue->fifo_first = (queue->fifo_first + 1) % EVENT_FIFO_MAX;
		queue->fifo_count--;
		queue->deliver(queue->owner, &event, now);
	}
}

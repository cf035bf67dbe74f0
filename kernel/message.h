// SPDX-License-Identifier: BSD-2-Clause
// The inbox of a CPU: messages from any CPU, in interrupt handlers too, taken by its event loop.
//
// A list without a lock: senders put a message in front with compare-and-exchange, the owner takes
// the whole list at once and turns it round. Nothing is ever taken from the middle, so a head that
// changed and changed back does no harm: the message then points to just that head. Messages of
// one sender stay in order, and so do messages one of which was sent because of the other.
#ifndef KERNEL_MESSAGE_H
#define KERNEL_MESSAGE_H

#include "kernel/base/types.h"

struct cpu_message {
	// Called in the receiver's event loop. From its call on the message may be sent again, or
	// its memory be given back; until then both are the sender's to keep alive.
	void (*run)(struct cpu_message *message);
	struct cpu_message *next; // of the inbox
};

// Zeroed memory is an empty inbox.
struct message_queue {
	struct cpu_message *newest; // (a) stored with release, taken with acquire
};

// One attempt to put `message` before `newest`, which is what message_newest returned.
static inline bool message_try_put(struct message_queue *queue, struct cpu_message *newest,
	struct cpu_message *message)
{
	message->next = newest;
	return __atomic_compare_exchange_n(&queue->newest, &newest, message, false,
		__ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

static inline struct cpu_message *message_newest(const struct message_queue *queue)
{
	return __atomic_load_n(&queue->newest, __ATOMIC_RELAXED);
}

static inline void message_put(struct message_queue *queue, struct cpu_message *message)
{
	while (!message_try_put(queue, message_newest(queue), message))
		__builtin_ia32_pause();
}

// All that is there, oldest first, linked by `next`; NULL: nothing.
static inline struct cpu_message *message_take_all(struct message_queue *queue)
{
	struct cpu_message *taken = __atomic_exchange_n(&queue->newest, NULL, __ATOMIC_SEQ_CST);
	struct cpu_message *oldest = NULL;

	while (taken != NULL) {
		struct cpu_message *next = taken->next;

		taken->next = oldest;
		oldest = taken;
		taken = next;
	}
	return oldest;
}

#endif

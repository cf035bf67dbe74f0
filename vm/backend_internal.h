// SPDX-License-Identifier: BSD-2-Clause
// Between backend.c and backend_completion.c: slots.
#ifndef VM_BACKEND_INTERNAL_H
#define VM_BACKEND_INTERNAL_H

#include "vm/backend.h"
#include "vm/vm.h"

_Static_assert(DEVICE_IO_MAX == 64, "bits of backend->used");

// Those of a set, beginning with the lowest.
#define FOR_EACH_SLOT(set, index)                                                                  \
	for (uint64_t left_ = (set), index = 0;                                                    \
		left_ != 0 && (index = (uint64_t)__builtin_ctzll(left_), true); left_ &= left_ - 1)

// NULL: none.
static inline struct backend *backend_of_port(const struct vm_device *device, unsigned port)
{
	struct backend *backend = device->backend;

	while (backend != NULL && unlikely(backend->port != port))
		backend = backend->next;
	return backend;
}

static inline bool backend_slot_is_done(const struct backend_slot *slot)
{
	return slot->state == BACKEND_SENT &&
		__atomic_load_n(&slot->request.done, __ATOMIC_ACQUIRE);
}

// Where the name is looked for first.
static inline unsigned backend_slot_of_name(uint64_t name)
{
	return (unsigned)name % DEVICE_IO_MAX;
}

static inline struct backend_slot *backend_slot_find(struct backend *backend, uint64_t name)
{
	unsigned first = backend_slot_of_name(name);

	if ((backend->used & BIT(first)) != 0 && backend->slots[first].name == name)
		return &backend->slots[first];
	FOR_EACH_SLOT(backend->displaced, i)
		if (backend->slots[i].name == name)
			return &backend->slots[i];
	return NULL;
}

static inline void backend_slot_set(struct backend *backend, struct backend_slot *slot,
	enum backend_state state)
{
	uint64_t bit = BIT(slot->index);
	bool is_first = backend_slot_of_name(slot->name) == slot->index;

	slot->state = (uint8_t)state;
	backend->used = state == BACKEND_FREE ? backend->used & ~bit : backend->used | bit;
	backend->displaced = state == BACKEND_FREE || is_first ? backend->displaced & ~bit
							       : backend->displaced | bit;
	backend->sent = state != BACKEND_SENT ? backend->sent & ~bit : backend->sent | bit;
}

#endif

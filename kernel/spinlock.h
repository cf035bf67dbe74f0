// SPDX-License-Identifier: BSD-2-Clause
// A ticket lock: CPUs get it in the order in which they asked.
//
// Rules for spin locks: held for microseconds; whoever holds one does not yield, wait or take it
// again; interrupts stay as they are, so an interrupt handler takes none (it raises `attention`
// and leaves the work to the event loop). docs/folders/kernel.md has the order between locks. The
// console's lock is of another kind, for handlers and crashes too: see kernel/console.h.
#ifndef KERNEL_SPINLOCK_H
#define KERNEL_SPINLOCK_H

#include "kernel/base/types.h"

// Zeroed memory is a free lock.
struct spinlock {
	uint32_t next;   // (a) ticket of whoever asks next
	uint32_t serves; // (a) ticket of the holder; stored with release, loaded with acquire
};

static inline void spin_lock(struct spinlock *lock)
{
	uint32_t ticket = __atomic_fetch_add(&lock->next, 1, __ATOMIC_RELAXED);

	while (__atomic_load_n(&lock->serves, __ATOMIC_ACQUIRE) != ticket)
		__builtin_ia32_pause();
}

static inline void spin_unlock(struct spinlock *lock)
{
	__atomic_store_n(&lock->serves,
		__atomic_load_n(&lock->serves, __ATOMIC_RELAXED) + 1, __ATOMIC_RELEASE);
}

// True while somebody holds it: for assertions.
static inline bool spin_is_locked(const struct spinlock *lock)
{
	return __atomic_load_n(&lock->serves, __ATOMIC_RELAXED) !=
		__atomic_load_n(&lock->next, __ATOMIC_RELAXED);
}

#endif

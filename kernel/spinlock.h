// SPDX-License-Identifier: BSD-2-Clause
// A lock that is waited for by looking at it.
//
// It has no queue: locks are held for microseconds and seldom wanted at once, and where CPUs share
// the cores of a machine below (an emulator's threads), the next in a queue is mostly one that does
// not run.
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
	bool held; // (a) set with acquire, cleared with release
};

static inline void spin_lock(struct spinlock *lock)
{
	while (__atomic_exchange_n(&lock->held, true, __ATOMIC_ACQUIRE))
		while (__atomic_load_n(&lock->held, __ATOMIC_RELAXED))
			__builtin_ia32_pause();
}

static inline void spin_unlock(struct spinlock *lock)
{
	__atomic_store_n(&lock->held, false, __ATOMIC_RELEASE);
}

// True while somebody holds it: for assertions.
static inline bool spin_is_locked(const struct spinlock *lock)
{
	return __atomic_load_n(&lock->held, __ATOMIC_RELAXED);
}

#endif

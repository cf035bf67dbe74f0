// SPDX-License-Identifier: BSD-2-Clause
// A hash of guest memory: sums over its pages, so that a part of them can be taken anew, and two
// machines can tell in which page they are not the same, where there is just one in a group.
//
// Bits that a guest's page tables have for "accessed" are summed apart. When the CPU sets one
// depends on what it remembers of the table, which no position says. Of memory that is no table
// such a bit is one like any other; it is apart there too.
#ifndef REPLAY_MEMORY_HASH_H
#define REPLAY_MEMORY_HASH_H

#include "kernel/base/status.h"
#include "kernel/base/types.h"

struct vm;

enum { MEMORY_HASH_GROUPS = 4 }; // of pages, by the lowest bits of their number

// Of the pages' hashes, and of hash times page number, modulo 2^64. A page of zeros adds nothing.
struct memory_hash {
	uint64_t sum[MEMORY_HASH_GROUPS], weighted[MEMORY_HASH_GROUPS];
	uint64_t accessed, accessed_weighted; // of bit 5 of each half of each 64-bit word alone
};

// What each block of 2 MiB has added last, so that those that nobody has written since need not be
// read again.
struct memory_hash_cache;

// For a machine of this size. STATUS_NO_MEMORY.
must_check enum status memory_hash_cache_create(const struct vm *vm,
	struct memory_hash_cache **cache);
void memory_hash_cache_destroy(struct memory_hash_cache *cache);

// The machine rests. `cache`: NULL, or one that has seen all hashes of this machine since its
// memory was last replaced.
void memory_hash_take(struct vm *vm, struct memory_hash_cache *cache, struct memory_hash *hash);

// Whether they are the same but for accessed bits, and whether these are.
bool memory_hash_equals(const struct memory_hash *a, const struct memory_hash *b);
bool memory_hash_accessed_equals(const struct memory_hash *a, const struct memory_hash *b);
// Of a machine with so many pages: the number of the lowest one that is not the same. False: there
// are several in a group.
must_check bool memory_hash_find(const struct memory_hash *a, const struct memory_hash *b,
	uint64_t pages, uint64_t *page);
must_check bool memory_hash_find_accessed(const struct memory_hash *a,
	const struct memory_hash *b, uint64_t pages, uint64_t *page);

#endif

// SPDX-License-Identifier: BSD-2-Clause
// XXH64 with seed 0, for naming what a log depends on: kernel, initrd, disks. It finds changes that
// nobody made on purpose; it is no protection against somebody who wants two files to agree.
#ifndef REPLAY_HASH_H
#define REPLAY_HASH_H

#include "kernel/base/types.h"

// The library's state: replay/hash.c alone looks inside.
struct hash {
	uint64_t opaque[11];
};

void hash_begin(struct hash *hash);
void hash_update(struct hash *hash, const void *bytes, size_t count);
// Of all bytes so far; more may follow.
uint64_t hash_value(const struct hash *hash);

// Of these bytes alone.
uint64_t hash_of(const void *bytes, size_t count);

#endif

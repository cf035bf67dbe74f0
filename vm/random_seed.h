// SPDX-License-Identifier: BSD-2-Clause
// What a guest's kernel gets its first random numbers from, where its boot protocol has a way to
// hand it over. A guest without RDRAND has nothing else at first, and works for it.
#ifndef VM_RANDOM_SEED_H
#define VM_RANDOM_SEED_H

#include "emul/chacha20.h"
#include "kernel/base/types.h"

enum { RANDOM_SEED_WORDS = 4, RANDOM_SEED_BYTES = RANDOM_SEED_WORDS * 8 };

struct random_seed {
	bool is_there;
	uint64_t words[RANDOM_SEED_WORDS];
};

// From the host's RDRAND; where the CPU has none, there is no seed.
struct random_seed random_seed_make(void);
// For machines that must be alike. Nobody else may take it for random.
struct random_seed random_seed_repeat(uint64_t number);
// What the `boot`th boot of the machine gets; none is another's.
void random_seed_bytes(const struct random_seed *seed, uint32_t boot,
	uint8_t bytes[RANDOM_SEED_BYTES]);
// What the machine's own source of random numbers begins with.
void random_seed_derive(const struct random_seed *seed, uint32_t key[CHACHA20_KEY_WORDS]);

#endif

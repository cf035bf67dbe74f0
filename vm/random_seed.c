// SPDX-License-Identifier: BSD-2-Clause
#include "vm/random_seed.h"

#include <string.h>

#include "kernel/x86.h"
#include "vm/splitmix.h"

enum { TRIES = 10 }; // SDM vol. 1, 7.3.17.1

static bool random_word(uint64_t *word)
{
	bool done = false;

	for (unsigned i = 0; i < TRIES && !done; i++)
		__asm__ volatile("rdrand %0" : "=r"(*word), "=@ccc"(done));
	return done;
}

struct random_seed random_seed_make(void)
{
	struct random_seed seed = {.is_there = (cpuid(1, 0).ecx & BIT(30)) != 0};

	for (unsigned i = 0; i < RANDOM_SEED_WORDS && seed.is_there; i++)
		seed.is_there = random_word(&seed.words[i]);
	return seed;
}

struct random_seed random_seed_repeat(uint64_t number)
{
	struct random_seed seed = {.is_there = true};

	for (unsigned i = 0; i < RANDOM_SEED_WORDS; i++)
		seed.words[i] = splitmix_next(&number);
	return seed;
}

void random_seed_bytes(const struct random_seed *seed, uint32_t boot,
	uint8_t bytes[RANDOM_SEED_BYTES])
{
	for (unsigned i = 0; i < RANDOM_SEED_WORDS; i++) {
		uint64_t state = seed->words[i] + boot, word = splitmix_next(&state);

		memcpy(bytes + i * sizeof(word), &word, sizeof(word));
	}
}

_Static_assert((int)RANDOM_SEED_BYTES == 4 * (int)CHACHA20_KEY_WORDS, "a key");

// Nobody who knows it learns the seed.
void random_seed_derive(const struct random_seed *seed, uint32_t key[CHACHA20_KEY_WORDS])
{
	static const uint32_t purpose[CHACHA20_NONCE_WORDS] = {1, 0, 0};
	uint32_t block[CHACHA20_BLOCK_WORDS], words[CHACHA20_KEY_WORDS];

	memcpy(words, seed->words, sizeof(words));
	chacha20_block(words, 0, purpose, block);
	memcpy(key, block, sizeof(words));
}

// SPDX-License-Identifier: BSD-2-Clause
// The ChaCha20 block function: RFC 8439, 2.3.
#ifndef EMUL_CHACHA20_H
#define EMUL_CHACHA20_H

#include "kernel/base/types.h"

enum { CHACHA20_KEY_WORDS = 8, CHACHA20_NONCE_WORDS = 3, CHACHA20_BLOCK_WORDS = 16 };

static inline uint32_t chacha20_rotate(uint32_t word, unsigned bits)
{
	return word << bits | word >> (32 - bits);
}

static inline void chacha20_quarter(uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d)
{
	*a += *b;
	*d = chacha20_rotate(*d ^ *a, 16);
	*c += *d;
	*b = chacha20_rotate(*b ^ *c, 12);
	*a += *b;
	*d = chacha20_rotate(*d ^ *a, 8);
	*c += *d;
	*b = chacha20_rotate(*b ^ *c, 7);
}

// Words are those of the RFC's little-endian bytes.
static inline void chacha20_block(const uint32_t key[CHACHA20_KEY_WORDS], uint32_t counter,
	const uint32_t nonce[CHACHA20_NONCE_WORDS], uint32_t block[CHACHA20_BLOCK_WORDS])
{
	const uint32_t first[CHACHA20_BLOCK_WORDS] = {0x61707865, 0x3320646e, 0x79622d32,
		0x6b206574, key[0], key[1], key[2], key[3], key[4], key[5], key[6], key[7], counter,
		nonce[0], nonce[1], nonce[2]};

	for (unsigned i = 0; i < CHACHA20_BLOCK_WORDS; i++)
		block[i] = first[i];
	for (unsigned i = 0; i < 10; i++) {
		for (unsigned n = 0; n < 4; n++) // columns
			chacha20_quarter(&block[n], &block[n + 4], &block[n + 8], &block[n + 12]);
		for (unsigned n = 0; n < 4; n++) // diagonals
			chacha20_quarter(&block[n], &block[4 + (n + 1) % 4],
				&block[8 + (n + 2) % 4], &block[12 + (n + 3) % 4]);
	}
	for (unsigned i = 0; i < CHACHA20_BLOCK_WORDS; i++)
		block[i] += first[i];
}

#endif

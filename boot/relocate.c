// SPDX-License-Identifier: BSD-2-Clause
// See relocate.h.
//
// The table has two kinds of entries. An even one is the address of a word, at which the next
// entry's bitmap begins. An odd one is a bitmap of 63 words, bit 1 for the first of them, and the
// next bitmap's words follow those.
#include "boot/relocate.h"

enum { BITMAP_WORDS = 63 };

extern const uint64_t relr_start[], relr_end[]; // linker.ld

static uint64_t *word_at(uint64_t address)
{
	return (uint64_t *)(uintptr_t)address;
}

void relocate_words(uint64_t base, const uint64_t *table, const uint64_t *end)
{
	uint64_t *next = word_at(base);

	for (; table < end; table++) {
		if ((*table & 1) == 0) {
			next = word_at(base + *table);
			*next++ += base;
			continue;
		}
		for (unsigned i = 0; i < BITMAP_WORDS; i++) {
			if ((*table >> (i + 1) & 1) != 0)
				next[i] += base;
		}
		next += BITMAP_WORDS;
	}
}

void _relocate(uint64_t base)
{
	relocate_words(base, relr_start, relr_end);
}

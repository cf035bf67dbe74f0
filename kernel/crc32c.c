// SPDX-License-Identifier: BSD-2-Clause
// The CRC32 instruction where the CPU has SSE4.2 (it works on general registers), else a table of
// what each byte makes of the CRC.
#include "kernel/crc32c.h"

#include <string.h>

#define POLYNOMIAL 0x82f63b78u

static uint32_t table[256];

// Idempotent: two CPUs that come at once write the same, the last entry last.
static void table_fill(void)
{
	for (uint32_t byte = 0; byte < ARRAY_COUNT(table); byte++) {
		uint32_t crc = byte;

		for (unsigned bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ ((crc & 1) != 0 ? POLYNOMIAL : 0);
		__atomic_store_n(&table[byte], crc, __ATOMIC_RELEASE);
	}
}

uint32_t crc32c_update_by_table(uint32_t crc, const void *bytes, size_t count)
{
	const uint8_t *at = bytes;

	if (__atomic_load_n(&table[ARRAY_COUNT(table) - 1], __ATOMIC_ACQUIRE) == 0)
		table_fill();
	crc = ~crc;
	for (; count > 0; count--)
		crc = crc >> 8 ^ table[(crc ^ *at++) & 0xff];
	return ~crc;
}

struct crc32c_pair crc32c_words_by_table(const uint64_t *words, size_t count, uint64_t mask)
{
	uint32_t all = UINT32_MAX, masked = UINT32_MAX; // as the other function inverts them

	for (size_t i = 0; i < count; i++) {
		uint64_t word = words[i] & mask;

		all = crc32c_update_by_table(all, &words[i], sizeof(word));
		masked = crc32c_update_by_table(masked, &word, sizeof(word));
	}
	return (struct crc32c_pair){~all, ~masked};
}

static bool has_instruction(void)
{
	static uint8_t known; // 1: no, 2: yes
	uint32_t eax = 1, ebx, ecx = 0, edx;

	if (known == 0) {
		__asm__("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
		known = (ecx & BIT(20)) != 0 ? 2 : 1;
	}
	return known == 2;
}

uint32_t crc32c_update(uint32_t crc, const void *bytes, size_t count)
{
	const uint8_t *at = bytes;
	uint64_t value = (uint32_t)~crc;

	if (!has_instruction())
		return crc32c_update_by_table(crc, bytes, count);
	for (; count >= 8; count -= 8, at += 8) {
		uint64_t word;

		__builtin_memcpy(&word, at, sizeof(word));
		__asm__("crc32q %1, %0" : "+r"(value) : "r"(word));
	}
	for (; count > 0; count--)
		__asm__("crc32b %b1, %k0" : "+r"(value) : "q"(*at++));
	return ~(uint32_t)value;
}

struct crc32c_pair crc32c_words(const uint64_t *words, size_t count, uint64_t mask)
{
	uint64_t all = 0, masked = 0;

	if (!has_instruction())
		return crc32c_words_by_table(words, count, mask);
#pragma GCC unroll 8
	for (size_t i = 0; i < count; i++) {
		__asm__("crc32q %1, %0" : "+r"(all) : "m"(words[i]));
		__asm__("crc32q %1, %0" : "+r"(masked) : "r"(words[i] & mask));
	}
	return (struct crc32c_pair){(uint32_t)all, (uint32_t)masked};
}

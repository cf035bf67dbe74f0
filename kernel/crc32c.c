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

static bool has_instruction(void)
{
	uint32_t eax = 1, ebx, ecx = 0, edx;

	__asm__("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
	return (ecx & BIT(20)) != 0;
}

uint32_t crc32c_update(uint32_t crc, const void *bytes, size_t count)
{
	static uint8_t known; // 1: no instruction, 2: there is one
	const uint8_t *at = bytes;
	uint64_t value = (uint32_t)~crc;

	if (known == 0)
		known = has_instruction() ? 2 : 1;
	if (known == 1)
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

// SPDX-License-Identifier: BSD-2-Clause
// Takes characters from COM1 until a full stop, and tells of each when it came: how often the loop
// had gone round, and a sum over memory that string instructions change all the while. No two runs
// print the same, but a recording and its replays do. Run by tests/replay.py alone.
#include "lib/cpu.h"
#include "lib/payload.h"

PAYLOAD("typed");

enum { COM1 = 0x3f8, LSR = COM1 + 5, LSR_DATA = 1, AREA_BYTES = 4096 };

static uint8_t area[AREA_BYTES];

static void strings(uint64_t rounds)
{
	void *to = area;
	const void *from = area + 1;
	uint64_t count = AREA_BYTES - 1;

	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
	area[AREA_BYTES - 1] = (uint8_t)rounds;
}

static uint32_t sum(void)
{
	uint32_t value = 1;

	for (unsigned i = 0; i < AREA_BYTES; i++)
		value = value * 31 + area[i];
	return value;
}

void payload_main(void)
{
	uint8_t byte = 0;

	report("ready");
	for (uint64_t rounds = 0; byte != '.'; rounds++) {
		strings(rounds);
		if ((inb(LSR) & LSR_DATA) == 0)
			continue;
		byte = inb(COM1);
		report("0x%x in round %lu, sum 0x%x", byte, rounds, sum());
	}
}

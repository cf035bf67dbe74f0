// SPDX-License-Identifier: BSD-2-Clause
// Tells of each byte that a keyboard and a mouse send, and how often it had looked before: no two
// runs print the same, but a recording and its replays do. Ends at the release of Escape. Run by
// tests/keys.py alone.
#include "lib/i8042.h"

PAYLOAD("ps2_typed");

enum { ESCAPE_RELEASED = 0x81, WHEEL_BYTES = 4 };

static void ask_mouse(uint8_t byte)
{
	i8042_to_mouse(byte);
	i8042_drain();
}

void payload_main(void)
{
	static const uint8_t rates[] = {200, 100, 80};
	uint8_t packet[WHEEL_BYTES], byte = 0;
	unsigned count = 0;

	i8042_set(0x40); // both interfaces, translation, no interrupts
	i8042_drain();
	for (unsigned i = 0; i < sizeof(rates); i++) {
		ask_mouse(0xf3);
		ask_mouse(rates[i]);
	}
	ask_mouse(0xf4);
	i8042_data(0xf3); // repeats begin after 250 ms
	i8042_drain();
	i8042_data(0x00);
	i8042_drain();
	report("ready");
	for (uint64_t rounds = 0; byte != ESCAPE_RELEASED; rounds++) {
		unsigned status = inb(I8042_COMMAND);

		if ((status & I8042_FULL) == 0)
			continue;
		if ((status & I8042_AUXILIARY) == 0) {
			byte = inb(I8042_DATA);
			report("key 0x%x in round %lu", byte, rounds);
			continue;
		}
		packet[count++] = inb(I8042_DATA);
		if (count < WHEEL_BYTES)
			continue;
		count = 0;
		report("mouse 0x%x 0x%x 0x%x 0x%x in round %lu", packet[0], packet[1], packet[2],
			packet[3], rounds);
	}
}

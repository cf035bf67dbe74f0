// SPDX-License-Identifier: BSD-2-Clause
// 64 KiB to COM1: 1023 lines of 64 bytes that differ, and the report.
#include "lib/payload.h"

PAYLOAD("uart_flood");

enum { FLOOD_LINES = 1023, FLOOD_LINE_BYTES = 64 };

void payload_main(void)
{
	char line[FLOOD_LINE_BYTES];

	for (unsigned n = 0; n < FLOOD_LINES; n++) {
		for (unsigned i = 0; i < FLOOD_LINE_BYTES - 1; i++)
			line[i] = (char)('!' + (n * 7 + i) % 94);
		for (unsigned i = 4, v = n; i-- != 0; v /= 10)
			line[i] = (char)('0' + v % 10);
		line[FLOOD_LINE_BYTES - 1] = '\n';
		print_raw(line, FLOOD_LINE_BYTES);
	}
	report("bytes = %u", FLOOD_LINES * FLOOD_LINE_BYTES);
}

// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/symbols.h"

// tools/ksyms.awk writes: number of entries, then offsets of functions from the image's start in
// ascending order each with the offset of its name in the names that follow.
struct symbol {
	uint32_t address;
	uint32_t name;
};

extern const uint8_t image_start[], text_start[], text_end[];
extern const uint32_t ksyms_count;
extern const struct symbol ksyms_table[];
extern const char ksyms_names[];

const char *symbol_find(uint64_t address, uint64_t *offset)
{
	uint64_t start = (uint64_t)(uintptr_t)image_start;
	uint32_t low = 0, high = ksyms_count;

	if (address < (uint64_t)(uintptr_t)text_start || address >= (uint64_t)(uintptr_t)text_end)
		return NULL;
	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (ksyms_table[middle].address <= address - start)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0)
		return NULL;
	*offset = address - start - ksyms_table[low - 1].address;
	return ksyms_names + ksyms_table[low - 1].name;
}

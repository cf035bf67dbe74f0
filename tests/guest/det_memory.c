// SPDX-License-Identifier: BSD-2-Clause
// What is in memory before anybody has written it: zeros, the kernel, and tables that say nothing
// of the host.
#include "lib/det.h"

PAYLOAD("det_memory");

enum { PAGE = 4096, MEMORY = 64 << 20 };

static uint64_t page_hash(uintptr_t page, uint64_t hash, bool *has_any)
{
	for (unsigned at = 0; at < PAGE; at += 8) {
		uint64_t word = read64(page + at);

		if (word != 0)
			hash = det_hash(det_hash(hash, page + at), word);
		*has_any |= word != 0;
	}
	return hash;
}

void payload_main(void)
{
	uint64_t hash = DET_HASH_START, words[2] = {0, 0};
	unsigned used = 0;

	report("start info = 0x%lx", payload_start_info);
	for (uintptr_t page = 0; page < MEMORY; page += PAGE) {
		bool has_any = false;

		hash = page_hash(page, hash, &has_any);
		if (has_any) {
			used++;
			report("%lx = 0x%lx", (uint64_t)page, hash);
		}
	}
	report("pages in use = %u, hash 0x%lx", used, hash);
	// Above the end of memory, and where ROMs would be.
	words[0] = read64(MEMORY);
	words[1] = read64(0xfffffff0);
	report("beyond = 0x%lx 0x%lx", words[0], words[1]);
}

// SPDX-License-Identifier: BSD-2-Clause
// Which translation is used after an entry has changed and nothing was invalidated: the old one, as
// long as the TLB has it. Exits, the host's own among them, may end that. SDM vol. 3, 4.10.
#include "lib/det.h"

PAYLOAD("det_tlb");

enum { OLD = 0x2000000, NEW = 0x2001000, FLAGS = 0x67, CR4_PGE = 1 << 7, GLOBAL = 0x100,
	LOOKS = 3000000 };

static unsigned slot;

// A page that leads to OLD, in the TLB, while its entry says NEW.
static const char *stale_page(uint64_t flags)
{
	const char *page = paging_map(++slot, OLD, FLAGS | flags);

	(void)read8((uintptr_t)page);
	paging_set_entry(slot, NEW | FLAGS | flags);
	return page;
}

static void look(const char *what, const char *page)
{
	report("%s = %s", what, read8((uintptr_t)page) == 1 ? "old" : "new");
}

// After how many reads it is the new one, if at all.
static void look_until(const char *what, const char *page)
{
	unsigned reads = 0;

	while (reads < LOOKS && read8((uintptr_t)page) == 1)
		reads++;
	report("%s = %s after %u reads", what, reads < LOOKS ? "new" : "old", reads);
}

static void looks(const char *prefix, uint64_t flags)
{
	const char *page = stale_page(flags);

	report("%s:", prefix);
	look("at once", page);
	(void)cpuid(0, 0);
	look("after CPUID", page);
	page = stale_page(flags);
	(void)inb(0x21);
	look("after IN", page);
	page = stale_page(flags);
	det_long_while();
	look("after a long while", page);
	look_until("in a loop", stale_page(flags));
	page = stale_page(flags);
	write_cr3(read_cr3());
	look("after CR3", page);
	page = stale_page(flags);
	__asm__ volatile("invlpg (%0)" : : "r"(page) : "memory");
	look("after INVLPG", page);
}

void payload_main(void)
{
	write8(OLD, 1);
	write8(NEW, 2);
	looks("local", 0);
	write_cr4(read_cr4() | CR4_PGE);
	looks("global", GLOBAL);
}

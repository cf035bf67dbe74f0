// SPDX-License-Identifier: BSD-2-Clause
// Whether the accessed and dirty flags of an entry are set again after they were cleared and
// nothing was invalidated: only when the TLB does not have the entry. SDM vol. 3, 4.8 and 4.10.4.2.
#include "lib/det.h"

PAYLOAD("det_access");

enum { PAGE = 0x2000000, FLAGS = 0x7, ACCESSED = 0x20, DIRTY = 0x40 };

static unsigned slot;

static uintptr_t cleared_page(void)
{
	uintptr_t page = (uintptr_t)paging_map(++slot, PAGE, FLAGS);

	write8(page, 1); // both flags
	paging_set_entry(slot, PAGE | FLAGS);
	return page;
}

static void look(const char *what)
{
	uint64_t entry = paging_entry(slot);

	report("%s = accessed %u dirty %u", what, (entry & ACCESSED) != 0, (entry & DIRTY) != 0);
}

void payload_main(void)
{
	uintptr_t page = cleared_page();

	(void)read8(page);
	look("read at once");
	(void)cpuid(0, 0);
	(void)read8(page);
	look("read after CPUID");
	page = cleared_page();
	write8(page, 2);
	look("write at once");
	page = cleared_page();
	(void)inb(0x21);
	write8(page, 2);
	look("write after IN");
	page = cleared_page();
	det_long_while();
	(void)read8(page);
	look("read after a long while");
	page = cleared_page();
	for (unsigned i = 0; i < 3000000 && (paging_entry(slot) & DIRTY) == 0; i++) {
		write8(page, 3);
		if ((paging_entry(slot) & DIRTY) != 0)
			report("written in a loop = dirty after %u writes", i);
	}
	page = cleared_page();
	__asm__ volatile("invlpg (%0)" : : "r"(page) : "memory");
	write8(page, 4);
	look("write after INVLPG");
}

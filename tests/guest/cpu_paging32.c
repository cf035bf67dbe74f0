// SPDX-License-Identifier: BSD-2-Clause
// 32-bit and PAE paging: each flag at each level, large pages, PSE-36, reserved bits, NX, WP, SMEP
// and accessed and dirty flags, for the CPU's accesses and for those that a hypervisor makes. SDM
// vol. 3, 4.3, 4.4, 4.6 to 4.8. 4-level paging: cpu_paging.c.
//
// A line's ten values are page-fault error codes, "-" where there is none: read, write, fetch, MOVS
// from a device, CMPS with a device; in ring 0 and then in ring 3.
#include "lib/legacy.h"

PAYLOAD("cpu_paging32");

enum { P = 1, W = 2, U = 4, A = 0x20, D = 0x40, PS = 0x80, WINDOW = 0x80000000u,
	CR0_WP = 1 << 16, EFER_NXE = 0x800 };
#define NX (1ull << 63)

extern uint64_t paging_pd[], paging_pae[];
extern uint32_t paging_pse[];
static uint32_t table32[1024] __attribute__((aligned(4096)));
static uint64_t table_pae[512] __attribute__((aligned(4096)));
static uint8_t page[4096] __attribute__((aligned(4096)));
uint32_t target; // where in the window

#define ACCESSES(X)                                                                                \
	X(read, "movl target, %edi", "movb (%edi), %al", "")                                       \
	X(write, "movl target, %edi", "movb $0xc3, (%edi)", "")                                    \
	X(fetch, "movl target, %edi", "call *%edi", "")                                            \
	X(movs, "movl target, %edi; movl $0xd0000000, %esi", "movsb", "")                          \
	X(cmps, "movl target, %edi; movl $0xd0000000, %esi", "cmpsb", "")

LEGACY_SNIPPETS(accesses, ACCESSES)

static unsigned mode;

// Level 2 is the directory's entry, level 1 the table's.
static uint64_t entry_get(unsigned level)
{
	if (mode == MODE_PAE32)
		return level == 2 ? paging_pd[WINDOW >> 21] : table_pae[0];
	return level == 2 ? paging_pse[WINDOW >> 22] : table32[0];
}

static void entry_set(unsigned level, uint64_t value)
{
	if (mode == MODE_PAE32 && level == 2)
		paging_pd[WINDOW >> 21] = value;
	else if (mode == MODE_PAE32)
		table_pae[0] = value;
	else if (level == 2)
		paging_pse[WINDOW >> 22] = (uint32_t)value;
	else
		table32[0] = (uint32_t)value;
}

static uint32_t large_bytes(void)
{
	return mode == MODE_PAE32 ? 0x200000 : 0x400000;
}

static void tables_reset(bool large)
{
	uint32_t at = (uint32_t)(uintptr_t)page, mask = large ? large_bytes() - 1 : 4095;

	entry_set(1, at | P | W | U);
	if (large)
		entry_set(2, (at & ~mask) | P | W | U | PS);
	else if (mode == MODE_PAE32)
		entry_set(2, (uintptr_t)table_pae | P | W | U);
	else
		entry_set(2, (uintptr_t)table32 | P | W | U);
	target = WINDOW + (at & mask);
}

static void access_print(const struct snippet *snippet, bool user)
{
	bool fetch = snippet == &accesses[2];

	page[0] = 0xc3;
	if (!legacy_traps(mode, snippet, user, 0)) {
		print(" -");
		return;
	}
	if (legacy_record.vector != 14)
		print(" #%u", legacy_record.vector);
	else
		print(" %x%s%s", legacy_record.error, legacy_record.cr2 == target ? "" : "(cr2)",
			legacy_record.eip == (fetch ? target : (uint32_t)(uintptr_t)snippet->at) ?
				"" : "(eip)");
}

static void accesses_print(const char *prefix, const char *what, unsigned level)
{
	print("%s: %s.%s at level %u =", payload_name, prefix, what, level);
	for (unsigned user = 0; user < 2; user++)
		for (unsigned k = 0; k < SNIPPET_COUNT(accesses); k++)
			access_print(&accesses[k], user == 1);
	print("\n");
}

static void paging_flags(const char *prefix, bool large, bool nx)
{
	static const struct {
		const char *name;
		uint64_t clear, set;
	} flags[] = {
		{"all", 0, 0}, {"absent", P, 0}, {"read_only", W, 0}, {"supervisor", U, 0},
		{"supervisor_ro", U | W, 0}, {"nx", 0, NX},
	};

	for (unsigned f = 0; f < (nx ? 6 : 5); f++) {
		for (unsigned level = 2; level >= (large ? 2 : 1); level--) {
			tables_reset(large);
			entry_set(level, (entry_get(level) & ~flags[f].clear) | flags[f].set);
			accesses_print(prefix, flags[f].name, level);
			if (f == 0)
				break;
		}
	}
}

static void paging_accessed(const char *prefix, bool large)
{
	for (unsigned k = 0; k < SNIPPET_COUNT(accesses); k++) {
		tables_reset(large);
		page[0] = 0xc3;
		legacy_traps(mode, &accesses[k], false, 0);
		print("%s: %s.%s marks", payload_name, prefix, accesses[k].name);
		for (unsigned level = 2; level >= (large ? 2 : 1); level--)
			print(" %lx", entry_get(level) & (A | D));
		print("\n");
	}
}

static void reserved_print(const char *prefix, const char *what, bool large, unsigned level,
	uint64_t bits)
{
	tables_reset(large);
	entry_set(level, entry_get(level) | bits);
	accesses_print(prefix, what, level);
}

static void paging_32(void)
{
	mode = MODE_PSE32;
	paging_flags("pse.4k", false, false);
	paging_flags("pse.4m", true, false);
	write_cr0(read_cr0() & ~(uint64_t)CR0_WP);
	paging_flags("pse.wp_off", false, false);
	write_cr0(read_cr0() | CR0_WP);
	paging_accessed("pse.4k", false);
	paging_accessed("pse.4m", true);
	reserved_print("pse.4m", "bit 21", true, 2, 1 << 21);
	reserved_print("pse.4m", "pat", true, 2, 1 << 12);
	reserved_print("pse.4k", "pat", false, 1, PS);
	reserved_print("pse.4k", "global", false, 1, 0x100);
	reserved_print("pse.4k", "available", false, 2, 0xe00);
}

static void paging_pae_mode(void)
{
	mode = MODE_PAE32;
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE);
	paging_flags("pae.4k", false, true);
	paging_flags("pae.2m", true, true);
	write_cr0(read_cr0() & ~(uint64_t)CR0_WP);
	paging_flags("pae.wp_off", false, false);
	write_cr0(read_cr0() | CR0_WP);
	paging_accessed("pae.4k", false);
	paging_accessed("pae.2m", true);
	reserved_print("pae.4k", "bit 51", false, 2, 1ull << 51);
	reserved_print("pae.4k", "bit 51", false, 1, 1ull << 51);
	reserved_print("pae.4k", "bit 62", false, 1, 1ull << 62);
	reserved_print("pae.4k", "bit 52", false, 2, 1ull << 52);
	reserved_print("pae.2m", "bit 13", true, 2, 1 << 13);
	reserved_print("pae.2m", "bit 20", true, 2, 1 << 20);
	reserved_print("pae.2m", "pat", true, 2, 1 << 12);
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~(uint64_t)EFER_NXE);
	reserved_print("pae.nxe_off", "nx", false, 1, NX);
	reserved_print("pae.nxe_off", "absent", false, 1, 0);
}

// PDPTEs are read, and checked, when CR3 is loaded: SDM vol. 3, 4.4.1. Below nested paging AMD's
// CPUs read them at each walk: APM vol. 2, 15.25.10.
#define POINTERS(X)                                                                                \
	X(load_cr3, "movl %cr3, %eax", "movl %eax, %cr3", "")                                      \
	X(load_cr0, "movl %cr0, %eax", "movl %eax, %cr0", "")                                      \
	X(toggle_pge, "movl %cr4, %eax; xorl $0x80, %eax", "movl %eax, %cr4", "")                  \
	X(absent_then_cr3, "andl $~1, paging_pae + 16; movl %cr3, %eax; movl %eax, %cr3",          \
		"movb 0x80000000, %al", "")                                                        \
	X(bad_then_cr3, "orl $2, paging_pae + 16; movl %cr3, %eax", "movl %eax, %cr3", "")         \
	X(absent_without_cr3, "andl $~1, paging_pae + 16", "movb 0x80000000, %al", "")

LEGACY_SNIPPETS(pointers, POINTERS)

static void paging_pointers(void)
{
	uint64_t before = paging_pae[2];

	mode = MODE_PAE32;
	for (unsigned i = 0; i < SNIPPET_COUNT(pointers); i++) {
		tables_reset(false);
		legacy_report(i < 4 ? "pdpte" : "vendor: pdpte", mode, &pointers[i], false, 0);
		paging_pae[2] = before;
	}
	snippet_report_rf("pdpte");
}

// Across the border of two pages, the second one absent.
#define CROSSINGS(X)                                                                               \
	X(crossing_movs, "movl $0x80000ffe, %edi; movl $0xd0000000, %esi", "movsl", "")            \
	X(crossing_read, "movl $0x80000ffe, %esi", "lodsl", "")

LEGACY_SNIPPETS(crossings, CROSSINGS)

static void paging_crossings(const char *prefix)
{
	for (unsigned i = 0; i < SNIPPET_COUNT(crossings); i++) {
		tables_reset(false);
		table32[1] = 0;
		table_pae[1] = 0;
		page[4094] = page[4095] = 0x5a;
		legacy_report(prefix, mode, &crossings[i], false, 0);
		report("%s.cr2 +0x%x, first page %s", prefix, legacy_record.cr2 - WINDOW,
			page[4094] == 0x5a && page[4095] == 0x5a ? "kept" : "WRITTEN");
	}
	snippet_report_rf(prefix);
}

void payload_main(void)
{
	uint32_t pse = paging_pse[WINDOW >> 22];
	uint64_t pae = paging_pd[WINDOW >> 21];

	legacy_reset();
	paging_32();
	paging_crossings("pse");
	paging_pae_mode();
	paging_crossings("pae");
	paging_pointers();
	paging_pse[WINDOW >> 22] = pse;
	paging_pd[WINDOW >> 21] = pae;
}

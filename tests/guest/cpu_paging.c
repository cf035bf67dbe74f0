// SPDX-License-Identifier: BSD-2-Clause
// 4-level paging: each flag at each level, in rings 0 and 3, with WP set and clear, for accesses
// that the CPU makes and for those that a hypervisor makes for it (the other operand is a device's
// register); large pages, reserved bits, NXE, SMEP, SMAP, accessed and dirty flags. SDM vol. 3, 4.5
// to 4.10. Other modes: cpu_paging32.c; invalidation: cpu_tlb.c.
//
// A line's ten values are page-fault error codes, "-" where there is none: read, write, fetch, MOVS
// from a device, CMPS with a device; in ring 0 and then in ring 3.
#include "lib/snippet.h"

PAYLOAD("cpu_paging");

#define BASE 0x8000000000ul // PML4's entry 1
#define NX   (1ull << 63)

enum { P = 1, W = 2, U = 4, A = 0x20, D = 0x40, PS = 0x80, CR0_WP = 1 << 16, EFER_NXE = 0x800,
	CR4_SMEP = 1 << 20, CR4_SMAP = 1 << 21, SEL_LDT = 0x68 };

extern uint64_t paging_pml4[], payload_gdt[];
static uint64_t tables[3][512] __attribute__((aligned(4096))); // PDPT, PD, PT
static uint8_t page[4096] __attribute__((aligned(4096)));
static uint64_t ldt[512] __attribute__((aligned(4096)));

// RDI: the address.
#define ACCESSES(X)                                                                                \
	X(read, "", "movb (%rdi), %al", "")                                                        \
	X(write, "", "movb $0xc3, (%rdi)", "")                                                     \
	X(fetch, "", "call *%rdi", "")                                                             \
	X(movs, "movl $0xd0000000, %esi", "movsb", "")                                             \
	X(cmps, "movl $0xd0000000, %esi", "cmpsb", "")

SNIPPETS(accesses, ACCESSES)

static uint64_t *entry_at(unsigned level)
{
	return level == 4 ? &paging_pml4[1] : &tables[3 - level][0];
}

// The leaf at `leaf` (1: 4 KiB, 2: 2 MiB, 3: 1 GiB), everything allowed.
static void tables_reset(unsigned leaf)
{
	uint64_t physical = (uintptr_t)page;

	*entry_at(4) = (uintptr_t)tables[0] | P | W | U;
	*entry_at(3) = (uintptr_t)tables[1] | P | W | U;
	*entry_at(2) = (uintptr_t)tables[2] | P | W | U;
	*entry_at(1) = physical | P | W | U;
	if (leaf == 2)
		*entry_at(2) = (physical & ~0x1fffffull) | P | W | U | PS;
	if (leaf == 3)
		*entry_at(3) = P | W | U | PS;
}

static uint64_t address_of(unsigned leaf)
{
	uint64_t size = 4096ull << 9 * (leaf - 1);

	return BASE + ((uintptr_t)page & (size - 1));
}

static void flush(void)
{
	write_cr3(read_cr3());
}

static void access_print(const struct snippet *snippet, bool user, uint64_t at)
{
	bool fetch = snippet == &accesses[2];

	page[0] = 0xc3;
	flush();
	if (!snippet_traps(snippet, user, 0, (void *)(uintptr_t)at)) {
		print(" -");
		return;
	}
	if (trap_last.vector != 14)
		print(" #%lu", trap_last.vector);
	else
		print(" %lx%s%s", trap_last.error, trap_last.cr2 == at ? "" : "(cr2)",
			trap_last.rip == (fetch ? at : (uintptr_t)snippet->at) ? "" : "(rip)");
}

static void accesses_print(const char *prefix, const char *what, unsigned level, unsigned leaf)
{
	print("%s: %s.%s at level %u =", payload_name, prefix, what, level);
	for (unsigned user = 0; user < 2; user++)
		for (unsigned k = 0; k < SNIPPET_COUNT(accesses); k++)
			access_print(&accesses[k], user == 1, address_of(leaf));
	print("\n");
}

static void paging_flags(const char *prefix, unsigned leaf)
{
	static const struct {
		const char *name;
		uint64_t clear, set;
	} flags[] = {
		{"all", 0, 0}, {"absent", P, 0}, {"read_only", W, 0}, {"supervisor", U, 0},
		{"supervisor_ro", U | W, 0}, {"nx", 0, NX}, {"nx_ro", W, NX},
	};

	for (unsigned f = 0; f < sizeof(flags) / sizeof(flags[0]); f++) {
		for (unsigned level = 4; level >= leaf; level--) {
			tables_reset(leaf);
			*entry_at(level) = (*entry_at(level) & ~flags[f].clear) | flags[f].set;
			accesses_print(prefix, flags[f].name, level, leaf);
			if (f == 0)
				break;
		}
	}
	tables_reset(leaf);
}

// Reserved bits: above the physical addresses, PS where no large page is, and bits of an address
// below a large page's size.
static void paging_reserved(unsigned leaf)
{
	static const char *const names[] = {"", "reserved_4k", "reserved_2m", "reserved_1g"};

	for (unsigned level = 4; level >= leaf; level--) {
		tables_reset(leaf);
		*entry_at(level) |= 1ull << 51;
		accesses_print(names[leaf], "bit 51", level, leaf);
	}
	tables_reset(leaf);
	*entry_at(4) |= PS;
	accesses_print(names[leaf], "ps", 4, leaf);
	if (leaf == 1)
		return;
	tables_reset(leaf);
	*entry_at(leaf) |= 1 << 13;
	accesses_print(names[leaf], "bit 13", leaf, leaf);
	tables_reset(leaf);
	*entry_at(leaf) |= leaf == 2 ? 1 << 20 : 1 << 29;
	accesses_print(names[leaf], "highest low bit", leaf, leaf);
	tables_reset(leaf);
	*entry_at(leaf) |= 1 << 12; // PAT
	accesses_print(names[leaf], "pat", leaf, leaf);
}

// Which levels are accessed and dirty after one access to clear tables.
static void paging_accessed(unsigned leaf)
{
	static const char *const names[] = {"", "flags_4k", "flags_2m", "flags_1g"};

	for (unsigned k = 0; k < SNIPPET_COUNT(accesses); k++) {
		tables_reset(leaf);
		page[0] = 0xc3;
		flush();
		snippet_traps(&accesses[k], false, 0, (void *)(uintptr_t)address_of(leaf));
		print("%s: %s.%s =", payload_name, names[leaf], accesses[k].name);
		for (unsigned level = 4; level >= leaf; level--)
			print(" %s%s", (*entry_at(level) & A) != 0 ? "a" : "-",
				level != leaf ? "" : (*entry_at(level) & D) != 0 ? "d" : "-");
		print("\n");
	}
	// A write where reading has been before, as the dirty flag must be set then too.
	tables_reset(leaf);
	flush();
	snippet_traps(&accesses[0], false, 0, (void *)(uintptr_t)address_of(leaf));
	snippet_traps(&accesses[1], false, 0, (void *)(uintptr_t)address_of(leaf));
	report("%s.read, then write = %s", names[leaf], (*entry_at(leaf) & D) != 0 ? "d" : "-");
	tables_reset(leaf);
	*entry_at(leaf) &= ~(uint64_t)W;
	flush();
	snippet_traps(&accesses[1], false, 0, (void *)(uintptr_t)address_of(leaf));
	report("%s.write refused = %s", names[leaf], (*entry_at(leaf) & D) != 0 ? "d" : "-");
}

// The payload's own pages become the supervisor's, so that SMEP and SMAP leave them alone.
static void paging_smep_smap(void)
{
	static const struct {
		const char *name;
		uint64_t cr4;
		bool ac;
	} modes[] = {
		{"neither", 0, false}, {"smep", CR4_SMEP, false}, {"smap", CR4_SMAP, false},
		{"smap_ac", CR4_SMAP, true}, {"both", CR4_SMEP | CR4_SMAP, false},
	};
	uint32_t has = cpuid(7, 0).ebx;
	uint64_t cr4 = read_cr4();

	if ((has >> 7 & 1) == 0 || (has >> 20 & 1) == 0) {
		report("smep_smap = not present");
		return;
	}
	paging_pml4[0] &= ~(uint64_t)U;
	for (unsigned m = 0; m < sizeof(modes) / sizeof(modes[0]); m++) {
		for (unsigned supervisor = 0; supervisor < 2; supervisor++) {
			tables_reset(1);
			if (supervisor != 0)
				*entry_at(2) &= ~(uint64_t)U;
			print("%s: %s.%s page =", payload_name, modes[m].name,
				supervisor != 0 ? "supervisor" : "user");
			for (unsigned k = 0; k < SNIPPET_COUNT(accesses); k++) {
				write_cr4(cr4 | modes[m].cr4);
				if (modes[m].ac)
					__asm__ volatile("stac" : : : "cc");
				access_print(&accesses[k], false, address_of(1));
				write_cr4(cr4);
				__asm__ volatile("pushfq; andl $~0x40000, (%%rsp); popfq"
						 : : : "cc", "memory");
			}
			print("\n");
		}
	}
	paging_pml4[0] |= U;
	flush();
}

// A descriptor table on a user page: the CPU's own access is a supervisor's, whatever AC says. It
// is an LDT, because a handler needs the GDT itself.
#define SELECTORS(X) X(load, "movl $4, %eax", "movl %eax, %es", "xorl %eax, %eax; movl %eax, %es")

SNIPPETS(selectors, SELECTORS)

static void paging_implicit(void)
{
	static const char *const names[] = {"implicit", "implicit_smap", "implicit_smap_ac"};
	uint64_t cr4 = read_cr4();

	if ((cpuid(7, 0).ebx >> 20 & 1) == 0) {
		report("implicit = not present");
		return;
	}
	ldt[0] = payload_gdt[SEL_DATA / 8];
	payload_gdt[SEL_LDT / 8] = 7 | (BASE & 0xffffff) << 16 | 0x82ull << 40 |
		(BASE >> 24 & 0xff) << 56;
	payload_gdt[SEL_LDT / 8 + 1] = BASE >> 32;
	for (unsigned mode = 0; mode < 3; mode++) {
		bool traps;

		paging_pml4[0] &= ~(uint64_t)U;
		tables_reset(1);
		*entry_at(1) = (uintptr_t)ldt | P | W | U;
		flush();
		__asm__ volatile("lldt %w0" : : "r"(SEL_LDT));
		write_cr4(cr4 | (mode != 0 ? CR4_SMAP : 0));
		if (mode == 2)
			__asm__ volatile("stac" : : : "cc");
		traps = snippet_traps(&selectors[0], false, 0, NULL);
		write_cr4(cr4);
		__asm__ volatile("pushfq; andl $~0x40000, (%%rsp); popfq" : : : "cc", "memory");
		paging_pml4[0] |= U;
		flush();
		report("%s = %u #%lu error 0x%lx cr2 +%lu", names[mode], traps,
			traps ? trap_last.vector : 0, traps ? trap_last.error : 0,
			traps ? trap_last.cr2 - (uint64_t)BASE : 0);
	}
	__asm__ volatile("lldt %w0" : : "r"(0));
}

void payload_main(void)
{
	bool gigabyte = (cpuid(0x80000001, 0).edx >> 26 & 1) != 0;

	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE);
	paging_flags("4k", 1);
	paging_flags("2m", 2);
	if (gigabyte)
		paging_flags("1g", 3);
	write_cr0(read_cr0() & ~(uint64_t)CR0_WP);
	paging_flags("4k_wp_off", 1);
	write_cr0(read_cr0() | CR0_WP);
	for (unsigned leaf = 1; leaf <= 3; leaf++) {
		if (leaf == 3 && !gigabyte) {
			report("1g = not present");
			break;
		}
		paging_reserved(leaf);
		paging_accessed(leaf);
	}
	paging_smep_smap();
	paging_implicit();
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~(uint64_t)EFER_NXE);
	paging_flags("nxe_off", 1);
}

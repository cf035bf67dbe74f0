// SPDX-License-Identifier: BSD-2-Clause
// Process-context identifiers and INVPCID. SDM vol. 3, 4.10.1 and 4.10.4.1; vol. 2, INVPCID.
// What a CPU may keep cached is not looked at, only what it must forget, and what it must refuse.
#include "lib/payload.h"

PAYLOAD("cpu_pcid");

enum { CR4_PCIDE = 1 << 17, SLOT = 9, PRESENT_WRITABLE = 3, LEAF1_PCID = 1 << 17,
	LEAF7_INVPCID = 1 << 10, PCID_A = 0x123, PCID_B = 0xfff };
enum { INVPCID_ADDRESS, INVPCID_CONTEXT, INVPCID_ALL, INVPCID_ALL_BUT_GLOBAL };
#define KEEP   (1ull << 63) // of a value for CR3: what is cached of the PCID stays
#define WINDOW ((volatile uint64_t *)(PAGING_WINDOW + 4096ull * SLOT))

struct invpcid {
	uint64_t type, pcid, address;
};

static uint64_t pages[2][512] __attribute__((aligned(4096)));
static uint64_t root;

static void set_cr4(void *value)
{
	write_cr4((uintptr_t)value);
}

static void set_cr3(void *value)
{
	write_cr3((uintptr_t)value);
}

static void invalidate(void *argument)
{
	const struct invpcid *what = argument;

	__asm__ volatile("invpcid (%0), %1" : : "r"(&what->pcid), "r"(what->type) : "memory");
}

static void map(unsigned page)
{
	uint64_t keep = read_cr3() | KEEP;

	paging_map(SLOT, (uintptr_t)pages[page], PRESENT_WRITABLE); // that invalidates
	write_cr3(keep);
}

// The window is used under A and B, then leads elsewhere; `forget` must make A see it.
static bool sees_new(void (*forget)(void *), void *argument)
{
	static uint64_t sum;

	map(0);
	write_cr3(root | PCID_B);
	sum += *WINDOW;
	write_cr3(root | PCID_A);
	sum += *WINDOW;
	write_cr3(root | PCID_B | KEEP);
	map(1); // invalidates for B alone
	forget(argument);
	write_cr3(root | PCID_A | KEEP);
	return *WINDOW == 1 && sum == 0;
}

static void forget_nothing(void *argument)
{
	(void)argument;
}

static void forget_by_cr3(void *argument)
{
	(void)argument;
	write_cr3(root | PCID_A); // bit 63 is clear
}

static void report_forgetting(void)
{
	struct invpcid address = {INVPCID_ADDRESS, PCID_A, (uintptr_t)WINDOW},
		context = {INVPCID_CONTEXT, PCID_A, 0}, all = {INVPCID_ALL, 0, 0},
		but_global = {INVPCID_ALL_BUT_GLOBAL, 0, 0};
	uint64_t cr4 = read_cr4();

	report_check("forgotten by MOV to CR3", sees_new(forget_by_cr3, NULL));
	report_check("forgotten by INVPCID of the address", sees_new(invalidate, &address));
	report_check("forgotten by INVPCID of the PCID", sees_new(invalidate, &context));
	report_check("forgotten by INVPCID of all", sees_new(invalidate, &all));
	report_check("forgotten by INVPCID of all but global", sees_new(invalidate, &but_global));
	(void)sees_new(forget_nothing, NULL);
	write_cr3(root);
	write_cr4(cr4 & ~(uint64_t)CR4_PCIDE);
	report_check("forgotten when PCIDE is cleared", *WINDOW == 1);
	write_cr4(cr4);
}

static void report_invpcid(const char *what, uint64_t type, uint64_t pcid, uint64_t address)
{
	struct invpcid argument = {type, pcid, address};

	report_trap(what, invalidate, &argument);
}

static void report_refused(void)
{
	report_invpcid("INVPCID type 4", 4, 0, 0);
	report_invpcid("INVPCID PCID bit 12", INVPCID_CONTEXT, 1 << 12, 0);
	report_invpcid("INVPCID of an address that is not canonical", INVPCID_ADDRESS, 1,
		1ull << 62);
	report_invpcid("INVPCID of all, an address that does not matter", INVPCID_ALL, 1,
		1ull << 62);
	report_trap("CR3 bit 62", set_cr3, (void *)(uintptr_t)(root | 1ull << 62));
	report_trap("CR3 bit 52", set_cr3, (void *)(uintptr_t)(root | 1ull << 52));
}

void payload_main(void)
{
	uint64_t cr4 = read_cr4();

	root = read_cr3();
	report("PCID = %s", (cpuid(1, 0).ecx & LEAF1_PCID) != 0 ? "offered" : "not offered");
	report("INVPCID = %s", (cpuid(7, 0).ebx & LEAF7_INVPCID) != 0 ? "offered" : "not offered");
	if ((cpuid(1, 0).ecx & LEAF1_PCID) == 0 || (cpuid(7, 0).ebx & LEAF7_INVPCID) == 0)
		return;
	pages[1][0] = 1;
	report_invpcid("without PCIDE: INVPCID of PCID 0", INVPCID_CONTEXT, 0, 0);
	report_invpcid("without PCIDE: INVPCID of PCID 1", INVPCID_CONTEXT, 1, 0);
	write_cr3(root | 0x18); // PCD and PWT
	report_trap("PCIDE with bits 4:3 of CR3", set_cr4, (void *)(uintptr_t)(cr4 | CR4_PCIDE));
	write_cr3(root);
	report_trap("PCIDE with PCID 0", set_cr4, (void *)(uintptr_t)(cr4 | CR4_PCIDE));
	report("CR4.PCIDE = %s", (read_cr4() & CR4_PCIDE) != 0 ? "set" : "clear");
	write_cr3(root | PCID_A | KEEP);
	report("CR3 = root + 0x%lx", read_cr3() - root);
	report("local APIC version = 0x%x", lapic_read(LAPIC_VERSION) & 0xf0);
	report_forgetting();
	report_refused();
	write_cr3(root);
	write_cr4(cr4);
}

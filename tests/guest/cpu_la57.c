// SPDX-License-Identifier: BSD-2-Clause
// 5-level paging: addresses of 57 bits, for accesses that the CPU makes and for those that a
// hypervisor makes for it (one operand is a device's register). SDM vol. 3, 4.5 and 4.10; vol. 1,
// 3.3.7.1 (canonical addresses).
#include "lib/payload.h"

PAYLOAD("cpu_la57");

enum { LEAF7_LA57 = 1 << 16, CR4_LA57 = 1 << 12, P = 1, W = 2, A = 0x20, PS = 0x80 };
#define TOP(index) ((uint64_t)(index) << 48) // what entry INDEX of the first level maps
#define DEVICE     (LAPIC_BASE + LAPIC_VERSION)

extern uint64_t paging_pml4[];
static uint64_t lower[512] __attribute__((aligned(4096)));
static volatile uint64_t word;

// EBX: what the tables begin with from now on; ECX: where; EDX: bits of CR4 that change.
extern const char la57_code[], la57_code_end[];
__asm__(".text\n"
	".code32\n"
	"la57_code:\n"
	"movl %ebx, (%ecx)\n"
	"movl %cr4, %eax\n"
	"xorl %edx, %eax\n"
	"movl %eax, %cr4\n"
	"ret\n"
	"la57_code_end:\n"
	".code64\n");

static void change_levels(uint64_t first)
{
	struct low_regs regs = {.ebx = (uint32_t)first,
		.ecx = (uint32_t)(uintptr_t)paging_pml4, .edx = CR4_LA57};

	mode_run(MODE_PROT32, la57_code, (size_t)(la57_code_end - la57_code), &regs);
}

static void toggle_la57(void *argument)
{
	(void)argument;
	write_cr4(read_cr4() ^ CR4_LA57);
}

static void read_at(void *at)
{
	(void)*(volatile uint64_t *)at;
}

static void copy_from_device(void *to)
{
	const void *from = (const void *)(uintptr_t)DEVICE;

	__asm__ volatile("movsl" : "+S"(from), "+D"(to) : : "memory");
}

static void report_address(const char *what, uint64_t address)
{
	static void (*const accesses[])(void *) = {read_at, copy_from_device};
	static const char *const names[] = {"read", "from a device"};

	for (unsigned i = 0; i < 2; i++) {
		if (!trap_catch(accesses[i], (void *)(uintptr_t)address))
			report("%s, %s = none", what, names[i]);
		else if (trap_last.vector != 14)
			report("%s, %s = #%lu", what, names[i], trap_last.vector);
		else
			report("%s, %s = #14 error 0x%lx at 0x%lx", what, names[i], trap_last.error,
				trap_last.cr2);
	}
}

static void report_walks(void)
{
	uint64_t data = (uintptr_t)&word;

	paging_pml4[1] = (uintptr_t)lower | P | W;
	lower[256] = lower[0];
	word = 5;
	report("through the second entry = %lu", *(volatile uint64_t *)(uintptr_t)(TOP(1) + data));
	report("above bit 47 = %lu", *(volatile uint64_t *)(uintptr_t)((1ull << 47) + data));
	report("device there = 0x%x", read32(TOP(1) + DEVICE) & 0xf0);
	paging_pml4[1] &= ~(uint64_t)A;
	write_cr3(read_cr3());
	copy_from_device((void *)(uintptr_t)(TOP(1) + data));
	report("copied by its first level = %s", (paging_pml4[1] & A) != 0 ? "accessed" : "not");
	report("what was copied = 0x%lx", word & 0xf0);
	report_address("absent", TOP(4) + data);
	paging_pml4[4] = paging_pml4[1] | PS;
	report_address("PS at the first level", TOP(4) + data);
	paging_pml4[4] = 0;
	report_address("not canonical", TOP(0x100) + data);
	report_address("highest half", ~0ull << 56 | data);
}

void payload_main(void)
{
	uint64_t first = paging_pml4[0];

	if ((cpuid(7, 0).ecx & LEAF7_LA57) == 0) {
		report("LA57 = not offered");
		return;
	}
	report("LA57 = offered");
	report("bits of an address = %u", cpuid(0x80000008, 0).eax >> 8 & 0xff);
	report_trap("set in long mode", toggle_la57, NULL);
	report_address("bit 48", TOP(1) + (uintptr_t)&word);
	for (unsigned i = 0; i < 512; i++)
		lower[i] = paging_pml4[i];
	change_levels((uintptr_t)lower | P | W | 4);
	report("CR4.LA57 = %s", (read_cr4() & CR4_LA57) != 0 ? "set" : "clear");
	report_walks();
	report_trap("cleared in long mode", toggle_la57, NULL);
	change_levels(first);
	report("CR4.LA57 = %s", (read_cr4() & CR4_LA57) != 0 ? "set" : "clear");
	report_address("bit 48 again", TOP(1) + (uintptr_t)&word);
}

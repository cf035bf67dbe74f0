// SPDX-License-Identifier: BSD-2-Clause
// A machine that is in the way of others on its core, and leaves something else in all that a core
// may hold of its guests: x87, SSE and AVX registers, XCR0, debug registers, system MSRs. It halts
// now and then, and never ends.
#include "lib/payload.h"

PAYLOAD("neighbour");

enum { CR4_OSFXSR = 1 << 9, CR4_OSXSAVE = 1 << 18, VECTOR = 0x50 };

static uint8_t area[4096] __attribute__((aligned(64)));

static uint32_t random_state = 1;

static uint32_t random_next(void)
{
	random_state = random_state * 1664525 + 1013904223;
	return random_state >> 8;
}

static void spoil(uint64_t components)
{
	static const uint32_t msrs[] = {MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_SFMASK,
		MSR_KERNEL_GS_BASE, 0x174, 0x175, 0x176};

	for (unsigned i = 160; i < 832; i++)
		area[i] = (uint8_t)random_next();
	for (unsigned i = 416; i < 576; i++)
		area[i] = 0;
	area[512] = (uint8_t)(random_next() & components); // some as they are after a reset
	area[0] = 0x7f;
	area[1] = 3;
	area[24] = 0x80;
	area[25] = 0x1f;
	__asm__ volatile("xrstor (%0)" : : "r"(area), "a"(7), "d"(0) : "memory");
	__asm__ volatile("fld1; fldpi; fmulp; fstpl (%0)" : : "r"(area + 1024) : "memory");
	for (unsigned i = 0; i < sizeof(msrs) / sizeof(msrs[0]); i++)
		wrmsr(msrs[i], random_next() & 0xffff);
	if ((cpuid(0x80000001, 0).edx >> 27 & 1) != 0)
		wrmsr(MSR_TSC_AUX, random_next());
	write_dr0(random_next());
	write_dr6(0xffff0ff0 | (random_next() & 15));
	write_cr2(random_next());
	wrmsr(MSR_TSC, random_next());
}

static void ignore(struct trap_frame *frame)
{
	(void)frame;
	lapic_write(LAPIC_EOI, 0);
}

void payload_main(void)
{
	uint64_t components;

	write_cr4(read_cr4() | CR4_OSFXSR | CR4_OSXSAVE);
	components = cpuid(0xd, 0).eax & 7;
	trap_set_hook(VECTOR, ignore);
	for (;;) {
		xsetbv(0, components);
		spoil(components);
		for (unsigned i = random_next() % 100000; i != 0; i--)
			__asm__ volatile("");
		if (random_next() % 4 != 0)
			continue;
		xsetbv(0, 1);
		lapic_write(LAPIC_TIMER, VECTOR);
		lapic_write(LAPIC_TMICT, 1 + random_next() % 1000000);
		sti_hlt_cli();
	}
}

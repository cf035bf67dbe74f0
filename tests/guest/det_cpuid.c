// SPDX-License-Identifier: BSD-2-Clause
// All that CPUID tells, from several places: it is the same everywhere and every time, but for the
// bits that mirror the CPU's own state.
#include "lib/det.h"

PAYLOAD("det_cpuid");

enum { CR4_OSXSAVE = 1 << 18, SUBLEAVES = 4 };

static const struct {
	uint32_t first, last;
} ranges[] = {{0, 0x24}, {0x40000000, 0x40000020}, {0x4fff0000, 0x4fff0001},
	{0x80000000, 0x80000028}, {0xc0000000, 0xc0000002}};

static void dump(void)
{
	for (unsigned r = 0; r < sizeof(ranges) / sizeof(ranges[0]); r++)
		for (uint32_t leaf = ranges[r].first; leaf <= ranges[r].last; leaf++) {
			struct cpuid first = cpuid(leaf, 0);

			for (uint32_t sub = 0; sub < SUBLEAVES; sub++) {
				struct cpuid c = cpuid(leaf, sub);

				if ((c.eax | c.ebx | c.ecx | c.edx) == 0 ||
					(sub != 0 && c.eax == first.eax && c.ebx == first.ebx &&
						c.ecx == first.ecx && c.edx == first.edx))
					continue;
				report("%x.%x = %x %x %x %x", leaf, sub, c.eax, c.ebx, c.ecx,
					c.edx);
			}
		}
}

static void hash_all(void *argument)
{
	uint64_t hash = DET_HASH_START;

	for (unsigned r = 0; r < sizeof(ranges) / sizeof(ranges[0]); r++)
		for (uint32_t leaf = ranges[r].first; leaf <= ranges[r].last; leaf++)
			for (uint32_t sub = 0; sub < SUBLEAVES; sub++) {
				struct cpuid c = cpuid(leaf, sub);

				hash = det_hash(hash, (uint64_t)c.ebx << 32 | c.eax);
				hash = det_hash(hash, (uint64_t)c.edx << 32 | c.ecx);
			}
	*(uint64_t *)argument = hash;
}

void payload_main(void)
{
	uint64_t kernel, user = 0, later;

	dump();
	hash_all(&kernel);
	report("hash = 0x%lx", kernel);
	report("user traps = %u", det_user(hash_all, &user));
	report("hash in ring 3 = 0x%lx", user);
	det_long_while();
	hash_all(&later);
	report_check("the same everywhere", kernel == user && kernel == later);
	write_cr4(read_cr4() | CR4_OSXSAVE);
	xsetbv(0, cpuid(0xd, 0).eax);
	hash_all(&later);
	report("hash with XCR0 = 0x%lx, size %u", later, cpuid(0xd, 0).ebx);
	report("tsc = %lu", rdtsc());
}

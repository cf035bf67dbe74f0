// SPDX-License-Identifier: BSD-2-Clause
// A sweep of all MSRs that a CPU may have: each has a value that is the machine's own, or does not
// exist.
#include "lib/det.h"

PAYLOAD("det_msrs");

static const struct {
	uint32_t first, last;
} ranges[] = {{0, 0x1fff}, {0x40000000, 0x40000200}, {0x4b564d00, 0x4b564d10},
	{0x80000000, 0x80000010}, {0xc0000000, 0xc0011000}};

static uint64_t value;

static void read(void *argument)
{
	value = rdmsr((uint32_t)(uintptr_t)argument);
}

static void sweep(const char *name, uint32_t first, uint32_t last, bool list)
{
	uint64_t hash = DET_HASH_START;
	unsigned count = 0;

	for (uint32_t msr = first; msr <= last; msr++) {
		if (trap_catch(read, (void *)(uintptr_t)msr)) {
			if (trap_last.vector != 13)
				report("%x = #%lu", msr, trap_last.vector);
			continue;
		}
		count++;
		hash = det_hash(hash, (uint64_t)msr << 32 ^ value);
		if (list)
			report("%x = 0x%lx", msr, value);
	}
	report("%s %x to %x = %u MSRs, hash 0x%lx", name, first, last, count, hash);
}

void payload_main(void)
{
	for (unsigned i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
		sweep("all", ranges[i].first, ranges[i].last, true);
	if (lapic_has_x2apic()) {
		lapic_enable_x2apic();
		sweep("x2apic", 0x800, 0xbff, true);
	}
	sweep("again", 0, 0x200, false);
}

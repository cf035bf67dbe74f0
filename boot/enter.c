// SPDX-License-Identifier: BSD-2-Clause
#include "boot/enter.h"

#include "boot/enter_abi.h"
#include "kernel/x86.h"

enum {
	PAGE_PRESENT = 1 << 0,
	PAGE_WRITE = 1 << 1,
	PAGE_LARGE = 1 << 7,
	CPUID_EXTENDED_MAX = 0x80000000u,
	CPUID_EXTENDED_FEATURES = 0x80000001u,
	CPUID_EDX_PAGE_1G = 1 << 26,
	ENTRIES = 512,
};

static bool enter_has_1g_pages(void)
{
	return cpuid(CPUID_EXTENDED_MAX, 0).eax >= CPUID_EXTENDED_FEATURES &&
		(cpuid(CPUID_EXTENDED_FEATURES, 0).edx & CPUID_EDX_PAGE_1G) != 0;
}

// Fills the tables; the PVH stub runs on them already, and what it mapped stays the same.
static void enter_fill_tables(void)
{
	for (uint64_t i = 0; i < BOOT_DIRECTORIES * ENTRIES; i++)
		boot_directories[i] = i * LARGE_PAGE_BYTES | PAGE_LARGE | PAGE_WRITE | PAGE_PRESENT;
	for (uint64_t i = 0; i < BOOT_DIRECTORIES; i++)
		boot_pointers[i] = (uint64_t)(uintptr_t)&boot_directories[i * ENTRIES] |
			PAGE_WRITE | PAGE_PRESENT;
	if (enter_has_1g_pages())
		for (uint64_t i = BOOT_DIRECTORIES; i < ENTRIES; i++)
			boot_pointers[i] = i * GIB | PAGE_LARGE | PAGE_WRITE | PAGE_PRESENT;
	boot_level4[0] = (uint64_t)(uintptr_t)boot_pointers | PAGE_WRITE | PAGE_PRESENT;
	// For firmware that left five-level paging on: until boot_enter_switch turns it off.
	boot_level5[0] = (uint64_t)(uintptr_t)boot_level4 | PAGE_WRITE | PAGE_PRESENT;
}

_Noreturn void boot_enter(struct boot_info *info)
{
	enter_fill_tables();
	boot_enter_switch(info);
}

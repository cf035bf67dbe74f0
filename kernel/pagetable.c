// SPDX-License-Identifier: BSD-2-Clause
// Four-level tables (SDM vol. 3, 4.5). 2 MiB pages wherever a range allows; a page that must be
// split is replaced by a table with the same translation.
#include "kernel/pagetable.h"

#include "kernel/base/assert.h"
#include "kernel/desc.h"
#include "kernel/mem.h"
#include "kernel/spinlock.h"
#include "kernel/x86.h"

#define PTE_PRESENT BIT(0)
#define PTE_WRITE   BIT(1)
#define PTE_PWT     BIT(3)
#define PTE_PCD     BIT(4)
#define PTE_LARGE   BIT(7)
#define PTE_NX      BIT(63)
#define PTE_ADDRESS 0x000ffffffffff000u

enum { ENTRIES = 512, LEVELS = 4 };

static struct spinlock lock; // of all tables below root
static uint64_t *root;       // (c)

extern uint8_t image_start[], text_start[], text_end[], rodata_start[], rodata_end[],
	data_start[], data_end[], image_end[];

static uint64_t protection_bits(enum pagetable_protection protection)
{
	switch (protection) {
	case PAGETABLE_NONE:
		return 0;
	case PAGETABLE_DATA:
		return PTE_PRESENT | PTE_WRITE | PTE_NX;
	case PAGETABLE_RODATA:
		return PTE_PRESENT | PTE_NX;
	case PAGETABLE_CODE:
		return PTE_PRESENT;
	case PAGETABLE_DEVICE:
		return PTE_PRESENT | PTE_WRITE | PTE_NX | PTE_PCD | PTE_PWT;
	}
	ASSERT_UNREACHABLE("unknown protection");
}

static uint64_t *table_of(uint64_t entry)
{
	return hpa_pointer((struct hpa){entry & PTE_ADDRESS});
}

static uint64_t *table_alloc(void)
{
	uint64_t *table = mem_pages_alloc(1);

	ASSERT(table != NULL); // at boot, or for a stack's guard: the machine is too small to run
	return table;
}

// Replaces a large page by a table of 4 KiB pages with the same protection.
static void large_page_split(uint64_t *entry)
{
	uint64_t *table = table_alloc();
	uint64_t bits = *entry & ~(PTE_ADDRESS | PTE_LARGE);

	for (unsigned i = 0; i < ENTRIES; i++)
		table[i] = ((*entry & PTE_ADDRESS) + i * PAGE_BYTES) | bits;
	*entry = hpa_of(table).v | PTE_PRESENT | PTE_WRITE;
}

// The entry for `address` in the table of `level` (1: 4 KiB pages, 2: 2 MiB pages).
static uint64_t *entry_find(uint64_t address, unsigned level)
{
	uint64_t *table = root;

	for (unsigned at = LEVELS; at > level; at--) {
		uint64_t *entry = &table[address >> (12 + 9 * (at - 1)) & (ENTRIES - 1)];

		if ((*entry & PTE_PRESENT) != 0 && (*entry & PTE_LARGE) != 0)
			large_page_split(entry);
		else if ((*entry & PTE_PRESENT) == 0)
			*entry = hpa_of(table_alloc()).v | PTE_PRESENT | PTE_WRITE;
		table = table_of(*entry);
	}
	return &table[address >> (12 + 9 * (level - 1)) & (ENTRIES - 1)];
}

// True where a 2 MiB entry may be written as a large page: it does not lead to a table.
static bool entry_takes_large(uint64_t entry)
{
	return (entry & PTE_PRESENT) == 0 || (entry & PTE_LARGE) != 0;
}

void pagetable_set(struct hpa start, uint64_t bytes, enum pagetable_protection protection)
{
	uint64_t bits = protection_bits(protection), at = start.v, end = start.v + bytes;

	ASSERT(start.v % PAGE_BYTES == 0 && bytes % PAGE_BYTES == 0);
	spin_lock(&lock);
	while (at < end) {
		if (at % LARGE_PAGE_BYTES == 0 && end - at >= LARGE_PAGE_BYTES) {
			uint64_t *entry = entry_find(at, 2);

			if (entry_takes_large(*entry)) {
				*entry = bits != 0 ? at | bits | PTE_LARGE : 0;
				invlpg(hpa_pointer((struct hpa){at}));
				at += LARGE_PAGE_BYTES;
				continue;
			}
		}
		*entry_find(at, 1) = bits != 0 ? at | bits : 0;
		invlpg(hpa_pointer((struct hpa){at}));
		at += PAGE_BYTES;
	}
	spin_unlock(&lock);
}

volatile void *pagetable_map_device(struct hpa start, uint64_t bytes)
{
	uint64_t first = ALIGN_DOWN(start.v, PAGE_BYTES);

	pagetable_set((struct hpa){first}, ALIGN_UP(start.v + bytes, PAGE_BYTES) - first,
		PAGETABLE_DEVICE);
	return hpa_pointer(start);
}

static void image_section_set(const uint8_t *start, const uint8_t *end,
	enum pagetable_protection protection)
{
	pagetable_set(hpa_of(start), ALIGN_UP((uint64_t)(end - start), PAGE_BYTES), protection);
}

static void protections_enable(void)
{
	uint64_t cr4 = cr4_read() | CR4_PGE;

	if ((cpuid(0, 0).eax) >= 7) {
		struct cpuid features = cpuid(7, 0);

		if ((features.ebx & BIT(7)) != 0)
			cr4 |= CR4_SMEP;
		if ((features.ebx & BIT(20)) != 0)
			cr4 |= CR4_SMAP;
	}
	if ((cpuid(1, 0).ecx & BIT(26)) != 0)
		cr4 |= CR4_OSXSAVE; // guests' XCR0 is read and set here
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE);
	cr0_write((cr0_read() | CR0_WP | CR0_MP | CR0_NE) & ~(CR0_TS | CR0_EM));
	cr3_write(hpa_of(root).v);
	cr4_write(cr4);
}

struct hpa pagetable_root(void)
{
	return hpa_of(root);
}

void pagetable_init(const struct boot_info *info)
{
	root = table_alloc();
	for (uint32_t i = 0; i < info->range_count; i++)
		if (info->ranges[i].kind != BOOT_RANGE_DEVICE)
			pagetable_set(info->ranges[i].start, info->ranges[i].bytes,
				PAGETABLE_DATA);
	image_section_set(image_start, image_end, PAGETABLE_RODATA);
	image_section_set(text_start, text_end, PAGETABLE_CODE);
	image_section_set(rodata_start, rodata_end, PAGETABLE_RODATA);
	image_section_set(data_start, data_end, PAGETABLE_DATA);
	for (unsigned i = 0; desc_stack_guard(i) != NULL; i++)
		pagetable_set(hpa_of(desc_stack_guard(i)), PAGE_BYTES, PAGETABLE_NONE);
	pagetable_set((struct hpa){0}, PAGE_BYTES, PAGETABLE_NONE); // null pointers fault
	protections_enable();
}

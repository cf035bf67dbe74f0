// SPDX-License-Identifier: BSD-2-Clause
// The page below 1 MiB in which the other CPUs start: kernel/smp_entry.S has the same layout, and
// its code behind it.
#ifndef KERNEL_SMP_ABI_H
#define KERNEL_SMP_ABI_H

#include "kernel/cpu.h"

// Where memory ends that a start-up message can name and that is RAM on every PC.
#define SMP_PAGE_LIMIT ((uint64_t)0xa0000)

enum { SMP_MODE_PROBE, SMP_MODE_START };

struct smp_far_pointer {
	uint32_t offset;
	uint16_t selector;
	uint16_t reserved;
};

struct smp_page {
	uint8_t jump[8]; // the first instruction
	uint32_t mode;
	// Of a probe: (a) CPUs that came, and those among them whose APIC id is in the table.
	uint32_t arrived, noted;
	uint32_t cr3;
	uint16_t reserved0;
	uint16_t gdt_limit;
	uint32_t gdt_address;
	struct smp_far_pointer protected_mode, long_mode;
	uint64_t entry; // in 64-bit mode, without a stack
	uint64_t gdt[4];
	uint32_t apic_ids[CPU_MAX];
};
_Static_assert(offsetof(struct smp_page, mode) == 8, "kernel/smp_entry.S");
_Static_assert(offsetof(struct smp_page, gdt_limit) == 26, "kernel/smp_entry.S");
_Static_assert(offsetof(struct smp_page, protected_mode) == 32, "kernel/smp_entry.S");
_Static_assert(offsetof(struct smp_page, entry) == 48, "kernel/smp_entry.S");
_Static_assert(offsetof(struct smp_page, gdt) == 56, "kernel/smp_entry.S");
_Static_assert(offsetof(struct smp_page, apic_ids) == 88, "kernel/smp_entry.S");
_Static_assert(sizeof(struct smp_page) == 344, "kernel/smp_entry.S");

// The page's contents; its addresses are filled in where it is copied to.
extern const uint8_t smp_page_start[], smp_page_end[];
extern const uint8_t smp_page_protected_mode[], smp_page_long_mode[];

// (a) The CPU that may start now: whoever arrives takes it, and those who find NULL halt.
extern struct cpu *smp_offer;
extern const uint8_t smp_entry[];
_Noreturn void smp_cpu_main(struct cpu *cpu);

#endif

// SPDX-License-Identifier: BSD-2-Clause
// Instructions. Included by payload.h.
#ifndef TESTS_GUEST_CPU_H
#define TESTS_GUEST_CPU_H

#include <stdbool.h>
#include <stdint.h>

enum {
	MSR_TSC = 0x10,
	MSR_APIC_BASE = 0x1b,
	MSR_TSC_ADJUST = 0x3b,
	MSR_MTRRCAP = 0xfe,
	MSR_PAT = 0x277,
	MSR_TSC_DEADLINE = 0x6e0,
	MSR_X2APIC = 0x800,
};
#define MSR_EFER    0xc0000080u
#define MSR_STAR    0xc0000081u
#define MSR_LSTAR   0xc0000082u
#define MSR_CSTAR   0xc0000083u
#define MSR_SFMASK  0xc0000084u
#define MSR_FS_BASE 0xc0000100u
#define MSR_GS_BASE 0xc0000101u
#define MSR_KERNEL_GS_BASE 0xc0000102u
#define MSR_TSC_AUX 0xc0000103u

struct cpuid {
	uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid cpuid(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid r;

	__asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
			 : "a"(leaf), "c"(subleaf));
	return r;
}

// QEMU's emulator alone, with no hypervisor between. It never finishes a MOV to CR4 that sets a
// reserved bit and carries out a MOV to CR0 that it must refuse: payloads leave these out there.
static inline bool cpu_is_bare_emulator(void)
{
	return cpuid(0x40000000, 0).ebx == 0x54474354; // "TCGT"
}

#define CPU_PORT_ACCESS(name, type)                                                                \
	static inline type in##name(uint16_t port)                                                 \
	{                                                                                          \
		type value;                                                                        \
		__asm__ volatile("in %1, %0" : "=a"(value) : "Nd"(port) : "memory");               \
		return value;                                                                      \
	}                                                                                          \
	static inline void out##name(uint16_t port, type value)                                    \
	{                                                                                          \
		__asm__ volatile("out %0, %1" : : "a"(value), "Nd"(port) : "memory");              \
	}

CPU_PORT_ACCESS(b, uint8_t)
CPU_PORT_ACCESS(w, uint16_t)
CPU_PORT_ACCESS(l, uint32_t)

#define CPU_MMIO_ACCESS(bits, type)                                                                \
	static inline type read##bits(uintptr_t at)                                                \
	{                                                                                          \
		type value;                                                                        \
		__asm__ volatile("mov %1, %0" : "=r"(value) : "m"(*(volatile type *)at));          \
		return value;                                                                      \
	}                                                                                          \
	static inline void write##bits(uintptr_t at, type value)                                   \
	{                                                                                          \
		__asm__ volatile("mov %1, %0" : "=m"(*(volatile type *)at) : "r"(value));          \
	}

CPU_MMIO_ACCESS(8, uint8_t)
CPU_MMIO_ACCESS(16, uint16_t)
CPU_MMIO_ACCESS(32, uint32_t)
CPU_MMIO_ACCESS(64, uint64_t)

#define CPU_REGISTER_ACCESS(name)                                                                  \
	static inline uint64_t read_##name(void)                                                   \
	{                                                                                          \
		uint64_t value;                                                                    \
		__asm__ volatile("mov %%" #name ", %0" : "=r"(value));                             \
		return value;                                                                      \
	}                                                                                          \
	static inline void write_##name(uint64_t value)                                            \
	{                                                                                          \
		__asm__ volatile("mov %0, %%" #name : : "r"(value) : "memory");                    \
	}

CPU_REGISTER_ACCESS(cr0)
CPU_REGISTER_ACCESS(cr2)
CPU_REGISTER_ACCESS(cr3)
CPU_REGISTER_ACCESS(cr4)
CPU_REGISTER_ACCESS(cr8)
CPU_REGISTER_ACCESS(dr0)
CPU_REGISTER_ACCESS(dr6)
CPU_REGISTER_ACCESS(dr7)

static inline uint64_t rdmsr(uint32_t msr)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr) : "memory");
	return (uint64_t)high << 32 | low;
}

static inline void wrmsr(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
			 : "memory");
}

static inline uint64_t rdtsc(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

static inline uint64_t xgetbv(uint32_t index)
{
	uint32_t low, high;

	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(index));
	return (uint64_t)high << 32 | low;
}

static inline void xsetbv(uint32_t index, uint64_t value)
{
	__asm__ volatile("xsetbv" : : "c"(index), "a"((uint32_t)value),
			 "d"((uint32_t)(value >> 32)));
}

static inline uint64_t read_flags(void)
{
	uint64_t flags;

	__asm__ volatile("pushfq; popq %0" : "=r"(flags));
	return flags;
}

static inline void cli(void)
{
	__asm__ volatile("cli" : : : "memory");
}

static inline void sti(void)
{
	__asm__ volatile("sti" : : : "memory");
}

static inline void pause(void)
{
	__asm__ volatile("pause" : : : "memory");
}

// Interrupts on, halt, and off again after the wake.
static inline void sti_hlt_cli(void)
{
	__asm__ volatile("sti; hlt; cli" : : : "memory");
}

#endif

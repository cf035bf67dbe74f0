// SPDX-License-Identifier: BSD-2-Clause
// Found before the real header by -Itests/unit/fake_x86: privileged instructions and CPUID act on
// a CPU of the test's own.
#ifndef FAKE_X86_KERNEL_X86_H
#define FAKE_X86_KERNEL_X86_H

#define cpuid(leaf, subleaf) native_cpuid(leaf, subleaf)
#define rdmsr                native_rdmsr
#define wrmsr                native_wrmsr
#define cr4_read             native_cr4_read
#define dr0_read             native_dr0_read
#define dr1_read             native_dr1_read
#define dr2_read             native_dr2_read
#define dr3_read             native_dr3_read
#define dr0_write            native_dr0_write
#define dr1_write            native_dr1_write
#define dr2_write            native_dr2_write
#define dr3_write            native_dr3_write
#define xgetbv               native_xgetbv
#define xsetbv               native_xsetbv
#define cr0_read             native_cr0_read
#define cr0_write            native_cr0_write
#define cr2_read             native_cr2_read
#define cr2_write            native_cr2_write
#define cr3_read             native_cr3_read
#define cr4_write            native_cr4_write
#define dr6_read             native_dr6_read
#define dr6_write            native_dr6_write
#define interrupts_enable    native_interrupts_enable
#define interrupts_disable   native_interrupts_disable
// This very name, but by a path on which only the real one lies.
#include "tests/../kernel/x86.h"
#undef cpuid
#undef rdmsr
#undef wrmsr
#undef cr4_read
#undef cr0_read
#undef cr0_write
#undef cr2_read
#undef cr2_write
#undef cr3_read
#undef cr4_write
#undef dr6_read
#undef dr6_write
#undef interrupts_enable
#undef interrupts_disable
#undef dr0_read
#undef dr1_read
#undef dr2_read
#undef dr3_read
#undef dr0_write
#undef dr1_write
#undef dr2_write
#undef dr3_write
#undef xgetbv
#undef xsetbv

enum { FAKE_MSRS = 64 };

struct fake_x86 {
	uint64_t cr0, cr2, cr3, cr4, xcr0;
	uint64_t dr[4], dr6;
	uint64_t tsc_aux;
	unsigned msr_writes, xcr0_writes;
	bool interrupts_off;
	struct { // MSRs that were written; others read 0
		uint32_t msr;
		uint64_t value;
	} msrs[FAKE_MSRS];
	// Of the test, where it has MSRs of its own; NULL: what was written is kept.
	void (*msr_write)(uint32_t msr, uint64_t value);
	uint64_t (*msr_read)(uint32_t msr);
};
extern struct fake_x86 fake_x86;     // the test's
extern const struct cpuid *fake_leaf(uint32_t leaf, uint32_t subleaf); // the same; NULL: zeros

static inline struct cpuid cpuid(uint32_t leaf, uint32_t subleaf)
{
	const struct cpuid *found = fake_leaf(leaf, subleaf);

	return found != NULL ? *found : (struct cpuid){0, 0, 0, 0};
}

// MSR 0 is none that anyone here means: a free place.
static inline unsigned fake_msr_place(uint32_t msr)
{
	unsigned i = 0;

	while (i < FAKE_MSRS - 1 && fake_x86.msrs[i].msr != 0 && fake_x86.msrs[i].msr != msr)
		i++;
	return i;
}

static inline uint64_t rdmsr(uint32_t msr)
{
	if (fake_x86.msr_read != NULL)
		return fake_x86.msr_read(msr);

	unsigned i = fake_msr_place(msr);

	return fake_x86.msrs[i].msr == msr ? fake_x86.msrs[i].value : 0;
}

static inline void fake_msr_set(uint32_t msr, uint64_t value)
{
	unsigned i = fake_msr_place(msr);

	fake_x86.msrs[i].msr = msr;
	fake_x86.msrs[i].value = value;
}

static inline void wrmsr(uint32_t msr, uint64_t value)
{
	if (msr == MSR_TSC_AUX)
		fake_x86.tsc_aux = value;
	fake_x86.msr_writes++;
	fake_msr_set(msr, value);
	if (fake_x86.msr_write != NULL)
		fake_x86.msr_write(msr, value);
}

#define FAKE_CONTROL_REGISTER(name)                                                                \
	static inline uint64_t name##_read(void)                                                   \
	{                                                                                          \
		return fake_x86.name;                                                              \
	}                                                                                          \
	static inline void name##_write(uint64_t value)                                            \
	{                                                                                          \
		fake_x86.name = value;                                                             \
	}

FAKE_CONTROL_REGISTER(cr0)
FAKE_CONTROL_REGISTER(cr2)
FAKE_CONTROL_REGISTER(cr4)
FAKE_CONTROL_REGISTER(dr6)

static inline uint64_t cr3_read(void)
{
	return fake_x86.cr3;
}

static inline void interrupts_enable(void)
{
	fake_x86.interrupts_off = false;
}

static inline void interrupts_disable(void)
{
	fake_x86.interrupts_off = true;
}

static inline uint64_t xgetbv(uint32_t index)
{
	return index == 0 ? fake_x86.xcr0 : 0;
}

static inline void xsetbv(uint32_t index, uint64_t value)
{
	if (index == 0)
		fake_x86.xcr0 = value;
	fake_x86.xcr0_writes++;
}

#define FAKE_DEBUG_REGISTER(n)                                                                     \
	static inline uint64_t dr##n##_read(void)                                                  \
	{                                                                                          \
		return fake_x86.dr[n];                                                             \
	}                                                                                          \
	static inline void dr##n##_write(uint64_t value)                                           \
	{                                                                                          \
		fake_x86.dr[n] = value;                                                            \
	}

FAKE_DEBUG_REGISTER(0)
FAKE_DEBUG_REGISTER(1)
FAKE_DEBUG_REGISTER(2)
FAKE_DEBUG_REGISTER(3)

#endif

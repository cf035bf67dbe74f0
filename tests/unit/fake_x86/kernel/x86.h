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
// This very name, but by a path on which only the real one lies.
#include "tests/../kernel/x86.h"
#undef cpuid
#undef rdmsr
#undef wrmsr
#undef cr4_read
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

struct fake_x86 {
	uint64_t cr4, xcr0;
	uint64_t dr[4];
	uint64_t tsc_aux;
	unsigned msr_writes, xcr0_writes;
};
extern struct fake_x86 fake_x86;     // the test's
extern const struct cpuid *fake_leaf(uint32_t leaf, uint32_t subleaf); // the same; NULL: zeros

static inline struct cpuid cpuid(uint32_t leaf, uint32_t subleaf)
{
	const struct cpuid *found = fake_leaf(leaf, subleaf);

	return found != NULL ? *found : (struct cpuid){0, 0, 0, 0};
}

static inline void wrmsr(uint32_t msr, uint64_t value)
{
	if (msr == MSR_TSC_AUX)
		fake_x86.tsc_aux = value;
	fake_x86.msr_writes++;
}

static inline uint64_t cr4_read(void)
{
	return fake_x86.cr4;
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

// SPDX-License-Identifier: BSD-2-Clause
// Found before the real header by -Itests/unit/fake_ports: ports, CPUID and the TSC are the test's.
#ifndef FAKE_PORTS_KERNEL_X86_H
#define FAKE_PORTS_KERNEL_X86_H

#define cpuid(leaf, subleaf) native_cpuid(leaf, subleaf)
#define rdtsc                native_rdtsc
#define inb                  native_inb
#define inw                  native_inw
#define inl                  native_inl
#define outb                 native_outb
#define outw                 native_outw
#define outl                 native_outl
#define inw_many             native_inw_many
#define outw_many            native_outw_many
// This very name, but by a path on which only the real one lies.
#include "tests/../kernel/x86.h"
#undef cpuid
#undef rdtsc
#undef inb
#undef inw
#undef inl
#undef outb
#undef outw
#undef outl
#undef inw_many
#undef outw_many

// The test's.
struct cpuid fake_cpuid(uint32_t leaf, uint32_t subleaf);
uint64_t fake_tsc(void);
uint32_t fake_in(uint16_t port, unsigned bytes);
void fake_out(uint16_t port, unsigned bytes, uint32_t value);

static inline struct cpuid cpuid(uint32_t leaf, uint32_t subleaf)
{
	return fake_cpuid(leaf, subleaf);
}

static inline uint64_t rdtsc(void)
{
	return fake_tsc();
}

#define FAKE_PORT_ACCESS(letter, bits)                                                             \
	static inline uint##bits##_t in##letter(uint16_t port)                                     \
	{                                                                                          \
		return (uint##bits##_t)fake_in(port, bits / 8);                                    \
	}                                                                                          \
	static inline void out##letter(uint16_t port, uint##bits##_t value)                        \
	{                                                                                          \
		fake_out(port, bits / 8, value);                                                   \
	}

FAKE_PORT_ACCESS(b, 8)
FAKE_PORT_ACCESS(w, 16)
FAKE_PORT_ACCESS(l, 32)

static inline void inw_many(uint16_t port, void *to, size_t count)
{
	for (uint16_t *at = to; count > 0; count--)
		*at++ = inw(port);
}

static inline void outw_many(uint16_t port, const void *from, size_t count)
{
	for (const uint16_t *at = from; count > 0; count--)
		outw(port, *at++);
}

#endif

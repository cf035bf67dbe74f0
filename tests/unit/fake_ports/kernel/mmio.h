// SPDX-License-Identifier: BSD-2-Clause
// Found before the real header by -Itests/unit/fake_ports: registers in memory are the test's.
#ifndef FAKE_PORTS_KERNEL_MMIO_H
#define FAKE_PORTS_KERNEL_MMIO_H

#include "kernel/base/types.h"

// The test's.
uint32_t fake_mmio_read(const volatile void *at, unsigned bytes);
void fake_mmio_write(volatile void *at, unsigned bytes, uint32_t value);

#define FAKE_MMIO_ACCESS(bits)                                                                     \
	static inline uint##bits##_t mmio_read##bits(const volatile void *at)                      \
	{                                                                                          \
		return (uint##bits##_t)fake_mmio_read(at, bits / 8);                               \
	}                                                                                          \
	static inline void mmio_write##bits(volatile void *at, uint##bits##_t value)               \
	{                                                                                          \
		fake_mmio_write(at, bits / 8, value);                                              \
	}

FAKE_MMIO_ACCESS(8)
FAKE_MMIO_ACCESS(16)
FAKE_MMIO_ACCESS(32)

#endif

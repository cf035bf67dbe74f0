// SPDX-License-Identifier: BSD-2-Clause
// Registers of devices in memory, mapped by pagetable_map_device. Each access is one instruction of
// just this width, in program order.
#ifndef KERNEL_MMIO_H
#define KERNEL_MMIO_H

#include "kernel/base/types.h"

#define MMIO_ACCESS(bits)                                                                          \
	static inline uint##bits##_t mmio_read##bits(const volatile void *at)                      \
	{                                                                                          \
		return *(const volatile uint##bits##_t *)at;                                       \
	}                                                                                          \
	static inline void mmio_write##bits(volatile void *at, uint##bits##_t value)               \
	{                                                                                          \
		*(volatile uint##bits##_t *)at = value;                                            \
	}

MMIO_ACCESS(8)
MMIO_ACCESS(16)
MMIO_ACCESS(32)

#endif

// SPDX-License-Identifier: BSD-2-Clause
// Address and time types. Each is a struct of one member, so that mixing them does not compile.
#ifndef KERNEL_BASE_TYPES_H
#define KERNEL_BASE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Guest-physical address: an offset into the guest's address space, never dereferenced.
struct gpa {
	uint64_t v;
};

// Host-physical address. The kernel maps all memory one to one: see kernel/mem.h.
struct hpa {
	uint64_t v;
};

// Guest-linear address: what segmentation makes of a guest-virtual one.
struct gva {
	uint64_t v;
};

// Guest time: nanoseconds since the virtual machine was created. Stands still while it is stopped.
struct guest_time {
	uint64_t ns;
};

#define GUEST_TIME_NEVER ((struct guest_time){UINT64_MAX})

#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)

#define PAGE_BYTES       ((uint64_t)4096)
#define LARGE_PAGE_BYTES (2 * MIB)

#define NS_PER_SECOND ((uint64_t)1000000000)

#define ARRAY_COUNT(a)             (sizeof(a) / sizeof((a)[0]))
#define BIT(n)                     ((uint64_t)1 << (n))
#define ALIGN_DOWN(x, alignment)   ((x) & ~((__typeof__(x))(alignment)-1))
#define ALIGN_UP(x, alignment)     ALIGN_DOWN((x) + (__typeof__(x))(alignment)-1, alignment)
#define CONTAINER_OF(p, type, mem) ((type *)(void *)((char *)(p)-offsetof(type, mem)))

#define must_check  __attribute__((warn_unused_result))
#define always_inline inline __attribute__((always_inline))
#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

// a * b / c without overflow in between, rounded down. The quotient must fit 64 bits and c not be
// zero. Written out in two steps of hardware division: the compiler's 128-bit division would
// call a library.
static inline uint64_t mul_div_u64(uint64_t a, uint64_t b, uint64_t c)
{
	unsigned __int128 product = (unsigned __int128)a * b;
	uint64_t high = (uint64_t)(product >> 64), low = (uint64_t)product, quotient, remainder;

	__asm__("divq %4" : "=a"(quotient), "=d"(remainder) : "a"(low), "d"(high), "rm"(c) : "cc");
	return quotient;
}

#endif

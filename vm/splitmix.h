// SPDX-License-Identifier: BSD-2-Clause
// SplitMix64: numbers that look random, and are as hard to guess as the state they come from.
#ifndef VM_SPLITMIX_H
#define VM_SPLITMIX_H

#include "kernel/base/types.h"

static inline uint64_t splitmix_next(uint64_t *state)
{
	uint64_t value = *state += UINT64_C(0x9e3779b97f4a7c15);

	value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
	return value ^ value >> 31;
}

#endif

// SPDX-License-Identifier: BSD-2-Clause
// ASSERT is for our own bugs and is always on. Nothing that a guest, a peer or a file says may
// reach one. The condition has no side effects.
#ifndef KERNEL_BASE_ASSERT_H
#define KERNEL_BASE_ASSERT_H

_Noreturn void assert_fail(const char *condition, const char *file, int line);

#define ASSERT(condition)                                                                          \
	do {                                                                                       \
		if (__builtin_expect(!(condition), 0))                                             \
			assert_fail(#condition, __FILE__, __LINE__);                               \
	} while (0)

// For a place that cannot be reached: `what` says what would have had to happen.
#define ASSERT_UNREACHABLE(what) assert_fail(what, __FILE__, __LINE__)

#endif

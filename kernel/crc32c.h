// SPDX-License-Identifier: BSD-2-Clause
// CRC-32C (Castagnoli, polynomial 0x1edc6f41, reflected), as iSCSI and ext4 have it: RFC 3720,
// appendix B.4. It finds every change within 32 neighbouring bits.
#ifndef KERNEL_CRC32C_H
#define KERNEL_CRC32C_H

#include "kernel/base/types.h"

// Continues `crc` (0 at the start) over more bytes.
uint32_t crc32c_update(uint32_t crc, const void *bytes, size_t count);
// Of `count` words, begun with 0 and not inverted at the end: zeros have 0, and the exclusive or of
// two is that of what they differ in. As they are, and with only the bits of `mask`.
struct crc32c_pair {
	uint32_t all, masked;
};
struct crc32c_pair crc32c_words(const uint64_t *words, size_t count, uint64_t mask);
// The same without the CPU's instruction for it. For tests.
uint32_t crc32c_update_by_table(uint32_t crc, const void *bytes, size_t count);
struct crc32c_pair crc32c_words_by_table(const uint64_t *words, size_t count, uint64_t mask);

#endif

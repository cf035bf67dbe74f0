// SPDX-License-Identifier: BSD-2-Clause
// Memory type range registers: kept and checked as a CPU does (SDM vol. 3, 12.11), without effect:
// with nested paging the guest's PAT and the host's tables decide.
#ifndef VM_MTRR_H
#define VM_MTRR_H

#include "kernel/base/status.h"
#include "kernel/base/types.h"

enum { MTRR_VARIABLE = 8, MTRR_FIXED = 11 };

struct mtrr {
	uint64_t variable[MTRR_VARIABLE][2]; // base, mask
	uint64_t fixed[MTRR_FIXED];
	uint64_t default_type;
};

// As firmware leaves them: write-back, but for the hole below 4 GiB.
void mtrr_reset(struct mtrr *mtrr, unsigned physical_bits);
// STATUS_NOT_FOUND: not one of them. STATUS_FAULT: #GP(0).
must_check enum status mtrr_read(const struct mtrr *mtrr, uint32_t msr, uint64_t *value);
must_check enum status mtrr_write(struct mtrr *mtrr, uint32_t msr, uint64_t value,
	unsigned physical_bits);

// Whether each register holds what mtrr_write would take.
must_check bool mtrr_is_valid(const struct mtrr *mtrr, unsigned physical_bits);

#endif

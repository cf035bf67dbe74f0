// SPDX-License-Identifier: BSD-2-Clause
#include "vm/mtrr.h"

#include <string.h>

enum {
	MSR_MTRR_CAPABILITIES = 0xfe,
	MSR_MTRR_VARIABLE = 0x200,
	MSR_MTRR_DEFAULT_TYPE = 0x2ff,
	TYPE_UNCACHED = 0,
	TYPE_WRITE_COMBINING = 1,
	TYPE_WRITE_THROUGH = 4,
	TYPE_WRITE_PROTECTED = 5,
	TYPE_WRITE_BACK = 6,
};

#define CAPABILITIES   (MTRR_VARIABLE | BIT(8) | BIT(10)) // fixed ranges, write combining
#define DEFAULT_ENABLE (BIT(11) | BIT(10))
#define MASK_VALID     BIT(11)

static const uint32_t fixed_msrs[MTRR_FIXED] = {
	0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f};

void mtrr_reset(struct mtrr *mtrr, unsigned physical_bits)
{
	memset(mtrr, 0, sizeof(*mtrr));
	mtrr->default_type = DEFAULT_ENABLE | TYPE_WRITE_BACK;
	memset(mtrr->fixed, TYPE_WRITE_BACK, sizeof(mtrr->fixed));
	mtrr->fixed[2] = 0; // the VGA window
	mtrr->variable[0][0] = 0xc0000000u | TYPE_UNCACHED;
	mtrr->variable[0][1] = ((BIT(physical_bits) - 1) & ~(GIB - 1)) | MASK_VALID;
}

static bool type_exists(uint64_t type)
{
	return type == TYPE_UNCACHED || type == TYPE_WRITE_COMBINING ||
		(type >= TYPE_WRITE_THROUGH && type <= TYPE_WRITE_BACK);
}

static int fixed_find(uint32_t msr)
{
	for (int i = 0; i < MTRR_FIXED; i++)
		if (fixed_msrs[i] == msr)
			return i;
	return -1;
}

enum status mtrr_read(const struct mtrr *mtrr, uint32_t msr, uint64_t *value)
{
	int fixed = fixed_find(msr);

	if (fixed >= 0)
		*value = mtrr->fixed[fixed];
	else if (msr == MSR_MTRR_CAPABILITIES)
		*value = CAPABILITIES;
	else if (msr == MSR_MTRR_DEFAULT_TYPE)
		*value = mtrr->default_type;
	else if (msr - MSR_MTRR_VARIABLE < 2 * MTRR_VARIABLE)
		*value = mtrr->variable[(msr - MSR_MTRR_VARIABLE) / 2][msr % 2];
	else
		return STATUS_NOT_FOUND;
	return STATUS_OK;
}

static enum status fixed_write(struct mtrr *mtrr, unsigned fixed, uint64_t value)
{
	for (unsigned i = 0; i < 8; i++)
		if (!type_exists(value >> 8 * i & 0xff))
			return STATUS_FAIL(STATUS_FAULT);
	mtrr->fixed[fixed] = value;
	return STATUS_OK;
}

enum status mtrr_write(struct mtrr *mtrr, uint32_t msr, uint64_t value, unsigned physical_bits)
{
	int fixed = fixed_find(msr);

	if (fixed >= 0)
		return fixed_write(mtrr, (unsigned)fixed, value);
	if (msr == MSR_MTRR_CAPABILITIES)
		return STATUS_FAIL(STATUS_FAULT);
	if (msr == MSR_MTRR_DEFAULT_TYPE) {
		if ((value & ~(DEFAULT_ENABLE | 0xff)) != 0 || !type_exists(value & 0xff))
			return STATUS_FAIL(STATUS_FAULT);
		mtrr->default_type = value;
		return STATUS_OK;
	}
	if (msr - MSR_MTRR_VARIABLE >= 2 * MTRR_VARIABLE)
		return STATUS_NOT_FOUND;
	if (value >> physical_bits != 0 || (msr % 2 == 0 && !type_exists(value & 0xff)) ||
		(value & (msr % 2 == 0 ? 0xf00u : 0x7ffu)) != 0)
		return STATUS_FAIL(STATUS_FAULT);
	mtrr->variable[(msr - MSR_MTRR_VARIABLE) / 2][msr % 2] = value;
	return STATUS_OK;
}

bool mtrr_is_valid(const struct mtrr *mtrr, unsigned physical_bits)
{
	struct mtrr scratch = *mtrr;

	for (uint32_t i = 0; i < MTRR_FIXED; i++)
		if (mtrr_write(&scratch, fixed_msrs[i], mtrr->fixed[i], physical_bits) != STATUS_OK)
			return false;
	for (uint32_t i = 0; i < 2 * MTRR_VARIABLE; i++)
		if (mtrr_write(&scratch, MSR_MTRR_VARIABLE + i, mtrr->variable[i / 2][i % 2],
			    physical_bits) != STATUS_OK)
			return false;
	return mtrr_write(&scratch, MSR_MTRR_DEFAULT_TYPE, mtrr->default_type, physical_bits) ==
		STATUS_OK;
}

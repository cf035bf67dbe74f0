// SPDX-License-Identifier: BSD-2-Clause
// Regions by what stands on the disks: for drivers/region.c alone. Parameters and results are those
// of region_open, without the word before the colon.
#ifndef DRIVERS_REGION_FIND_H
#define DRIVERS_REGION_FIND_H

#include "drivers/region.h"

must_check enum status region_find_partition(const char *name, struct region **region,
	char error[REGION_ERROR_MAX]);
must_check enum status region_find_file(const char *path, struct region **region,
	char error[REGION_ERROR_MAX]);

#endif

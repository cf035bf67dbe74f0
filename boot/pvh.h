// SPDX-License-Identifier: BSD-2-Clause
// The PVH entry in C: called once by boot/pvh.S.
#ifndef BOOT_PVH_H
#define BOOT_PVH_H

struct pvh_start_info;

_Noreturn void pvh_main(const struct pvh_start_info *start);

#endif

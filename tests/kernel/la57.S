// SPDX-License-Identifier: BSD-2-Clause
// The PVH entry with five-level paging on, as firmware may leave it. The tables have four levels;
// as five, they still map the first GiB one to one: all that is used until boot/enter.S.
#define CR4_ENTRY 0x1020 // LA57, PAE
#include "boot/pvh.S"

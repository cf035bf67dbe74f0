// SPDX-License-Identifier: BSD-2-Clause
// Selectors and fixed low addresses, shared by C and assembly.
#ifndef TESTS_GUEST_LAYOUT_H
#define TESTS_GUEST_LAYOUT_H

#define SEL_CODE64   0x08
#define SEL_DATA     0x10 // flat, 4 GiB
#define SEL_CODE32   0x18 // flat, 4 GiB
#define SEL_CODE16   0x20 // base 0, 64 KiB
#define SEL_DATA16   0x28 // base 0, 64 KiB
#define SEL_LOW16    0x30 // base LOW_CODE, 64 KiB, code
#define SEL_USER32   0x3b // flat code, ring 3, 32-bit
#define SEL_USERDATA 0x43
#define SEL_USER64   0x4b // ring 3, 64-bit
#define SEL_ABSENT   0x50 // data, not present
#define SEL_TSS      0x58 // two slots
#define SEL_BEYOND   0x88 // outside of the table

#define LOW_SMP        0x6000 // where other CPUs start: smp.S
#define LOW_TRAMPOLINE 0x7000 // the mode switches are copied here
#define LOW_REGS       0x7e00 // struct low_regs: in and out
#define LOW_CODE       0x8000 // the payload's own 16- or 32-bit code is copied here
#define LOW_CODE_MAX   0x1000
#define LOW_DATA       0x9000 // 4 KiB for the payload's data
#define LOW_STACK      0xf000 // grows down

#define MODE_REAL16 0 // CS = LOW_CODE >> 4, DS = ES = SS = 0, FS = GS: base 0, limit 4 GiB
#define MODE_PROT16 1 // CS = SEL_LOW16, SS = SEL_DATA16, the rest SEL_DATA
#define MODE_PROT32 2 // no paging; CS = SEL_CODE32
#define MODE_PSE32  3 // 32-bit paging, 4 MiB pages
#define MODE_PAE32  4 // PAE paging
#define MODE_COMPAT 5 // long mode's 32-bit compatibility segment
#define MODE_COUNT  6

#endif

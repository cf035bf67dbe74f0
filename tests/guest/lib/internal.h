// SPDX-License-Identifier: BSD-2-Clause
// What the library's files share and payloads do not call.
#ifndef TESTS_GUEST_INTERNAL_H
#define TESTS_GUEST_INTERNAL_H

#include <stddef.h>
#include <stdint.h>
#include "payload.h"

void trap_init(void);
void trap_dispatch(struct trap_frame *frame); // from traps.S
void pc_init(void);
void *memcpy(void *to, const void *from, size_t bytes);
void *memset(void *to, int value, size_t bytes);

extern char trap_entries[], trap_unwind[];
extern uint64_t trap_catch_rsp;
extern uint64_t payload_gdt[], paging_pdpt[];
extern const char mode_low_begin[], mode_low_end[];

#endif

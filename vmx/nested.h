// SPDX-License-Identifier: BSD-2-Clause
// Nested page tables: what a VM's guest-physical addresses lead to.
#ifndef VMX_NESTED_H
#define VMX_NESTED_H

#include "kernel/base/status.h"
#include "kernel/base/types.h"

struct nested_map;

enum nested_access { NESTED_READ_WRITE, NESTED_READ_ONLY };

// STATUS_NO_MEMORY.
must_check enum status nested_map_create(struct nested_map **map);
void nested_map_destroy(struct nested_map *map);

// Maps `bytes` (multiples of 4 KiB) with the largest pages that fit both addresses. A range must
// not be mapped already. STATUS_NO_MEMORY: nothing may be taken for mapped.
must_check enum status nested_map_add(struct nested_map *map, struct gpa gpa, struct hpa hpa,
	uint64_t bytes, enum nested_access access);

// What is mapped of `bytes` (multiples of 4 KiB) is no longer; a page of 2 MiB goes as a whole.
// CPUs remember: vcpu_forget_nested for every vcpu comes before its next entry.
void nested_map_remove(struct nested_map *map, struct gpa gpa, uint64_t bytes);

// Whether the guest may have written to what is mapped in the 2 MiB from `gpa` on, since the map
// was made or the last call. CPUs remember what they have noted here: vcpu_forget_nested for every
// vcpu comes between the call and the guest's next entry. Without EPT's dirty flags: always true.
bool nested_map_take_written(struct nested_map *map, struct gpa gpa);

uint64_t nested_map_table_bytes(const struct nested_map *map);

#endif

// SPDX-License-Identifier: BSD-2-Clause
// Task switches in software: SDM vol. 3, chapter 8 (7 in older editions).
#ifndef VM_TASK_SWITCH_H
#define VM_TASK_SWITCH_H

#include "vm/paging.h"
#include "vmx/vcpu.h"

// One switch. The caller fills what is above the line; the rest is the switch's own.
struct task_switch {
	struct guest_ram *ram;
	struct paging *paging; // as the registers of `state` have it
	const struct vmexit *exit;
	struct vcpu_state state; // before, and afterwards after
	uint8_t physical_bits;
	bool gigabyte_pages;
	// ----
	bool committed; // the new task's state is what an exception will interrupt
	bool trap;      // its T flag asks for #DB
	// STATUS_FAULT: the exception.
	uint8_t vector;
	bool has_error_code;
	uint32_t error_code;
	uint64_t cr2; // with a page fault
};

// STATUS_FAULT: an exception, in `state` as it is then (that of before, or of the new task as far
// as it was loaded). STATUS_RANGE: a TSS or descriptor is not in RAM; `state` is of no use.
must_check enum status task_switch_execute(struct task_switch *task);

#endif

// SPDX-License-Identifier: BSD-2-Clause
// Between the files of single steps.
#ifndef VM_STEP_H
#define VM_STEP_H

#include "vm/vm.h"

// Where the opcode begins: behind prefixes. `available` where there is none.
size_t step_opcode_offset(const uint8_t *bytes, size_t available, bool is_64bit);

// Executes the MOV SS or POP SS at RIP, or injects what it raises. vm_paging_update was called
// before.
void step_stack_load(struct vm_vcpu *vcpu, struct guest_time now);

// The same for STI of `length` bytes. False: the CPU shall run it, for it faults, or the guest
// steps over it by itself.
must_check bool step_sti(struct vm_vcpu *vcpu, unsigned length);

#endif

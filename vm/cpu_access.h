// SPDX-License-Identifier: BSD-2-Clause
// A vcpu as the instruction executor (vm/insn.h) sees it: segmentation, paging, RAM and bus.
#ifndef VM_CPU_ACCESS_H
#define VM_CPU_ACCESS_H

#include "vm/insn.h"
#include "vm/vm.h"

#define GPA_UNKNOWN ((struct gpa){UINT64_MAX})

struct cpu_access {
	struct insn_cpu cpu;
	struct vm_vcpu *vcpu;
	struct guest_time now;
	// Where the instruction's only memory access leads, if the exit told; else GPA_UNKNOWN.
	struct gpa known;
};

void cpu_access_begin(struct cpu_access *access, struct vm_vcpu *vcpu, struct guest_time now);
// Writes RIP and RFLAGS back, or injects the exception that was raised.
void cpu_access_end(struct cpu_access *access, enum status status);

// A plain move whose one access leads to a device, at `at`, which the exit has told: the CPU has
// checked it. False: nothing is done, it has to be executed as any other.
must_check bool cpu_access_device_move(struct vm_vcpu *vcpu, const struct insn *insn, struct gpa at,
	struct guest_time now);

// The instruction at RIP, through the cache. NULL: an exception was injected.
const struct insn *vm_decode(struct vm_vcpu *vcpu);

#endif

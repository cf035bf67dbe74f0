// SPDX-License-Identifier: BSD-2-Clause
// The guest's breakpoint registers and the accesses that are carried out for it: the CPU has left
// for the hypervisor before it could compare them. SDM vol. 3, 17.2.4 and 17.2.5.
//
// Few guests ever set a breakpoint, and each access must not cost a look at DR7. So DR7 is watched:
// as long as it enables nothing, writes to it exit. The first one ends the watch, and accesses look
// from then on; one that finds DR7 without a breakpoint begins it again.
#ifndef VMX_BREAKPOINT_H
#define VMX_BREAKPOINT_H

#include "vmx/vcpu.h"

// DR7's values of R/Wn.
enum vcpu_access { VCPU_ACCESS_WRITE = 1, VCPU_ACCESS_PORT = 2, VCPU_ACCESS_READ = 3 };

#define DR7_ENABLED 0xffull // any of L0 to G3

// vcpu_has_breakpoints, while DR7 is not watched.
bool vcpu_find_breakpoints(struct vcpu *vcpu);
// vcpu_note_access, with a breakpoint.
void vcpu_compare_access(struct vcpu *vcpu, enum vcpu_access access, uint64_t address,
	unsigned bytes);

// Whether any breakpoint is enabled: then a string instruction stops after each iteration.
static always_inline bool vcpu_has_breakpoints(struct vcpu *vcpu)
{
	enum { BREAKPOINTS_POSSIBLE = 17 }; // a member of struct vcpu: see vmx/engine.h

	return unlikely(((const uint64_t *)(const void *)vcpu)[BREAKPOINTS_POSSIBLE] != 0) &&
		vcpu_find_breakpoints(vcpu);
}

// An access to a port or a linear address. If a breakpoint register names it, #DB becomes pending
// once the instruction is finished (vcpu_advance, vcpu_finish); one that faults has none.
static always_inline void vcpu_note_access(struct vcpu *vcpu, enum vcpu_access access,
	uint64_t address, unsigned bytes)
{
	if (unlikely(vcpu_has_breakpoints(vcpu)))
		vcpu_compare_access(vcpu, access, address, bytes);
}

#endif

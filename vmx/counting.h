// SPDX-License-Identifier: BSD-2-Clause
// Of a vcpu whose position is kept: what its runs count, and runs that end soon. kernel/position.h.
#ifndef VMX_COUNTING_H
#define VMX_COUNTING_H

#include "vmx/vcpu.h"

// While counting, `ticks` of an exit is what position_source counted in the guest since the entry;
// RDTSC and RDTSCP exit. RDRAND and RDSEED are undefined where the CPU can be told so.
// vcpu_counting_overhead, what the world switch alone counts, is taken off each time.
static always_inline void vcpu_set_counting(struct vcpu *vcpu, bool on)
{
	vcpu_engine.set_counting(vcpu, on);
}

extern uint64_t vcpu_counting_overhead;

// While counting: the next entry ends, with VMEXIT_INTERRUPT, before more than `ticks` of the TSC
// have passed in the guest, unless another exit comes first; a tick early where the TSC counts
// instructions. False: this CPU has nothing that would do it, or not so soon.
must_check static always_inline bool vcpu_limit(struct vcpu *vcpu, uint64_t ticks)
{
	return vcpu_engine.limit != NULL && vcpu_engine.limit(vcpu, ticks);
}

#endif

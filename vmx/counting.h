// SPDX-License-Identifier: BSD-2-Clause
// Of a vcpu whose position is kept: what its runs count, and runs that end soon. kernel/position.h.
#ifndef VMX_COUNTING_H
#define VMX_COUNTING_H

#include "vmx/vcpu.h"

// While counting, `ticks` of an exit is what position_source counted in the guest since the entry;
// RDTSC and RDTSCP exit, or answer by vcpu_set_tsc_at_entry.
// vcpu_counting_overhead, what the world switch alone counts, is taken off each time.
enum vcpu_counting { VCPU_COUNTING_OFF, VCPU_COUNTING, VCPU_COUNTING_TSC_PASSES };
static always_inline void vcpu_set_counting(struct vcpu *vcpu, enum vcpu_counting how)
{
	vcpu_engine.set_counting(vcpu, how);
}

extern uint64_t vcpu_counting_overhead;

// With VCPU_COUNTING_TSC_PASSES: the guest's TSC at its first instruction, when it is entered next.
// It goes on from there as the host's does, so that the host's own instructions are not seen: exact
// where the self-test has measured vcpu_tsc_lead, the part of the overhead before the guest's first
// instruction.
void vcpu_set_tsc_at_entry(struct vcpu *vcpu, uint64_t tsc);
extern uint64_t vcpu_tsc_lead;

// While counting: the next entry ends, with VMEXIT_INTERRUPT, before more than `ticks` of the TSC
// have passed in the guest, unless another exit comes first; a tick early where the TSC counts
// instructions. False: this CPU has nothing that would do it, or not so soon.
// An engine that has limit_is_measured does it where the self-test has found vcpu_limit_lag: ticks
// between the start of the host's timer and the guest's first instruction, less the one that is
// early. VCPU_LIMIT_NONE: not.
#define VCPU_LIMIT_NONE UINT64_MAX
extern uint64_t vcpu_limit_lag;
must_check static always_inline bool vcpu_limit(struct vcpu *vcpu, uint64_t ticks)
{
	return vcpu_engine.limit != NULL && vcpu_engine.limit(vcpu, ticks);
}

#endif

// SPDX-License-Identifier: BSD-2-Clause
// Whether a state that came from elsewhere (a snapshot) is one that a vcpu can have. What passes
// here is canonical, sets no reserved bit, and can be written to the CPU's registers without a
// fault; an engine's set_state may refuse more.
#ifndef VMX_VCPU_CHECK_H
#define VMX_VCPU_CHECK_H

#include "kernel/base/state.h"
#include "vmx/vcpu.h"

// What the guest's CPU offers.
struct vcpu_limits {
	uint64_t cr4;   // bits that exist
	uint64_t efer;
	uint64_t xcr0;  // also the components that an XSAVE area may have
	uint32_t mxcsr; // vcpu_mxcsr_mask()
	unsigned physical_bits;
};

// Of struct vcpu_state.
extern const struct state_table vcpu_state_table;

// STATUS_INVALID: *error says which field, and what it may hold.
must_check enum status vcpu_state_check(const struct vcpu_state *state,
	const struct vcpu_limits *limits, struct state_error *error);

// An area as vcpu_fpu has it: `bytes` of it, with or without XSAVE's header. The same failure.
must_check enum status vcpu_fpu_check(const void *area, size_t bytes,
	const struct vcpu_limits *limits, struct state_error *error);

#endif

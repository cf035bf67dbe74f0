// SPDX-License-Identifier: BSD-2-Clause
// What the engines and the vendor-neutral half of a vcpu share. Only for vmx/.
#ifndef VMX_ENGINE_H
#define VMX_ENGINE_H

#include "vmx/vcpu.h"

enum { VCPU_CORES_MAX = 64, VCPU_NOT_LOADED = UINT32_MAX };

// Each engine's own struct begins with it.
struct vcpu {
	uint64_t gpr[GPR_COUNT]; // first: vcpu_gpr()
	void *host; // of the engine's, for the core that has it loaded; offset known to svm_run.S
	struct nested_map *map;
	uint32_t core; // that has it loaded, or VCPU_NOT_LOADED
	// What the CPU's registers hold while it is loaded, and these while it is not.
	uint64_t dr[4], xcr0, tsc_aux;
	void *fpu; // XSAVE area
};
_Static_assert(offsetof(struct vcpu, host) == 16 * 8, "svm_run.S");

// Detection. STATUS_UNSUPPORTED: not this engine's CPU, or not usable; `reason` says which bit.
must_check enum status svm_detect(const char **reason);
extern const struct vcpu_engine svm_engine;

// For an engine's create and destroy: the parts that are here. STATUS_NO_MEMORY.
must_check enum status vcpu_common_create(struct vcpu *vcpu, struct nested_map *map);
void vcpu_common_destroy(struct vcpu *vcpu);
// For get_state and set_state: general and debug registers, XCR0, TSC_AUX.
void vcpu_common_get_state(const struct vcpu *vcpu, struct vcpu_state *state);
void vcpu_common_set_state(struct vcpu *vcpu, const struct vcpu_state *state);

// RDTSCP or RDPID: CPUID 80000001 EDX bit 27, leaf 7 ECX bit 22.
bool vcpu_has_tsc_aux(void);
void vcpu_set_tsc_aux(struct vcpu *vcpu, uint64_t value);

static always_inline bool vcpu_is_loaded(const struct vcpu *vcpu)
{
	return vcpu->core != VCPU_NOT_LOADED;
}

#endif

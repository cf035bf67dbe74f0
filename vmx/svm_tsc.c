// SPDX-License-Identifier: BSD-2-Clause
// A guest's TSC: APM vol. 2, 15.30.5.
#include "vmx/svm.h"

#include "kernel/base/assert.h"
#include "kernel/x86.h"

void svm_set_tsc_offset(struct vcpu *vcpu, uint64_t offset)
{
	svm_of(vcpu)->vmcb->tsc_offset = offset;
	svm_dirty(vcpu, SVM_CLEAN_INTERCEPTS);
}

uint64_t svm_tsc_offset(const struct vcpu *vcpu)
{
	return svm_of(vcpu)->vmcb->tsc_offset;
}

// The MSR has 8 bits before the point and 32 behind it: APM vol. 2, 15.30.5.
uint64_t svm_tsc_ratio(uint64_t wanted)
{
	uint64_t ratio = wanted & ~(BIT(SVM_TSC_RATIO_SHIFT) - 1);

	return svm_features.tsc_ratio && wanted < 256 * VCPU_TSC_RATIO_ONE ? ratio : 0;
}

void svm_set_tsc_ratio(struct vcpu *vcpu, uint64_t ratio)
{
	ASSERT(!vcpu_is_loaded(vcpu) && (ratio == VCPU_TSC_RATIO_ONE ||
		(ratio != 0 && ratio == svm_tsc_ratio(ratio))));
	svm_of(vcpu)->tsc_ratio = ratio;
}

void svm_tsc_ratio_load(const struct vcpu *vcpu, uint64_t *present)
{
	uint64_t ratio = svm_of(vcpu)->tsc_ratio;

	if (!svm_features.tsc_ratio || *present == ratio)
		return;
	wrmsr(MSR_TSC_RATIO, ratio >> SVM_TSC_RATIO_SHIFT);
	*present = ratio;
}

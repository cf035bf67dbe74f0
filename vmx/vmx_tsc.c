// SPDX-License-Identifier: BSD-2-Clause
// A guest's TSC: SDM vol. 3, 26.6.5.
#include "vmx/vmx.h"

#include "kernel/base/assert.h"

void vmx_set_tsc_offset(struct vcpu *vcpu, uint64_t offset)
{
	vmx_of(vcpu)->tsc_offset = offset;
	if (vcpu_is_loaded(vcpu)) // else loading writes it
		vmx_write(VMCS_TSC_OFFSET, offset);
}

uint64_t vmx_tsc_offset(const struct vcpu *vcpu)
{
	return vmx_of(vcpu)->tsc_offset;
}

uint64_t vmx_tsc_ratio(uint64_t wanted)
{
	return (vmx_features.proc2 & VMX_PROC2_TSC_SCALE) != 0 ? wanted : 0;
}

void vmx_set_tsc_ratio(struct vcpu *vcpu, uint64_t ratio)
{
	ASSERT(!vcpu_is_loaded(vcpu) &&
		(ratio == VCPU_TSC_RATIO_ONE || (ratio != 0 && ratio == vmx_tsc_ratio(ratio))));
	vmx_of(vcpu)->tsc_ratio = ratio;
}

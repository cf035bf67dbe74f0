// SPDX-License-Identifier: BSD-2-Clause
// MSRs that belong to the platform. Those that are CPU state are the engine's (vcpu_read_msr); what
// neither knows takes #GP, as on a CPU that does not have it.
#include "kernel/x86.h"
#include "vm/local_apic.h"

// MSRs with a fixed value that accept being written the same, or anything (`ignore`).
static const struct msr_constant {
	uint32_t first, last;
	uint64_t value;
	bool ignore;
} constants[] = {
	{MSR_BIOS_SIGN_ID, MSR_BIOS_SIGN_ID, 0x01000065, true}, // microcode: a recent one
	{0x00000017, 0x00000017, 0, false},       // platform id
	// Fast strings; no branch trace store, no PEBS (bits 11 and 12).
	{MSR_MISC_ENABLE, MSR_MISC_ENABLE, 0x1801, true},
	{MSR_MCG_CAP, MSR_MCG_CAP, 0, false}, // no banks
	{MSR_MCG_STATUS, MSR_MCG_STATUS, 0, true},
	{0xc0010015, 0xc0010015, 0x01000010, true}, // HWCR: TSC counts at P0, SMM locked
	{0xc001001f, 0xc001001f, 0, true},          // NB_CFG
	{0xc0010055, 0xc0010055, 0, true},          // interrupt pending message
	{0xc0010112, 0xc0010113, 0, true},          // SMM segment
	{0xc0011020, 0xc0011023, 0, true}, // load-store and caches
	{0xc0011029, 0xc0011029, 2, true},          // DE_CFG: LFENCE is serializing
	{0xc001102a, 0xc001102a, 0, true},          // bus unit configuration
	{0xc0010010, 0xc0010010, 0, true},          // SYS_CFG
	{0xc0010058, 0xc0010058, 0, false},         // MMIO configuration base: none
	{0xc0010061, 0xc0010064, 0, true},          // P-states
};

static const struct msr_constant *constant_find(uint32_t msr)
{
	for (unsigned i = 0; i < ARRAY_COUNT(constants); i++)
		if (msr >= constants[i].first && msr <= constants[i].last)
			return &constants[i];
	return NULL;
}

static enum status platform_read(struct vm_vcpu *vcpu, uint32_t msr, uint64_t tsc, uint64_t *value)
{
	const struct msr_constant *constant;
	enum status status;

	switch (msr) {
	case MSR_APIC_BASE:
		*value = lapic_base_read(vcpu->lapic);
		return STATUS_OK;
	case MSR_TSC_DEADLINE:
		*value = lapic_tsc_deadline_read(vcpu->lapic);
		return STATUS_OK;
	case MSR_TSC:
		*value = vm_guest_tsc(vcpu->vm, tsc) + vcpu->tsc_shift;
		return STATUS_OK;
	}
	status = mtrr_read(&vcpu->mtrr, msr, value);
	if (status != STATUS_NOT_FOUND)
		return status;
	constant = constant_find(msr);
	if (constant == NULL)
		return STATUS_FAIL(STATUS_FAULT);
	*value = constant->value;
	return STATUS_OK;
}

static enum status msr_read(struct vm_vcpu *vcpu, uint32_t msr, uint64_t tsc, uint64_t *value)
{
	struct guest_time now = vm_time(vcpu->vm, tsc);
	enum status status;

	if (msr - LAPIC_MSR_FIRST <= LAPIC_MSR_LAST - LAPIC_MSR_FIRST) {
		local_apic_enter(vcpu);
		status = lapic_msr_read(vcpu->lapic, now, msr, value);
		local_apic_leave(vcpu, now);
		return status;
	}
	status = vcpu_read_msr(vcpu->vcpu, msr, value);
	return status == STATUS_NOT_FOUND ? platform_read(vcpu, msr, tsc, value) : status;
}

// The TSC as the guest sees it moves; so does a pending TSC deadline.
static void tsc_write(struct vm_vcpu *vcpu, uint64_t tsc, uint64_t value)
{
	struct vm *vm = vcpu->vm;
	struct guest_time now = vm_time(vm, tsc);

	vcpu->tsc_shift = value - vm_guest_tsc(vm, tsc);
	vcpu_set_tsc_offset(vcpu->vcpu, vcpu->tsc_shift + vm_guest_tsc(vm, 0));
	local_apic_enter(vcpu);
	lapic_set_tsc_offset(vcpu->lapic, now, (int64_t)vcpu->tsc_shift);
	local_apic_leave(vcpu, now);
}

static enum status platform_write(struct vm_vcpu *vcpu, uint32_t msr, uint64_t tsc, uint64_t value)
{
	struct guest_time now = vm_time(vcpu->vm, tsc);
	const struct msr_constant *constant;
	enum status status;

	switch (msr) {
	case MSR_APIC_BASE:
		if (value >> vcpu->physical_bits != 0)
			return STATUS_FAIL(STATUS_FAULT);
		local_apic_enter(vcpu);
		status = vcpu->vm->config.x2apic || (value & LAPIC_BASE_X2APIC) == 0
			? lapic_base_write(vcpu->lapic, now, value)
			: STATUS_FAIL(STATUS_FAULT);
		local_apic_leave(vcpu, now);
		return status;
	case MSR_TSC_DEADLINE:
		local_apic_enter(vcpu);
		lapic_tsc_deadline_write(vcpu->lapic, now, value);
		local_apic_leave(vcpu, now);
		return STATUS_OK;
	case MSR_TSC:
		tsc_write(vcpu, tsc, value);
		return STATUS_OK;
	}
	status = mtrr_write(&vcpu->mtrr, msr, value, vcpu->physical_bits);
	if (status != STATUS_NOT_FOUND)
		return status;
	constant = constant_find(msr);
	if (constant == NULL || (!constant->ignore && value != constant->value))
		return STATUS_FAIL(STATUS_FAULT);
	return STATUS_OK;
}

static enum status msr_write(struct vm_vcpu *vcpu, uint32_t msr, uint64_t tsc, uint64_t value)
{
	struct guest_time now = vm_time(vcpu->vm, tsc);
	enum status status;

	if (msr - LAPIC_MSR_FIRST <= LAPIC_MSR_LAST - LAPIC_MSR_FIRST) {
		local_apic_enter(vcpu);
		status = lapic_msr_write(vcpu->lapic, now, msr, value);
		local_apic_leave(vcpu, now);
		return status;
	}
	if (msr == MSR_EFER)
		vcpu->code_memo = NULL;
	status = vcpu_write_msr(vcpu->vcpu, msr, value);
	return status == STATUS_NOT_FOUND ? platform_write(vcpu, msr, tsc, value) : status;
}

void vm_exit_msr_read(struct vm_vcpu *vcpu, const struct vmexit *exit, uint64_t tsc)
{
	unsigned length = vm_exit_length(vcpu, exit, DECODE_KNOWN_RDMSR);
	uint64_t *gpr = vcpu_gpr(vcpu->vcpu), value;

	if (length == 0)
		return;
	if (unlikely(msr_read(vcpu, (uint32_t)gpr[GPR_RCX], tsc, &value) != STATUS_OK)) {
		vm_inject_gp(vcpu);
		return;
	}
	gpr[GPR_RAX] = (uint32_t)value;
	gpr[GPR_RDX] = value >> 32;
	vcpu_advance(vcpu->vcpu, length);
}

void vm_exit_msr_write(struct vm_vcpu *vcpu, const struct vmexit *exit, uint64_t tsc)
{
	unsigned length = vm_exit_length(vcpu, exit, DECODE_KNOWN_WRMSR);
	const uint64_t *gpr = vcpu_gpr(vcpu->vcpu);
	uint64_t value = gpr[GPR_RDX] << 32 | (uint32_t)gpr[GPR_RAX];

	if (length == 0)
		return;
	if (unlikely(msr_write(vcpu, (uint32_t)gpr[GPR_RCX], tsc, value) != STATUS_OK))
		vm_inject_gp(vcpu);
	else
		vcpu_advance(vcpu->vcpu, length);
}

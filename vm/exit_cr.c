// SPDX-License-Identifier: BSD-2-Clause
// MOV to CR0 and CR4, LMSW and CLTS.
#include "vm/cpu_access.h"

#include "kernel/x86.h"
#include "vm/vm.h"

// LMSW loads PE, MP, EM and TS, and cannot clear PE.
static uint64_t lmsw_value(uint64_t cr0, uint64_t source)
{
	return (cr0 & ~(CR0_MP | CR0_EM | CR0_TS)) |
		(source & (CR0_PE | CR0_MP | CR0_EM | CR0_TS));
}

static enum status lmsw_source(struct vm_vcpu *vcpu, const struct insn *insn,
	struct guest_time now, uint64_t *value)
{
	struct cpu_access access;
	struct gva at;
	enum status status;

	if (insn->to.kind == INSN_OPERAND_REGISTER) {
		*value = vcpu_gpr(vcpu->vcpu)[insn->to.number];
		return STATUS_OK;
	}
	cpu_access_begin(&access, vcpu, now);
	status = insn_operand_address(&access.cpu, insn, 2, false, &at);
	if (status == STATUS_OK)
		status = access.cpu.ops->read(&access, at, 2, false, value);
	if (status != STATUS_OK)
		cpu_access_end(&access, status);
	return status;
}

static enum status cr_write(struct vm_vcpu *vcpu, unsigned number, uint64_t value)
{
	if (number == 0)
		return vcpu_write_cr0(vcpu->vcpu, value);
	if (number == 4)
		return vcpu_write_cr4(vcpu->vcpu, value, vcpu->cr4_allowed);
	return STATUS_FAIL(STATUS_FAULT);
}

void vm_exit_cr_write(struct vm_vcpu *vcpu, const struct vmexit *exit, uint64_t tsc)
{
	const struct insn *insn = vm_decode(vcpu);
	uint64_t cr0 = vcpu_paging(vcpu->vcpu).cr0, value;
	unsigned number = 0;

	(void)exit;
	if (insn == NULL)
		return;
	switch (insn->op) {
	case INSN_CLTS:
		value = cr0 & ~CR0_TS;
		break;
	case INSN_LMSW:
		if (lmsw_source(vcpu, insn, vm_time(vcpu->vm, tsc), &value) != STATUS_OK)
			return;
		value = lmsw_value(cr0, value);
		break;
	default:
		if (insn->to.kind != INSN_OPERAND_CONTROL ||
			insn->from.kind != INSN_OPERAND_REGISTER) {
			vm_inject_ud(vcpu);
			return;
		}
		number = insn->to.number;
		value = vcpu_gpr(vcpu->vcpu)[insn->from.number];
		if (vcpu->code.bits != 64)
			value = (uint32_t)value;
	}
	vcpu->code_memo = NULL;
	if (cr_write(vcpu, number, value) != STATUS_OK)
		vm_inject_gp(vcpu);
	else
		vcpu_advance(vcpu->vcpu, insn->length);
}

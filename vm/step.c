// SPDX-License-Identifier: BSD-2-Clause
// Single steps, the part that takes the guest's code and memory: instructions that an engine
// cannot run in a step are executed here, and what one did to memory is put right
// (vcpu_request_step in vmx/vcpu.h).
#include "vm/step.h"

#include "kernel/x86.h"
#include "vm/cpu_access.h"
#include "vm/landing.h"
#include "vm/vm.h"

#define EFLAGS_TF_BYTE 1u // TF is bit 0 of the second byte
enum { TSS16_FLAGS = 0x10, TSS32_FLAGS = 0x24 }; // SDM vol. 3, figures 8-2 and 8-10

size_t step_opcode_offset(const uint8_t *bytes, size_t available, bool is_64bit)
{
	size_t at = 0;

	for (; at < available; at++) {
		switch (bytes[at]) {
		case 0x26: case 0x2e: case 0x36: case 0x3e: case 0x64: case 0x65:
		case 0x66: case 0x67: case 0xf0: case 0xf2: case 0xf3:
			continue;
		}
		if (!is_64bit || (bytes[at] & 0xf0) != 0x40)
			break;
	}
	return at;
}

// MOV to SS (8E /2), POP SS (17), which 64-bit mode does not have, and STI (FB): they cast a shadow
// on the next instruction.
enum caster { CASTER_NONE, CASTER_STACK_LOAD, CASTER_STI };

static enum caster caster_of(const uint8_t *bytes, size_t available, bool is_64bit)
{
	size_t at = step_opcode_offset(bytes, available, is_64bit);

	if (at < available && bytes[at] == 0xfb)
		return CASTER_STI;
	if (at < available && bytes[at] == 0x17 && !is_64bit)
		return CASTER_STACK_LOAD;
	if (at + 1 < available && bytes[at] == 0x8e && (bytes[at + 1] >> 3 & 7) == INSN_SS)
		return CASTER_STACK_LOAD;
	return CASTER_NONE;
}

static unsigned code_access(const struct vm_vcpu *vcpu)
{
	return vcpu->code.cpl == 3 ? PAGING_USER : 0;
}

// The bytes at RIP, without an exception where there are none: running them will raise it.
static bool code_look(struct vm_vcpu *vcpu, struct paging_code *code)
{
	vm_paging_update(vcpu);
	return paging_fetch(&vcpu->paging, &vcpu->vm->ram, (struct gva){vcpu->code.linear_rip},
		code_access(vcpu), code) == STATUS_OK;
}

bool vm_step_request(struct vm_vcpu *vcpu, uint64_t tsc)
{
	struct paging_code code;
	enum caster caster = CASTER_NONE;

	if (vcpu_engine.step_misses_shadow && !vcpu_event_pending(vcpu->vcpu) &&
		code_look(vcpu, &code))
		caster = caster_of(code.bytes, code.available, vcpu->code.bits == 64);
	if (caster == CASTER_STACK_LOAD) {
		step_stack_load(vcpu, vm_time(vcpu->vm, tsc));
		return false;
	}
	if (caster == CASTER_STI && step_sti(vcpu, (unsigned)step_opcode_offset(code.bytes,
					code.available, vcpu->code.bits == 64) + 1))
		return false;
	vcpu_request_step(vcpu->vcpu);
	return true;
}

// Clears TF in an image of the flags.
static void flags_repair(struct vm_vcpu *vcpu, struct gva image, unsigned access)
{
	struct paging_fault fault;
	struct gpa at;
	uint8_t byte;

	image.v += EFLAGS_TF_BYTE;
	if (paging_translate(&vcpu->paging, &vcpu->vm->ram, image, access | PAGING_WRITE, false,
		    &at, &fault) != STATUS_OK ||
		guest_ram_read(&vcpu->vm->ram, at, &byte, 1) != STATUS_OK)
		return;
	byte &= (uint8_t)~1u;
	(void)!guest_ram_write(&vcpu->vm->ram, at, &byte, 1);
}

// The stepped instruction stored the engine's TF: PUSHF, or a task switch in the state segment of
// the task that was left.
void vm_exit_step_repair(struct vm_vcpu *vcpu, const struct vmexit *exit, uint64_t tsc)
{
	uint64_t stack = vcpu_gpr(vcpu->vcpu)[GPR_RSP];

	(void)tsc;
	vm_paging_update(vcpu);
	if (!exit->repair.pushed) {
		flags_repair(vcpu, (struct gva){exit->repair.tss +
			(exit->repair.tss_is_32bit ? TSS32_FLAGS : TSS16_FLAGS)}, 0);
		return;
	}
	if (vcpu->code.bits != 64) {
		struct vcpu_segment_state ss = vcpu_segment(vcpu->vcpu, SEGMENT_SS);

		stack &= (ss.attributes & SEGMENT_ATTRIBUTE_DB) != 0 ? UINT32_MAX : 0xffff;
		stack = (uint32_t)(stack + ss.base);
	}
	flags_repair(vcpu, (struct gva){stack}, code_access(vcpu));
}

// The instruction that exited; *at receives the offset of its opcode, behind the prefixes. False:
// an exception was injected instead.
static bool opcode_fetch(struct vm_vcpu *vcpu, struct paging_code *code, size_t *at)
{
	if (!vm_fetch(vcpu, code))
		return false;
	*at = step_opcode_offset(code->bytes, code->available, vcpu->code.bits == 64);
	return true;
}

// INT3, INT n and INTO: SDM vol. 2. The CPU has fetched the instruction just now.
void vm_exit_software_interrupt(struct vm_vcpu *vcpu, const struct vmexit *exit, uint64_t tsc)
{
	struct paging_code code;
	uint8_t vector = VECTOR_BP;
	size_t at;

	(void)exit;
	(void)tsc;
	if (!opcode_fetch(vcpu, &code, &at))
		return;
	if (at < code.available && code.bytes[at] == 0xce) {
		vector = VECTOR_OF;
	} else if (at + 1 < code.available && code.bytes[at] == 0xcd) {
		vector = code.bytes[++at];
	} else if (at >= code.available || code.bytes[at] != 0xcc) { // other code meanwhile
		vm_inject_ud(vcpu);
		return;
	}
	vcpu_inject_software_interrupt(vcpu->vcpu, vector, (unsigned)at + 1);
}

// MOV to DR6, which is also DR4: 0F 23 /r, the register in ModRM.rm. SDM vol. 2, MOV.
void vm_exit_dr_write(struct vm_vcpu *vcpu, const struct vmexit *exit, uint64_t tsc)
{
	struct paging_code code;
	struct vcpu_state state;
	unsigned source, length;
	uint64_t value;
	size_t at;

	(void)exit;
	(void)tsc;
	if (!opcode_fetch(vcpu, &code, &at))
		return;
	length = (unsigned)at + 3;
	if (length > code.available || code.bytes[at] != 0x0f || code.bytes[at + 1] != 0x23) {
		vm_inject_ud(vcpu);
		return;
	}
	source = (code.bytes[at + 2] & 7u) |
		(at > 0 && (code.bytes[at - 1] & 0xf1) == 0x41 ? 8u : 0);
	value = vcpu_gpr(vcpu->vcpu)[source];
	if (vcpu->code.bits == 64 && value > UINT32_MAX) {
		vm_inject_gp(vcpu);
		return;
	}
	vcpu_get_state(vcpu->vcpu, &state);
	// What can be written: BS, BT, BD and the breakpoints; the rest is fixed.
	state.dr6 = ((uint32_t)value & 0xe00f) | 0xffff0ff0;
	if (vcpu_set_state(vcpu->vcpu, &state) != STATUS_OK)
		vm_inject_gp(vcpu);
	else
		vcpu_advance(vcpu->vcpu, length);
}

// RDTSC (0F 31) and RDTSCP (0F 01 F9) of a machine whose time is not the host's.
void vm_exit_rdtsc(struct vm_vcpu *vcpu, const struct vmexit *exit, uint64_t tsc)
{
	uint64_t *gpr = vcpu_gpr(vcpu->vcpu), value;
	struct paging_code code;
	unsigned length;
	size_t at;

	(void)exit;
	(void)tsc;
	if (!opcode_fetch(vcpu, &code, &at))
		return;
	length = (unsigned)at + 2;
	if (length > code.available) {
		vm_inject_ud(vcpu);
		return;
	}
	if (code.bytes[at + 1] != 0x31) {
		struct vcpu_state state;

		length++;
		landing_correct_rdtscp(vcpu);
		if ((cpuid_profile_query(&vcpu->cpuid, 0x80000001, 0)->edx & BIT(27)) == 0) {
			vm_inject_ud(vcpu);
			return;
		}
		vcpu_get_state(vcpu->vcpu, &state);
		gpr[GPR_RCX] = (uint32_t)state.tsc_aux;
	}
	value = landing_now(vcpu->vm) - vcpu->vm->tsc_base + vcpu->tsc_shift;
	gpr[GPR_RAX] = (uint32_t)value;
	gpr[GPR_RDX] = value >> 32;
	landing_rdtsc_done(vcpu->vm);
	vcpu_advance(vcpu->vcpu, length);
}

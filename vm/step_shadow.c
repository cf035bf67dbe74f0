// SPDX-License-Identifier: BSD-2-Clause
// MOV SS, POP SS and STI in software: the shadow that they cast holds a step's trap back, with MOV
// SS on every CPU and with STI on some, until the next instruction has run.
// SDM vol. 2, MOV and POP; vol. 3, 3.4 (segmentation) and 6.8.3 (the shadow).
#include "vm/step.h"

#include "kernel/x86.h"
#include "vm/cpu_access.h"

enum {
	SELECTOR_RPL = 3,
	SELECTOR_TI = 4,
	DESCRIPTOR_ACCESSED = 1 << 0,
	DESCRIPTOR_WRITABLE = 1 << 1,
	DESCRIPTOR_BYTES = 8,
	RFLAGS_IOPL_SHIFT = 12,
};

static enum status raise(struct vm_vcpu *vcpu, uint8_t vector, uint32_t error_code)
{
	vcpu->fault = (struct vm_fault){.pending = true, .vector = vector,
		.has_error_code = true, .error_code = error_code};
	return STATUS_FAULT;
}

// Descriptor tables are read as the supervisor, whatever the CPL.
static enum status table_translate(struct vm_vcpu *vcpu, uint64_t linear, size_t bytes,
	unsigned access, struct paging_range *range)
{
	struct paging_fault fault;

	if (paging_translate_range(&vcpu->paging, &vcpu->vm->ram, (struct gva){linear}, bytes,
		    access, range, &fault) == STATUS_OK)
		return STATUS_OK;
	vcpu->fault = (struct vm_fault){.pending = true, .is_page_fault = true,
		.has_error_code = true, .vector = VECTOR_PF, .error_code = fault.error_code,
		.cr2 = fault.cr2};
	return STATUS_FAULT;
}

static enum status descriptor_read(struct vm_vcpu *vcpu, uint64_t linear, uint64_t *descriptor)
{
	uint8_t *to = (uint8_t *)descriptor;
	struct paging_range range;
	enum status status;

	*descriptor = UINT64_MAX; // where nobody answers
	status = table_translate(vcpu, linear, DESCRIPTOR_BYTES, 0, &range);
	if (status != STATUS_OK)
		return status;
	for (unsigned i = 0; i < range.parts; i++) {
		(void)!guest_ram_read(&vcpu->vm->ram, range.at[i], to, range.bytes[i]);
		to += range.bytes[i];
	}
	return STATUS_OK;
}

static enum status descriptor_mark(struct vm_vcpu *vcpu, uint64_t linear, uint64_t descriptor)
{
	uint8_t type = (uint8_t)(descriptor >> 40) | DESCRIPTOR_ACCESSED;
	struct paging_range range;
	enum status status;

	if ((descriptor >> 40 & DESCRIPTOR_ACCESSED) != 0)
		return STATUS_OK;
	status = table_translate(vcpu, linear + 5, 1, PAGING_WRITE, &range);
	if (status == STATUS_OK)
		(void)!guest_ram_write(&vcpu->vm->ram, range.at[0], &type, 1);
	return status;
}

static struct vcpu_segment_state descriptor_segment(uint64_t descriptor, uint16_t selector)
{
	uint32_t limit = (uint32_t)((descriptor & 0xffff) | (descriptor >> 32 & 0xf0000));
	uint16_t attributes = (uint16_t)((descriptor >> 40 & 0xff) | (descriptor >> 44 & 0xf00));

	if ((attributes & SEGMENT_ATTRIBUTE_G) != 0)
		limit = limit << 12 | 0xfff;
	return (struct vcpu_segment_state){selector, attributes | DESCRIPTOR_ACCESSED, limit,
		(descriptor >> 16 & 0xffffff) | (descriptor >> 32 & 0xff000000)};
}

static enum status protected_load(struct vm_vcpu *vcpu, const struct vcpu_state *state,
	uint16_t selector, struct vcpu_segment_state *ss)
{
	const struct vcpu_segment_state *ldt = &state->segment[SEGMENT_LDTR];
	bool local = (selector & SELECTOR_TI) != 0;
	uint64_t base = local ? ldt->base : state->gdtr_base, descriptor;
	uint32_t limit = local ? ldt->limit : state->gdtr_limit, error = selector & ~3u;
	unsigned cpl = vcpu->code.cpl, attributes;
	enum status status;

	if (error == 0) {
		if (vcpu->code.bits != 64 || cpl == 3 || (selector & SELECTOR_RPL) != cpl)
			return raise(vcpu, VECTOR_GP, 0);
		*ss = (struct vcpu_segment_state){selector, (uint16_t)(cpl << 5), 0, 0};
		return STATUS_OK;
	}
	if ((selector | 7u) > limit || (local && (ldt->attributes & SEGMENT_ATTRIBUTE_P) == 0))
		return raise(vcpu, VECTOR_GP, error);
	base += selector & ~7u;
	status = descriptor_read(vcpu, base, &descriptor);
	if (status != STATUS_OK)
		return status;
	*ss = descriptor_segment(descriptor, selector);
	attributes = ss->attributes;
	if ((selector & SELECTOR_RPL) != cpl || (attributes >> 5 & 3) != cpl ||
		(attributes & SEGMENT_ATTRIBUTE_S) == 0 ||
		(attributes & SEGMENT_ATTRIBUTE_CODE) != 0 ||
		(attributes & DESCRIPTOR_WRITABLE) == 0)
		return raise(vcpu, VECTOR_GP, error);
	if ((attributes & SEGMENT_ATTRIBUTE_P) == 0)
		return raise(vcpu, VECTOR_SS, error);
	return descriptor_mark(vcpu, base, descriptor);
}

static enum status load_stack_segment(void *owner, unsigned segment, uint16_t selector)
{
	struct cpu_access *access = owner;
	struct vm_vcpu *vcpu = access->vcpu;
	struct vcpu_segment_state *ss;
	struct vcpu_state state;
	enum status status = STATUS_OK;

	if (segment != INSN_SS)
		return STATUS_UNSUPPORTED;
	vcpu_get_state(vcpu->vcpu, &state);
	ss = &state.segment[SEGMENT_SS];
	if ((state.cr0 & CR0_PE) == 0 || (state.rflags & RFLAGS_VM) != 0) {
		ss->selector = selector;
		ss->base = (uint32_t)selector << 4;
	} else {
		status = protected_load(vcpu, &state, selector, ss);
	}
	return status == STATUS_OK ? vcpu_set_state(vcpu->vcpu, &state) : status;
}

// A shadow holds traps back as well as interrupts: no #DB for a guest's own TF here.
static void finish_in_shadow(struct vcpu *vcpu, uint64_t rip, uint64_t rflags, bool shadow)
{
	struct vcpu_state state;
	enum status status;

	vcpu_get_state(vcpu, &state);
	state.interrupt_shadow = shadow && !state.interrupt_shadow; // a second in a row casts none
	state.rip = rip;
	state.rflags = rflags;
	status = vcpu_set_state(vcpu, &state);
	ASSERT(status == STATUS_OK);
}

// The fetch leaves its mark in the page tables, as the CPU's would.
static void fetch_mark(struct vm_vcpu *vcpu)
{
	struct paging_fault fault;
	struct gpa unused;

	(void)!paging_walk(&vcpu->paging, &vcpu->vm->ram, (struct gva){vcpu->code.linear_rip},
		PAGING_FETCH | (vcpu->code.cpl == 3 ? PAGING_USER : 0), true, &unused, &fault);
}

bool step_sti(struct vm_vcpu *vcpu, unsigned length)
{
	uint64_t rflags = vcpu->code.rflags, rip = vcpu->code.rip + length;
	bool allowed = (vcpu->code.cr0 & CR0_PE) == 0 ||
		vcpu->code.cpl <= (rflags >> RFLAGS_IOPL_SHIFT & 3);

	if (!allowed || (rflags & RFLAGS_TF) != 0)
		return false;
	fetch_mark(vcpu);
	if (vcpu->code.bits != 64)
		rip = (uint32_t)rip;
	// SDM vol. 2, STI: the shadow, if IF was clear.
	finish_in_shadow(vcpu->vcpu, rip, (rflags | RFLAGS_IF) & ~RFLAGS_RF,
		(rflags & RFLAGS_IF) == 0);
	return true;
}

void step_stack_load(struct vm_vcpu *vcpu, struct guest_time now)
{
	const struct insn *insn = vm_decode(vcpu);
	struct insn_cpu_ops ops;
	struct cpu_access access;
	enum status status;

	if (insn == NULL)
		return;
	fetch_mark(vcpu);
	cpu_access_begin(&access, vcpu, now);
	ops = *access.cpu.ops;
	ops.load_segment = load_stack_segment;
	access.cpu.ops = &ops;
	status = insn_execute(&access.cpu, insn);
	if (status == STATUS_OK && access.cpu.stack_shadow)
		finish_in_shadow(vcpu->vcpu, access.cpu.rip, access.cpu.rflags, true);
	else
		cpu_access_end(&access, status);
}

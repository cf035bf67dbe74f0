// SPDX-License-Identifier: BSD-2-Clause
#include "vm/cpu_access.h"

#include <string.h>

#include "kernel/x86.h"
#include "vm/insn_access.h"
#include "vm/local_apic.h"
#include "vmx/breakpoint.h"

enum { SEGMENT_TYPE_WRITABLE = 2, SEGMENT_TYPE_EXPAND_DOWN = 4, SEGMENT_TYPE_CODE = 8 };

static enum status raise(struct vm_vcpu *vcpu, unsigned vector, bool has_error, uint32_t error)
{
	vcpu->fault = (struct vm_fault){.pending = true, .vector = (uint8_t)vector,
		.has_error_code = has_error, .error_code = error};
	return STATUS_FAULT;
}

static enum status access_raise(void *owner, unsigned vector, uint32_t error_code)
{
	struct cpu_access *access = owner;

	return raise(access->vcpu, vector, vector != INSN_VECTOR_DIVIDE, error_code);
}

static bool is_canonical(const struct paging *paging, uint64_t address)
{
	return x86_is_canonical(address, paging->mode == PAGING_5_LEVEL ? 57 : 48);
}

// SDM vol. 3, 5.3 and 5.5: limit and type. Expand-down segments are valid above the limit.
static bool segment_allows(const struct vcpu_segment_state *segment, uint64_t offset,
	unsigned bytes, bool write, bool protected_mode)
{
	unsigned type = segment->attributes & 15;
	uint64_t last = offset + bytes - 1;

	if (protected_mode) {
		if ((segment->attributes & SEGMENT_ATTRIBUTE_P) == 0)
			return false;
		if ((type & SEGMENT_TYPE_CODE) != 0 ? write || (type & SEGMENT_TYPE_WRITABLE) == 0
						    : write && (type & SEGMENT_TYPE_WRITABLE) == 0)
			return false;
		if ((type & (SEGMENT_TYPE_CODE | SEGMENT_TYPE_EXPAND_DOWN)) ==
			SEGMENT_TYPE_EXPAND_DOWN) {
			uint64_t top = (segment->attributes & SEGMENT_ATTRIBUTE_DB) != 0
				? UINT32_MAX : 0xffff;

			return offset > segment->limit && last <= top;
		}
	}
	return last <= segment->limit;
}

static enum status access_linear(void *owner, unsigned number, uint64_t offset, unsigned bytes,
	bool write, struct gva *to)
{
	struct cpu_access *access = owner;
	struct vcpu *vcpu = access->vcpu->vcpu;
	unsigned vector = number == INSN_SS ? VECTOR_SS : VECTOR_GP;
	struct vcpu_segment_state segment = vcpu_segment(vcpu, number);

	if (access->cpu.mode == DECODE_MODE_64) {
		to->v = offset + (number >= INSN_FS ? segment.base : 0);
		if (is_canonical(&access->vcpu->paging, to->v) &&
			is_canonical(&access->vcpu->paging, to->v + bytes - 1))
			return STATUS_OK;
		return raise(access->vcpu, vector, true, 0);
	}
	if (!segment_allows(&segment, offset, bytes, write,
		    (vcpu_paging(vcpu).cr0 & CR0_PE) != 0 &&
			    (vcpu_rflags(vcpu) & RFLAGS_VM) == 0))
		return raise(access->vcpu, vector, true, 0);
	to->v = (uint32_t)(segment.base + offset);
	return STATUS_OK;
}

static enum status page_fault(struct vm_vcpu *vcpu, const struct paging_fault *fault)
{
	vcpu->fault = (struct vm_fault){.pending = true, .is_page_fault = true,
		.has_error_code = true, .vector = VECTOR_PF, .error_code = fault->error_code,
		.cr2 = fault->cr2};
	return STATUS_FAULT;
}

static unsigned access_bits(const struct cpu_access *access, bool write)
{
	return (write ? PAGING_WRITE : 0u) |
		(access->vcpu->code.cpl == 3 ? PAGING_USER : 0u);
}

// The vcpu's own local APIC comes before what is on the bus.
static always_inline uint64_t device_read(struct vm_vcpu *vcpu, struct gpa at, unsigned bytes,
	struct guest_time now)
{
	if (local_apic_answers(vcpu, at))
		return local_apic_read(vcpu, at, bytes, now);
	return bus_mmio_read(vcpu->vm, at, bytes, now);
}

static always_inline void device_write(struct vm_vcpu *vcpu, struct gpa at, unsigned bytes,
	uint64_t value, struct guest_time now)
{
	if (local_apic_answers(vcpu, at))
		local_apic_write(vcpu, at, bytes, value, now);
	else
		bus_mmio_write(vcpu->vm, at, bytes, value, now);
}

static uint64_t part_read(struct cpu_access *access, struct gpa at, unsigned bytes)
{
	struct vm *vm = access->vcpu->vm;
	uint64_t value = 0;

	if (guest_ram_kind(&vm->ram, at) == GUEST_RAM_NONE)
		return device_read(access->vcpu, at, bytes, access->now);
	return guest_ram_read(&vm->ram, at, &value, bytes) == STATUS_OK ? value : UINT64_MAX;
}

static void part_write(struct cpu_access *access, struct gpa at, unsigned bytes, uint64_t value)
{
	struct vm *vm = access->vcpu->vm;

	if (guest_ram_is_write_only(&vm->ram, at)) {
		enum status status = guest_ram_write_rom(&vm->ram, at, &value, bytes);

		ASSERT(status == STATUS_OK);
		return;
	}
	switch (guest_ram_kind(&vm->ram, at)) {
	case GUEST_RAM_NONE:
		device_write(access->vcpu, at, bytes, value, access->now);
		return;
	case GUEST_RAM_ROM: // as a PC's ROM: the write goes nowhere, but to a flash's commands
		if (at.v >= GUEST_ROM_END)
			device_write(access->vcpu, at, bytes, value, access->now);
		return;
	case GUEST_RAM_RAM: {
		enum status status = guest_ram_write(&vm->ram, at, &value, bytes);

		ASSERT(status == STATUS_OK); // within one page of RAM
		return;
	}
	}
}

static uint64_t value_mask(unsigned bytes)
{
	return UINT64_MAX >> (64 - 8 * bytes);
}

// The exit told where the instruction's one access leads. The CPU has checked it.
static always_inline bool access_is_known(const struct cpu_access *access, struct gva at)
{
	return access->known.v != GPA_UNKNOWN.v &&
		((at.v ^ access->known.v) & (PAGE_BYTES - 1)) == 0;
}

static enum status read_crossing(struct cpu_access *access, struct gva from, unsigned bytes,
	bool modify, uint64_t *value)
{
	struct paging_range range;
	struct paging_fault fault;
	uint64_t low;

	if (paging_translate_range(&access->vcpu->paging, &access->vcpu->vm->ram, from, bytes,
		    access_bits(access, modify), &range, &fault) != STATUS_OK)
		return page_fault(access->vcpu, &fault);
	low = part_read(access, range.at[0], (unsigned)range.bytes[0]);
	if (range.parts == 2)
		low = (low & value_mask((unsigned)range.bytes[0])) |
			part_read(access, range.at[1], (unsigned)range.bytes[1])
				<< 8 * range.bytes[0];
	*value = low & value_mask(bytes);
	return STATUS_OK;
}

static enum status access_read(void *owner, struct gva from, unsigned bytes, bool modify,
	uint64_t *value)
{
	struct cpu_access *access = owner;
	struct paging_fault fault;
	struct gpa at;

	if (unlikely(access->cpu.one_iteration))
		vcpu_note_access(access->vcpu->vcpu, VCPU_ACCESS_READ, from.v, bytes);
	if (likely(access_is_known(access, from))) {
		*value = device_read(access->vcpu, access->known, bytes, access->now) &
			value_mask(bytes);
		return STATUS_OK;
	}
	if (unlikely(from.v % PAGE_BYTES + bytes > PAGE_BYTES))
		return read_crossing(access, from, bytes, modify, value);
	if (unlikely(paging_translate(&access->vcpu->paging, &access->vcpu->vm->ram, from,
			     access_bits(access, modify), true, &at, &fault) != STATUS_OK))
		return page_fault(access->vcpu, &fault);
	*value = part_read(access, at, bytes) & value_mask(bytes);
	return STATUS_OK;
}

static enum status write_crossing(struct cpu_access *access, struct gva to, unsigned bytes,
	uint64_t value)
{
	struct paging_range range;
	struct paging_fault fault;

	if (paging_translate_range(&access->vcpu->paging, &access->vcpu->vm->ram, to, bytes,
		    access_bits(access, true), &range, &fault) != STATUS_OK)
		return page_fault(access->vcpu, &fault);
	part_write(access, range.at[0], (unsigned)range.bytes[0], value);
	if (range.parts == 2)
		part_write(access, range.at[1], (unsigned)range.bytes[1],
			value >> 8 * range.bytes[0]);
	return STATUS_OK;
}

static enum status access_write(void *owner, struct gva to, unsigned bytes, uint64_t value)
{
	struct cpu_access *access = owner;
	struct paging_fault fault;
	struct gpa at;

	if (unlikely(access->cpu.one_iteration))
		vcpu_note_access(access->vcpu->vcpu, VCPU_ACCESS_WRITE, to.v, bytes);
	if (likely(access_is_known(access, to))) {
		device_write(access->vcpu, access->known, bytes, value & value_mask(bytes),
			access->now);
		return STATUS_OK;
	}
	if (unlikely(to.v % PAGE_BYTES + bytes > PAGE_BYTES))
		return write_crossing(access, to, bytes, value);
	if (unlikely(paging_translate(&access->vcpu->paging, &access->vcpu->vm->ram, to,
			     access_bits(access, true), true, &at, &fault) != STATUS_OK))
		return page_fault(access->vcpu, &fault);
	part_write(access, at, bytes, value & value_mask(bytes));
	return STATUS_OK;
}

static enum status access_probe(void *owner, struct gva to, unsigned bytes)
{
	struct cpu_access *access = owner;
	struct paging_range range;
	struct paging_fault fault;

	if (paging_translate_range(&access->vcpu->paging, &access->vcpu->vm->ram, to, bytes,
		    access_bits(access, true), &range, &fault) != STATUS_OK)
		return page_fault(access->vcpu, &fault);
	return STATUS_OK;
}

static uint16_t access_selector(void *owner, unsigned segment)
{
	struct cpu_access *access = owner;

	return vcpu_segment(access->vcpu->vcpu, segment).selector;
}

// A segment register loaded from device memory: no compiler emits it and no driver does it.
static enum status access_load_segment(void *owner, unsigned segment, uint16_t selector)
{
	struct cpu_access *access = owner;

	(void)segment;
	(void)selector;
	return raise(access->vcpu, VECTOR_UD, false, 0);
}

static const struct insn_cpu_ops access_ops = {
	.linear = access_linear,
	.read = access_read,
	.write = access_write,
	.probe = access_probe,
	.raise = access_raise,
	.selector = access_selector,
	.load_segment = access_load_segment,
};

// What the executor would come to, without what only other instructions and modes need. The offset
// in the page says that the exit is of this very access: another CPU may have changed the code.
bool cpu_access_device_move(struct vm_vcpu *vcpu, const struct insn *insn, struct gpa at,
	struct guest_time now)
{
	struct insn_cpu cpu = {.gpr = vcpu_gpr(vcpu->vcpu), .rip = vcpu->code.rip,
		.mode = DECODE_MODE_64};
	uint64_t rflags = vcpu->code.rflags;
	unsigned bytes = insn->to.bytes;

	if (unlikely(vcpu->code.bits != 64 || insn->segment >= INSN_FS ||
		    (rflags & RFLAGS_TF) != 0 || vcpu_has_breakpoints(vcpu->vcpu) ||
		    (insn_offset(&cpu, insn, 0) ^ at.v) % PAGE_BYTES != 0))
		return false;
	if (insn->op == INSN_LOAD)
		insn_set_register(&cpu, insn->to.number, bytes, device_read(vcpu, at, bytes, now));
	else
		device_write(vcpu, at, bytes, insn_mask(bytes) & (insn->op == INSN_STORE
			? cpu.gpr[insn->from.number] : insn->immediate), now);
	vcpu_finish(vcpu->vcpu, cpu.rip + insn->length, rflags & ~RFLAGS_RF);
	return true;
}

void cpu_access_begin(struct cpu_access *access, struct vm_vcpu *vcpu, struct guest_time now)
{
	unsigned bits = vcpu->code.bits;

	access->vcpu = vcpu;
	access->now = now;
	access->known = GPA_UNKNOWN;
	access->cpu.gpr = vcpu_gpr(vcpu->vcpu);
	access->cpu.rip = vcpu->code.rip;
	access->cpu.rflags = vcpu->code.rflags;
	access->cpu.ops = &access_ops;
	access->cpu.owner = access;
	access->cpu.mode = (uint8_t)bits;
	access->cpu.one_iteration = vcpu_has_breakpoints(vcpu->vcpu);
	access->cpu.stack_bytes = 8;
	if (bits != 64)
		access->cpu.stack_bytes = (vcpu_segment(vcpu->vcpu, SEGMENT_SS).attributes &
						  SEGMENT_ATTRIBUTE_DB) != 0 ? 4 : 2;
}

static void fault_inject(struct vm_vcpu *vcpu)
{
	const struct vm_fault *fault = &vcpu->fault;

	if (fault->is_page_fault)
		vcpu_set_cr2(vcpu->vcpu, fault->cr2);
	vcpu_inject_exception(vcpu->vcpu, fault->vector, fault->has_error_code,
		fault->error_code);
	vcpu->fault.pending = false;
}

void cpu_access_end(struct cpu_access *access, enum status status)
{
	struct vm_vcpu *vcpu = access->vcpu;

	if (unlikely(status != STATUS_OK)) {
		// What a string instruction has done is kept: RIP stays, RCX and the indexes moved.
		vcpu_set_rflags(vcpu->vcpu, access->cpu.rflags);
		if (status == STATUS_FAULT && vcpu->fault.pending)
			fault_inject(vcpu);
		else if (status != STATUS_AGAIN)
			vm_inject_ud(vcpu);
		return;
	}
	vcpu_finish(vcpu->vcpu, access->cpu.rip, access->cpu.rflags);
}

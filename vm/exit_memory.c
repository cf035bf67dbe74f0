// SPDX-License-Identifier: BSD-2-Clause
// Accesses that lead to no RAM, and writes to ROM: the instruction is decoded and executed against
// guest memory and the bus. An access that crosses pages is split at the border; each part goes
// where its page leads. Also INS and OUTS, which touch memory and ports.
#include "vm/cpu_access.h"

#include <string.h>

#include "kernel/console.h"
#include "vm/vm.h"

// Delivery of an event pushes to a stack, or reads a table, that is no RAM: no instruction is there
// to be executed. A CPU would write to nobody and read all ones, and shut down over the gate.
static void delivery_failed(struct vm_vcpu *vcpu, const struct vmexit *exit)
{
	log_warn("%s: event delivery touches %llx, which is not RAM: reset", vcpu->vm->name,
		(unsigned long long)exit->memory.gpa.v);
	vm_request(vcpu->vm, DEVICE_REQUEST_RESET, 0);
}

// Once for an instruction that runs again and again: the log is not the guest's to fill.
static void unsupported_warn(struct vm_vcpu *vcpu, const struct paging_code *code)
{
	uint8_t first[4] = {0}; // the page may end before

	if (vcpu->unsupported_rip == vcpu->code.rip)
		return;
	vcpu->unsupported_rip = vcpu->code.rip;
	memcpy(first, code->bytes, code->available < 4 ? code->available : 4);
	log_warn("%s: instruction at RIP %llx (%02x %02x %02x %02x) cannot access a device",
		vcpu->vm->name, (unsigned long long)vcpu->code.rip, first[0], first[1], first[2],
		first[3]);
}

const struct insn *vm_decode(struct vm_vcpu *vcpu)
{
	struct paging_code code;
	const struct insn *insn;

	code.next_fault = false;
	if (!vm_fetch(vcpu, &code))
		return NULL;
	insn = decode_cached(&vcpu->decode, (enum decode_mode)vcpu->code.bits, vcpu->code.rip,
		code.bytes, code.available);
	if (likely(insn != NULL))
		return insn;
	if (vcpu->decode.status == STATUS_TRUNCATED && code.next_fault)
		vm_inject_page_fault(vcpu, &code.fault);
	else
		vm_inject_ud(vcpu);
	if (vcpu->decode.status == STATUS_UNSUPPORTED)
		unsupported_warn(vcpu, &code);
	return NULL;
}

void vm_exit_memory(struct vm_vcpu *vcpu, const struct vmexit *exit, uint64_t tsc)
{
	struct guest_time now = vm_time(vcpu->vm, tsc);
	struct gpa known = GPA_UNKNOWN;
	struct cpu_access access;
	const struct insn *insn;
	enum status status;

	if (unlikely(vcpu_event_pending(vcpu->vcpu))) {
		delivery_failed(vcpu, exit);
		return;
	}
	if (unlikely(exit->memory.fetch)) {
		vm_inject_ud(vcpu);
		return;
	}
	insn = vm_decode(vcpu);
	if (insn == NULL)
		return;
	// A plain move that does not cross a page touches nothing but what the exit names.
	if (likely(insn_is_plain_move(insn) && !exit->memory.table &&
		    exit->memory.gpa.v % PAGE_BYTES <= PAGE_BYTES - 8 &&
		    guest_ram_kind(&vcpu->vm->ram, exit->memory.gpa) == GUEST_RAM_NONE)) {
		known = exit->memory.gpa;
		if (likely(cpu_access_device_move(vcpu, insn, known, now)))
			return;
	}
	cpu_access_begin(&access, vcpu, now);
	access.known = known;
	status = insn_execute(&access.cpu, insn);
	cpu_access_end(&access, status);
}

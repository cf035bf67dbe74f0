// SPDX-License-Identifier: BSD-2-Clause
// Port I/O.
#include "vm/cpu_access.h"
#include "vm/vm.h"
#include "vmx/breakpoint.h"

// Merges into RAX as the CPU does: 32-bit results clear the upper half.
static void rax_merge(uint64_t *rax, unsigned bytes, uint64_t value)
{
	if (bytes == 4)
		*rax = (uint32_t)value;
	else if (bytes == 2)
		*rax = (*rax & ~(uint64_t)0xffff) | (value & 0xffff);
	else
		*rax = (*rax & ~(uint64_t)0xff) | (value & 0xff);
}

static enum status port_in(void *owner, uint16_t port, unsigned bytes, uint64_t *value)
{
	struct cpu_access *access = owner;

	*value = bus_port_read(access->vcpu->vm, port, bytes, access->now);
	vcpu_note_access(access->vcpu->vcpu, VCPU_ACCESS_PORT, port, bytes);
	return STATUS_OK;
}

static enum status port_out(void *owner, uint16_t port, unsigned bytes, uint64_t value)
{
	struct cpu_access *access = owner;

	bus_port_write(access->vcpu->vm, port, bytes, value, access->now);
	vcpu_note_access(access->vcpu->vcpu, VCPU_ACCESS_PORT, port, bytes);
	return STATUS_OK;
}

static void io_string(struct vm_vcpu *vcpu, struct guest_time now)
{
	static const struct insn_port_ops ports = {.in = port_in, .out = port_out};
	const struct insn *insn = vm_decode(vcpu);
	struct cpu_access access;
	enum status status;

	if (insn == NULL)
		return;
	cpu_access_begin(&access, vcpu, now);
	status = insn_execute_port_string(&access.cpu, insn, &ports);
	cpu_access_end(&access, status);
}

void vm_exit_io(struct vm_vcpu *vcpu, const struct vmexit *exit, uint64_t tsc)
{
	uint64_t *rax = &vcpu_gpr(vcpu->vcpu)[GPR_RAX];
	struct guest_time now = vm_time(vcpu->vm, tsc);
	unsigned length;

	if (unlikely(exit->io.string)) {
		io_string(vcpu, now);
		return;
	}
	length = vm_exit_length(vcpu, exit, DECODE_KNOWN_IO);
	if (length == 0)
		return;
	if (exit->io.in)
		rax_merge(rax, exit->io.size,
			bus_port_read(vcpu->vm, exit->io.port, exit->io.size, now));
	else
		bus_port_write(vcpu->vm, exit->io.port, exit->io.size, *rax, now);
	vcpu_note_access(vcpu->vcpu, VCPU_ACCESS_PORT, exit->io.port, exit->io.size);
	vcpu_advance(vcpu->vcpu, length);
}
